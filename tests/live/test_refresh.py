"""Refreshes: hydrating and then refreshing gives what hydrating from scratch gives, bit for bit."""

import os

import polars as pl
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from src.live.adjust import derived
from src.live.refresh import Held, merge, ordered_events, settle
from src.sources.provider import EVENTS, RAW
from src.validation import validate
from tests.live.history import FIRST, History

OVERLAP = 10
EXAMPLES = int(os.environ.get("EXAMPLES", "25"))  # more, by hand: 300 take a minute
NOTHING = Held(pl.DataFrame(schema=RAW), pl.DataFrame(schema=EVENTS))


def taken(held, given, verdict):
    """What the store does with an answer, in one line."""
    return Held(given.bars, given.events) if verdict.replace else merge(held, Held(given.bars, given.events))


def refreshed(history, held, today):
    return_, verdict = settle(held, lambda begin: history.served(today, begin), FIRST, OVERLAP)
    return taken(held, return_, verdict), verdict


def published(held):
    made = derived(held.bars, held.events)
    return validate(made.bars, "auto")[0]


def whole(history, today):
    served = history.served(today)
    return Held(served.bars, served.events)


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
    made = History(closes, absent=absent)
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


@settings(
    max_examples=int(os.environ.get("EXAMPLES", "40")), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
@given(histories())
def test_hydrating_and_refreshing_gives_what_hydrating_from_scratch_gives(drawn):
    history, days = drawn
    held = NOTHING
    for today in days:
        held, verdict = refreshed(history, held, today)
        event(verdict.kind)
        scratch = whole(history, today)
        assert held.bars.equals(scratch.bars)
        assert ordered_events(held.events).equals(ordered_events(scratch.events))
        assert published(held).equals(published(scratch))
