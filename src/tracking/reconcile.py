"""Compare the runs, models and versions that MLflow should have with those it has, and write the difference.

Every step can be interrupted anywhere and repeated any number of times. MLflow is not imported here:
`src.tracking.store` does the writing, and `src.tracking.registry_store` decides what may be registered.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from src.core.errors import StageError
from src.evaluation.grade import Thresholds, grade
from src.tracking.card_writing import CardWriter
from src.tracking.model_package import ModelFolder
from src.tracking.native_models import NativeModels
from src.tracking.registry_gate import GATED
from src.tracking.run_record import RunContent, run_contents, with_equity
from src.tracking.search import version_numbers
from src.tracking.settings import TrackedDataset
from src.tracking.sqlite_runs import MUTABLE_TAGS, RecordedRun, RunUpdate

if TYPE_CHECKING:
    import polars as pl

    from src.tracking.repair import Repairs
    from src.training.run_store import RunStore

Key = tuple[str, str]
log = logging.getLogger(__name__)


class ExperimentRuns(Protocol):
    """Runs of one experiment: in bulk where the database is a tested sqlite file, by MLflow's client elsewhere."""

    def recorded(self, record_ids: Iterable[str]) -> dict[Key, RecordedRun]:
        """Find the finished runs of some records.

        Parameters
        ----------
        record_ids : iterable of str

        Returns
        -------
        dict
            Run by (record id, strategy key).
        """

    def write(self, contents: Sequence[RunContent], parents: Mapping[str, str]) -> dict[Key, str]:
        """Write runs.

        Parameters
        ----------
        contents : sequence of RunContent
        parents : mapping
            Session key to the id of the session's own run.

        Returns
        -------
        dict
            Run id by (record id, strategy key).
        """

    def update(self, updates: Sequence[RunUpdate]) -> None:
        """Set tags and append metric values.

        Parameters
        ----------
        updates : sequence of RunUpdate
        """


class ProjectionTarget(Protocol):
    """MLflow's store of one dataset; `src.tracking.store.MlflowStore` documents the methods."""

    settings: TrackedDataset
    thresholds: Thresholds
    runs: ExperimentRuns

    def session_run(self, key: str, name: str | None = None) -> str: ...  # noqa: D102 (see the class)

    def validated(self, content: RunContent) -> RunContent: ...  # noqa: D102 (see the class)

    def log_model(self, folder: ModelFolder, name: str, record_id: str, run_id: str) -> str: ...  # noqa: D102 (see the class)

    def register(self, run_id: str, model_id: str, name: str, cards: Any = None) -> str: ...  # noqa: D102 (see the class)


def reconcile(
    target: Any,
    store: RunStore,
    grades: pl.DataFrame,
    session: Mapping[str, Any],
    repairs: Repairs | None = None,
    bucket: int | None = None,
) -> dict[str, RecordedRun]:
    """Write and update runs, log models and register versions, until MLflow agrees with the run store.

    Parameters
    ----------
    target : ProjectionTarget
    store : RunStore
        Holds runs, equity curves and native models.
    grades : DataFrame
        Rows of grades.
    session : mapping
        ``key`` and, if known, ``name`` and ``strategy_key``.
    repairs : Repairs, optional
        Vets passes and mends what was lost or changed; training, whose grades are its own, goes without.
    bucket : int, optional
        Bucket of all the grades.

    Returns
    -------
    dict
        The run that MLflow now has, by record id.
    """
    target.session_run(session["key"], session.get("name"))
    runs = store.runs(record_ids=grades["record_id"].to_list(), bucket=bucket) if grades.height else grades
    wanted = {content.key: content for content in _contents(target.settings, runs, grades, session)}
    recorded = target.runs.recorded(record_id for record_id, _ in wanted)
    unconfirmed: set[Key] = set()
    if repairs is not None:
        if repairs.restore(target, wanted.keys() - recorded.keys()):
            recorded = target.runs.recorded(record_id for record_id, _ in wanted)
        versions = _versions(target, wanted.values(), recorded)
        wanted, unconfirmed = repairs.vetted(
            grades, wanted, lambda key: key in recorded and recorded[key].run_id in versions
        )
    _write_missing(target, store, wanted, recorded, session["key"], bucket)
    _update_changed(target, wanted, recorded)
    _mark_superseded(target, store, wanted.values())

    def write_again(content: RunContent) -> None:
        del recorded[content.key]
        _write_missing(target, store, {content.key: content}, recorded, session["key"], bucket)

    models = NativeModels(target, store, runs, repairs, write_again, bucket)
    passing = [content for content in wanted.values() if content.passed]
    for content in passing:
        models.bring(content, recorded)
    versions = _versions(target, passing, recorded)
    cards = CardWriter(target, session, is_sync=repairs is not None)
    for content in passing:
        if content.key not in unconfirmed:
            _register(target, content, recorded[content.key], versions, models, cards)
    cards.write(passing, recorded)
    return {content.record_id: recorded[key] for key, content in wanted.items()}


def _versions(
    target: Any, contents: Iterable[RunContent], recorded: Mapping[Key, RecordedRun]
) -> dict[str, dict[str, str]]:
    """Registered versions of the runs that passed, by run id."""
    runs = [recorded[content.key] for content in contents if content.passed and content.key in recorded]
    return version_numbers(target.client, (run.run_id for run in runs if run.model_id is not None))


def is_registrable(content: RunContent, run: RecordedRun, thresholds: Thresholds) -> bool:
    """Whether the gate is expected to accept the run's model.

    Parameters
    ----------
    content : RunContent
        The run as training graded it.
    run : RecordedRun
        The run as MLflow has it.
    thresholds : Thresholds
        Those that the registry demands.
    """
    suspicion = None if run.tags.get("alpha.cleared") else content.tags.get("alpha.suspicious")
    superseded = content.tags.get("alpha.superseded") or run.tags.get("alpha.superseded")
    return grade(content.metrics, thresholds, suspicion).registrable and not superseded


def _contents(
    settings: TrackedDataset, runs: pl.DataFrame, grades: pl.DataFrame, session: Mapping[str, Any]
) -> Iterable[RunContent]:
    import polars as pl

    if not grades.height:
        return []
    defaults = {
        "strategy_key": session.get("strategy_key") or _strategy_key(settings),
        "session_key": session["key"],
    }
    missing = {name: pl.lit(key) for name, key in defaults.items() if name not in grades.columns}
    return run_contents(settings, runs, grades.with_columns(**missing))


def _strategy_key(settings: TrackedDataset) -> str:
    """Key of the strategy, or of the portfolio of pooled runs, that training grades by now."""
    from src.training.run_key import strategy_key

    return settings.strategy_key or strategy_key(settings.strategy)


def _write_missing(
    target: ProjectionTarget,
    store: RunStore,
    wanted: Mapping[Key, RunContent],
    recorded: dict[Key, RecordedRun],
    session_key: str,
    bucket: int | None,
) -> None:
    """Write the runs that MLflow lacks, and add them to `recorded`."""
    parents = {key: target.session_run(key) for key in sorted({content.session_key for content in wanted.values()})}
    new = [content for key, content in wanted.items() if key not in recorded]
    curves = store.equity([content.record_id for content in new if content.passed], session_key, bucket)
    written = target.runs.write([target.validated(content) for content in with_equity(new, curves)], parents)
    for key, run_id in written.items():
        recorded[key] = RecordedRun(run_id, dict(wanted[key].tags), dict(wanted[key].metrics))


def _update_changed(
    target: ProjectionTarget, wanted: Mapping[Key, RunContent], recorded: Mapping[Key, RecordedRun]
) -> None:
    """Update the runs whose grade has changed, in MLflow and in `recorded`."""
    current = _strategy_key(target.settings)
    updates = [update for key, content in wanted.items() if (update := _update(recorded[key], content, current))]
    updates += _outdated(wanted, recorded, current)
    target.runs.update(updates)
    by_id = {run.run_id: run for run in recorded.values()}
    for update in updates:
        by_id[update.run_id].tags.update(update.tags)


def _outdated(
    wanted: Mapping[Key, RunContent], recorded: Mapping[Key, RecordedRun], current: str
) -> Iterable[RunUpdate]:
    """Supersede runs of the same record and strategy settings that were graded by code that was corrected since."""
    settings = {
        record_id: content.tags["alpha.strategy_settings"]
        for (record_id, strategy), content in wanted.items()
        if strategy == current
    }
    now = int(1000 * time.time())
    for (record_id, strategy), run in recorded.items():
        same = settings.get(record_id, "") == run.tags.get("alpha.strategy_settings")
        if strategy != current and same and not run.tags.get("alpha.superseded"):
            yield RunUpdate(run.run_id, {"alpha.superseded": "true"}, {}, now)


def _update(run: RecordedRun, content: RunContent, current: str) -> RunUpdate | None:
    """What a later grade of the same returns changes: tags of the verdict, and metrics that the gate does not read.

    Only the session of the current code decides whether a run of earlier code is superseded.
    """
    wanted = {key: content.tags.get(key, "") for key in MUTABLE_TAGS}
    if content.strategy_key != current and run.tags.get("alpha.superseded"):
        del wanted["alpha.superseded"]
    tags = {key: value for key, value in wanted.items() if run.tags.get(key, "") != value}
    metrics = {
        key: value
        for key, value in content.metrics.items()
        if key not in GATED and _has_changed(run.metrics.get(key), value)
    }
    return RunUpdate(run.run_id, tags, metrics, int(1000 * time.time())) if tags or metrics else None


def _has_changed(before: float | None, value: float) -> bool:
    return before is None or abs(before - value) > 1e-12 * max(1.0, abs(value))


def _mark_superseded(target: ProjectionTarget, store: RunStore, wanted: Iterable[RunContent]) -> None:
    """Tag the runs that a later attempt of the same key replaced (the first attempt is number 0)."""
    import polars as pl

    keys = {content.params["run_key"] for content in wanted if not content.record_id.endswith(".0")}
    if not keys:
        return
    old = store.runs(("run_key",)).filter(pl.col("superseded") & pl.col("run_key").is_in(list(keys)))
    runs = [run for run in target.runs.recorded(old["record_id"]).values() if not run.tags.get("alpha.superseded")]
    now = int(1000 * time.time())
    target.runs.update([RunUpdate(run.run_id, {"alpha.superseded": "true"}, {}, now) for run in runs])


def _register(
    target: ProjectionTarget,
    content: RunContent,
    run: RecordedRun,
    versions: Mapping[str, Mapping[str, str]],
    models: NativeModels,
    cards: CardWriter,
) -> None:
    """Register the run's model, unless it is registered or the gate is expected to refuse it."""
    name = content.params["registered_name"]
    if run.model_id is None or name in versions.get(run.run_id, {}):
        return
    if not is_registrable(content, run, target.thresholds):
        return
    try:
        number = target.register(run.run_id, run.model_id, name, cards.of(content, run.run_id))
    except StageError as error:
        log.warning("%s", error)
        if models.repairs is not None:
            models.repairs.refuse(content, str(error))
        return
    if models.repairs is not None and "alpha.registered" in run.tags:
        models.repairs.registered_again(content, number)
    run.tags["alpha.registered"] = f"{name}/{number}"
    if models.repairs is not None:
        models.repairs.restore_aliases(models.target, models.aliases.get(content.key, {}), number)
