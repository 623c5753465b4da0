"""What is stored and passed around: frozen records of a run, its cells and their checks. No computing, no I/O.

Times are integer or float nanoseconds, sizes bytes. What was not measured is None, never 0.

Schema history: 1, first. 2 adds what a machine did during each block, a twin's samples, memory, lifecycle, ceilings and
what a run's parts must have in common; a file of version 1 reads as one that lacks them.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

SCHEMA_VERSION = 2

PROTOCOL = 2
"""How cells are measured; raised where a change makes samples of before and after incomparable."""


class Status(enum.Enum):
    """How a cell ended. Any but OK has a reason."""

    OK = "ok"
    """Right, and timed."""
    WRONG = "wrong"
    """Failed a correctness check; never timed as if it were right."""
    MISTRUSTED = "mistrusted"
    """The check itself could not tell: too many outputs were zero."""
    UNSUPPORTED = "unsupported"
    """The backend declined, with its reason."""
    CRASHED = "crashed"
    """An exception, a signal or a lost worker."""
    TIMEOUT = "timeout"
    """Over the limit per case."""
    OUT_OF_MEMORY = "out_of_memory"
    """The memory limit or the machine's memory ran out."""
    SKIPPED = "skipped"
    """Not started, with a prediction or a decision as the reason."""
    NOISY = "noisy"
    """Right and timed, but the interval is too wide to say much."""


class StopReason(enum.Enum):
    """Why sampling of a cell ended."""

    PRECISE = "precise"
    """The median's interval is as narrow as asked."""
    STABLE_NOISE = "stable_noise"
    """More samples no longer narrow the interval."""
    BUDGET = "budget"
    """The cell's share of the time is spent."""
    MAX_SAMPLES = "max_samples"
    """Enough samples for anyone."""
    DECIDED = "decided"
    """Clearly slower than the leader, and known as well as a table shows it."""


class CacheState(enum.Enum):
    """What the processor's caches hold when a timed call starts."""

    HOT = "hot"
    """The operands, as in a loop over the same call: an untimed call comes before each block of short ones."""
    COLD = "cold"
    """Nothing of the call: every cache is flushed before each one."""


@dataclass(frozen=True, kw_only=True)
class ProbeOutcome:
    """One probe of a backend on one problem: a kind of data, or a way of calling it."""

    name: str
    """A name of `harness.probes.PROMISES`, or of a picture."""
    passed: bool
    error: float | None
    """Largest error in units of the dtype's unit roundoff times the condition |x| * |w| (or norms, for FFT)."""
    error_bound: float | None
    """What `error` may be at most, in the same unit."""
    effective_bits: float | None
    """-log2(max |error| / (|x| * |w|)) on ordinary data; the dtype's own bits where there is no error at all."""
    outputs_checked: int
    outputs_total: int
    detail: str | None = None
    """What is wrong and where, for a person; None if passed."""
    note: str | None = None
    """What is right but worth knowing, such as how far a NaN spreads in a transform."""
    usual_error: float | None = None
    """What independent roundings rarely exceed, in the unit of `error`; more is noted, not wrong."""
    operand_bits: float | None = None
    """Significand bits to which operands would be rounded to leave errors as large as these; on normal data only."""


Number = float | str
"""A number that JSON can hold, or "nan", "inf" or "-inf"."""


@dataclass(frozen=True, kw_only=True)
class Excerpt:
    """The numbers of a small failing problem: flat, in C order; their shapes are the problem's."""

    x: tuple[Number, ...]
    weight: tuple[Number, ...]
    bias: tuple[Number, ...] | None
    expected: tuple[Number, ...]
    got: tuple[Number, ...]
    wrong: tuple[int, ...]
    """Which of `got` are wrong, ascending."""


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """A failure on the smallest problem that still shows it."""

    probe: str
    problem: str
    """Descriptor."""
    detail: str
    """What is wrong there, as the probe says it."""
    diagnosis: tuple[str, ...]
    """What the wrong outputs have in common and which mistake gives exactly them, most telling first."""
    diagnosed: str
    """Descriptor of the problem that the diagnosis is of: the one that failed, where it is small enough."""
    tries: int
    """Problems tried on the way."""
    is_minimal: bool
    """No simpler neighbour fails; False where time ran out first."""
    excerpt: Excerpt | None = None
    """Its numbers, where they are few."""


@dataclass(frozen=True, kw_only=True)
class CheckOutcome:
    """The verdict on one backend and problem."""

    status: Status
    outcomes: tuple[ProbeOutcome, ...]
    reason: str | None = None
    left_out: str | None = None
    """Which probes were not made, and why; None if all that were asked for were made."""
    explanation: Explanation | None = None
    """Of the first failure, where it was looked for."""

    def outcome(self, name: str) -> ProbeOutcome | None:
        """The outcome of one probe, if it was reached."""
        return next((outcome for outcome in self.outcomes if outcome.name == name), None)


@dataclass(frozen=True, kw_only=True)
class CaseKey:
    """What a cell is of: everything that makes two cells the same measurement."""

    problem: str
    """Descriptor without name."""
    backend: str
    """Spec as the user typed it."""
    data: str | None = None
    """Name of a real picture, or None for seeded random data."""


@dataclass(frozen=True, kw_only=True)
class Start:
    """What a fresh process pays before its steady speed: loading the backend, preparing, and the first call."""

    import_ns: int
    prepare_ns: int
    first_call_ns: int


@dataclass(frozen=True, kw_only=True)
class Bandwidth:
    """How fast a working set of some size is streamed, by all threads together."""

    working_set_bytes: int
    bytes_per_s: float


@dataclass(frozen=True, kw_only=True)
class Ceilings:
    """What the machine can do at most in one dtype, measured in the same session as the cells."""

    dtype: str
    threads: int
    when: str
    """"start" or "end" of the session."""
    fma_flop_per_s: float | None = None
    """Fused multiply-adds on registers, two operations each; None where no such kernel runs here."""
    gemm_flop_per_s: float | None = None
    """The best matrix product."""
    bandwidths: tuple[Bandwidth, ...] = ()
    """Ascending by working set: one for each level of the memory."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One backend on one problem: the line of cells.jsonl."""

    key: CaseKey
    status: Status
    reason: str | None
    label: str
    count: int
    suite: str
    group: str
    axis: str | None
    axis_value: float | None
    device: str | None = None
    algorithm: str | None = None
    dtype: str
    threads_asked: int
    threads_seen: float | None = None
    """CPU time over wall time of the timed blocks."""
    check: CheckOutcome | None = None
    prepare_ns: int | None = None
    first_call_ns: int | None = None
    calls_per_block: int | None = None
    samples_ns: tuple[float, ...] = ()
    """Nanoseconds per call, one entry a block, in the order measured; nothing dropped."""
    rounds: tuple[int, ...] = ()
    """The interleaved round of each sample: samples of two backends in the same round are a pair."""
    stop: StopReason | None = None
    cores: tuple[float, ...] = ()
    """CPU time over wall time of each block."""
    preemptions: tuple[int, ...] = ()
    """Involuntary context switches of the worker during each block: something else wanted its core."""
    stolen: tuple[float, ...] = ()
    """Share of the machine's time that the host gave to others during each block."""
    visits: tuple[int, ...] = ()
    """The first round of each visit: a case is prepared anew and sampled again where the budget allows."""
    twin_ns: tuple[float, ...] = ()
    """Samples of the same backend in another process, which differ from its own by nothing but the machine's noise."""
    twin_rounds: tuple[int, ...] = ()
    """The round of each of the twin's samples."""
    thread_pools: dict[str, int] = field(default_factory=dict)
    """Threads that each library in the worker is set to, by the library's name."""
    import_ns: int | None = None
    """Loading the backend's libraries in the run's own worker."""
    cold_start: Start | None = None
    """In a fresh process whose cache of compiled code is empty; of one case of each backend."""
    warm_start: Start | None = None
    """In a fresh process that finds the compiled code of an earlier one; of one case of each backend."""
    workspace_bytes: int | None = None
    """Peak memory of one call beyond inputs, outputs and what was there before; None if not measured."""
    retained_bytes: int | None = None
    """Memory that preparing and the first call keep: packed weights, plans, workspaces of the library."""
    predicted_bytes: int | None = None
    """What the backend said beforehand that preparing and a call need beyond inputs and outputs."""
    spent_ns: int | None = None
    """Wall time this cell took in all."""


@dataclass(frozen=True, kw_only=True)
class RunHeader:
    """run.json: what was asked, where, with what."""

    schema_version: int = SCHEMA_VERSION
    command: tuple[str, ...]
    started_utc: str
    seed: int
    budget_s: float | None
    """None for no limit."""
    case_timeout_s: float
    prepare_timeout_s: float | None = None
    """Limit of preparing a cell, compiling included; None in a run that had one limit for all steps."""
    memory_limit_bytes: int | None
    threads: int
    dtype: str | None
    is_timed: bool = True
    """False for a run that only checked."""
    probes: tuple[str, ...] = ()
    """Probes asked for by name; none where all were made."""
    suites: tuple[str, ...]
    """Suites asked for, by name or file."""
    problems: tuple[str, ...] = ()
    """Descriptors given one by one."""
    backends: tuple[str, ...]
    cells_planned: int
    machine: dict[str, str | int | float | None] = field(default_factory=dict)
    libraries: dict[str, str] = field(default_factory=dict)
    commit: str | None = None
    warnings: tuple[str, ...] = ()
    """What `doctor` found before the run that spoils measurements."""
    plan: tuple[CaseKey, ...] = ()
    """Every cell of the run, so that a resumed run can tell whether it is the same."""
    protocol: int = 1
    """`PROTOCOL` of the program that measured."""
    cache: CacheState = CacheState.HOT
    cores: tuple[int, ...] = ()
    """Cores that workers are bound to; none where they were left to the system."""
    variables: dict[str, str] = field(default_factory=dict)
    """Environment variables that steer libraries, as they were set for the run."""
    sources: dict[str, str] = field(default_factory=dict)
    """Digest of the code of each backend and of the harness, so that a changed one is not taken for the same."""
    ceilings: tuple[Ceilings, ...] = ()
    """At the start and at the end of each session of the run."""
    spent_s: dict[str, float] = field(default_factory=dict)
    """Wall time by what it went to; written when the run ends."""
