"""Examines one backend on one problem by named probes: kinds of data, and ways of calling.

Data probes ask whether results are right (see `check`). Calling probes use integers, whose sums are the same in any
order, so that whatever differs is a fault: inputs must stay as they are, views must be read as what they show, answers
must repeat, and outputs must last.
"""

from __future__ import annotations

import functools
import math
import time
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from backends import HOST, Algorithm, Array, ConvBackend, ConvCall, ConvProblem
from backends.dtypes import numpy_dtype
from harness import check, inputs, reference
from harness.inputs import ConvArrays
from harness.probes import CALLING_PROBES, PROMISES, QUICK_PROBES
from harness.records import CheckOutcome, ProbeOutcome, Status
from harness.reference import Reference

# Problems whose arrays hold more numbers than this are examined by the quick probes only: making the data of each
# further probe takes longer than all else.
_LARGE = 1 << 27
# A fault that shows once in fifty calls is seen with 99.8 % probability in 300; calls that take long get what fits.
_REPEAT_CALLS = 300
_REPEAT_NS = 100_000_000
# The heap has gaps of many sizes below this, and few above.
_SMALL_BYTES, _GAPS = 1 << 16, 32
# Long enough for another thread that still writes to an output after the call has returned.
_LATE_WRITER_S = 0.002


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One kind of data and what is true of it."""

    arrays: ConvArrays
    reference: Reference


@dataclass
class Samples:
    """The data of a problem by probe, made when asked for and kept for as long as they are of use.

    Args:
        problem: Whose data.
        seed: Of the data and of sampled positions.
        load: Where references are stored already; else they are computed.
    """

    problem: ConvProblem
    seed: int
    load: Callable[[str], Reference] | None = None
    _made: dict[str, Sample] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Sample:
        """The data of a probe: a name of `inputs.DATA_SETS` or a picture."""
        if name not in self._made:
            arrays = inputs.data_set(self.problem, name, self.seed)
            truth = self.load(name) if self.load else reference.compute(self.problem, arrays, self.seed)
            self._made[name] = Sample(arrays=arrays, reference=truth)
        return self._made[name]

    def forget(self, name: str) -> None:
        """Free the data of a probe."""
        self._made.pop(name, None)


def probes_for(problem: ConvProblem, asked: Sequence[str]) -> tuple[tuple[str, ...], str | None]:
    """Those of the probes asked for that suit the problem's size, and why others are left out."""
    numbers = math.prod(problem.x_shape) + math.prod(problem.weight_shape) + math.prod(problem.y_shape)
    left_out = [name for name in asked if name in PROMISES and name not in QUICK_PROBES]
    if numbers <= _LARGE or not left_out:
        return tuple(asked), None
    kept = tuple(name for name in asked if name not in left_out)
    return kept, f"{', '.join(left_out)} left out: the arrays hold {numbers:,} numbers, more than {_LARGE:,}"


def data_of(probes: Sequence[str]) -> tuple[str, ...]:
    """The data that these probes look at: calling probes use the integers of the exact one."""
    data = [name for name in probes if name not in CALLING_PROBES]
    return tuple(data if len(data) == len(probes) or "exact" in data else ["exact", *data])


def examine(
    backend: ConvBackend,
    problem: ConvProblem,
    probes: Sequence[str],
    samples: Samples,
    known: Mapping[str, object] | None = None,
) -> CheckOutcome:
    """The verdict of these probes, made in order; where an output has the wrong form, the rest would say no more.

    Args:
        backend: Which computes the problem (its `why_unsupported` is None).
        problem: What is computed.
        probes: Names of `PROMISES` or of pictures.
        samples: The data.
        known: Outputs that have been computed before, by data probe.
    """
    outcomes: list[ProbeOutcome] = []
    mistrust: str | None = None
    for name in probes:
        if name in CALLING_PROBES:
            outcomes.append(_calling_outcome(name, backend, problem, samples["exact"]))
            continue
        sample = samples[name]
        if name == "exact" and (doubt := check.zero_trust(sample.reference)) is not None:
            mistrust = doubt
            continue
        if known and name in known:
            y = known[name]
        else:
            # NumPy warns of NaN where a transform meets one, which is what is looked for here.
            with np.errstate(invalid="ignore", over="ignore"):
                y = compute(backend, problem, sample.arrays)
        outcome = check.judge(
            name, y, sample.arrays, sample.reference, problem, backend.algorithm, transforms_of(backend, problem)
        )
        outcomes.append(outcome)
        if name != "exact":
            samples.forget(name)
        if outcome.outputs_checked == 0:
            break
    return _verdict(tuple(outcomes), mistrust)


def compute(backend: ConvBackend, problem: ConvProblem, arrays: ConvArrays) -> Any:
    """The backend's output on the host, computed where memory holds NaN, so that what is left unwritten shows."""
    call = backend.prepare(problem, arrays.weight, arrays.bias)
    x = backend.device.put(arrays.x)
    poison_memory(problem)
    return host_copy(backend, call(x))


def transforms_of(backend: ConvBackend, problem: ConvProblem) -> Sequence[Any] | None:
    """The transforms that a Winograd backend says it uses, or None.

    Raises:
        TypeError: It has a method `transforms` that does not name one for each axis.
    """
    if backend.algorithm is not Algorithm.WINOGRAD or not hasattr(backend, "transforms"):
        return None
    named = backend.transforms(problem)
    if not isinstance(named, Sequence) or len(named) != problem.ndim:
        raise TypeError(
            f"transforms returned {named!r}; expected a transform, or None, for each of {problem.ndim} axes"
        )
    return named


def poison_memory(problem: ConvProblem) -> None:
    """Leave freed memory of the output's size full of NaN, where the next array of that size is likely to lie."""
    dtype = numpy_dtype(problem.dtype)
    is_small = math.prod(problem.y_shape) * problem.itemsize < _SMALL_BYTES
    # All at once, so that they also fill the gaps that were freed earlier.
    filled = [np.full(problem.y_shape, np.nan, dtype) for _ in range(_GAPS if is_small else 1)]
    del filled


def host_copy(backend: ConvBackend, native: Any) -> Any:
    """The output as an array of its own, as the next call may overwrite it; anything else is passed on to be judged."""
    backend.device.synchronize()
    y = backend.device.get(native)
    return y.copy() if isinstance(y, np.ndarray) else y


def checksum(array: Array) -> int:
    """Changes whenever a bit of the array does, as far as 32 bits can tell."""
    return zlib.crc32(np.ascontiguousarray(array).view(np.uint8).data)


def _verdict(outcomes: tuple[ProbeOutcome, ...], mistrust: str | None) -> CheckOutcome:
    failed = [outcome for outcome in outcomes if not outcome.passed]
    if failed:
        others = ", ".join(outcome.name for outcome in failed[1:])
        reason = f"{failed[0].name}: {failed[0].detail}" + (f" (also wrong: {others})" if others else "")
        return CheckOutcome(status=Status.WRONG, outcomes=outcomes, reason=reason)
    if mistrust is not None:
        return CheckOutcome(status=Status.MISTRUSTED, outcomes=outcomes, reason=mistrust)
    return CheckOutcome(status=Status.OK, outcomes=outcomes)


def _calling_outcome(name: str, backend: ConvBackend, problem: ConvProblem, sample: Sample) -> ProbeOutcome:
    finding = _CALLING[name](_Subject(backend=backend, problem=problem, sample=sample))
    total = math.prod(problem.y_shape)
    return ProbeOutcome(
        name=name,
        passed=finding.defect is None,
        error=None,
        error_bound=None,
        effective_bits=None,
        outputs_checked=sample.reference.y.size,
        outputs_total=total,
        detail=finding.defect,
        note=finding.note,
    )


@dataclass(frozen=True, kw_only=True)
class _Finding:
    defect: str | None = None
    note: str | None = None


@dataclass(frozen=True, kw_only=True)
class _Subject:
    """What a calling probe works on: a backend, a problem, and integers with their exact results."""

    backend: ConvBackend
    problem: ConvProblem
    sample: Sample

    def prepare(self, arrays: ConvArrays | None = None) -> ConvCall:
        given = arrays or self.sample.arrays
        return self.backend.prepare(self.problem, given.weight, given.bias)

    def answer(self, call: ConvCall, x: Any) -> Any:
        """What the call returns for a host array, as an array of its own."""
        return host_copy(self.backend, call(self.backend.device.put(x)))

    def is_same(self, y: object, expected: Array) -> bool:
        """Whether an answer on integers is the expected one; what transforms return is none before it is rounded."""
        if not isinstance(y, np.ndarray):
            return False
        mixes = self.backend.algorithm in check.MIXES_POSITIONS
        return np.array_equal(np.rint(y), np.rint(expected)) if mixes else np.array_equal(y, expected)

    def defect(self, y: object) -> str | None:
        """What is wrong with the answer to the sample, or None."""
        given, problem = self.sample, self.problem
        return check.judge("exact", y, given.arrays, given.reference, problem, self.backend.algorithm).detail


def _inputs(subject: _Subject) -> _Finding:
    """Compare checksums of all three arrays around preparing and two calls."""
    arrays = subject.sample.arrays
    given = {"x": arrays.x, "weight": arrays.weight, "bias": arrays.bias}
    before = {name: checksum(array) for name, array in given.items() if array is not None}
    call = subject.prepare()
    native = subject.backend.device.put(arrays.x)
    for _ in range(2):
        call(native)
    subject.backend.device.synchronize()
    now = given | {"x": subject.backend.device.get(native)}
    changed = [name for name, value in before.items() if (array := now[name]) is None or checksum(array) != value]
    return _Finding(defect=f"{' and '.join(changed)} modified by preparing or calling" if changed else None)


def _layouts(subject: _Subject) -> _Finding:
    """Give the same numbers in other places of memory; what lies between and around them is NaN.

    One convolution prepared for all of them must not take the layout of the first for that of the others. To refuse
    loudly is no wrong result, but users will want to know.
    """
    if subject.backend.device is not HOST:
        return _Finding()
    arrays, refusals = subject.sample.arrays, []
    call = subject.prepare()
    attempts: list[tuple[str, Callable[[], Any]]] = [
        (f"{kind} x", functools.partial(subject.answer, call, view)) for kind, view in _views(arrays.x)
    ]
    for kind, view in _views(arrays.weight):
        bias = None if arrays.bias is None else np.repeat(arrays.bias, 2)[::2]
        given = ConvArrays(x=arrays.x, weight=view, bias=bias)
        attempts.append((f"{kind} weight", functools.partial(_prepared_answer, subject, given)))
    for kind, attempt in attempts:
        try:
            y = attempt()
        except MemoryError:
            raise
        except Exception as error:  # whatever foreign code raises is a refusal
            refusals.append(f"{kind}: {type(error).__name__}: {str(error)[:200]}")
            continue
        if (defect := subject.defect(y)) is not None:
            return _Finding(defect=f"on {kind}: {defect}")
    return _Finding(note=f"refuses {refusals[0]}" if refusals else None)


def _prepared_answer(subject: _Subject, given: ConvArrays) -> Any:
    return subject.answer(subject.prepare(given), given.x)


def _views(x: Array) -> Iterator[tuple[str, Array]]:
    """Arrays equal to x that lie differently in memory, each with the word for it."""
    inner = tuple(slice(1, 1 + size) for size in x.shape)
    framed = np.full([size + 2 for size in x.shape], np.nan, x.dtype)
    framed[inner] = x
    yield "a slice as", framed[inner]
    spaced = np.full((*x.shape[:-1], 2 * x.shape[-1]), np.nan, x.dtype)
    spaced[..., ::2] = x
    yield "a strided", spaced[..., ::2]
    backward: tuple[Any, ...] = (..., *(slice(None, None, -1),) * (x.ndim - 2))
    yield "a reversed", x[backward].copy()[backward]
    yield "a channels-last", np.moveaxis(np.moveaxis(x, 1, -1).copy(), -1, 1)
    # NumPy's own arrays begin at multiples of 16 bytes.
    unaligned = np.full(x.size + 1, np.nan, x.dtype)[1:].reshape(x.shape)
    unaligned[...] = x
    yield "an unaligned", unaligned
    fixed = x.copy()
    fixed.flags.writeable = False
    yield "a read-only", fixed


def _repeat(subject: _Subject) -> _Finding:
    """Call again and again: every answer must be the first one."""
    call = subject.prepare()
    x = subject.backend.device.put(subject.sample.arrays.x)
    first = host_copy(subject.backend, call(x))
    deadline = time.perf_counter_ns() + _REPEAT_NS
    for repetition in range(2, _REPEAT_CALLS + 1):
        if not np.array_equal(host_copy(subject.backend, call(x)), first):
            return _Finding(defect=f"call {repetition} on the same input returned another answer than the first")
        if time.perf_counter_ns() > deadline:
            break
    return _Finding()


def _outputs(subject: _Subject) -> _Finding:
    """Keep an output while its input is refilled and another convolution of the same shape is prepared and called."""
    backend, device, arrays = subject.backend, subject.backend.device, subject.sample.arrays
    call = subject.prepare()
    x = arrays.x.copy()
    kept = call(device.put(x))
    before = host_copy(backend, kept)
    if (defect := subject.defect(before)) is not None:
        return _Finding(defect=defect)
    negated = ConvArrays(x=arrays.x, weight=-arrays.weight, bias=None if arrays.bias is None else -arrays.bias)
    if device is HOST:
        np.negative(x, out=x)
    other = subject.prepare(negated)
    other_x = arrays.x.copy()
    other_answer = subject.answer(other, other_x)
    time.sleep(_LATE_WRITER_S)
    if not np.array_equal(host_copy(backend, kept), before):
        return _Finding(defect="an output changed before the next call of its own convolution")
    if not subject.is_same(other_answer, -before):
        return _Finding(defect="a second convolution with other weights does not give its own answer")
    # Both again, on each other's contents: who remembers answers by shape, address or turn gives one of the old ones.
    np.negative(other_x, out=other_x)
    bias = 0 if arrays.bias is None else arrays.bias.reshape(-1, *(1,) * subject.problem.ndim)
    for own, own_x, expected in ((call, x, 2 * bias - before), (other, other_x, before - 2 * bias)):
        if not subject.is_same(subject.answer(own, own_x), expected):
            return _Finding(defect="a call on a refilled input does not answer what is in it now")
    return _Finding(defect=_leftover(subject, call, before))


def _leftover(subject: _Subject, call: ConvCall, right: Array) -> str | None:
    """What an earlier call, earlier weights or a convolution of another shape leaves behind in a workspace, or None."""
    problem, arrays = subject.problem, subject.sample.arrays
    refilled = arrays.weight.copy()
    subject.answer(subject.prepare(ConvArrays(x=arrays.x, weight=refilled, bias=arrays.bias)), arrays.x)
    np.negative(refilled, out=refilled)
    again = subject.prepare(ConvArrays(x=arrays.x, weight=refilled, bias=arrays.bias))
    bias = 0 if arrays.bias is None else arrays.bias.reshape(-1, *(1,) * problem.ndim)
    if not subject.is_same(subject.answer(again, arrays.x), 2 * bias - right):
        return "preparing again with refilled weights does not give their own answer"
    with np.errstate(invalid="ignore"):
        subject.answer(call, np.full_like(arrays.x, np.nan))
    if not subject.is_same(subject.answer(call, arrays.x), right):
        return "after an input of NaN, a call on numbers does not give its own answer"
    if any(map(any, problem.padding)):
        padded = tuple(begin + size + end for size, (begin, end) in zip(problem.spatial, problem.padding, strict=True))
        unpadded = problem.replace(spatial=padded, padding=0)
        if subject.backend.why_unsupported(unpadded) is None:
            other = subject.backend.prepare(unpadded, arrays.weight, arrays.bias)
            subject.answer(other, np.ones(unpadded.x_shape, arrays.x.dtype))
            if not subject.is_same(subject.answer(call, arrays.x), right):
                return "another convolution, whose input is as large as this one's padded input, spoils its answers"
    return None


_CALLING = {"inputs": _inputs, "layouts": _layouts, "repeat": _repeat, "outputs": _outputs}
