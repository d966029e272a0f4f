"""Columns of the tables that the monitor writes to ``data/monitor/<dataset>/``.

``champions.parquet`` has one row for each champion that the journal knows, by name and version. ``book.parquet`` has
one for the book and one for all champions together, each three times: over all days, over those said in time (live)
and over replayed ones. ``book_days.parquet`` has the book's return of each day, ``drift.parquet`` the features that
drifted most. ``state.json`` holds the alarms and since when they are raised.
"""

from __future__ import annotations

from typing import Any

import polars as pl

METRICS = ("auc", "accuracy", "sharpe", "max_drawdown", "hit_rate")
"""Figures of a record that a band is drawn for. The hit rate is the share of days with a position that gained, net."""
FIGURES = (*METRICS, "net_return", "turnover_a_year", "cost_a_year")
"""Figures of a record: those of `METRICS`, the compounded net return, and turnover and cost as fractions a year."""
KINDS = ("all", "live", "replayed")
"""Days that a record is of: all; those said before the open at which they were to be traded; those replayed."""

_COUNTS = ("days", "live_days", "replayed_days", "pending", "missing", "refused", "late", "restated", "silent")
CHAMPIONS: dict[str, Any] = {
    "name": pl.String(),  # registered model, such as stock.AAPL or pooled.stock.neutral
    "version": pl.Int64(),
    "scope": pl.String(),  # instrument or pooled
    "family": pl.String(),
    "record_id": pl.String(),
    "standing": pl.String(),  # champion; replaced or withdrawn, which are judged to their last day
    "verdict": pl.String(),  # expected, flagged, young (fewer days than monitor.min_days) or ended
    "causes": pl.String(),  # of a flag: fault, drift, reversal, comma-separated; null without one
    "reason": pl.String(),  # one sentence, for every verdict
    "since": pl.Date(),  # day on which the alarm was first raised; it stays raised until it is acknowledged
    "acknowledged": pl.String(),  # "2026-01-05 by ann: delisted, looked at it"; null otherwise
    "demoted": pl.Boolean(),  # by the monitor, now or before
    "first": pl.Date(),  # decision
    "last": pl.Date(),
    # days: decisions whose return is complete, live_days and replayed_days among them; pending: those not complete;
    # missing: tradable bars without a decision; refused: lines; late: decisions said after the open of trade_on;
    # restated: decisions whose bar has changed since; silent: last sessions without a decision said in time
    **dict.fromkeys(_COUNTS, pl.Int64()),
    **dict.fromkeys(FIGURES, pl.Float64()),
    **{f"{kind}_{name}": pl.Float64() for kind in KINDS[1:] for name in FIGURES},
    "oos_days": pl.Int64(),
    # Of the out-of-sample record that it was graded on; the cost of a single instrument's is its graded turnover at the
    # mean rate of the lines since, because training stores no costs.
    **{f"oos_{name}": pl.Float64() for name in FIGURES},
    **{f"{name}_{side}": pl.Float64() for name in METRICS for side in ("low", "high")},  # band of as many days
    "outside": pl.String(),  # figures outside their band, comma-separated; null where all are inside
    "null_sharpe": pl.Float64(),  # shrunk out-of-sample estimate: what the tests take for the truth
    "null_auc": pl.Float64(),
    "evidence": pl.Float64(),  # of the sequential test for gross reversal
    "limit": pl.Float64(),  # at which it raises the alarm
    "power": pl.Float64(),  # probability that a year of looks would find its Sharpe ratio gone to zero
    "score_psi": pl.Float64(),  # of the recent scores against those out of sample
    "score_psi_p": pl.Float64(),
    "feature": pl.String(),  # that drifted most
    "feature_psi": pl.Float64(),
    "drift_p": pl.Float64(),  # of its features together, all counted
}
BOOK: dict[str, Any] = {
    "subject": pl.String(),  # book, or champions: the mean of all champions' returns
    "kind": pl.String(),  # all, live or replayed
    "verdict": pl.String(),  # expected, flagged or young
    "reason": pl.String(),
    "since": pl.Date(),
    "acknowledged": pl.String(),
    "first": pl.Date(),
    "last": pl.Date(),
    "days": pl.Int64(),
    "gross_return": pl.Float64(),
    **dict.fromkeys(FIGURES, pl.Float64()),  # auc and accuracy of the book are null
    "oos_days": pl.Int64(),
    **{f"oos_{name}": pl.Float64() for name in FIGURES},
    **{f"{name}_{side}": pl.Float64() for name in METRICS for side in ("low", "high")},
    "outside": pl.String(),
    "null_sharpe": pl.Float64(),
    "evidence": pl.Float64(),  # of the sequential test for loss of edge
    "limit": pl.Float64(),
    "power_1y": pl.Float64(),  # probability that one or three years of looks would find the Sharpe ratio gone to zero
    "power_3y": pl.Float64(),
}
BOOK_DAYS: dict[str, Any] = {
    "subject": pl.String(),  # book or champions
    "date": pl.Date(),  # of the open at which the return is complete
    "kind": pl.String(),  # live or replayed
    "gross": pl.Float64(),  # fractions of the capital
    "cost": pl.Float64(),
    "net": pl.Float64(),
    "turnover": pl.Float64(),
    "equity": pl.Float64(),  # of all days, from 1
}
DRIFT: dict[str, Any] = {
    "asset_class": pl.String(),
    "symbol": pl.String(),  # null: of the whole class
    "feature": pl.String(),  # or score
    "psi": pl.Float64(),
    "p": pl.Float64(),
    "reference_days": pl.Int64(),
    "recent_days": pl.Int64(),
    "reference_median": pl.Float64(),
    "recent_median": pl.Float64(),
}


def frame(rows: list[dict[str, Any]], schema: dict[str, Any]) -> pl.DataFrame:
    """Make one of the monitor's tables.

    Parameters
    ----------
    rows : list of dict
    schema : dict
        `CHAMPIONS`, `BOOK`, `BOOK_DAYS` or `DRIFT`.

    Returns
    -------
    DataFrame
        What a row lacks is null, and an undefined number is null, never NaN.
    """
    columns = [pl.Series(name, [row.get(name) for row in rows], dtype=dtype) for name, dtype in schema.items()]
    return pl.DataFrame(columns).with_columns(pl.selectors.float().fill_nan(None))
