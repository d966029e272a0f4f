"""The real ccxt clients against exchanges on loopback: pages without holes, and a separate error for every fault."""

import datetime as dt
import threading

import polars as pl
import pytest

from src.config.schema import LiveSource
from src.core.errors import ConfigError
from src.fetching.provider import BarRequest, Malformed, Refusal, Stopped, Unavailable, Unfit, Unknown, raw_schema
from src.sources.ccxt import client, source
from tests.process_case import HANG
from tests.sources.exchange_case import DAY, KINDS, NOW, World, series, served

FIRST = dt.date(2021, 5, 3)
DAILY = series(FIRST)
HOURLY = series(dt.date(2024, 12, 30), 3600)
BTC = BarRequest("crypto", "BTC-USD", dt.date(2020, 1, 1))


class Gate:
    """Lets everything through, and counts."""

    def __init__(self) -> None:
        self.entered, self.good, self.refusals = 0, 0, []
        self.stopped = False

    def enter(self) -> None:
        if self.stopped:
            raise Stopped
        self.entered += 1

    def answered(self) -> None:
        self.good += 1

    def refused(self, retry_after) -> None:
        self.refusals.append(retry_after)


@pytest.fixture
def exchange(monkeypatch):
    """Connect to a served world: (world, gate, provider)."""
    opened = []

    def connect(kind, bars=None):
        world = World(kind, bars or {DAY: DAILY, 3600: HOURLY})
        place = served(world)
        address = place.__enter__()
        opened.append(place)
        real = client.client

        def local(*arguments):
            made = real(*arguments)
            made.urls["api"] = dict.fromkeys(made.urls["api"], address)
            return made

        monkeypatch.setattr(source, "client", local)
        monkeypatch.setattr(source, "_now", lambda: NOW)
        gate = Gate()
        return world, gate, source.connect(kind, LiveSource(timeout=HANG), gate)

    yield connect
    for place in opened:
        place.__exit__(None, None, None)


def rows(frame):
    stamp = pl.col("date").cast(pl.Datetime("us")).dt.epoch("s")
    return frame.select(stamp, "open", "high", "low", "close", "volume").rows()


@pytest.mark.parametrize("kind", KINDS)
def test_daily_bars_are_all_there_once_without_the_running_one(exchange, kind):
    _, gate, provider = exchange(kind)
    answer = provider.fetch(BTC)
    final = [tuple(map(float, row)) for row in DAILY[:-1]]
    expected = final[-719:] if kind == "kraken" else final
    assert rows(answer.bars) == expected
    assert answer.bars.schema == pl.Schema(raw_schema("1d")) and answer.events.height == 0
    assert answer.bars["source"].unique().to_list() == [kind] and answer.bars["adj_close"].null_count() > 700
    assert answer.facts["currency"] == "USD"
    assert gate.entered == gate.good and not gate.refusals


@pytest.mark.parametrize("kind", KINDS)
def test_hourly_bars_are_all_there_with_times_in_utc(exchange, kind):
    world, _, provider = exchange(kind, {DAY: series(dt.date(2024, 12, 30)), 3600: HOURLY})
    answer = provider.fetch(BarRequest("crypto", "BTC-USD", dt.date(2020, 1, 1), "1h"))
    final = [tuple(map(float, row)) for row in HOURLY[:-1]]
    assert rows(answer.bars) == (final[-719:] if kind == "kraken" else final)
    assert answer.bars.schema["date"] == pl.Datetime("us", "UTC")
    assert len(world.asked) < 20, "empty hourly pages of years before the listing were asked one by one"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("holes", [{299, 300, 301}, set(range(200, 900)), {0, 5, 998, 999, 1000, 1001}])
def test_holes_wherever_they_fall_on_a_page_lose_no_other_bar(exchange, kind, holes):
    bars = [row for k, row in enumerate(DAILY) if k not in holes]
    _, _, provider = exchange(kind, {DAY: bars})
    final = [tuple(map(float, row)) for row in bars[:-1]]
    assert rows(provider.fetch(BTC).bars) == (final[-719:] if kind == "kraken" else final)


@pytest.mark.parametrize("kind", ["coinbaseexchange", "binanceus"])
@pytest.mark.parametrize("place", ["first", "middle", "last"])
def test_a_page_that_is_empty_for_once_leaves_no_hole(exchange, kind, place):
    """Planted: without a second look, the bars of that page are missing without a word."""
    world, _, provider = exchange(kind, {DAY: series(dt.date(2020, 1, 1))})
    provider.markets()
    answer = provider.fetch(BTC)
    pages = len(world.asked) - 1
    assert pages > 1
    world.instead[len(world.asked) + {"first": 1, "middle": (pages + 1) // 2, "last": pages}[place]] = (200, {}, "[]")
    assert provider.fetch(BTC).bars.equals(answer.bars)


@pytest.mark.parametrize("kind", ["coinbaseexchange", "binanceus"])
def test_a_page_cut_by_a_lower_limit_of_the_exchange_leaves_no_hole(exchange, monkeypatch, kind):
    method = getattr(World, f"_{kind}")

    def cut(self, path, query):
        rows = method(self, path, query)
        candles = isinstance(rows, list) and rows and isinstance(rows[0], list)
        return (rows[-90:] if kind == "coinbaseexchange" else rows[:90]) if candles else rows

    monkeypatch.setattr(World, f"_{kind}", cut)
    _, _, provider = exchange(kind)
    assert rows(provider.fetch(BTC).bars) == [tuple(map(float, row)) for row in DAILY[:-1]]


def test_pages_that_repeat_overlap_or_run_backwards_give_each_bar_once(exchange, monkeypatch):
    method = World._binanceus

    def odd(self, path, query):
        found = method(self, path, query)
        return [*found[::-1], *found[-5:]] if isinstance(found, list) else found

    monkeypatch.setattr(World, "_binanceus", odd)
    _, _, provider = exchange("binanceus")
    assert rows(provider.fetch(BTC).bars) == [tuple(map(float, row)) for row in DAILY[:-1]]


@pytest.mark.parametrize("kind", KINDS)
def test_an_exchange_of_its_latest_bars_alone_says_so_and_no_other_does(exchange, kind):
    _, _, provider = exchange(kind)
    assert provider.fetch(BTC).facts.get("serves") == ("its latest 720 bars only" if kind == "kraken" else None)
    recent = BarRequest("crypto", "BTC-USD", dt.date(2025, 3, 1))
    assert "serves" not in provider.fetch(recent).facts


def test_a_young_coin_is_no_limit_of_the_exchange(exchange):
    _, _, provider = exchange("kraken", {DAY: series(dt.date(2024, 12, 1))})
    assert "serves" not in provider.fetch(BTC).facts


@pytest.mark.parametrize("kind", KINDS)
def test_a_refresh_asks_for_the_recent_bars_alone(exchange, kind):
    world, _, provider = exchange(kind)
    provider.fetch(BTC)
    before = len(world.asked)
    answer = provider.fetch(BarRequest("crypto", "BTC-USD", dt.date(2025, 3, 1)))
    assert rows(answer.bars) == [tuple(map(float, row)) for row in DAILY[-10:-1]]
    assert len(world.asked) == before + 1


def test_rows_that_stand_twice_are_kept_once_but_not_where_they_differ(exchange):
    twice = [*DAILY[:-1], DAILY[-2], (*DAILY[-2][:4], 1.0, 5.0), DAILY[-1]]
    _, _, provider = exchange("kraken", {DAY: twice})
    answer = provider.fetch(BTC)
    assert rows(answer.bars)[-2:] == [tuple(map(float, row)) for row in [DAILY[-2], (*DAILY[-2][:4], 1.0, 5.0)]]


def test_a_bar_counts_as_final_ten_minutes_after_its_end(exchange, monkeypatch):
    _, _, provider = exchange("coinbaseexchange")
    for minute, last in ((9, 8), (10, 9)):
        monkeypatch.setattr(source, "_now", lambda m=minute: dt.datetime(2025, 3, 10, 0, m, tzinfo=dt.UTC))
        assert provider.fetch(BTC).bars["date"][-1] == dt.date(2025, 3, last)


REFUSED = [(429, {"Retry-After": "7"}, "", 7.0), (429, {}, "slow down", None), (418, {}, "{}", None)]
REFUSED += [(403, {}, "<html>blocked", None)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("status", "headers", "body", "after"), REFUSED)
def test_the_gate_learns_of_a_refusal_and_of_its_wait(exchange, kind, status, headers, body, after):
    world, gate, provider = exchange(kind)
    world.instead = {2: (status, headers, body)}
    with pytest.raises(Refusal, match=str(status)) as refused:
        provider.fetch(BTC)
    assert refused.value.retry_after == after and gate.refusals == [after]
    assert provider.fetch(BTC).bars.height > 700


def test_krakens_refusal_inside_a_good_status_counts(exchange):
    world, gate, provider = exchange("kraken")
    world.instead = {2: (200, {}, '{"error":["EGeneral:Too many requests"]}')}
    with pytest.raises(Refusal, match="Too many requests"):
        provider.fetch(BTC)
    assert gate.refusals == [None]


FAULTS = [
    ("server error", (500, {}, '{"message":"oops"}'), Unavailable),
    ("server error in HTML", (502, {"Content-Type": "text/html"}, "<html>bad gateway</html>"), Unavailable),
    ("JSON cut short", (200, {}, "[[1614556800, 1.0, 2.0, 1"), Unavailable),
    ("object cut short", (200, {}, '{"error":[],"result":{"XXB'), Unavailable),
    ("body shorter than said", (200, {"Content-Length": "5000"}, "[[1614556800,"), Unavailable),
    ("empty body", (200, {}, ""), Unavailable),
    ("HTML in good status", (200, {"Content-Type": "text/html"}, "<html>hello</html>"), Malformed),
    ("null", (200, {}, "null"), Malformed),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("name", "answer", "error"), FAULTS, ids=[fault[0] for fault in FAULTS])
def test_no_fault_passes_for_a_good_answer(exchange, kind, name, answer, error):
    world, gate, provider = exchange(kind)
    for broken in (1, 2):
        world.asked.clear()
        world.instead = {broken: answer}
        with pytest.raises(error):
            provider.fetch(BTC)
    assert not gate.refusals
    assert provider.fetch(BTC).bars.height > 700


RAGGED = {
    "coinbaseexchange": [
        "[[1614556800, 1.0], [1614643200, 1.0, 2.0, 1.0, 1.0, 5]]",
        "[[null,1,2,1,1,5]]",
        '{"a":1}',
        "{}",
        "[]",
    ],
    "kraken": [
        '{"error":[],"result":null}',
        '{"error":[],"result":{"XXBTZUSD":[[1614556800,"1"]],"last":1}}',
        '{"error":[],"result":{"XXBTZUSD":null,"last":1}}',
        '{"error":[],"result":{}}',
    ],
    "binanceus": ["[[1614556800000]]", '[["x","1","1","1","1","1"]]', '{"code":0}', "[]"],
}


@pytest.mark.parametrize(("kind", "body"), [(kind, body) for kind, bodies in RAGGED.items() for body in bodies])
def test_ragged_and_null_answers_are_malformed(exchange, kind, body):
    world, _, provider = exchange(kind)
    world.instead = dict.fromkeys(range(2, 99), (200, {}, body))
    with pytest.raises(Malformed):
        provider.fetch(BTC)


def test_served_values_pass_untouched_however_odd(exchange):
    odd = [*DAILY[:-3], (DAILY[-3][0], -1.0, 0.0, 1e308, 5.0, 0.0), *DAILY[-2:]]
    _, _, provider = exchange("binanceus", {DAY: odd})
    assert rows(provider.fetch(BTC).bars)[-2] == (DAILY[-3][0], -1.0, 0.0, 1e308, 5.0, 0.0)


def test_what_the_exchange_does_not_list_is_unknown(exchange):
    world, _, provider = exchange("coinbaseexchange")
    with pytest.raises(Unknown, match="coinbaseexchange lists no market NIX/USD"):
        provider.fetch(BarRequest("crypto", "NIX-USD", FIRST))
    with pytest.raises(Unknown, match="lists coins, no stock"):
        provider.fetch(BarRequest("stock", "AAPL", FIRST))
    world.instead = {2: (404, {}, '{"message":"NotFound"}')}
    with pytest.raises(Unknown, match="NotFound"):
        provider.fetch(BTC)


def test_another_currency_and_an_unknown_interval_are_unfit(exchange):
    _, _, provider = exchange("coinbaseexchange")
    with pytest.raises(Unfit, match="quoted in EUR"):
        provider.fetch(BarRequest("crypto", "BTC-USD", FIRST, "1d", "BTC/EUR"))
    with pytest.raises(Unfit, match=r"serves no 3h bars; it has 1m"):
        provider.fetch(BarRequest("crypto", "BTC-USD", FIRST, "3h"))


def test_a_day_that_does_not_begin_at_midnight_utc_is_unfit(exchange):
    shifted = [(row[0] + 8 * 3600, *row[1:]) for row in DAILY]
    _, _, provider = exchange("binanceus", {DAY: shifted})
    with pytest.raises(Unfit, match="begin at 08:00 UTC"):
        provider.fetch(BTC)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("krakn", "; did you mean kraken"),
        ("yahooo", "; did you mean yahoo?"),
        ("Yahoo", "; did you mean yahoo?"),
        ("stoq", "; did you mean stooq?"),
        ("zzzz", ": a link is folder, stooq, yahoo or an exchange as ccxt names it"),
    ],
)
def test_a_link_that_there_is_not_is_refused_with_close_names(name, meant):
    with pytest.raises(ConfigError) as caught:
        source.connect(name, LiveSource(), Gate())
    assert str(caught.value).startswith(f"source.live.chain: ccxt has no exchange {name}{meant}")


def test_no_answer_at_all_is_unavailable(exchange):
    _, gate, provider = exchange("kraken")
    provider._loaded().urls["api"] = {"public": "http://127.0.0.1:9"}
    with pytest.raises(Unavailable, match="refused"):
        provider.fetch(BTC)
    assert gate.entered == gate.good + 1, "a request without an answer is none that was answered"


def test_stopped_comes_through(exchange):
    _, gate, provider = exchange("kraken")
    gate.stopped = True
    with pytest.raises(Stopped):
        provider.fetch(BTC)


def test_several_threads_load_the_markets_once(exchange):
    world, _, provider = exchange("coinbaseexchange")
    found, threads = [], []
    for _ in range(4):
        threads.append(threading.Thread(target=lambda: found.append(provider.fetch(BTC).bars)))
        threads[-1].start()
    for thread in threads:
        thread.join()
    assert len(found) == 4 and all(frame.equals(found[0]) for frame in found)
    assert sum(path.startswith("/products?") or path == "/products" for path in world.asked) == 1
    provider.close()


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (
            "coinbaseexchange",
            {("BTC", "EUR", True), ("BTC", "USD", True), ("OLD", "USD", False), ("USDT", "USD", True)},
        ),
        ("kraken", {("BTC", "USD", True), ("EUR", "USD", True), ("AAPLX", "USD", True), ("BTC", "EUR", True)}),
        ("binanceus", {("BTC", "USD", True), ("SOL", "USDT", True), ("XYZ", "USD", False)}),
    ],
)
def test_markets_are_listed_with_base_quote_and_whether_they_trade(exchange, kind, expected):
    _, _, provider = exchange(kind)
    assert set(provider.markets().select("base", "quote", "active").rows()) == expected


def test_proxy_and_certificates_reach_the_client(tmp_path, monkeypatch):
    for name in ("HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    bundle = tmp_path / "ca.pem"
    bundle.write_text("x", encoding="utf-8")
    settings = LiveSource(proxy="http://127.0.0.1:3128", ca_file=str(bundle))
    made = client.client("kraken", settings, Gate())
    assert made.check_proxy_settings("https://api.kraken.com/0") == [None, "http://127.0.0.1:3128", None]
    assert (made.verify and made.validateServerSsl) == str(bundle.resolve())
    monkeypatch.setenv("NO_PROXY", "api.kraken.com")
    assert made.check_proxy_settings("https://api.kraken.com/0")[1] is None
