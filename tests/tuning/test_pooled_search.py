"""Tuning of pooled models on an invented market: what is tried, what is read, what is written."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from src.config.compose import compose, families
from src.config.schema import Config, EligibilityConfig, LabelConfig, ModelConfig, PortfolioConfig, ScopeConfig
from src.evaluation import metrics
from src.evaluation.pooled.portfolio import trade
from src.models import lightgbm
from src.models.lightgbm import LightGBMParams
from src.tune import tune
from src.tuning import pooled_market
from src.tuning.pooled_market import PooledMarket, pooled_markets
from src.tuning.pooled_search import gain
from src.tuning.pooled_trial import Traded, pooled_trial
from src.tuning.settings import PooledTuning
from src.tuning.window import usable_bars
from tests.tuning.tuning_case import POOR, copied_conf, market, moved, scrambled, trials

STOCKS = [f"SIM{number:02d}" for number in range(1, 33)]
SHOWING = ["dollar_volume_trend_21_252", "amihud_ratio_21_252", "rsi_14"]
GOOD = LightGBMParams(rounds=20, num_leaves=6, max_depth=4, min_child_samples=50, feature_fraction=1.0)


def pooled(config: Config, params: LightGBMParams, **settings: Any) -> Config:
    """The configuration of a search for LightGBM's pooled settings, with days enough for a short history."""
    return replace(
        config,
        label=LabelConfig("neutral_20", "neutral", 20, params={"clip": 0.5}),
        scope=ScopeConfig("pooled", "pooled"),
        eligibility=EligibilityConfig(min_names=10),
        portfolio=PortfolioConfig(volatility_window=21),
        model=ModelConfig("lightgbm", params=LightGBMParams(), pooled=params),
        tune=replace(config.tune, **settings),
    )


@pytest.fixture(scope="module")
def invented(tmp_path_factory: pytest.TempPathFactory) -> Config:
    return market(tmp_path_factory.mktemp("pooled"), 0.0, STOCKS, pooled_edge=0.3, names=SHOWING)


@pytest.fixture(scope="module")
def read(invented: Config) -> PooledMarket:
    markets, _ = pooled_markets(PooledTuning.of(pooled(invented, GOOD)))
    assert [each.asset_class for each in markets] == ["stock"]
    return markets[0]


def test_settings_that_earn_more_on_the_other_half_of_the_names_become_a_file_that_composes(
    invented: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    conf = copied_conf(tmp_path, monkeypatch)
    search = pooled(moved(invented, tmp_path), POOR, trials=5, max_cost=50.0)
    tune(replace(search, tune=replace(search.tune, trials=2)))
    line = tune(search)
    assert line.startswith("tune: 1 study, 5 trials (0 pruned, 0 failed); 1 winner written")
    assert line.endswith("model=tuned_pooled trains with them")
    written = (conf / "model" / "lightgbm_small_pooled_stock.yaml").read_text(encoding="utf-8")
    text = " ".join(line.removeprefix("# ") for line in written.splitlines())
    for words in ("best of 5 trials", "no bar of 2017-01-01 or later", "net a year", "standard error", "flatters"):
        assert words in text
    chosen = compose(["scope=pooled", "model=lightgbm_small_pooled_stock"]).model
    assert (chosen.classes, chosen.trials, chosen.tuned_before) == (["stock"], 5, "2017-01-01")
    assert chosen.params == LightGBMParams() and chosen.pooled != POOR
    kept = trials(search)
    assert str(vars(chosen.pooled)) in kept["params"].to_list() and kept["scope"].unique().to_list() == ["pooled_stock"]
    each = families(compose(["scope=pooled", "model=tuned_pooled"]))
    assert [(model.family, model.classes) for model in each] == [
        ("lightgbm", ["stock"]), ("lightgbm", ["etf", "crypto"])
    ]  # fmt: skip
    assert each[0].pooled == chosen.pooled
    undisturbed = pooled(moved(invented, tmp_path / "whole"), POOR, trials=4, max_cost=50.0)
    tune(undisturbed)
    assert trials(undisturbed).equals(kept.head(4)), "a search that goes on proposes what an undisturbed one would"
    tune(search)
    assert trials(search).equals(kept), "nothing is tried twice"


def test_a_trial_is_worth_what_the_portfolio_of_its_scores_of_every_day_earns(read: PooledMarket) -> None:
    half, model = read.search, ModelConfig("lightgbm", params=GOOD)
    found = pooled_trial(read, half, model, {}, ScopeConfig(), 7)
    scores = np.full(read.shape, np.nan, dtype=np.float32)
    columns = list(read.ranks.columns)
    for fold in read.folds:
        x, y = [], []
        for t in fold.train:
            rows = slice(int(read.ranks.offsets[t]), int(read.ranks.offsets[t + 1]))
            for ranks, name in zip(read.ranks.read(rows), read.ranks.names[rows], strict=True):
                if np.isfinite(read.targets.value[t, name]):
                    x.append(ranks)
                    y.append(read.targets.value[t, name])
        fitted = lightgbm.fit_pooled(
            np.array(x), np.array(y, dtype=np.float32), GOOD, 7, columns, objective="regression",
            categories=read.ranks.categories,
        )  # fmt: skip
        for t in range(fold.score.start, fold.score.stop):
            rows = slice(int(read.ranks.offsets[t]), int(read.ranks.offsets[t + 1]))
            scores[t, read.ranks.names[rows]] = lightgbm.score(fitted, read.ranks.read(rows))
    net = trade(half, scores).net
    np.testing.assert_array_equal(found.net, net)
    assert found.sharpe == metrics.sharpe(net, 252.0)


def test_no_day_from_the_first_graded_one_on_and_none_of_the_embargo_is_read(
    invented: Config, read: PooledMarket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def same(config: Config) -> bool:
        found = pooled_markets(PooledTuning.of(pooled(config, GOOD)))[0][0]
        every = slice(0, int(read.ranks.offsets[-1]))
        return (
            found.digest == read.digest
            and np.array_equal(found.targets.value, read.targets.value, equal_nan=True)
            and np.array_equal(found.ranks.read(every), read.ranks.read(every))
        )

    assert read.before == dt.date(2017, 1, 1) and read.ranks.dates[-1] == np.datetime64("2016-12-22")
    late = scrambled(invented, dt.date(2016, 12, 23), tmp_path)
    assert same(late), "bit by bit"
    monkeypatch.setattr(pooled_market, "usable_bars", lambda *where: usable_bars(*where) + 1)
    assert not same(late), "a single bar too many is found"


def test_the_halves_share_no_name_and_neighbours_in_liquidity_are_apart(read: PooledMarket) -> None:
    searching, confirming = set(read.search.columns), set(read.confirm.columns)
    assert not searching & confirming
    assert min(len(searching), len(confirming)) >= 15


def test_a_gain_is_the_mean_difference_of_the_same_days_over_its_error_by_overlapping_lags() -> None:
    random = np.random.default_rng(5)
    default = random.normal(0.0, 0.01, 500)
    better = Traded(default + random.normal(0.001, 0.002, 500), 1.0, 3.0)
    found = gain(better, Traded(default, 0.2, 2.0), 5, 252.0)
    difference = better.net - default
    centred = difference - difference.mean()
    variance = sum(
        (1 - abs(k) / 11) * np.sum(centred[max(k, 0) : 500 + min(k, 0)] * centred[max(-k, 0) : 500 - max(k, 0)])
        for k in range(-10, 11)
    )
    assert found["mean"] == pytest.approx(difference.mean() * 252)
    assert found["error"] == pytest.approx(np.sqrt(variance) / 500 * 252)
    assert (found["winner"], found["default"], found["cost"]) == (1.0, 0.2, 1.5)
    assert gain(better, better, 5, 252.0)["error"] is None
