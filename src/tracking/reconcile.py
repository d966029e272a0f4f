"""Which runs, models and versions MLflow should have, against which it has: the difference is what is written.

Every step can be interrupted anywhere and repeated any number of times. No MLflow here: `src.tracking.store` does the
writing, and `src.tracking.registry_store` has the last word on what is registered.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from src.core.errors import StageError
from src.evaluation.grade import Thresholds, grade
from src.tracking.model_package import ModelFolder
from src.tracking.registry_gate import COUNTED
from src.tracking.run_record import RunContent, contents, drawn
from src.tracking.sqlite_runs import CHANGING, Change, Known

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl

    from src.config.schema import Config
    from src.training.run_store import RunStore

Key = tuple[str, str]
log = logging.getLogger(__name__)
_NOTE = {"graded": "the walk-forward procedure", "model": "a refit on all data up to the run's last bar"}


class Runs(Protocol):
    """Runs of one experiment: in bulk where the database is ours, by MLflow's client anywhere else."""

    def known(self, record_ids: Iterable[str]) -> dict[Key, Known]:
        """Finished runs of these records, by record and strategy."""

    def write(self, contents: Sequence[RunContent], parents: Mapping[str, str]) -> dict[Key, str]:
        """Write runs below the runs of their sessions; returns the ids given."""

    def update(self, changes: Sequence[Change]) -> None:
        """Set tags and give metrics a further value."""


class Target(Protocol):
    """MLflow's store of one dataset, as `src.tracking.store` opens it."""

    config: Config
    thresholds: Thresholds
    runs: Runs

    def session_run(self, key: str, name: str | None = None) -> str:
        """The id of a session's own run."""

    def valid(self, content: RunContent) -> RunContent:
        """The content as MLflow takes it."""

    def log_model(self, folder: ModelFolder, name: str, record_id: str, run_id: str) -> str:
        """Log a model, tie it to its run, return its id."""

    def register(self, run_id: str, model_id: str, name: str) -> str:
        """Register a model; returns the version, raises a StageError where the gate refuses."""


def bring_up_to_date(
    target: Target, store: RunStore, grades: pl.DataFrame, session: Mapping[str, Any]
) -> dict[str, Known]:
    """Write, update, give models and register; returns what MLflow now has of each record."""
    target.session_run(session["key"], session.get("name"))
    runs = _rows(store, grades)
    wanted = {content.key: content for content in _contents(target.config, runs, grades, session)}
    known = target.runs.known(record for record, _ in wanted)
    parents = {key: target.session_run(key) for key in sorted({content.session_key for content in wanted.values()})}
    new = [content for key, content in wanted.items() if key not in known]
    curves = store.equity([content.record_id for content in new if content.passed], session["key"])
    written = target.runs.write([target.valid(content) for content in drawn(new, curves)], parents)
    for key, run_id in written.items():
        known[key] = Known(run_id, dict(wanted[key].tags), dict(wanted[key].metrics))
    current = _current_key(target.config)
    changes = [change for key, content in wanted.items() if (change := _change(known[key], content, current))]
    changes += _outdated(wanted, known, current)
    target.runs.update(changes)
    by_id = {each.run_id: each for each in known.values()}
    for change in changes:
        by_id[change.run_id].tags.update(change.tags)
    _mark_superseded(target, store, wanted.values())
    passed = [content for content in wanted.values() if content.passed]
    features = dict(runs.select("record_id", "features").iter_rows())
    for content in passed:
        names = json.loads(features[content.record_id])
        _give_model(target, store.model_path(content.record_id), names, content, known[content.key])
        _register(target, content, known[content.key])
    return {content.record_id: known[key] for key, content in wanted.items()}


def is_registrable(content: RunContent, known: Known, thresholds: Thresholds) -> bool:
    """Whether the gate is expected to let the run's model in."""
    doubt = None if known.tags.get("alpha.cleared") else content.tags.get("alpha.suspicious")
    superseded = content.tags.get("alpha.superseded") or known.tags.get("alpha.superseded")
    return grade(content.metrics, thresholds, doubt).registrable and not superseded


def _rows(store: RunStore, grades: pl.DataFrame) -> pl.DataFrame:
    return store.runs(record_ids=grades["record_id"].to_list() if grades.height else [])


def _contents(
    config: Config, runs: pl.DataFrame, grades: pl.DataFrame, session: Mapping[str, Any]
) -> Iterable[RunContent]:
    import polars as pl

    from src.training.run_key import strategy_key

    if not grades.height:
        return []
    absent = {"strategy_key": session.get("strategy_key") or strategy_key(config), "session_key": session["key"]}
    grades = grades.with_columns(**{name: pl.lit(key) for name, key in absent.items() if name not in grades.columns})
    return contents(config, runs, grades)


def _current_key(config: Config) -> str:
    from src.training.run_key import strategy_key

    return strategy_key(config)


def _outdated(wanted: Mapping[Key, RunContent], known: Mapping[Key, Known], current: str) -> Iterable[Change]:
    """Runs that today's code grades otherwise: the same record and strategy settings, by code that was mended since."""
    settings = {
        record: content.tags["alpha.strategy_settings"]
        for (record, strategy), content in wanted.items()
        if strategy == current
    }
    now = int(1000 * time.time())
    for (record, strategy), each in known.items():
        same = settings.get(record, "") == each.tags.get("alpha.strategy_settings")
        if strategy != current and same and not each.tags.get("alpha.superseded"):
            yield Change(each.run_id, {"alpha.superseded": "true"}, {}, now)


def _change(known: Known, content: RunContent, current: str) -> Change | None:
    """What a later grade of the same returns changes: verdict tags, and figures other than those of the gate.

    Whether a run of earlier code is superseded is for the session of today's code to say.
    """
    wanted = {key: content.tags.get(key, "") for key in CHANGING}
    if content.strategy_key != current and known.tags.get("alpha.superseded"):
        del wanted["alpha.superseded"]
    tags = {key: value for key, value in wanted.items() if known.tags.get(key, "") != value}
    moved = {key: value for key, value in content.metrics.items() if key not in COUNTED and _moved(known, key, value)}
    return Change(known.run_id, tags, moved, int(1000 * time.time())) if tags or moved else None


def _moved(known: Known, key: str, value: float) -> bool:
    before = known.metrics.get(key)
    return before is None or abs(before - value) > 1e-12 * max(1.0, abs(value))


def _mark_superseded(target: Target, store: RunStore, wanted: Iterable[RunContent]) -> None:
    """Tag the runs that a later attempt of the same key replaced (the first attempt is number 0)."""
    import polars as pl

    keys = {content.params["run_key"] for content in wanted if not content.record_id.endswith(".0")}
    if not keys:
        return
    old = store.runs(("run_key",)).filter(pl.col("superseded") & pl.col("run_key").is_in(list(keys)))
    left = [each for each in target.runs.known(old["record_id"]).values() if not each.tags.get("alpha.superseded")]
    now = int(1000 * time.time())
    target.runs.update([Change(each.run_id, {"alpha.superseded": "true"}, {}, now) for each in left])


def _give_model(target: Target, native: Path | None, features: list[str], content: RunContent, known: Known) -> None:
    """Log a passing run's native model, unless the run has its model."""
    if known.model_id is not None or native is None:
        return
    params = content.params
    about = {"run_key": params["run_key"], "registered_name": params["registered_name"], **_NOTE}
    folder = ModelFolder(native, params["family"], features, params["library_version"], about)
    name = "".join(each if each.isalnum() or each in "-_" else "-" for each in content.name)
    known.model_id = target.log_model(folder, name, content.record_id, known.run_id)


def _register(target: Target, content: RunContent, known: Known) -> None:
    """Ask the registry for a version of the run's model, unless it had one or the gate is known to refuse."""
    if known.model_id is None or "alpha.registered" in known.tags:
        return
    if not is_registrable(content, known, target.thresholds):
        return
    name = content.params["registered_name"]
    try:
        known.tags["alpha.registered"] = f"{name}/{target.register(known.run_id, known.model_id, name)}"
    except StageError as error:
        log.warning("%s", error)
