"""One look at all champions and the book: judge, raise alarms, act on them, and write the tables."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from src.core.instruments import POOLED
from src.market.calendar import session_count
from src.monitoring import tables
from src.monitoring.actions import demote_flagged, show_in_registry, subject_of
from src.monitoring.alarms import Alarm, AlarmState
from src.monitoring.book_history import book_history
from src.monitoring.book_review import BookReview, book_review
from src.monitoring.drift import Drift, DriftCase, drift_of
from src.monitoring.gathered import Champion, Gathered, gathered
from src.monitoring.judgement import Case, Judgement, judgements
from src.monitoring.nulls import Expectation, expectations
from src.monitoring.oos_record import OosRecord, oos_records
from src.monitoring.verdicts import alarm, verdict
from src.signals.journal import Journal
from src.storage import atomic
from src.tracking.crowned_versions import crowned_versions
from src.tracking.settings import TrackedDataset

if TYPE_CHECKING:
    from src.config.paths import DatasetPaths
    from src.config.schema import BookConfig, Config, GradeConfig, MonitorConfig


@dataclass(frozen=True)
class MonitorRequest:
    """What the monitor takes from the configuration of a command.

    Attributes
    ----------
    paths : DatasetPaths
    tracked : TrackedDataset
    choice : MonitorConfig
    seed : int
        Of the bootstrap.
    book : BookConfig
    gate : GradeConfig
        For the book's own out-of-sample record.
    """

    paths: DatasetPaths
    tracked: TrackedDataset
    choice: MonitorConfig
    seed: int
    book: BookConfig
    gate: GradeConfig

    @classmethod
    def of(cls, config: Config) -> MonitorRequest:
        """Take the request from the configuration of a command."""
        return cls(config.paths, TrackedDataset.of(config), config.monitor, config.seed, config.book, config.grade)


@dataclass(frozen=True)
class Review:
    """What one look found.

    Attributes
    ----------
    today : date
        Of the newest bar.
    champions, book : DataFrame
        Columns of `src.monitoring.tables.CHAMPIONS` and `BOOK`.
    done : list of str
        What was done about flags, one line each.
    demoted : int
        Champions taken down by this look.
    tested : int
        Champions whose features were tested for drift.
    """

    today: dt.date
    champions: pl.DataFrame
    book: pl.DataFrame
    done: list[str]
    demoted: int
    tested: int


@dataclass(frozen=True)
class _Evidence:
    """What champions are judged by."""

    found: Gathered
    records: Mapping[str, OosRecord]
    expected: Mapping[str, Expectation]
    state: AlarmState

    def case(self, champion: Champion, record_id: str, choice: MonitorConfig) -> Case:
        """What one champion is judged by."""
        run, record = self.found.runs.get(record_id), self.records.get(record_id)
        horizon = 1 if run is None else run.label.horizon
        return Case(
            self.found.track(champion),
            None if record is None else record.daily,
            self.expected.get(record_id),
            self.state.judged_from(subject_of(champion)),
            max(choice.block, 2 * horizon),
            self.found.grades.get(record_id, {}).get("turnover"),
        )


def review(request: MonitorRequest) -> Review:
    """Look at all champions and the book, act on what is found, and write the tables.

    Parameters
    ----------
    request : MonitorRequest

    Returns
    -------
    Review

    Raises
    ------
    StageError
        If there is no journal or it is broken, there are no bars, or the registry can't be read.
    """
    choice, paths = request.choice, request.paths
    state = AlarmState.read(paths.monitor)
    found = gathered(paths, crowned_versions(request.tracked))
    evidence = _evidence(found, paths, state)
    families = {record_id: run.family for record_id, run in found.runs.items()}
    rows = [row | {"family": families.get(row["record_id"])} for row in found.champions.rows(named=True)]
    cases = [evidence.case((row["name"], row["version"]), row["record_id"], choice) for row in rows]
    judged = list(judgements(cases, choice, request.seed, paths.monitor / "judgements.parquet"))
    drift = drift_of(_drift_cases(evidence, rows), paths, choice, request.seed)
    raised = _raised(rows, judged, drift, evidence, choice)
    state.judged_to = found.today.isoformat()
    history = book_history([*found.crowned.values()], paths, request.book, request.gate)
    book = book_review(found, history, evidence.records, evidence.expected, state, choice, request.seed)
    state.write(paths.monitor)  # what is raised is kept, whatever becomes of what follows
    demoted: set[Champion] = set()
    done: list[str] = []
    if choice.action == "demote":
        demoted, done = demote_flagged(raised, request.tracked, Journal.of(paths), state, found.today)
    table = _champions(rows, judged, drift, raised, demoted, state, choice)
    _write(paths, table, book, drift)
    known = [(row["name"], row["version"]) for row in rows]
    standing = {champion: each for champion, each in raised.items() if champion not in demoted}
    done += show_in_registry(standing, known, request.tracked, state)
    state.write(paths.monitor)
    return Review(found.today, table, book.table, done, len(demoted), drift.tested)


def _evidence(found: Gathered, paths: DatasetPaths, state: AlarmState) -> _Evidence:
    keys = {each.record_id: each.strategy_key for each in found.crowned.values() if each.strategy_key}
    return _Evidence(found, oos_records(paths, found.runs, keys), expectations(paths, found.runs, found.grades), state)


def _drift_cases(evidence: _Evidence, rows: list[dict[str, Any]]) -> list[DriftCase]:
    cases = []
    for row in rows:
        champion, run = (row["name"], row["version"]), evidence.found.runs.get(row["record_id"])
        record = evidence.records.get(row["record_id"])
        if row["standing"] != "champion" or run is None or record is None:
            continue
        score = record.daily.score if record.daily.score is not None else record.daily.net[:0]
        judged_from = evidence.state.judged_from(subject_of(champion))
        recent = evidence.found.track(champion).score if run.key[0] != POOLED else score[:0]
        cases.append(DriftCase(champion, run, score, recent, judged_from))
    return cases


def _raised(
    rows: list[dict[str, Any]], judged: list[Judgement], drift: Drift, evidence: _Evidence, choice: MonitorConfig
) -> dict[Champion, Alarm]:
    """Alarms of present champions, those raised before included; of former ones none is kept."""
    raised: dict[Champion, Alarm] = {}
    found, state = evidence.found, evidence.state
    for row, each in zip(rows, judged, strict=True):
        champion = row["name"], row["version"]
        if row["standing"] != "champion":
            state.raised.pop(subject_of(champion), None)
            continue
        objections = found.crowned[champion].objections
        looked_at = row | each.row | _silence_since(row, evidence)
        against = alarm(looked_at, each, drift.findings.get(champion), objections, choice, found.today)
        now = state.update(subject_of(champion), against)
        if now is not None:
            raised[champion] = now
    return raised


def _silence_since(row: Mapping[str, Any], evidence: _Evidence) -> dict[str, int]:
    """Sessions without a decision after the day up to which a person has looked at the champion."""
    seen = evidence.state.judged_from(subject_of((row["name"], row["version"])))
    run = evidence.found.runs.get(row["record_id"])
    if seen is None or run is None:
        return {}
    since = session_count(run.asset_class, seen + dt.timedelta(days=1), evidence.found.today)
    return {"silent": min(row["silent"], since)}


def _champions(
    rows: list[dict[str, Any]],
    judged: list[Judgement],
    drift: Drift,
    raised: Mapping[Champion, Alarm],
    demoted: set[Champion],
    state: AlarmState,
    choice: MonitorConfig,
) -> pl.DataFrame:
    """Table of all champions, the worst first."""
    made = []
    for row, each in zip(rows, judged, strict=True):
        champion = row["name"], row["version"]
        subject, against = subject_of(champion), raised.get(champion)
        finding = drift.findings.get(champion)
        whole = row | each.row | (dict(finding.columns) if finding else {})
        named, reason = verdict(whole, against, choice)
        seen = state.acknowledged.get(subject)
        made.append(
            whole
            | {"verdict": named, "reason": reason, "demoted": champion in demoted or subject in state.demoted}
            | {"causes": ", ".join(against.causes) if against else None}
            | {"since": dt.date.fromisoformat(against.since) if against else None}
            | {"acknowledged": str(seen) if seen else None}
        )
    order = pl.col("verdict").replace_strict({"flagged": 0, "expected": 1, "young": 2, "ended": 3}, default=4)
    worst = [order, pl.col("evidence").fill_null(-1.0), "name", "version"]
    return tables.frame(made, tables.CHAMPIONS).sort(worst, descending=[False, True, False, False])


def _write(paths: DatasetPaths, champions: pl.DataFrame, book: BookReview, drift: Drift) -> None:
    folder = paths.monitor
    atomic.write_parquet(champions, folder / "champions.parquet")
    atomic.write_parquet(book.table, folder / "book.parquet")
    atomic.write_parquet(book.days, folder / "book_days.parquet")
    atomic.write_parquet(tables.frame(drift.rows, tables.DRIFT), folder / "drift.parquet")
