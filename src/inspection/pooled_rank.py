"""One instrument in the pooled scope: whether it was ranked, its latest rank in each portfolio's scores, its weight."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from src.config.paths import DatasetPaths
from src.core.arrays import FloatArray
from src.core.errors import StageError
from src.core.instruments import KEY, Key
from src.inspection.files import read_table
from src.reporting.schemas import pooled_grades_table
from src.training.pooled.ranks import RankTable
from src.training.pooled.score_store import ScoreStore
from src.training.run_store import RunStore

Json = dict[str, Any]
_GRADED = ("found_by", "n_days", "auc", "sharpe", "luck_rate", "own_family", "own_auc", "own_sharpe", "own_luck_rate")


def pooled_of(paths: DatasetPaths, key: Key) -> Json | None:
    """Collect what the pooled scope stored of one instrument.

    Parameters
    ----------
    paths : DatasetPaths
    key : (asset_class, symbol)

    Returns
    -------
    dict or None
        ``state`` of the instrument in the pooled scope, and ``portfolios``, one row a graded portfolio of its class:
        its ``rank`` among the ``names`` of the last scored day ``at`` (1 is the best; null where it was not eligible
        then, or the scores are not stored), and its ``weight`` since the last trade (null without one);
        ``by_instrument``: the pooled scores graded on it alone beside its own models, null if that was not done. None
        if no pooled model was trained.
    """
    table = read_table(paths.portfolio_grades)
    if table is None:
        return None
    grades = pooled_grades_table(table)
    own = grades.filter(pl.col("symbol").str.split(".").list.first() == key[0])
    ranked = _last_day(paths, key) if own.height else None
    rows = own.select("symbol", "family", "record_id", "passed").iter_rows(named=True)
    graded = _row(paths.portfolios / "by_instrument.parquet", key)
    return {
        "state": _row(paths.portfolio_states, key),
        "portfolios": [_portfolio(paths, key, row, ranked) for row in rows],
        "by_instrument": None if graded is None else {name: graded.get(name) for name in _GRADED},
    }


def _row(path: Path, key: Key) -> Json | None:
    table = read_table(path)
    rows = [] if table is None else table.filter(asset_class=key[0], symbol=key[1]).drop(KEY).to_dicts()
    return rows[0] if rows else None


def _portfolio(paths: DatasetPaths, key: Key, row: Json, ranked: tuple[RankTable, int, int | None] | None) -> Json:
    folder = paths.portfolios / row["record_id"]
    found: Json = {"portfolio": row["symbol"], "family": row["family"], "passed": row["passed"]}
    found |= dict.fromkeys(("at", "rank", "names", "weight", "traded"))
    found |= _weight(folder / "weights.parquet", key[1])
    if ranked is None:
        return found
    table, day, place = ranked
    scores = _scores(paths, row["record_id"], table, day)
    if scores is None:
        return found
    found |= {"at": table.dates[day].astype("datetime64[D]").item(), "names": int(scores.size)}
    from scipy.stats import rankdata

    if place is not None:
        found["rank"] = int(rankdata(-scores, method="min")[place])
    return found


def _last_day(paths: DatasetPaths, key: Key) -> tuple[RankTable, int, int | None] | None:
    """The table of ranks, its last day with names, and the instrument's place among them; None without a table."""
    try:
        table = RankTable.open(paths.ranks / key[0])
    except StageError:
        return None
    counts = np.diff(table.offsets)
    if not counts.any():
        return None
    day = int(np.flatnonzero(counts)[-1])
    names = [table.symbols[j] for j in table.names[table.offsets[day] : table.offsets[day + 1]]]
    return table, day, names.index(key[1]) if key[1] in names else None


def _scores(paths: DatasetPaths, record_id: str, table: RankTable, day: int) -> FloatArray | None:
    """Scores of a run on one of the last fold's days: of several families the mean of their ranks."""
    runs = RunStore(paths.portfolios).runs(("parts",), [record_id])["parts"].to_list()
    fits: dict[str, str] = (json.loads(runs[0]) if runs else {}).get("fits", {})
    store = ScoreStore(paths.portfolios)
    found = [store.of_day(key, table.dates, table.offsets, day) for key in fits.values()]
    from scipy.stats import rankdata

    known = [scores for scores in found if scores is not None]
    if not known or len(known) < len(found):
        return None
    one: FloatArray = known[0].astype(np.float64)
    return one if len(known) == 1 else np.mean([rankdata(scores) for scores in known], axis=0)


def _weight(path: Path, symbol: str) -> Json:
    """Weight since the last day on which the portfolio traded; nothing where it holds none."""
    weights = read_table(path)
    if weights is None or weights.is_empty():
        return {}
    traded = weights["date"].max()
    held = weights.filter((pl.col("date") == traded) & (pl.col("symbol") == symbol))
    return {"traded": traded, "weight": float(held["weight"][0]) if held.height else 0.0}
