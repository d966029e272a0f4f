"""Every way in which Yahoo fails: one request, one error, in its own words, whatever yfinance would make of it."""

import datetime as dt
import json as plain
from dataclasses import replace

import pytest

from src.config.schema import LiveSource
from src.fetching.provider import Malformed, Refusal, Unavailable, Unfit, Unknown, Unreachable, WebPage
from src.sources.yahoo import source
from tests.loopback.wire import HTML, TEXT, Reply, json
from tests.process_case import HANG
from tests.sources.yahoo_case import AAA, CHART, COOKIE, CRUMB, OPEN, chart, complaint, spoiled


def about(**meta):
    return json(chart(**meta))


def deleted(*path):
    def change(result):
        for part in path[:-1]:
            result = result[part]
        del result[path[-1]]

    return spoiled(change)


def replaced(value, *path):
    def change(result):
        for part in path[:-1]:
            result = result[part]
        result[path[-1]] = value

    return spoiled(change)


GOOD = plain.dumps(chart()).encode()
QUOTE = ("indicators", "quote", 0)
FAULTS = [
    ("a 500 in JSON", complaint(500, "Internal Server Error", "oops"), Unavailable, "answered status 500"),
    ("a 502 in HTML", Reply(502, b"<html>Bad Gateway</html>", HTML), Unavailable, "status 502 .<html>Bad Gateway"),
    ("a 503 without a time", Reply(503, b"", TEXT), Unavailable, "status 503 .an empty body"),
    ("a reset", Reply(reset=True), Unreachable, "query2.finance.yahoo.com can't be reached"),
    ("a body cut on the wire", Reply(200, GOOD, sent=300), Unavailable, "can't be reached"),
    ("a body cut before it was sent", Reply(200, GOOD[:300]), Unavailable, "JSON truncated after 300 bytes"),
    ("an empty body", Reply(200, b" \n"), Unavailable, "with an empty body"),
    ("a maintenance page", Reply(200, b"<html>Will be right back...", HTML), Unavailable, "Will be right back"),
    ("an error in passing", complaint(200, "Internal", "please try again"), Unavailable, "Yahoo says Internal"),
    ("HTML where JSON was due", Reply(200, b"<html>Hello</html>", HTML), WebPage, "without JSON: <html>Hello"),
    ("a page that is not there", Reply(404, b"<html>?</html>", HTML), WebPage, "status 404 without JSON"),
    ("a list", Reply(200, b"[1, 2]"), Malformed, "without JSON"),
    ("a null result", json({"chart": {"result": None, "error": None}}), Malformed, "without a result"),
    ("an empty result", json({"chart": {"result": [], "error": None}}), Malformed, "without a result"),
    ("a null chart", json({"chart": None}), Malformed, "without a result"),
    ("a wrong question", complaint(422, "Unprocessable Entity", "bad interval"), Malformed, "Yahoo says Unprocessable"),
    ("no meta", deleted("meta"), Malformed, "a chart without meta"),
    ("no timestamps", deleted("timestamp"), Malformed, "AAA: an answer without any bar"),
    ("an empty quote", replaced({}, *QUOTE), Malformed, "AAA: a chart without open, high, low, close, volume"),
    ("no closes", deleted(*QUOTE, "close"), Malformed, "AAA: a chart without close"),
    ("null closes", replaced(None, *QUOTE, "close"), Malformed, "close must be a list of numbers, got NoneType"),
    ("ragged lows", replaced([1.0], *QUOTE, "low"), Malformed, "AAA: 3 timestamps, but 1 values of low"),
    ("ragged times", replaced([OPEN], "timestamp"), Malformed, "AAA: 1 timestamps, but 3 values of open"),
    ("a null time", replaced([OPEN, None, OPEN], "timestamp"), Malformed, "timestamps must be seconds since 1970"),
    ("times as text", replaced(["a", "b", "c"], "timestamp"), Malformed, "timestamps must be seconds since 1970"),
    ("times of nanoseconds", replaced([OPEN * 10**9] * 3, "timestamp"), Malformed, "timestamps must be seconds"),
    ("prices as text", replaced([1.0, "n/a", 2.0], *QUOTE, "high"), Malformed, "high must be a number, got 'n/a'"),
    ("another grain", about(dataGranularity="1mo"), Malformed, "asked for bars of 1d, got 1mo"),
    ("no such zone", replaced("Mars/Olympus", "meta", "exchangeTimezoneName"), Malformed, "no time zone Mars/Olympus"),
    ("events in a list", replaced({"dividends": [1]}, "events"), Malformed, "dividends must be events by their time"),
    ("a delisted name", complaint(404, "Not Found", "No data found, symbol may be delisted"), Unknown,
     "^Yahoo says: No data found, symbol may be delisted$"),
    ("no data in the range", complaint(400, "Bad Request", "Data doesn't exist for startDate = 1, endDate = 2"),
     Unknown, "Data doesn't exist for startDate"),
    ("pounds", about(currency="GBp"), Unfit, "AAA is quoted in GBp, not in USD"),
    ("no currency", replaced(None, "meta", "currency"), Unfit, "AAA is quoted in no named currency, not in USD"),
    ("a renamed name", about(symbol="BBB"), Unfit, "asked for AAA, answered for BBB: it may have"),
    ("an index", about(instrumentType="INDEX"), Unfit, "AAA is INDEX with Yahoo, not stock"),
]  # fmt: skip


@pytest.mark.parametrize(("reply", "kind", "words"), [each[1:] for each in FAULTS], ids=[each[0] for each in FAULTS])
def test_a_bad_answer_costs_one_request_and_has_its_own_message(script, provider, gate, reply, kind, words):
    script.say(CHART, reply)
    with pytest.raises(kind, match=words) as caught:
        provider.fetch(AAA)
    assert type(caught.value) is kind
    assert script.count(CHART) == 1
    assert gate.refusals == []
    assert len(script.asked) == 3
    assert gate.answers == 3 - ("can't be reached" in str(caught.value))
    script.say(CHART, json(chart()))
    assert len(provider.fetch(AAA).bars) == 3


def test_the_error_says_that_a_request_timed_out(settings, script, gate):
    script.say(CHART, Reply(200, GOOD, stall=True))
    provider = source.connect("yahoo", replace(settings, timeout=0.4), gate)
    with pytest.raises(Unavailable, match=r"can't be reached.*timed out"):
        provider.fetch(AAA)
    provider.close()


REFUSALS = [
    (Reply(429, b"Too Many Requests\r\n", TEXT), None),
    (Reply(429, b"", TEXT, {"Retry-After": "17"}), 17.0),
    (Reply(429, b"", TEXT, {"Retry-After": "-5"}), 0.0),
    (Reply(429, b"", TEXT, {"Retry-After": "soon"}), None),
    (Reply(403, b"<html>Forbidden</html>", HTML), None),
    (Reply(999, b"denied", TEXT), None),
    (Reply(503, b"", TEXT, {"Retry-After": "9"}), 9.0),
    (Reply(200, b"Edge: Too Many Requests", TEXT), None),
    (complaint(429, "Too Many Requests", "Rate limited"), None),
]


@pytest.mark.parametrize(("reply", "seconds"), REFUSALS)
def test_the_gate_learns_of_a_refusal_that_costs_one_request(script, provider, gate, reply, seconds):
    script.say(CHART, reply)
    with pytest.raises(Refusal, match="query2.finance.yahoo.com refuses") as caught:
        provider.fetch(AAA)
    assert script.count(CHART) == 1
    assert caught.value.retry_after == seconds
    assert gate.refusals == [seconds]


def test_a_refusal_until_a_date_becomes_the_seconds_until_then(script, provider, gate):
    began = dt.datetime.now(dt.UTC)
    moment = (began + dt.timedelta(hours=1)).replace(microsecond=0)
    script.say(CHART, Reply(429, b"", TEXT, {"Retry-After": moment.strftime("%a, %d %b %Y %H:%M:%S GMT")}))
    with pytest.raises(Refusal) as caught:
        provider.fetch(AAA)
    assert gate.refusals == [caught.value.retry_after]
    ended = dt.datetime.now(dt.UTC)
    assert (moment - ended).total_seconds() <= caught.value.retry_after <= (moment - began).total_seconds()


@pytest.mark.parametrize(
    ("where", "reply"),
    [
        (CRUMB, Reply(429, b"Too Many Requests", TEXT)),
        (CRUMB, Reply(500, b'{"error": "internal"}', TEXT)),
        (CRUMB, Reply(200, b"<html>consent</html>", HTML)),
        (CRUMB, Reply(200, b"", TEXT)),
        (CRUMB, Reply(reset=True)),
        (COOKIE, Reply(reset=True)),
        (COOKIE, Reply(429, b"", TEXT)),
    ],
)
def test_a_chart_needs_no_crumb_and_an_unavailable_crumb_is_not_requested_again_at_once(
    script, provider, gate, where, reply
):
    script.say(CHART, json(chart()))
    script.say(where, reply)
    for _ in range(3):
        assert len(provider.fetch(AAA).bars) == 3
    assert script.count(CHART) == 3
    assert script.count(where) == 1
    assert all("crumb" not in each.query for each in script.asked if CHART in each.path)
    assert len(gate.refusals) == (reply.status == 429)


def test_an_expired_crumb_is_fetched_again(script, provider):
    script.say(CHART, complaint(401, "Unauthorized", "Invalid Crumb"), json(chart()))
    script.say(CRUMB, Reply(200, b"old", TEXT), Reply(200, b"new", TEXT))
    with pytest.raises(Unavailable, match="no longer accepts the crumb"):
        provider.fetch(AAA)
    provider.fetch(AAA)
    assert [each.query["crumb"] for each in script.asked if CHART in each.path] == ["old", "new"]


def test_a_consent_page_is_passed_as_yfinance_passes_it(script, provider):
    form = b'<form action="/v2/collectConsent"><input name="csrfToken" value="t"></form>'
    there = {"Location": "https://consent.yahoo.com/v2/collectConsent?sessionId=1"}
    back = {"Location": f"https://query2.finance.yahoo.com{CHART}AAA?period1=1&period2=2&interval=1d"}
    script.say(CHART, Reply(302, b"", HTML, there), json(chart()))
    script.say("consent.yahoo.com", Reply(200, form, HTML), Reply(302, b"", HTML, back))
    assert len(provider.fetch(AAA).bars) == 3
    assert [each.method for each in script.asked if "consent" in each.host] == ["GET", "POST"]


@pytest.mark.parametrize("end", [Reply(200, b"<html>again</html>", HTML), Reply(reset=True)])
def test_a_consent_page_that_leads_nowhere_raises_an_error(script, provider, end):
    there = {"Location": "https://consent.yahoo.com/v2/collectConsent?sessionId=1"}
    script.say(CHART, Reply(302, b"", HTML, there))
    script.say("consent.yahoo.com", Reply(200, b"<form action='/v2/collectConsent'></form>", HTML), end)
    with pytest.raises((Malformed, Unavailable), match="AAA: "):
        provider.fetch(AAA)


def test_without_the_certificate_nothing_is_believed(settings, script, gate):
    import certifi

    script.say(CHART, json(chart()))
    provider = source.connect("yahoo", replace(settings, ca_file=certifi.where()), gate)
    with pytest.raises(Unavailable, match="certificate"):
        provider.fetch(AAA)
    provider.close()
    assert script.asked == []


def test_a_password_of_the_proxy_is_not_in_the_words(script, gate):

    provider = source.connect("yahoo", LiveSource(proxy="http://ann:secret@127.0.0.1:9", timeout=HANG), gate)
    with pytest.raises(Unavailable) as caught:
        provider.fetch(AAA)
    provider.close()
    assert "secret" not in str(caught.value)
