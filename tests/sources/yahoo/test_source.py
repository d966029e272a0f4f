"""Yahoo through the real yfinance client, unpatched, given only a proxy and a certificate."""

import datetime as dt
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from src.fetching.provider import BarRequest, Stopped, Unavailable, Unfit
from src.sources.yahoo import source
from tests.loopback.wire import TEXT, Reply, json
from tests.process_case import HANG
from tests.sources.yahoo_case import AAA, CHART, COOKIE, CRUMB, DAY, GOOD_COOKIE, START, at, chart, hours


def test_a_name_costs_one_request_and_a_run_one_cookie_and_one_crumb(script, provider, gate):
    script.say(CHART, lambda request: json(chart(request.path.rsplit("/", 1)[1])))
    for symbol in ("AAA", "BBB", "BRK-B"):
        provider.fetch(BarRequest("stock", symbol, START))
    assert [(request.host, request.path) for request in script.asked] == [
        ("fc.yahoo.com", "/"),
        ("query1.finance.yahoo.com", "/v1/test/getcrumb"),
        *(("query2.finance.yahoo.com", f"{CHART}{symbol}") for symbol in ("AAA", "BBB", "BRK-B")),
    ]
    asked = script.asked[-1].query
    assert asked["period1"] == str(int(dt.datetime(2024, 1, 1, 5, tzinfo=dt.UTC).timestamp()))
    assert (asked["interval"], asked["events"], asked["crumb"]) == ("1d", "div,splits,capitalGains", "crumb.1")
    assert "A3=loop" in script.asked[-1].headers["cookie"]
    assert gate.entered == gate.answers == len(script.asked)


def test_a_cookie_of_another_name_is_sent_as_it_is(script, provider):
    script.say(COOKIE, replace(GOOD_COOKIE, headers={"Set-Cookie": "A1=other; Domain=.yahoo.com; Path=/; Secure"}))
    script.say(CHART, lambda request: json(chart(request.path.rsplit("/", 1)[1])))
    for symbol in ("AAA", "BBB"):
        assert provider.fetch(BarRequest("stock", symbol, START)).bars.height == 3
        assert "A1=other" in script.asked[-1].headers["cookie"]
    assert script.count(COOKIE) == script.count(CRUMB) == 1


def test_threads_share_cookie_and_crumb_and_get_their_own_answers(script, provider, gate):
    seen = threading.Barrier(6, timeout=HANG)

    def served(request):
        symbol = request.path.rsplit("/", 1)[1]
        return json(chart(symbol, closes=(float(symbol[1:]),) * 3))

    def fetched(number):
        seen.wait()
        return [provider.fetch(BarRequest("stock", f"T{number * 10 + each}", START)) for each in range(5)]

    script.say(CHART, served)
    with ThreadPoolExecutor(6) as pool:
        answers = [answer for part in pool.map(fetched, range(6)) for answer in part]
    assert len(answers) == 30
    for answer in answers:
        assert answer.bars["close"].to_list() == [float(answer.bars["symbol"][0][1:])] * 3
    assert script.count(CRUMB) == script.count(COOKIE) == 1
    assert gate.entered == 32


def test_the_end_of_the_run_comes_through_yfinance_as_it_is(script, provider, gate):
    gate.stop = Stopped("the run is ending")
    with pytest.raises(Stopped):
        provider.fetch(AAA)
    assert script.asked == []


def test_nothing_is_printed_or_logged_by_the_client(script, provider, capfd, caplog, recwarn):
    script.say(CHART, Reply(500, b"", TEXT))
    script.say(CRUMB, Reply(429, b"", TEXT))
    with caplog.at_level(logging.WARNING), pytest.raises(Unavailable):
        provider.fetch(AAA)
    assert capfd.readouterr() == ("", "")
    assert [record.name for record in caplog.records] == []
    assert [str(each.message) for each in recwarn] == []


@pytest.mark.parametrize(
    ("symbol", "name", "asked"),
    [
        ("BRK.B", "", "BRK-B"),
        ("ABR$D", "", "ABR-PD"),
        ("ABR$D", "ABR-PDX", "ABR-PDX"),
        ("BTC-USD", "", "BTC-USD"),
        ("aapl", "", "AAPL"),
        ("^VIX", "", "^VIX"),
    ],
)
def test_a_symbol_is_written_as_yahoo_writes_it(symbol, name, asked):
    assert source.yahoo_name(BarRequest("stock", symbol, START, name=name)) == asked


@pytest.mark.parametrize("symbol", ["", "A B", "../etc", "A?x=1", "A" * 21, "É", "US0378331005"])
def test_what_can_be_no_symbol_is_not_asked_for(script, provider, symbol):
    with pytest.raises(Unfit, match="can't be a symbol of Yahoo's"):
        provider.fetch(BarRequest("stock", symbol, START))
    assert script.asked == []


def test_hours_further_back_than_yahoo_serves_are_not_asked_for(script, provider):
    script.say(CHART, hours([at(2, 14, 30)]))
    answer = provider.fetch(BarRequest("stock", "AAA", dt.date(2014, 1, 1), "1h"))
    days = (dt.datetime.now(dt.UTC).timestamp() - int(script.asked[-1].query["period1"])) / DAY
    assert 728 < days < 730
    assert "hourly bars of the last 730 days" in answer.facts["start"]
    assert len(answer.bars) == 1


def test_other_intervals_are_refused(script, provider):
    with pytest.raises(Unfit, match="bars of 1d or 1h, not 5m"):
        provider.fetch(BarRequest("stock", "AAA", START, "5m"))
