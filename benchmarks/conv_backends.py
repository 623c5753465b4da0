"""Time, memory and accuracy of every backend on a few problems, as asv benchmarks."""

from __future__ import annotations

from benchmarks import cells
from harness import check, inputs, reference


class Conv:
    """One convolution by one backend, one thread, NCHW in and out."""

    params = (cells.PROBLEMS, cells.SPECS)
    param_names = ("problem", "backend")
    timeout = 120
    # Raised by hand when a change makes old and new figures incomparable; asv would otherwise hash the code.
    version = "1"

    def setup(self, problem: str, backend: str) -> None:
        self.cell = cells.prepare(problem, backend)
        self.cell.call(self.cell.x)

    def time_call(self, _problem: str, _backend: str) -> None:
        self.cell.call(self.cell.x)
        self.cell.backend.device.synchronize()

    def time_prepare(self, _problem: str, _backend: str) -> None:
        self.cell.backend.prepare(self.cell.problem, self.cell.weight)
        self.cell.backend.device.synchronize()

    def peakmem_call(self, _problem: str, _backend: str) -> None:
        """Of the whole process: libraries and set-up included."""
        self.cell.call(self.cell.x)
        self.cell.backend.device.synchronize()


class Accuracy:
    """How right one convolution is: slack and effective bits on normal data."""

    params = Conv.params
    param_names = Conv.param_names
    timeout = 120
    version = "1"

    def setup(self, problem: str, backend: str) -> None:
        cell = cells.prepare(problem, backend)
        arrays = inputs.normal_arrays(cell.problem, cells.SEED)
        y = cell.backend.device.get(cell.call(cell.x))
        truth = reference.compute(cell.problem, arrays, cells.SEED)
        self.outcome = check.judge("normal", y, arrays, truth, cell.problem, cell.backend.algorithm)

    def track_error_over_bound(self, _problem: str, _backend: str) -> float:
        return self.outcome.error / self.outcome.error_bound

    track_error_over_bound.unit = "fraction of the bound"

    def track_effective_bits(self, _problem: str, _backend: str) -> float:
        return self.outcome.effective_bits

    track_effective_bits.unit = "bits"
