"""The invented market: the same past at any clock, and the provider's arithmetic of splits and dividends."""

import datetime as dt

import numpy as np
import pytest

from tests.loopback.oracle import as_float32
from tests.loopback.world import Event, Operation, World, adjusted

NOW = dt.datetime(2026, 3, 13, 22, 0, tzinfo=dt.UTC)
DAY = dt.date(2026, 3, 11)


def world(symbols: int = 60, now: dt.datetime = NOW) -> World:
    return World(7, symbols, now)


def plain(made: World):
    """A stock that never split."""
    return next(
        each
        for each in made.instruments.values()
        if each.asset_class == "stock" and not made.path(each).splits and not made.path(each).dividends
    )


def test_the_same_seed_gives_the_same_world_and_another_seed_a_different_one():
    first, again, other = world(), world(), World(8, 60, NOW)
    name = plain(first).yahoo
    assert np.array_equal(first.series(first.instruments[name]).close, again.series(again.instruments[name]).close)
    assert set(first.instruments) != set(other.instruments)


def test_an_instrument_does_not_depend_on_the_number_of_others():
    small, large = world(60), world(600)
    assert np.array_equal(small.series(small.instruments["NA"]).close, large.series(large.instruments["NA"]).close)


def test_moving_the_clock_adds_days_and_keeps_the_past():
    now = world()
    later = world(now=NOW + dt.timedelta(days=10))
    each = plain(now)
    before, after = now.series(each), later.series(each)
    assert len(after.days) == len(before.days) + 6
    assert np.array_equal(after.close[: len(before.days)], before.close)


@pytest.mark.parametrize("hour, last", [(21, 13), (20, 12)])
def test_a_session_is_final_half_an_hour_after_its_close(hour, last):
    made = world(now=dt.datetime(2026, 3, 13, hour, 0, tzinfo=dt.UTC))  # New York is four hours behind
    assert made.day("stock") == dt.date(2026, 3, last)


def test_a_coins_day_is_final_ten_minutes_after_midnight():
    assert world(now=dt.datetime(2026, 3, 13, 0, 9, tzinfo=dt.UTC)).day("crypto") == dt.date(2026, 3, 11)
    assert world(now=dt.datetime(2026, 3, 13, 0, 10, tzinfo=dt.UTC)).day("crypto") == dt.date(2026, 3, 12)


def test_a_split_divides_all_earlier_prices_and_multiplies_their_volume():
    made = world()
    each = plain(made)
    before = made.series(each)
    made.apply(Operation("split", each.yahoo, DAY, 4.0))
    after = made.series(each)
    old = before.days < np.datetime64(DAY)
    assert np.allclose(after.close[old] * 4, before.close[old], rtol=1e-6)
    assert np.allclose(after.close[~old] * 4, before.close[~old], atol=0.02)  # traded in whole cents again
    assert np.allclose(after.volume[old], before.volume[old] * 4, atol=4)
    assert [(e.kind, e.value) for e in after.events] == [("split", 4.0)]


def test_adjusted_closes_follow_the_dividends_by_a_naive_loop():
    made = world()
    payer = next(e for e in made.instruments.values() if len(made.path(e).dividends) > 5 and not made.path(e).splits)
    series = made.series(payer)
    paid = {e.day: e.value for e in series.events}
    factor, wanted = 1.0, []
    for k in range(len(series.days) - 1, -1, -1):
        wanted.append(np.float32(series.close[k] * factor))
        if series.days[k] in paid and k:
            factor *= 1 - paid[series.days[k]] / series.close[k - 1]
    assert len(paid) > 5
    assert np.allclose(series.adj_close, wanted[::-1], rtol=2e-7)


def test_payments_of_the_same_day_are_added():
    days, close = np.array(["2026-03-10", "2026-03-11"], "datetime64[D]"), np.array([50.0, 48.0])
    events = [Event(days[1], "capital_gain", 1.0), Event(days[1], "dividend", 1.5)]
    assert adjusted(days, close, events).tolist() == [47.5, 48.0]  # 50 * (1 - 2.5 / 50)


def test_a_dividend_lowers_only_earlier_adjusted_closes():
    made = world()
    each = plain(made)
    before = made.series(each)
    made.apply(Operation("dividend", each.yahoo, DAY, 1.25))
    after = made.series(each)
    k = int(np.searchsorted(after.days, np.datetime64(DAY)))
    assert np.array_equal(after.close, before.close)
    assert np.allclose(after.adj_close[:k], before.close[:k] * (1 - 1.25 / before.close[k - 1]), rtol=1e-6)
    assert np.array_equal(after.adj_close[k:], before.close[k:])


def test_a_restatement_changes_the_days_named_alone():
    made = world()
    each = plain(made)
    before = made.series(each)
    made.apply(Operation("restate", each.yahoo, dt.date(2025, 1, 6), 1.1, dt.date(2025, 1, 10)))
    after = made.series(each)
    changed = after.days[after.close != before.close]
    assert (changed[0], changed[-1], len(changed)) == (np.datetime64("2025-01-06"), np.datetime64("2025-01-10"), 5)


def test_delisted_and_renamed_names_are_found_no_more():
    made = world()
    each, other = [e for e in made.instruments.values() if e.asset_class == "stock"][10:12]
    made.apply(Operation("delist", each.yahoo, DAY))
    made.apply(Operation("rename", other.yahoo, DAY, name="NEWNAME"))
    assert made.find(each.yahoo) is None and made.find(other.yahoo) is None
    assert made.find("NEWNAME") == other


def test_all_prices_are_ordered_positive_and_fit_32_bits():
    made = world()
    for each in list(made.instruments.values())[:40]:
        series = made.series(each)
        low, high = np.minimum(series.open, series.close), np.maximum(series.open, series.close)
        assert (series.low > 0).all() and (series.low <= low).all() and (series.high >= high).all()
        assert (series.volume > 0).all() and (np.diff(series.days).astype(int) > 0).all()
        assert as_float32(series.close) and as_float32(series.adj_close)
