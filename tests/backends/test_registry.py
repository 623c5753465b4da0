"""The list of backends: what loads, how a spec is resolved, and what a wrong one is told."""

from __future__ import annotations

import importlib
import importlib.metadata
import inspect
import subprocess
import sys
import types
from collections.abc import Callable

import numpy as np
import pytest

import backends
from backends import HOST, Algorithm, BackendSpecError, BackendUnavailable, ConvProblem, registry

# A spec for each option of each registered backend; the test below fails where a new option has none.
OPTION_EXAMPLES = {
    "im2col": {"workspace_mb": ["im2col[workspace_mb=1]", "im2col[workspace_mb=64]"]},
    "torch": {"layout": ["torch[layout=contiguous]", "torch[layout=channels_last]"]},
}
SPECS = [*registry.ROWS, *(s for options in OPTION_EXAMPLES.values() for specs in options.values() for s in specs)]


class Doubling:
    """A backend of somebody else's, wrong on purpose, with an option."""

    algorithm = Algorithm.DIRECT
    device = HOST

    def __init__(self, *, factor: int = 2) -> None:
        self.name = f"someone.doubling:Doubling[factor={factor}]"
        self.factor = factor

    def why_unsupported(self, problem: ConvProblem) -> str | None:
        return None

    def prepare(self, *_: object) -> Callable[[np.ndarray], np.ndarray]:
        return lambda x: self.factor * x


@pytest.fixture
def somebody(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """An importable module of somebody else's."""
    module = types.ModuleType("someone.doubling")
    module.Doubling = Doubling  # type: ignore[attr-defined]  # a module made by hand
    module.ready = Doubling(factor=3)  # type: ignore[attr-defined]
    module.number = 7  # type: ignore[attr-defined]
    module.make_nothing = object  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "someone", types.ModuleType("someone"))
    monkeypatch.setitem(sys.modules, "someone.doubling", module)
    return module


def publish(monkeypatch: pytest.MonkeyPatch, **entry_points: str) -> None:
    """Pretend that an installed package offers these entry points."""
    points = [importlib.metadata.EntryPoint(n, v, registry.ENTRY_POINT_GROUP) for n, v in entry_points.items()]

    def chosen(*, group: str) -> list[importlib.metadata.EntryPoint]:
        return [point for point in points if point.group == group]

    monkeypatch.setattr(importlib.metadata, "entry_points", chosen)


def skip_unless_it_loads(spec: str) -> None:
    if spec.partition("[")[0] not in backends.names():
        pytest.skip(f"{spec} does not load here")


def test_names_are_the_rows_whose_libraries_are_installed() -> None:
    ours = [name for name in backends.names() if name in registry.ROWS]
    assert {"naive", "im2col", "fft"} <= set(ours)
    assert ours == [name for name in registry.ROWS if name in ours], "in the order of the list"


def test_default_specs_are_every_name_and_its_variants() -> None:
    defaults = registry.default_specs()
    assert [spec for spec in defaults if "[" not in spec] == backends.names()
    assert [backends.get(spec).name for spec in defaults] == defaults
    assert len(set(defaults)) == len(defaults)


@pytest.mark.parametrize("spec", SPECS)
def test_name_recreates_the_backend(spec: str) -> None:
    skip_unless_it_loads(spec)
    backend = backends.get(spec)
    again = backends.get(backend.name)
    assert type(again) is type(backend)
    assert again.name == backend.name
    assert vars(again) == vars(backend)


@pytest.mark.parametrize("spec", SPECS)
def test_backend_has_every_member_of_the_protocol(spec: str) -> None:
    skip_unless_it_loads(spec)
    backend = backends.get(spec)
    assert backend.name.partition("[")[0] == spec.partition("[")[0]
    assert isinstance(backend.algorithm, Algorithm)
    assert isinstance(backend.device.name, str)
    x = np.arange(3.0)
    np.testing.assert_array_equal(backend.device.get(backend.device.put(x)), x)
    backend.device.synchronize()


@pytest.mark.parametrize("name", registry.ROWS)
def test_each_option_has_an_example(name: str) -> None:
    skip_unless_it_loads(name)
    options = set(inspect.signature(type(backends.get(name))).parameters)
    assert options == set(OPTION_EXAMPLES.get(name, {}))


@pytest.mark.parametrize(
    ("misspelt", "meant"), [("numpa", "numba"), ("im2cool", "im2col"), ("naiv", "naive"), ("ftt", "fft")]
)
def test_misspelt_name_is_answered_with_the_nearest(misspelt: str, meant: str) -> None:
    skip_unless_it_loads(meant)
    with pytest.raises(BackendSpecError, match=f"unknown backend '{misspelt}'; did you mean '{meant}'"):
        backends.get(misspelt)


def test_unknown_name_is_answered_with_those_that_exist() -> None:
    with pytest.raises(BackendSpecError) as caught:
        backends.get("qqqqqq")
    assert all(name in str(caught.value) for name in backends.names())
    assert "did you mean" not in str(caught.value)


@pytest.mark.parametrize(
    ("spec", "advice"),
    [
        ("naive[speed=9]", "options speed do not fit; it takes none"),
        ("im2col[workspace=1]", "options workspace do not fit; it takes workspace_mb"),
        ("im2col[workspace_mb=0]", "give MiB as an integer of 1 or more"),
        ("im2col[workspace_mb=much]", "give MiB as an integer of 1 or more"),
        ("im2col[workspace_mb=on]", "give MiB as an integer of 1 or more"),
        ("torch[layout=nhwc]", "use one of contiguous, channels_last"),
        ("torch[layout=1]", "use one of contiguous, channels_last"),
    ],
)
def test_wrong_option_is_refused_with_what_is_taken(spec: str, advice: str) -> None:
    skip_unless_it_loads(spec)
    with pytest.raises(BackendSpecError, match=advice):
        backends.get(spec)


@pytest.mark.parametrize("name", [name for name, row in registry.ROWS.items() if row.requires])
def test_missing_library_is_named_with_what_to_install(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    row = registry.ROWS[name]
    library = row.requires[0]
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda n, *a: None if n == library else find_spec(n, *a))

    assert name not in backends.names()
    assert not [spec for spec in registry.default_specs() if spec.startswith(name)]
    assert library in registry.why_not(name)
    remedy = rf"convbench\[{row.extra}\]" if row.extra else library
    with pytest.raises(
        BackendUnavailable, match=f"'{name}' needs {library}, not installed here; pip install .*{remedy}"
    ):
        backends.get(name)


def test_library_that_is_installed_but_does_not_load_is_unavailable(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "backends.fft_scipy", raising=False)
    monkeypatch.setitem(sys.modules, "scipy.fft", None)
    with pytest.raises(BackendUnavailable, match=r"'fft': cannot import backends.fft_scipy: .*scipy.fft"):
        backends.get("fft")


def test_class_of_a_module_is_a_backend_with_its_options(somebody: types.ModuleType) -> None:
    assert vars(backends.get("someone.doubling:Doubling"))["factor"] == 2
    assert vars(backends.get("someone.doubling:Doubling[factor=5]"))["factor"] == 5


def test_ready_made_object_of_a_module_is_a_backend(somebody: types.ModuleType) -> None:
    assert backends.get("someone.doubling:ready") is vars(somebody)["ready"]
    with pytest.raises(BackendSpecError, match="options factor do not fit; it takes none"):
        backends.get("someone.doubling:ready[factor=5]")


@pytest.mark.parametrize(
    ("spec", "error", "message"),
    [
        ("no_such_module_here:Thing", BackendUnavailable, "cannot import no_such_module_here"),
        ("someone.doubling:Absent", BackendSpecError, "someone.doubling has no attribute 'Absent'"),
        ("someone.doubling:number", BackendSpecError, "neither a class, a factory nor a ConvBackend"),
        (
            "someone.doubling:make_nothing",
            BackendSpecError,
            "it lacks name, algorithm, device, why_unsupported, prepare",
        ),
        ("someone.doubling:Doubling[speed=2]", BackendSpecError, "it takes factor"),
        ("builtins:int", BackendSpecError, "is no ConvBackend"),
    ],
)
def test_module_without_a_backend_is_refused_with_what_is_missing(
    somebody: types.ModuleType, spec: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        backends.get(spec)


def test_entry_point_of_an_installed_package_is_a_name(
    somebody: types.ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(monkeypatch, doubling="someone.doubling:Doubling")
    assert backends.names()[-1] == "doubling"
    assert vars(backends.get("doubling[factor=4]"))["factor"] == 4
    with pytest.raises(BackendSpecError, match="did you mean 'doubling'"):
        backends.get("dubling")


def test_entry_point_may_be_a_ready_made_object(somebody: types.ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(monkeypatch, tripling="someone.doubling:ready")
    assert backends.get("tripling") is vars(somebody)["ready"]


def test_entry_point_cannot_take_the_name_of_a_registered_backend(
    somebody: types.ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(monkeypatch, naive="someone.doubling:Doubling")
    assert backends.names().count("naive") == 1
    assert backends.get("naive").name == "naive"


def test_entry_point_whose_module_is_gone_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    publish(monkeypatch, gone="no_such_module_here:Thing")
    with pytest.raises(BackendUnavailable, match="'gone': cannot import no_such_module_here"):
        backends.get("gone")


def loaded_after(statement: str) -> set[str]:
    """Top-level modules that a fresh interpreter has loaded after a statement."""
    script = f"{statement}; import sys; print(*{{name.partition('.')[0] for name in sys.modules}})"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    return set(run.stdout.split())


@pytest.mark.parametrize("statement", ["import backends", "import backends; backends.names()"])
def test_nothing_heavy_is_imported_until_asked_for(statement: str) -> None:
    heavy = {"numpy", "scipy", "numba", "torch", "matplotlib", "pandas", "threadpoolctl"}
    assert not heavy & loaded_after(statement)


def test_one_backend_imports_no_other_ones_library() -> None:
    assert not {"scipy", "numba", "torch"} & loaded_after("import backends; backends.get('im2col')")


def test_backends_never_import_harness() -> None:
    everything = (
        "import sys; sys.modules['harness'] = None\n"
        "import importlib, pkgutil, backends, numpy as np\n"
        "from backends import registry\n"
        "for name in backends.names(): backends.get(name)\n"
        "available = {registry.ROWS[n].path.partition(':')[0] for n in registry.ROWS if n in backends.names()}\n"
        "optional = {row.path.partition(':')[0] for row in registry.ROWS.values()}\n"
        "for module in pkgutil.iter_modules(backends.__path__, 'backends.'):\n"
        "    if module.name in available or module.name not in optional: importlib.import_module(module.name)\n"
        "backends.conv(np.ones((1, 1, 3)), np.ones((1, 1, 3)), backend='im2col')"
    )
    subprocess.run([sys.executable, "-c", everything], check=True, timeout=120)
