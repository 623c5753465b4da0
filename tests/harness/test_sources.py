from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness import sources

OURS = ("naive", "im2col", "fft", "numba", "torch", "torch[layout=channels_last]")


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Writes a module below a folder that Python looks for modules in."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def write(name: str, text: str) -> None:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    return write


Write = Callable[[str, str], None]


def test_every_backend_and_the_harness_have_a_digest_of_their_own_that_stays() -> None:
    digests = sources.digests(OURS)

    assert set(digests) == {"harness", "naive", "im2col", "fft", "numba", "torch"}
    assert len(set(digests.values())) == 6
    assert sources.digests(OURS) == digests


def test_what_only_shows_results_is_not_what_measured_them() -> None:
    measuring = {path.as_posix().rpartition("harness/")[2] for path in sources._measuring()}

    assert {"worker.py", "rounds.py", "check.py", "diagnosis/symptoms.py"} <= measuring
    assert not any(name.startswith("report/") for name in measuring)


def test_a_backend_is_its_own_module_and_what_it_shares_but_no_other_backend() -> None:
    files = {path.name for path in sources._registered("numba")}

    assert {"direct_numba.py", "lowering.py", "protocol.py"} <= files
    assert not {"direct_naive.py", "torch_native.py", "fft_scipy.py"} & files


def test_a_module_of_ones_own_changes_with_its_file_and_is_not_imported(module: Write) -> None:
    module("mine.py", "raise SystemExit('imported')\n")
    before = sources.digests(["mine:Attr"])
    module("mine.py", "raise SystemExit('imported')  # and changed\n")
    after = sources.digests(["mine:Attr[block=64]"])

    assert before["harness"] == after["harness"]
    assert before["mine"] != after["mine"]
    assert "mine" not in sys.modules


@pytest.mark.parametrize("init", ["__init__.py", None])
def test_a_module_in_a_package_is_found_without_importing_the_package(module: Write, init: str | None) -> None:
    if init is not None:
        module("outer/__init__.py", "raise SystemExit('imported')\n")
        module("outer/inner/__init__.py", "raise SystemExit('imported')\n")
    module("outer/inner/kernels.py", "1\n")
    before = sources.digests(["outer.inner.kernels:Tiled"])
    module("outer/inner/kernels.py", "2\n")

    assert sources.digests(["outer.inner.kernels:Tiled"])["outer.inner.kernels"] != before["outer.inner.kernels"]


def test_a_module_that_is_imported_from_beside_it_in_its_package_counts(module: Write) -> None:
    module("pack/__init__.py", "")
    module("pack/kernels.py", "from pack import tiles\n")
    module("pack/tiles.py", "SIZE = 8\n")
    before = sources.digests(["pack.kernels:Tiled"])
    module("pack/tiles.py", "SIZE = 9\n")
    after = sources.digests(["pack.kernels:Tiled"])
    module("pack/notes.txt", "no code\n")

    assert before["pack.kernels"] != after["pack.kernels"] == sources.digests(["pack.kernels:Tiled"])["pack.kernels"]


def test_a_digest_depends_on_no_folder_that_a_module_lies_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "mine.py").write_text("x = 1\n")
        monkeypatch.setenv("PYTHONPATH", str(tmp_path / name))
        found.append(sources.digests(["mine:Attr"])["mine"])

    assert found[0] == found[1]


@pytest.mark.parametrize("spec", ["nowhere:Attr", "os.nowhere.deeper:Attr", "nonesuch", "sys:Attr"])
def test_code_that_cannot_be_found_has_no_digest(spec: str) -> None:
    assert set(sources.digests([spec])) == {"harness"}


def test_a_package_that_adds_a_backend_is_named_with_its_version_and_code(
    module: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module("added.py", "x = 1\n")
    module("added-1.2.dist-info/METADATA", "Metadata-Version: 2.1\nName: added\nVersion: 1.2\n")
    module("added-1.2.dist-info/entry_points.txt", "[convbench.backends]\nextra = added:Backend\n")
    monkeypatch.syspath_prepend(str(tmp_path))

    before = sources.digests(["extra"])["extra"]
    module("added.py", "x = 2\n")

    assert before.startswith("added 1.2 ")
    assert sources.digests(["extra"])["extra"] != before


def test_only_modules_of_ones_own_are_foreign() -> None:
    assert not sources.has_foreign(OURS)
    assert sources.has_foreign(["naive", "mine:Attr"])


def test_digests_load_no_library() -> None:
    code = (
        "import sys\nfrom harness import sources\n"
        f"sources.digests({OURS!r})\n"
        "heavy = {'numpy', 'scipy', 'numba', 'torch'} & set(sys.modules)\nassert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parent.parent.parent, timeout=60)
