"""What must hold between data/runs, MLflow's runs and the registry, whatever was killed, lost or changed.

::

    the registry  =  the runs that clear  =  the records in data/runs

`check` looks at one dataset and returns what does not hold, as data. It only reads, except that compiled Python in a
model's folder is deleted.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.config.commands import command
from src.core.instruments import KEY
from src.evaluation.grade import Thresholds, grade
from src.storage.atomic import stale_temporaries
from src.storage.ledger import STATES
from src.tracking import registry_gate, registry_sql, verdict
from src.tracking.duplicates import DOUBLED, SUPERSEDED
from src.tracking.location import local_folder, store_location
from src.tracking.records import FIGURES, RecordedGrade, Records
from src.tracking.registry_gate import CHAMPION, DELETED, GateRefusal, Query
from src.tracking.settings import TrackedDataset
from src.tracking.verdict import Use
from src.tracking.writer_tag import WRITER, is_writer_alive

if TYPE_CHECKING:
    from src.config.schema import Config


@dataclass(frozen=True)
class BrokenInvariant:
    """One thing that does not hold.

    Attributes
    ----------
    kind : str
        ``version``, ``missing version``, ``alias``, ``doubled``, ``placebo``, ``run``, ``record``, ``file`` or
        ``state``.
    subject : str
        What it is about: a version, a run, a record or a path.
    message : str
        What does not hold.
    remedy : str
        What to type.
    """

    kind: str
    subject: str
    message: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.subject}: {self.message} ({self.remedy})"


def check(config: Config) -> list[BrokenInvariant]:
    """Compare the registry, MLflow's runs and the records of one dataset.

    Parameters
    ----------
    config : Config

    Returns
    -------
    list of BrokenInvariant
        Empty if everything holds. Where a tracking server keeps the database, files alone are compared.
    """
    tracked = TrackedDataset.of(config)
    records = Records.of(config.paths)
    broken = [*_files(config, records), *_records(config, records), *_pooled_states(config)]
    location = store_location(config.tracking) if config.tracking.enabled else None
    if location is not None:
        with registry_sql.registry_query(location) as query:
            if query is not None and registry_sql.has_tables(query, location):
                thresholds = registry_gate.stored_thresholds(query, registry_sql.dialect(location))
                broken += _Registry(query, tracked, thresholds or tracked.thresholds, records).broken()
    return broken


@dataclass
class _TrackedRun:
    """A finished run of the dataset's experiment."""

    run_id: str
    tags: dict[str, str]
    metrics: dict[str, float]

    @property
    def key(self) -> tuple[str, str]:
        return self.tags["alpha.record_id"], self.tags.get("alpha.strategy_key", "")

    @property
    def is_superseded(self) -> bool:
        return bool(self.tags.get(SUPERSEDED))


@dataclass
class _Registry:
    """The dataset in MLflow's tables, beside its records."""

    query: Query
    tracked: TrackedDataset
    thresholds: Thresholds
    records: Records

    @property
    def _sync(self) -> str:
        return self.tracked.sync_command

    def broken(self) -> Iterator[BrokenInvariant]:
        yield from self._versions()
        yield from self._aliases()
        yield from self._doubled()
        yield from self._runs()
        yield from self._missing()
        yield from self._models()

    @cached_property
    def _experiment(self) -> Any:
        rows = self.query(
            "SELECT experiment_id FROM experiments WHERE name = ? AND lifecycle_stage = 'active'",
            (self.tracked.experiment,),
        )
        return rows[0][0] if rows else -1

    @cached_property
    def _tracked_runs(self) -> dict[str, _TrackedRun]:
        """Finished active runs that name a record, by id."""
        own = "r.experiment_id = ? AND r.lifecycle_stage = 'active' AND r.status = 'FINISHED'"
        found: dict[str, _TrackedRun] = defaultdict(lambda: _TrackedRun("", {}, {}))
        tags = f"SELECT t.run_uuid, t.key, t.value FROM tags t JOIN runs r ON r.run_uuid = t.run_uuid WHERE {own}"
        for run_id, key, value in self.query(
            f"{tags} AND (t.key LIKE 'alpha.%' OR t.key = 'arm')", (self._experiment,)
        ):
            found[run_id].run_id = run_id
            found[run_id].tags[key] = value
        marks = ", ".join("?" * len(FIGURES))
        metrics = "SELECT m.run_uuid, m.key, m.value FROM latest_metrics m JOIN runs r ON r.run_uuid = m.run_uuid"
        nan = "m.is_nan = ?" if self.tracked.tracking.uri.startswith("sqlite") else "m.is_nan = (? = 1)"
        values = (self._experiment, *FIGURES, 0)
        for run_id, key, value in self.query(f"{metrics} WHERE {own} AND m.key IN ({marks}) AND {nan}", values):
            found[run_id].metrics[key] = value
        return {run_id: run for run_id, run in found.items() if "alpha.record_id" in run.tags}

    @cached_property
    def _registered(self) -> list[tuple[str, int, str]]:
        """Name, number and run of the versions of the dataset: by their run, or by their name where the run is gone."""
        names = {name for name, _, run_id in self._all_versions if self._is_own(run_id)}
        known = {row[0] for row in self.query("SELECT run_uuid FROM runs", ())}
        return [
            (name, number, run_id)
            for name, number, run_id in self._all_versions
            if self._is_own(run_id) or (name in names and run_id not in known)
        ]

    @cached_property
    def _all_versions(self) -> list[tuple[str, int, str]]:
        query = "SELECT name, version, run_id FROM model_versions WHERE current_stage <> ? ORDER BY name, version"
        return [(name, int(number), str(run_id or "")) for name, number, run_id in self.query(query, (DELETED,))]

    @cached_property
    def _own_runs(self) -> set[str]:
        rows = self.query("SELECT run_uuid FROM runs WHERE experiment_id = ?", (self._experiment,))
        return {row[0] for row in rows}

    def _is_own(self, run_id: str) -> bool:
        return run_id in self._own_runs

    def _objections(self, name: str, number: int, use: Use) -> list[str]:
        try:
            candidate = registry_gate.registered_candidate(self.query, name, number)
            if candidate is None:
                return ["there is no such version"]
            standing = verdict.standing_in_database(self.query, candidate, name)
        except GateRefusal as refusal:
            return [str(refusal)]
        return [str(each) for each in verdict.objections(standing, self.thresholds, self.records, use)]

    def _versions(self) -> Iterator[BrokenInvariant]:
        for name, number, run_id in self._registered:
            subject = f"version {number} of {name}"
            if found := self._objections(name, number, Use.LOAD):
                yield BrokenInvariant("version", subject, "; ".join(found), self._sync)
            tags = dict(self.query("SELECT key, value FROM tags WHERE run_uuid = ?", (run_id,)))
            if tags.get("arm") == verdict.PLACEBO:
                yield BrokenInvariant("placebo", subject, "a placebo run is registered", f"delete {subject}")

    def _aliases(self) -> Iterator[BrokenInvariant]:
        existing = {(name, number) for name, number, _ in self._all_versions}
        own = {(name, number) for name, number, _ in self._registered}
        rows = self.query("SELECT name, alias, version FROM registered_model_aliases ORDER BY name, alias", ())
        for name, alias, version in rows:
            subject = f"alias {alias} of {name}"
            if (name, int(version)) not in existing:
                yield BrokenInvariant("alias", subject, f"there is no version {version}", self._sync)
            elif alias == CHAMPION and (name, int(version)) in own:
                found = self._objections(name, int(version), Use.KEEP)
                if found:
                    remedy = f"{command('promote')}, or with withdraw={name}"
                    yield BrokenInvariant("alias", subject, f"version {version}: {'; '.join(found)}", remedy)

    def _doubled(self) -> Iterator[BrokenInvariant]:
        keys = Counter(run.key for run in self._tracked_runs.values() if run.tags.get(SUPERSEDED) != DOUBLED)
        for (record_id, _), count in keys.items():
            if count > 1:
                yield BrokenInvariant("doubled", f"record {record_id}", f"has {count} runs in MLflow", self._sync)
        registered = Counter((name, run_id) for name, _, run_id in self._registered)
        for (name, run_id), count in registered.items():
            if count > 1:
                yield BrokenInvariant("doubled", name, f"has {count} versions of run {run_id}", "delete all but one")

    def _runs(self) -> Iterator[BrokenInvariant]:
        """Every graded record has its run with equal figures, and every run its record."""
        shown = defaultdict(list)
        for run in self._tracked_runs.values():
            shown[run.key].append(run)
            record_id = run.key[0]
            if record_id not in self.records and run.tags.get("arm") != verdict.PLACEBO:
                yield BrokenInvariant("run", f"run {run.run_id}", f"no record {record_id} in data/runs", "delete it")
        for graded in self.records.latest_grades():
            runs = shown.get((graded.record_id, graded.strategy_key), [])
            if not runs:
                yield BrokenInvariant("run", f"record {graded.record_id}", "MLflow has no run of it", self._sync)
            for run in runs:
                if run.is_superseded:
                    continue
                unlike = self.records.figure_objections(graded.record_id, run.metrics)
                if unlike:
                    yield BrokenInvariant("run", f"run {run.run_id}", "; ".join(unlike), command("train", "fresh=true"))
        yield from self._half_written()

    def _half_written(self) -> Iterator[BrokenInvariant]:
        query = (
            "SELECT r.run_uuid, t.value FROM runs r JOIN tags t ON t.run_uuid = r.run_uuid AND t.key = ? "
            "WHERE r.experiment_id = ? AND r.lifecycle_stage = 'active' AND r.status = 'RUNNING'"
        )
        for run_id, writer in self.query(query, (WRITER, self._experiment)):
            if not is_writer_alive(writer):
                yield BrokenInvariant("run", f"run {run_id}", "its writer ended before it was finished", self._sync)

    def _missing(self) -> Iterator[BrokenInvariant]:
        """Every run that may be registered is registered."""
        registered = {run_id for _, _, run_id in self._registered}
        runs = {run.key: run for run in self._tracked_runs.values() if not run.is_superseded}
        for graded in self.records.latest_grades():
            run = runs.get((graded.record_id, graded.strategy_key))
            if run is None or run.run_id in registered or not self._is_registrable(graded, run):
                continue
            message = f"record {graded.record_id} clears and has no version"
            yield BrokenInvariant("missing version", f"run {run.run_id}", message, self._sync)

    def _is_registrable(self, graded: RecordedGrade, run: _TrackedRun) -> bool:
        rows = self.query("SELECT value FROM params WHERE run_uuid = ? AND key = 'suspicious'", (run.run_id,))
        doubt = graded.suspicious or run.tags.get("alpha.suspicious") or (rows[0][0] if rows else None)
        if registry_gate.is_cleared(self.query, run.run_id):
            doubt = None
        clears = grade(graded.figures, self.thresholds, doubt).registrable
        return graded.passed and clears and not self.records.is_superseded(graded.record_id)

    def _models(self) -> Iterator[BrokenInvariant]:
        """No logged model is loose: each is that of its run, and its folder has a row."""
        rows = self.query(
            "SELECT m.model_id, m.artifact_location, m.lifecycle_stage, p.value FROM logged_models m "
            "LEFT JOIN params p ON p.run_uuid = m.source_run_id AND p.key = 'model_id' WHERE m.experiment_id = ?",
            (self._experiment,),
        )
        folders: set[Path] = set()
        for model_id, location, stage, tied in rows:
            folder = local_folder(location)
            folders |= {folder.parent} if folder is not None else set()
            if stage == "active" and tied != model_id:
                yield BrokenInvariant("file", f"logged model {model_id}", "no run names it as its own", self._sync)
        for parent in {folder.parent for folder in folders}:
            for path in sorted(parent.glob("m-*")):
                if path not in folders:
                    yield BrokenInvariant("file", str(path), "no logged model has its files there", f"delete {path}")


def _files(config: Config, records: Records) -> Iterator[BrokenInvariant]:
    """No temporary file is left, no bucket pending, and no model without a record."""
    paths = config.paths
    for folder in (paths.runs, paths.portfolios, paths.grades.parent, paths.states_folder):
        for path in stale_temporaries(folder) if folder.is_dir() else ():
            yield BrokenInvariant("file", str(path), "a temporary file of a command that ended", command("clean"))
    for root in (paths.runs, paths.portfolios):
        for path in sorted((root / "models").glob("*")):
            if path.name not in records and not path.name.startswith("."):
                yield BrokenInvariant("file", str(path), "a model without a record", command("train"))


def _records(config: Config, records: Records) -> Iterator[BrokenInvariant]:
    """Each record is stored once, and each row of the grades has its record."""
    import polars as pl

    train = command("train")
    stored = Counter(records.stored_rows())
    for record_id, count in stored.items():
        if count > 1:
            yield BrokenInvariant("doubled", f"record {record_id}", f"stands {count} times in data/runs", train)
    for path in (config.paths.grades, config.paths.portfolio_grades):
        if not path.is_file():
            continue
        graded = pl.read_parquet(path, columns=["record_id"], glob=False)["record_id"]
        for record_id in graded:
            if record_id not in records:
                yield BrokenInvariant("record", f"record {record_id}", f"is graded in {path}, and not stored", train)
        for record_id in graded.filter(graded.is_duplicated()).unique():
            yield BrokenInvariant("doubled", f"record {record_id}", f"stands twice in {path}", train)


def _pooled_states(config: Config) -> Iterator[BrokenInvariant]:
    """Each instrument has one state in the pooled scope, and a reason where it was not ranked."""
    import polars as pl

    path, train = config.paths.portfolio_states, command("train", "experiment=pooled")
    if not path.is_file():
        return
    states = pl.read_parquet(path, glob=False)
    doubled = states.filter(states.select(KEY).is_duplicated()).unique(KEY, maintain_order=True)
    unknown = states.filter(~pl.col("state").is_in(STATES))
    silent = states.filter((pl.col("state") != "done") & (pl.col("reason").fill_null("") == ""))
    faults = {
        "has several states": doubled,
        "has an unknown state": unknown,
        "was not ranked, without a reason": silent,
    }
    for fault, rows in faults.items():
        for asset_class, symbol in rows.select(KEY).iter_rows():
            yield BrokenInvariant("state", f"{asset_class}:{symbol}", f"{fault} in {path}", train)
