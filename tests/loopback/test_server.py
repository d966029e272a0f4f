"""The real, unpatched clients read the world's values from the loopback servers, and see its faults on the wire."""

import datetime as dt
import warnings

import numpy as np
import pytest

from tests.loopback.exchanges import candles
from tests.loopback.faults import Faults, plans
from tests.loopback.oracle import expected
from tests.loopback.politeness import Watch
from tests.loopback.process import running
from tests.loopback.world import World
from tests.process_case import HANG

START = dt.date(2015, 1, 1)
SOON = 0.5  # seconds after which a client gives up an answer that never comes
CHART = "https://query2.finance.yahoo.com/v8/finance/chart/{}?period1=1420070400&period2=1999999999&interval=1d"


@pytest.fixture(scope="module")
def loopback():
    with running("--symbols", "120", "--faults", "0.4") as world:
        yield world


@pytest.fixture(scope="module")
def world(loopback):
    return World(7, 120, dt.datetime.fromisoformat(loopback.now))


@pytest.fixture(scope="module")
def session(loopback, tmp_path_factory):
    import yfinance
    from curl_cffi import requests

    yfinance.set_tz_cache_location(str(tmp_path_factory.mktemp("zones")))
    yfinance.config.network.proxy, yfinance.config.debug.hide_exceptions = loopback.proxy, False
    yield requests.Session(impersonate="chrome", verify=loopback.ca_file, proxy=loopback.proxy)
    yfinance.config.network.proxy = None


def sound(world: World, asset_class: str) -> str:
    spoilt = plans(world, 0.4)
    return next(e.yahoo for e in world.instruments.values() if e.asset_class == asset_class and e.yahoo not in spoilt)


@pytest.mark.parametrize("asset_class", ["stock", "etf", "crypto"])
def test_yfinance_reads_every_value_as_served(world, session, asset_class):
    import yfinance

    name = sound(world, asset_class)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pandas, about yfinance's own code
        read = yfinance.Ticker(name, session=session).history(start=START, auto_adjust=False, actions=True)
    expected_bars = expected(world, Faults(world), world.instruments[name], START)
    running = world.running(asset_class)
    if running:  # whether yfinance shows the running bar depends on what it has learnt of the symbol before
        read = read[[day.date() < running for day in read.index]]
    read_values = read[["Open", "High", "Low", "Close", "Adj Close", "Volume"]].to_numpy(float)
    assert np.array_equal([np.datetime64(day.date()) for day in read.index], expected_bars.days)
    assert np.array_equal(read_values, expected_bars.values)
    paid = read.loc[read["Dividends"] > 0, "Dividends"]
    assert paid.tolist() == [e.value for e in expected_bars.events if e.kind == "dividend"]


@pytest.mark.parametrize("venue", ["coinbaseexchange", "kraken", "binanceus"])
def test_ccxt_reads_every_candle_as_served(loopback, world, venue):
    import ccxt

    client = getattr(ccxt, venue)({"httpsProxy": loopback.proxy, "enableRateLimit": False})
    client.validateServerSsl = loopback.ca_file
    client.load_markets()
    served = candles(world, world.instruments["BTC-USD"], venue, 86400)[-100:]
    for _ in range(3):  # the coin may have a passing fault
        try:
            read = np.array(client.fetch_ohlcv("BTC/USD", "1d", since=int(served[0, 0]) * 1000, limit=200))
            break
        except ccxt.BaseError:
            continue
    assert np.array_equal(read[:, 0] / 1000, served[:, 0])
    assert np.allclose(read[:, 1:], served[:, 1:], rtol=0, atol=1e-8)


def look(session, name: str, stalls: bool = False) -> str:
    """How the connection and the body behaved, as one term; an answer that never comes is given up soon."""
    from curl_cffi.requests import exceptions

    broken = {
        exceptions.Timeout: "timeout",
        exceptions.IncompleteRead: "truncated",
        exceptions.ConnectionError: "reset",
    }
    try:
        reply = session.get(CHART.format(name), timeout=SOON if stalls else HANG)
    except tuple(broken) as error:
        return broken[type(error)]
    if reply.status_code != 200:
        return f"{reply.status_code} {'Retry-After' in reply.headers}"
    if not reply.content.endswith(b"}"):
        return "no JSON"
    result = reply.json()["chart"]["result"]
    if result is None:
        return "null"
    quote, meta = result[0]["indicators"]["quote"][0], result[0]["meta"]
    if (meta["currency"], meta["symbol"]) != ("USD", name):
        return "other"
    return "fine" if quote and len(quote["close"]) == len(result[0]["timestamp"]) else "ragged"


def test_every_kind_of_fault_shows_on_the_wire_and_passes_as_planned(loopback, world, session):
    """For one symbol of each kind, compare the first and the third answer."""
    first = {
        "429": "429 False", "429 with Retry-After": "429 True", "500 JSON": "500 False", "502 HTML": "502 False",
        "503 HTML": "503 False", "reset": "reset", "timeout": "timeout", "truncated": "truncated", "cut": "no JSON",
        "empty": "no JSON", "null result": "null", "ragged": "ragged", "HTML with 200": "no JSON",
        "no quotes": "ragged", "not found once": "404 False", "delisted": "404 False", "gone": "400 False",
        "renamed": "other", "other currency": "other", "always ragged": "ragged", "always 500": "500 False",
    }  # fmt: skip
    seen = set()
    for name, plan in plans(world, 0.4).items():
        if plan.kind in seen or world.instruments[name].kind == "coin":
            continue
        seen.add(plan.kind)
        stalls = [plan.kind == "timeout" and (not plan.times or n < plan.times) for n in range(3)]
        looks = [look(session, name, each) for each in stalls]
        assert looks[0] == first.get(plan.kind, "fine"), plan
        assert (looks[2] == "fine") == (plan.kind not in first or plan.times > 0), (plan, looks)
    assert set(first) <= seen
    assert loopback.ask("counts")["broken"] == 0


def test_a_storm_refuses_all_requests_and_they_are_counted():
    from curl_cffi import requests

    with running("--symbols", "20", "--storm", "yahoo:3:2:1", "--storm", "yahoo:9:1") as world:
        session = requests.Session(verify=world.ca_file, proxy=world.proxy)
        codes = [session.get(CHART.format("NA")).status_code for _ in range(12)]
        assert codes == [200, 200, 200, 429, 429, 200, 200, 200, 200, 429, 200, 200]
        assert world.ask("counts")["providers"]["yahoo"]["statuses"] == {"200": 9, "429": 3}


def test_requests_within_a_retry_after_and_within_any_window_are_counted():
    moments = iter([0.0, 0.2, 0.4, 0.5, 0.6, 1.3, 1.4, 9.0])
    watch = Watch(lambda: next(moments))
    for status in (200, 200, 429, 200, 200, 200, 200):
        watch.arrived("yahoo")
        watch.answered("yahoo", status, "1" if status == 429 else None)
    assert watch.verdict("yahoo") == {"windows": {"1": 4, "5": 6, "20": 7, "60": 7}, "inside_retry_after": 3}
    assert watch.verdict("kraken") == {"windows": {"1": 0, "5": 0, "20": 0, "60": 0}, "inside_retry_after": 0}


def test_no_host_outside_the_world_can_be_reached(loopback):
    import requests

    with pytest.raises(requests.exceptions.ProxyError, match="403"):
        requests.get("https://example.org/", proxies={"https": loopback.proxy}, timeout=HANG)


def test_directories_have_every_listed_name_and_everything_that_may_trip_a_reader(loopback, world):
    import requests

    def lines(file: str) -> list[str]:
        reply = requests.get(
            f"https://www.nasdaqtrader.com/dynamic/symdir/{file}.txt",
            proxies={"https": loopback.proxy},
            verify=loopback.ca_file,
            timeout=HANG,
        )
        return reply.text.splitlines()

    rows = [line.split("|") for line in lines("nasdaqlisted")[1:-1] + lines("otherlisted")[1:-1]]
    shares = {e.symbol for e in world.instruments.values() if e.kind in ("common", "adr", "etf")}
    symbols = {row[0] for row in rows}
    assert shares <= symbols and {"NA", "NAN", "TRUE", "ZVV", "ZAZZT"} <= symbols
    assert any("$" in each for each in symbols) and any(each.endswith(".W") for each in symbols)
    assert lines("otherlisted")[-1].startswith("File Creation Time")


def test_the_sec_requires_a_contact_address(loopback):
    import requests

    def get(agent: str):
        url = "https://www.sec.gov/files/company_tickers_exchange.json"
        return requests.get(
            url, headers={"User-Agent": agent}, proxies={"https": loopback.proxy}, verify=loopback.ca_file, timeout=HANG
        )

    assert get("curl").status_code == 403
    listing = get("tests somebody@example.org").json()
    assert listing["fields"] == ["cik", "name", "ticker", "exchange"] and {row[3] for row in listing["data"]} >= {
        "OTC",
        None,
    }


def test_chains_and_the_screener_require_the_crumb(world, session):
    import yfinance

    name = sound(world, "stock")
    bare = session.get(f"https://query2.finance.yahoo.com/v7/finance/options/{name}")
    assert bare.status_code == 401
    ticker = yfinance.Ticker(name, session=session)
    chain = ticker.option_chain(ticker.options[1])
    assert len(chain.calls) == len(chain.puts) == 41 and chain.underlying["regularMarketPrice"] > 0
    ranked = yfinance.screen("most_actives", count=5, session=session)["quotes"]
    volumes = [each["regularMarketVolume"] for each in ranked]
    assert volumes == sorted(volumes, reverse=True) and len(volumes) == 5


def test_another_process_can_set_the_clock_and_add_events():
    from curl_cffi import requests

    with running("--symbols", "20", "--now", "2026-03-10T22:00:00") as world:
        session = requests.Session(verify=world.ca_file, proxy=world.proxy)

        def last() -> tuple[int, float, dict]:
            result = session.get(CHART.format("NAN")).json()["chart"]["result"][0]
            return result["timestamp"][-1], result["indicators"]["quote"][0]["close"][0], result.get("events", {})

        before = last()
        world.ask("apply", {"kind": "split", "symbol": "NAN", "day": "2026-03-11", "value": 2.0})
        assert last() == before  # not yet
        world.ask("now", at="2026-03-11T22:00:00")
        after = last()
        assert after[0] == before[0] + 86400 and after[1] == pytest.approx(before[1] / 2, rel=1e-6)
        assert [each["splitRatio"] for each in after[2]["splits"].values()][-1] == "2:1"
    with pytest.raises(OSError):  # the world has ended with the process that started it
        world.ask("counts")
