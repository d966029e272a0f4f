"""What followed a text, against a plain reading of contract 3."""

import datetime as dt

import numpy as np
import polars as pl
import pytest

from src.research.scoring.outcomes import outcomes
from tests.research.scoring.case import bar_rows, bar_store, moment

PANEL = [("stock", f"P{k}") for k in range(6)]


def links(*rows):
    schema = {"text": pl.UInt32, "asset_class": pl.String, "symbol": pl.String, "known": pl.Datetime("us", "UTC")}
    return pl.DataFrame([(n, "stock", *row) for n, row in enumerate(rows)], schema=schema, orient="row")


def panel(n=20, seed=0):
    random = np.random.default_rng(seed)
    return [bar_rows(symbol, 50 * np.exp(np.cumsum(0.01 * random.normal(size=n)))) for _, symbol in PANEL]


def test_a_text_before_the_close_is_followed_by_the_next_open_and_one_after_it_by_the_open_after(tmp_path):
    opens = np.array([10.0, 11, 12, 15, 30, 31, 32])  # sessions 2019-01-02, 03, 04, 07, 08, 09, 10
    store = bar_store(tmp_path, [bar_rows("AAA", opens)])
    close = dt.datetime(2019, 1, 3, 21, tzinfo=dt.UTC)  # 16:00 in New York
    minute = dt.timedelta(minutes=1)
    found = outcomes(links(("AAA", close), ("AAA", close + minute), ("AAA", moment("2019-01-05"))), store, 1)
    assert found["outcome"].to_list() == pytest.approx([15 / 12 - 1, 30 / 15 - 1, 31 / 30 - 1])
    ends = [dt.datetime(2019, 1, day, 21, tzinfo=dt.UTC) for day in (7, 8, 9)]
    assert found["complete"].to_list() == ends


def test_the_close_of_a_half_day_counts(tmp_path):
    opens = [1.0, 2, 4, 8, 16, 32]
    store = bar_store(tmp_path, [bar_rows("AAA", opens, first="2019-11-27")])  # the 29th closes at 13:00
    half = dt.datetime(2019, 11, 29, 18, tzinfo=dt.UTC)
    found = outcomes(links(("AAA", half), ("AAA", half + dt.timedelta(seconds=1))), store, 2)
    assert found["outcome"].to_list() == pytest.approx([16 / 4 - 1, 32 / 8 - 1])
    assert found["complete"][0].date() == dt.date(2019, 12, 4)


def test_returns_are_total_and_less_those_of_the_market(tmp_path):
    others = panel()
    factor = np.where(np.arange(20) < 6, 1.0, 1.1)
    own = bar_rows("AAA", np.linspace(20, 40, 20), factor=pl.Series(factor))
    store = bar_store(tmp_path, [own, *others], PANEL)
    for horizon in (1, 3):
        for k in (2, 4, 5):
            day = own["date"][k]
            found = outcomes(links(("AAA", moment(day))), store, horizon)
            prices = own["open"].to_numpy() * factor
            market = [o["open"][k + 1 + horizon] / o["open"][k + 1] - 1 for o in others]
            expected = prices[k + 1 + horizon] / prices[k + 1] - 1 - np.mean(market)
            assert found["outcome"].item() == pytest.approx(expected, abs=1e-12)


def test_bars_that_do_not_trade_are_no_entry_and_a_long_stop_leaves_no_return(tmp_path):
    volume = [1e5] * 20
    volume[4] = 0.0
    for k in range(10, 17):
        volume[k] = 0.0
    opens = np.arange(1.0, 21)
    store = bar_store(tmp_path, [bar_rows("AAA", opens, volume=pl.Series(volume))])
    days = bar_rows("AAA", opens)["date"]
    found = outcomes(links(("AAA", moment(days[3])), ("AAA", moment(days[9])), ("AAA", moment(days[11]))), store, 1)
    assert found["text"].to_list() == [0]
    assert found["outcome"].to_list() == pytest.approx([7 / 6 - 1])


def test_a_member_that_did_not_trade_is_not_waited_for(tmp_path):
    others = panel()
    volume = [1e5] * 20
    volume[5] = 0.0
    halted = others[0].with_columns(volume=pl.Series(volume))
    own = bar_rows("AAA", np.linspace(20, 40, 20))
    found = outcomes(links(("AAA", moment(own["date"][4]))), bar_store(tmp_path, [own, halted, *others[1:]], PANEL), 1)
    market = [o["open"][6] / o["open"][5] - 1 for o in others[1:]]
    assert found["outcome"].item() == pytest.approx(own["open"][6] / own["open"][5] - 1 - np.mean(market), abs=1e-12)


def test_intraday_bars_count_as_days_of_the_exchange(tmp_path):
    opens = [10.0, 11, 12, 15, 30]
    daily = bar_rows("AAA", opens)
    hours = pl.concat(
        daily.with_columns(
            date=pl.col("date").cast(pl.Datetime("us", "UTC")) + pl.duration(hours=hour),
            open="open" if hour == 15 else pl.lit(99.0),
        )
        for hour in (15, 16, 20)
    ).sort("date")
    from src.research.scoring.outcomes import returns_after

    columns = ["asset_class", "symbol", "date", "return", "complete"]
    assert returns_after(hours, 1).select(columns).equals(returns_after(daily, 1).select(columns))
    assert returns_after(daily, 1)["return"].to_list() == pytest.approx([12 / 11 - 1, 15 / 12 - 1, 1.0])


def test_without_bars_or_texts_there_are_no_outcomes(tmp_path):
    from src.market.bars import BarStore

    assert outcomes(links(("AAA", moment("2019-01-03"))), BarStore(tmp_path / "none"), 1).height == 0
    store = bar_store(tmp_path, [bar_rows("AAA", [1.0, 2, 3, 4])])
    assert outcomes(links(), store, 1).height == 0
    assert outcomes(links(("ZZZ", moment("2019-01-03"))), store, 1).height == 0
