"""Fits on expanding windows: each trains on the first of the same rows, which are copied once for all windows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from src.core.arrays import Matrix, Vector
from src.models.registry import family, windowed_family

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
        Features; NaN where undefined.
    y : float64, shape (m,), in {0, 1}
        Labels: 1 where the return is positive.
    positions : int64, shape (m,), ascending
        Which decision each row is.
    """

    x: Matrix
    y: Vector
    positions: IntArray


def examples(features: Matrix, decisions: Decisions) -> Examples:
    """Take the decisions that have a direction from an instrument's features.

    Parameters
    ----------
    features : float32, shape (bars, features)
        One row for each bar.
    decisions : Decisions
        The instrument's decisions; those whose label is NaN are left out.

    Returns
    -------
    Examples
    """
    positions = np.flatnonzero(np.isfinite(decisions.label)).astype(np.int64)
    x = np.ascontiguousarray(features[decisions.rows[positions]], dtype=np.float32)
    return Examples(x, decisions.label[positions], positions)


def window_models(
    examples: Examples,
    ends: Sequence[int],
    model: ModelConfig,
    feature_names: list[str],
    seed: int,
    *,
    first: int | None = None,
) -> Iterator[Any]:
    """Fit a model on the examples before each end, one after the other.

    Parameters
    ----------
    examples : Examples
        Examples of all windows.
    ends : sequence of int
        Number of decisions in each training window, all from the first decision.
    model : ModelConfig
        Family, hyperparameters and device.
    feature_names : list of str
        Names of the columns of ``examples.x``.
    seed : int
        Seed of the fits.
    first : int, optional
        Number of decisions in the training window whose values decide the bins of the features, where a family shares
        them among the windows; the first of `ends` if left out.

    Yields
    ------
    model
        The family's own model object, in the order of `ends`.
    """
    x, y = examples.x, examples.y
    bins, *rows = np.searchsorted(examples.positions, [ends[0] if first is None else first, *ends]).tolist()
    windowed = windowed_family(model.family)
    if windowed is not None and model.device == "cpu":
        yield from windowed.fit_windows(x, y, rows, model.params, seed, feature_names, bins=bins)
        return
    library = family(model.family)
    for end in rows:
        yield library.fit(x[:end], y[:end], model.params, seed, feature_names, model.device)


def final_model(examples: Examples, first: int, model: ModelConfig, feature_names: list[str], seed: int) -> Any:
    """Fit a model on all examples: the graded procedure with one more window.

    Parameters
    ----------
    examples : Examples
        Examples to fit on.
    first : int
        Number of decisions in the first training window of the walk-forward.
    model : ModelConfig
        Family, hyperparameters and device.
    feature_names : list of str
        Names of the columns of ``examples.x``.
    seed : int
        Seed of the fit.

    Returns
    -------
    model
        The family's own model object.
    """
    whole = int(examples.positions[-1]) + 1
    return next(window_models(examples, [whole], model, feature_names, seed, first=first))
