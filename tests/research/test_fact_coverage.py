"""Intervals in which facts are complete."""

import datetime as dt
import json

import polars as pl
import pytest

from src.documents.facts import COVERAGE, schema
from src.features.fact_lookup import FactLookup
from src.research.fact_coverage import coverage
from tests.research.reading_case import SEEN, HeldStore, utc

ONE = pl.DataFrame({"asset_class": ["stock", "stock"], "symbol": ["ONE", "NONE"]})


def store(*intervals, taken="2014-01-01"):
    """A store that knows ONE and when its submissions were taken, with intervals of (source, stream, since, until)."""
    table = {"fields": ["cik", "name", "ticker", "exchange"], "data": [[1, "One Inc.", "ONE", "NYSE"]]}
    held = HeldStore().put("company_tickers_exchange", "tickers", json.dumps(table), known=utc("2020-01-01"))
    if taken:
        held.put("submissions/CIK0000000001", "submissions", "{}", known=utc(taken), entity="CIK:0000000001")
    held.intervals = [(source, stream, utc(since), utc(until)) for source, stream, since, until in intervals]
    return held


def spans(held, kind, tables=None):
    found = coverage(held, tables or {}, ONE)
    assert found.columns == list(COVERAGE)
    return found.filter(fact=kind).select("symbol", "since", "until").rows()


def test_a_stream_counts_for_every_instrument_that_the_source_knows():
    held = store(("edgar", "index", "2014-01-01", "2024-03-01"))
    assert spans(held, "filings") == [("ONE", utc("2014-01-01"), utc("2024-03-01"))]
    assert spans(held, "statements") == []


def test_intervals_of_several_sources_are_joined():
    held = store(("edgar", "index", "2014-01-01", "2015-01-01"), ("edgar", "index", "2016-01-01", "2017-01-01"),
                 ("simulated", "filings", "2014-06-01", "2015-06-01"))  # fmt: skip
    assert spans(held, "filings") == [
        ("ONE", utc("2014-01-01"), utc("2015-06-01")), ("ONE", utc("2016-01-01"), utc("2017-01-01")),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("sets", "expected"),
    [
        ([], [("2026-11-29 12:00", "2027-02-01")]),
        (["2026q2", "2026q3"], [("2014-01-01", "2026-09-21 02:00"), ("2026-10-01 02:00", "2027-02-01")]),
        (["2026q2"], [("2014-01-01", "2026-06-21 02:00"), ("2026-07-01 02:00", "2027-02-01")]),
    ],
)
def test_trades_of_insiders_are_covered_by_sets_and_by_the_index_since_it_is_watched(sets, expected):
    held = store(("edgar", "index", "2014-01-01", "2027-02-01"), *(
        [("edgar", "insider-sets", "2014-01-01", "2027-02-01")] if sets else []))  # fmt: skip
    held.put("index/2026Q4", "index", "", known=SEEN)
    for name in sets:
        held.put(name, "insider-set", "", known=SEEN)
    assert spans(held, "insider_trades") == [("ONE", utc(since), utc(until)) for since, until in expected]


def test_sets_cover_no_more_than_the_last_stored_quarter():
    held = store(("edgar", "insider-sets", "2014-01-01", "2027-02-01")).put("2024q1", "insider-set", "", known=SEEN)
    assert spans(held, "insider_trades") == [("ONE", utc("2014-01-01"), utc("2024-03-22 02:00"))]


def test_a_set_that_comes_later_covers_no_bar_before_it():
    """Its trades are known when it is seen, so that there is nothing at the bars of its quarter: not even a zero."""
    held = store(("edgar", "insider-sets", "2014-01-01", "2024-08-01"))
    held.put("2023q4", "insider-set", "", known=utc("2024-02-10"))
    before = spans(held, "insider_trades")
    held.put("2024q1", "insider-set", "", known=utc("2024-04-20")).put(
        "2024q2", "insider-set", "", known=utc("2024-07-20")
    )
    assert before == [("ONE", utc("2014-01-01"), utc("2023-12-22 03:00"))]
    assert spans(held, "insider_trades") == [("ONE", utc("2014-01-01"), utc("2024-01-31"))]


@pytest.mark.parametrize(
    ("taken", "filings", "trades"),
    [
        ("2026-11-30", [("2014-01-01", "2027-02-01")], [("2026-11-29 12:00", "2027-02-01")]),
        ("2027-01-15", [("2014-01-01", "2026-11-19 12:00"), ("2027-01-15", "2027-02-01")],
         [("2027-01-15", "2027-02-01")]),
        (None, [], []),
    ],
)  # fmt: skip
def test_a_company_that_was_not_collected_is_not_covered(taken, filings, trades):
    """No one read its forms and the items of its 8-Ks meanwhile: their absence says nothing."""
    held = store(("edgar", "index", "2014-01-01", "2027-02-01"), taken=taken)
    held.put("index/2026Q4", "index", "", known=SEEN)
    for sets in ((), ("2026q3",)):
        for name in sets:
            held.put(name, "insider-set", "", known=SEEN)
        for kind, expected in (("filings", filings), ("insider_trades", trades)):
            begun = utc("2026-10-01 02:00") if sets and kind == "insider_trades" and taken == "2026-11-30" else None
            rows = [("ONE", begun or utc(since), utc(until)) for since, until in expected]
            assert spans(held, kind) == rows


def test_bars_after_the_last_set_are_not_covered_and_the_index_goes_on_without_a_gap():
    held = store(("edgar", "insider-sets", "2014-01-01", "2027-02-01")).put("2026q3", "insider-set", "", known=SEEN)
    day = pl.Series([dt.date(2026, 9, 30), dt.date(2026, 10, 1), dt.date(2026, 10, 9)])

    def covered():
        lookup = FactLookup({"insider_trades": pl.DataFrame(schema=schema("insider_trades"))}, coverage(held, {}, ONE))
        return lookup.at(("stock", "ONE"), day, ["insider_trades"])["insider_trades"].covered.tolist()

    assert covered() == [True, False, False]
    held.put("index/2026Q4", "index", "", known=SEEN).intervals.append(
        ("edgar", "index", utc("2014-01-01"), utc("2027-02-01"))
    )
    assert covered() == [True, True, True]


def test_texts_count_from_the_first_on_while_a_source_of_texts_is_asked():
    """A later text prolongs nothing: the interval was there when an earlier bar closed."""
    keys = {"asset_class": "stock", "symbol": "ONE", "document": "news:a:0", "backfilled": False}
    days = [utc("2024-01-05"), utc("2024-02-09")]
    table = pl.DataFrame([keys | {"known": day} for day in days], schema=schema("text_scores"))
    asked = store(("news", "feed", "2024-01-01", "2024-03-01"), ("gdelt", "gkg", "2024-04-01", "2024-05-01"))
    expected = [("ONE", days[0], utc("2024-03-01")), ("ONE", utc("2024-04-01"), utc("2024-05-01"))]
    assert spans(asked, "text_scores", {"text_scores": table}) == expected
    assert spans(asked, "text_scores", {"text_scores": table[:1]}) == expected
    assert spans(store(), "text_scores", {"text_scores": table}) == []


def test_option_chains_say_nothing_by_their_absence():
    keys = {"asset_class": "stock", "symbol": "ONE", "document": "chains:a:0", "backfilled": False}
    table = pl.DataFrame([keys | {"known": utc("2024-01-05")}], schema=schema("chain_summaries"))
    assert (
        spans(store(("news", "feed", "2024-01-01", "2024-03-01")), "chain_summaries", {"chain_summaries": table}) == []
    )


def test_nothing_stored_covers_nothing():
    assert coverage(HeldStore(), {}, ONE).height == 0
