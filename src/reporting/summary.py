"""The report in numbers: the nested figures of metrics.json and the small tables that `dvc plots` draws."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from src.evaluation.grade import GATE_METRICS
from src.reporting.session_data import KEY, METRICS, STATES, Group, Luck, Material, Threshold

# Bins are anchored at the threshold, so that no bin straddles it and two revisions share their bins.
BIN_WIDTHS = {metric.name: metric.bin_width for metric in GATE_METRICS}
SPANS = {metric.name: metric.usual for metric in GATE_METRICS}
_EDGE = 1e-9


@dataclass(frozen=True)
class Distribution:
    """Counts of runs in equal bins; values beyond the span are counted in the outermost bins.

    Attributes
    ----------
    edges : float64 of shape (bins + 1,)
    runs, passed : int64 of shape (bins,)
        All runs, and those that clear all four thresholds.
    median, clearing : float or None
        Median of the metric, and the share of all runs that clears its threshold; null without a run.
    undefined : int
        Runs in which the metric is undefined: in no bin, and not clearing.
    """

    threshold: Threshold
    edges: npt.NDArray[np.float64]
    runs: npt.NDArray[np.int64]
    passed: npt.NDArray[np.int64]
    median: float | None
    clearing: float | None
    undefined: int


def edges(threshold: Threshold) -> npt.NDArray[np.float64]:
    """Give the bin edges of a metric: multiples of its bin width counted from the threshold, over its span."""
    width, (low, high) = BIN_WIDTHS[threshold.metric], SPANS[threshold.metric]
    first = math.floor((min(low, threshold.limit) - threshold.limit) / width + _EDGE)
    last = math.ceil((max(high, threshold.limit) - threshold.limit) / width - _EDGE)
    return threshold.limit + width * np.arange(first, last + 1, dtype=np.float64)


def distribution(grades: pl.DataFrame, threshold: Threshold) -> Distribution:
    """Count the runs of each bin; a value on the threshold lies on the side that clears."""
    bounds = edges(threshold)
    defined = grades.filter(pl.col(threshold.metric).is_not_null())
    values = defined[threshold.metric].to_numpy()
    steps = (values - bounds[0]) / BIN_WIDTHS[threshold.metric]
    index = np.floor(steps + _EDGE) if threshold.at_least else np.ceil(steps - _EDGE) - 1
    inside = np.clip(index, 0, len(bounds) - 2).astype(np.int64)
    passed = defined["passed"].to_numpy()
    bins = len(bounds) - 1
    clearing = grades.select(threshold.clears().mean()).item() if grades.height else None
    return Distribution(
        threshold,
        bounds,
        np.bincount(inside, minlength=bins),
        np.bincount(inside[passed], minlength=bins),
        float(np.median(values)) if len(values) else None,
        clearing,
        grades.height - defined.height,
    )


def metrics(material: Material) -> dict[str, Any]:
    """Give the nested numbers of metrics.json: no clock, no throughput, null where there is nothing to say."""
    grades, luck = material.grades, material.luck
    figures: dict[str, Any] = {
        "instruments": {stage: state_counts(material.states[stage]) for stage in material.stages},
        "runs": {
            **_tally(grades.height, luck),
            "instruments_passed": luck.instruments,
            "registrable": int(grades["registrable"].fill_null(False).sum()),
            "suspicious": grades["suspicious"].count(),
            "by_family": _by(material.groups, "family"),
            "by_asset_class": _by(material.groups, "asset_class"),
        },
        "expected_lucky_passes": _rounded(luck.expected),
        "lucky_passes_low": _rounded(luck.low),
        "lucky_passes_high": _rounded(luck.high),
        "lowest_q_value": _rounded(grades["q_value"].min()),
        "medians": {metric: _rounded(grades[metric].median()) for metric in METRICS},
    }
    if material.planted is not None:
        figures["planted"] = planted_counts(material)
    return figures


def state_counts(states: pl.DataFrame) -> dict[str, int]:
    """Count instruments by state, the four usual ones always named, and in total."""
    seen = dict(states["state"].value_counts().sort("state").iter_rows())
    return {"total": states.height, **dict.fromkeys(STATES, 0), **seen}


def planted_counts(material: Material) -> dict[str, int]:
    """Count planted instruments found and missed, and instruments without skill that passed by luck.

    An instrument is found where at least one of its runs passed; a planted one without a run is missed as well.
    """
    planted = material.planted or frozenset()
    tried = set(material.grades.select(KEY).unique().iter_rows())
    won = set(material.grades.filter("passed").select(KEY).unique().iter_rows())
    return {
        "planted": len(planted),
        "found": len(planted & won),
        "missed": len(planted - won),
        "untrained": len(planted - tried),
        "without_skill": len(tried - planted),
        "lucky": len(won - planted),
    }


def plots(material: Material) -> dict[str, pl.DataFrame]:
    """Give the tables that `dvc plots` draws, by file name."""
    shapes = {t.metric: distribution_table(distribution(material.grades, t)) for t in material.thresholds}
    return {**shapes, "pass_rates": pass_rates(material)}


def pass_rates(material: Material) -> pl.DataFrame:
    """Tabulate runs, passes and the passes that luck gives, for each group, as `dvc plots` draws them."""
    columns = ["group", "runs", "passed", "pass_rate", "expected_lucky_rate"]
    rows = [
        (
            group.name,
            group.runs,
            group.luck.passes,
            _rounded(group.pass_rate),
            _rounded(group.luck.expected / group.runs if group.luck.expected is not None and group.runs else None),
        )
        for group in material.groups
    ]
    kinds = (pl.String(), pl.Int64(), pl.Int64(), pl.Float64(), pl.Float64())
    return pl.DataFrame(rows, schema=dict(zip(columns, kinds, strict=True)), orient="row")


def distribution_table(shape: Distribution) -> pl.DataFrame:
    """Tabulate a distribution by the middle of its bins: share of runs, and share of runs that pass all four."""
    total = max(int(shape.runs.sum()), 1)
    middles = (shape.edges[:-1] + shape.edges[1:]) / 2
    return pl.DataFrame(
        {
            shape.threshold.metric: np.round(middles, 6),
            "share": np.round(shape.runs / total, 6),
            "share_passing": np.round(shape.passed / total, 6),
        }
    )


def _tally(runs: int, luck: Luck) -> dict[str, Any]:
    return {"total": runs, "passed": luck.passes, "pass_rate": _rounded(luck.passes / runs if runs else None)}


def _by(groups: tuple[Group, ...], kind: str) -> dict[str, Any]:
    return {
        group.name: {**_tally(group.runs, group.luck), "expected_lucky_passes": _rounded(group.luck.expected)}
        for group in groups
        if group.kind == kind
    }


def _rounded(value: Any) -> float | None:
    """Round to six significant digits: the last bits differ between machines and would look like a change."""
    return float(f"{float(value):.6g}") if value is not None and math.isfinite(value) else None
