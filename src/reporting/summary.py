"""The report in numbers: the nested figures of metrics.json and the small tables that `dvc plots` draws."""

from __future__ import annotations

import math
from typing import Any

import polars as pl

from src.core.instruments import KEY
from src.evaluation.placebo import PlaceboEvidence
from src.reporting.binning import distribution, distribution_table
from src.reporting.pooled_by_instrument import found_figures
from src.reporting.pooled_results import PooledResults
from src.reporting.quality import quality_figures
from src.reporting.report_data import STATES, STEPDOWN_LEVEL, Group, Luck, ReportData
from src.reporting.schemas import METRICS

POOLED_FIGURES = (
    *METRICS, "low_volatility_auc", "luck_rate", "ic", "ic_t", "net_t", "adjusted_t", "break_even_bps", "capacity",
    "turnover", "late_auc", "late_sharpe",
)  # fmt: skip
"""Figures of a portfolio in metrics.json."""


def summary(data: ReportData) -> dict[str, Any]:
    """Give the figures of metrics.json.

    Parameters
    ----------
    data : ReportData
        The session.

    Returns
    -------
    dict
        Nested numbers, rounded to six significant digits; null if undefined. No times and no throughput, which would
        make every rerun look like a change.
    """
    grades, luck = data.grades, data.luck
    figures: dict[str, Any] = {
        "instruments": {stage: state_counts(data.states[stage]) for stage in data.stages},
        "runs": {
            **_pass_counts(grades.height, luck),
            "instruments_passed": luck.instruments,
            "registrable": int(grades["registrable"].fill_null(False).sum()),
            "suspicious": grades["suspicious"].count(),
            "by_family": _by(data.groups, "family"),
            "by_asset_class": _by(data.groups, "asset_class"),
        },
        "expected_lucky_passes": _rounded(luck.expected),
        "lucky_passes_low": _rounded(luck.low),
        "lucky_passes_high": _rounded(luck.high),
        **_lucky_instruments(luck),
        "deflated_sharpe": {"passed": luck.deflated, "expected_lucky": _rounded(luck.expected_deflated)},
        "stepdown_instruments": grades.filter(pl.col("stepdown_p") <= STEPDOWN_LEVEL).select(KEY).n_unique(),
        "overfitting": _overfitting(data),
        "session_number": luck.session_number,
        "lowest_q_value": _rounded(grades["q_value"].min()),
        "medians": {metric: _rounded(grades[metric].median()) for metric in METRICS},
    }
    if data.quality is not None:
        figures["quality"] = quality_figures(data.quality)
    if data.placebo is not None:
        figures["placebo"] = placebo_counts(data.placebo)
    if data.planted is not None:
        figures["planted"] = planted_counts(data)
    if data.pooled is not None:
        figures["pooled"] = pooled_figures(data.pooled)
    return figures


def pooled_figures(results: PooledResults) -> dict[str, Any]:
    """Give the figures of the pooled scope.

    Parameters
    ----------
    results : PooledResults
        Its last session.

    Returns
    -------
    dict
        Numbers of portfolios: total, passed, weak; whether survivors only; and the figures of each portfolio by asset
        class, name and family.
    """
    nested: dict[str, dict[str, dict[str, Any]]] = {}
    for each in results.portfolios:
        name = str(each.row["symbol"]).partition(".")[2]
        own = {figure: _rounded(each.row[figure]) for figure in POOLED_FIGURES}
        counts = {"passed": int(each.passed), "weak": int(each.weak), "trials": each.row["n_trials"]}
        nested.setdefault(each.asset_class, {}).setdefault(name, {})[str(each.row["family"])] = {**counts, **own}
    return {
        "total": len(results.portfolios),
        "passed": results.passed,
        "weak": sum(each.weak for each in results.portfolios),
        "survivors_only": int(results.survivors_only),
        "portfolios": nested,
        "by_instrument": None if results.by_instrument.is_empty() else found_figures(results.by_instrument),
    }


def _lucky_instruments(luck: Luck) -> dict[str, float | None]:
    """Instruments to expect with a lucky pass, and their range; null if not computed."""
    expected, low, high = luck.by_instrument or (None, None, None)
    return {
        "expected_lucky_instruments": _rounded(expected),
        "lucky_instruments_low": _rounded(low),
        "lucky_instruments_high": _rounded(high),
    }


def _overfitting(data: ReportData) -> dict[str, float | None]:
    found = data.overfitting
    return {
        "median": _rounded(found and found.median),
        "mean": _rounded(found and found.mean),
        "instruments": found.instruments if found else 0,
    }


def state_counts(states: pl.DataFrame) -> dict[str, int]:
    """Count the instruments in each state.

    Returns
    -------
    dict of str to int
        The total, each of the four states (0 if it has none), and any other state that occurs.
    """
    counts = dict(states["state"].value_counts().sort("state").iter_rows())
    return {"total": states.height, **dict.fromkeys(STATES, 0), **counts}


def planted_counts(data: ReportData) -> dict[str, int]:
    """Count the planted edges that were found and missed, and the lucky passes.

    Returns
    -------
    dict of str to int
        Instruments: planted, found (at least one run passed), missed (untrained ones included), untrained,
        without_skill (trained, without an edge), and lucky (of these, at least one run passed).
    """
    planted = data.planted or frozenset()
    trained = set(data.grades.select(KEY).unique().iter_rows())
    passed = set(data.grades.filter("passed").select(KEY).unique().iter_rows())
    return {
        "planted": len(planted),
        "found": len(planted & passed),
        "missed": len(planted - passed),
        "untrained": len(planted - trained),
        "without_skill": len(trained - planted),
        "lucky": len(passed - planted),
    }


def plot_tables(data: ReportData) -> dict[str, pl.DataFrame]:
    """Give the tables that `dvc plots` draws.

    Returns
    -------
    dict of str to DataFrame
        By file name: the distribution of each metric, and `pass_rates`.
    """
    distributions = {t.metric: distribution_table(distribution(data.grades, t)) for t in data.thresholds}
    return {**distributions, "pass_rates": pass_rates(data)}


def pass_rates(data: ReportData) -> pl.DataFrame:
    """Tabulate the passes of each asset class and model family.

    Returns
    -------
    DataFrame
        group, runs, passed, pass_rate and expected_lucky_rate; null if undefined.
    """
    rows = [
        (
            group.name,
            group.runs,
            group.luck.passes,
            _rounded(group.pass_rate),
            _rounded(group.luck.expected / group.runs if group.luck.expected is not None and group.runs else None),
        )
        for group in data.groups
    ]
    schema = {
        "group": pl.String(),
        "runs": pl.Int64(),
        "passed": pl.Int64(),
        "pass_rate": pl.Float64(),
        "expected_lucky_rate": pl.Float64(),
    }
    return pl.DataFrame(rows, schema=schema, orient="row")


def _pass_counts(runs: int, luck: Luck) -> dict[str, Any]:
    return {"total": runs, "passed": luck.passes, "pass_rate": _rounded(luck.passes / runs if runs else None)}


def _by(groups: tuple[Group, ...], column: str) -> dict[str, Any]:
    return {
        group.name: {**_pass_counts(group.runs, group.luck), "expected_lucky_passes": _rounded(group.luck.expected)}
        for group in groups
        if group.column == column
    }


def placebo_counts(found: PlaceboEvidence) -> dict[str, Any]:
    """Count the placebo runs, and their passes against luck.

    Returns
    -------
    dict
        runs, passed, expected, low and high of the session; the same of all sessions, with their number, nested.
    """
    session, total = ({**part.figures(), "expected": _rounded(part.expected)} for part in (found.session, found.total))
    return {**session, "all_sessions": {"sessions": found.sessions, **total}}


def _rounded(value: Any) -> float | None:
    """Round to six significant digits: the last bits differ between machines and would look like a change."""
    return float(f"{float(value):.6g}") if value is not None and math.isfinite(value) else None
