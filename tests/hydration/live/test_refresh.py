"""Refreshes: hydrating and then refreshing gives what hydrating from scratch gives, bit for bit."""

import datetime as dt
import math
import os

import polars as pl
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from src.fetching.provider import EVENTS, RAW, Answer
from src.hydration.live import refresh
from src.hydration.live.corporate_actions import derived
from src.hydration.live.history import History, ordered, ordered_events
from src.hydration.live.refresh import TOLERANCE, Comparison, compare, merge, near
from src.hydration.validation import validate
from tests.hydration.live.history import DAYS, FIRST, ServedHistory
from tests.hydration.live.raw_case import answer, since

OVERLAP = 10
EXAMPLES = int(os.environ.get("EXAMPLES", "20"))  # raise it by hand for a longer search: 300 take a minute
NOTHING = History(pl.DataFrame(schema=RAW), pl.DataFrame(schema=EVENTS))


def taken(held, given, comparison):
    """What the store does with an answer."""
    return History(given.bars, given.events) if comparison.replace else merge(held, History(given.bars, given.events))


def asked_until_settled(stored, ask, start):
    """The last answer and its comparison: requested from the overlap on, or from the beginning if history moved."""
    dates = stored.bars["date"].unique().sort().tail(OVERLAP).cast(pl.Date)
    begin = dates[0] if len(dates) else start
    given = ask(begin)
    comparison = compared(stored, given, whole=begin == start, asked=begin)
    if comparison.refetch:
        given = ask(start)
        comparison = compared(stored, given, whole=True)
    return given, comparison


def refreshed(history, held, today):
    given, comparison = asked_until_settled(held, lambda begin: history.served(today, begin), FIRST)
    return taken(held, given, comparison), comparison


def published(held):
    made = derived(held.bars, held.events)
    return validate(made.bars, "auto")[0]


def whole(history, today):
    served = history.served(today)
    return History(served.bars, served.events)


@st.composite
def histories(draw):
    """A history, and the days of a first hydration and of two refreshes.

    What is revised reaches into the overlap of the next refresh: a provider that changes old bars alone is not caught.
    """
    n = draw(st.integers(40, 90))
    moves = draw(st.lists(st.integers(-300, 300), min_size=n, max_size=n))
    closes = [100.0]
    for move in moves[1:]:
        closes.append(closes[-1] * (1 + move / 10_000))
    days = sorted(draw(st.lists(st.integers(20, n - 1), min_size=3, max_size=3)))
    absent = set(draw(st.lists(st.integers(1, n - 1), max_size=4)))
    made = ServedHistory(closes, absent=absent)
    amount = st.floats(0.01, 5)
    for i in draw(st.lists(st.integers(0, n - 1), max_size=4, unique=True)):
        late = draw(st.integers(0, 3))  # served only days after its ex-date
        shown = i + late if all(not (i <= d < i + late) or d - i <= 3 for d in days) else i
        made.paid.append((i, draw(amount), shown, 10_000))
    for _ in range(draw(st.integers(0, 2))):  # corrected, or withdrawn, while in the overlap
        day = draw(st.sampled_from(days))
        present = [i for i in range(day + 1) if i not in absent][-OVERLAP:]
        i = draw(st.sampled_from(present))
        when = day + 1
        value = draw(amount)
        made.paid.append((i, value, 0, when))
        if draw(st.booleans()):
            made.paid.append((i, value * 1.5, when, 10_000))
    for i in draw(st.lists(st.integers(1, n - 1), max_size=2, unique=True)):
        made.splits.append((i, draw(st.sampled_from([2.0, 3.0, 0.1, 1.5, 7.0]))))
    for _ in range(draw(st.integers(0, 2))):
        day = draw(st.sampled_from(days))
        present = [i for i in range(day + 1) if i not in absent][-OVERLAP:]
        hit = draw(st.lists(st.sampled_from(present), min_size=1, max_size=3))
        kind = draw(st.sampled_from(["close", "volume", "gone"]))
        if kind == "gone":
            made.gone.append((hit[0], day + 1))
        elif kind == "volume":
            made.volumes.append((day + 1, dict.fromkeys(hit, 1.25)))
        else:
            older = draw(st.lists(st.sampled_from(range(day + 1)), max_size=3))
            made.revised.append((day + 1, dict.fromkeys([*older, *hit], draw(st.sampled_from([1.001, 0.5, 1 + 3e-5])))))
    return made, days


@settings(max_examples=EXAMPLES)
@given(histories())
def test_hydrating_and_refreshing_gives_what_hydrating_from_scratch_gives(drawn):
    history, days = drawn
    held = NOTHING
    for today in days:
        held, comparison = refreshed(history, held, today)
        event(comparison.kind)
        scratch = whole(history, today)
        assert held.bars.equals(scratch.bars)
        assert ordered_events(held.events).equals(ordered_events(scratch.events))
    assert published(held).equals(published(scratch))  # made of the above: once is enough for what it adds


def compared(stored, given, **settings):
    return compare(stored.bars, stored.events, given, **settings)


WHOLE = answer("AAA", 300)
STORED = History(WHOLE.bars, WHOLE.events)
LAST = WHOLE.bars["date"][-1]


def changed(given, row, **values):
    here = pl.int_range(pl.len()) == row % given.bars.height
    bars = given.bars.with_columns(pl.when(here).then(v).otherwise(name).alias(name) for name, v in values.items())
    return Answer(bars, given.events, given.facts)


def with_event(given, day, kind, value):
    row = pl.DataFrame([("stock", "AAA", day, kind, value, "yahoo")], schema=EVENTS, orient="row")
    return Answer(given.bars, pl.concat([given.events, row]), given.facts)


def without_close(day):
    return History(STORED.bars.with_columns(close=pl.when(pl.col("date") != day).then(pl.col("close"))), STORED.events)


def test_each_kind_of_answer_has_a_message():
    tail, grown = since(WHOLE, 10), since(answer("AAA", 305), 15)
    day, close = tail.bars["date"][4], tail.bars["close"][4]
    assert compared(NOTHING, tail) == Comparison("first", replace=True)
    assert compared(STORED, tail) == Comparison("same")
    assert compared(STORED, grown) == Comparison("appended", "5 bars added")
    assert (
        compared(STORED, changed(tail, 4, volume=5.0)).message
        == f"1 bar corrected but for the close, the last of {day}"
    )
    assert compared(STORED, with_event(tail, day, "dividend", 0.4)) == Comparison(
        "dividend", f"dividend of {day}: 0.4 is new"
    )
    filled = compared(without_close(day), tail)
    assert filled == Comparison("appended", f"1 bar corrected or filled in, the last of {day}")
    split = compared(STORED, with_event(tail, day, "split", 2.0))
    assert split == Comparison("split", f"split of {day}: 2.0 is new", refetch=True)
    moved = compared(STORED, changed(tail, 4, close=close * 1.01))
    assert (moved.kind, moved.refetch) == ("restated", True)
    assert moved.message == f"1 of 10 bars in common has another close: that of {day} was {close}, is {close * 1.01}"
    halved = Answer(tail.bars.with_columns(pl.col("close") / 2), tail.events)
    assert compared(STORED, halved).message == "all 10 bars in common moved by one ratio, 0.5, without an event"
    assert compared(STORED, halved).kind == "split"
    gone = Answer(tail.bars.filter(pl.col("date") != day), tail.events)
    assert compared(STORED, gone).message == f"1 bar stored, the last of {day}, is no longer served"
    assert compared(STORED, Answer(tail.bars.tail(9), tail.events), asked=tail.bars["date"][0]).kind == "restated"
    assert compared(STORED, Answer(tail.bars.tail(9), tail.events)).kind == "same"
    assert compared(STORED, tail, whole=True, asked=FIRST).kind == "same"
    far = answer("AAA", 5, first="2025-06-02")
    assert compared(STORED, far).message == f"none of the 5 bars served is among those stored, the last of {LAST}"
    assert compared(STORED, far).kind == "gap" and compared(STORED, far).refetch


def test_a_dividend_that_came_late_was_corrected_or_withdrawn_is_named_and_merged():
    wide = since(WHOLE, 30)
    day, value = wide.events["date"][0], 0.25
    gone = Answer(wide.bars, wide.events.head(0))
    assert compared(STORED, gone) == Comparison("dividend", f"dividend of {day}: {value} was withdrawn")
    assert merge(STORED, History(gone.bars, gone.events)).events.equals(WHOLE.events.filter(pl.col("date") != day))
    more = Answer(wide.bars, wide.events.with_columns(value=pl.lit(0.3)))
    assert compared(STORED, more) == Comparison("dividend", f"dividend of {day}: {value} was changed to 0.3")
    assert merge(STORED, History(more.bars, more.events)).events["value"].to_list() == [*[0.25] * 4, 0.3]
    before = merge(STORED, History(gone.bars, gone.events))
    assert compared(before, wide).message == f"dividend of {day}: {value} is new"
    assert merge(before, History(wide.bars, wide.events)).events.equals(WHOLE.events)


def test_an_answer_does_not_withdraw_events_outside_its_period():
    tail = since(WHOLE, 10)
    assert tail.events.height == 0
    assert merge(STORED, History(tail.bars, tail.events)).events.equals(WHOLE.events)
    short = Answer(WHOLE.bars.slice(230, 20), WHOLE.events.head(0))  # ends early: it decides on its own days only
    assert merge(STORED, History(short.bars, short.events)).events.equals(WHOLE.events)
    assert compared(STORED, short).message == "the answer ends 50 bars before what is stored, which stays"


def test_rows_within_a_millionth_are_equal_and_the_stored_one_stays():
    tail = since(WHOLE, 10)
    within = changed(tail, 4, close=pl.col("close") * (1 + TOLERANCE / 2), high=pl.col("high") * (1 - TOLERANCE / 2))
    assert compared(STORED, within).kind == "same"
    assert merge(STORED, History(within.bars, within.events)).bars.equals(WHOLE.bars)
    beyond = changed(tail, 4, close=pl.col("close") * (1 + 2 * TOLERANCE))
    assert compared(STORED, beyond).kind == "restated"
    corrected = changed(tail, 4, volume=7.0)
    merged = merge(STORED, History(corrected.bars, corrected.events)).bars
    assert merged["volume"][294] == 7.0 and merged.drop("volume").equals(WHOLE.bars.drop("volume"))


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [(1.0, 1.0, True), (1.0, 1 + 9e-7, True), (1.0, 1 + 2e-6, False), (0.0, 0.0, True), (0.0, 1e-12, False),
     (None, None, True), (math.nan, math.nan, True), (None, math.nan, True), (1.0, None, False), (math.nan, 1.0, False),
     (math.inf, math.inf, True), (math.inf, -math.inf, False), (math.inf, 5.0, False), (-2.0, 2.0, False)],
)  # fmt: skip
def test_both_forms_of_equality_agree(left, right, same):
    frame = pl.DataFrame({"l": [left], "r": [right]}, schema={"l": pl.Float64, "r": pl.Float64})
    assert frame.select(near(pl.col("l"), pl.col("r"))).item() is same
    assert frame.select(near(pl.col("r"), pl.col("l"))).item() is same
    assert refresh._equal(left, right) is same and refresh._equal(right, left) is same


odd = st.sampled_from([None, math.nan, math.inf, 0.0, -1.0, 5.0, 5.0 * (1 + 6e-7), 5.0 * (1 + 1.2e-6), 7.0])


@st.composite
def served(draw):
    """Rows of a few days, repeated and out of order, with absurd values; and events."""
    rows = draw(st.lists(st.tuples(st.integers(0, 9), odd), min_size=1, max_size=12))
    full = [("stock", "AAA", DAYS[30 + 2 * i], 5.0, 5.0, 5.0, v, None, 1.0, "yahoo") for i, v in rows]
    paid = draw(st.lists(st.tuples(st.integers(0, 9), st.sampled_from(["dividend", "split"]), odd), max_size=4))
    events = [("stock", "AAA", DAYS[30 + 2 * i], kind, v, "yahoo") for i, kind, v in paid]
    return History(pl.DataFrame(full, schema=RAW, orient="row"), pl.DataFrame(events, schema=EVENTS, orient="row"))


@settings(max_examples=EXAMPLES)
@given(st.lists(served(), min_size=2, max_size=4))
def test_merging_answers_a_second_time_changes_nothing(answers):
    """A fold that is repeated after a kill relies on this, even if only some years had been written."""

    def through(held):
        for each in answers[1:]:
            held = merge(held, each)
        return History(ordered(held.bars), ordered_events(held.events))

    once = through(answers[0])
    again = through(once)
    assert again.bars.equals(once.bars) and again.events.equals(once.events)
    some = pl.col("date") >= pl.lit(dt.date(2024, 1, 1))
    half = pl.concat([answers[0].bars.filter(~some), once.bars.filter(some)])
    assert through(History(half, answers[0].events)).bars.equals(once.bars)
    assert through(History(half, once.events)).events.equals(once.events)


def test_bars_that_a_provider_no_longer_serves_stay_if_its_basis_did_not_move():
    coin = answer("BTC-USD", 1000, asset_class="crypto", source="kraken")
    stored = History(coin.bars.head(990), coin.events.head(0))
    latest = Answer(coin.bars.tail(720), coin.events.head(0))
    comparison = compared(stored, latest, whole=True)
    assert (comparison.kind, comparison.replace) == ("appended", False)
    assert merge(stored, History(latest.bars, latest.events)).bars.equals(coin.bars)
    corrected = changed(latest, 600, close=1.0)
    assert compared(stored, corrected, asked=latest.bars["date"][0]).refetch
    comparison = compared(stored, corrected, whole=True)
    assert (comparison.kind, comparison.replace) == ("restated", False)
    merged = merge(stored, History(corrected.bars, corrected.events)).bars
    assert merged.height == 1000 and merged["close"][880] == 1.0
    rescaled = Answer(latest.bars.with_columns(pl.col("close") * 10), latest.events)
    bent = Answer(latest.bars.with_columns(pl.col("close") * (1 + pl.int_range(pl.len()) / 720 + 0.01)), latest.events)
    assert compared(stored, bent, whole=True).kind == "restated" and compared(stored, bent, whole=True).replace
    assert compared(stored, rescaled, whole=True).replace  # another basis: older bars can't be kept beside it


def test_a_gap_keeps_older_bars_of_coins_only():
    for kind, stays in (("crypto", True), ("stock", False)):
        old = answer("AAA", 50, asset_class=kind)
        new = answer("AAA", 50, first="2025-06-02", asset_class=kind)
        assert compared(History(old.bars, old.events), new).refetch
        assert compared(History(old.bars, old.events), new, whole=True).replace is not stays


def test_nothing_served_and_another_provider():
    nothing = Answer(WHOLE.bars.head(0), WHOLE.events.head(0))
    assert compared(STORED, nothing) == Comparison("gap", "no bars were served: what is stored stays", refetch=True)
    assert not compared(STORED, nothing, whole=True).replace
    assert merge(STORED, History(nothing.bars, nothing.events)).bars.equals(WHOLE.bars)
    other = answer("AAA", 300, source="kraken")
    assert compared(STORED, other, whole=True) == Comparison(
        "gap", "yahoo served it before, kraken does now", replace=True
    )
    archive = History(WHOLE.bars.with_columns(source=pl.lit("stooq")), WHOLE.events)
    assert compared(archive, since(WHOLE, 10)).kind == "first"


@pytest.mark.parametrize("interval", ["1d", "1h"])
def test_the_overlap_suffices_if_history_did_not_move_and_else_the_whole_is_requested(interval):
    whole = answer("AAA", 200, interval=interval)
    stored, first = History(whole.bars.head(190), whole.events), whole.bars["date"].cast(pl.Date)[0]
    asked = []

    def ask(begin, now=whole):
        asked.append(begin)
        return Answer(now.bars.filter(pl.col("date").cast(pl.Date) >= begin), now.events)

    given, comparison = asked_until_settled(stored, ask, first - dt.timedelta(days=1))
    assert comparison.kind == "appended" and asked == [whole.bars["date"].cast(pl.Date)[180]]
    assert merge(stored, History(given.bars, given.events)).bars.equals(whole.bars)
    moved = changed(whole, 185, close=1.0)
    asked.clear()
    given, comparison = asked_until_settled(stored, lambda begin: ask(begin, moved), first - dt.timedelta(days=1))
    assert comparison.kind == "restated" and comparison.replace and len(asked) == 2 and given.bars.height == 200
