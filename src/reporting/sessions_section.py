"""Sessions, model families and scopes compared: a section of the report, and a page of their own."""

from __future__ import annotations

from typing import Any

import polars as pl

from src.reporting.compared import MEASURES, SESSIONS
from src.reporting.compared_chart import difference_sentence, differences_chart
from src.reporting.data_table import DataColumn, DataTable, data_table
from src.reporting.formatting import counted, integer, three_decimals, two_decimals
from src.reporting.rendering import render
from src.reporting.report_data import ReportData
from src.reporting.sessions import GAINED, KEPT, LOST, SessionsCompared
from src.reporting.tables import Column, Table, table
from src.reporting.vega import figure

SESSIONS_PAGE = "sessions.html"
MOST_SETTINGS = 40


def compared_section(data: ReportData) -> str:
    """Write how this session differs from the last, and its model families from each other.

    Parameters
    ----------
    data : ReportData

    Returns
    -------
    str
        HTML; empty where nothing of single instruments is graded. Without another session of the same runs it says
        how to make one.
    """
    found = data.sessions
    if found is None or not found.sessions.height:
        return ""
    sentence = session_sentence(found) if found.last else None
    second = data.train_commands.get("second", "")
    return render("compared", sentence=sentence, page=SESSIONS_PAGE, second=second, **_charts(data, found))


def differences_section(data: ReportData) -> str:
    """Write the charts of `compared_section` alone."""
    found = data.sessions
    parts = {} if found is None else _charts(data, found)
    return render("compared", sentence=None, page="", second="", **parts) if parts.get("charts") else ""


def session_sentence(found: SessionsCompared) -> str:
    """Say how this session differs from the last.

    Parameters
    ----------
    found : SessionsCompared
        With a last session.

    Returns
    -------
    str
    """
    text = (
        f"Against the last session, {counted(found.pairs.height, 'run')} of the same instruments and families: "
        f"{counted(found.count(GAINED), 'pass', 'passes')} gained, {integer(found.count(LOST))} lost, "
        f"{integer(found.count(KEPT))} kept"
    )
    if found.same:
        text += f"; {integer(found.same)} are the same runs"
    own = found.differences.filter(kind=SESSIONS, measure="auc")
    said = [difference_sentence(row) for row in own.iter_rows(named=True)]
    return ". ".join([text, *(f"{each[0].upper()}{each[1:]}" for each in said)]) + "."


def scopes_sentence(data: ReportData) -> str:
    """Say how the pooled scores compare with the instruments' own models, on the instruments that have both.

    Parameters
    ----------
    data : ReportData

    Returns
    -------
    str
        Empty where one of the two was not trained.
    """
    if data.pooled is None or data.pooled.by_instrument.is_empty():
        return ""
    both = data.pooled.by_instrument.drop_nulls(["own_auc", "auc"])
    if both.is_empty():
        return ""
    medians = [three_decimals(both[name].median()) for name in ("auc", "own_auc")]  # type: ignore[arg-type]
    return (
        f"Scopes, median AUC of {counted(both.height, 'instrument')}: pooled scores {medians[0]}, the best of each "
        f"one's own models {medians[1]}."
    )


def sessions_headline(data: ReportData) -> str:
    """Write the top of the page of sessions."""
    found = data.sessions
    sentence = session_sentence(found) if found is not None and found.last else "No other session graded these runs."
    return render("sentence", sentence=sentence, simulated=data.simulated)


def listed_section(data: ReportData) -> str:
    """List the sessions."""
    found = data.sessions
    if found is None or not found.sessions.height:
        return ""
    marks = {found.this: "this", found.last: "last"}
    columns = [
        Column("session", lambda r: r["session"]),
        Column("", lambda r: marks.get(r["session"], "")),
        Column("name", lambda r: r["name"]),
        Column("runs", lambda r: integer(r["runs"]), lambda r: r["runs"]),
        Column("passed", lambda r: integer(r["passed"]), lambda r: r["passed"]),
        Column("median AUC", lambda r: three_decimals(r["auc"]), lambda r: r["auc"]),
        Column("median Sharpe", lambda r: two_decimals(r["sharpe"]), lambda r: r["sharpe"]),
    ]
    caption = f"{counted(found.sessions.height, 'session')}, in the order in which they graded"
    return render("listing", listing=table(columns, found.sessions.iter_rows(named=True), caption))


def settings_section(data: ReportData) -> str:
    """List the settings that differ between this session and the last."""
    found = data.sessions
    if found is None or not found.last or found.settings.is_empty():
        return ""
    return render("listing", listing=_settings(found.settings))


def _charts(data: ReportData, found: SessionsCompared) -> dict[str, Any]:
    """Charts of the differences, on how much they rest, and the scopes."""
    charts = [differences_chart(f"compared-{measure}", found.differences, measure) for measure in MEASURES]
    return {
        "charts": [figure(chart) for chart in charts if chart is not None],
        "sample": _sample(found.differences),
        "scopes": scopes_sentence(data),
    }


def _settings(settings: pl.DataFrame) -> Table:
    columns = [
        Column("setting", lambda r: r["setting"]),
        Column("last", lambda r: r["last"]),
        Column("this", lambda r: r["this"]),
    ]
    caption = counted(settings.height, "setting") + (
        f", the first {MOST_SETTINGS}" if settings.height > MOST_SETTINGS else ""
    )
    return table(columns, settings.head(MOST_SETTINGS).iter_rows(named=True), caption)


def changes_section(data: ReportData) -> str:
    """List the runs of both sessions, those whose pass changed first."""
    found = data.sessions
    if found is None or found.pairs.is_empty():
        return ""
    flags = {name: pl.col("change") == name for name in (GAINED, LOST, KEPT)}
    columns = (
        DataColumn("symbol", "symbol"),
        DataColumn("asset_class", "class", choices=True),
        DataColumn("family", "family", choices=True),
        DataColumn("change", "pass", hint="Whether the pass was gained, lost or kept."),
        DataColumn("auc_last", "AUC, last", "three"),
        DataColumn("auc", "AUC, this", "three"),
        DataColumn("sharpe_last", "Sharpe, last", "ratio"),
        DataColumn("sharpe", "Sharpe, this", "ratio"),
        DataColumn("max_drawdown_last", "drawdown, last", "percent"),
        DataColumn("max_drawdown", "drawdown, this", "percent"),
    )
    rows = found.pairs.with_columns(**flags)
    filters = {name: name for name in flags if found.count(name)}
    return data_table(DataTable("session-pairs", "Runs of both sessions", columns, rows, filters, noun="runs"))


def _sample(differences: pl.DataFrame) -> str:
    """On how much the intervals rest."""
    if differences.is_empty():
        return ""
    most = differences["instruments"].max()
    return f"95% intervals over calendar quarters, {counted(most, 'instrument')} sampled."  # type: ignore[arg-type]
