"""A confirmed grade is not computed again while all that it follows from has the same content, and only then."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from src.config.paths import DatasetPaths
from src.config.schema import GradeConfig, StrategyConfig
from src.storage import atomic
from src.training import confirmed_grades
from src.training.confirmed_grades import ConfirmedGrades
from src.training.regrading import GradeCheck, Regrader
from src.training.run_store import RunStore
from tests.pipeline_case import Project
from tests.shared_case import built_once


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Project:
    def build(root: Path) -> None:
        project = Project(root)
        for verb in ("hydrate", "featurize"):
            project.alone(verb)
        project.alone("train", "model=lightgbm", "tracking.enabled=false")

    return Project(built_once(tmp_path_factory, "confirmed-grades", build))


@pytest.fixture
def project(trained: Project, tmp_path: Path) -> Project:
    return trained.copy(tmp_path / "p")


def paths_of(project: Project) -> DatasetPaths:
    return DatasetPaths(project.root / "data", "demo")


def stored(project: Project) -> pl.DataFrame:
    store = RunStore(project.runs)
    return pl.concat([store.grades(key) for key in sorted(store.graded_sessions())])


class Repeated:
    """Checks the stored grades, and says which of them were computed again."""

    def __init__(self, project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
        self.project, self.seen = project, []
        self.strategy, self.grade = StrategyConfig(), GradeConfig()
        check = Regrader.check

        def noted(regrader: Regrader, graded: pl.DataFrame) -> Any:
            self.seen.extend(graded["record_id"])
            return check(regrader, graded)

        monkeypatch.setattr(Regrader, "check", noted)

    def __call__(self, grades: pl.DataFrame | None = None) -> dict[str, GradeCheck]:
        self.seen.clear()
        grades = stored(self.project) if grades is None else grades
        confirmed = ConfirmedGrades(paths_of(self.project), self.strategy, self.grade)
        return {each.record_id: each for each in confirmed.check(grades)}


@pytest.fixture
def repeated(project: Project, monkeypatch: pytest.MonkeyPatch) -> Repeated:
    return Repeated(project, monkeypatch)


def edited(path: Path, change: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
    """Change a Parquet file, and give it the time that it had."""
    before = path.stat()
    atomic.write_parquet(change(pl.read_parquet(path, glob=False)), path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def first(project: Project, pattern: str) -> Path:
    return next(iter(sorted((project.root / "data").glob(pattern))))


def predictions(project: Project) -> None:
    flipped = pl.col("oos_probability").list.eval(1.0 - pl.element())
    edited(first(project, "runs/demo/b*.runs.parquet"), lambda rows: rows.with_columns(flipped))


def bars(project: Project) -> None:
    edited(first(project, "bars/demo/b*.parquet"), lambda rows: rows.with_columns(pl.col("high") * 1.01))


def lost_bars(project: Project) -> None:
    sorted((project.root / "data").glob("bars/demo/b*.parquet"))[-1].unlink()


def figures(project: Project) -> None:
    edited(first(project, "runs/demo/b*.grades.parquet"), lambda rows: rows.with_columns(pl.col("auc") + 0.01))


def settings(project: Project) -> None:
    path = first(project, "runs/demo/session-*.json")
    said = json.loads(path.read_text(encoding="utf-8"))
    said["config_yaml"] = said["config_yaml"].replace("vol_target:", "other_target:")
    path.write_text(json.dumps(said), encoding="utf-8")


def record(project: Project) -> None:
    first(project, "runs/demo/b*.runs.parquet").unlink()


DAMAGE = {each.__name__: each for each in (predictions, bars, lost_bars, figures, record)}


def test_what_was_confirmed_is_not_computed_again(project: Project, repeated: Repeated) -> None:
    whole = repeated()
    assert len(whole) == len(repeated.seen) == 7
    assert all(check.objection is None for check in whole.values())
    again = repeated()
    assert repeated.seen == []
    assert {key: (c.objection, c.is_current) for key, c in again.items()} == dict.fromkeys(whole, (None, True))
    assert repeated(stored(project).head(2)).keys() == set(stored(project).head(2)["record_id"])
    repeated()
    assert repeated.seen == []  # a question about a few forgot none of the others


@pytest.mark.parametrize("name", DAMAGE)
def test_a_changed_or_lost_file_of_the_same_time_is_found(project: Project, repeated: Repeated, name: str) -> None:
    repeated()
    before = stored(project)
    DAMAGE[name](project)
    found = repeated(before if name == "record" else None)
    objected = {key for key, check in found.items() if check.objection}
    assert objected and objected <= set(repeated.seen)
    again = repeated(before if name == "record" else None)
    assert {key for key, check in again.items() if check.objection} == objected <= set(repeated.seen)


def test_other_settings_thresholds_and_code_are_looked_at_again(
    project: Project, repeated: Repeated, monkeypatch: pytest.MonkeyPatch
) -> None:
    repeated()
    repeated.grade = replace(GradeConfig(), min_auc=0.6)
    repeated()
    assert len(repeated.seen) == 7
    repeated.strategy = replace(StrategyConfig(), cost_bps={"stock": 50.0, "etf": 50.0, "crypto": 50.0})
    repeated()
    assert len(repeated.seen) == 7
    monkeypatch.setattr(confirmed_grades, "source_digest", lambda: "other code")
    repeated()
    assert len(repeated.seen) == 7
    settings(project)
    repeated()
    assert len(repeated.seen) == 7
    repeated()
    assert repeated.seen == []


def test_a_mark_of_one_record_stands_for_no_other(project: Project, repeated: Repeated) -> None:
    repeated()
    path = paths_of(project).settled / "confirmed.json"
    mark = json.loads(path.read_text(encoding="utf-8"))
    keys = sorted(mark["confirmed"])
    mark["confirmed"] = dict(zip(keys, (mark["confirmed"][key] for key in [*keys[1:], keys[0]]), strict=True))
    path.write_text(json.dumps(mark), encoding="utf-8")
    repeated()
    assert len(repeated.seen) == 7


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": 0}', '{"format": 1, "confirmed": 3}'])
def test_a_damaged_or_lost_mark_costs_time_alone(project: Project, repeated: Repeated, content: str) -> None:
    repeated()
    path = paths_of(project).settled / "confirmed.json"
    path.write_text(content, encoding="utf-8")
    assert all(check.objection is None for check in repeated().values())
    assert len(repeated.seen) == 7
    path.unlink()
    repeated()
    assert len(repeated.seen) == 7


def test_what_changes_while_it_is_read_is_not_marked(
    project: Project, repeated: Repeated, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = Regrader.check

    def late(regrader: Regrader, graded: pl.DataFrame) -> Any:
        found = list(check(regrader, graded))
        predictions(project)
        return found

    with monkeypatch.context() as patched:
        patched.setattr(Regrader, "check", late)
        repeated()
    assert any(each.objection for each in repeated().values())


def test_bars_of_later_years_change_nothing(project: Project, repeated: Repeated) -> None:
    from src.market.bars import BarStore

    repeated()
    store = BarStore(paths_of(project).bars)
    for number in store.buckets():
        rows = store.read_bucket(number)
        later = rows.group_by("asset_class", "symbol", maintain_order=True).last().select(rows.columns)
        rows = pl.concat([rows, later.with_columns(pl.col("date").dt.offset_by("2y"))])
        digest = store.write_bucket(number, rows)
        store.ledger.record(number, str(store.ledger.fact(number)), store.ledger.states(number), digest=digest)
    assert all(check.objection is None for check in repeated().values())
    assert repeated.seen == []
