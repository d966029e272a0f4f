"""A bucket counts as settled only while nothing that a session makes of it could have changed."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from src.config.schema import Config, ModelConfig
from src.core.errors import StageError
from src.core.failure import Failure
from src.featurize import featurize
from src.models.library import Library
from src.models.lightgbm import LightGBMParams
from src.training import settled_buckets
from src.training.session import Session
from src.training.settings import TrainingSettings
from src.training.walk_forward import InstrumentTask, TrainedInstrument
from tests.training.test_session import Brief, bars_of, configured, finish

Change = Callable[[Path, Config], object]


def settings(project: Brief) -> Config:
    """Thresholds that every run clears, so that every run has a model."""
    config = configured(project, "rsi_14", "return_5")
    config.grade.min_auc, config.grade.min_accuracy, config.grade.min_sharpe = 0.0, 0.0, -99.0
    config.grade.max_drawdown = 1.0
    config.split.until = "2023-12-31"
    return config


def again(config: Config) -> Session:
    return Session(TrainingSettings.of(config, [ModelConfig("lightgbm", params=LightGBMParams(rounds=3))]))


def settled(found: Session) -> set[int]:
    """Buckets that a session does not plan."""
    return {bucket for bucket in found.inputs.buckets if found.settled.of(bucket) is not None}


def replace_bars(project: Brief, change: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
    """Bars of bucket 0 as a later hydrate would leave them."""
    store = bars_of(project)
    digest = store.write_bucket(0, change(store.read_bucket(0)))
    store.record(0, str(store.ledger.fact(0)), store.ledger.states(0), digest)


def short(bars: pl.DataFrame) -> pl.DataFrame:
    """All of one instrument but its first 400 bars removed: it is skipped."""
    first = pl.col("symbol") == bars["symbol"][0]
    return bars.filter(~first | (pl.int_range(pl.len()).over("symbol") < 400))


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Brief:
    """A project whose session has ended; one instrument is skipped."""
    project = Brief(tmp_path_factory.mktemp("settled") / "p")
    project.alone("hydrate")
    replace_bars(project, short)
    finish(again(settings(project)), lambda _task, trained: trained)
    return project


@pytest.fixture
def project(ended: Brief, tmp_path: Path) -> Brief:
    return ended.copy(tmp_path / "p")


def file(folder: Path, pattern: str) -> Path:
    return sorted(folder.glob(pattern))[0]


def flip(path: Path) -> None:
    """Change one byte; size and times stay."""
    stat, content = path.stat(), bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def fail_one(data: Path, _config: Config) -> None:
    path = data / "states" / "demo" / "featurize.parquet"
    states, first = pl.read_parquet(path), pl.int_range(pl.len()) == 0
    changes = {"state": "failed", "reason": "a fault"}
    changed = [pl.when(first).then(pl.lit(value)).otherwise(name).alias(name) for name, value in changes.items()]
    states.with_columns(changed).write_parquet(path)


def forget_trials(data: Path, _config: Config) -> None:
    file(data / "trials" / "demo", "*.trials.parquet").unlink()


def try_elsewhere(data: Path, _config: Config) -> None:
    """Another session's trial of one of the series, under another name."""
    path = file(data / "trials" / "demo", "*.trials.parquet")
    other = pl.read_parquet(path).head(1).with_columns(session_key=pl.lit("f" * 24), run_key=pl.lit("e" * 24))
    (data / "trials" / "other").mkdir()
    other.with_columns(dataset=pl.lit("other")).write_parquet(data / "trials" / "other" / "ffffffff.trials.parquet")


def add_model(data: Path, _config: Config) -> None:
    path = file(data / "runs" / "demo" / "models", "*/*")
    path.with_name("model.json").write_bytes(b"{}")
    path.unlink()


IN_ONE_BUCKET: dict[str, Change] = {
    "a lost file of runs": lambda data, _: file(data / "runs/demo", "b*.runs.parquet").unlink(),
    "a truncated file of runs": lambda data, _: truncate(file(data / "runs/demo", "b*.runs.parquet")),
    "a changed file of runs": lambda data, _: flip(file(data / "runs/demo", "b*.runs.parquet")),
    "a lost file of grades": lambda data, _: file(data / "runs/demo", "b*.grades.parquet").unlink(),
    "a changed file of grades": lambda data, _: flip(file(data / "runs/demo", "b*.grades.parquet")),
    "lost skips": lambda data, _: file(data / "runs/demo", "b*.skips.json").unlink(),
    "changed bars": lambda data, _: flip(file(data / "bars/demo", "b*-2021.parquet")),
    "a lost file of later bars": lambda data, _: file(data / "bars/demo", "b*-2024.parquet").unlink(),
    "a lost model": lambda data, _: file(data / "runs/demo/models", "*/*").unlink(),
    "a changed model": lambda data, _: flip(file(data / "runs/demo/models", "*/*")),
    "another model": add_model,
    "an instrument that failed before": fail_one,
    "another session's runs": lambda data, _: shutil.copy(
        file(data / "runs/demo", "b*.runs.parquet"), data / "runs/demo/b000-ffffffff.runs.parquet"
    ),
}
UNREADABLE = (
    "a truncated file of runs",
    "a changed file of runs",
    "a changed file of grades",
    "changed bars",
    "a lost file of later bars",
)
"""Every session stops at these, or may."""
IN_ALL: dict[str, Change] = {
    "thresholds": lambda _, config: setattr(config.grade, "min_auc", 0.01),
    "costs": lambda _, config: config.strategy.cost_bps.update(stock=50.0),
    "a later end": lambda _, config: setattr(config.split, "until", "2024-06-30"),
    "only": lambda _, config: setattr(config, "only", ["SIMC01-USD"]),
    "fresh": lambda _, config: setattr(config, "fresh", True),
    "another session's trials": try_elsewhere,
    "lost trials": forget_trials,
    "a damaged cache": lambda data, _: file(data / "cache/train-demo", "*.json").write_text("{"),
    "a lost cache": lambda data, _: file(data / "cache/train-demo", "*.json").unlink(),
}


def test_nothing_is_planned_after_a_session_that_ended(project: Brief) -> None:
    config = settings(project)
    before = project.states("train"), project.grades()
    found = again(config)
    assert list(found.tasks()) == []
    assert settled(again(config)) == set(found.inputs.buckets)
    found.write_grades(found.finish().grades, None)
    assert before[0].equals(project.states("train"))
    assert before[1].equals(project.grades())
    assert "skipped" in before[0]["state"].to_list()


@pytest.mark.parametrize("name", [*IN_ONE_BUCKET, *IN_ALL])
def test_after_a_change_what_it_touches_is_planned(project: Brief, name: str) -> None:
    config, data = settings(project), project.root / "data"
    buckets = again(config).inputs.buckets
    (IN_ONE_BUCKET | IN_ALL)[name](data, config)
    if name == "a truncated file of runs":
        with pytest.raises(StageError, match="runs.parquet"):
            again(config)
        return
    assert len(settled(again(config))) == (0 if name in IN_ALL else len(buckets) - 1)


@pytest.mark.parametrize("part", ["code", "library", "facts"])
def test_other_code_libraries_and_facts_settle_nothing(
    project: Brief, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = settings(project)
    if part == "code":
        monkeypatch.setattr(settled_buckets, "source_digest", lambda: "other")
    if part == "library":
        monkeypatch.setattr(Library, "version", "lightgbm 9.9")
    found = again(config)
    if part == "facts":
        found.inputs.fact_kinds = ("insider_trades",)
    assert settled(found) == set()


def test_later_bars_than_training_uses_change_nothing(project: Brief) -> None:
    config = settings(project)
    replace_bars(project, lambda bars: bars.filter(pl.col("date") < pl.date(2024, 6, 1)))
    featurize(config)
    found = again(config)
    assert settled(found) == set(found.inputs.buckets)


def test_a_bucket_is_not_settled_before_all_its_instruments_worked(project: Brief) -> None:
    config = settings(project)
    config.strategy.cost_bps.update(stock=50.0, etf=50.0, crypto=50.0)
    keys: list[tuple[str, str]] = []

    def spoil(task: InstrumentTask, trained: TrainedInstrument) -> TrainedInstrument | Failure:
        keys.append(task.key)
        return trained if len(keys) > 1 else Failure("a fault", "traceback")

    first = again(config)
    finish(first, spoil)
    failed = first.inputs.bucket(keys[0])
    found = again(config)
    assert settled(found) == set(found.inputs.buckets) - {failed}


def test_random_changes_end_alike_with_and_without_the_cache(project: Brief, tmp_path: Path) -> None:
    rng = random.Random(5)
    changes = [name for name in IN_ONE_BUCKET if name not in UNREADABLE] + ["another session's trials", "lost trials"]
    for step in range(4):
        for name in rng.sample(changes, 2):
            with contextlib.suppress(IndexError, FileExistsError):  # it was made before
                (IN_ONE_BUCKET | IN_ALL)[name](project.root / "data", settings(project))
        plain = project.copy(tmp_path / str(step))
        shutil.rmtree(plain.root / "data" / "cache" / "train-demo")
        tables = []
        for each in (project, plain):
            finish(again(settings(each)), lambda _task, trained: trained)
            volatile = ("fit_seconds", "mlflow_run_id")
            tables.append((each.states("train"), each.grades().drop(volatile)))
        assert tables[0][0].equals(tables[1][0])
        assert tables[0][1].equals(tables[1][1])


def test_a_lost_file_of_runs_that_lie_in_another_bucket_is_noticed(project: Brief) -> None:
    """As after a change of the number of buckets."""
    config, runs = settings(project), project.root / "data" / "runs" / "demo"
    moved = file(runs, "b000-*.runs.parquet")
    moved = moved.rename(moved.with_name(moved.name.replace("b000", "b999")))
    assert finish(again(config), lambda _task, trained: trained) is not None
    assert settled(again(config)) == set(again(config).inputs.buckets)
    moved.unlink()
    assert 0 not in settled(again(config))
