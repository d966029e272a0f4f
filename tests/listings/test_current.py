"""The one call: names without a list, limits from the pinned one, all else from lists fetched once a day and kept."""

import datetime as dt
import json

import polars as pl
import pytest

from src.config.schema import LiveSource, UniverseConfig
from src.core.errors import ConfigError
from src.fetching.provider import Unavailable
from src.listings import coins, current, otc
from src.sources.declaration import SourceError
from tests.listings.test_directory import NASDAQ, OTHER
from tests.loopback.process import running
from tests.process_case import HANG

TODAY = dt.date(2025, 7, 22)
SEC = {
    "fields": ["cik", "name", "ticker", "exchange"],
    "data": [
        [1, "NESTLE", "NSRGY", "OTC"],
        [2, "TRUE", "TRUE", "OTC"],
        [3, "Apple", "AAPL", "Nasdaq"],
        [4, "x", "X", None],
    ],
}
STOCKS = LiveSource(chain={"stock": ["yahoo"], "etf": ["yahoo"]}, contact="me@example.org")


class Web:
    """The three files as they are served, and what was asked."""

    def __init__(self) -> None:
        self.files = {
            "nasdaqlisted.txt": NASDAQ,
            "otherlisted.txt": OTHER,
            "company_tickers_exchange.json": json.dumps(SEC),
        }
        self.asked = []

    def text(self, address, _live, _contact=None):
        name = address.rsplit("/", 1)[-1]
        self.asked.append(name)
        found = self.files[name]
        if found is None:
            raise Unavailable(f"{address}: answers 503")
        return found


@pytest.fixture
def web(monkeypatch):
    made = Web()
    monkeypatch.setattr(current, "text", made.text)
    return made


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*_):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(current, "text", refuse)


def symbols(frame, kind="stock"):
    return frame.filter(asset_class=kind)["symbol"].to_list()


def pinned_file(tmp_path):
    path = tmp_path / "pinned.csv"
    path.write_text(
        "# made: 2025-07-01\n# origin: test\nasset_class,symbol,rank,dollar_volume\n"
        "stock,NA,1,9\nstock,TRUE,2,\nstock,MSFT,3,1\netf,SPY,1,5\ncrypto,BTC-USD,1,4\n",
        encoding="utf-8",
    )
    return str(path)


def test_names_with_their_class_need_no_list(no_network, tmp_path):
    chosen = UniverseConfig(symbols=["stock:aapl", "ETF:SPY", "eth-usd", "crypto:BTC-USD"])
    frame = current.current(chosen, STOCKS, tmp_path)
    assert frame.select("asset_class", "symbol").rows() == [
        ("crypto", "BTC-USD"), ("crypto", "ETH-USD"), ("etf", "SPY"), ("stock", "AAPL"),
    ]  # fmt: skip
    assert frame.schema == pl.Schema(current.COLUMNS) and not list(tmp_path.iterdir())


def test_limits_take_the_pinned_list_alone(no_network, tmp_path, caplog):
    chosen = UniverseConfig(stock=2, etf=5, crypto=1, pinned=pinned_file(tmp_path))
    chain = LiveSource(chain={"stock": ["yahoo"], "etf": ["yahoo"], "crypto": ["kraken"]})
    frame = current.current(chosen, chain, tmp_path)
    assert symbols(frame) == ["NA", "TRUE"] and symbols(frame, "etf") == ["SPY"]
    assert symbols(frame, "crypto") == ["BTC-USD"]
    assert "universe.etf=5: " in caplog.text and "has 1 of that class" in caplog.text
    assert frame["origin"].unique().to_list() == ["pinned 2025-07-01"]
    frame = current.current(chosen, LiveSource(chain={"crypto": ["kraken"]}), tmp_path)
    assert frame["asset_class"].to_list() == ["crypto"], "a class that the chain does not serve is not there"


def test_a_day_before_the_pinned_list_was_made_is_refused_with_the_remedy(no_network, tmp_path):
    chosen = UniverseConfig(stock=2, etf=5, crypto=1, pinned=pinned_file(tmp_path), as_of="2025-06-30")
    with pytest.raises(
        ConfigError,
        match=r"as_of=2025-06-30: the list of .* made on 2025-07-01, .*universe=full universe.as_of=2025-06-30",
    ):
        current.current(chosen, STOCKS, tmp_path)
    chosen.as_of = "2025-07-01"
    assert symbols(current.current(chosen, STOCKS, tmp_path)) == ["NA", "TRUE"]


def test_a_bare_name_is_looked_up_in_the_pinned_list_first(no_network, tmp_path):
    chosen = UniverseConfig(stock=1, etf=1, crypto=1, symbols=["true", "spy"], pinned=pinned_file(tmp_path))
    assert current.current(chosen, STOCKS, tmp_path).select("asset_class", "symbol").rows() == [
        ("etf", "SPY"),
        ("stock", "TRUE"),
    ]


def test_without_limits_the_directory_is_taken_by_types_and_fetched_once_a_day(web, tmp_path, caplog):
    caplog.set_level("INFO")
    frame = current.current(UniverseConfig(), STOCKS, tmp_path, TODAY)
    assert symbols(frame) == ["BRK-B", "NA", "NAN", "TRUE"] and symbols(frame, "etf") == ["QQQ", "SPY"]
    assert "listed: 2 ETFs and ETNs, 4 stocks (4 common, 0 adr); left out by universe.types: 1 preferred" in caplog.text
    everything = UniverseConfig(types=["common", "preferred"])
    assert "ABR-PD" in symbols(current.current(everything, STOCKS, tmp_path, TODAY))
    assert web.asked == ["nasdaqlisted.txt", "otherlisted.txt"]
    current.current(UniverseConfig(), STOCKS, tmp_path, TODAY + dt.timedelta(days=1))
    assert len(web.asked) == 4


def test_a_limit_of_zero_asks_for_nothing(web, tmp_path):
    assert current.current(UniverseConfig(stock=0, etf=0), STOCKS, tmp_path, TODAY).height == 0 and not web.asked


def test_over_the_counter_names_come_where_they_are_wanted_and_a_contact_is_given(web, tmp_path, caplog):
    frame = current.current(UniverseConfig(otc=True), STOCKS, tmp_path, TODAY)
    assert frame.filter(symbol="NSRGY").select("type", "exchange", "origin").rows() == [("adr", "OTC", "sec")]
    assert frame.filter(symbol="TRUE")["exchange"].to_list() == ["NASDAQ"] and "AAPL" not in symbols(frame)
    nameless = LiveSource(chain=STOCKS.chain)
    assert "NSRGY" not in symbols(current.current(UniverseConfig(otc=True), nameless, tmp_path, TODAY))
    assert "set source.live.contact=" in caplog.text


@pytest.mark.parametrize(
    "bad", [None, "", NASDAQ[:200], NASDAQ.replace("NA|Nano", "ZVZ|").replace("|N|N|100|N", "|Y|N|100|N")]
)
def test_where_an_answer_is_bad_the_kept_listing_is_used_with_a_word(web, tmp_path, caplog, bad):
    before = current.current(UniverseConfig(), STOCKS, tmp_path, TODAY)
    web.files["nasdaqlisted.txt"] = bad
    after = current.current(UniverseConfig(), STOCKS, tmp_path, TODAY + dt.timedelta(days=3))
    assert after.equals(before)
    assert "the listing of 2025-07-22 is used" in caplog.text


def test_without_any_kept_listing_a_bad_answer_ends_with_the_way_out(web, tmp_path):
    web.files["otherlisted.txt"] = None
    with pytest.raises(
        SourceError,
        match=r"otherlisted can't be had, and none is kept: .*503.*doctor.*universe.symbols=\[stock:AAPL\]",
    ):
        current.current(UniverseConfig(), STOCKS, tmp_path, TODAY)


def test_delisted_names_stay_and_membership_as_of_a_day_can_be_asked(web, tmp_path):
    current.current(UniverseConfig(), STOCKS, tmp_path, TODAY)
    web.files["nasdaqlisted.txt"] = NASDAQ.replace("TRUE|TrueCar, Inc.", "TRU|TrueCar, Inc.")
    later = TODAY + dt.timedelta(days=9)
    now = current.current(UniverseConfig(), STOCKS, tmp_path, later)
    rows = {row["symbol"]: row for row in now.iter_rows(named=True)}
    assert rows["TRUE"]["listed_until"] == TODAY and rows["TRUE"]["now"] == "TRU"
    assert rows["TRU"]["listed_from"] == later and rows["TRU"]["formerly"] == "TRUE"
    then = current.current(UniverseConfig(as_of="2025-07-25"), STOCKS, tmp_path, later)
    assert symbols(then) == ["BRK-B", "NA", "NAN", "TRUE"]
    assert then.filter(symbol="TRUE")["listed_until"].to_list() == [TODAY], "what is known since is said"
    with pytest.raises(ConfigError, match=r"as_of=2025-07-01: the oldest listing .* of 2025-07-22.*as_of=2025-07-22"):
        current.current(UniverseConfig(as_of="2025-07-01"), STOCKS, tmp_path, later)


def test_a_company_that_changes_its_exchange_is_there_once_and_listed(web, tmp_path):
    current.current(UniverseConfig(), STOCKS, tmp_path, TODAY)
    web.files["otherlisted.txt"] = OTHER.replace("File", "TRUE|TrueCar, Inc. Common Stock|N|TRUE|N|100|N|TRUE\nFile")
    web.files["nasdaqlisted.txt"] = NASDAQ.replace(
        "TRUE|TrueCar, Inc. - Common Stock|Q|N|N|100|N|N\n", "TRX|T - Common Stock|Q|N|N|100|N|N\n"
    )
    frame = current.current(UniverseConfig(), STOCKS, tmp_path, TODAY + dt.timedelta(days=1))
    assert frame.filter(symbol="TRUE").select("exchange", "listed_until").rows() == [("NYSE", None)]


def test_yahoo_alone_has_no_list_of_coins_and_says_so(no_network, tmp_path, caplog):
    frame = current.current(UniverseConfig(), LiveSource(chain={"crypto": ["yahoo"]}), tmp_path)
    assert frame.height == 0 and "name an exchange in source.live.chain.crypto" in caplog.text


def test_coins_are_those_quoted_in_dollars_that_follow_no_other_price():
    rows = [
        ("BTC/USD", "BTC", "USD", True, ""),
        ("USDT/USD", "USDT", "USD", True, ""),
        ("EUR/USD", "EUR", "USD", True, ""),
    ]
    rows += [("AAPLX/USD", "AAPLX", "USD", True, "tokenized_asset"), ("SOL/USDT", "SOL", "USDT", True, "")]
    rows += [
        ("WBTC/USD", "WBTC", "USD", True, ""),
        ("OLD/USD", "OLD", "USD", False, ""),
        ("A.S/USD", "A.S", "USD", True, ""),
    ]
    markets = pl.DataFrame(rows, schema=["name", "base", "quote", "active", "kind"], orient="row")
    assert coins.entries(markets, "kraken").select("symbol", "listed_as", "exchange").rows() == [
        ("BTC-USD", "BTC/USD", "kraken")
    ]


@pytest.mark.parametrize(
    "text", ["", "[]", "<html>", '{"fields":["a"],"data":[]}', '{"fields":["name","ticker","exchange"],"data":[[1]]}']
)
def test_an_sec_list_of_another_form_is_refused(text):
    with pytest.raises(current.BadListing, match="must have the fields name, ticker, exchange"):
        otc.entries(text)


def test_over_real_tls_through_a_proxy_the_whole_universe_is_listed(tmp_path, caplog):
    caplog.set_level("INFO")
    with running("--symbols", "120", "--seed", "5", "--now", "2026-03-02T22:00:00") as world:
        auto = LiveSource(
            chain={"stock": ["yahoo"], "etf": ["yahoo"], "crypto": ["coinbaseexchange", "kraken", "binanceus"]},
            proxy=world.proxy, ca_file=world.ca_file, contact="me@example.org", timeout=HANG,
        )  # fmt: skip
        chosen = UniverseConfig(otc=True)
        frame = current.current(chosen, auto, tmp_path, dt.date(2026, 3, 2))
    assert frame.group_by("asset_class").len().height == 3 and frame["listed_until"].null_count() == frame.height
    assert set(frame["origin"]) >= {"nasdaqlisted", "otherlisted", "coinbaseexchange"}
    assert set(frame.filter(asset_class="stock")["type"]) <= {"common", "adr"}
    assert {"NA", "TRUE"} <= set(symbols(frame)) and not [s for s in symbols(frame) if s.endswith(("ZZT", "TEST"))]
    assert len(list((tmp_path / "listings").glob("2026-03-02-*.parquet"))) == 6
    assert current.current(chosen, auto, tmp_path, dt.date(2026, 3, 2)).equals(frame), "kept, so nothing is asked again"
