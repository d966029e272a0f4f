"""Columns of the tables that a book consists of: a line for each decision, and the netted weights."""

from __future__ import annotations

from typing import Any

import polars as pl

LINE_KEY = ["name", "asset_class", "symbol", "decided_on"]
"""One decision: of a champion, on an instrument, at the close of one bar."""
LINES: dict[str, Any] = {
    "book_date": pl.Date(),  # the book that holds the line
    "name": pl.String(),  # registered model, such as stock.AAPL or pooled.stock.neutral
    "version": pl.Int64(),
    "scope": pl.String(),  # instrument or pooled
    "family": pl.String(),
    "record_id": pl.String(),
    "model_sha256": pl.String(),
    "asset_class": pl.String(),  # of the instrument that is traded
    "symbol": pl.String(),
    "state": pl.String(),  # said or refused
    "reason": pl.String(),  # why it is refused; null where it is said
    "holds": pl.Boolean(),  # of a refused one: its bar is missing or late, so the weight stays; else it goes to cash
    "decided_on": pl.Datetime("us"),  # of the bar at whose close the decision was made
    "trade_on": pl.Date(),  # session at whose open it is entered
    "bar_age": pl.Int64(),  # sessions of the class between the bar and the book
    "score": pl.Float64(),  # P(up) of an instrument's model; the rank of a pooled one, (rank - 1/2) / names of the day
    "exposure": pl.Float64(),  # mean of directions, in [-1, 1]; of a pooled line the sign of its position
    "size": pl.Float64(),  # position of a full exposure, from volatility; of a pooled line its absolute position
    "position": pl.Float64(),  # exposure times size, as a fraction of the champion's capital
    "before": pl.Float64(),  # position at the bar before, by the same model
    "hedge": pl.Float64(),  # units of the class's mean portfolio or fund sold for a unit of it; null without a hedge
    "cost_rate": pl.Float64(),  # cost per unit of turnover
    "cost": pl.Float64(),  # |position - before| times the rate
    "close": pl.Float64(),  # of the bar, as stored
    "factor": pl.Float64(),  # of the bar, for total return
    "moved_by": pl.String(),  # the three features that moved the score most: "rsi_14 +0.31; gap_1 -0.12; ..."
    "auc": pl.Float64(),  # the champion's grade and evidence from here on
    "accuracy": pl.Float64(),
    "sharpe": pl.Float64(),
    "max_drawdown": pl.Float64(),
    "n_oos": pl.Int64(),
    "p_value": pl.Float64(),
    "q_value": pl.Float64(),
    "luck_rate": pl.Float64(),
    "deflated_sharpe": pl.Float64(),
    "inputs_sha256": pl.String(),  # of the feature row and the bar's prices
}
BOOK: dict[str, Any] = {
    "book_date": pl.Date(),
    "asset_class": pl.String(),
    "symbol": pl.String(),
    "trade_on": pl.Date(),
    "wanted": pl.Float64(),  # netted weight before any cap, as a fraction of the book's capital
    "weight": pl.Float64(),  # netted weight after all caps
    "before": pl.Float64(),  # weight of the book before
    "cost": pl.Float64(),  # of the change, as a fraction of the book's capital
    "close": pl.Float64(),
    "champions": pl.Int64(),  # lines that were netted
    "capped_by": pl.String(),  # instrument, class, gross, turnover, comma-separated; held: no bar to trade on
}


def lines_frame(rows: list[dict[str, Any]]) -> pl.DataFrame:
    """Make a table of lines; what a row lacks is null, and an undefined number is null, never NaN."""
    return _frame(rows, LINES)


def book_frame(rows: list[dict[str, Any]]) -> pl.DataFrame:
    """Make a table of netted weights; what a row lacks is null, and an undefined number is null, never NaN."""
    return _frame(rows, BOOK)


def _frame(rows: list[dict[str, Any]], schema: dict[str, Any]) -> pl.DataFrame:
    columns = [pl.Series(name, [row.get(name) for row in rows], dtype=dtype) for name, dtype in schema.items()]
    return pl.DataFrame(columns).with_columns(pl.selectors.float().fill_nan(None))
