import datetime as dt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.config.schema import SplitConfig
from src.evaluation.splits import InsufficientData, walk_forward

SPLIT = SplitConfig()


def weekdays(first, count):
    return np.busday_offset(first, np.arange(count), roll="forward")


def test_ten_years_give_five_folds_at_fixed_dates():
    folds = walk_forward(weekdays("2014-01-02", 2610), "stock", SPLIT, 1)
    assert [fold.first.isoformat() for fold in folds] == [
        "2017-01-01",
        "2018-07-01",
        "2020-01-01",
        "2021-07-01",
        "2023-01-01",
    ]


@given(
    first=st.dates(dt.date(1995, 1, 1), dt.date(2020, 1, 1)),
    count=st.integers(700, 3000),
    more=st.integers(1, 500),
    horizon=st.sampled_from([1, 5, 20]),
    embargo=st.sampled_from([0, 5, 21]),
)
@settings(max_examples=60)
def test_folds_are_purged_consecutive_and_only_the_last_grows_with_new_bars(first, count, more, horizon, embargo):
    dates = weekdays(first, count + more)
    split = SplitConfig(embargo=embargo)
    try:
        folds = walk_forward(dates[:count], "stock", split, horizon)
    except InsufficientData:
        return
    tests = np.concatenate([fold.test for fold in folds])
    assert tests.tolist() == list(range(tests[0], count - 2))
    for fold in folds:
        b = fold.test[0]
        assert dates[b] >= np.datetime64(fold.first) > dates[b - 1]
        assert fold.train.tolist() == list(range(b - embargo - horizon))
        assert (fold.train + 1 + horizon).max() <= b - embargo
        assert fold.train.size >= 500
    later = walk_forward(dates, "stock", split, horizon)
    for old, new in zip(folds[:-1], later, strict=False):
        assert old.first == new.first
        assert old.train.tolist() == new.train.tolist()
        assert old.test.tolist() == new.test.tolist()
    same = later[len(folds) - 1]
    assert same.train.tolist() == folds[-1].train.tolist()
    assert same.test[: folds[-1].test.size].tolist() == folds[-1].test.tolist()


def test_boundaries_are_the_same_for_every_start_of_a_history():
    firsts = [
        {fold.first for fold in walk_forward(weekdays(first, 2500), "stock", SPLIT, 1)}
        for first in ("2009-03-17", "2010-11-01")
    ]
    common = {date for date in firsts[0] | firsts[1] if dt.date(2013, 6, 1) < date < dt.date(2018, 6, 1)}
    assert common <= firsts[0] & firsts[1]
    assert len(common) == 3


def test_a_history_from_before_the_anchor_is_cut_at_the_same_steps_backwards():
    folds = walk_forward(weekdays("1993-02-01", 2500), "etf", SPLIT, 1)
    assert [fold.first.isoformat() for fold in folds][:4] == ["1996-01-01", "1997-07-01", "1999-01-01", "2000-07-01"]


def test_a_boundary_on_a_non_trading_day_starts_at_the_next_bar():
    dates = weekdays("2014-01-02", 1500)
    first = walk_forward(dates, "stock", SPLIT, 1)[0]
    assert first.first == dt.date(2017, 1, 1)  # a Sunday
    assert dates[first.test[0]].item() == dt.date(2017, 1, 2)


def test_too_short_a_history_is_skipped_with_its_figures():
    with pytest.raises(InsufficientData) as caught:
        walk_forward(weekdays("2015-08-03", 612), "stock", SPLIT, 1)
    assert str(caught.value) == (
        "insufficient data: 612 tradable bars from 2015-08-03 to 2017-12-05, 370 of them before the last fold boundary"
        " 2017-01-01; 506 are needed before it (500 to train, 6 purged) and 3 after"
    )


def test_a_history_without_a_boundary_is_skipped_with_its_figures():
    with pytest.raises(InsufficientData, match="no fold boundary among them"):
        walk_forward(weekdays("2015-08-03", 100), "stock", SPLIT, 1)


@pytest.mark.parametrize("count", [0, 1])
def test_one_bar_is_skipped(count):
    with pytest.raises(InsufficientData, match=f"{count} tradable bars"):
        walk_forward(weekdays("2015-08-03", count), "stock", SPLIT, 1)


def test_a_thinly_traded_instrument_is_skipped_with_its_figures():
    dates = weekdays("2010-01-04", 3000)
    kept = dates[np.random.default_rng(1).random(3000) < 0.85]
    with pytest.raises(InsufficientData, match=r"thinly traded: 22\d tradable bars a year, fewer than 90% of 252"):
        walk_forward(kept, "stock", SPLIT, 1)
    with pytest.raises(InsufficientData, match=r"26\d tradable bars a year, fewer than 90% of 365"):
        walk_forward(dates, "crypto", SPLIT, 1)


def test_a_coin_trades_every_day_of_the_year():
    dates = np.datetime64("2016-01-01") + np.arange(2000)
    assert len(walk_forward(dates, "crypto", SPLIT, 1)) == 2


def test_bars_beyond_the_pinned_date_are_refused():
    dates = weekdays("2014-01-02", 1500)
    with pytest.raises(ValueError, match=r"split.until=2018-05-31, got 2019-.*cut them before"):
        walk_forward(dates, "stock", SplitConfig(until="2018-05-31"), 1)
    assert walk_forward(dates[dates <= np.datetime64("2018-05-31")], "stock", SplitConfig(until="2018-05-31"), 1)


def test_hourly_bars_are_cut_at_midnight_of_the_same_dates():
    days = weekdays("2014-01-02", 1500)
    hours = (days[:, None] + np.arange(14, 21) * np.timedelta64(1, "h")).reshape(-1).astype("datetime64[us]")
    daily, hourly = (
        walk_forward(days, "stock", SPLIT, 1),
        walk_forward(hours, "stock", SPLIT, 1, bars_per_year=252 * 7),
    )
    assert [fold.first for fold in daily] == [fold.first for fold in hourly][1:]
    assert hourly[-1].test[0] == 7 * daily[-1].test[0]
