"""benchdnn's one-line problem grammar: text to plain fields and back.

`g1mb1ic64ih56oc64oh56kh3ph1n"resnet50:conv2_x.0*3"`, optionally after `--dt=f64` and `--dir=FWD_B`, or a whole line of
oneDNN verbose output. This module knows letters and numbers; which values make a convolution is decided in `problem`.

Grammar and its implicit rules: oneDNN, tests/benchdnn/doc/knobs_desc.md and driver_conv.md. What differs here: mb
defaults to 1, and `ed`/`eh`/`ew` name an end padding that benchdnn cannot express.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from backends.errors import DescriptorError
from backends.geometry import end_padding_read, output_size

AXES = ("d", "h", "w")
_ATTRIBUTES = "iokspde"  # input, output, kernel, stride, padding begin, dilation, padding end (ours)
_TOKEN = re.compile(rf"(mb|ic|oc|g|[{_ATTRIBUTES}][dhw])(\d+)")
_NAME = re.compile(r'n(?:"(?P<quoted>[^"]*)"|(?P<bare>[^"\s]+))$')
_COUNT = re.compile(r"\*(\d+)$")
_VERBOSE = re.compile(r"^(onednn|dnnl|mkldnn)_verbose,")
_EXAMPLE = "ic64ih56oc64oh56kh3ph1"

# oneDNN's abbreviations beside numpy's names; a problem carries the latter.
DTYPES = {"f32": "float32", "f64": "float64", "f16": "float16", "bf16": "bfloat16"}
_ABBREVIATIONS = {name: short for short, name in DTYPES.items()}
_HAS_BIAS = {"FWD_B": True, "FWD_D": False, "FWD_I": False}
# benchdnn options that choose an engine, layout, algorithm or way of running, not a problem.
_KNOBS_ASIDE = re.compile(
    r"--(conv|mode|mode-modifier|engine|alg|[swd]tag|impl|attr-\S*?|ctx-\S*?|match|v)(=\S*)?$|-v\d$"
)


@dataclass(frozen=True, kw_only=True)
class DescriptorFields:
    """What one descriptor says, with every implicit rule applied and dilation 1-based (1 is dense)."""

    N: int
    C_in: int
    C_out: int
    groups: int
    spatial: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    out: tuple[int, ...]
    dtype: str = "float32"
    bias: bool = False
    label: str = ""
    count: int = 1


@dataclass
class _Knobs:
    dtype: str = "float32"
    bias: bool = False
    batch: int = 0
    rest: list[str] = field(default_factory=list)


def parse(text: str) -> DescriptorFields:
    """The fields of a descriptor, of benchdnn options followed by one, or of a oneDNN verbose line.

    Raises:
        DescriptorError: The text is none of these; the message names the offending part.
        TypeError: It is not text.
    """
    if not isinstance(text, str):
        raise TypeError(f"a descriptor cannot be a {type(text).__name__}; give one line of text such as {_EXAMPLE}")
    line = text.strip()
    if not line:
        raise DescriptorError(f"empty descriptor; expected text such as {_EXAMPLE}")
    if "\n" in line:
        raise DescriptorError("a descriptor is one line, got several; give them one by one")
    knobs = _verbose_knobs(line) if _VERBOSE.match(line) else _option_knobs(line)
    values, label, count = _tokens(" ".join(knobs.rest))
    if knobs.batch:
        values["mb"] = knobs.batch
    return _resolve(values, dtype=knobs.dtype, bias=knobs.bias, label=label, count=count)


def _option_knobs(line: str) -> _Knobs:
    """Split leading --options from the descriptor; the name may hold spaces, so only the front is split."""
    knobs = _Knobs()
    while line.startswith("-"):
        option, _, line = line.partition(" ")
        line = line.lstrip()
        key, _, value = option.partition("=")
        if key in ("--dt", "--cfg"):
            knobs.dtype = _dtype(value.split(":")[0])
        elif key == "--dir":
            knobs.bias = _bias(value)
        elif key == "--mb":  # benchdnn: 0 keeps the descriptor's own
            knobs.batch = _number(value, key)
        elif not _KNOBS_ASIDE.match(option):
            raise DescriptorError(f"option {option!r} is not known here; use --dt= and --dir=, then the descriptor")
    knobs.rest.append(line)
    return knobs


def _verbose_knobs(line: str) -> _Knobs:
    """Dtype, bias and descriptor of one `onednn_verbose,...,convolution,...` line, old and new column orders."""
    columns = line.split(",")
    if "convolution" not in columns:
        raise DescriptorError("this verbose line is not of a convolution; give one with ',convolution,' in it")
    if not any(column.startswith("forward") for column in columns):
        raise DescriptorError("this verbose line is of a backward pass; only forward convolutions are problems here")
    memory = next((column for column in columns if re.search(r"\bsrc[:_]", column)), "")
    source = re.search(r"src[:_](?:\w+:)?(f32|f64|f16|bf16)\b", memory)
    if source is None:
        raise DescriptorError(f"the source type in {memory!r} is not one of {', '.join(DTYPES)}")
    shape = next((column for column in columns if re.match(r"(g\d+)?_?mb\d+_?ic\d", column)), None)
    if shape is None:
        raise DescriptorError("this verbose line has no descriptor such as mb1_ic3oc64_ih224oh112kh7sh2dh0ph3")
    has_bias = re.search(r"\bbia[:_](?!undef)", memory) is not None
    return _Knobs(dtype=DTYPES[source.group(1)], bias=has_bias, rest=[shape])


def _dtype(word: str) -> str:
    if word not in DTYPES:
        raise DescriptorError(f"--dt={word} is unknown; use one of {', '.join(DTYPES)}")
    return DTYPES[word]


def _bias(word: str) -> bool:
    if word not in _HAS_BIAS:
        raise DescriptorError(f"--dir={word} is not a forward pass; use FWD_D (no bias) or FWD_B (with bias)")
    return _HAS_BIAS[word]


def _number(digits: str, what: str) -> int:
    try:
        return int(digits)
    except ValueError:  # not digits, or more of them than Python converts
        shown = digits if len(digits) <= 12 else f"{digits[:12]}... ({len(digits)} digits)"
        raise DescriptorError(f"{what}={shown} is no number that can be read; give a decimal integer") from None


def _tokens(text: str) -> tuple[dict[str, int], str, int]:
    """Numbers by key, then the label and multiplicity of the closing `n"label*count"`."""
    values: dict[str, int] = {}
    position = 0
    while position < len(text):
        if text[position] == "_":
            position += 1
            continue
        token = _TOKEN.match(text, position)
        if token is not None:
            key, digits = token.groups()
            if key in values:
                raise DescriptorError(f"{key} is given twice in {text!r}; keep one")
            values[key] = _number(digits, key)
            position = token.end()
            continue
        name = _NAME.match(text, position)
        if name is None:
            raise DescriptorError(
                f"cannot read {text[position : position + 12]!r} at position {position} of {text!r};"
                f" expected a key and a number such as kh3, as in {_EXAMPLE}"
            )
        label = name.group("quoted") if name.group("quoted") is not None else name.group("bare")
        times = _COUNT.search(label)
        if times is None:
            return values, label, 1
        return values, label[: times.start()], _number(times.group(1), "multiplicity")
    return values, "", 1


def _resolve(values: Mapping[str, int], *, dtype: str, bias: bool, label: str, count: int) -> DescriptorFields:
    for key in ("ic", "oc"):
        if key not in values:
            raise DescriptorError(f"{key} is missing; every descriptor needs ic and oc, as in {_EXAMPLE}")
    axes = [_axis(values, letter) for letter in _given_axes(values)]
    if len(axes) == 1:
        axes *= {"d": 3, "h": 2, "w": 1}[_given_axes(values)[0]]
    size, out, kernel, stride, dilation, pads = (tuple(column) for column in zip(*axes, strict=True))
    return DescriptorFields(
        N=values.get("mb", 1),
        C_in=values["ic"],
        C_out=values["oc"],
        groups=values.get("g", 1),
        spatial=size,
        kernel=kernel,
        stride=stride,
        dilation=dilation,
        padding=pads,
        out=out,
        dtype=dtype,
        bias=bias,
        label=label,
        count=count,
    )


def _given_axes(values: Mapping[str, int]) -> str:
    """The spatial letters in use: one (shorthand for a cube, a square or a line), `hw`, or `dhw`."""
    letters = "".join(letter for letter in AXES if any(attribute + letter in values for attribute in _ATTRIBUTES))
    if letters == "":
        raise DescriptorError(f"no spatial axis is given; add at least iw and kw (1-D), ih and kh (2-D): {_EXAMPLE}")
    if letters not in ("d", "h", "w", "hw", "dhw"):
        raise DescriptorError(f"axes {'+'.join(letters)} leave one out; give d alone (cube), d and h and w, or h and w")
    return letters


def _axis(values: Mapping[str, int], letter: str) -> tuple[int, int, int, int, int, tuple[int, int]]:
    """Input, output, kernel, stride, dilation and padding of one axis; output or padding may be deduced."""
    for attribute in "ik":
        if attribute + letter not in values:
            raise DescriptorError(f"{attribute}{letter} is missing beside the other {letter} sizes; add it")
    size, kernel = values["i" + letter], values["k" + letter]
    stride, dilation = values.get("s" + letter, 1), values.get("d" + letter, 0) + 1
    if size < 1 or kernel < 1 or stride < 1:
        raise DescriptorError(f"i{letter}{size} k{letter}{kernel} s{letter}{stride}: each must be at least 1")
    out = values.get("o" + letter)
    begin = values.get("p" + letter)
    if begin is None:
        begin = 0 if out is None else implied_begin(size, out, kernel, stride, dilation)
    end = values.get("e" + letter)
    if end is None:
        end = begin if out is None else implied_end(size, out, kernel, stride, dilation, begin)
    actual = output_size(size, kernel, stride, dilation, (begin, end))
    if out is not None and actual != out:
        raise DescriptorError(
            f"o{letter}{out} disagrees with i{letter}{size}, k{letter}{kernel}, stride {stride}, dilation {dilation}"
            f" and padding ({begin}, {end}), which give {actual}; correct o{letter} or leave it out"
        )
    return size, actual, kernel, stride, dilation, (begin, end)


def implied_begin(size: int, out: int, kernel: int, stride: int, dilation: int) -> int:
    """benchdnn's "trivial padding" for a stated output: both ends share what is needed, the odd element at the end."""
    return max(0, end_padding_read(size, out, kernel, stride, dilation, 0)) // 2


def implied_end(size: int, out: int, kernel: int, stride: int, dilation: int, begin: int) -> int:
    """The end padding that a stated output implies: `begin` again where that gives it, else what the last output reads.

    Both compute the same numbers; equal ends keep the problem symmetric, as its author wrote it.
    """
    if output_size(size, kernel, stride, dilation, (begin, begin)) == out:
        return begin
    return max(0, end_padding_read(size, out, kernel, stride, dilation, begin))


def text_of(fields: DescriptorFields) -> str:
    """The descriptor that `parse` reads back to exactly these fields.

    Options come first and only where they differ from float32 without bias; equal axes are written once.
    """
    return _options(fields) + _geometry(fields) + _name(fields.label, fields.count)


def _options(fields: DescriptorFields) -> str:
    dt = "" if fields.dtype == "float32" else f"--dt={_ABBREVIATIONS[fields.dtype]} "
    return dt + ("--dir=FWD_B " if fields.bias else "")


def _geometry(fields: DescriptorFields) -> str:
    columns: dict[str, Sequence[int | None]] = {
        "i": fields.spatial,
        "o": fields.out,
        "k": fields.kernel,
        "s": fields.stride,
        "d": [dilation - 1 for dilation in fields.dilation],
        "p": [begin for begin, _ in fields.padding],
        "e": _unimplied_ends(fields),
    }
    geometry = zip(fields.spatial, fields.out, fields.kernel, fields.stride, fields.dilation, strict=True)
    is_zero_padding_implied = all(implied_begin(*axis) == 0 for axis in geometry)
    ndim = len(fields.spatial)
    is_cubic = all(len(set(column)) == 1 for column in columns.values())
    letters = AXES[3 - ndim] if is_cubic else "".join(AXES[3 - ndim :])

    def axes(attribute: str, default: int | None = None) -> str:
        column = columns[attribute]
        if all(value == default for value in column):
            return ""
        return "".join(f"{attribute}{x}{v}" for x, v in zip(letters, column, strict=False) if v is not None)

    channels = f"g{fields.groups}mb{fields.N}ic{fields.C_in}{axes('i')}oc{fields.C_out}{axes('o')}{axes('k')}"
    return channels + axes("s", 1) + axes("d", 0) + axes("p", 0 if is_zero_padding_implied else None) + axes("e")


def _unimplied_ends(fields: DescriptorFields) -> list[int | None]:
    """Per axis the end padding where it is not the one that `parse` would deduce, else None."""
    ends: list[int | None] = []
    for axis, (begin, end) in enumerate(fields.padding):
        implied = implied_end(
            fields.spatial[axis],
            fields.out[axis],
            fields.kernel[axis],
            fields.stride[axis],
            fields.dilation[axis],
            begin,
        )
        ends.append(None if end == implied else end)
    return ends


def _name(label: str, count: int) -> str:
    if not label and count == 1:
        return ""
    # A label that itself ends in "*7" would be read back as a multiplicity, so the real one is then written out.
    times = f"*{count}" if count != 1 or _COUNT.search(label) else ""
    return f'n"{label}{times}"'
