"""Project stored runs into MLflow: those of one session while it trains, or all sessions of a dataset."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import polars as pl

from src.config.commands import command
from src.config.paths import is_pooled
from src.storage import atomic
from src.tracking.reconcile import reconcile
from src.tracking.repair import Findings, Repairs
from src.tracking.run_record import registered_name
from src.tracking.scopes import regrader_of
from src.tracking.settings import TrackedDataset
from src.tracking.settled_runs import SettledRuns
from src.tracking.store import open_store
from src.tracking.sweep import sweep

if TYPE_CHECKING:
    from src.training.run_store import RunStore

IDS_SCHEMA = {"record_id": pl.String, "mlflow_run_id": pl.String}
_RUNS_IN_MEMORY = 2000
_GRADED_RUN = ("record_id", "strategy_key")


def project(
    settings: TrackedDataset,
    store: RunStore,
    grades: pl.DataFrame,
    session: Mapping[str, Any],
    repairs: Repairs | None = None,
    *,
    whole: bool = False,
    bucket: int | None = None,
) -> pl.DataFrame:
    """Bring MLflow up to date with graded runs; it is safe to repeat, and to interrupt anywhere.

    Parameters
    ----------
    settings : TrackedDataset
    store : RunStore
        Holds runs, equity curves and native models.
    grades : DataFrame
        Any rows; further calls may repeat them or bring others.
    session : mapping
        ``key`` and, if known, ``name`` and ``config_yaml``; other numbers and texts become metrics and tags of its run.
    repairs : Repairs, optional
        Vets passes and mends what was lost or changed.
    whole : bool
        Whether these are all grades of the session: what was projected before, and is unchanged, is then left out.
    bucket : int, optional
        Bucket of all the grades, whose files alone are then read.

    Returns
    -------
    DataFrame
        record_id, mlflow_run_id; empty if tracking is off.

    Raises
    ------
    TrackingError
        If the store can't be opened, has no gate, or is locked.
    """
    ids: dict[str, str] = {}
    if settings.strategy_key is None and is_pooled(store.root):
        settings = dataclasses.replace(settings, strategy_key=_strategy_key(grades))
    if settings.tracking.enabled:
        with open_store(settings, writes=True, late=True) as target:
            sweep(target)
            mark = SettledRuns(target, store, grades, session, repairs) if whole else None
            settled = mark.unchanged() if mark is not None else {}
            ids = {record_id: run.run_id for record_id, run in settled.items()}
            trained_by = {record_id: run.session_key for record_id, run in settled.items()}
            if len(settled) < grades.height:
                target.require_client()
            left = grades.filter(~pl.col("record_id").is_in(list(settled))) if settled else grades
            for part in _parts(left) if left.height or not settled else ():
                for record_id, recorded in reconcile(target, store, part, session, repairs, bucket).items():
                    ids[record_id] = recorded.run_id
                    trained_by[record_id] = recorded.tags["alpha.session_key"]
            earlier = {record_id: ids[record_id] for record_id, key in trained_by.items() if key != session["key"]}
            target.describe_session(session, earlier)
            if mark is not None and (left.height or not settled):
                mark.write()
    return pl.DataFrame({"record_id": list(ids), "mlflow_run_id": list(ids.values())}, schema=IDS_SCHEMA)


def _parts(grades: pl.DataFrame) -> list[pl.DataFrame]:
    """Grades of as many runs as memory holds at once; a table without rows is one part, for its session's run."""
    return list(grades.iter_slices(_RUNS_IN_MEMORY)) or [grades]


def project_sessions(
    settings: TrackedDataset,
    store: RunStore,
    sessions: Sequence[Mapping[str, Any]],
    grades: pl.DataFrame,
    findings: Findings,
) -> int:
    """Project every stored session of a dataset, and mend what MLflow lost.

    Parameters
    ----------
    settings : TrackedDataset
    store : RunStore
    sessions : sequence of mapping
        From `stored_sessions`.
    grades : DataFrame
        The grades table, for the q-values that only a whole session gives; may be empty.
    findings : Findings
        Filled with what was mended and refused.

    Returns
    -------
    int
        Number of runs that MLflow has of these sessions.

    Raises
    ------
    TrackingError
        If the store can't be opened, has no gate, or is locked.
    """
    with open_store(settings, writes=True, late=True):
        pass  # even without any run: marks a new database, so that a server on it is gated
    ids: dict[str, str] = {}
    repairs = Repairs(store, regrader_of(settings, store), findings)
    keys = store.runs(("asset_class", "symbol")).select("asset_class", "symbol").unique()
    names = {registered_name(kind, symbol, settings.interval) for kind, symbol in keys.iter_rows()}
    if names:
        with open_store(settings, writes=True, late=True) as target:
            repairs.clear_orphans(target, names)
    latest = _latest_session(store, [session["key"] for session in sessions])
    for session in sessions:
        own = latest.filter(pl.col("session") == session["key"])
        graded = store.grades(session["key"]).join(own, on=_GRADED_RUN, how="semi")
        graded = _with_q_values(graded, grades)
        own_settings = _with_settings_of(settings, session)
        if is_pooled(store.root):
            own_settings = dataclasses.replace(own_settings, strategy_key=_strategy_key(grades))
        ids |= dict(project(own_settings, store, graded, session, repairs, whole=True).iter_rows())
    return len(ids)


def stored_sessions(store: RunStore) -> list[dict[str, Any]]:
    """Sessions whose grades the run store has.

    Parameters
    ----------
    store : RunStore

    Returns
    -------
    list of dict
        What each session recorded of itself when it began, at least its ``key``; the earliest first.

    Raises
    ------
    StageError
        If a file can't be read; the message names it.
    """
    first: dict[str, float] = {}
    for path in store.root.glob("b*-*.grades.parquet"):
        with atomic.read_errors(path, f"move it away and run `{command('train')}`, which writes it again"):
            keys = pl.read_parquet(path, columns=["graded_by"], glob=False)["graded_by"].unique()
        for key in keys:
            first[key] = min(first.get(key, path.stat().st_mtime), path.stat().st_mtime)
    return [_session(store, key) for key in sorted(first, key=lambda key: (first[key], key))]


def _session(store: RunStore, key: str) -> dict[str, Any]:
    path = store.root / f"session-{key[:8]}.json"
    session: dict[str, Any] = atomic.read_json(path) if path.is_file() else {}
    return session if session.get("key") == key else {"key": key}


def _latest_session(store: RunStore, keys: list[str]) -> pl.DataFrame:
    """The session that graded each run last: record_id, strategy_key, session.

    Sessions that share runs grade them at different numbers of trials, and perhaps by other thresholds. Projected one
    after the other, each sync would change such runs back and forth.
    """
    parts = [store.grades(key).select(*_GRADED_RUN, session=pl.lit(key)) for key in keys]
    empty = pl.DataFrame(schema=dict.fromkeys((*_GRADED_RUN, "session"), pl.String))
    return pl.concat([empty, *parts]).unique(_GRADED_RUN, keep="last", maintain_order=True)


def _with_settings_of(settings: TrackedDataset, session: Mapping[str, Any]) -> TrackedDataset:
    """The settings with the strategy or the portfolio of the session, which are shown with its runs."""
    import yaml

    config = yaml.safe_load(session.get("config_yaml") or "") or {}
    recorded = {}
    for section in ("strategy", "portfolio", "eligibility"):
        own = getattr(settings, section)
        names = {field.name for field in dataclasses.fields(own)}
        values = {name: value for name, value in (config.get(section) or {}).items() if name in names}
        recorded[section] = dataclasses.replace(own, **values)
    return dataclasses.replace(settings, **recorded)


def _strategy_key(grades: pl.DataFrame) -> str | None:
    """Key of the portfolio by which training graded these runs last."""
    keys = grades["strategy_key"].drop_nulls() if "strategy_key" in grades.columns else pl.Series(dtype=pl.String)
    return str(keys[-1]) if keys.len() else None


def _with_q_values(graded: pl.DataFrame, grades: pl.DataFrame) -> pl.DataFrame:
    """Grades of a session, with the q-values of the grades table."""
    keys = ["record_id", "grade_key"]
    if any(name not in frame.columns for frame in (graded, grades) for name in (*keys, "q_value")):
        return graded
    q_values = grades.select(*keys, "q_value").unique(keys)
    return graded.drop("q_value").join(q_values, on=keys, how="left")
