"""Yahoo's chart as bars and events: nothing lost, nothing added, through the real yfinance client."""

import datetime as dt
import json as plain

import pytest

from src.fetching.provider import EVENTS, BarRequest, raw_schema
from tests.loopback.wire import Reply, json
from tests.sources.yahoo_case import AAA, CHART, DAY, OPEN, START, at, chart, hours, spoiled

COLUMNS = ["open", "high", "low", "close", "adj_close", "volume"]


def test_what_is_stored_is_what_was_served(script, provider, gate):
    body = chart(closes=(10.1, 11.300000190734863, None, 0.07))
    result = body["chart"]["result"][0]
    result["indicators"]["quote"][0]["open"][1] = 3
    result["events"] = {
        "dividends": {str(OPEN + DAY): {"amount": 0.25, "date": OPEN + DAY}},
        "splits": {str(OPEN): {"date": OPEN, "numerator": 3.0, "denominator": 2.0, "splitRatio": "3:2"}},
        "capitalGains": {str(OPEN + DAY): {"amount": 1, "date": OPEN + DAY}},
    }
    script.say(CHART, json(body))
    answer = provider.fetch(AAA)
    assert answer.bars.schema == raw_schema("1d")
    assert answer.bars["date"].to_list() == [dt.date(2024, 1, day) for day in (2, 3, 4, 5)]
    quote = result["indicators"]["quote"][0] | result["indicators"]["adjclose"][0]
    for name in COLUMNS:
        assert answer.bars[name].to_list() == quote[name.replace("_", "")]
    assert answer.bars.select("asset_class", "symbol", "source").unique().rows() == [("stock", "AAA", "yahoo")]
    assert answer.events.schema == EVENTS
    assert answer.events.select("date", "kind", "value").rows() == [
        (dt.date(2024, 1, 2), "split", 1.5),
        (dt.date(2024, 1, 3), "capital_gain", 1.0),
        (dt.date(2024, 1, 3), "dividend", 0.25),
    ]
    assert answer.facts["currency"] == "USD"
    assert answer.facts["type"] == "EQUITY"
    assert answer.facts["name"] == "AAA Inc."
    assert gate.refusals == []


def test_a_dividend_in_another_currency_is_left_out_and_said(script, provider):
    body = chart(closes=(10.0, 11.0, 12.0))
    paid = [{"amount": 40.0, "date": OPEN, "currency": "JPY"}, {"amount": 0.5, "date": OPEN + DAY, "currency": "USD"}]
    body["chart"]["result"][0]["events"] = {"dividends": {str(each["date"]): each for each in paid}}
    script.say(CHART, json(body))
    answer = provider.fetch(AAA)
    assert answer.events.select("date", "value").rows() == [(dt.date(2024, 1, 3), 0.5)]
    assert answer.facts["dividends"] == "those in JPY left out: the prices are in USD"


def test_yfinance_s_own_table_of_a_clean_chart_has_the_same_bars_and_events(script, settings, provider):
    import yfinance
    from curl_cffi.requests import Session

    body = chart(closes=tuple(20 + number * 0.37 for number in range(40)))
    at = OPEN + DAY * 7
    body["chart"]["result"][0]["events"] = {
        "dividends": {str(at): {"amount": 0.4, "date": at}},
        "splits": {str(at + DAY): {"date": at + DAY, "numerator": 2.0, "denominator": 1.0}},
    }
    script.say(CHART, json(body))
    ours = provider.fetch(AAA)
    through = {"https": settings.proxy}
    plain_session = Session(impersonate="chrome", verify=settings.ca_file, proxies=through)
    ticker = yfinance.Ticker("AAA", session=plain_session)
    table = ticker.history(start="2024-01-01", auto_adjust=False)
    assert [each.date() for each in table.index] == ours.bars["date"].to_list()
    names = ["Open", "High", "Low", "Close", "Adj Close", "Volume"]
    for name, theirs in zip(COLUMNS, names, strict=True):
        assert table[theirs].to_list() == ours.bars[name].to_list()
    theirs = table[(table["Dividends"] != 0) | (table["Stock Splits"] != 0)]
    assert [each.date() for each in theirs.index] == ours.events["date"].to_list()
    assert [theirs["Dividends"].iloc[0], theirs["Stock Splits"].iloc[1]] == ours.events["value"].to_list()


def test_absurd_rows_are_kept_as_they_came(script, provider):
    body = chart(closes=(10.0, -3.0, 0.0, float("nan"), float("inf"), None, 10.0))
    result = body["chart"]["result"][0]
    times = [OPEN, OPEN, OPEN + 3 * DAY, OPEN + DAY, OPEN + 2 * DAY, OPEN + 6 * DAY, OPEN + 7 * DAY]
    result["timestamp"] = times
    script.say(CHART, Reply(200, plain.dumps(body).encode()))
    bars = provider.fetch(AAA).bars
    assert [day.day for day in bars["date"]] == [2, 2, 5, 3, 4, 8, 9]
    assert str(bars["close"].to_list()) == str([10.0, -3.0, 0.0, float("nan"), float("inf"), None, 10.0])


def test_infinity_written_as_text_is_a_number(script, provider):
    def change(result):
        result["indicators"]["adjclose"][0]["adjclose"][1] = "Infinity"

    script.say(CHART, spoiled(change))
    assert provider.fetch(AAA).bars["adj_close"].to_list() == [10.5, float("inf"), 12.0]


def test_the_live_quote_beside_the_session_s_own_bar_takes_its_place(script, provider):
    def change(result):
        result["timestamp"][2] = result["timestamp"][1] + 23401
        result["meta"]["regularMarketTime"] = result["timestamp"][2]

    script.say(CHART, spoiled(change))
    answer = provider.fetch(AAA)
    assert answer.bars.select("date", "close").rows() == [(dt.date(2024, 1, 2), 10.5), (dt.date(2024, 1, 3), 12.0)]
    assert "the quote counts" in answer.facts["live"]


def test_a_day_that_comes_twice_without_being_live_stays_twice(script, provider):
    def change(result):
        result["timestamp"][2] = result["timestamp"][1] + 60

    script.say(CHART, spoiled(change))
    answer = provider.fetch(AAA)
    assert answer.bars["close"].to_list() == [10.5, 11.25, 12.0]
    assert "live" not in answer.facts


@pytest.mark.parametrize(
    ("zone", "first", "day"),
    [
        ("America/New_York", dt.datetime(2024, 1, 3, 1, tzinfo=dt.UTC), 2),
        ("Australia/Sydney", dt.datetime(2024, 1, 1, 23, tzinfo=dt.UTC), 2),
        ("America/Sao_Paulo", dt.datetime(2024, 1, 2, 1, tzinfo=dt.UTC), 2),  # 22:00 there: a slip, midnight is meant
        ("Europe/London", dt.datetime(2024, 1, 1, 23, tzinfo=dt.UTC), 2),
        ("Europe/London", dt.datetime(2024, 1, 2, 23, 30, tzinfo=dt.UTC), 2),
    ],
)
def test_a_bar_is_dated_where_it_traded(script, provider, zone, first, day):
    def change(result):
        result["timestamp"] = [int(first.timestamp()) + number * DAY for number in range(3)]
        result["meta"]["exchangeTimezoneName"] = zone

    script.say(CHART, spoiled(change))
    assert [each.day for each in provider.fetch(AAA).bars["date"]] == [day, day + 1, day + 2]


def test_coins_are_dated_in_utc(script, provider):
    def change(result):
        midnight = OPEN - OPEN % DAY
        result["timestamp"] = [midnight, midnight + DAY, midnight + 2 * DAY + 3000]

    meta = {"symbol": "BTC-USD", "instrumentType": "CRYPTOCURRENCY", "exchangeTimezoneName": "UTC"}
    script.say(CHART, spoiled(change, **meta))
    bars = provider.fetch(BarRequest("crypto", "BTC-USD", START)).bars
    assert [day.day for day in bars["date"]] == [2, 3, 4]
    assert script.asked[-1].query["period1"] == str(int(dt.datetime(2024, 1, 1, tzinfo=dt.UTC).timestamp()))


def test_hourly_bars_are_utc_and_keep_to_the_exchange_s_hours(script, provider):
    sessions = [(at(2, 14, 30), at(2, 21)), (at(3, 14, 30), at(3, 18))]  # the second day ends early
    moments = [at(2, 14, 30), at(2, 20, 30), at(3, 14, 30), at(3, 17, 30), at(3, 18, 30), at(3, 19, 30)]
    script.say(CHART, hours(moments, at(3, 18), sessions))
    answer = provider.fetch(BarRequest("stock", "AAA", dt.date(2026, 11, 1), "1h"))
    assert answer.bars.schema == raw_schema("1h")
    assert answer.bars["date"].to_list() == moments[:4]
    assert answer.bars["adj_close"].to_list() == [None] * 4
    assert answer.facts["outside"] == "2 rows outside regular hours left out"


def test_the_live_quote_after_the_last_hourly_bar_is_left_out(script, provider):
    moments = [at(2, 14, 30), at(2, 15, 30), at(2, 15, 47)]
    script.say(CHART, hours(moments))
    answer = provider.fetch(BarRequest("stock", "AAA", dt.date(2026, 11, 1), "1h"))
    assert answer.bars["date"].to_list() == moments[:2]
    assert "live" in answer.facts
