"""The base of every mistake that a caller of the harness can mend."""

from __future__ import annotations


class UserError(ValueError):
    """Something asked for that cannot be done; the message says what was given, what was expected and what to do."""
