"""One fixed colour, marker and line per backend, the same in every plot of every run.

Colours: Okabe & Ito (2008), told apart with any common colour blindness and on white paper; the markers say the same
again without colour.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

# Backends of this package keep their look for good, so that two reports can be read side by side.
_KNOWN = {
    "naive": ("#6b6b6b", "X"),
    "im2col": ("#e69f00", "s"),
    "fft": ("#cc79a7", "D"),
    "numba": ("#0072b2", "o"),
    "torch": ("#d55e00", "^"),
}
_OTHERS = (
    ("#009e73", "v"),
    ("#56b4e9", "P"),
    ("#8a6d00", "<"),
    ("#7a4fbf", ">"),
    ("#000000", "h"),
    ("#a6373f", "p"),
    ("#3f7f3f", "*"),
)
_LINES = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)))

# WCAG AA for text on white.
_TEXT_CONTRAST = 4.5


@dataclass(frozen=True, kw_only=True)
class Look:
    """How one backend is drawn."""

    colour: str
    """Of lines and markers."""
    ink: str
    """The same hue, dark enough for text on white."""
    marker: str
    line: str | tuple[float, tuple[float, ...]]
    is_hollow: bool
    """A variant of another backend: same hue and marker, an outline that lets the other show through."""

    def marker_style(self, size: float = 6.5) -> dict[str, Any]:
        """Keywords for matplotlib's `plot` and `errorbar`."""
        return {
            "color": self.colour,
            "marker": self.marker,
            "markersize": size * 1.25 if self.is_hollow else size,
            "markerfacecolor": "none" if self.is_hollow else self.colour,
            "markeredgecolor": self.colour,
            "markeredgewidth": 1.5 if self.is_hollow else 0.8,
        }


def looks(backends: Iterable[str]) -> dict[str, Look]:
    """A look for every backend; variants such as torch[layout=channels_last] share their family's hue and marker."""
    backends = list(backends)
    families = dict.fromkeys(family_of(backend) for backend in backends)
    strangers = [family for family in families if family not in _KNOWN]
    look_of = _KNOWN | {family: _OTHERS[place % len(_OTHERS)] for place, family in enumerate(strangers)}
    variants: dict[str, int] = {}
    found = {}
    for backend in backends:
        family = family_of(backend)
        is_variant = backend != family
        place = variants[family] = variants.get(family, 0) + 1 if is_variant else variants.get(family, 0)
        colour, marker = look_of[family]
        found[backend] = Look(
            colour=colour,
            ink=readable(colour),
            marker=marker,
            line=_LINES[(place if is_variant else 0) % len(_LINES)],
            is_hollow=is_variant,
        )
    return found


def family_of(backend: str) -> str:
    """The name of a spec without its options."""
    return backend.partition("[")[0]


def readable(colour: str) -> str:
    """The colour, darkened just enough to be read as text on white."""
    channels = [int(colour[place : place + 2], 16) for place in (1, 3, 5)]
    while _contrast_on_white(channels) < _TEXT_CONTRAST:
        channels = [int(channel * 0.96) for channel in channels]
    return "#" + "".join(f"{channel:02x}" for channel in channels)


def _contrast_on_white(channels: list[int]) -> float:
    """Contrast ratio of WCAG 2.1, section 1.4.3."""

    def linear(channel: int) -> float:
        share = channel / 255
        return share / 12.92 if share <= 0.04045 else float(((share + 0.055) / 1.055) ** 2.4)

    red, green, blue = map(linear, channels)
    return 1.05 / (0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05)
