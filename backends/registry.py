"""The one list of backends: a name, where its class is, the libraries it needs. Nothing is imported until asked for.

To add a backend, write a module with a class that meets `ConvBackend` and add its row to `ROWS`.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.metadata
import importlib.util
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from backends.errors import BackendSpecError, BackendUnavailable
from backends.protocol import ConvBackend
from backends.spec import BackendSpec, OptionValue, parse_spec

ENTRY_POINT_GROUP = "convbench.backends"


@dataclass(frozen=True)
class Row:
    """Where a backend's class is, and what must be importable for it to load.

    Attributes:
        path: module:Class.
        requires: Libraries that must be installed.
        extra: The optional dependency of this distribution that installs them.
        variants: Specs of the same backend worth comparing with it by default.
    """

    path: str
    requires: tuple[str, ...] = ()
    extra: str | None = None
    variants: tuple[str, ...] = ()


ROWS: dict[str, Row] = {
    "naive": Row("backends.direct_naive:NaiveBackend"),
    "im2col": Row("backends.im2col_gemm:Im2colBackend"),
    "fft": Row("backends.fft_scipy:FftBackend", requires=("scipy",)),
    "numba": Row("backends.direct_numba:NumbaBackend", requires=("numba",), extra="numba"),
    "torch": Row(
        "backends.torch_native:TorchBackend",
        requires=("torch",),
        extra="torch",
        variants=("torch[layout=channels_last]",),
    ),
}


def names() -> list[str]:
    """Names of the backends that can load here: ours whose libraries are installed, then other packages'."""
    ours = [name for name, row in ROWS.items() if not _missing(row)]
    return ours + sorted(set(_entry_points()) - set(ROWS))


def default_specs() -> list[str]:
    """What a comparison runs unless told otherwise: every name that loads here, and the variants of each."""
    specs = []
    for name in names():
        specs += [name, *(ROWS[name].variants if name in ROWS else ())]
    return specs


def why_not(name: str) -> str | None:
    """Why a registered backend cannot load here, with the remedy; None if it can."""
    row = ROWS[name]
    missing = _missing(row)
    if not missing:
        return None
    remedy = f"pip install 'convbench[{row.extra}]'" if row.extra else f"pip install {' '.join(missing)}"
    return f"needs {', '.join(missing)}, not installed here; {remedy}"


def get(spec: str) -> ConvBackend:
    """The backend that a spec names: "numba", "torch[layout=channels_last]", "package.module:Attr".

    Raises:
        BackendSpecError: The spec cannot be read, or names an unknown backend or option.
        BackendUnavailable: The backend's library or module does not load here.
    """
    parsed = parse_spec(spec)
    path = f"{parsed.name}:{parsed.attribute}"
    factory = _registered(parsed.name) if parsed.attribute is None else _load(path, spec)
    backend = _construct(factory, parsed, spec)
    missing = [m for m in ("name", "algorithm", "device", "why_unsupported", "prepare") if not hasattr(backend, m)]
    if missing:
        raise BackendSpecError(f"{spec!r} is no ConvBackend: it lacks {', '.join(missing)}; see backends/protocol.py")
    return cast("ConvBackend", backend)


def _registered(name: str) -> Callable[..., object]:
    if name in ROWS:
        if (reason := why_not(name)) is not None:
            raise BackendUnavailable(f"backend {name!r} {reason}")
        return _load(ROWS[name].path, name)
    others = _entry_points()
    if name in others:
        return _load(others[name].value, name)
    known = names()
    close = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    raise BackendSpecError(f"unknown backend {name!r}; {hint}known here: {', '.join(known)}, or package.module:Attr")


def _load(path: str, spec: str) -> Callable[..., object]:
    module_name, _, attribute = path.partition(":")
    try:
        value: object = importlib.import_module(module_name)
    except ImportError as error:
        raise BackendUnavailable(f"backend {spec!r}: cannot import {module_name}: {error}") from error
    for part in attribute.split("."):
        if not hasattr(value, part):
            raise BackendSpecError(f"backend {spec!r}: {module_name} has no attribute {attribute!r}")
        value = getattr(value, part)
    # A ready-made backend object is as good as a class that makes one, as long as there are no options to give it.
    if not inspect.isclass(value) and hasattr(value, "prepare"):
        return lambda: value
    if not callable(value):
        raise BackendSpecError(f"backend {spec!r}: {path} is neither a class, a factory nor a ConvBackend")
    return cast("Callable[..., object]", value)


def _construct(factory: Callable[..., object], parsed: BackendSpec, spec: str) -> object:
    options: dict[str, OptionValue] = dict(parsed.options)
    try:
        signature = inspect.signature(factory)
    except ValueError:  # compiled classes may have none; they check for themselves
        return factory(**options)
    try:
        signature.bind(**options)
    except TypeError:
        accepted = list(signature.parameters)
        offer = f"it takes {', '.join(accepted)}" if accepted else "it takes none"
        raise BackendSpecError(
            f"backend {spec!r}: options {', '.join(options) or '(none)'} do not fit; {offer}"
        ) from None
    return factory(**options)


def _missing(row: Row) -> list[str]:
    return [library for library in row.requires if importlib.util.find_spec(library) is None]


def _entry_points() -> dict[str, importlib.metadata.EntryPoint]:
    return {point.name: point for point in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP)}
