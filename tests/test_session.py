"""What a session takes and what it leaves: unfinished stages before it, other commands beside it, and parts of it."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from src.bars import BarStore
from src.config import Config, LightGBMParams, ModelConfig
from src.errors import StageError
from src.features.store import FeatureStore
from src.featurize import featurize
from src.session import Session
from tests.pipeline_case import Project

QUICK = ("model=lightgbm", "tracking.enabled=false")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project(tmp_path_factory.mktemp("session") / "p")
    for verb in ("hydrate", "featurize"):
        project.must(verb)
    project.must("train", *QUICK)
    return project


@pytest.fixture
def project(trained: Project, tmp_path: Path) -> Project:
    return trained.copy(tmp_path / "p")


def keys(table: pl.DataFrame) -> set[tuple[str, str]]:
    return set(table.select("asset_class", "symbol").rows())


def session(project: Project, *names: str) -> Session:
    config = Config()
    config.data.root, config.universe.name = str(project.root / "data"), "demo"
    config.features.names = list(names)
    featurize(config)
    return Session(config, [ModelConfig("lightgbm", params=LightGBMParams())])


def bars_of(project: Project) -> BarStore:
    return BarStore(project.root / "data" / "bars" / "demo")


def test_an_instrument_without_bars_before_the_last_training_date_has_its_state(project: Project) -> None:
    everything = keys(project.states("train"))
    line = project.must("train", *QUICK, "split.until=2013-12-31")
    states = project.states("train")
    assert keys(states) == everything
    assert states["state"].unique().to_list() == ["skipped"]
    assert set(states["reason"]) == {"no bars up to split.until=2013-12-31"}
    assert f"{len(everything)} skipped" in line


def test_what_has_no_features_yet_waits_and_the_rest_is_trained(project: Project) -> None:
    waiting = keys(bars_of(project).ledger.states(0))
    (project.root / "data" / "features" / "demo" / "b000.json").unlink()
    everything = keys(project.states("train"))
    project.must("train", *QUICK)
    states = project.states("train")
    assert keys(states) == everything
    assert keys(states.filter(pl.col("state") == "done")) == everything - waiting == keys(project.grades())
    assert states.filter(pl.col("state") == "skipped")["reason"].str.contains("run featurize").all()


def test_a_bucket_whose_instruments_are_all_quarantined_stops_nobody(project: Project) -> None:
    store = bars_of(project)
    states = store.ledger.states(0).with_columns(state=pl.lit("quarantined"), reason=pl.lit("a frozen series"))
    empty = store.read_bucket(0).clear()
    store.ledger.record(0, str(store.ledger.fact(0)), states, digest=store.write_bucket(0, empty))
    project.must("featurize")
    project.must("train", *QUICK)
    left = project.states("train").filter(pl.col("state") == "skipped")
    assert keys(left) == keys(states)
    assert left["reason"].str.contains("a frozen series").all()
    assert not keys(project.grades()) & keys(states)


def test_fresh_for_one_symbol_keeps_the_grades_of_the_others(project: Project) -> None:
    before = project.grades()
    symbol = before["symbol"][0]
    project.must("train", *QUICK, "fresh=true", f"only=[{symbol}]")
    after = project.grades()
    assert keys(after) == keys(before)
    again = after.filter(pl.col("record_id").str.ends_with(".1"))
    assert again["symbol"].to_list() == [symbol]


def test_bars_that_change_under_training_are_never_paired_with_the_features_of_others(project: Project) -> None:
    shard = sorted(bars_of(project).root.glob("b000-*.parquet"))[0]
    pl.read_parquet(shard)[1:].write_parquet(shard)  # the ledger still says what it said when training began
    done = project.run("train", *QUICK, "seed=9")
    assert done.returncode == 1
    assert "changed while training read them" in done.stderr


def test_features_of_another_panel_are_refused(project: Project) -> None:
    config = Config()
    config.data.root, config.universe.name = str(project.root / "data"), "demo"
    config.features.families = ["crowd", "calendar"]
    featurize(config)
    store = FeatureStore(project.root / "data" / "features" / "demo")
    store.identity(config)
    bars_of(project).write_panel(bars_of(project).panel()[:-1])
    store.pin_panel(bars_of(project))  # and then the process is killed
    with pytest.raises(StageError, match="another panel: run `python -m src.featurize"):
        store.identity(config)
    config.features.families = ["calendar"]
    store.identity(config)  # looks at no panel


def test_the_split_history_counts_where_a_feature_looks_at_it(project: Project) -> None:
    bars = bars_of(project).read_bucket(0)
    other = bars.with_columns(split=pl.lit(2.0))
    blind, seeing = session(project, "rsi_14"), session(project, "round_number_distance")
    assert blind.inputs.bars_hash(bars) == blind.inputs.bars_hash(other)
    assert seeing.inputs.bars_hash(bars) != seeing.inputs.bars_hash(other)


def test_another_split_history_grades_again_without_fitting(project: Project) -> None:
    store, before = bars_of(project), project.grades()
    for b in store.buckets():
        rows = store.read_bucket(b).with_columns(split=pl.lit(0.01))  # half a cent over a hundredth of the price
        store.ledger.record(b, str(store.ledger.fact(b)), store.ledger.states(b), digest=store.write_bucket(b, rows))
    project.must("featurize")
    line = project.must("train", *QUICK)
    after = project.grades()
    assert f"{after.height} runs ({after.height} of them from before)" in line
    both = before.join(after, on="record_id", suffix="_dear").filter(pl.col("asset_class") != "crypto")
    traded = both.filter(pl.col("turnover") > 0)
    assert traded.height and (traded["sharpe_dear"] < traded["sharpe"]).all()
