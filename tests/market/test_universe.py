"""Selection: names, ranks, and a reason for everything that stays out."""

import datetime as dt

import polars as pl
import pytest

from src.config.schema import SplitConfig, UniverseConfig
from src.core.errors import ConfigError
from src.market import watchlist
from src.market.universe import activity, first_oos, liquidity, matches, panel, select


def listing(*names: str) -> pl.DataFrame:
    return pl.DataFrame([n.split(":") for n in names], schema=["asset_class", "symbol"], orient="row")


def ranked(**dollars: float) -> pl.DataFrame:
    rows = [(n.split("_")[0], n.split("_")[1], d, "before 2017-01-01") for n, d in dollars.items()]
    return pl.DataFrame(rows, schema=["asset_class", "symbol", "liquidity", "period"], orient="row")


LISTED = listing("stock:AAPL", "stock:NA", "stock:NEAR", "stock:TRUE", "crypto:NEAR", "crypto:BTC-USD", "etf:SPY")


def included(frame: pl.DataFrame) -> list[str]:
    return [f"{k}:{s}" for k, s in frame.filter("included").select("asset_class", "symbol").rows()]


def test_without_limits_everything_is_in():
    chosen = select(LISTED, UniverseConfig(name="full"))
    assert chosen.height == 7 and chosen["included"].all()
    assert chosen.filter(pl.col("symbol") == "SPY")["reason"][0] == "every etf of the source"


def test_a_limit_takes_the_most_liquid_and_everything_else_has_a_reason():
    table = ranked(stock_A=5.0, stock_B=9.0, stock_C=7.0, etf_D=1.0)
    chosen = select(table, UniverseConfig(stock=2, etf=0))
    assert included(chosen) == ["stock:B", "stock:C"]
    reasons = dict(zip(chosen["symbol"], chosen["reason"], strict=True))
    assert reasons["B"] == "rank 1 of 2 taken, by median daily dollar volume, before 2017-01-01"
    assert reasons["A"].startswith("rank 3 of 2 taken") and reasons["D"].startswith("rank 1 of 0 taken")
    assert chosen.height == table.height


def test_a_ranked_universe_takes_no_coin_that_follows_another_price():
    table = ranked(crypto_USDT=9.0, crypto_WBTC=8.0, crypto_BTC=7.0, stock_DAI=1.0)
    chosen = select(table, UniverseConfig(crypto=2))
    assert included(chosen) == ["crypto:BTC", "stock:DAI"]
    assert chosen.filter(pl.col("symbol") == "USDT")["reason"][0] == "stablecoin: a ranked universe leaves these out"
    assert select(table, UniverseConfig())["included"].all()


def test_names_are_found_with_and_without_class_in_any_case():
    chosen = select(LISTED, UniverseConfig(symbols=["aapl", "etf:SPY", "btc-usd"]))
    assert included(chosen) == ["crypto:BTC-USD", "etf:SPY", "stock:AAPL"]
    assert set(chosen.filter(~pl.col("included"))["reason"]) == {"not named"}


def test_a_ticker_in_two_classes_takes_both_and_says_so():
    chosen = select(LISTED, UniverseConfig(symbols=["NEAR"]))
    assert included(chosen) == ["crypto:NEAR", "stock:NEAR"]
    assert "NEAR is listed in 2 classes, all taken" in chosen.filter("included")["reason"][0]
    assert included(select(LISTED, UniverseConfig(symbols=["crypto:NEAR"]))) == ["crypto:NEAR"]


def test_an_unknown_name_is_refused_with_close_matches():
    with pytest.raises(ConfigError, match=r"universe.symbols: among 7 instruments there is no APPL \(close: AAPL"):
        select(LISTED, UniverseConfig(symbols=["APPL", "SPY"]))


def test_symbols_such_as_na_and_true_in_a_watchlist_are_text(tmp_path):
    path = tmp_path / "watch.csv"
    path.write_text("\ufeffAsset_Class,Symbol,Note\nstock,NA,x\n,TRUE,y\n\n", encoding="utf-8")
    assert included(select(LISTED, UniverseConfig(file=str(path)))) == ["stock:NA", "stock:TRUE"]


@pytest.mark.parametrize(
    "text",
    [
        "AAPL\nSPY\nBTC-USD\n",
        "\ufeff# mine\n\nstock:AAPL\r\n  etf:SPY  \n # coins\ncrypto:BTC-USD",
        '"Stock:AAPL"\nspy\nCRYPTO: BTC-USD\nspy\n',
        "# mine\nticker\nAAPL\n\n#SPY\nSPY\ncrypto:BTC-USD\n",
        "asset_class,symbol\n# stocks\nStock,AAPL\netf, SPY\n,BTC-USD\ncrypto,\n",
    ],
)
def test_a_watchlist_is_a_table_or_one_symbol_a_line(tmp_path, text):
    path = tmp_path / "watch.csv"
    path.write_text(text, encoding="utf-8", newline="")
    assert included(select(LISTED, UniverseConfig(file=str(path)))) == ["crypto:BTC-USD", "etf:SPY", "stock:AAPL"]


@pytest.mark.parametrize(
    "content",
    [
        "Symbol;Name\r\nAAPL;Äpfel\r\nSPY;\r\nBTC-USD;x\r\n".encode("latin-1"),
        b"sep=;\nName;Symbol\nx;AAPL\ny;SPY\nz;BTC-USD\n",
        "Name\tTicker\nx\tAAPL\ny\tSPY\nz\tBTC-USD\n".encode("utf-16"),
        b"AAPL\rSPY\rBTC-USD\r",
    ],
)
def test_a_watchlist_may_come_from_a_spreadsheet(tmp_path, content):
    path = tmp_path / "watch.csv"
    path.write_bytes(content)
    assert included(select(LISTED, UniverseConfig(file=str(path)))) == ["crypto:BTC-USD", "etf:SPY", "stock:AAPL"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "watch.csv names no instrument: write one symbol a line"),
        ("# nothing\n\n", "watch.csv names no instrument: write one symbol a line"),
        ("symbol\n", "watch.csv names no instrument: there is nothing below its header"),
        ("SPY\n# x\nbond:TSLA\n", "watch.csv, line 3: asset class must be one of stock, etf, crypto, got bond"),
        ("# x\nsymbol,asset_class\nSPY,etf\nTSLA,Bond\n", "line 4: asset class must be .*, got Bond"),
        ("symbol\nbond:TSLA\n", "line 2: asset class must be .*, got bond"),
        ("SPY\nstock:\n", "line 2: symbol must follow its class, as in stock:AAPL, got stock:"),
        ("SPY\n:AAPL\n", "line 2: symbol must follow its class, as in stock:AAPL, got :AAPL"),
        ("name,price\nAAPL,1\n", "line 1: 'name,price' is not a symbol: .*symbol among them"),
        ("AAPL\nSPY; QQQ\n", "line 2: 'SPY; QQQ' is not a symbol: write one a line"),
        ("\nSPY\nAPPL\n", r"among 7 instruments there is no APPL on line 3 \(close: AAPL"),
        ("symbol\nSPY\n\nAPPL\n", r"among 7 instruments there is no APPL on line 4 \(close: AAPL"),
    ],
)
def test_what_is_wrong_with_a_watchlist_is_said_with_its_line(tmp_path, text, words):
    path = tmp_path / "watch.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=f"^universe.file.*{words}"):
        select(LISTED, UniverseConfig(file=str(path)))


def test_a_watchlist_that_is_absent_or_no_text_is_refused(tmp_path):
    path = tmp_path / "watch.csv"
    with pytest.raises(ConfigError, match=r"universe.file: .*watch.csv can't be read"):
        select(LISTED, UniverseConfig(file=str(path)))
    path.write_bytes(b"PK\x03\x04 a workbook")
    with pytest.raises(ConfigError, match=r"universe.file: .*watch.csv is a workbook or an archive: save it as CSV"):
        select(LISTED, UniverseConfig(file=str(path)))


def test_the_first_possible_prediction_is_on_the_first_boundary_after_the_first_training_window():
    split = SplitConfig()
    assert first_oos(dt.date(2014, 1, 2), "stock", split) == dt.date(2017, 1, 1)
    assert first_oos(dt.date(2014, 1, 2), "crypto", split) == dt.date(2015, 7, 1)
    assert first_oos(dt.date(1998, 7, 2), "stock", split) == dt.date(2000, 7, 1)
    assert first_oos(dt.date(1990, 1, 2), "stock", split) == dt.date(1993, 1, 1)


def bars(symbol: str, first: str, last: str, dollars: float) -> pl.DataFrame:
    dates = pl.date_range(dt.date.fromisoformat(first), dt.date.fromisoformat(last), eager=True)
    frame = pl.DataFrame({"date": dates}).with_columns(close=pl.lit(10.0), volume=pl.lit(dollars / 10))
    return frame.with_columns(asset_class=pl.lit("stock"), symbol=pl.lit(symbol))


def test_liquidity_is_of_the_year_before_the_first_prediction_whatever_came_later():
    steady = bars("OLD", "2014-01-02", "2020-12-31", 500.0)
    winner = pl.concat([bars("WIN", "2014-01-02", "2016-12-31", 100.0), bars("WIN", "2017-01-01", "2020-12-31", 1e9)])
    late = bars("NEW", "2019-05-01", "2020-12-31", 50.0)
    table = liquidity(activity(pl.concat([steady, winner, late])), SplitConfig())
    assert table.select("symbol", "liquidity", "period").rows() == [
        ("NEW", 50.0, "its first year"),
        ("OLD", 500.0, "before 2017-01-01"),
        ("WIN", 100.0, "before 2017-01-01"),
    ]


def test_liquidity_passes_over_rows_without_price_or_volume():
    frame = bars("A", "2014-01-02", "2014-03-31", 100.0)
    broken = frame.with_columns(volume=pl.when(pl.col("date").dt.day() < 5).then(float("nan")).otherwise("volume"))
    assert liquidity(activity(broken), SplitConfig())["liquidity"].to_list() == [100.0]


def test_the_panel_is_the_most_liquid_usable_of_each_class():
    rows = [("stock", "A", "done", 5.0), ("stock", "B", "done", 9.0), ("stock", "C", "quarantined", 99.0)]
    rows += [("stock", "D", "done", 7.0), ("etf", "E", "done", None), ("crypto", "USDT", "done", 9.0)]
    states = pl.DataFrame(rows, schema=["asset_class", "symbol", "state", "liquidity"], orient="row")
    assert panel(states, 2) == [("stock", "B"), ("stock", "D")]


def test_matches_prefers_the_exact_case():
    both = listing("crypto:luna", "crypto:LUNA")
    assert matches(both, ["luna"], "only") == {"luna": [("crypto", "luna")]}


def test_a_quote_that_is_never_closed_hides_no_symbols(tmp_path):
    path = tmp_path / "list.csv"
    path.write_text('symbol,name\nAAPL,"Apple\nMSFT,Microsoft\n', encoding="utf-8")
    with pytest.raises(ConfigError, match="a quote that is not closed"):
        watchlist.names(str(path))


@pytest.mark.parametrize("header", ["Symbol,Asset Class", "symbol,asset-class", "SYMBOL,ASSET_CLASS"])
def test_the_class_of_a_watchlist_is_found_as_spreadsheets_write_its_name(tmp_path, header):
    path = tmp_path / "list.csv"
    path.write_text(f"{header}\nBTC-USD,crypto\n", encoding="utf-8")
    assert watchlist.names(str(path)) == {"crypto:BTC-USD": 2}
