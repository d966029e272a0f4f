"""One file in src/sources and one in conf/source are a new source, from hydration to graded models."""

import shutil

import pytest

from src.core.project import ROOT
from src.market.bars import BarStore
from tests.pipeline_case import Project

SOURCE = '''"""Prices that swing about a random walk."""

import datetime as dt

import numpy as np
import polars as pl

from src.sources.declaration import Batch, FileSource

KEYS = [("stock", "WAVE1"), ("stock", "WAVE2"), ("etf", "WAVE3")]


def listing(source):
    return pl.DataFrame(KEYS, schema=["asset_class", "symbol"], orient="row")


def bars(source, selection, scratch):
    for (bucket,), wanted in selection.wanted.sort("bucket").partition_by("bucket", as_dict=True).items():
        yield Batch(bucket, pl.concat([series(*key) for key in wanted.select("asset_class", "symbol").rows()]))


def series(kind, symbol):
    draw = np.random.default_rng(list(symbol.encode()))
    days = pl.date_range(dt.date(2018, 1, 1), dt.date(2024, 12, 31), eager=True)
    days = days.filter(days.dt.weekday() < 6)
    close = 50 * np.exp(np.cumsum(0.01 * draw.standard_normal(len(days))))
    swing = np.exp(0.004 * draw.uniform(size=(3, len(days))))
    frame = {"open": close * swing[0], "high": close * swing[0] * swing[1], "low": close / swing[2], "close": close}
    volume = pl.Series(np.round(1e6 * draw.uniform(0.5, 1.5, len(days))))
    return pl.DataFrame({"date": days, **frame}).with_columns(volume=volume).select(
        pl.lit(kind).alias("asset_class"), pl.lit(symbol).alias("symbol"), pl.all()
    )


SOURCE = FileSource("waves", listing, bars, simulated=True)
'''


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A copy of the project's code with one more source."""
    code = tmp_path_factory.mktemp("code")
    for name in ("src", "conf"):
        shutil.copytree(ROOT / name, code / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("params.yaml", "pyproject.toml"):
        shutil.copy(ROOT / name, code / name)
    (code / "src" / "sources" / "waves.py").write_text(SOURCE, encoding="utf-8")
    (code / "conf" / "source" / "waves.yaml").write_text("kind: waves\nbasis: total_return\n", encoding="utf-8")
    return Project(tmp_path_factory.mktemp("project"), code)


def test_a_misspelt_source_is_refused_and_the_new_one_suggested(project: Project) -> None:
    refused = project.run("hydrate", "source=waves", "source.kind=wave")
    assert refused.returncode == 2 and "did you mean waves?" in refused.stderr + refused.stdout


def test_a_new_source_is_hydrated_featurized_and_trained_by_the_real_commands(project: Project) -> None:
    project.must("hydrate", "source=waves")
    store = BarStore(project.root / "data" / "bars" / "demo")
    assert store.manifest.source == "waves" and store.instruments()["state"].to_list() == ["done"] * 3
    project.must("featurize", "source=waves")
    project.must("train", "source=waves", "model=lightgbm")
    grades = project.grades()
    assert sorted(grades["symbol"]) == ["WAVE1", "WAVE2", "WAVE3"] and grades["auc"].null_count() == 0
