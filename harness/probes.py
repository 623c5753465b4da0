"""The probes by which a backend is examined on a problem: their names and what each of them promises."""

from __future__ import annotations

PROMISES = {
    "exact": "on small integers, whose sums are exact in any order, results are equal to the last bit",
    "normal": "on normal data, errors stay within the algorithm's bound and are those of the type on the label",
    "uniform": "on positive data, where nothing cancels, a long sum keeps its accuracy",
    "wide range": "faint values keep their accuracy beside a bright one (a transform: its norm)",
    "one-hot": "a single 1 brings out the kernel, each weight in its place",
    "denormal": "numbers below the normal range are computed with, not taken for 0",
    "nan": "a NaN reaches the outputs that read it and, but for transforms, no others",
    "infinity": "an infinity reaches the outputs that read it with the right sign and, but for transforms, no others",
    "inputs": "x, weight and bias are as they were after preparing and calling",
    "repeat": "the same integers give the same answer each time",
    "layouts": "slices, reversed, transposed, unaligned and read-only x and weight give what their copies give",
    "outputs": "an output lasts until the next call, whatever else is prepared, called or refilled meanwhile",
}
CALLING_PROBES = ("inputs", "repeat", "layouts", "outputs")
EVERY_PROBE = tuple(PROMISES)
# Those that are kinds of data, each a name of `inputs.DATA_SETS`.
DATA_PROBES = tuple(name for name in EVERY_PROBE if name not in CALLING_PROBES)
# What a backend is examined by before it is timed: the two that see most.
QUICK_PROBES = ("exact", "normal")
