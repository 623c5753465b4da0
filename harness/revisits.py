"""Which backends of a measured problem another visit would tell more about, and how much there is to gain. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness import stats
from harness.entry import Entry

# Half-widths that are as narrow as anyone needs: of a ratio that is still open, and of a time in a table.
_OPEN_RATIO = 0.01
_TABLE_TIME = 0.05
# Without an interval nothing narrower than this is known.
_NO_INTERVAL = 1.0
# A rival of which every pair says that it takes so many times as long needs no interval.
_HOPELESS = 1.5


@dataclass(frozen=True, kw_only=True)
class Need:
    """What another visit is good for."""

    backends: tuple[str, ...]
    """Worth timing again, the leader among them, as ratios are to it."""
    half_width: float
    """Of the widest interval that matters: a fraction."""


def need_of(entries: Iterable[Entry]) -> Need | None:
    """What another visit to a problem is good for; None where each ranking is decided and each time known.

    Args:
        entries: The problem's, after a visit.
    """
    timed = [entry for entry in entries if entry.is_right and entry.samples.ns]
    if not timed:
        return None
    leader = min(timed, key=lambda entry: stats.median(entry.samples.ns))
    widths = {entry.backend: _open_width(entry, leader) for entry in timed if entry is not leader}
    widths[leader.backend] = _time_width(leader)
    wanted = {backend: width for backend, width in widths.items() if width > 0}
    if not wanted:
        return None
    backends = tuple(entry.backend for entry in timed if entry.backend in wanted or entry is leader)
    return Need(backends=backends, half_width=max(wanted.values()))


def visit_s(entries: Sequence[Entry], need: Need) -> float:
    """Seconds that preparing the wanted backends again and a few blocks of each will take at least."""
    again = [entry for entry in entries if entry.backend in need.backends]
    prepare_ns = sum(entry.prepared.prepare_ns for entry in again if entry.prepared is not None)
    block_ns = sum(max(entry.samples.ns) * entry.calls for entry in again if entry.samples.ns)
    return (prepare_ns + 7 * block_ns) * 1e-9


def _open_width(entry: Entry, leader: Entry) -> float:
    """Half-width of a rival's ratio where it is not told apart from the leader, of its time where it is; 0 if known."""
    ratio = stats.paired_ratio(entry.samples.by_round, leader.samples.by_round)
    if ratio is None or ratio.low is None:
        least = min(entry.samples.ns) / max(leader.samples.ns)
        return 0.0 if least > _HOPELESS else _NO_INTERVAL
    if ratio.low > 1:
        return _time_width(entry)
    width = ratio.half_width_fraction or 0.0
    return width if width > _OPEN_RATIO else 0.0


def _time_width(entry: Entry) -> float:
    width = stats.median_interval(entry.samples.ns).half_width_fraction
    if width is None:
        return _NO_INTERVAL
    return width if width > _TABLE_TIME else 0.0
