"""A backend that passes everything on to another and writes down what the libraries in its process are set to."""

from __future__ import annotations

import json
import os
from pathlib import Path

import threadpoolctl

import backends
from backends import Array, ConvCall, ConvProblem
from harness import thread_audit


class Audited:
    """Writes a JSON object of pools into the file that AUDIT_FILE names, at each call."""

    def __init__(self, *, backend: str, layout: str | None = None) -> None:
        self._inner = backends.get(f"{backend}[layout={layout}]" if layout else backend)
        self.name = f"audited:{backend}"
        self.algorithm, self.device = self._inner.algorithm, self._inner.device

    def why_unsupported(self, problem: ConvProblem) -> str | None:
        return self._inner.why_unsupported(problem)

    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        right = self._inner.prepare(problem, weight, bias)

        def call(x: Array) -> Array:
            y = right(x)
            Path(os.environ["AUDIT_FILE"]).write_text(json.dumps(thread_audit.pools()))
            return y

        return call


class Foreign(Audited):
    """Anyone's own class, which sets nothing by itself: its library has read the environment when it was loaded."""

    def __init__(self) -> None:
        super().__init__(backend="naive")
        self.name = "audited:Foreign"


class Raising(Audited):
    """Sets BLAS to a number of its own."""

    def __init__(self) -> None:
        super().__init__(backend="im2col")
        self.name = "audited:Raising"

    def prepare(self, problem: ConvProblem, weight: Array, bias: Array | None = None) -> ConvCall:
        right = super().prepare(problem, weight, bias)
        threadpoolctl.threadpool_limits(limits=3, user_api="blas")
        return right
