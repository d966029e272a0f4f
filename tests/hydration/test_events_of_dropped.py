"""Events on rows that are no bars: they count at the next bar, once, and the remark says where."""

import datetime as dt

import polars as pl
import pytest

from src.hydration.validation import validate
from tests.market_case import put, series

PAID = 100
"""A Monday in `series`, by index."""


def paying(k=PAID, amount=1.0):
    """A series with a column of dividends, and one of them."""
    frame = series().with_columns(dividend=pl.lit(0.0), split=pl.lit(0.0), capital_gain=pl.lit(0.0))
    return put(frame, k, dividend=amount)


def monday():
    """The index of a Monday."""
    return next(k for k, day in enumerate(series()["date"]) if k >= PAID and day.weekday() == 0)


def with_row(frame, k, day=None, **values):
    """The frame with a second copy of row k before it, with other values."""
    row = frame[k].with_columns(**({"date": pl.lit(day)} if day else {}), **{n: pl.lit(v) for n, v in values.items()})
    return pl.concat([frame[:k], row.select(frame.columns), frame[k:]])


def validated(frame):
    bars, states = validate(frame)
    return bars, states["reason"][0]


def test_a_dividend_on_a_weekend_counts_on_monday():
    k = monday()
    saturday = series()["date"][k] - dt.timedelta(2)
    right, _ = validated(paying(k))
    bars, reason = validated(with_row(paying(k, 0.0), k, saturday, dividend=1.0, volume=0.0))
    assert bars["factor"][-1] == pytest.approx(right["factor"][-1]) and bars["factor"][-1] > 1
    assert f"dividend of 1 on {saturday}, a day without trading, counts on {series()['date'][k]}" in reason


def test_a_dividend_on_a_weekend_and_again_on_monday_counts_once():
    k = monday()
    saturday = series()["date"][k] - dt.timedelta(2)
    right, _ = validated(paying(k))
    bars, reason = validated(with_row(paying(k), k, saturday, dividend=1.0))
    assert bars["factor"][-1] == pytest.approx(right["factor"][-1]) and "counts on" not in reason


def test_a_dividend_on_the_first_of_two_equal_rows_of_a_day_counts():
    right, _ = validated(paying())
    bars, reason = validated(with_row(paying(amount=0.0), PAID, dividend=1.0))
    assert bars["factor"][-1] == pytest.approx(right["factor"][-1]) and "second row of that day counts" in reason


def test_a_repeated_row_does_not_pay_twice():
    right, _ = validated(paying())
    bars, _ = validated(with_row(paying(), PAID))
    assert bars["factor"][-1] == pytest.approx(right["factor"][-1])


def test_two_dividends_of_a_day_with_a_row_each_are_added():
    right, _ = validated(paying(amount=1.5))
    bars, _ = validated(with_row(paying(), PAID, dividend=0.5))
    assert bars["factor"][-1] == pytest.approx(right["factor"][-1])


def test_a_corrected_row_replaces_the_dividend_of_the_row_before():
    frame = paying()
    right, _ = validated(frame)
    bars, _ = validated(with_row(frame, PAID, dividend=0.5, close=frame["close"][PAID] * 1.01))
    assert bars["factor"][-1] == pytest.approx(right["factor"][-1])


def test_a_dividend_after_the_last_bar_is_named_as_lost():
    frame = paying(amount=0.0)
    later = frame["date"][-1] + dt.timedelta(5 - frame["date"][-1].weekday())
    row = frame[-1].with_columns(date=pl.lit(later), dividend=pl.lit(1.0))
    _, reason = validated(pl.concat([frame, row]))
    assert f"dividend of 1 on {later}, a day without trading after the last bar, is not used" in reason


def test_a_split_on_a_weekend_is_compared_with_mondays_bar():
    k = monday()
    saturday = series()["date"][k] - dt.timedelta(2)
    prices = ("open", "high", "low", "close")
    early = pl.int_range(pl.len()) < k
    frame = paying(k, 0.0).with_columns(pl.when(early).then(pl.col(p) * 4).otherwise(p).alias(p) for p in prices)
    frame = frame.with_columns(volume=pl.when(early).then(pl.col("volume") / 4).otherwise("volume"))
    bars, reason = validated(with_row(frame, k, saturday, split=4.0, volume=0.0))
    assert bars["close"][0] == pytest.approx(series()["close"][0]) and bars["split"][0] == 4.0
    assert "split of 4" in reason


def test_a_factor_on_a_weekend_row_is_no_event():
    k = monday()
    saturday = series()["date"][k] - dt.timedelta(2)
    frame = paying(k, 0.0).with_columns(split=pl.when(pl.int_range(pl.len()) < k).then(4.0).otherwise(1.0))
    right = validate(frame)[0]
    bars = validate(with_row(frame, k, saturday, split=4.0))[0]
    assert bars["split"].to_list() == right["split"].to_list()
