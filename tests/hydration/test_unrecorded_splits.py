"""Splits that the prices don't show: which are repaired, which quarantine, and what is never taken for one."""

import datetime as dt
import math

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from src.config.schema import FeaturesConfig, LabelConfig
from src.evaluation.labels import decisions
from src.features.catalog import reach
from src.features.compute import compute
from src.features.selection import select
from src.hydration.unrecorded_splits import ratio_text
from src.hydration.validation import validate
from src.market.bars import PRICES
from tests.hydration.split_case import RATIOS, market, restored, with_split
from tests.market_case import MARKET, put, scale, series

NAMES = [f"M{number}" for number in range(12)]
DAY = 500


def one(frame: pl.DataFrame, **settings) -> tuple[pl.DataFrame, dict]:
    bars, states = validate(frame, **settings)
    assert states.height == 1
    return bars, states.row(0, named=True)


def each(frames: dict[str, pl.DataFrame]) -> dict[str, tuple[pl.DataFrame, dict]]:
    """What `one` gives of each frame, by their names, from one validation of them all."""
    bars, states = validate(pl.concat(frame.with_columns(symbol=pl.lit(name)) for name, frame in frames.items()))
    kept = bars.partition_by("symbol", as_dict=True)
    rows = {row["symbol"]: row for row in states.iter_rows(named=True)}
    assert rows.keys() == frames.keys()
    return {name: (kept.get((name,), bars.clear()), rows[name]) for name in frames}


def still(frame: pl.DataFrame, k: int = DAY) -> pl.DataFrame:
    """The frame with an ordinary night, day and turnover at bar k, so that what is decided there is certain."""
    by = frame["close"][k - 1] * 1.004 / frame["open"][k]
    frame = scale(frame, slice(k, frame.height), by)
    middle = float(frame["volume"].slice(k - 63, 63).median())
    close = frame["open"][k] * 0.991
    high, low = frame["open"][k] * 1.005, close * 0.995
    after = scale(frame, slice(k + 1, frame.height), close / frame["close"][k])
    return put(after, k, close=close, high=high, low=low, volume=round(middle))


@pytest.mark.parametrize("name", RATIOS)
def test_a_split_is_repaired_and_named_with_date_and_ratio(name):
    frame = still(market("AAA").frame)
    clean, before = one(frame)
    bars, state = one(with_split(frame, DAY, RATIOS[name]))
    assert before["reason"] == "" and before["state"] == "done"
    assert state["state"] == "done" and state["repaired"] == 1
    assert state["reason"] == f"{name} split on {frame['date'][DAY]}, not in the prices: earlier bars adjusted"
    assert restored(bars, clean, DAY, RATIOS[name])
    assert bars["repaired"].arg_true().to_list() == [DAY]
    assert bars["factor"].unique().to_list() == [1.0]


@pytest.mark.parametrize("name", ["2:1", "1:10"])
def test_price_times_split_is_as_traded(name):
    traded = with_split(still(market("AAA").frame), DAY, RATIOS[name])
    bars, _ = one(traded)
    assert bars["split"][-1] == 1.0 and bars["split"][0] == pytest.approx(RATIOS[name])
    np.testing.assert_allclose(bars["close"] * bars["split"], traded["close"], rtol=1e-12)
    np.testing.assert_allclose(bars["volume"] / bars["split"], traded["volume"], rtol=1e-12)


def test_a_history_of_splits_that_the_source_gives_is_kept_where_it_names_this_one_and_multiplied_where_not():
    traded = with_split(still(market("AAA").frame), DAY, 2.0)
    early, here = pl.int_range(pl.len()) < 200, pl.int_range(pl.len()) < DAY
    other = traded.with_columns(split=pl.when(early).then(3.0).otherwise(1.0))
    assert one(other)[0]["split"].unique(maintain_order=True).to_list() == [6.0, 2.0, 1.0]
    named = traded.with_columns(split=pl.when(here).then(2.0).otherwise(1.0))
    assert one(named)[0]["split"].unique(maintain_order=True).to_list() == [2.0, 1.0]


def test_a_split_by_a_ratio_that_hardly_any_has_quarantines():
    frame = still(market("AAA").frame)
    _, state = one(with_split(frame, DAY, 1 / 11))
    assert state["state"] == "quarantined" and "moved as by a split of about 1:11 on" in state["reason"]


def test_several_splits_are_repaired_one_after_the_other():
    frame = still(still(market("AAA").frame, 300), 600)
    traded = with_split(with_split(frame, 600, 1 / 10), 300, 2.0)
    bars, state = one(traded)
    assert state["reason"].count("earlier bars adjusted") == 2 and state["repaired"] == 2
    np.testing.assert_allclose(bars["close"] / frame["close"], 1.0, atol=0.02)
    assert bars["split"][[0, 400, 700]].to_list() == pytest.approx([0.2, 0.1, 1.0])


def test_an_adj_close_that_steps_with_the_close_is_rebased_with_it_and_keeps_its_dividends():
    frame = scale(still(market("AAA").frame), slice(DAY, 900), 0.98)
    paid = np.where(np.arange(frame.height) < 250, 0.99, 1.0) * np.where(np.arange(frame.height) < DAY, 0.98, 1.0)
    given = frame.with_columns(adj_close=pl.col("close") * pl.Series(paid))
    bars, state = one(with_split(given, DAY, 2.0))  # the second dividend goes ex with the split
    assert state["state"] == "done" and "2:1 split on" in state["reason"]
    steps = bars["factor"].to_numpy()[[249, 250, 499, 500]]
    np.testing.assert_allclose(steps, [1, 1 / 0.99, 1 / 0.99, 1 / 0.99 / 0.98], rtol=2e-3)
    assert len(set(np.round(bars["factor"].to_list(), 9))) == 3  # rounding makes no distributions


def test_a_split_that_adj_close_explains_is_left_to_it():
    frame = still(market("AAA").frame)
    given = with_split(frame, DAY, 4.0).with_columns(adj_close=frame["close"])
    bars, state = one(given)
    assert "not in the prices" not in state["reason"] and bars["close"][0] == given["close"][0]
    np.testing.assert_allclose(
        bars["close"][DAY] * bars["factor"][DAY] / bars["close"][0], frame["close"][DAY] / frame["close"][0], rtol=1e-3
    )


def test_a_split_applied_to_some_rows_only_is_put_right_where_the_prices_snap_back():
    frame = still(still(market("AAA").frame, DAY), DAY + 4)
    here = pl.int_range(pl.len()).is_between(DAY, DAY + 3)
    wrong = scale(frame, slice(DAY, DAY + 4), 0.5).with_columns(
        pl.when(here).then(pl.col("volume") * 2).otherwise("volume")
    )
    bars, state = one(wrong)
    assert state["state"] == "done" and "2:1 split on" in state["reason"] and "1:2 split on" in state["reason"]
    for name in (*PRICES, "volume"):
        np.testing.assert_allclose(bars[name], frame[name], rtol=1e-9)
    assert bars["split"].null_count() == bars.height  # which of the two bases was traded is not known


@pytest.mark.parametrize("name", ["4:1", "10:1", "1:5", "1:10"])
def test_a_split_that_left_the_share_volume_as_it_was_quarantines(name):
    traded = with_split(still(market("AAA").frame), DAY, RATIOS[name], volume=False)
    _, state = one(traded)
    assert state["state"] == "quarantined"
    assert f"moved as by a {name} split, with the same number of shares traded on" in state["reason"]


def test_volume_missing_or_zero_on_the_day_leaves_gap_and_range_to_decide():
    frame = still(market("AAA").frame)
    for volume in (None, 0.0):
        bars, state = one(put(with_split(frame, DAY, 10.0), DAY, volume=volume))
        assert state["state"] == "quarantined" or bars["close"][0] == pytest.approx(frame["close"][0], abs=0.01)


def test_a_doubtful_split_beyond_x20_quarantines_where_the_level_lasts_and_a_print_of_that_size_is_held():
    frame = still(market("AAA").frame)
    _, state = one(with_split(frame, DAY, 25.0, volume=False))
    assert state["state"] == "quarantined"
    bars, state = one(scale(frame, slice(DAY, DAY + 3), 1 / 20.5))
    assert state["state"] == "done" and bars["close"][DAY] == frame["close"][DAY - 1]


@pytest.mark.parametrize("kind", ["crypto", "etf"])
def test_funds_and_coins_are_judged_by_the_same_rule(kind):
    frame = still(market("AAA").frame.with_columns(asset_class=pl.lit(kind)))
    bars, state = one(with_split(frame, DAY, 10.0))
    assert "10:1 split on" in state["reason"] and restored(bars, one(frame)[0], DAY, 10.0)


@pytest.mark.parametrize("k", [1, 5, 12])
def test_among_the_first_bars_a_split_quarantines(k):
    frame = still(market("AAA").frame).slice(DAY - k)
    _, state = one(with_split(frame, k, 4.0))
    assert state["state"] == "quarantined" and "moved as by a 4:1 split" in state["reason"]


def test_a_split_at_the_last_bar_is_repaired():
    frame = still(market("AAA").frame).head(DAY + 1)
    bars, state = one(with_split(frame, DAY, 3.0))
    assert "3:1 split on" in state["reason"] and restored(bars, one(frame)[0], DAY, 3.0)


@pytest.mark.parametrize("weeks", [1, 400])
def test_a_gap_in_the_dates_widens_what_may_have_happened(weeks):
    frame = still(market("AAA").frame)
    later = pl.when(pl.int_range(pl.len()) >= DAY).then(pl.col("date") + dt.timedelta(weeks=weeks)).otherwise("date")
    _, state = one(with_split(frame.with_columns(date=later), DAY, 2.0))
    assert ("earlier bars adjusted" in state["reason"]) == (weeks == 1)


def test_splits_in_intraday_bars_take_effect_between_sessions():
    n = 120
    start = pl.datetime_range(
        dt.datetime(2021, 1, 4, 14, 30), dt.datetime(2022, 6, 1), "1h", eager=True, time_zone="UTC"
    )
    hours = start.filter((start.dt.hour().is_between(14, 20)) & (start.dt.weekday() < 6)).head(n * 7)
    frame = series(n=n * 7).with_columns(date=hours.cast(pl.Datetime("us", "UTC"))).drop("adj_close")
    k = 60 * 7
    bars, state = one(with_split(frame, k, 4.0), interval="1h")
    assert f"4:1 split on {hours[k].date()}, not in the prices" in state["reason"]
    np.testing.assert_allclose(bars["close"], frame["close"], atol=0.01)
    within = one(with_split(frame, k + 3, 4.0), interval="1h")[1]
    assert "earlier bars adjusted" not in within["reason"]


def test_news_is_kept():
    effects = []
    for _, state in each({name: market(name, n=1500, news=10).frame for name in NAMES}).values():
        effects += [each["effect"] for each in state["findings"] if each["rule"] == "unrecorded_split"]
    assert "repaired" not in effects and len(effects) <= 1  # of 120 moves


@pytest.mark.parametrize("by", [0.5, 2.0, 0.62, 0.1, 100.0])
def test_a_print_that_comes_back_changes_no_other_bar(by):
    frames = {name: market(name).frame for name in NAMES[:6]}
    spoiled = {
        name: put(frame, DAY, **{price: frame[price][DAY] * by for price in PRICES}) for name, frame in frames.items()
    }
    for name, (bars, state) in each(spoiled).items():
        frame = frames[name]
        if state["state"] == "done":
            np.testing.assert_allclose(bars["close"].head(DAY), frame["close"].head(DAY), rtol=1e-9)
            np.testing.assert_allclose(bars["close"].slice(DAY + 1), frame["close"].slice(DAY + 1), rtol=1e-9)


def test_an_open_at_half_the_price_on_a_day_that_closes_near_the_last_one_is_no_split():
    frame = market("AAA").frame
    _, state = one(put(frame, DAY, open=frame["close"][DAY - 1] / 2, low=frame["close"][DAY - 1] / 2))
    assert "split" not in state["reason"]


def test_a_repair_is_the_same_whatever_number_of_bars_comes_later():
    traded = with_split(still(market("AAA").frame), DAY, 2.0)
    whole, _ = one(traded)
    for j in (1, 2, 5, 30, 200):
        cut, state = one(traded.head(DAY + j))
        assert "2:1 split on" in state["reason"]
        assert_frame_equal(cut, whole.head(DAY + j))


@pytest.mark.parametrize("ratio", [1.0, 0.5, 0.1, 3.0])
def test_a_repair_is_the_same_whatever_bars_come_later(ratio):
    frame = still(market("AAA").frame)
    traded = with_split(frame, DAY, 2.0)
    whole, _ = one(traded)
    other = market("BBB", seed=5).frame.slice(DAY + 10)
    joined = scale(other, slice(0, other.height), ratio * traded["close"][DAY + 9] / other["open"][0])
    changed = pl.concat(
        [traded.head(DAY + 10), joined.with_columns(symbol=pl.lit("AAA"), date=traded["date"][DAY + 10 :])]
    )
    bars, states = validate(changed)
    if bars.height:  # a doubtful change later may quarantine, and a certain one rebases all that was before
        by = bars["close"][0] / whole["close"][0]
        np.testing.assert_allclose(bars["close"].head(DAY + 10) / whole["close"].head(DAY + 10), by, rtol=1e-12)
        assert f"2:1 split on {frame['date'][DAY]}" in states["reason"][0]


def test_prices_times_seven_change_no_decision():
    frames = {name: market(name, news=3).frame for name in NAMES[:6]}
    traded = {f"{name} {k}": with_split(frame, k, 2.0) for name, frame in frames.items() for k in (200, 350, 500)}
    dearer = each({name: scale(frame, slice(0, frame.height), 7.0) for name, frame in traded.items()})
    for name, (_, state) in each(traded).items():
        assert state["reason"] == dearer[name][1]["reason"]


def test_most_planted_splits_are_repaired_and_few_kept():
    counts = {"repaired": 0, "quarantined": 0, "kept": 0}
    random = np.random.default_rng(3)
    clean = each({name: market(name).frame for name in NAMES})
    planted = {(name, ratio): int(random.integers(150, 850)) for name in NAMES for ratio in (2.0, 1.5, 4.0, 10.0, 0.1)}
    found = each({f"{name} {ratio}": with_split(market(name).frame, k, ratio) for (name, ratio), k in planted.items()})
    for (name, ratio), k in planted.items():
        bars, state = found[f"{name} {ratio}"]
        if state["state"] == "quarantined":
            counts["quarantined"] += 1
        elif "earlier bars adjusted" in state["reason"]:
            assert restored(bars, clean[name][0], k, ratio)
            counts["repaired"] += 1
        else:
            counts["kept"] += 1
    assert counts["repaired"] >= 36 and counts["kept"] <= 5, counts


@pytest.mark.parametrize(
    ("ratio", "text"), [(2.0, "2:1"), (1.5, "3:2"), (4 / 3, "4:3"), (1 / 15, "1:15"), (0.04, "1:25")]
)
def test_ratios_are_written_as_new_shares_for_old_ones(ratio, text):
    assert ratio_text(ratio) == text


@pytest.mark.skipif(not (MARKET / "bars.parquet").is_file(), reason="the shared market file is not at hand")
def test_splits_planted_into_real_stocks_are_found_and_real_crashes_are_not_taken_for_splits():
    stocks = pl.scan_parquet(MARKET / "bars.parquet").filter(pl.col("asset_class") == "stock").collect()
    symbols = stocks["symbol"].unique().sort().to_list()[::8]
    frame = (
        stocks.filter(pl.col("symbol").is_in(symbols))
        .drop("adj_close")
        .with_columns(pl.col(pl.Float32).cast(pl.Float64))
    )
    random, made = np.random.default_rng(1), {}
    clean, _ = validate(frame)
    for (symbol,), rows in frame.partition_by("symbol", as_dict=True).items():
        k = int(random.integers(100, max(101, rows.height - 5)))
        if rows.height > 400 and rows["close"][k - 63 : k].min() > 5 and symbol in clean["symbol"]:
            made[symbol] = (k, rows["date"][k], with_split(rows, k, 4.0))
    bars, states = validate(pl.concat([rows for _, _, rows in made.values()]))
    seen = {row["symbol"]: (row["state"], row["reason"]) for row in states.iter_rows(named=True)}
    done = [s for s, (state, _) in seen.items() if state == "done"]
    repaired = [s for s in done if "4:1 split on" in seen[s][1]]
    for symbol in repaired:
        sound = clean.filter(pl.col("symbol") == symbol)
        k = int(sound["date"].search_sorted(made[symbol][1]))
        assert restored(bars.filter(pl.col("symbol") == symbol), sound, k, 4.0)
    assert len(repaired) >= 0.7 * len(made) and len(done) - len(repaired) <= 0.1 * len(made)
    assert not math.isnan(clean["close"].sum())


def test_features_and_labels_of_repaired_bars_are_those_of_the_clean_series():
    frame = still(market("AAA").frame)
    clean, repaired = one(frame)[0], one(with_split(frame, DAY, 2.0, cents=False))[0]
    chosen = [item for item in select(FeaturesConfig()) if "split" not in reach(item)]
    assert len(chosen) > 100
    values = compute(clean, chosen).select(pl.col(pl.Float32)).to_numpy()
    same = compute(repaired, chosen).select(pl.col(pl.Float32)).to_numpy()
    np.testing.assert_allclose(same, values, rtol=2e-3, atol=2e-3)
    expected, found = (decisions(bars, LabelConfig()) for bars in (clean, repaired))
    np.testing.assert_array_equal(found.label, expected.label)
    np.testing.assert_allclose(found.bar_return, expected.bar_return, rtol=1e-9, atol=1e-12)
