"""What a model family offers, and the library behind it, imported when it is first asked for something."""

from __future__ import annotations

import importlib
from importlib import metadata
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from src.core.arrays import Matrix, Vector


class Family(Protocol):
    """What a model family offers; `x` is float32 (rows, features) with NaN for missing, `y` is 0 or 1."""

    FILE: str
    """Name of the native model file."""

    def version(self) -> str:
        """Name and version of the library: part of a run's key."""

    def fit(self, x: Matrix, y: Vector, params: Any, seed: int, names: list[str], device: str = "cpu") -> Any:
        """Fit on one thread, deterministically for a seed."""

    def predict(self, model: Any, x: Matrix) -> Vector:
        """P(up) of each row, float64 in [0, 1]."""

    def importance(self, model: Any, names: list[str]) -> Vector:
        """Each feature's share of what the model's splits gained, in the order of `names`; sums to 1, or to 0."""

    def save(self, model: Any, path: Path) -> None:
        """Write the native file."""

    def load(self, path: Path) -> Any:
        """Read the native file; nothing is unpickled."""


class Library:
    """A model library, imported when it is first asked for something: whoever plans the work needs none of them."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(importlib.import_module(self._name), attribute)

    def code(self) -> dict[str, str]:
        """Return the library's name, which is all that a hash of code knows of it: its release is hashed elsewhere."""
        return {"library": self._name}


def release(name: str) -> str:
    """Release of a library, without importing it where its package has its name."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:  # built under another name, as xgboost-cpu is
        return str(importlib.import_module(name).__version__)


def shares(gains: Vector) -> Vector:
    """Gains as shares of their sum; all zero where there was no split."""
    total = gains.sum()
    return gains / total if total > 0.0 else np.zeros_like(gains)
