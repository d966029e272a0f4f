"""Stored grades are repeated from predictions and bars; what was edited, restated or lost is found."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from src.config.paths import DatasetPaths
from src.config.schema import GradeConfig, StrategyConfig
from src.market.bars import BarStore
from src.storage import atomic
from src.training.regrading import CHECKED, GradeCheck, Regrader
from src.training.run_store import RunStore
from tests.pipeline_case import Project, featurized


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = featurized(tmp_path_factory, tmp_path_factory.mktemp("regrading") / "p")
    project.alone("train", "model=lightgbm", "tracking.enabled=false")
    return project


@pytest.fixture
def project(trained: Project, tmp_path: Path) -> Project:
    return trained.copy(tmp_path / "p")


def paths_of(project: Project) -> DatasetPaths:
    return DatasetPaths(project.root / "data", "demo")


def stored(project: Project) -> pl.DataFrame:
    store = RunStore(project.runs)
    (session,) = {path.name[5:13] for path in project.runs.glob("b*.grades.parquet")}
    return store.grades(session)


def checks(project: Project, grades: pl.DataFrame) -> list[GradeCheck]:
    return list(Regrader(paths_of(project), StrategyConfig(), GradeConfig()).check(grades))


def test_grades_that_training_stored_are_repeated_to_the_last_digit(project: Project) -> None:
    found = checks(project, stored(project))
    assert len(found) == 7
    assert [each.objection for each in found] == [None] * 7
    assert all(each.is_current for each in found)


@pytest.mark.parametrize("name", CHECKED)
def test_each_edited_figure_is_found(project: Project, name: str) -> None:
    grades = stored(project).filter(pl.col(name).is_not_null()).head(1)
    edited = grades.with_columns((pl.col(name) + 1).cast(grades.schema[name]))
    (found,) = checks(project, edited)
    assert found.objection is not None
    assert f"({name} " in found.objection and found.objection.endswith("run `python -m src.train`, which grades again")
    (found,) = checks(project, grades.with_columns(pl.lit(None, dtype=grades.schema[name]).alias(name)))
    assert f"{name} nothing is stored" in str(found.objection)


def test_evidence_by_earlier_code_is_no_damage_and_an_edited_figure_is() -> None:
    assert GradeCheck("r", "s", differing=("z 1 is stored",), is_current=True).is_damage
    assert not GradeCheck("r", "s", differing=("z 1 is stored",)).is_damage
    assert GradeCheck("r", "s", differing=("auc 1 is stored",)).is_damage
    assert not GradeCheck("r", "s", missing="its bars are gone").is_damage


def test_thresholds_that_changed_since_change_no_figure(project: Project) -> None:
    grade = replace(GradeConfig(), min_auc=0.6)
    found = list(Regrader(paths_of(project), StrategyConfig(), grade).check(stored(project)))
    assert [each.objection for each in found] == [None] * 7


def test_a_grade_by_another_strategy_is_checked_by_that_strategy(project: Project) -> None:
    other = replace(StrategyConfig(), cost_bps={"stock": 50.0, "etf": 50.0, "crypto": 50.0})
    found = list(Regrader(paths_of(project), other, GradeConfig()).check(stored(project)))
    assert [each.objection for each in found] == [None] * 7
    unknown = stored(project).with_columns(strategy_key=pl.lit("0" * 24))
    assert "a strategy of other code or settings" in str(checks(project, unknown)[0].objection)


def _restated(project: Project, change: pl.Expr) -> str:
    store = BarStore(paths_of(project).bars)
    bars = store.read_bucket(0)
    symbol = str(bars["symbol"][0])
    bars = bars.with_columns(pl.when(pl.col("symbol") == symbol).then(change).otherwise(pl.col("high")).alias("high"))
    store.ledger.record(0, str(store.ledger.fact(0)), store.ledger.states(0), digest=store.write_bucket(0, bars))
    return symbol


def test_restated_bars_are_named_and_the_other_instruments_are_checked(project: Project) -> None:
    symbol = _restated(project, pl.col("high") * 1.01)
    grades = stored(project)
    found = {each.record_id: each for each in checks(project, grades)}
    for record_id, of in grades.select("record_id", "symbol").iter_rows():
        missing = found[record_id].missing or ""
        assert missing.startswith("its bars are gone or were restated since") is (of == symbol)


def test_bars_that_came_since_change_nothing(project: Project) -> None:
    store = BarStore(paths_of(project).bars)
    for number in store.buckets():
        bars = store.read_bucket(number)
        later = bars.group_by("asset_class", "symbol", maintain_order=True).last().select(bars.columns)
        later = later.with_columns(pl.col("date").dt.offset_by("3d"), close=pl.col("close") * 1.01)
        bars = pl.concat([bars, later])
        digest = store.write_bucket(number, bars)
        store.ledger.record(number, str(store.ledger.fact(number)), store.ledger.states(number), digest=digest)
    assert [each.objection for each in checks(project, stored(project))] == [None] * 7


def test_bars_that_are_gone_are_named(project: Project) -> None:
    import shutil

    shutil.rmtree(paths_of(project).bars)
    assert all(str(each.missing).startswith("its bars are gone") for each in checks(project, stored(project)))


def test_edited_predictions_give_other_figures(project: Project) -> None:
    path = next(project.runs.glob("b*.runs.parquet"))
    runs = pl.read_parquet(path)
    flipped = pl.col("oos_probability").list.eval(1.0 - pl.element())
    atomic.write_parquet(runs.with_columns(flipped), path)
    found = {each.record_id: each for each in checks(project, stored(project))}
    for record_id in runs["record_id"]:
        assert "auc" in str(found[record_id].objection)


def test_a_record_that_is_not_stored_is_named(project: Project) -> None:
    unknown = stored(project).head(1).with_columns(record_id=pl.lit("f" * 24 + ".0"))
    (found,) = checks(project, unknown)
    assert str(found.missing).startswith("data/runs has no record f")
