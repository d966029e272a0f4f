"""Columns and types of the tables that a report reads, and what brings a stored table to them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import polars as pl

from src.core.instruments import KEY
from src.evaluation.grade import GATE_METRICS
from src.evaluation.pooled.assessment import POOLED_SCHEMA

METRICS = tuple(metric.name for metric in GATE_METRICS)

GRADE_SCHEMA: dict[str, pl.DataType] = {
    **dict.fromkeys(
        ("asset_class", "symbol", "family", "record_id", "session_key", "strategy_key", "graded_by", "suspicious"),
        pl.String(),
    ),
    **dict.fromkeys(("first_oos", "last_oos"), pl.Date()),
    **dict.fromkeys(("n_oos", "n_trials", "n_folds", "tuning_trials", "session_number"), pl.Int64()),
    **dict.fromkeys(METRICS, pl.Float64()),
    **dict.fromkeys(("majority_accuracy", "buy_hold_sharpe", "unsized_drawdown", "turnover"), pl.Float64()),
    **dict.fromkeys(("active_sharpe", "late_auc", "late_sharpe"), pl.Float64()),
    **dict.fromkeys(
        ("luck_rate", "z", "p_value", "sharpe_p_value", "q_value", "stepdown_p", "deflated_sharpe"), pl.Float64()
    ),
    "deflated_luck_rate": pl.Float64(),
    **dict.fromkeys(("passed", "registrable"), pl.Boolean()),
    "reasons": pl.List(pl.String()),
    **dict.fromkeys(("shift_passes", "shift_z"), pl.Binary()),
}
POOLED_GRADE_SCHEMA: dict[str, pl.DataType] = {**GRADE_SCHEMA, **{name: kind() for name, kind in POOLED_SCHEMA.items()}}
RETURNS_SCHEMA: dict[str, pl.DataType] = {"stamp": pl.Date(), **dict.fromkeys(("gross", "net"), pl.Float64())}
STATE_SCHEMA: dict[str, pl.DataType] = {
    **dict.fromkeys(("asset_class", "symbol", "state", "reason"), pl.String()),
    "rows": pl.Int64(),
    **dict.fromkeys(("first", "last"), pl.Date()),
}
EQUITY_SCHEMA: dict[str, pl.DataType] = {
    "record_id": pl.String(),
    "stamp": pl.Date(),
    "equity": pl.Float64(),
    "always_long_equity": pl.Float64(),
}


class ReportDataError(ValueError):
    """A table lacks a column that a report needs: the message names both."""


def grades_table(table: pl.DataFrame) -> pl.DataFrame:
    """Bring a grades table to `GRADE_SCHEMA`.

    Returns
    -------
    DataFrame
        Sorted by instrument and family. An undefined `passed` is False; NaN and infinities are null.

    Raises
    ------
    ReportDataError
        If a table with rows lacks asset_class, symbol, family or passed.
    """
    conformed = _conformed(table, GRADE_SCHEMA, (*KEY, "family", "passed"), "grades")
    return conformed.with_columns(pl.col("passed").fill_null(False)).sort(*KEY, "family", "record_id", nulls_last=True)


def pooled_grades_table(table: pl.DataFrame) -> pl.DataFrame:
    """Bring a grades table of the pooled scope to `POOLED_GRADE_SCHEMA`.

    Returns
    -------
    DataFrame
        Those that passed first, then by Sharpe ratio. An undefined `passed` is False; NaN and infinities are null.

    Raises
    ------
    ReportDataError
        If a table with rows lacks symbol, family, record_id, passed or weak.
    """
    required = ("symbol", "family", "record_id", "passed", "weak")
    conformed = _conformed(table, POOLED_GRADE_SCHEMA, required, "pooled grades")
    ordered = conformed.with_columns(pl.col("passed").fill_null(False))
    descending = [True, True, False, False, False]
    return ordered.sort("passed", "sharpe", "symbol", "family", "record_id", descending=descending, nulls_last=True)


def daily_table(table: pl.DataFrame) -> pl.DataFrame:
    """Bring the daily returns of a portfolio to `RETURNS_SCHEMA`.

    Returns
    -------
    DataFrame
        Sorted by date, without the days whose net return is undefined.

    Raises
    ------
    ReportDataError
        If a table with rows lacks stamp, gross or net.
    """
    conformed = _conformed(table, RETURNS_SCHEMA, ("stamp", "gross", "net"), "daily returns")
    return conformed.filter(pl.col("net").is_not_null() & pl.col("gross").is_not_null()).sort("stamp")


def states_table(table: pl.DataFrame, stage: str) -> pl.DataFrame:
    """Bring the states table of a stage to `STATE_SCHEMA`.

    Returns
    -------
    DataFrame
        Sorted by instrument; a missing reason is the empty string.

    Raises
    ------
    ReportDataError
        If a table with rows lacks asset_class, symbol or state.
    """
    conformed = _conformed(table, STATE_SCHEMA, (*KEY, "state"), f"{stage} states")
    return conformed.with_columns(pl.col("reason").fill_null("")).sort(*KEY)


def equity_table(table: pl.DataFrame) -> pl.DataFrame:
    """Bring equity curves to `EQUITY_SCHEMA`.

    Returns
    -------
    DataFrame
        Sorted by run and date, without the points where `equity` is undefined.

    Raises
    ------
    ReportDataError
        If a table with rows lacks record_id, stamp or equity.
    """
    conformed = _conformed(table, EQUITY_SCHEMA, ("record_id", "stamp", "equity"), "equity")
    return conformed.filter(pl.col("equity").is_not_null()).sort("record_id", "stamp")


def matching_equity(equity: pl.DataFrame, grades: pl.DataFrame, tolerance: float = 1e-6) -> pl.DataFrame:
    """Keep the curves whose drawdown, starting from 1, is the one that was graded.

    A curve that another session left with another strategy belongs to the same run but has another drawdown; it is left
    out.

    Parameters
    ----------
    equity : DataFrame
        In `EQUITY_SCHEMA`.
    grades : DataFrame
        With record_id and max_drawdown.
    tolerance : float
        Largest difference of the two drawdowns.

    Returns
    -------
    DataFrame
        Rows of `equity`.
    """
    peak = pl.max_horizontal(pl.lit(1.0), pl.col("equity").cum_max().over("record_id"))
    drawdowns = equity.select("record_id", drawdown=1 - pl.col("equity") / peak)
    deepest = drawdowns.group_by("record_id").agg(pl.col("drawdown").max())
    graded = deepest.join(grades.select("record_id", "max_drawdown"), on="record_id")
    matching = graded.filter((pl.col("drawdown") - pl.col("max_drawdown")).abs() <= tolerance)
    return equity.join(matching, on="record_id", how="semi", maintain_order="left")


def _conformed(
    table: pl.DataFrame, schema: Mapping[str, pl.DataType], required: Iterable[str], name: str
) -> pl.DataFrame:
    """Bring a table to a schema: a missing column is null, and so are NaN and infinities."""
    missing = [c for c in required if c not in table.columns]
    if missing and table.height:
        raise ReportDataError(f"the {name} table lacks {', '.join(missing)}: run the stage that writes it again")
    columns = [(pl.col(c) if c in table.columns else pl.lit(None)).cast(kind).alias(c) for c, kind in schema.items()]
    floats = [c for c, kind in schema.items() if kind == pl.Float64()]
    conformed = table.select(columns) if table.width else pl.DataFrame(schema=dict(schema))
    return conformed.with_columns(pl.when(pl.col(c).is_finite()).then(pl.col(c)).alias(c) for c in floats)
