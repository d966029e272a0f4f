"""Fits on expanding windows: each trains on the first of the same rows, which are copied once for all windows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from src.core.arrays import Matrix, Vector
from src.models.registry import family, windowed_family

if TYPE_CHECKING:
    from src.config.schema import ModelConfig
    from src.core.arrays import BoolArray, IntArray
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
    before: Sequence[int] = (),
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
    before : sequence of int, optional
        Ends of the windows of the same walk-forward that come before: they count in `binned_rows`.

    Yields
    ------
    model
        The family's own model object, in the order of `ends`.
    """
    x, y = examples.x, examples.y
    every = np.searchsorted(examples.positions, [*before, *ends]).tolist()
    windowed = windowed_family(model.family)
    if windowed is not None and model.device == "cpu":
        windows = zip(binned_rows(x, every)[len(before) :], every[len(before) :], strict=True)
        for bins, group in groupby(windows, key=itemgetter(0)):
            rows = [end for _, end in group]
            yield from windowed.fit_windows(x, y, rows, model.params, seed, feature_names, bins=bins)
        return
    library = family(model.family)
    for end in every[len(before) :]:
        yield library.fit(x[:end], y[:end], model.params, seed, feature_names, model.device)


def binned_rows(x: Matrix, ends: Sequence[int]) -> list[int]:
    """Return for each window the number of first rows whose values decide the bins of its features.

    These are the rows of the first window, until a column that had a single value or none has two, such as a column of
    facts that were first collected later: from then on they are the rows of that window. So a window's bins depend on
    no row after it.

    Parameters
    ----------
    x : float32, shape (rows, columns)
        NaN where a value is missing.
    ends : sequence of int
        Number of rows of each window, ascending.

    Returns
    -------
    list of int
        In the order of `ends`, each at most the end of its window.
    """
    found = [ends[0]]
    flat = _flat(x[: ends[0]])
    for end in ends[1:]:
        still = flat.copy()
        still[flat] = _flat(x[:end, flat])
        found.append(end if (still != flat).any() else found[-1])
        flat = still
    return found


def _flat(x: Matrix) -> BoolArray:
    """Whether a column has a single value or none."""
    return np.asarray(~(np.fmin.reduce(x, axis=0) < np.fmax.reduce(x, axis=0)), dtype=np.bool_)


def final_model(
    examples: Examples, ends: Sequence[int], model: ModelConfig, feature_names: list[str], seed: int
) -> Any:
    """Fit a model on all examples: the graded procedure with one more window.

    Parameters
    ----------
    examples : Examples
        Examples to fit on.
    ends : sequence of int
        Number of decisions in each training window of the walk-forward.
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
    return next(window_models(examples, [whole], model, feature_names, seed, before=ends))
