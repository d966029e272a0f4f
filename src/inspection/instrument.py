"""Everything stored of one instrument: bars and events, its state in every stage, runs and grades.

Files are only read, each of them once; a part that does not exist is empty.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import polars as pl

from src.config.paths import DatasetPaths, listings
from src.core.errors import ConfigError
from src.core.instruments import KEY, Key
from src.evaluation.grade import GATE_METRICS
from src.inspection.files import read_table
from src.inspection.pooled_rank import pooled_of
from src.inspection.research_view import facts_about
from src.market import universe
from src.market.bar_findings import stored
from src.market.bars import BarStore, bucket
from src.storage.ledger import Ledger
from src.training.failures import Failures
from src.training.run_store import RunStore

FORMAT = 1  # of the result of `dossier`: raised if a key changes its meaning or is removed
STAGES = ("hydrate", "featurize", "train")
_GRADES = (
    "family", "passed", *(metric.name for metric in GATE_METRICS), "n_oos", "first_oos", "last_oos", "luck_rate",
    "reasons", "suspicious", "run_key", "mlflow_run_id", "tuning_trials",
)  # fmt: skip
_RUNS = (
    "record_id",
    "family",
    "attempt",
    "created_at",
    "n_train",
    "n_folds",
    "fit_seconds",
    "session_key",
    "superseded",
)

_FINDING = ("rule", "effect", "text", "n", "of", "first", "last", "source", "ratio")
Json = dict[str, Any]


def matching_keys(paths: DatasetPaths, name: str, hydrate_command: str) -> list[Key]:
    """Find the instruments of a dataset that a name matches.

    Parameters
    ----------
    paths : DatasetPaths
    name : str
        ``AAPL`` in any class, or ``stock:AAPL``.
    hydrate_command : str
        What to type if the dataset has no instruments.

    Returns
    -------
    list of (asset_class, symbol)

    Raises
    ------
    ConfigError
        If it matches none (the message names close matches), or the dataset has no instruments.
    """
    bars = BarStore(paths.bars)
    tables = [bars.instruments(), read_table(bars.root / "universe.parquet")]
    keys = pl.concat([table.select(KEY) for table in tables if table is not None]).unique()
    if keys.is_empty():
        raise ConfigError(
            f"universe={paths.dataset} has no instruments on disk: run `{hydrate_command}` first, or name another "
            "universe"
        )
    return universe.matches(keys, [name], f"universe={paths.dataset}")[name]


def dossier(paths: DatasetPaths, key: Key, last: int) -> Json:
    """Collect everything about one instrument as plain values.

    Parameters
    ----------
    paths : DatasetPaths
    key : (asset_class, symbol)
    last : int
        How many of the last bars to include.

    Returns
    -------
    dict
        docs/status.md describes each key.

    Raises
    ------
    StageError
        If a file can't be read.
    """
    store = BarStore(paths.bars)
    b = bucket(*key, store.manifest.buckets) if store.exists() else 0
    content = {
        "format": FORMAT,
        "asset_class": key[0],
        "symbol": key[1],
        "dataset": paths.dataset,
        "universe": _one(read_table(store.root / "universe.parquet"), key),
        "listings": _listings(listings(paths.root), key),
        "asked": _asked(paths.raw, b, key),
        "states": _states(paths.states_folder, store, b, key),
        "findings": _findings(store, b, key),
        "quality_page": page.as_posix() if (page := paths.reports / "quality.html").is_file() else None,
        "bars": _bars(store, b, key, last),
        "events": _rows(read_table(paths.raw / f"e{b:03d}.parquet"), key, ("date", "kind", "value", "source")),
        "research": facts_about(paths, b, key),
        "grades": _rows(read_table(paths.grades), key, _GRADES),
        "runs": _runs(paths.runs, key),
        "pooled": pooled_of(paths, key),
        "failures": [{"family": f, **failure} for f, failure in Failures(paths.runs).of(key).items()],
    }
    return {name: _plain(value) for name, value in content.items()}


def _listings(folder: Path, key: Key) -> list[Json]:
    """The instrument's row in the latest listing of each origin."""
    latest = {path.stem.split("-", 3)[-1]: path for path in sorted(folder.glob("????-??-??-*.parquet"))}
    rows: list[Json] = []
    for origin, path in sorted(latest.items()):
        table = read_table(path)
        columns = () if table is None else tuple(table.columns)
        rows += [{"list": origin, **row} for row in _rows(table, key, columns)]
    return [{name: value for name, value in row.items() if name not in KEY} for row in rows]


def _asked(raw: Path, b: int, key: Key) -> Json | None:
    """What live providers were asked: tries, next attempt, class of error, when a good answer last came."""
    record = Ledger(raw).read(b)
    entries: list[Json] = record.states if record else []
    return next((entry for entry in entries if (entry["asset_class"], entry["symbol"]) == key), None)


def _states(folder: Path, store: BarStore, b: int, key: Key) -> Json:
    """State and reason in every stage; for hydrate from its ledger, which is ahead of the published states."""
    states = {path.stem: _one(read_table(path), key) for path in sorted(folder.glob("*.parquet"))}
    states["hydrate"] = _one(store.ledger.states(b), key) or states.get("hydrate")
    return {stage: states.get(stage) for stage in (*STAGES, *sorted(states.keys() - set(STAGES)))}


def _findings(store: BarStore, b: int, key: Key) -> list[Json]:
    """What hydration found of the instrument, one row a rule; closes are left out."""
    _, found, _ = stored(store.ledger, b)
    return [{name: row[name] for name in _FINDING} for row in _rows(found, key, _FINDING)]


def _bars(store: BarStore, b: int, key: Key, last: int) -> Json:
    rows = store.read_bucket(b, symbols=[key]) if store.exists() else pl.DataFrame()
    if rows.is_empty():
        return {"rows": 0, "first": None, "last": None, "repaired": 0, "latest": []}
    return {
        "rows": rows.height,
        "first": rows["date"][0],
        "last": rows["date"][-1],
        "repaired": int(rows["repaired"].sum()),
        "latest": rows.drop(KEY).tail(last).to_dicts(),
    }


def _runs(folder: Path, key: Key) -> list[Json]:
    if not folder.is_dir():
        return []
    return _rows(RunStore(folder).runs((*KEY, *_RUNS)).sort("created_at"), key, _RUNS)


def _one(table: pl.DataFrame | None, key: Key) -> Json | None:
    rows = [] if table is None else table.filter(asset_class=key[0], symbol=key[1]).drop(KEY).to_dicts()
    return rows[0] if rows else None


def _rows(table: pl.DataFrame | None, key: Key, columns: tuple[str, ...]) -> list[Json]:
    if table is None or not set(KEY) <= set(table.columns):
        return []
    return table.filter(asset_class=key[0], symbol=key[1]).select(c for c in columns if c in table.columns).to_dicts()


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value.isoformat() if isinstance(value, dt.date) else value
