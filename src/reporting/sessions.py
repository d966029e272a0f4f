"""The sessions of a dataset side by side: this one against the last that graded the same instruments and families."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl
import yaml

from src.config.paths import DatasetPaths
from src.core.dotted import dotted
from src.core.instruments import KEY
from src.reporting.compared import DIFFERENCES, differences
from src.storage import atomic
from src.training.run_store import RunStore

MOST_SESSIONS = 12
"""Sessions that are listed, the last ones."""
_COMPARED = ("universe", "features", "label", "split", "strategy", "model", "grade", "seed", "data", "experiment")
_ON = [*KEY, "family"]
_COLUMNS: dict[str, Any] = {
    **dict.fromkeys((*KEY, "family", "record_id", "graded_by", "strategy_key"), pl.String()),
    "passed": pl.Boolean(), "auc": pl.Float64(), "sharpe": pl.Float64(), "max_drawdown": pl.Float64(),
}  # fmt: skip
GAINED, LOST, KEPT, NEITHER = "gained", "lost", "kept", ""


@dataclass(frozen=True)
class SessionsCompared:
    """What is known of the sessions of a dataset.

    Attributes
    ----------
    sessions : DataFrame
        session (first digits of its key), name, runs, passed, auc and sharpe (medians), the last one graded last.
    this, last : str
        First digits of the keys; the second is empty where no other session graded the same.
    pairs : DataFrame
        asset_class, symbol, family, change (``gained``, ``lost``, ``kept``: whether it passed), and of each side auc,
        sharpe and max_drawdown, with ``_last`` for the last session.
    same : int
        Pairs whose run and strategy are the same in both.
    settings : DataFrame
        setting, last, this: those that differ.
    differences : DataFrame
        From `src.reporting.compared.differences`.
    """

    sessions: pl.DataFrame
    this: str
    last: str
    pairs: pl.DataFrame
    same: int
    settings: pl.DataFrame
    differences: pl.DataFrame

    def count(self, change: str) -> int:
        """Count the pairs whose pass changed so."""
        return int((self.pairs["change"] == change).sum()) if self.pairs.height else 0


def read_sessions(paths: DatasetPaths, grades: pl.DataFrame) -> SessionsCompared | None:
    """Read the sessions that graded single instruments, and compare the present one.

    Parameters
    ----------
    paths : DatasetPaths
    grades : DataFrame
        Of the present session, with graded_by.

    Returns
    -------
    SessionsCompared or None
        None where the session of the grades is not known.
    """
    known = grades["graded_by"].drop_nulls() if "graded_by" in grades.columns else pl.Series(dtype=pl.String)
    if known.is_empty():
        return None
    this = str(known.mode().sort()[0])[:8]
    store = RunStore(paths.runs)
    keys = sorted(store.graded_sessions() - {this}, key=lambda key: (store.graded_at(key), key))[1 - MOST_SESSIONS :]
    current = _graded(grades)
    former = {key: _session_grades(paths, key) for key in keys}
    last = next((key for key in reversed(keys) if former[key].join(current, on=_ON, how="semi").height), "")
    before = former[last] if last else current.head(0)
    pairs, same = _changes(current, before)
    return SessionsCompared(
        pl.DataFrame([_summary(paths, key, former.get(key, current)) for key in [*keys, this]]),
        this, last, pairs, same, _settings(paths, last, this) if last else _table([]),
        differences(paths, current, before) if current.height else pl.DataFrame(schema=DIFFERENCES),
    )  # fmt: skip


def _graded(table: pl.DataFrame) -> pl.DataFrame:
    """The columns that are compared, of runs whose session is known."""
    known = [name for name in _COLUMNS if name in table.columns]
    rows = pl.concat([pl.DataFrame(schema=_COLUMNS), table.select(known)], how="diagonal_relaxed")
    return rows.filter(pl.col("graded_by").is_not_null()).fill_nan(None)


def _session_grades(paths: DatasetPaths, key: str) -> pl.DataFrame:
    """Grades that a session gave, without the long columns."""
    parts = [pl.DataFrame(schema=_COLUMNS)]
    for path in sorted(paths.runs.glob(f"b*-{key}.grades.parquet")):
        with atomic.read_errors(path, "remove it"):
            parts.append(
                _graded(pl.scan_parquet(path, glob=False).select(pl.col(f"^({'|'.join(_COLUMNS)})$")).collect())
            )
    return pl.concat(parts)


def _summary(paths: DatasetPaths, key: str, grades: pl.DataFrame) -> dict[str, Any]:
    path = paths.runs / f"session-{key}.json"
    name = str(atomic.read_json(path).get("name") or "") if path.is_file() else ""
    return {
        "session": key, "name": name, "runs": grades.height, "passed": int(grades["passed"].sum()),
        "auc": grades["auc"].median(), "sharpe": grades["sharpe"].median(),
    }  # fmt: skip


def _changes(current: pl.DataFrame, before: pl.DataFrame) -> tuple[pl.DataFrame, int]:
    """Runs of both sessions with what changed, those that changed first; and how many are the same run."""
    sides = (current.unique(_ON, maintain_order=True), before.unique(_ON, maintain_order=True))
    both = sides[0].join(sides[1], on=_ON, suffix="_last")
    now, then = pl.col("passed").fill_null(False), pl.col("passed_last").fill_null(False)
    gained, lost = pl.when(now & ~then).then(pl.lit(GAINED)), pl.lit(LOST)
    change = gained.when(then & ~now).then(lost).when(now & then).then(pl.lit(KEPT)).otherwise(pl.lit(NEITHER))
    same = (pl.col("record_id") == pl.col("record_id_last")) & (pl.col("strategy_key") == pl.col("strategy_key_last"))
    order = pl.col("change").replace_strict({GAINED: 0, LOST: 1, KEPT: 2, NEITHER: 3})
    figures = [f"{name}{side}" for name in ("auc", "sharpe", "max_drawdown") for side in ("", "_last")]
    shown = both.with_columns(change=change).sort(order, *_ON).select(*_ON, "change", *figures)
    return shown, int(both.select(same.sum()).item() or 0)


def _settings(paths: DatasetPaths, last: str, this: str) -> pl.DataFrame:
    """Settings of two sessions that differ, but for those that shape no figure."""
    one, other = (_configured(paths, key) for key in (last, this))
    if not one or not other:
        return _table([])
    names = [name for name in sorted(one.keys() | other.keys()) if name.partition(".")[0] in _COMPARED]
    return _table([(n, str(one.get(n, "")), str(other.get(n, ""))) for n in names if one.get(n) != other.get(n)])


def _configured(paths: DatasetPaths, key: str) -> dict[str, object]:
    path = paths.runs / f"session-{key}.json"
    content = yaml.safe_load(atomic.read_json(path).get("config_yaml") or "") if path.is_file() else None
    return dotted(content) if isinstance(content, dict) else {}


def _table(rows: Sequence[tuple[str, str, str]]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=dict.fromkeys(("setting", "last", "this"), pl.String), orient="row")
