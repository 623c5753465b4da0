"""Facts about this machine and what is installed, for the header of a run. No host or user names."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import subprocess
from pathlib import Path

from backends import threads

# What changes which kernels a library chooses, how its threads behave, how memory is handed out, or which libraries
# are loaded at all. OpenMP runtimes, BLAS, oneDNN, compilers, PyTorch, NumPy, the dynamic linker, the allocator, CUDA.
_STEERING = re.compile(
    r"(OMP|GOMP|KMP|OPENBLAS|GOTO|MKL|BLIS|VECLIB|NUMEXPR|TBB|NUMBA|LLVM|DNNL|ONEDNN|TORCH|TORCHINDUCTOR|ATEN|PYTORCH"
    r"|NPY|NUMPY|SCIPY|MALLOC|CUDA|CUDNN|CUBLAS|NVIDIA)_.+"
    r"|LD_PRELOAD|LD_LIBRARY_PATH|LD_BIND_NOW|GLIBC_TUNABLES|PYTHONMALLOC|PYTHONHASHSEED|PYTHONOPTIMIZE"
)
# Where something is kept or logged changes no speed.
_HARMLESS = re.compile(r".*_(CACHE_DIR|HOME|LOGS?|LOG_FILE|PATH_CACHE)")

_LIBRARIES = ("convbench", "numpy", "scipy", "numba", "llvmlite", "torch", "matplotlib", "asv")

Facts = dict[str, str | int | float | None]


def machine() -> Facts:
    """Processor, cores, caches, memory, system and Python."""
    return {
        "cpu": cpu_model(),
        "cores_available": threads.available(),
        "cores_total": os.cpu_count(),
        "vector_extensions": _vector_extensions(),
        "l1d_cache_bytes": _cache_bytes(1),
        "l2_cache_bytes": _cache_bytes(2),
        "l3_cache_bytes": _cache_bytes(3),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "is_virtual": int(" hypervisor" in _cpuinfo()),
        "system": f"{platform.system()} {platform.release()}",
        "libc": " ".join(platform.libc_ver()),
        "python": platform.python_version(),
    }


def label(facts: Facts) -> str:
    """A short name of the machine's kind for folder names: "amd-epyc-2c"."""
    words = re.sub(r"\(R\)|\(TM\)|CPU|Processor|@.*", " ", str(facts["cpu"]))
    slug = "-".join(re.findall(r"[a-z0-9]+", words.lower()))[:32].strip("-")
    return f"{slug or platform.machine()}-{facts['cores_available']}c"


def libraries() -> dict[str, str]:
    """Versions of what is installed, by distribution name."""
    versions = {}
    for name in _LIBRARIES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


def variables(*, has_foreign_code: bool) -> dict[str, str]:
    """Environment variables that steer the libraries of a run's workers, but for those that a run sets itself.

    Args:
        has_foreign_code: Some backend is imported by module, so that where Python looks for it matters too.
    """
    names = {name for name in os.environ if _STEERING.fullmatch(name) and not _HARMLESS.fullmatch(name)}
    names.difference_update(threads.ENVIRONMENT_VARIABLES)
    if has_foreign_code and "PYTHONPATH" in os.environ:
        names.add("PYTHONPATH")
    home = str(Path.home())
    # Results are shown to others, who need not learn a user's name from a path.
    return {name: os.environ[name].replace(home, "~") if home != "/" else os.environ[name] for name in sorted(names)}


def commit() -> str | None:
    """The git commit of this checkout, "-dirty" appended where files differ; None outside a checkout."""
    root = Path(__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return None  # installed into an environment that may lie in somebody else's checkout
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"],
            cwd=root,
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return described.stdout.strip() or None


def cpu_model() -> str:
    """The processor's name as the system tells it."""
    match = re.search(r"^model name\s*:\s*(.+)$", _cpuinfo(), re.MULTILINE)
    return match.group(1).strip() if match else platform.processor() or platform.machine()


def last_level_cache_bytes() -> int | None:
    """Size of the largest cache that this core can use, as the system tells it; None where it does not."""
    return next((size for level in (4, 3, 2) if (size := _cache_bytes(level)) is not None), None)


def _cpuinfo() -> str:
    try:
        return Path("/proc/cpuinfo").read_text()
    except OSError:
        return ""


def _vector_extensions() -> str:
    flags = re.search(r"^flags\s*:\s*(.+)$", _cpuinfo(), re.MULTILINE)
    known = ("avx2", "fma", "avx512f", "avx512_bf16", "amx_tile")
    return " ".join(name for name in known if flags and name in flags.group(1).split())


def _cache_bytes(level: int) -> int | None:
    for index in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"):
        try:
            is_data = (index / "type").read_text().strip() != "Instruction"
            if is_data and int((index / "level").read_text()) == level:
                size = (index / "size").read_text().strip()
                return int(size[:-1]) << {"K": 10, "M": 20}[size[-1]]
        except (OSError, ValueError, KeyError):
            continue
    return None
