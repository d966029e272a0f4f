"""Bring MLflow up to date with what training stored: ``python -m src.sync``.

``data/runs`` is the source; MLflow's runs, models and versions are its projection. A store that was lost, or another
one (``tracking.uri=http://...``), gets what it lacks; what it has stays, nothing is doubled. Not rebuilt is what people
decided in the lost store: champions and cleared suspicions.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.errors import StageError
from src.masking import masked
from src.stage import main

if TYPE_CHECKING:
    import polars as pl

    from src.config import Config
    from src.runs import RunStore


def sync(config: Config) -> str:
    """Project every session of the dataset into MLflow; return the closing line."""
    import polars as pl

    from src.runs import RunStore
    from src.tracking import open_store, project

    if not config.tracking.enabled:
        raise StageError("tracking.enabled=false: there is nothing to bring up to date")
    data, dataset = Path(config.data.root), config.dataset
    store = RunStore(data / "runs" / dataset)
    latest = data / "grades" / f"{dataset}.parquet"
    current = pl.read_parquet(latest) if latest.exists() else pl.DataFrame()
    found = list(sessions(store))
    with open_store(config):
        pass  # also without any run: marks a new database, so that a server on it is gated
    ids: dict[str, str] = {}
    for session in found:
        grades = _completed(store.grades(session["key"]), current)
        ids |= dict(project(config, store, grades, session).iter_rows())
    return f"sync: {len(ids):,} runs of {len(found)} sessions of {dataset} are in {masked(config.tracking.uri)}"


def sessions(store: RunStore) -> list[dict[str, Any]]:
    """Sessions whose grades the store has, by name of their shards, the earliest first."""
    import polars as pl

    first: dict[str, float] = {}
    for path in store.root.glob("b*-*.grades.parquet"):
        for key in pl.scan_parquet(path).select(pl.col("graded_by").unique()).collect()["graded_by"]:
            first[key] = min(first.get(key, path.stat().st_mtime), path.stat().st_mtime)
    return [{"key": key} for key in sorted(first, key=lambda each: (first[each], each))]


def _completed(grades: pl.DataFrame, current: pl.DataFrame) -> pl.DataFrame:
    """Grades of a session, with the q-values that only the whole session gives from the grades table."""
    keys = ["record_id", "grade_key"]
    if any(name not in frame.columns for frame in (grades, current) for name in (*keys, "q_value")):
        return grades
    late = current.select(*keys, "q_value").unique(keys)
    return grades.drop("q_value").join(late, on=keys, how="left")


if __name__ == "__main__":
    main("sync", sync)
