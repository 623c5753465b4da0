"""The roofline model: how fast a problem could be at most on a machine with these ceilings.

A call must do its arithmetic and move each operand at least once; neither can go faster than the machine's best, so

    attainable FLOP/s = min(top, intensity * bandwidth),   intensity = 2 * macs_nominal / bytes_compulsory

with the better of multiply-adds in registers and matrix product as the top. A method that does fewer operations than
the direct one (FFT, Winograd) is counted as if it did them all: its rate is an effective one, and its fraction of the
attainable may rightly be above 1.

Source: Williams, Waterman & Patterson (2009), "Roofline".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from backends.problem import ConvProblem
from harness.records import Bandwidth, CacheState, Ceilings

_NS_PER_S = 1e9


@dataclass(frozen=True, kw_only=True)
class Roofline:
    """The ceilings that hold for cells of one dtype and number of threads."""

    dtype: str
    threads: int
    fma_flop_per_s: float | None
    gemm_flop_per_s: float | None
    bandwidths: tuple[Bandwidth, ...]
    """Ascending by working set; a larger one is never faster."""

    @property
    def top_flop_per_s(self) -> float | None:
        """The most arithmetic, whatever the problem; None where none was measured."""
        known = [rate for rate in (self.fma_flop_per_s, self.gemm_flop_per_s) if rate is not None]
        return max(known, default=None)

    def bytes_per_s(self, working_set_bytes: int, cache: CacheState) -> float | None:
        """How fast operands can come: from the smallest level that holds them, or from memory where caches are cold."""
        if not self.bandwidths:
            return None
        if cache is CacheState.HOT:
            for level in self.bandwidths:
                if working_set_bytes <= level.working_set_bytes:
                    return level.bytes_per_s
        return self.bandwidths[-1].bytes_per_s

    def attainable_flop_per_s(self, problem: ConvProblem, cache: CacheState = CacheState.HOT) -> float | None:
        """What no direct method can exceed; None without a top, for which bandwidth alone is no substitute."""
        top = self.top_flop_per_s
        speed = self.bytes_per_s(problem.bytes_compulsory, cache)
        if top is None or speed is None:
            return top
        return min(top, problem.arithmetic_intensity * speed)

    def peak_fraction(self, problem: ConvProblem, ns: float, cache: CacheState = CacheState.HOT) -> float | None:
        """The rate of one call that takes ns, over the attainable; above 1 for methods that save operations."""
        attainable = self.attainable_flop_per_s(problem, cache)
        return None if attainable is None else problem.flops / ns * _NS_PER_S / attainable


@dataclass(frozen=True, kw_only=True)
class Drift:
    """How far one ceiling moved between the times it was measured: from the earlier extreme to the later."""

    dtype: str
    threads: int
    earlier: float
    later: float

    @property
    def change(self) -> float:
        """Relative to the earlier: -0.12 where the machine lost 12 %."""
        return self.later / self.earlier - 1


def roofline_of(ceilings: Iterable[Ceilings], dtype: str, threads: int) -> Roofline | None:
    """The highest of each ceiling, whenever it was measured: noise only ever lowers one. None if none was measured."""
    of_kind = _of_kind(ceilings, dtype, threads)
    if not of_kind:
        return None
    fastest: dict[int, float] = {}
    for level in (level for item in of_kind for level in item.bandwidths):
        fastest[level.working_set_bytes] = max(level.bytes_per_s, fastest.get(level.working_set_bytes, 0.0))
    return Roofline(
        dtype=dtype,
        threads=threads,
        fma_flop_per_s=_highest(item.fma_flop_per_s for item in of_kind),
        gemm_flop_per_s=_highest(item.gemm_flop_per_s for item in of_kind),
        bandwidths=_falling(fastest),
    )


def arithmetic_drift(ceilings: Iterable[Ceilings], dtype: str, threads: int) -> Drift | None:
    """Of the top; None unless it was measured twice."""
    tops = [_highest((item.fma_flop_per_s, item.gemm_flop_per_s)) for item in _of_kind(ceilings, dtype, threads)]
    return _drift([top for top in tops if top is not None], dtype, threads)


def memory_drift(ceilings: Iterable[Ceilings], dtype: str, threads: int) -> Drift | None:
    """Of the bandwidth of the largest working set; None unless it was measured twice."""
    speeds = [item.bandwidths[-1].bytes_per_s for item in _of_kind(ceilings, dtype, threads) if item.bandwidths]
    return _drift(speeds, dtype, threads)


def _drift(values: Sequence[float], dtype: str, threads: int) -> Drift | None:
    if len(values) < 2:
        return None
    places = sorted((values.index(min(values)), values.index(max(values))))
    return Drift(dtype=dtype, threads=threads, earlier=values[places[0]], later=values[places[1]])


def _of_kind(ceilings: Iterable[Ceilings], dtype: str, threads: int) -> list[Ceilings]:
    return [item for item in ceilings if (item.dtype, item.threads) == (dtype, threads)]


def _highest(values: Iterable[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)


def _falling(fastest: dict[int, float]) -> tuple[Bandwidth, ...]:
    """Each level at least as fast as any larger one: what holds a large working set holds a small one too."""
    levels: list[Bandwidth] = []
    best = 0.0
    # One that seems slower than a larger one was disturbed.
    for size in sorted(fastest, reverse=True):
        best = max(best, fastest[size])
        levels.append(Bandwidth(working_set_bytes=size, bytes_per_s=best))
    return tuple(reversed(levels))
