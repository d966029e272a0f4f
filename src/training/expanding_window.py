"""The fits of one instrument: windows that grow, so each trains on the first of the same rows, copied once for all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from src.core.arrays import Matrix, Vector
from src.models.registry import family

if TYPE_CHECKING:
    from src.config.schema import ModelConfig
    from src.core.arrays import IntArray
    from src.evaluation.labels import Decisions


@dataclass(frozen=True)
class Examples:
    """The decisions that have a direction, in order: what fits learn from.

    Attributes
    ----------
    x : float32, shape (m, features), C-contiguous
    y : float64, shape (m,), in {0, 1}
    positions : int64, shape (m,), ascending
        Which decision each row is.
    """

    x: Matrix
    y: Vector
    positions: IntArray


def examples(features: Matrix, chosen: Decisions) -> Examples:
    """Take the decisions that have a direction from an instrument's features, shape (bars, features)."""
    positions = np.flatnonzero(np.isfinite(chosen.label)).astype(np.int64)
    x = np.ascontiguousarray(features[chosen.rows[positions]], dtype=np.float32)
    return Examples(x, chosen.label[positions], positions)


def each(known: Examples, ends: list[int], model: ModelConfig, names: list[str], seed: int) -> Iterator[Any]:
    """Fit on what is known of the decisions before each end, one model after the other.

    Parameters
    ----------
    known : Examples
    ends : list of int
        Number of decisions in each training window, all from the first one.
    model : ModelConfig
    names : list of str
        Of the features.
    seed : int
    """
    library = family(model.family)
    for rows in np.searchsorted(known.positions, ends):
        yield library.fit(known.x[:rows], known.y[:rows], model.params, seed, names, model.device)
