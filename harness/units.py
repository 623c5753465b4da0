"""Numbers as text for people: one unit a value, three significant digits, never a bare 0 for what was not measured."""

from __future__ import annotations

import math

MISSING = "–"

_TIME_STEPS = ((1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1.0, "ns"))
_BYTE_STEPS = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"), (1, "B"))


def digits(value: float, significant: int = 3) -> str:
    """A plain decimal with so many significant digits: 1234.5 is "1230", 0.01234 is "0.0123"."""
    if value == 0:
        return "0"
    text = f"{value:.{significant}g}"
    if "e" not in text:
        return text
    number = float(text)
    return f"{number:.0f}" if abs(number) >= 1 else text


def time_text(ns: float | None) -> str:
    """Nanoseconds in the unit that suits them: "1.23 ms"."""
    if ns is None:
        return MISSING
    scale, unit = time_unit(ns)
    return f"{digits(ns / scale)} {unit}"


def bytes_text(count: float | None) -> str:
    """Bytes in binary units: "16 MiB"."""
    if count is None:
        return MISSING
    scale, unit = next((step for step in _BYTE_STEPS if count >= step[0]), _BYTE_STEPS[-1])
    return f"{digits(count / scale)} {unit}"


def ratio_text(ratio: float | None) -> str:
    """A ratio: "2.41×"."""
    return MISSING if ratio is None else f"{digits(ratio)}×"


def percent_text(fraction: float | None) -> str:
    """A share in per cent: "43 %", "0.21 %"."""
    return MISSING if fraction is None else f"{digits(100 * fraction, 2 if fraction < 0.995 else 3)} %"


def duration_text(seconds: float) -> str:
    """Seconds as a person says them: "45s", "2m 05s", "1h 03m"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02d}s"
    return f"{whole // 3600}h {whole % 3600 // 60:02d}m"


def exact_duration_text(seconds: float) -> str:
    """Seconds as an option takes them, to the nanosecond: "30s", "0.5s"."""
    return f"{seconds:.9f}".rstrip("0").rstrip(".") + "s"


def exact_size_text(count: int) -> str:
    """Bytes as an option takes them, in the largest unit that divides them: "4GB", "512MiB", "1000001B"."""
    units = (("TB", 10**12), ("TiB", 1 << 40), ("GB", 10**9), ("GiB", 1 << 30), ("MB", 10**6), ("MiB", 1 << 20))
    name, size = next(((name, size) for name, size in units if count and count % size == 0), ("B", 1))
    return f"{count // size}{name}"


def gflop_per_s(flops: int, ns: float) -> float:
    """GFLOP/s from operations and nanoseconds (their units cancel)."""
    return flops / ns


def fixed(value: float, significant: int = 3) -> str:
    """A decimal that keeps its trailing zeros, so that a column lines up: 1.5 is "1.50", 1234.5 is "1230"."""
    if value == 0:
        return "0"
    rounded = float(f"{value:.{significant - 1}e}")
    decimals = significant - 1 - math.floor(math.log10(abs(rounded)))
    return f"{rounded:.{max(0, decimals)}f}"


def time_unit(ns: float) -> tuple[float, str]:
    """The unit that suits a time, as its length in ns and its name: (1e6, "ms")."""
    return next((step for step in _TIME_STEPS if ns >= step[0] * 0.9995), _TIME_STEPS[-1])
