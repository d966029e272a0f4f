"""Distributions of the metrics over runs, in bins that are counted from the threshold."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from src.evaluation.grade import GATE_METRICS
from src.reporting.report_data import Threshold

# Bins are anchored at the threshold, so that no bin straddles it and two revisions have the same bins.
BIN_WIDTHS = {metric.name: metric.bin_width for metric in GATE_METRICS}
SPANS = {metric.name: metric.usual for metric in GATE_METRICS}
_EDGE = 1e-9


@dataclass(frozen=True)
class Distribution:
    """Numbers of runs in equal bins of one metric; values beyond the span are counted in the outermost bins.

    Attributes
    ----------
    threshold : Threshold
        Of the metric.
    edges : float64 of shape (bins + 1,)
        Of the bins, ascending.
    runs, passed : int64 of shape (bins,)
        All runs, and those that pass.
    median, clearing : float or None
        Median of the metric, and share of all runs that clears its threshold; None without runs.
    undefined : int
        Runs whose metric is undefined: they are in no bin and do not clear.
    """

    threshold: Threshold
    edges: npt.NDArray[np.float64]
    runs: npt.NDArray[np.int64]
    passed: npt.NDArray[np.int64]
    median: float | None
    clearing: float | None
    undefined: int


def bin_edges(threshold: Threshold) -> npt.NDArray[np.float64]:
    """Give the bin edges of a metric.

    Parameters
    ----------
    threshold : Threshold
        Of the metric.

    Returns
    -------
    float64 of shape (bins + 1,)
        Multiples of the metric's bin width counted from the threshold, over its span.
    """
    width, (low, high) = BIN_WIDTHS[threshold.metric], SPANS[threshold.metric]
    first = math.floor((min(low, threshold.limit) - threshold.limit) / width + _EDGE)
    last = math.ceil((max(high, threshold.limit) - threshold.limit) / width - _EDGE)
    return threshold.limit + width * np.arange(first, last + 1, dtype=np.float64)


def distribution(grades: pl.DataFrame, threshold: Threshold) -> Distribution:
    """Count the runs in each bin of a metric.

    Parameters
    ----------
    grades : DataFrame
        With the metric's column and `passed`.
    threshold : Threshold
        Of the metric.

    Returns
    -------
    Distribution
        A value on the threshold lies on the side that clears.
    """
    edges = bin_edges(threshold)
    defined = grades.filter(pl.col(threshold.metric).is_not_null())
    values = defined[threshold.metric].to_numpy()
    steps = (values - edges[0]) / BIN_WIDTHS[threshold.metric]
    index = np.floor(steps + _EDGE) if threshold.at_least else np.ceil(steps - _EDGE) - 1
    inside = np.clip(index, 0, len(edges) - 2).astype(np.int64)
    passed = defined["passed"].to_numpy()
    bins = len(edges) - 1
    clearing = grades.select(threshold.is_cleared().mean()).item() if grades.height else None
    return Distribution(
        threshold,
        edges,
        np.bincount(inside, minlength=bins),
        np.bincount(inside[passed], minlength=bins),
        float(np.median(values)) if len(values) else None,
        clearing,
        grades.height - defined.height,
    )


def distribution_table(shape: Distribution) -> pl.DataFrame:
    """Tabulate a distribution for `dvc plots`.

    Returns
    -------
    DataFrame
        The middle of each bin (named by the metric), `share` of runs, and `share_passing`.
    """
    total = max(int(shape.runs.sum()), 1)
    middles = (shape.edges[:-1] + shape.edges[1:]) / 2
    return pl.DataFrame(
        {
            shape.threshold.metric: np.round(middles, 6),
            "share": np.round(shape.runs / total, 6),
            "share_passing": np.round(shape.passed / total, 6),
        }
    )
