"""Digests of the code that a run measures and is measured by, so that a changed one is not taken for the same.

A commit's name does not do: a checkout with changes has one name for many states, and a backend of one's own has none.
Nothing is imported to find out.
"""

from __future__ import annotations

import hashlib
import importlib.machinery
import importlib.metadata
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import backends
from backends.registry import ENTRY_POINT_GROUP, ROWS
from backends.spec import parse_spec

HARNESS = "harness"

# Code of a module is Python, or an extension that it was compiled to.
_CODE = (".py", *importlib.machinery.EXTENSION_SUFFIXES)
# A library of a hundred megabytes is told by its size and its date: reading it would take longer than all else.
_LARGEST_READ = 8 << 20
# A module's neighbours in its package are taken to belong to it; more than this are a collection of other things.
_MOST_NEIGHBOURS = 100
_DIGEST_BYTES = 8


def digests(specs: Sequence[str]) -> dict[str, str]:
    """By name, a digest of the harness as far as it measures, and one of each backend.

    Args:
        specs: Of backends. Options make no difference to the code; a module that cannot be found has no digest.
    """
    files = _Files()
    found = {HARNESS: files.digest(_measuring())}
    for spec in specs:
        parsed = parse_spec(spec)
        if parsed.name in found:
            continue
        if parsed.attribute is not None:
            text = _module_text(parsed.name, files)
        elif parsed.name in ROWS:
            text = files.digest(_registered(parsed.name))
        else:
            text = _entry_point_text(parsed.name, files)
        if text is not None:
            found[parsed.name] = text
    return found


def has_foreign(specs: Sequence[str]) -> bool:
    """Whether any backend is somebody's own module, found wherever Python looks for modules."""
    return any(parse_spec(spec).attribute is not None for spec in specs)


def _measuring() -> list[Path]:
    """The harness's modules but for those that only show what was measured."""
    package = Path(__file__).parent
    return [path for path in package.rglob("*.py") if path.relative_to(package).parts[0] != "report"]


def _registered(name: str) -> list[Path]:
    """The backend's own module, and all that is no other backend's: what it shares with them."""
    modules = {row.path.partition(":")[0].rpartition(".")[2]: of for of, row in ROWS.items()}
    files = Path(backends.__file__).parent.rglob("*.py")
    return [path for path in files if modules.get(path.stem, name) == name]


def _module_text(module: str, files: _Files) -> str | None:
    """Digest of a module's file, and of those beside it where it is part of a package."""
    found = _found(module)
    if found is None:
        return None
    folder = found.parent
    if not (folder / "__init__.py").exists():
        return files.digest([found])
    neighbours = [path for path in folder.iterdir() if path.name.endswith(_CODE)]
    return files.digest(neighbours if len(neighbours) <= _MOST_NEIGHBOURS else [found])


def _entry_point_text(name: str, files: _Files) -> str | None:
    """Name and version of the distribution that adds a backend, and the digest of its module: it may be a checkout."""
    for point in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP, name=name):
        origin = f"{point.dist.name} {point.dist.version}" if point.dist is not None else "unknown"
        return " ".join(filter(None, (origin, _module_text(point.module, files))))
    return None


def _found(module: str) -> Path | None:
    """The file of a module, without importing it or the packages that it is in."""
    # Workers begin with the current folder, and with PYTHONPATH as it is now.
    path: Sequence[str] | None = [os.getcwd(), *os.environ.get("PYTHONPATH", "").split(os.pathsep), *sys.path]  # noqa: PTH109
    spec = None
    qualified = ""
    for part in module.split("."):
        if path is None:
            return None
        qualified = f"{qualified}.{part}".lstrip(".")
        spec = _spec(qualified, list(filter(None, path)), is_top=qualified == part)
        if spec is None:
            return None
        path = spec.submodule_search_locations
    return Path(spec.origin) if spec is not None and spec.has_location and spec.origin else None


def _spec(name: str, path: list[str], *, is_top: bool) -> importlib.machinery.ModuleSpec | None:
    # By its last part, as the path says where the rest is: with more, it would look for packages among those loaded.
    spec = importlib.machinery.PathFinder.find_spec(name.rpartition(".")[2], path)
    if spec is None:
        # Packages that were installed for editing may have finders of their own.
        finders = (finder for finder in sys.meta_path if finder is not importlib.machinery.PathFinder)
        asked = (finder.find_spec(name, None if is_top else path) for finder in finders)
        spec = next((found for found in asked if found is not None), None)
    return spec


def _content(path: Path) -> bytes:
    try:
        status = path.stat()
        if status.st_size > _LARGEST_READ:
            return f"{status.st_size} bytes of {status.st_mtime_ns}".encode()
        return hashlib.blake2b(path.read_bytes()).digest()
    except OSError as error:
        return f"unreadable: {error.strerror}".encode()


class _Files:
    """Digests of sets of files; one that is in several sets is read once."""

    def __init__(self) -> None:
        self._contents: dict[Path, bytes] = {}

    def digest(self, paths: Sequence[Path]) -> str:
        """Of names and contents, in an order that does not depend on the file system's."""
        root = os.path.commonpath([path.parent for path in paths]) if paths else ""
        digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
        for path in sorted(paths):
            if path not in self._contents:
                self._contents[path] = _content(path)
            digest.update(os.fsencode(path)[len(root) :] + b"\0" + self._contents[path])
        return digest.hexdigest()
