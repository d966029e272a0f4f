"""Option chains and the most traded names from Yahoo, through the real yfinance client."""

import datetime as dt
import json as plain
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from src.fetching.provider import CHAIN, Malformed, Refusal, Unavailable, Unfit, Unknown
from tests.loopback.wire import TEXT, Reply, json
from tests.process_case import HANG
from tests.sources.yahoo_case import CRUMB, DAY, OPTIONS, SCREENER, complaint

FIRST = int(dt.datetime(2030, 1, 18, tzinfo=dt.UTC).timestamp())
EXPIRIES = [FIRST, FIRST + 7 * DAY, FIRST + 35 * DAY]


def contract(expiry, kind, strike, **fields):
    day = dt.datetime.fromtimestamp(expiry, dt.UTC)
    return {
        "contractSymbol": f"AAA{day:%y%m%d}{kind}{strike * 1000:08.0f}", "strike": strike, "currency": "USD",
        "lastPrice": 1.5, "change": -0.25, "percentChange": -14.285714, "volume": 12, "openInterest": 340,
        "bid": 1.4, "ask": 1.6, "contractSize": "REGULAR", "expiration": expiry, "lastTradeDate": FIRST - 2 * DAY,
        "impliedVolatility": 0.3125, "inTheMoney": kind == "C",
    } | fields  # fmt: skip


def page(expiry, price=100.5, calls=None, puts=None, **quote):
    result = {
        "underlyingSymbol": "AAA", "expirationDates": EXPIRIES, "strikes": [95.0, 100.0], "hasMiniOptions": False,
        "quote": {"symbol": "AAA", "currency": "USD", "regularMarketPrice": price, "regularMarketTime": FIRST - DAY,
                  "marketState": "REGULAR", "fullExchangeName": "NYSE"} | quote,
        "options": [{"expirationDate": expiry, "hasMiniOptions": False,
                     "calls": [contract(expiry, "C", 95.0)] if calls is None else calls,
                     "puts": [contract(expiry, "P", 100.0)] if puts is None else puts}],
    }  # fmt: skip
    return {"optionChain": {"result": [result], "error": None}}


def paged(request):
    expiry = int(request.query.get("date", FIRST))
    return json(page(expiry, price=100.5 + EXPIRIES.index(expiry)))


def test_a_chain_is_every_contract_of_every_expiry_as_quoted(script, provider, gate):
    script.say(OPTIONS, paged)
    begin = dt.datetime.now(dt.UTC)
    chain = provider.chain("AAA", 10)
    assert chain.underlying == "AAA"
    assert chain.price == 100.5
    assert begin <= chain.captured <= dt.datetime.now(dt.UTC)
    assert chain.contracts.schema == CHAIN
    assert chain.contracts["contract"].to_list() == [
        "AAA300118C00095000", "AAA300118P00100000", "AAA300125C00095000", "AAA300125P00100000", "AAA300222C00095000",
        "AAA300222P00100000",
    ]  # fmt: skip
    assert chain.contracts.drop("captured").row(3, named=True) == {
        "contract": "AAA300125P00100000", "expiry": dt.date(2030, 1, 25), "type": "put", "strike": 100.0, "bid": 1.4,
        "ask": 1.6, "last": 1.5, "change": -0.25, "percent_change": -14.285714, "volume": 12.0, "open_interest": 340.0,
        "last_trade": dt.datetime(2030, 1, 16, tzinfo=dt.UTC), "currency": "USD", "contract_size": "REGULAR",
        "in_the_money": False, "iv_provider": 0.3125, "underlying_price": 101.5,
    }  # fmt: skip
    assert chain.contracts["captured"].is_sorted()
    assert chain.facts == {
        "market_state": "REGULAR", "exchange": "NYSE", "price_time": "2030-01-17T00:00:00+00:00", "expiries": "3 of 3",
    }  # fmt: skip
    assert script.count(OPTIONS) == 3
    assert all(request.query["crumb"] == "crumb.1" for request in script.asked if OPTIONS in request.path)
    assert gate.entered == 5


def test_the_nearest_expiries_are_taken_where_there_are_more_than_wanted(script, provider):
    script.say(OPTIONS, paged)
    chain = provider.chain("AAA", 2)
    assert chain.contracts["expiry"].unique().sort().to_list() == [dt.date(2030, 1, 18), dt.date(2030, 1, 25)]
    assert chain.facts["expiries"] == "2 of 3"
    assert script.count(OPTIONS) == 2


def test_the_nearest_expiry_is_asked_for_where_the_first_answer_holds_another(script, provider):
    script.say(OPTIONS, lambda request: json(page(int(request.query.get("date", EXPIRIES[2])))))
    chain = provider.chain("AAA", 1)
    assert chain.contracts["expiry"].unique().to_list() == [dt.date(2030, 1, 18)]


def test_absurd_quotes_are_kept_and_absent_ones_are_null(script, provider):
    bare = {"contractSymbol": "X", "strike": -1, "bid": 9, "ask": 1, "impliedVolatility": "NaN", "lastTradeDate": None}
    script.say(OPTIONS, json(page(FIRST, price=None, calls=[bare, bare], puts=[])))
    chain = provider.chain("AAA", 1)
    row = chain.contracts.row(1, named=True)
    assert (row["strike"], row["bid"], row["ask"], row["volume"]) == (-1.0, 9.0, 1.0, None)
    assert row["iv_provider"] != row["iv_provider"]
    assert (row["expiry"], row["last_trade"], row["in_the_money"], row["currency"]) == (None, None, None, None)
    assert chain.price is None
    assert len(chain.contracts) == 2


@pytest.mark.parametrize(
    "fault",
    [Reply(429, b"", TEXT), Reply(500, b"", TEXT), Reply(reset=True), Reply(200, b'{"optionChain": {"re')],
)
def test_one_fault_in_the_middle_does_not_cost_the_pages_that_are_in(script, provider, fault):
    replies = [paged, fault, paged]
    script.say(OPTIONS, *replies)
    assert len(provider.chain("AAA", 10).contracts) == 6
    assert script.count(OPTIONS) == 4


CHAIN_FAULTS = [
    (json({"optionChain": {"result": [], "error": None}}), Unknown, "Yahoo lists no options", 1),
    (complaint(404, "Not Found", "No data found", "optionChain"), Unknown, "Yahoo says: No data found", 1),
    (json({"optionChain": {"result": None, "error": None}}), Malformed, "an option chain without a result", 4),
    (json({"optionChain": {"result": [{}], "error": None}}), Malformed, "expiries are not seconds", 4),
    (json(page(FIRST, calls={})), Malformed, "calls must be a list of contracts, got dict", 1),
    (json(page(FIRST, calls=[{"bid": "low"}])), Malformed, "AAA: bid must be a number, got 'low'", 1),
    (json(page(FIRST, symbol="BBB")), Unfit, "asked for options of AAA, answered for BBB", 1),
    (json(page(FIRST, currency="CAD")), Unfit, "AAA is quoted in CAD, not in USD", 1),
    (Reply(503, b"", TEXT), Unavailable, "status 503", 4),
    (Reply(429, b"", TEXT), Refusal, "refuses", 4),
]


@pytest.mark.parametrize(("reply", "kind", "words", "requests"), CHAIN_FAULTS)
def test_a_bad_chain_has_its_own_message(script, provider, reply, kind, words, requests):
    script.say(OPTIONS, reply)
    with pytest.raises(kind, match=words):
        provider.chain("AAA", 10)
    assert script.count(OPTIONS) == requests


def test_a_chain_comes_with_a_fresh_crumb_where_the_old_one_has_ended(script, provider):
    script.say(CRUMB, Reply(200, b"old", TEXT), Reply(200, b"new", TEXT))

    def guarded(request):
        refused = complaint(401, "Unauthorized", "Invalid Crumb", "finance")
        return paged(request) if request.query.get("crumb") == "new" else refused

    script.say(OPTIONS, guarded)
    assert len(provider.chain("AAA", 10).contracts) == 6
    assert script.count(CRUMB) == 2


def test_the_error_says_that_a_crumb_is_missing(script, provider):
    script.say(CRUMB, Reply(429, b"", TEXT))
    script.say(OPTIONS, complaint(401, "Unauthorized", "Invalid Crumb", "finance"))
    with pytest.raises(Unavailable, match="wants a crumb, which could not be had"):
        provider.chain("AAA", 10)
    assert script.count(CRUMB) == 1


def test_each_thread_reads_its_own_last_answer(script, provider):
    script.say(OPTIONS, lambda request: json(page(FIRST, symbol=request.path.rsplit("/", 1)[1])))
    both = threading.Barrier(2, timeout=HANG)

    def heard(name):
        provider._ticker(name, "UTC").options  # noqa: B018 (it asks)
        both.wait()
        return provider._session.last_body["optionChain"]["result"][0]["quote"]["symbol"]

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(heard, ["T1", "T2"])) == ["T1", "T2"]


def test_threads_get_their_own_chains(script, provider):
    seen = threading.Barrier(4, timeout=HANG)

    def served(request):
        symbol = request.path.rsplit("/", 1)[1]
        expiry = int(request.query.get("date", FIRST))
        return json(page(expiry, price=float(symbol[1:]), symbol=symbol))

    def asked(number):
        seen.wait()
        return [provider.chain(f"T{number * 10 + each}", 3) for each in range(3)]

    script.say(OPTIONS, served)
    with ThreadPoolExecutor(4) as pool:
        chains = [chain for part in pool.map(asked, range(4)) for chain in part]
    assert [chain.underlying for chain in chains] == [f"T{a * 10 + b}" for a in range(4) for b in range(3)]
    for chain in chains:
        assert chain.contracts["underlying_price"].to_list() == [float(chain.underlying[1:])] * 6


def quote(symbol, price, volume, **fields):
    return {
        "symbol": symbol, "quoteType": "EQUITY", "currency": "USD", "regularMarketPrice": price, "exchange": "NYQ",
        "averageDailyVolume3Month": volume, "longName": f"{symbol} Inc.",
    } | fields  # fmt: skip


def screened(quotes):
    return json(
        {"finance": {"result": [{"quotes": quotes, "total": len(quotes), "count": len(quotes)}], "error": None}}
    )


def test_the_most_traded_are_ranked_by_dollars_not_by_shares(script, provider):
    large = [quote("BIG", 500.0, 100), quote("MID", 100.0, 300), quote("CAD", 900.0, 900, currency="CAD")]
    active = [quote("PENNY", 0.1, 10_000), quote("MID", 100.0, 300), quote("FUND", 9.0, 9_000, quoteType="ETF")]
    sorts = {"intradaymarketcap": large, "avgdailyvol3m": [*active, quote("NONE", None, 5), quote("LESS", 2.0, 10)]}
    script.say(SCREENER, lambda request: screened(sorts[plain.loads(request.body)["sortField"]]))
    found = provider.most_traded("stock", 3)
    assert found["symbol"].to_list() == ["BIG", "MID", "PENNY"]
    assert found["dollar_volume"].to_list() == [50_000.0, 30_000.0, 1_000.0]
    assert found["name"][0] == "BIG Inc."
    asked = [plain.loads(request.body) for request in script.asked if SCREENER in request.path]
    assert [each["sortField"] for each in asked] == ["intradaymarketcap", "avgdailyvol3m"]
    assert {each["quoteType"] for each in asked} == {"EQUITY"}
    assert {each["sortType"] for each in asked} == {"DESC"}


def test_long_lists_are_read_page_by_page(script, provider):
    names = [quote(f"E{number:04d}", 1.0, 10_000 - number, quoteType="ETF") for number in range(700)]

    def paged(request):
        asked = plain.loads(request.body)
        return screened(names[asked["offset"] : asked["offset"] + asked["size"]])

    script.say(SCREENER, paged)
    found = provider.most_traded("etf", 300)
    assert found["symbol"].to_list() == [f"E{number:04d}" for number in range(300)]
    pages = [plain.loads(request.body) for request in script.asked if SCREENER in request.path]
    assert [(each["sortField"], each["offset"], each["size"]) for each in pages] == [
        (field, offset, size)
        for field in ("fundnetassets", "avgdailyvol3m")
        for offset, size in ((0, 250), (250, 250), (500, 100))
    ]


@pytest.mark.parametrize("result", [None, [], [{}], [{"quotes": None}], [{"quotes": [1]}]])
def test_a_screener_that_answers_nothing_raises_a_clear_error(script, provider, result):
    script.say(SCREENER, json({"finance": {"result": result, "error": None}}))
    with pytest.raises(Malformed, match="screener answered without a list of quotes"):
        provider.most_traded("stock", 10)
