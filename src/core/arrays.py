"""Types of arrays that go from package to package."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
DateArray = npt.NDArray[np.datetime64]
Matrix = npt.NDArray[np.float32]
"""Features: float32, shape (rows, features), NaN where undefined."""
Vector = npt.NDArray[np.float64]
"""One value for each row of a matrix: float64, shape (rows,)."""
Bytes = npt.NDArray[np.uint8]
"""Ranks and categories of a pooled model: uint8, shape (rows, columns)."""
Scores = npt.NDArray[np.float32]
"""One score for each row of them."""
