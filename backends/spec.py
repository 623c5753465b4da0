"""Backend specs: `NAME`, `NAME[option=value,...]`, `package.module:Attr[...]`, as text and as data."""

from __future__ import annotations

import re
from dataclasses import dataclass

from backends.errors import BackendSpecError

OptionValue = str | int | bool

_SPEC = re.compile(r"(?P<name>[A-Za-z_][\w.-]*)(?::(?P<attribute>[A-Za-z_][\w.]*))?(?:\[(?P<options>[^\[\]]*)\])?")
# Far above any option's use and below the 4300 digits past which Python refuses to convert.
_MAX_DIGITS = 100
_WORDS: dict[str, bool] = {"on": True, "true": True, "off": False, "false": False}


@dataclass(frozen=True, kw_only=True)
class BackendSpec:
    """A parsed spec: a registered name, or a module and an attribute in it, and keyword options."""

    name: str
    attribute: str | None
    options: tuple[tuple[str, OptionValue], ...]


def parse_spec(text: str) -> BackendSpec:
    """Parse a spec. Option values are integers, on/off (or true/false), or words.

    Raises:
        BackendSpecError: The text is not a spec.
        TypeError: It is not text.
    """
    if not isinstance(text, str):
        raise TypeError(f"a backend spec cannot be a {type(text).__name__}; give a backend's name, such as 'im2col'")
    match = _SPEC.fullmatch(text.strip())
    if match is None:
        raise BackendSpecError(
            f"cannot read backend spec {text!r}; write NAME, NAME[option=value,...] or package.module:Attr[...]"
        )
    options: dict[str, OptionValue] = {}
    for part in filter(None, (match.group("options") or "").split(",")):
        key, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals or not key.isidentifier() or not value:
            raise BackendSpecError(f"cannot read option {part!r} in backend spec {text!r}; write option=value")
        if key in options:
            raise BackendSpecError(f"option {key!r} is given twice in backend spec {text!r}; keep one")
        options[key] = _value(value)
    return BackendSpec(name=match.group("name"), attribute=match.group("attribute"), options=tuple(options.items()))


def spec_text(name: str, **options: OptionValue) -> str:
    """The spec that recreates a backend made with these options, in the order given."""
    if not options:
        return name
    return f"{name}[{','.join(f'{key}={_text(value)}' for key, value in options.items())}]"


def _value(text: str) -> OptionValue:
    if re.fullmatch(r"-?\d+", text):
        if len(text) > _MAX_DIGITS:
            raise BackendSpecError(f"option value {text[:12]}... has {len(text)} digits; give a smaller integer")
        return int(text)
    return _WORDS.get(text.lower(), text)


def _text(value: OptionValue) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)
