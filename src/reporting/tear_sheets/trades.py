"""Trades of one instrument: maximal runs of decisions whose positions have the same sign."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from src.core.arrays import DateArray, FloatArray, IntArray
from src.evaluation.strategy import Performance

TRADES: dict[str, Any] = {
    "entry": pl.Date,
    "exit": pl.Date,
    "side": pl.String,
    "bars": pl.Int64,
    "exposure": pl.Float64,
    "net": pl.Float64,
    "cost": pl.Float64,
}


def trade_table(earned: Performance, entries: DateArray, stamps: DateArray) -> pl.DataFrame:
    """List the trades of a run, in their order.

    A change from long to short ends one trade and begins another: what it costs is divided by what each side trades.
    The exit is paid at the decision after the last, and belongs to the trade that ends.

    Parameters
    ----------
    earned : Performance
        One row a decision.
    entries, stamps : datetime64, shape (m,)
        Bars at whose open the position of each decision is entered, and at whose open its return is booked.

    Returns
    -------
    DataFrame
        Columns of `TRADES`. ``net`` is the sum of daily net returns, so that all trades add up to all days. The exit of
        a trade that the last decision still holds is null, though its cost is paid.
    """
    position, sign = earned.position, np.sign(earned.position)
    starts: IntArray = np.flatnonzero((sign != 0) & (sign != np.concatenate(([0.0], sign[:-1])))).astype(np.int64)
    ends: IntArray = np.flatnonzero((sign != 0) & (sign != np.concatenate((sign[1:], [0.0])))).astype(np.int64)
    cost = _own_costs(earned, starts, ends)
    gross, exposure = (_sums(values, starts, ends) for values in (earned.gross, position))
    bars, last = ends - starts + 1, position.size - 1
    columns = {
        "entry": entries[starts].astype("datetime64[D]"),
        "exit": pl.Series(stamps[ends].astype("datetime64[D]")),
        "side": np.where(sign[starts] > 0, "long", "short"),
        "bars": bars,
        "exposure": exposure / bars,
        "net": gross - cost,
        "cost": cost,
    }
    table = pl.DataFrame(columns).with_columns(is_open=pl.Series(ends == last, dtype=pl.Boolean))
    table = table.with_columns(exit=pl.when(~pl.col("is_open")).then("exit")).drop("is_open")
    return table.cast(TRADES)  # type: ignore[arg-type]


def _sums(values: FloatArray, starts: IntArray, ends: IntArray) -> FloatArray:
    total = np.concatenate(([0.0], np.cumsum(values)))
    sums: FloatArray = total[ends + 1] - total[starts]
    return sums


def _own_costs(earned: Performance, starts: IntArray, ends: IntArray) -> FloatArray:
    """Cost of each trade: of its own days, less what its entry day pays for the trade before, and its exit."""
    position, cost = earned.position, earned.cost
    with np.errstate(invalid="ignore", divide="ignore"):
        rate = np.where(earned.turnover > 0.0, cost / earned.turnover, 0.0)
    before = np.concatenate(([0.0], position[:-1]))
    flips = position * before < 0.0
    of_former = np.where(flips, np.abs(before) * rate, 0.0)  # exit of the trade before, on a day that enters another
    own = _sums(cost - of_former, starts, ends)
    after = ends + 1
    known = after < position.size
    own[known] += np.abs(position[ends[known]]) * rate[after[known]]
    return own
