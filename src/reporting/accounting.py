"""The end state of every instrument: one state per stage, counts that add up to the universe, and grouped reasons."""

from __future__ import annotations

import polars as pl

from src.core.instruments import KEY
from src.reporting.charts import states_chart
from src.reporting.formatting import counted, integer, joined
from src.reporting.quality import QUALITY_PAGE, affected
from src.reporting.rendering import render
from src.reporting.report_data import STATES, ReportData
from src.reporting.summary import state_counts
from src.reporting.tables import Column, Row, Table, table
from src.reporting.vega import figure
from src.storage.state_counts import reason_groups

MOST_REASONS = 25
ADDS_UP = "adds up"


def balance(states: pl.DataFrame, universe: pl.DataFrame) -> str:
    """Say whether the states of a stage add up to the universe.

    Parameters
    ----------
    states : DataFrame
        In `schemas.STATE_SCHEMA`.
    universe : DataFrame
        asset_class and symbol of all instruments.

    Returns
    -------
    str
        ``adds up``, or the numbers of instruments that are missing, foreign, counted twice or in an unknown state.
    """
    doubled = states.height - states.unique(KEY).height
    if doubled:
        return f"{counted(doubled, 'instrument')} counted more than once"
    faults = [
        (universe.join(states, on=KEY, how="anti").height, "not processed yet"),
        (states.join(universe, on=KEY, how="anti").height, "not in the universe"),
        (states.filter(~pl.col("state").is_in(STATES)).height, "in an unknown state"),
    ]
    return "; ".join(f"{n:,} {fault}" for n, fault in faults if n) or ADDS_UP


def accounting_section(data: ReportData) -> str:
    """Write the states of each stage, whether they add up, and the grouped reasons.

    Returns
    -------
    str
        HTML.
    """
    if not data.states:
        return render("accounting", overall=None)
    universe = data.states[data.stages[0]].select(KEY).unique()
    overall, by_class = _state_tables(data, universe)
    counts = {stage: state_counts(data.states[stage]) for stage in data.stages}
    listings = (_reason_table(stage, data.reasons(stage)) for stage in data.stages)
    return render(
        "accounting",
        universe=counted(universe.height, "instrument"),
        faults=_faults(data, universe),
        chart=figure(states_chart(counts)),
        bars=affected(data),
        quality_page=QUALITY_PAGE,
        overall=overall,
        by_class=by_class,
        reasons=[listing for listing in listings if listing],
    )


def _faults(data: ReportData, universe: pl.DataFrame) -> str:
    """Stages whose counts differ from the universe; empty where all add up."""
    found = {stage: balance(data.states[stage], universe) for stage in data.stages}
    return " ".join(f"{stage}: {fault}." for stage, fault in found.items() if fault != ADDS_UP)


def _state_tables(data: ReportData, universe: pl.DataFrame) -> tuple[Table, Table]:
    """Count the states of each stage, overall and by asset class."""
    totals: list[Row] = []
    by_class: list[Row] = []
    for stage in data.stages:
        states = data.states[stage]
        totals.append({"stage": stage, **state_counts(states), "check": balance(states, universe)})
        for name in states["asset_class"].unique().sort().to_list():
            part, within = (frame.filter(pl.col("asset_class") == name) for frame in (states, universe))
            by_class.append({"stage": stage, "class": name, **state_counts(part), "check": balance(part, within)})
    stage_column = Column("stage", lambda r: r["stage"])
    counts = [*(_count(state) for state in STATES), _count("total"), Column("check", lambda r: r["check"])]
    overall = table([stage_column, *counts], totals, "Instruments by state after each stage", "states")
    class_column = Column("class", lambda r: r["class"])
    return overall, table([stage_column, class_column, *counts], by_class, "The same by asset class", "states")


def _count(name: str) -> Column:
    return Column(name, lambda r: integer(r[name]), lambda r: r[name])


def _reason_table(stage: str, rows: pl.DataFrame) -> Table | None:
    grouped = reason_groups(rows)
    if not grouped:
        return None
    columns = [
        Column("state", lambda r: r["state"]),
        Column("instruments", lambda r: integer(r["count"]), lambda r: r["count"]),
        Column("reason (first occurrence)", lambda r: r["reason"]),
        Column("examples", lambda r: r["symbols"]),
    ]
    listed: list[Row] = [
        {"state": g.state, "count": len(g.symbols), "reason": g.reason, "symbols": joined(g.symbols)}
        for g in grouped[:MOST_REASONS]
    ]
    caption = f"{stage}: {counted(len(grouped), 'reason')}"
    if len(grouped) > MOST_REASONS:
        caption += f", the first {MOST_REASONS} shown; all are in the stage's states table"
    return table(columns, listed, caption)
