"""`backends.conv`: the same answers, the same refusals and an array of the caller's own, whatever the backend."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from hypothesis import assume, given, settings
from strategies import EVERY_BACKEND, conv_problems, problem_arrays

import backends
from backends import ConvError, ConvProblem, DtypeMismatch, InvalidGeometry, ShapeMismatch, UnsupportedProblem

every_backend = pytest.mark.parametrize("spec", EVERY_BACKEND)


def geometry(problem: ConvProblem) -> dict[str, object]:
    return {
        "stride": problem.stride,
        "padding": problem.padding,
        "dilation": problem.dilation,
        "groups": problem.groups,
    }


def posed(**changes: object) -> dict[str, object]:
    """Arguments of a sound call, (1, 4, 8, 9) by (6, 4, 3, 3), with some replaced."""
    sound = {"x": np.ones((1, 4, 8, 9), np.float32), "weight": np.ones((6, 4, 3, 3), np.float32)}
    return sound | changes


FOREIGN = np.dtype(np.float32).newbyteorder()
FOREIGN_BFLOAT16 = np.dtype(ml_dtypes.bfloat16).newbyteorder()

# Each row: the arguments, the error, and fragments of the message: what was given, then what to do.
WRONG_CALLS = {
    "x is a list": (posed(x=[[[1.0, 2.0]]]), TypeError, "x is a list", "np.asarray(x)"),
    "weight is a number": (posed(weight=3.0), TypeError, "weight is a float", "np.asarray(weight)"),
    "weight is missing": (posed(weight=None), TypeError, "weight is a NoneType", "give a NumPy array"),
    "bias is a list": (posed(bias=[0.0] * 6), TypeError, "bias is a list", "np.asarray(bias)"),
    "integers": (posed(x=np.ones((1, 4, 8, 9), np.int64)), DtypeMismatch, "x has dtype int64", "x.astype('float32')"),
    "booleans": (posed(x=np.ones((1, 4, 8, 9), bool)), DtypeMismatch, "x has dtype bool", "astype"),
    "complex": (posed(x=np.ones((1, 4, 8, 9), complex)), DtypeMismatch, "x has dtype complex128", "astype"),
    "text": (posed(x=np.full((1, 4, 8, 9), "1")), DtypeMismatch, "x has dtype str", "astype"),
    "objects": (posed(weight=np.ones((6, 4, 3, 3), object)), DtypeMismatch, "weight has dtype object", "astype"),
    "foreign bytes": (
        posed(x=np.ones((1, 4, 8, 9), FOREIGN)),
        DtypeMismatch,
        "float32 of the other",
        "expected native",
    ),
    "foreign bytes of bfloat16": (
        posed(x=np.ones((1, 4, 8, 9), FOREIGN_BFLOAT16)),
        DtypeMismatch,
        "x has dtype bfloat16 of the other byte order",
        "expected native",
    ),
    "eight bits": (posed(x=np.ones((1, 4, 8, 9), ml_dtypes.float8_e5m2)), DtypeMismatch, "float8_e5m2", "astype"),
    "mixed dtypes": (posed(weight=np.ones((6, 4, 3, 3))), DtypeMismatch, "weight has dtype float64", "convert one"),
    "mixed half precisions": (
        {"x": np.ones((1, 4, 8, 9), np.float16), "weight": np.ones((6, 4, 3, 3), ml_dtypes.bfloat16)},
        DtypeMismatch,
        "weight has dtype bfloat16 but x has float16",
        "convert one",
    ),
    "a bias of another dtype": (posed(bias=np.ones(6)), DtypeMismatch, "bias has dtype float64", "convert one"),
    "x is a scalar": (posed(x=np.ones((), np.float32)), ShapeMismatch, "shape ()", "1 to 3 spatial axes"),
    "x has no spatial axes": (posed(x=np.ones((1, 4), np.float32)), ShapeMismatch, "(1, 4)", "1 to 3 spatial axes"),
    "x has four": (posed(x=np.ones((1,) * 6, np.float32)), ShapeMismatch, "(1, 1, 1, 1, 1, 1)", "1 to 3 spatial axes"),
    "ranks that disagree": (
        posed(weight=np.ones((6, 4, 3), np.float32)),
        ShapeMismatch,
        "(6, 4, 3)",
        "expected 4 axes",
    ),
    "channels that disagree": (posed(weight=np.ones((6, 2, 3, 3), np.float32)), ShapeMismatch, "6, 2", "(6, 4, 3, 3)"),
    "weights without groups": (posed(groups=2), ShapeMismatch, "groups=2", "C_in // groups"),
    "a bias too short": (posed(bias=np.ones(4, np.float32)), ShapeMismatch, "(4,)", "expected (C_out,) = (6,)"),
    "an empty batch": (posed(x=np.ones((0, 4, 8, 9), np.float32)), InvalidGeometry, "N=0", "use 1 or more"),
    "an empty kernel": (posed(weight=np.ones((6, 4, 0, 3), np.float32)), InvalidGeometry, "(0, 3)", "use 1 or more"),
    "no output channels": (posed(weight=np.ones((0, 4, 3, 3), np.float32)), InvalidGeometry, "C_out=0", "1 or more"),
    "groups that do not divide": (posed(groups=3), InvalidGeometry, "groups=3 does not divide C_in=4", "divisor of 4"),
    "no groups": (posed(groups=0), InvalidGeometry, "groups=0", "use 1 or more"),
    "fractional groups": (posed(groups=2.0), TypeError, "groups=2.0", "give an integer"),
    "no stride": (posed(stride=0), InvalidGeometry, "stride=(0, 0)", "use 1 or more"),
    "three strides": (
        posed(stride=(1, 1, 1)),
        InvalidGeometry,
        "3 entries for 2 spatial axes",
        "give one integer, or 2",
    ),
    "a text stride": (posed(stride="2"), TypeError, "stride='2'", "give an integer"),
    "no dilation": (posed(dilation=(1, 0)), InvalidGeometry, "dilation=(1, 0)", "use 1 or more"),
    "negative padding": (posed(padding=(0, -2)), InvalidGeometry, "padding=(0, -2)", "use 0 or more"),
    "an unknown padding": (posed(padding="SAME"), InvalidGeometry, "padding='SAME'", "use 'valid', 'same'"),
    "same with a stride": (posed(padding="same", stride=2), InvalidGeometry, "stride=(2, 2)", "give integers"),
    "a kernel too large": (posed(x=np.ones((1, 4, 2, 9), np.float32)), InvalidGeometry, "2+0+0", "or more padding"),
}


@pytest.mark.parametrize(("arguments", "error", "given_part", "advice"), WRONG_CALLS.values(), ids=WRONG_CALLS)
def test_wrong_call_is_refused_alike_by_every_backend(
    arguments: dict[str, object], error: type[Exception], given_part: str, advice: str
) -> None:
    refusals = set()
    for spec in EVERY_BACKEND:
        with pytest.raises((ValueError, TypeError)) as caught:
            backends.conv(**arguments, backend=spec)
        refusals.add((type(caught.value), str(caught.value)))

    assert len(refusals) == 1, refusals
    (refused_with, message) = refusals.pop()
    assert refused_with is error
    assert given_part in message
    assert advice in message


def test_unknown_backend_is_refused() -> None:
    with pytest.raises(ConvError, match="unknown backend 'nunba'"):
        backends.conv(**posed(backend="nunba"))
    with pytest.raises(TypeError, match="give a backend's name"):
        backends.conv(**posed(backend=None))


def test_wrong_arrays_are_refused_before_the_backend_is_looked_up() -> None:
    with pytest.raises(InvalidGeometry):
        backends.conv(**posed(stride=0, backend="nunba"))


@pytest.mark.parametrize(("dtype", "short"), [(np.float16, "f16"), (ml_dtypes.bfloat16, "bf16")])
def test_declined_problem_is_refused_with_the_backends_reason(dtype: type, short: str) -> None:
    half = {name: array.astype(dtype) for name, array in posed().items()}
    reason = f"'im2col' declines .*--dt={short} .*: {dtype.__name__} is not implemented"
    with pytest.raises(UnsupportedProblem, match=reason):
        backends.conv(**half, backend="im2col")


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_half_precision_goes_in_and_comes_out_as_the_callers_own(dtype: type) -> None:
    pytest.importorskip("torch")
    problem = ConvProblem(N=2, C_in=3, C_out=4, spatial=(6, 7), kernel=3, padding=1, dtype=np.dtype(dtype).name)
    if backends.get("torch").why_unsupported(problem):
        pytest.skip(f"this build of PyTorch computes no {problem.dtype}")
    rng = np.random.default_rng(0)
    x, weight = (rng.integers(-1, 2, shape).astype(dtype) for shape in (problem.x_shape, problem.weight_shape))
    exact = backends.conv(x.astype(np.float64), weight.astype(np.float64), padding=1, backend="naive")

    for layout, strange in strange_layouts(x).items():
        y = backends.conv(strange, weight, padding=1, backend="torch")
        assert y.dtype == x.dtype
        assert y.flags.owndata
        assert y.flags.writeable
        np.testing.assert_array_equal(y, exact, err_msg=layout)


@every_backend
@given(problem=conv_problems())
@settings(max_examples=15)
def test_result_is_an_array_of_the_callers_own(spec: str, problem: ConvProblem) -> None:
    assume(backends.get(spec).why_unsupported(problem) is None)
    x, weight, bias = problem_arrays(problem)
    y = backends.conv(x, weight, bias, **geometry(problem), backend=spec)
    assert y.shape == problem.y_shape
    assert y.dtype == x.dtype
    assert y.flags.owndata
    assert y.flags.writeable
    assert y.flags.c_contiguous
    assert not any(np.shares_memory(y, array) for array in (x, weight, bias) if array is not None)


def strange_layouts(array: np.ndarray) -> dict[str, np.ndarray]:
    """Equal arrays that lie differently in memory."""
    read_only = array.copy()
    read_only.flags.writeable = False
    backwards = np.ascontiguousarray(array[(..., *(slice(None, None, -1),) * (array.ndim - 1))])
    return {
        "every second": np.repeat(array, 2, axis=-1)[..., ::2],
        "backwards": backwards[(..., *(slice(None, None, -1),) * (array.ndim - 1))],
        "Fortran order": np.asfortranarray(array),
        "channels last": np.moveaxis(np.ascontiguousarray(np.moveaxis(array, 1, -1)), -1, 1),
        "read-only": read_only,
    }


@every_backend
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "text", ["--dir=FWD_B g2mb2ic4ih7iw8oc6kh3kw3ph1pw1", "ic3ih5oc4kh1"], ids=["padded groups", "pointwise"]
)
def test_layout_in_memory_does_not_matter(spec: str, text: str, dtype: str) -> None:
    problem = ConvProblem.parse(text).replace(dtype=dtype)
    x, weight, bias = problem_arrays(problem)
    plain = np.rint(backends.conv(x, weight, bias, **geometry(problem), backend=spec))
    strange_bias = None if bias is None else np.repeat(bias, 2)[::2]
    for layout in strange_layouts(x):
        strange_x, strange_weight = strange_layouts(x)[layout], strange_layouts(weight)[layout]
        for arrays in ((strange_x, weight, bias), (x, strange_weight, strange_bias)):
            y = backends.conv(*arrays, **geometry(problem), backend=spec)
            np.testing.assert_array_equal(np.rint(y), plain, err_msg=layout)


@pytest.mark.parametrize(
    ("form", "pairs"),
    [
        (0, ((0, 0), (0, 0))),
        (2, ((2, 2), (2, 2))),
        ((1, 2), ((1, 1), (2, 2))),
        ([1, 2], ((1, 1), (2, 2))),
        (np.int64(2), ((2, 2), (2, 2))),
        ("valid", ((0, 0), (0, 0))),
        ("same", ((1, 1), (1, 2))),
        ([[0, 3], [1, 0]], ((0, 3), (1, 0))),
    ],
    ids=str,
)
@every_backend
def test_every_form_of_padding_equals_zeros_written_around_x(
    spec: str, form: object, pairs: tuple[tuple[int, int], ...]
) -> None:
    x, weight, _ = problem_arrays(ConvProblem(N=2, C_in=3, C_out=4, spatial=(6, 7), kernel=(3, 4)))
    explicit = np.pad(x, [(0, 0), (0, 0), *pairs])
    y = backends.conv(x, weight, padding=form, backend=spec)  # type: ignore[arg-type]  # every form there is
    np.testing.assert_array_equal(np.rint(y), np.rint(backends.conv(explicit, weight, backend=spec)))


@given(problem=conv_problems())
def test_torch_agrees_when_called_directly(problem: ConvProblem) -> None:
    """A peer, not an oracle: one more implementation that nobody here wrote."""
    torch = pytest.importorskip("torch")
    assume(all(begin == end for begin, end in problem.padding))
    x, weight, bias = problem_arrays(problem, fill="normal")
    peer = getattr(torch.nn.functional, f"conv{problem.ndim}d")(
        torch.from_numpy(x),
        torch.from_numpy(weight),
        None if bias is None else torch.from_numpy(bias),
        stride=problem.stride,
        padding=tuple(begin for begin, _ in problem.padding),
        dilation=problem.dilation,
        groups=problem.groups,
    ).numpy()
    tolerance = 200 * np.finfo(problem.dtype).eps
    for name in backends.names():
        y = backends.conv(x, weight, bias, **geometry(problem), backend=name)
        np.testing.assert_allclose(y, peer, rtol=tolerance, atol=tolerance * 10, err_msg=name)


@pytest.mark.parametrize("kernel", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("dilation", [1, 2, 3])
@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")  # PyTorch's, for its own extra copy
def test_same_padding_is_what_torch_means_by_it(kernel: int, dilation: int) -> None:
    torch = pytest.importorskip("torch")
    x, weight, _ = problem_arrays(ConvProblem(C_in=2, C_out=3, spatial=(17,), kernel=kernel, dilation=dilation))
    peer = torch.nn.functional.conv1d(
        torch.from_numpy(x), torch.from_numpy(weight), padding="same", dilation=dilation
    ).numpy()
    y = backends.conv(x, weight, padding="same", dilation=dilation, backend="naive")
    np.testing.assert_array_equal(y, peer)


def test_default_backend_is_numba() -> None:
    if "numba" not in backends.names():
        pytest.skip("numba does not load here")
    x, weight, _ = problem_arrays(ConvProblem(C_in=2, C_out=3, spatial=(9,), kernel=3))
    np.testing.assert_array_equal(backends.conv(x, weight), backends.conv(x, weight, backend="numba"))
