"""The pooled scope on the page: each portfolio's verdict, what it stands on, its equity, and its figures by year."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from src.reporting.formatting import (
    DASH,
    METRIC_FORMATS,
    counted,
    integer,
    iso_date,
    percent,
    probability,
    three_decimals,
    threshold_value,
    two_decimals,
)
from src.reporting.glossary import explained
from src.reporting.pooled_by_instrument import by_instrument_section
from src.reporting.pooled_charts import portfolio_charts
from src.reporting.pooled_results import GradedPortfolio, PooledResults
from src.reporting.pooled_sentences import borrowing, strength, verdict
from src.reporting.pooled_tables import decay_table, year_table
from src.reporting.rendering import render
from src.reporting.report_data import ReportData, Threshold
from src.reporting.tables import Column, Row, Table, table
from src.reporting.time_charts import net_and_gross
from src.reporting.vega import figure


def pooled_section(data: ReportData) -> str:
    """Write the pooled scope: its portfolios one by one, then its scores by instrument.

    Parameters
    ----------
    data : ReportData
        The session.

    Returns
    -------
    str
        HTML; where no pooled model was trained, the sentence that says so, with the command.
    """
    results = data.pooled
    if results is None:
        return render("pooled", cards=None, untrained=data.train_commands.get("pooled"))
    return render(
        "pooled",
        cards=[_card(f"portfolio-{k}", each, data) for k, each in enumerate(results.portfolios)],
        recipe=_recipe(results),
        planted=_planted(data, results),
        reservations=[*(each.sentence() for each in results.survivorship.values()), borrowing(results)],
        found=by_instrument_section(results.by_instrument, data.train_commands.get("instrument")),
    )


def _recipe(results: PooledResults) -> str:
    """What the session predicted, and how its ranks were traded; empty where its settings are not stored."""
    chosen = results.settings
    if not {"label.name", "portfolio.name", "eligibility.name"} <= chosen.keys():
        return ""
    return (
        f"Label {chosen['label.name']}, eligibility {chosen['eligibility.name']}, portfolio {chosen['portfolio.name']}."
    )


def _planted(data: ReportData, results: PooledResults) -> str:
    """Whether an edge across simulated stocks was found, and by whom; empty where none is planted."""
    if not (data.simulated and float(str(results.settings.get("source.simulated.pooled_edge") or 0.0)) > 0):
        return ""
    passed = any(each.passed for each in results.portfolios if each.asset_class == "stock")
    found = f"The edge planted across these simulated stocks is {'found' if passed else 'missed'} by the pooled models."
    others = data.grades.filter(pl.col("asset_class") == "stock")
    own = [symbol for asset_class, symbol in data.planted or () if asset_class == "stock"]
    others = others.filter(~pl.col("symbol").is_in(own))
    if others.is_empty():
        return found
    lucky, all_ = others.filter("passed")["symbol"].n_unique(), others["symbol"].n_unique()
    without = f"{counted(all_, 'stock')} without an edge of {'its' if all_ == 1 else 'their'} own"
    return f"{found} Of {without}, {lucky:,} passed with models of one stock."


def _card(anchor: str, portfolio: GradedPortfolio, data: ReportData) -> dict[str, Any]:
    row, daily, thresholds = portfolio.row, portfolio.daily, data.thresholds
    pages = ((data.sheets, "Tear sheet"), (data.run_pages, "its run in MLflow"))
    return {
        "name": f"{row['symbol']} · {row['family']}",
        "verdict": verdict(portfolio, thresholds),
        "weak": portfolio.weak,
        "strength": strength(row),
        "pages": [(known[row["record_id"]], text) for known, text in pages if row["record_id"] in known],
        "metrics": _metrics(portfolio, thresholds),
        "chart": figure(net_and_gross(anchor, daily, portfolio.title)) if daily.height > 1 else None,
        "charts": portfolio_charts(anchor, portfolio),
        "facts": [*_evidence(row), *_trading(row)],
        "tables": [each for each in (year_table(portfolio.by_year), decay_table(portfolio.decay)) if each is not None],
    }


def _metrics(portfolio: GradedPortfolio, thresholds: Sequence[Threshold]) -> Table:
    """Each metric of the gate with its threshold, and what to compare it with."""
    row = portfolio.row
    beside = {
        "auc": f"low-volatility sort, untrained: {three_decimals(row['low_volatility_auc'])}",
        "accuracy": f"always the more common side: {percent(row['majority_accuracy'])}",
        "sharpe": f"before costs: {two_decimals(row['gross_sharpe'])}",
    }
    columns = [
        Column("metric", lambda r: r["threshold"].name),
        Column("value", lambda r: METRIC_FORMATS[r["threshold"].metric](r["value"]), lambda r: r["value"]),
        Column("threshold", lambda r: _limit(r["threshold"]), lambda r: r["threshold"].limit),
        Column("", lambda r: "clears" if r["threshold"].clears(r["value"]) else "misses"),
        Column("compare with", lambda r: beside.get(r["threshold"].metric, DASH)),
    ]
    rows: list[Row] = [{"threshold": each, "value": row[each.metric]} for each in thresholds]
    return table(columns, rows, f"{portfolio.title} against the thresholds", "gate")


def _limit(threshold: Threshold) -> str:
    return f"{'≥' if threshold.at_least else '≤'} {threshold_value(threshold.metric, threshold.limit)}"


def _evidence(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What says how likely the result is luck."""
    interval = f"{two_decimals(row['sharpe_low'])} to {two_decimals(row['sharpe_high'])}"
    information = f"IC {three_decimals(row['ic'])}, t {two_decimals(row['ic_t'])}"
    prior = f", {row['prior_trials']:,} of them before this recipe" if row["prior_trials"] else ""
    return [
        (explained("draws", "luck rate"), "no draw passes" if row["luck_rate"] == 0 else percent(row["luck_rate"])),
        (explained("sharpe_low", "Sharpe, 90% interval"), interval),
        (explained("net_p"), f"{probability(row['net_p'])} (t {two_decimals(row['net_t'])})"),
        (
            explained("ic_p"),
            f"{probability(row['ic_p'])} ({information})",
        ),
        (explained("prior_trials" if prior else "n_trials", "trials"), f"{integer(row['n_trials'])}{prior}"),
        (explained("adjusted_t"), f"t {two_decimals(row['adjusted_t'])}, p {probability(row['adjusted_p'])}"),
    ]


def _trading(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What the portfolio holds, trades and pays."""
    names = ("beta", "volatility_exposure", "size_exposure", "gross_exposure", "net_exposure")
    beta, volatility, size, gross, net = (two_decimals(row[name]) for name in names)
    break_even = DASH if row["break_even_bps"] is None else f"{two_decimals(row['break_even_bps'])} bp"
    late = f"AUC {three_decimals(row['late_auc'])}, Sharpe {two_decimals(row['late_sharpe'])}"
    first, last = iso_date(row["first_oos"]), iso_date(row["last_oos"])
    return [
        (
            "out of sample",
            f"{counted(row['n_oos'], 'day')}, {first} to {last}",
        ),
        (explained("break_even_bps"), break_even),
        (explained("cost_a_year"), f"{percent(row['cost_a_year'])}, and {percent(row['borrow_a_year'])} for borrowing"),
        (explained("turnover"), f"{integer(row['turnover'])} times equity a year"),
        ("held", f"{integer(row['names'])} names; gross {gross}, net {net}"),
        (explained("volatility_exposure", "exposure"), f"beta {beta}, volatility {volatility}, traded volume {size}"),
        (explained("capacity"), _dollars(row["capacity"])),
        (explained("late_auc", "a day late"), late),
    ]


def _dollars(value: float | None) -> str:
    if value is None:
        return DASH
    return f"${value / 1e6:,.1f} million" if value >= 1e5 else f"${value:,.0f}"
