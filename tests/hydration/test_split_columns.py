"""Columns of splits: events are told from factors, and nonsense from both."""

import numpy as np
import pytest

from src.hydration.split_columns import read

NAN = float("nan")


def events(n=1000, other=0.0, **at):
    values = np.full(n, other)
    for day, ratio in at.items():
        values[int(day[1:])] = ratio
    return values


@pytest.mark.parametrize("other", [0.0, 1.0, NAN])
def test_ratios_that_stand_alone_are_events_whatever_fills_the_other_days(other):
    got = read(events(other=other, d300=4.0, d301=4.0, d700=0.1))
    assert got.last == 1.0 and got.known and got.fault == ""
    assert {int(k): got.named[k] for k in np.flatnonzero(got.named != 1)} == {300: 4.0, 301: 4.0, 700: 0.1}


def test_factors_that_end_at_one_step_down_by_the_ratio_on_the_day_of_the_split():
    got = read(np.repeat([8.0, 2.0, 1.0], [300, 400, 300]))
    assert {int(k): got.named[k] for k in np.flatnonzero(got.named != 1)} == {300: 4.0, 700: 2.0} and got.last == 1


def test_factors_that_start_at_one_step_up_by_the_ratio():
    got = read(np.repeat([1.0, 4.0, 8.0], [300, 400, 300]))
    assert {int(k): got.named[k] for k in np.flatnonzero(got.named != 1)} == {300: 4.0, 700: 2.0} and got.last == 1


def test_a_factor_that_never_changes_is_of_a_later_split():
    got = read(np.full(1000, 4.0))
    assert (got.named == 1).all() and got.last == 4.0


def test_factors_of_a_few_first_bars_are_factors_and_a_ratio_on_the_last_bar_is_a_split():
    assert np.flatnonzero(read(np.repeat([2.0, 1.0], [3, 997])).named != 1).tolist() == [3]
    assert read(events(other=1.0, d999=3.0)).named[999] == 3.0


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_column_without_any_ratio_is_a_history_without_splits(value):
    got = read(np.full(1000, value))
    assert (got.named == 1).all() and got.known and got.last == 1.0


def test_a_column_without_any_value_says_nothing():
    assert not read(np.full(10, NAN)).known


def test_a_factor_of_zero_and_a_column_that_moves_each_day_are_refused():
    zero = np.repeat([4.0, 0.0, 1.0], [500, 300, 200])
    assert not read(zero).known and "a factor of 0 is not above 0" in read(zero).fault
    price = np.exp(np.arange(1000) * 0.01)
    assert not read(price).known and "it changes on 999 of 1,000 bars" in read(price).fault
