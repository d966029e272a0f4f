"""Two sets of features on the same runs: which runs are twins, and what their difference is by quarter."""

from __future__ import annotations

import dataclasses
import datetime as dt
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score

from src.config.schema import Config, FeaturesConfig
from src.core.errors import ConfigError
from src.inspection import comparison
from src.inspection.comparison import FeatureComparison, compare_instruments
from src.inspection.comparison_view import lines, verdict
from src.training.run_store import RunStore
from tests.signals.trained_case import configured, hydrated, train

BASE = FeaturesConfig(name="short", families=["price"])
OTHER = FeaturesConfig(name="longer", families=["price", "momentum"])
DAILY = "1d"


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Config:
    """Two stocks and a coin, trained with both sets."""
    config = configured(tmp_path_factory.mktemp("compared"), features=OTHER)
    hydrated(config)
    for features in (BASE, OTHER):
        train(dataclasses.replace(config, features=features), "ridge")
    return config


def test_the_difference_is_that_of_each_pair_in_each_quarter(both: Config) -> None:
    found = compare_instruments(both.paths, BASE, OTHER, DAILY)
    assert (found.pairs, found.instruments) == (3, 3)
    store = RunStore(both.paths.runs)
    runs = store.runs(["symbol", "features"])
    naive: dict[dt.date, list[tuple[float, float]]] = {}
    for symbol in runs["symbol"].unique():
        ids = runs.filter(symbol=symbol).with_columns(n=pl.col("features").str.len_chars()).sort("n")["record_id"]
        tables = [store.oos([record_id]) for record_id in ids]
        joined = tables[0].join(tables[1], on="date", suffix="_other").with_columns(
            quarter=pl.col("stamp").cast(pl.Date).dt.truncate("1q")
        )  # fmt: skip
        for (quarter,), rows in joined.group_by("quarter"):
            known = rows.filter(pl.col("label").is_not_nan() & pl.col("label").is_not_null())
            if known.height >= 20 and known["label"].n_unique() == 2:
                scores = [roc_auc_score(known["label"], known[c]) for c in ("probability", "probability_other")]
                naive.setdefault(quarter, []).append((scores[0], scores[1]))
    for row in found.quarters.iter_rows(named=True):
        if row["quarter"] in naive:
            assert np.allclose(np.mean(naive[row["quarter"]], axis=0), (row["auc_base"], row["auc_other"]))
    assert found.quarters["auc_base"].drop_nulls().len() == len(naive) >= 3


def test_the_interval_is_that_of_a_mean_over_quarters() -> None:
    random = np.random.default_rng(1)
    base, gain = random.normal(0.5, 0.01, 14), random.normal(0.004, 0.01, 14)
    days = [dt.date(2020 + n // 4, 3 * (n % 4) + 1, 1) for n in range(14)]
    table = pl.DataFrame({"quarter": days, "pairs": 5, "auc_base": base, "auc_other": base + gain})
    found = FeatureComparison("all", "all+research", 70, 5, (3, 4), table)
    figures = found.interval("auc")
    assert figures is not None
    expected = stats.ttest_1samp(gain, 0).confidence_interval(0.95)
    assert np.allclose(figures[2:], (gain.mean(), expected.low, expected.high))
    assert found.interval("ic") is None
    shown = list(lines(found, "instrument", "quick"))
    assert "70 pairs of runs (5 instruments), 14 quarters from 2020-01-01 on" in shown[0]
    assert any(line.startswith("thresholds cleared") and line.split()[-3:] == ["3", "4", "+1"] for line in shown)
    assert len(shown) == 14 + 5


@pytest.mark.parametrize(
    ("gain", "word"), [(0.02, "raises AUC"), (-0.02, "lowers AUC"), (0.0, "shows no difference in AUC")]
)
def test_the_verdict_says_what_the_interval_allows(gain: float, word: str) -> None:
    noise = np.tile([0.003, -0.003], 6)
    days = [dt.date(2021 + n // 4, 3 * (n % 4) + 1, 1) for n in range(12)]
    table = pl.DataFrame({"quarter": days, "pairs": 2, "auc_base": 0.5, "auc_other": 0.5 + gain + noise})
    assert word in verdict(FeatureComparison("all", "all+research", 24, 2, (0, 0), table))


def test_a_set_that_was_not_trained_is_named_with_what_to_type(both: Config) -> None:
    with pytest.raises(ConfigError, match="features=other was not trained: run `python -m src.featurize"):
        compare_instruments(both.paths, BASE, FeaturesConfig(name="other", families=["trend"]), DAILY)


def test_runs_with_another_seed_are_no_twins(both: Config, tmp_path: Path) -> None:
    shutil.copytree(both.data.root, tmp_path / "data")
    config = dataclasses.replace(both, data=dataclasses.replace(both.data, root=str(tmp_path / "data")), seed=8)
    third = FeaturesConfig(name="momentum", families=["momentum"])
    train(dataclasses.replace(config, features=third), "ridge")
    with pytest.raises(ConfigError, match="no run of features=momentum has a twin of features=short"):
        compare_instruments(config.paths, BASE, third, DAILY)


def test_both_sets_are_traded_by_one_strategy(both: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """The strategy is no part of a run's key: two sessions that differ in it have twins all the same."""
    asked: list[pl.DataFrame] = []
    read = comparison.GradedRuns.read

    def noted(self: comparison.GradedRuns, graded: pl.DataFrame):  # type: ignore[no-untyped-def]
        asked.append(graded)
        return read(self, graded)

    monkeypatch.setattr(comparison.GradedRuns, "read", noted)
    compare_instruments(both.paths, BASE, OTHER, DAILY)
    assert asked[0].height == 6
    assert asked[0]["graded_by"].n_unique() == 1


def test_passes_are_those_of_the_session_that_trained_and_of_what_is_compared(both: Config, tmp_path: Path) -> None:
    shutil.copytree(both.data.root, tmp_path / "data")
    config = dataclasses.replace(both, data=dataclasses.replace(both.data, root=str(tmp_path / "data")))
    store = RunStore(config.paths.runs)
    before = compare_instruments(config.paths, BASE, OTHER, DAILY)
    shard = sorted(store.root.glob("b*.grades.parquet"))[0]
    grades = pl.read_parquet(shard).with_columns(passed=pl.lit(value=True))
    grades.write_parquet(shard.with_name(f"{shard.name.partition('-')[0]}-0123abcd.grades.parquet"))
    assert compare_instruments(config.paths, BASE, OTHER, DAILY).passed == before.passed


def test_pairs_that_can_not_be_read_are_counted(both: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = comparison.GradedRuns._of_instrument

    def read(self, key, _bars, rows, *others):  # type: ignore[no-untyped-def]
        if key[0] != "crypto":
            return whole(self, key, _bars, rows, *others)
        self.left_out |= {row["record_id"]: "its bars were restated" for row in rows}
        return []

    monkeypatch.setattr(comparison.GradedRuns, "_of_instrument", read)
    found = compare_instruments(both.paths, BASE, OTHER, DAILY)
    assert (found.pairs, found.instruments, found.left_out) == (2, 2, 1)
    assert "1 pair is left out: its bars were restated" in list(lines(found, "instrument", "quick"))


def test_portfolios_in_a_quarter_of_few_days_say_nothing() -> None:
    days = [dt.datetime(2024, 1, 1) + dt.timedelta(days=n) for n in range(100)]
    own = pl.DataFrame({"stamp": days, "net": 0.001, "ic": [float("nan"), *[0.02] * 99]})
    table = comparison._portfolio_quarters(own, own.with_columns(net=pl.lit(0.002)), 365.0).sort("quarter")
    assert table["quarter"].to_list() == [dt.date(2024, 1, 1), dt.date(2024, 4, 1)]
    assert np.allclose(table.drop("quarter").row(0), (0.365, 0.73, 0.02, 0.02))
    assert table.drop("quarter").row(1) == (None,) * 4


def test_a_run_that_no_grade_stands_for_is_not_compared(both: Config, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(both.data.root, tmp_path / "data")
    config = dataclasses.replace(both, data=dataclasses.replace(both.data, root=str(tmp_path / "data")))
    for path in sorted(config.paths.runs.glob("b*.grades.parquet"))[:1]:
        rows = pl.read_parquet(path)
        rows.head(0).write_parquet(path)
        gone = rows.select("asset_class", "symbol").n_unique()
    assert compare_instruments(config.paths, BASE, OTHER, DAILY).pairs == 3 - gone
