"""What an exception of foreign code says, as a reason that can be stored and shown, whatever its class does."""

from __future__ import annotations

from harness import messages
from harness.printable import clipped, printable

_LONGEST = 2000
_OUT_OF_MEMORY = ("alloc", "out of memory", "memoryerror")


def failed(error: BaseException, *, is_usage: bool = False) -> messages.Failed:
    """The reply that says so.

    Args:
        error: Of any class.
        is_usage: The user's mistake: the message alone says it, without the name of a class.
    """
    is_out_of_memory = isinstance(error, MemoryError)
    if is_out_of_memory:
        # The frames hold the arrays that filled the memory, and the reply needs some.
        error.__traceback__ = error.__context__ = error.__cause__ = None
    try:
        # Its message may be made by its own code, which may fail as well.
        name, words = type(error).__name__, str(error)
    except BaseException as second:  # any kind, as above
        name, words = "an exception", f"its message cannot be had: str() raised {type(second).__name__}"
        name = getattr(type(error), "__qualname__", name)
    text = clipped(printable(words if is_usage else f"{name}: {words}"), _LONGEST)
    return messages.Failed(
        reason=f"out of memory: {text}" if is_out_of_memory else text,
        # Libraries have their own exceptions for a failed allocation.
        is_out_of_memory=is_out_of_memory or speaks_of_memory(text),
        is_usage=is_usage,
    )


def speaks_of_memory(text: str) -> bool:
    """Whether a message is of a failed allocation."""
    lowered = text.lower()
    return "bad_alloc" in lowered or ("memory" in lowered and any(word in lowered for word in _OUT_OF_MEMORY))
