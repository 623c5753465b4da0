"""Compiled loops that keep a core's arithmetic or its loads and stores busy and do nothing else.

Vectors are written out in LLVM IR: left to itself the compiler stays at 256 bits even where 512 are faster.
"""

# mypy: disable-error-code=call-arg
# An intrinsic is called without its typing context, which Numba's annotations do not know.

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import llvmlite.binding
import numba
from llvmlite import ir
from numba.core import cgutils
from numba.extending import intrinsic

CHAINS = 12
"""Independent sums. Two multiply-adds start a cycle and take four or five, so ten are busy at once; AVX2 has 16
registers, of which the factor takes one."""
STEPS = 1000
"""Multiply-adds of each chain in one repeat."""
LINE_BYTES = 512
"""What the streaming kernels move at a time: their slices have a multiple of this."""

_WORD = ir.IntType(64)
_FLOAT_BITS = 32
_FLOAT = ir.FloatType()

Values = Sequence[Any]


def fma_kernels() -> dict[int, Callable[..., float]]:
    """Kernels of fused multiply-adds that this processor runs in vectors, by bits; none where they are not known to.

    Each takes `repeats` and `factor`, a scalar of the dtype, and adds factor**2 to `CHAINS` vectors `repeats * STEPS`
    times; it returns the sum of all their elements, which began as the number of their chain.
    """
    features = llvmlite.binding.get_host_cpu_features()
    found: dict[int, Callable[..., float]] = {}
    # Elsewhere, and without the extension, LLVM calls a function for every multiply-add.
    if features.get("fma"):
        found[256] = fma_256
    if features.get("avx512f"):
        found[512] = fma_512
    return found


def stream_kernels() -> tuple[Callable[..., float], Callable[..., float]]:
    """The kernels (read, triad) in this processor's widest vectors.

    read(repeats, address, bytes) returns the sum of the float32 there, read `repeats` times.
    triad(repeats, to, left, right, bytes) writes left + 3 * right `repeats` times, as float32, and returns 0.
    Addresses are multiples of 64, bytes of `LINE_BYTES`.
    """
    if llvmlite.binding.get_host_cpu_features().get("avx512f"):
        return read_512, triad_512
    return read_256, triad_256


@intrinsic(prefer_literal=True)
def _fma(typing_context, steps, factor, bits):  # type: ignore[no-untyped-def]  # noqa: ARG001  # Numba's protocol
    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]
        scalar = context.get_value_type(signature.return_type)
        vector = ir.VectorType(scalar, bits.literal_value // signature.return_type.bitwidth)
        name = f"llvm.fma.v{vector.count}f{signature.return_type.bitwidth}"
        fma = cgutils.get_or_insert_function(builder.module, ir.FunctionType(vector, [vector] * 3), name)
        splat = _splat(builder, args[1], vector)

        def add(_: Any, sums: Values) -> Values:
            return [builder.call(fma, [splat, splat, total]) for total in sums]

        # Chains that began alike would be one and the same to the compiler.
        first = [ir.Constant(vector, [float(chain)] * vector.count) for chain in range(CHAINS)]
        return _sum(builder, _loop(builder, args[0], first, add))

    return factor(numba.int64, factor, bits), generate


@intrinsic(prefer_literal=True)
def _read(typing_context, address, size, bits):  # type: ignore[no-untyped-def]  # noqa: ARG001  # Numba's protocol
    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]  # noqa: ARG001
        vector = ir.VectorType(_FLOAT, bits.literal_value // _FLOAT_BITS)

        def add(line: Any, sums: Values) -> Values:
            loaded = [_load(builder, args[0], line, place, vector) for place in _places(vector)]
            kept = list(sums)
            for place, value in enumerate(loaded):
                kept[place] = builder.fadd(kept[place], value)
            return kept

        first = [ir.Constant(vector, [0.0] * vector.count)] * len(_places(vector))
        return _sum(builder, _loop(builder, _lines(builder, args[1]), first, add))

    return numba.float32(numba.int64, numba.int64, bits), generate


@intrinsic(prefer_literal=True)
def _triad(typing_context, to, left, right, size, bits):  # type: ignore[no-untyped-def]  # noqa: ARG001
    def generate(context, builder, signature, args):  # type: ignore[no-untyped-def]  # noqa: ARG001
        vector = ir.VectorType(_FLOAT, bits.literal_value // _FLOAT_BITS)
        three = ir.Constant(vector, [3.0] * vector.count)

        def move(line: Any, _: Values) -> Values:
            for place in _places(vector):
                scaled = builder.fmul(three, _load(builder, args[2], line, place, vector))
                total = builder.fadd(_load(builder, args[1], line, place, vector), scaled)
                builder.store(total, _pointer(builder, args[0], line, place, vector), align=vector_bytes(vector))
            return ()

        _loop(builder, _lines(builder, args[3]), (), move)
        return ir.Constant(_FLOAT, 0.0)

    return numba.float32(*[numba.int64] * 4, bits), generate


@numba.njit(cache=True, nogil=True)
def fma_256(repeats, factor):  # type: ignore[no-untyped-def]  # compiled; see fma_kernels
    """Multiply-adds in vectors of 256 bits."""
    return _fma(repeats * STEPS, factor, 256)


@numba.njit(cache=True, nogil=True)
def fma_512(repeats, factor):  # type: ignore[no-untyped-def]  # compiled; see fma_kernels
    """Multiply-adds in vectors of 512 bits."""
    return _fma(repeats * STEPS, factor, 512)


@numba.njit(cache=True, nogil=True)
def read_256(repeats, address, size):  # type: ignore[no-untyped-def]  # compiled; see stream_kernels
    """Reading in vectors of 256 bits."""
    total = numba.float32(0)
    for _ in range(repeats):
        total += _read(address, size, 256)
    return total


@numba.njit(cache=True, nogil=True)
def read_512(repeats, address, size):  # type: ignore[no-untyped-def]  # compiled; see stream_kernels
    """Reading in vectors of 512 bits."""
    total = numba.float32(0)
    for _ in range(repeats):
        total += _read(address, size, 512)
    return total


@numba.njit(cache=True, nogil=True)
def triad_256(repeats, to, left, right, size):  # type: ignore[no-untyped-def]  # compiled; see stream_kernels
    """The triad in vectors of 256 bits."""
    total = numba.float32(0)
    for _ in range(repeats):
        total += _triad(to, left, right, size, 256)
    return total


@numba.njit(cache=True, nogil=True)
def triad_512(repeats, to, left, right, size):  # type: ignore[no-untyped-def]  # compiled; see stream_kernels
    """The triad in vectors of 512 bits."""
    total = numba.float32(0)
    for _ in range(repeats):
        total += _triad(to, left, right, size, 512)
    return total


def vector_bytes(vector: Any) -> int:
    """Size of a vector of float32."""
    return int(vector.count) * _FLOAT_BITS // 8


def _loop(builder: Any, turns: Any, first: Values, body: Callable[[Any, Values], Values]) -> Values:
    """The values after `turns` turns, at least one, of values = body(turn, values); they stay in registers."""
    before = builder.block
    turn = builder.append_basic_block("turn")
    after = builder.append_basic_block("after")
    builder.branch(turn)
    builder.position_at_end(turn)
    index = builder.phi(_WORD)
    carried = [builder.phi(value.type) for value in first]
    values = body(index, carried)
    following = builder.add(index, ir.Constant(_WORD, 1))
    for phi, start, end in zip([index, *carried], [ir.Constant(_WORD, 0), *first], [following, *values], strict=True):
        phi.add_incoming(start, before)
        phi.add_incoming(end, builder.block)
    builder.cbranch(builder.icmp_signed("<", following, turns), turn, after)
    builder.position_at_end(after)
    return values


def _sum(builder: Any, vectors: Values) -> Any:
    """The sum of all elements of all vectors."""
    total = vectors[0]
    for vector in vectors[1:]:
        total = builder.fadd(total, vector)
    scalar = builder.extract_element(total, ir.Constant(ir.IntType(32), 0))
    for lane in range(1, total.type.count):
        scalar = builder.fadd(scalar, builder.extract_element(total, ir.Constant(ir.IntType(32), lane)))
    return scalar


def _splat(builder: Any, scalar: Any, vector: Any) -> Any:
    value = ir.Constant(vector, ir.Undefined)
    for lane in range(vector.count):
        value = builder.insert_element(value, scalar, ir.Constant(ir.IntType(32), lane))
    return value


def _lines(builder: Any, size: Any) -> Any:
    return builder.sdiv(size, ir.Constant(_WORD, LINE_BYTES))


def _places(vector: Any) -> range:
    """Vectors in a line of `LINE_BYTES`."""
    return range(LINE_BYTES // vector_bytes(vector))


def _pointer(builder: Any, address: Any, line: Any, place: int, vector: Any) -> Any:
    offset = builder.mul(line, ir.Constant(_WORD, LINE_BYTES))
    offset = builder.add(offset, ir.Constant(_WORD, place * vector_bytes(vector)))
    return builder.inttoptr(builder.add(address, offset), vector.as_pointer())


def _load(builder: Any, address: Any, line: Any, place: int, vector: Any) -> Any:
    return builder.load(_pointer(builder, address, line, place, vector), align=vector_bytes(vector))
