"""What a provider did not serve is said with counts: the beginning, sessions in the middle, the end."""

from __future__ import annotations

import datetime as dt
import json

import numpy as np
import polars as pl
import pytest

from src.fetching.provider import Answer
from src.hydrate import hydrate
from src.hydration.live import coverage
from src.market import calendar
from tests.hydration.live.collect_case import NAMES, Market, Provider, bars, listed, live, states

CHECKED = dt.datetime(2024, 3, 28, 22, 0, tzinfo=dt.UTC)
DAYS = [day.item() for day in calendar.sessions("stock", "2024-01-02", "2024-03-28")]


def daily(days: list[dt.date], symbol: str = "AAA", kind: str = "stock") -> pl.DataFrame:
    return pl.DataFrame({"asset_class": kind, "symbol": symbol, "date": days}, schema_overrides={"date": pl.Date})


def entry(first: dt.date = DAYS[0], last: dt.date = DAYS[-1], kind: str = "stock", **facts: str) -> pl.DataFrame:
    row = {
        "asset_class": kind, "symbol": "AAA", "provider": "kraken", "state": "fetched", "rows": 100, "first": first,
        "last": last, "checked": CHECKED, "facts": json.dumps({"asked_from": "2014-01-01", **facts}),
    }  # fmt: skip
    return pl.DataFrame([row])


def texts(entries: pl.DataFrame, rows: pl.DataFrame, interval: str = "1d") -> list[str]:
    return [each.text for found in coverage.remarks(entries, rows, interval).values() for each in found]


@pytest.mark.parametrize(
    ("lost", "words"),
    [
        ([], []),
        ([10], ["1 session without a bar between 2024-01-16 and 2024-01-18"]),
        ([10, 11, 12], ["3 sessions without a bar between 2024-01-16 and 2024-01-22"]),
        ([10, 30, 31], ["3 sessions without a bar in 2 places, the longest of 2 between 2024-02-13 and 2024-02-16"]),
    ],
)
def test_sessions_that_are_missing_inside_are_counted_by_the_exchanges_calendar(lost, words):
    kept = [day for k, day in enumerate(DAYS) if k not in lost]
    found = coverage.holes(daily(kept + kept[:5]))
    assert [each.text for each in found.values()] == words
    naive = len(np.setdiff1d(np.array(DAYS), np.array(kept)))
    assert sum(each.n for each in found.values()) == naive == len(lost)


def test_holidays_and_weekends_are_no_holes_for_a_stock_but_days_are_for_a_coin():
    assert coverage.holes(daily(DAYS)) == {}
    (found,) = coverage.holes(daily([dt.date(2024, 1, 1), dt.date(2024, 1, 4)], kind="crypto")).values()
    assert (found.n, found.text) == (2, "2 sessions without a bar between 2024-01-01 and 2024-01-04")


def test_each_instrument_has_its_own_holes():
    both = pl.concat([daily(DAYS[:20]), daily(DAYS[:5] + DAYS[6:9], "BBB")])
    assert {key: each.n for key, each in coverage.holes(both).items()} == {("stock", "BBB"): 1}


def test_a_limit_of_the_provider_is_told_from_a_late_listing():
    cut = texts(entry(kind="crypto", serves="its latest 720 bars only"), daily(DAYS, kind="crypto"), "1h")
    assert cut == [
        "bars from 2024-01-02 on: kraken serves its latest 720 bars only; a longer history needs another provider, or"
        " an archive as the first of source.live.chain.crypto"
    ]
    assert texts(entry(kind="crypto"), daily(DAYS), "1h") == [
        "bars from 2024-01-02 on, where its history at kraken begins"
    ]


def test_a_young_stock_is_not_said_to_be_cut_and_one_whose_first_trade_is_earlier_is():
    assert texts(entry(first_trade="2024-01-02"), daily(DAYS)) == []
    assert texts(entry(), daily(DAYS)) == []
    (words,) = texts(entry(first_trade="1999-05-03"), daily(DAYS))
    assert words.startswith("bars from 2024-01-02 on: kraken says that it has traded since 1999-05-03, and serves no")


def test_a_history_that_ends_sessions_before_it_was_asked_for_is_said_in_the_same_words_each_day():
    assert texts(entry(last=DAYS[-3]), daily(DAYS[:-2])) == []  # a provider may be late
    said = texts(entry(last=DAYS[-5]), daily(DAYS[:-4]))
    assert said == [f"bars end {DAYS[-5]}: kraken answers, and serves none of the sessions since"]
    later = entry(last=DAYS[-5]).with_columns(checked=pl.lit(CHECKED + dt.timedelta(days=30)))
    assert texts(later, daily(DAYS[:-4])) == said


def test_the_closing_line_counts_beginnings_alone():
    assert coverage.closing(["missing_sessions", "wick"]) == ""
    assert coverage.closing([coverage.BEGINNING] * 12) == (
        "; 12 without their beginning, which the provider does not serve"
    )


def test_a_hydration_says_what_is_missing_and_a_refresh_still_knows(tmp_path, market: Market, monkeypatch):
    listed(market)
    whole = market.bars["coinbaseexchange", "BTC-USD"]
    market.bars["coinbaseexchange", "BTC-USD"] = whole.filter(~pl.col("date").is_in(whole["date"][50:53].implode()))
    fetch = Provider.fetch

    def limited(self: Provider, wanted):
        answer = fetch(self, wanted)
        facts = (
            {"serves": "its latest 700 bars only"} if wanted.symbol == "BTC-USD" and wanted.start.year < 2011 else {}
        )
        return Answer(answer.bars, answer.events, answer.facts | facts)

    monkeypatch.setattr(Provider, "fetch", limited)
    line = hydrate(live(tmp_path, *NAMES))
    assert line.endswith("; 1 without their beginning, which the provider does not serve")
    before = states(tmp_path)["BTC-USD"]
    assert before[0] == "done"
    assert f"bars from {whole['date'][0]} on: coinbaseexchange serves its latest 700 bars only" in before[1]
    assert f"3 sessions without a bar between {whole['date'][49]} and {whole['date'][53]}" in before[1]
    hydrate(live(tmp_path, *NAMES, retry="all"))
    assert states(tmp_path)["BTC-USD"] == before
    assert bars(tmp_path, "BTC-USD").height == 697


def test_a_bar_dated_in_the_future_is_left_out_and_said(tmp_path, market: Market):
    listed(market)
    rows = market.bars["yahoo", "AAA"]
    market.bars["yahoo", "AAA"] = pl.concat([rows, rows.tail(1).with_columns(date=pl.date(2099, 1, 1))])
    hydrate(live(tmp_path, *NAMES))
    assert states(tmp_path)["AAA"] == ("done", "1 bar dated in the future left out, the last 2099-01-01")
    assert bars(tmp_path, "AAA").height == rows.height
