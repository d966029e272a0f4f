"""What a feature can ask of facts: the last, the newest, sums of a window, who acted, and for how long all is known."""

import numpy as np
import pytest

from src.features.facts import (
    Facts,
    at,
    covered_bars,
    covered_for,
    days_since,
    distinct,
    flow,
    latest,
    newest,
    since_bar,
    within,
)

CLOSE = np.array([10.0, 11.0, 12.0, 15.0, 16.0])


def known_at(known, since=0.0, **fields) -> Facts:
    known = np.array(known, dtype=float)
    covered = since <= CLOSE
    values = {name: np.array(value, dtype=float) for name, value in fields.items()}
    seen = np.searchsorted(known, CLOSE, side="right")
    return Facts(seen, covered, known, values, CLOSE, np.where(covered, since, np.nan))


def test_the_last_known_fact_counts_until_it_is_too_old():
    facts = known_at([9.5, 11.0, 14.9, 99.0], x=[1, 2, 3, 4])
    assert at(facts.fields["x"], latest(facts)).tolist() == [1, 2, 2, 3, 3]
    chosen = facts.fields["x"] != 2
    assert at(facts.fields["x"], latest(facts, chosen, oldest_days=1.5))[:3].tolist() == pytest.approx(
        [1, 1, np.nan], nan_ok=True
    )


def test_the_newest_period_counts_although_an_older_one_is_known_later():
    facts = known_at([9.5, 10.5, 11.5, 14.0], period=[90, 80, np.nan, 90], x=[1, 2, 3, 4])
    assert at(facts.fields["x"], newest(facts, facts.fields["period"])).tolist() == [1, 1, 1, 4, 4]


def test_without_facts_there_is_none():
    facts = known_at([], x=[])
    assert latest(facts).tolist() == newest(facts, facts.fields["x"]).tolist() == [-1] * 5
    assert np.isnan(at(facts.fields["x"], latest(facts))).all()
    assert flow(facts, facts.fields["x"], within(facts, 5)).tolist() == [0] * 5
    assert distinct(facts, facts.fields["x"] > 0, facts.fields["x"], 5).tolist() == [0] * 5


def test_a_window_ends_at_the_close_and_leaves_out_its_first_moment():
    facts = known_at([9.0, 10.0, 13.0, 14.0], x=[1, 10, 100, 1000])
    assert flow(facts, facts.fields["x"], within(facts, 1)).tolist() == [10, 0, 0, 0, 0]
    assert flow(facts, facts.fields["x"], within(facts, 2)).tolist() == [11, 10, 0, 1000, 0]
    assert flow(facts, facts.fields["x"], since_bar(facts, 1)).tolist() == [0, 0, 0, 1100, 0]  # the weekend is Monday's


def test_what_leaves_a_window_leaves_nothing_behind():
    """A running total in floating point would keep the rounding of the wild value for good."""
    facts = known_at([9.5, 11.5, 12.0, 14.9], x=[1e12 + 0.1, 0.1, 0.2, 0.3])
    sums = flow(facts, facts.fields["x"], within(facts, 1.5))
    assert sums == pytest.approx([1e12 + 0.1, 0, 0.3, 0.3, 0.3], abs=1e-6)
    assert flow(known_at([10.0], x=[np.nan]), np.array([np.nan]), within(facts.first(1), 5)).tolist() == [0] * 5


def test_who_acts_twice_in_a_window_counts_once():
    facts = known_at([9.1, 9.2, 10.5, 11.5, 14.5], who=[7, 7, 8, 7, np.nan])
    counted = distinct(facts, np.ones(5, dtype=bool), facts.fields["who"], 3.0)
    assert counted.tolist() == [1, 2, 2, 1, 1]
    loop = [len({facts.fields["who"][i] for i in range(5) if close - 3 < facts.known[i] <= close}) for close in CLOSE]
    assert counted.tolist() == loop


def test_coverage_has_to_reach_back_over_the_window():
    facts = known_at([10.2], since=10.0, x=[1])
    assert covered_for(facts, 2).tolist() == [False, False, True, True, True]
    assert covered_bars(facts, 2).tolist() == [False, False, True, True, True]
    late = known_at([10.2], since=11.0, x=[1])
    assert covered_bars(late, 2).tolist() == [False, False, False, True, True]
    assert days_since(late, late.fields["x"] > 0, 3).tolist() == pytest.approx(
        [np.nan, 0.8, 1.8, 3, 3], nan_ok=True
    )  # fmt: skip
