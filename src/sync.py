"""Bring MLflow up to date with what training stored: ``python -m src.sync``.

``data/runs`` is the source; MLflow's runs, models and versions are its projection. A store that was lost, or another
one (``tracking.uri=http://...``), gets what it lacks; what it has stays, nothing is doubled. Not rebuilt is what people
decided in the lost store: champions and cleared suspicions.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.core.errors import StageError
from src.runtime.command import main
from src.runtime.redaction import masked_address
from src.storage import atomic

if TYPE_CHECKING:
    import polars as pl

    from src.config.schema import Config
    from src.training.run_store import RunStore

_RUN = ("record_id", "strategy_key")


def sync(config: Config) -> str:
    """Project every session of the dataset into MLflow; return the closing line."""
    import polars as pl

    from src.tracking.store import open_store, project
    from src.training.run_store import RunStore

    if not config.tracking.enabled:
        raise StageError("tracking.enabled=false: there is nothing to bring up to date")
    data, dataset = Path(config.data.root), config.dataset
    store = RunStore(data / "runs" / dataset)
    latest = data / "grades" / f"{dataset}.parquet"
    with atomic.told(latest, "run `python -m src.train` again, which makes it anew"):
        current = pl.read_parquet(latest) if latest.exists() else pl.DataFrame()
    found = list(sessions(store))
    with open_store(config, writes=True):
        pass  # also without any run: marks a new database, so that a server on it is gated
    ids: dict[str, str] = {}
    latest_of = _latest(store, [session["key"] for session in found])
    for session in found:
        mine = latest_of.filter(pl.col("session") == session["key"])
        grades = store.grades(session["key"]).join(mine, on=_RUN, how="semi")
        grades = _completed(grades, current)
        ids |= dict(project(_as_then(config, session), store, grades, session).iter_rows())
    whose = "1 session" if len(found) == 1 else f"{len(found)} sessions"
    return f"sync: {len(ids):,} runs of {whose} of {dataset} are in {masked_address(config.tracking.uri)}"


def sessions(store: RunStore) -> list[dict[str, Any]]:
    """Sessions whose grades the store has, by name of their shards, the earliest first."""
    import polars as pl

    first: dict[str, float] = {}
    for path in store.root.glob("b*-*.grades.parquet"):
        with atomic.told(path, "move it away and run `python -m src.train` again, which makes it anew"):
            keys = pl.read_parquet(path, columns=["graded_by"])["graded_by"].unique()
        for key in keys:
            first[key] = min(first.get(key, path.stat().st_mtime), path.stat().st_mtime)
    return [_described(store, key) for key in sorted(first, key=lambda each: (first[each], each))]


def _latest(store: RunStore, keys: list[str]) -> pl.DataFrame:
    """Which session graded each run last: record_id, strategy_key, session.

    Sessions that share runs grade them at different numbers of trials, and perhaps by other thresholds: one after the
    other, each sync would change them back and forth.
    """
    import polars as pl

    seen = [store.grades(key).select(*_RUN, session=pl.lit(key)) for key in keys]
    empty = pl.DataFrame(schema=dict.fromkeys((*_RUN, "session"), pl.String))
    return pl.concat([empty, *seen]).unique(_RUN, keep="last", maintain_order=True)


def _described(store: RunStore, key: str) -> dict[str, Any]:
    """What the session said of itself when it began; its key alone where that is lost."""
    path = store.root / f"session-{key[:8]}.json"
    said: dict[str, Any] = atomic.read_json(path) if path.is_file() else {}
    return said if said.get("key") == key else {"key": key}


def _as_then(config: Config, session: dict[str, Any]) -> Config:
    """The configuration, with the strategy as the session had it: its runs are shown under its name and settings."""
    import yaml

    then = yaml.safe_load(session.get("config_yaml") or "") or {}
    known = {field.name for field in dataclasses.fields(config.strategy)}
    settings = {name: value for name, value in then.get("strategy", {}).items() if name in known}
    return dataclasses.replace(config, strategy=dataclasses.replace(config.strategy, **settings))


def _completed(grades: pl.DataFrame, current: pl.DataFrame) -> pl.DataFrame:
    """Grades of a session, with the q-values that only the whole session gives from the grades table."""
    keys = ["record_id", "grade_key"]
    if any(name not in frame.columns for frame in (grades, current) for name in (*keys, "q_value")):
        return grades
    late = current.select(*keys, "q_value").unique(keys)
    return grades.drop("q_value").join(late, on=keys, how="left")


if __name__ == "__main__":
    main("sync", sync)
