"""Named splits that are in the prices, not in them, twice, on another day or upside down. Oracle: the right series."""

import numpy as np
import polars as pl
import pytest

from src.hydration.validation import validate
from tests.hydration.events_case import DAY, as_traded, bent, returns, right

RATIOS = [2.0, 1.5, 3.0, 4.0, 10.0, 0.1]


def checked(frame, **settings):
    bars, states = validate(frame, **settings)
    return bars, states.row(0, named=True)


def assert_right(frame, bars, state, ratio=2.0, day=DAY):
    """Prices, volume and returns are those of the right series, and price times split is what was traded."""
    assert state["state"] == "done", state["reason"]
    np.testing.assert_allclose(bars["close"], frame["close"], rtol=1e-9)
    np.testing.assert_allclose(bars["volume"], frame["volume"], rtol=1e-9)
    np.testing.assert_allclose(returns(bars), np.diff(np.log(frame["close"].to_numpy())), atol=1e-12)
    traded = as_traded(frame, ratio, day)
    np.testing.assert_allclose(bars["close"] * bars["split"], traded["close"], rtol=1e-9)


@pytest.mark.parametrize("ratio", RATIOS)
def test_a_split_that_is_in_the_prices_changes_nothing_and_needs_no_remark(ratio):
    frame = right(ratio)
    bars, state = checked(frame)
    assert_right(frame, bars, state, ratio)
    assert state["reason"] == "" and state["repaired"] == 0


@pytest.mark.parametrize("ratio", RATIOS)
def test_prices_as_traded_come_into_the_basis_after_the_split(ratio):
    frame = right(ratio)
    bars, state = checked(as_traded(frame, ratio))
    assert_right(frame, bars, state, ratio)
    assert "prices as traded: brought into the basis after the named splits" in state["reason"]


@pytest.mark.parametrize("ratio", RATIOS)
def test_a_split_applied_twice_is_taken_out_once(ratio):
    frame = right(ratio)
    bars, state = checked(bent(frame, 0, DAY, 1 / ratio))
    assert_right(frame, bars, state, ratio)
    assert (
        f"named for {frame['date'][DAY]}: applied twice (repaired)" in state["reason"] and bars["repaired"].sum() == 1
    )


@pytest.mark.parametrize("ratio", RATIOS)
@pytest.mark.parametrize("late", [-3, -1, 1, 2])
def test_a_split_applied_on_the_wrong_day_moves_to_the_day_that_the_prices_show(ratio, late):
    frame = right(ratio)
    day = DAY + late
    wrong = bent(frame, DAY, day, ratio) if late > 0 else bent(frame, day, DAY, 1 / ratio)
    bars, state = checked(wrong)
    assert_right(frame, bars, state, ratio, day)
    assert f"the prices show it on {frame['date'][day]} (repaired)" in state["reason"]


@pytest.mark.parametrize("late", [-2, 3])
def test_prices_as_traded_whose_split_is_named_for_a_day_nearby_are_brought_into_its_basis(late):
    frame = right(4.0)
    bars, state = checked(as_traded(frame, 4.0, DAY + late))
    assert_right(frame, bars, state, 4.0, DAY + late)
    assert f"not in the prices, which show it on {frame['date'][DAY + late]}" in state["reason"]


def test_a_split_that_is_named_and_applied_upside_down_is_turned():
    frame = right(0.1)  # the company made one share of ten; the source says ten of one, and applied that
    named = pl.when(pl.col("split") > 0).then(10.0).otherwise(0.0).alias("split")
    wrong = bent(frame, 0, DAY, 1 / 100).with_columns(named)
    bars, state = checked(wrong)
    assert_right(frame, bars, state, 0.1)
    assert "split of 10:1" in state["reason"] and "upside down, it was 1:10" in state["reason"]


def test_one_split_named_for_two_neighbouring_days_counts_once():
    frame = right(2.0)
    twice = frame.with_columns(split=pl.when(pl.int_range(pl.len()).is_in([DAY, DAY + 1])).then(2.0).otherwise(0.0))
    bars, state = checked(twice)
    assert_right(frame, bars, state)
    assert "named twice" in state["reason"] and "it counts once" in state["reason"]


def test_a_split_missing_before_some_date_is_repaired_where_the_prices_show_it():
    frame = right(4.0)
    bars, state = checked(bent(frame, 0, 200, 4.0))
    assert_right(frame, bars, state, 4.0)
    assert f"not in the prices before {frame['date'][200]} (repaired)" in state["reason"]


def test_a_move_that_is_near_a_ratio_but_not_ordinary_without_it_quarantines():
    frame = right(2.0)
    bars, state = checked(as_traded(bent(frame, 0, DAY, 0.85, 1.0), 2.0))
    assert bars.is_empty() and state["state"] == "quarantined"
    assert f"split of 2:1 named for {frame['date'][DAY]}, but the prices moved by x0.5" in state["reason"]
    assert state["reason"].count("split of 2:1") == 1 and "unrecorded" not in state["reason"]


@pytest.mark.parametrize(("by", "words"), [(1 / 10, "as traded"), (10.0, "divided twice")])
def test_a_volume_in_another_basis_than_the_prices_quarantines(by, words):
    _, state = checked(bent(right(10.0), 0, DAY, 1.0, by))
    assert state["state"] == "quarantined" and f"the volume before it is {words}" in state["reason"]


def test_what_is_repaired_up_to_a_bar_does_not_depend_on_later_bars():
    frame = right(3.0).with_columns(split=pl.when(pl.int_range(pl.len()).is_in([DAY, 650])).then(3.0).otherwise(0.0))
    wrong = as_traded(as_traded(frame, 3.0, DAY), 3.0, 650)
    whole, _ = checked(wrong)
    for k in (DAY, DAY + 1, DAY + 2, 649, 651):
        cut, _ = checked(wrong.head(k))
        np.testing.assert_allclose(returns(cut), returns(whole)[: k - 1], atol=1e-12)
        np.testing.assert_allclose(cut["close"] * cut["split"], (whole["close"] * whole["split"])[:k], rtol=1e-12)


@pytest.mark.parametrize("value", [0.0, -2.0, float("nan"), float("inf")])
def test_a_split_of_no_ratio_is_ignored_and_a_stored_split_is_positive(value):
    frame = right(2.0)
    odd = frame.with_columns(split=pl.when(pl.int_range(pl.len()) == 300).then(value).otherwise("split"))
    bars, state = checked(odd)
    assert_right(frame, bars, state)
    assert (bars["split"] > 0).all() and ("a split of -2 is ignored" in state["reason"]) == (value == -2.0)
