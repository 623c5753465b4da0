"""Text of foreign origin, made fit to be shown: no control characters, no half characters, no more than so much."""

from __future__ import annotations


def printable(text: str) -> str:
    """The text with what a terminal would obey, or no encoding can hold, as escapes. Line breaks and tabs stay."""
    whole = text.encode("utf-8", "backslashreplace").decode()
    return "".join(one if one.isprintable() or one in "\n\t" else repr(one)[1:-1] for one in whole)


def clipped(text: str, longest: int) -> str:
    """The text, or its beginning and end with a word on what is left out, in about so many characters."""
    if len(text) <= longest:
        return text
    end = longest // 4
    return f"{text[: longest - end]} [... {len(text) - longest} characters ...] {text[-end:]}"
