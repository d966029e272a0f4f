"""Grades of pooled runs are repeated from scores and bars; what was edited, restated or lost is found."""

from __future__ import annotations

import datetime as dt
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml

from src.config.paths import DatasetPaths
from src.config.schema import FeaturesConfig, GradeConfig, PortfolioConfig, ScopeConfig, SplitConfig, StrategyConfig
from src.evaluation.pooled.assessment import assess_pooled
from src.evaluation.pooled.graded_days import PooledRun
from src.market.bars import BarStore, Manifest
from src.storage import atomic
from src.training.pooled import keys
from src.training.pooled.class_data import ClassBars, ClassData
from src.training.pooled.folds import pooled_folds
from src.training.pooled.regrading import PooledChoices, PooledRegrader
from src.training.pooled.score_store import ScoreStore, StoredFold, combined
from src.training.pooled.settings import PooledSettings
from src.training.regrading import CHECKED, GradeCheck
from src.training.run_store import RunStore, shard_name
from src.training.run_tables import OOS_SCHEMA, RUN_SCHEMA, grade_table
from src.training.settings import TrainingSettings
from tests.evaluation.pooled.universe_case import CHOICE, bars, label

GRADE = GradeConfig(common_shifts=20, min_oos=50)
FITS = {"lightgbm": "1" * 32, "ridge": "2" * 32}
SESSION = "8" * 24


@dataclass
class Project:
    """A project with the stored run, scores and grade of one class."""

    root: Path
    until: str | None

    @property
    def paths(self) -> DatasetPaths:
        return DatasetPaths(self.root / "data", "demo")

    def row(self) -> pl.DataFrame:
        return RunStore(self.paths.portfolios).grades(SESSION)

    def check(self, graded: pl.DataFrame | None = None) -> GradeCheck:
        own = PooledChoices(PortfolioConfig(), GradeConfig(), self.until)
        (found,) = PooledRegrader(self.paths, own).check(self.row() if graded is None else graded)
        return found

    def copy(self, root: Path) -> Project:
        shutil.copytree(self.root, root)
        return Project(root, self.until)


def stored(root: Path, until: str | None = "2017-07-31") -> Project:
    """Bars, scores without skill of two families, the run over both, and its grade."""
    project = Project(root, until)
    write_bars(project, list(bars().values()))
    data = ClassData(class_bars(project), CHOICE, label())
    settings = pooled_settings(project)
    parts = run_parts(project, settings)
    dates, eligible = data.section.dates, data.eligible
    folds = pooled_folds(dates, "stock", settings.training.split, 20, 10)
    scores = ScoreStore(project.paths.portfolios)
    for number, key in enumerate(FITS.values()):
        for fold in folds:
            values = np.random.default_rng(number).normal(size=int(eligible[fold.score].sum())).astype(np.float32)
            scores.add(key, fold.first.isoformat(), values, StoredFold(100, 1.0, []))
    days = slice(folds[0].score.start, folds[-1].score.start + folds[-1].graded)
    names = [fold.first.isoformat() for fold in folds]
    tables = {kind: scores.table(key, names, dates, eligible) for kind, key in FITS.items()}
    run = PooledRun(data.section, eligible, data.styles, data.targets, combined(tables, eligible)[days], days)
    values = assess_pooled(run, settings.portfolio, CHOICE, GRADE, trials=66, seed=7).values
    record(project, settings, parts, values, dates[days.stop + 1])
    return project


def write_bars(project: Project, frames: list[pl.DataFrame]) -> None:
    store = BarStore(project.paths.bars)
    store.write_manifest(Manifest("demo", "1d", "folder", "", "auto", 1, None, "f", "j", True))
    states = pl.concat([frame.head(1).select("asset_class", "symbol") for frame in frames])
    states = states.with_columns(state=pl.lit("done"), reason=pl.lit(""))
    digest = store.write_bucket(0, pl.concat(frames))
    store.ledger.record(0, "j", [], digest=digest)
    atomic.write_parquet(states, project.paths.states("featurize"))


def class_bars(project: Project) -> ClassBars:
    states = pl.read_parquet(project.paths.states("featurize"))
    names = frozenset(states.select("asset_class", "symbol").iter_rows())
    until = dt.date.fromisoformat(project.until) if project.until else None
    return ClassBars(BarStore(project.paths.bars), "stock", until, names)


def pooled_settings(project: Project) -> PooledSettings:
    split = SplitConfig(fold_months=3, first_train_bars=150, embargo=5, until=project.until)
    training = TrainingSettings(
        project.paths, "1d", [], FeaturesConfig(), label(), split, StrategyConfig(), GRADE, seed=7
    )
    return PooledSettings(training, label(), ScopeConfig(kind="pooled"), CHOICE, PortfolioConfig(), is_ensemble=True)


def run_parts(project: Project, settings: PooledSettings) -> dict[str, Any]:
    split = {name: value for name, value in asdict(settings.training.split).items() if name not in ("name", "until")}
    nameless = [{k: v for k, v in asdict(each).items() if k != "name"} for each in (settings.label, CHOICE)]
    scope = {"objective": "regression", "train_every": 10}
    bars_key = class_bars(project).digest(project.root / "note.json")
    return {
        "bars": bars_key, "label": nameless[0], "eligibility": nameless[1], "split": split, "scope": scope,
        "seed": 7, "fits": FITS,
    }  # fmt: skip


def record(project: Project, settings: PooledSettings, parts: Any, values: dict[str, Any], last: np.datetime64) -> None:
    """Store the run and its grade as the pooled session does."""
    import json

    store = RunStore(project.paths.portfolios)
    named = {"record_id": "a" * 24 + ".0", "run_key": "a" * 24, "attempt": 0, "session_key": SESSION}
    named |= {"strategy_key": keys.portfolio_key(settings), "asset_class": "pooled", "symbol": "stock.neutral"}
    named |= {"family": "ensemble"}
    schema = {**RUN_SCHEMA, **OOS_SCHEMA}
    run = {**dict.fromkeys(schema), **named, "parts": json.dumps(parts), "params": "{}", "features": "[]"}
    run |= {"oos_stamp": [last.astype("datetime64[us]").item()]}
    atomic.write_parquet(pl.DataFrame([run], schema=schema), store.root / f"{shard_name(0, SESSION)}.runs.parquet")
    row = named | values | {"grade_key": keys.grade_key(settings), "graded_by": SESSION}
    store.write_grades(shard_name(0, SESSION), grade_table([row]))
    config = {
        "portfolio": asdict(settings.portfolio), "grade": asdict(GRADE), "split": asdict(settings.training.split),
    }  # fmt: skip
    described = {"key": SESSION, "config_yaml": yaml.safe_dump(config)}
    atomic.write_json(described, store.root / f"session-{SESSION[:8]}.json")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return stored(tmp_path_factory.mktemp("pooled") / "p")


@pytest.fixture
def project(trained: Project, tmp_path: Path) -> Project:
    return trained.copy(tmp_path / "p")


def test_a_grade_that_training_stored_is_repeated_to_the_last_digit(project: Project) -> None:
    found = project.check()
    assert (found.objection, found.is_current) == (None, True)


def test_each_edited_figure_is_found(project: Project) -> None:
    row = project.row()
    known = [name for name in CHECKED if row[name][0] is not None]
    assert len(known) == len(CHECKED)
    found = project.check(row.with_columns((pl.col(name) + 1).cast(row.schema[name]) for name in known))
    assert [each.split()[0] for each in found.differing] == known
    assert found.is_damage


def test_an_older_row_is_checked_by_the_figures_of_the_gate_alone(project: Project) -> None:
    older = project.row().with_columns(grade_key=pl.lit("0" * 24))
    assert project.check(older.with_columns(z=pl.lit(9.0))).objection is None
    found = project.check(older.with_columns(pl.col("sharpe") + 1))
    assert [each.split()[0] for each in found.differing] == ["sharpe"]
    assert (found.is_current, found.is_damage) == (False, True)


def test_where_evidence_decides_nothing_the_figures_of_the_gate_are_repeated_alone(project: Project) -> None:
    row = project.row().with_columns(gate_alone=pl.lit(True))
    assert project.check(row.with_columns(z=pl.lit(9.0))).objection is None
    found = project.check(row.with_columns(pl.col("sharpe") + 1))
    assert [each.split()[0] for each in found.differing] == ["sharpe"]
    assert (found.is_current, found.is_damage) == (True, True)


def test_edited_scores_give_other_figures(project: Project) -> None:
    for path in (project.paths.portfolios / "scores").rglob("*.npy"):
        np.save(path, -np.load(path))
    assert "auc" in str(project.check().objection)


def test_scores_that_are_gone_are_named(project: Project) -> None:
    shutil.rmtree(project.paths.portfolios / "scores" / FITS["ridge"])
    assert str(project.check().missing).startswith("its scores can't be graded: ")


def test_restated_bars_are_named(project: Project) -> None:
    frames = list(bars().values())
    frames[3] = frames[3].with_columns(pl.col("close") * 1.01)
    write_bars(project, frames)
    assert str(project.check().missing).startswith("its bars are gone or were restated since")
    shutil.rmtree(project.paths.bars)
    assert str(project.check().missing).startswith("its bars are gone or were restated since")


def test_bars_that_came_since_change_nothing_where_no_last_date_was_pinned(project: Project) -> None:
    recorded(project, "split", until=None)
    project.until = None
    found = project.check()  # of bars to the end of August: they are cut at the last booked return
    assert (found.objection, found.is_current) == (None, True)


def test_a_portfolio_of_other_settings_or_an_unknown_record_is_named(project: Project) -> None:
    other = project.row().with_columns(strategy_key=pl.lit("0" * 24))
    assert "a portfolio of other code or settings" in str(project.check(other).missing)
    unknown = project.row().with_columns(record_id=pl.lit("f" * 24 + ".0"))
    assert str(project.check(unknown).missing).startswith("data/portfolios has no record f")


def test_thresholds_that_changed_since_change_no_figure(project: Project) -> None:
    recorded(project, "grade", min_auc=0.6)
    found = project.check()
    assert (found.objection, found.is_current) == (None, False)


def recorded(project: Project, section: str, **changes: Any) -> None:
    """Change what the session recorded of its configuration."""
    path = project.paths.portfolios / f"session-{SESSION[:8]}.json"
    described = atomic.read_json(path)
    config = yaml.safe_load(described["config_yaml"])
    config[section] |= changes
    atomic.write_json({**described, "config_yaml": yaml.safe_dump(config)}, path)
