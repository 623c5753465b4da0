"""The NumPy dtype that each of a problem's dtype names stands for."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np


@functools.cache
def numpy_dtype(name: str) -> np.dtype[Any]:
    """The dtype of a problem's arrays: float32, float64 and float16 are NumPy's own, bfloat16 is ml_dtypes'.

    NumPy reads the text "bfloat16" only after ml_dtypes was imported, which happens here when it is first asked for.
    Its functions treat such arrays like any others, except that `np.finfo` does not know the type, its kind is "V"
    rather than "f", and `np.save` forgets which type it was.

    Args:
        name: A `ConvProblem.dtype`.
    """
    if name == "bfloat16":
        import ml_dtypes

        bfloat16: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
        return bfloat16
    return np.dtype(name)
