"""What the convolution of a real picture looks like: the input beside its vertical and horizontal edges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from harness.report.canvas import SOFT_INK, WIDTH_IN, Plot, draw, foot, head
from harness.report.cases import slug

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Image = npt.NDArray[np.floating]

_TOP_IN, _BOTTOM_IN, _SIDE_IN, _GAP_IN = 0.72, 0.5, 0.16, 0.12
# Edges are few and strong; without a cut at this share of the pixels the rest of the picture would be a flat grey.
_SHOWN_SHARE = 99.5


@dataclass(frozen=True, kw_only=True, eq=False)
class Picture:
    """A real picture and what two edge kernels make of it; every array has two axes."""

    name: str
    image: Image
    vertical: Image
    horizontal: Image


def edge_figure(name: str, image: Image, vertical: Image, horizontal: Image) -> Plot:
    """Input, vertical edges and horizontal edges side by side.

    Args:
        name: Of the picture, for title and file name.
        image: The input, (H, W); shown from its least to its greatest value.
        vertical: Output of the kernel that answers to vertical edges, signed: mid-grey is no edge.
        horizontal: Likewise for horizontal edges; both are shown on one scale.

    Raises:
        ValueError: An array does not have two axes.
    """
    for label, array in (("image", image), ("vertical", vertical), ("horizontal", horizontal)):
        if array.ndim != 2:
            raise ValueError(f"{label} has shape {array.shape}; give one channel as (H, W)")
    panel_in = (WIDTH_IN - 2 * _SIDE_IN - 2 * _GAP_IN) / 3
    # A very tall picture is cut to a page, a very wide one keeps a readable height.
    tall_in = float(min(6.0, max(1.0, panel_in * image.shape[0] / image.shape[1])))
    height_in = _TOP_IN + tall_in + _BOTTOM_IN
    limit = _limit(vertical, horizontal)

    def paint() -> Figure:
        figure = Figure(figsize=(WIDTH_IN, height_in))
        panels = (("input", image, None), ("vertical edges", vertical, limit), ("horizontal edges", horizontal, limit))
        for place, (label, array, most) in enumerate(panels):
            left = _SIDE_IN + place * (panel_in + _GAP_IN)
            axes = figure.add_axes((left / WIDTH_IN, _BOTTOM_IN / height_in, panel_in / WIDTH_IN, tall_in / height_in))
            _show(axes, array, most)
            figure.text(left / WIDTH_IN, 1 - (_TOP_IN - 0.08) / height_in, label, size=10, color=SOFT_INK, va="bottom")
        head(figure, f"What edge kernels see: {name}")
        foot(figure, ["Edges are signed: mid-grey is no edge, white and black are opposite signs, one scale for both."])
        return figure

    title = f"What edge kernels see in {name}: input, vertical edges, horizontal edges"
    return draw(f"edges-{slug(name)}", title, f"{title}, as three grey pictures side by side.", paint)


def _show(axes: Axes, array: Image, limit: float | None) -> None:
    low, high = (float(np.min(array)), float(np.max(array))) if limit is None else (-limit, limit)
    axes.imshow(array, cmap="gray", vmin=low, vmax=high, aspect="equal", interpolation="antialiased")
    axes.set_axis_off()


def _limit(vertical: Image, horizontal: Image) -> float:
    """The edge strength drawn as white and black: one for both, so that they can be compared."""
    strengths = np.concatenate([np.abs(vertical).ravel(), np.abs(horizontal).ravel()])
    finite = strengths[np.isfinite(strengths)]
    return float(np.percentile(finite, _SHOWN_SHARE)) or 1.0 if finite.size else 1.0
