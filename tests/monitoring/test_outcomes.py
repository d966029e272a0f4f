"""What came of decisions, against a loop over days; restated bars; decisions said late."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from src.config.schema import LabelConfig, StrategyConfig
from src.evaluation import strategy
from src.market.bars import BarStore
from src.market.calendar import session_open
from src.monitoring.live_record import instrument_records
from src.monitoring.outcomes import COINS_WAIT, LINES, InstrumentOutcomes, instrument_outcomes
from src.signals.recorded_runs import recorded_runs
from tests.monitoring.monitor_case import KEYS, UNTIL, Watched, name_of, probabilities, record_of, watched

AAA = KEYS[0]


def outcomes(case: Watched) -> InstrumentOutcomes:
    lines = case.journal.lines(columns=LINES)
    runs = recorded_runs(case.paths, lines["record_id"].unique())
    return instrument_outcomes(lines.filter(state="said"), runs, BarStore(case.paths.bars))


@pytest.mark.parametrize("horizon", [1, 3])
def test_returns_and_labels_are_those_of_a_loop_over_bars(tmp_path: Path, horizon: int) -> None:
    case = watched(tmp_path, label=LabelConfig(horizon=horizon)).replayed()
    found = outcomes(case).decisions.filter(symbol="AAA")
    bars = case.bars(AAA)
    price = (bars["open"] * bars["factor"]).to_list()
    at = {day: place for place, day in enumerate(bars["date"].to_list())}
    held = 0.0
    for row in found.iter_rows(named=True):
        k = at[row["decided_on"].date()]
        if k + 1 + horizon < len(price):
            assert row["label"] == float(price[k + 1 + horizon] > price[k + 1])
        if k + 2 >= len(price):
            assert row["net"] is None
            continue
        change = price[k + 2] / price[k + 1] - 1.0
        turnover = abs(row["position"] - held)
        assert row["gross"] == pytest.approx(row["position"] * change, abs=1e-15)
        assert row["net"] == pytest.approx(row["position"] * change - turnover * row["cost_rate"], abs=1e-15)
        held = row["position"]
    assert found.height == 252
    assert found["net"].null_count() == 2


def test_a_replayed_champion_earns_what_the_strategy_does_but_for_the_exit(tmp_path: Path) -> None:
    case = watched(tmp_path).replayed()
    records = dict(instrument_records(outcomes(case).decisions))
    for key in KEYS:
        found = case.decisions(key)
        at = np.flatnonzero(found.dates > np.datetime64(UNTIL))
        score = probabilities(found, at, seed=3)[:-2]
        expected = strategy.returns(score, at[:-2], found, StrategyConfig())
        np.testing.assert_array_equal(records[name_of(key), 1].net[:-1], expected.net[:-1])


@pytest.mark.parametrize("known", [4.0, None])
def test_bars_that_later_splits_and_dividends_rescale_are_not_restated(tmp_path: Path, known: float | None) -> None:
    case = watched(tmp_path).replayed()
    before = pl.col("date") < dt.date(2024, 6, 3)
    price = [pl.when(before).then(pl.col(name) / 4).otherwise(name).alias(name) for name in ("open", "high", "low")]
    close = pl.when(before).then(pl.col("close") / 4).otherwise("close").alias("close")
    split = pl.when(before).then(pl.lit(known)).otherwise(1.0).alias("split")
    case.with_bars(lambda bars: bars.with_columns(*price, close, split, pl.col("factor") * 1.7))
    assert outcomes(case).decisions["restated"].sum() == 0


def test_a_bar_is_restated_where_the_split_history_is_not_known_too(tmp_path: Path) -> None:
    case = watched(tmp_path, keys=KEYS[:1]).replayed()
    wrong = pl.when(pl.col("date") == dt.date(2024, 3, 5)).then(1.01).otherwise(1.0)
    case.with_bars(lambda bars: bars.with_columns(pl.col("close") * wrong, split=pl.lit(None, pl.Float64)))
    assert outcomes(case).decisions.filter("restated")["decided_on"].dt.date().to_list() == [dt.date(2024, 3, 5)]


def test_a_bar_that_was_corrected_and_one_that_is_gone_are_restated(tmp_path: Path) -> None:
    case = watched(tmp_path).replayed()
    wrong, gone = dt.date(2024, 3, 5), dt.date(2024, 9, 10)
    of_aaa = pl.col("symbol") == "AAA"
    close = pl.when(of_aaa & (pl.col("date") == wrong)).then(pl.col("close") * 1.01).otherwise("close").alias("close")
    case.with_bars(lambda bars: bars.filter(~(of_aaa & (pl.col("date") == gone))).with_columns(close))
    found = outcomes(case).decisions.filter("restated")
    assert found["decided_on"].dt.date().to_list() == [wrong, gone]
    assert found["symbol"].unique().to_list() == ["AAA"]
    assert found.filter(pl.col("decided_on").dt.date() == gone)["net"].to_list() == [None]


def test_a_decision_is_live_up_to_its_open_and_late_after_it(tmp_path: Path) -> None:
    case = watched(tmp_path)
    lines = case.lines(AAA)
    case.say(lines[:3])
    opens = [session_open("stock", line["trade_on"]) for line in lines]
    case.say(lines[3:4], "book", opens[3])
    case.say(lines[4:5], "book", opens[4] + dt.timedelta(seconds=1))
    case.say(lines[5:6])
    found = outcomes(case).decisions
    assert found["timing"].to_list() == ["replayed"] * 3 + ["live", "replayed", "replayed"]
    assert found["late"].to_list() == [False] * 3 + [False, True, True]


def test_a_coin_is_decided_in_time_for_some_hours_after_the_midnight_at_which_its_bar_ends(tmp_path: Path) -> None:
    case = watched(tmp_path)
    lines = case.lines(KEYS[2])
    midnight = [session_open("crypto", line["trade_on"]) for line in lines]
    case.say(lines[:1], "book", midnight[0] + dt.timedelta(hours=1, minutes=5))
    case.say(lines[1:2], "book", midnight[1] + COINS_WAIT)
    case.say(lines[2:3], "book", midnight[2] + COINS_WAIT + dt.timedelta(seconds=1))
    found = outcomes(case).decisions
    assert found["timing"].to_list() == ["live", "live", "replayed"]
    assert found["late"].to_list() == [False, False, True]


@pytest.mark.parametrize("after, late", [(dt.timedelta(days=10), True), (dt.timedelta(days=10, seconds=1), False)])
def test_what_is_said_of_old_bars_is_of_the_past_and_not_late(tmp_path: Path, after: dt.timedelta, late: bool) -> None:
    case = watched(tmp_path)
    line = case.lines(AAA)[0]
    case.say([line], "book", session_open("stock", line["trade_on"]) + after)
    found = outcomes(case).decisions
    assert found["timing"].to_list() == ["replayed"]
    assert found["late"].to_list() == [late]


def test_lines_of_a_run_that_is_gone_have_no_outcome(tmp_path: Path) -> None:
    case = watched(tmp_path)
    case.say(case.lines(AAA, record_id="gone.0"))
    found = outcomes(case).decisions
    assert found["net"].null_count() == found.height
    assert not found["judged"].any()
    assert not found["restated"].any()


def test_an_instrument_without_bars_any_more_has_only_restated_decisions(tmp_path: Path) -> None:
    case = watched(tmp_path).replayed()
    case.with_bars(lambda bars: bars.filter(pl.col("symbol") != "AAA"))
    found = outcomes(case)
    own = found.decisions.filter(record_id=record_of(AAA))
    assert own["restated"].all()
    assert found.tradable.filter(symbol="AAA").is_empty()


def test_a_hedged_label_takes_the_panels_return_from_the_instruments(tmp_path: Path) -> None:
    case = watched(tmp_path, keys=KEYS[:2])
    case.label.kind = "relative"
    case.with_panel(KEYS[:2]).with_runs().say(case.lines(AAA))
    found = outcomes(case).decisions
    price = {key: case.bars(key).select(pl.col("open") * pl.col("factor")).to_series().to_list() for key in KEYS[:2]}
    at = {day: place for place, day in enumerate(case.bars(AAA)["date"].to_list())}
    for row in found.filter(pl.col("net").is_not_null()).iter_rows(named=True):
        k = at[row["decided_on"].date()]
        own, other = (price[key][k + 2] / price[key][k + 1] - 1.0 for key in KEYS[:2])
        assert row["change"] == pytest.approx((own - other) / 2.0, abs=1e-9)
        assert row["label"] == float(own > other)
    assert found["net"].null_count() == 2
