"""All that is stored of one instrument: its bars and events, what every stage made of it, its runs and grades.

Only what is on disk is read, each file once; a part that is not there is empty.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import polars as pl

from src.config.paths import main_root
from src.config.schema import Config
from src.core.errors import ConfigError
from src.core.instruments import KEY, Key
from src.market import universe
from src.market.bars import BarStore, bucket
from src.storage.atomic import read_errors
from src.storage.ledger import Ledger
from src.training.failures import Failures
from src.training.run_store import RunStore

FORMAT = 1  # of what `dossier` returns: raised where a key changes its meaning or goes
STAGES = ("hydrate", "featurize", "train")
_GRADES = (
    "family", "passed", "auc", "accuracy", "sharpe", "max_drawdown", "n_oos", "first_oos", "last_oos", "luck_rate",
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

Json = dict[str, Any]


def known(config: Config, name: str) -> list[Key]:
    """Instruments of the dataset that a name means: `AAPL` in any class, or `stock:AAPL`.

    Raises
    ------
    ConfigError
        Where it means none (with close matches), or the dataset has none at all.
    """
    root = Path(config.data.root)
    bars = BarStore(root / "bars" / config.dataset)
    tables = [bars.instruments(), _table(bars.root / "universe.parquet")]
    keys = pl.concat([table.select(KEY) for table in tables if table is not None]).unique()
    if keys.is_empty():
        raise ConfigError(
            f"universe={config.dataset} has no instruments on disk: run `{config.hydrate_command}` first, or name"
            " another universe"
        )
    return universe.matches(keys, [name], f"universe={config.dataset}")[name]


def dossier(config: Config, key: Key, last: int) -> Json:
    """Everything about one instrument as plain values (docs/status.md tells each key).

    Parameters
    ----------
    config
        Its universe and data folders say what is looked at.
    key
        (asset_class, symbol).
    last
        How many of the last bars to show.
    """
    root, name = Path(config.data.root), config.dataset
    store = BarStore(root / "bars" / name)
    b = bucket(*key, store.manifest.buckets) if store.exists() else 0
    raw = store.root / "raw"
    found = {
        "format": FORMAT,
        "asset_class": key[0],
        "symbol": key[1],
        "dataset": name,
        "universe": _one(_table(store.root / "universe.parquet"), key),
        "listings": _listings(main_root() / root / "listings", key),
        "asked": _asked(raw, b, key),
        "states": _states(root / "states" / name, store, b, key),
        "bars": _bars(store, b, key, last),
        "events": _rows(_table(raw / f"e{b:03d}.parquet"), key, ("date", "kind", "value", "source")),
        "grades": _rows(_table(root / "grades" / f"{name}.parquet"), key, _GRADES),
        "runs": _runs(root / "runs" / name, key),
        "failures": [{"family": f, **said} for f, said in Failures(root / "runs" / name).of(key).items()],
    }
    plain: Json = _plain(found)
    return plain


def _listings(folder: Path, key: Key) -> list[Json]:
    """Where the instrument stands in the last listing of each origin."""
    latest = {path.stem.split("-", 3)[-1]: path for path in sorted(folder.glob("????-??-??-*.parquet"))}
    rows: list[Json] = []
    for origin, path in sorted(latest.items()):
        table = _table(path)
        columns = () if table is None else tuple(table.columns)
        rows += [{"list": origin, **row} for row in _rows(table, key, columns)]
    return [{name: value for name, value in row.items() if name not in KEY} for row in rows]


def _asked(raw: Path, b: int, key: Key) -> Json | None:
    """What live providers said: tries, next attempt, class of error, when a good answer last came."""
    record = Ledger(raw).read(b)
    entries: list[Json] = record.states if record else []
    return next((entry for entry in entries if (entry["asset_class"], entry["symbol"]) == key), None)


def _states(folder: Path, store: BarStore, b: int, key: Key) -> Json:
    """State and reason in every stage; hydrate's from its ledger, which is ahead of its published states."""
    found = {path.stem: _one(_table(path), key) for path in sorted(folder.glob("*.parquet"))}
    found["hydrate"] = _one(store.ledger.states(b), key) or found.get("hydrate")
    return {stage: found.get(stage) for stage in (*STAGES, *sorted(found.keys() - set(STAGES)))}


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
    found = [] if table is None else table.filter(asset_class=key[0], symbol=key[1]).drop(KEY).to_dicts()
    return found[0] if found else None


def _rows(table: pl.DataFrame | None, key: Key, columns: tuple[str, ...]) -> list[Json]:
    if table is None or not set(KEY) <= set(table.columns):
        return []
    return table.filter(asset_class=key[0], symbol=key[1]).select(c for c in columns if c in table.columns).to_dicts()


def _table(path: Path) -> pl.DataFrame | None:
    """A table, or None where there is none; read whole, because Windows lets nobody replace a file that is open."""
    try:
        with read_errors(path, "the stage that writes it makes it anew"):
            return pl.read_parquet(path.read_bytes())
    except FileNotFoundError:
        return None


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value.isoformat() if isinstance(value, dt.date) else value
