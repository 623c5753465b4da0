"""Mistakes that a caller of the harness can mend, and disks that refuse."""

from __future__ import annotations

import errno

_REMEDIES = {
    errno.ENOSPC: "free space there",
    errno.EDQUOT: "free space there, or raise your disk quota",
    errno.EFBIG: "raise the limit on file sizes (ulimit -f)",
    errno.EROFS: "mount it writable again",
}


class UserError(ValueError):
    """Something asked for that cannot be done; the message says what was given, what was expected and what to do."""


class StoreError(UserError):
    """A folder or file that cannot be used as asked; the message says what to do."""


class WriteFailed(Exception):
    """A disk that refused what was to be kept: no mistake of the caller's, and what was there before is still there."""


def disk_remedy(error: OSError) -> str:
    """What a person does about an error of writing, as the start of a sentence's last part."""
    return _REMEDIES.get(error.errno or 0, "mend the disk")
