"""Files of holdings, as people and brokers write them, and broken ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from src.core.errors import ConfigError, StageError
from src.signals.holdings import Holdings, read_holdings

KNOWN = [("stock", "AAPL"), ("stock", "BRK-B"), ("etf", "SPY"), ("crypto", "BTC-USD"), ("stock", "ETH"), ("etf", "ETH")]


def read(folder: Path, text: str, known: list[tuple[str, str]] = KNOWN) -> Holdings:
    (folder / "holdings.csv").write_bytes(text.encode("utf-8"))
    return read_holdings(folder / "holdings.csv", known)


def test_a_plain_file_is_read(tmp_path: Path) -> None:
    text = "symbol,shares,asset_class,price\nAAPL,10,stock,190.5\nSPY,-2.5,,\n\nCASH,1000.25,,\n"
    found = read(tmp_path, text)
    assert found.shares == {("stock", "AAPL"): 10.0, ("etf", "SPY"): -2.5}
    assert found.prices == {("stock", "AAPL"): 190.5}
    assert (found.cash, found.outside) == (1000.25, ())


@pytest.mark.parametrize("written", ["BRK B", "BRK/B", "BRK.B", "BRK-B", "brk.b", " BRK B "])
def test_share_classes_are_known_however_brokers_write_them(tmp_path: Path, written: str) -> None:
    assert read(tmp_path, f"Symbol,Quantity\n{written},3\n").shares == {("stock", "BRK-B"): 3.0}


@pytest.mark.parametrize("written", ["BTC/USD", "BTC-USD", "BTCUSD", "btc-usd"])
def test_coins_are_known_however_brokers_write_them(tmp_path: Path, written: str) -> None:
    assert read(tmp_path, f"Ticker,Qty\n{written},0.5\n").shares == {("crypto", "BTC-USD"): 0.5}


def test_a_spreadsheets_file_is_read(tmp_path: Path) -> None:
    text = '\ufeffSymbol;Shares;Price\r\nAAPL;"1,234.5";$1,000.25\r\n'
    found = read(tmp_path, text)
    assert found.shares == {("stock", "AAPL"): 1234.5}
    assert found.prices == {("stock", "AAPL"): 1000.25}


def test_a_class_tells_two_instruments_of_one_ticker_apart(tmp_path: Path) -> None:
    assert read(tmp_path, "symbol,shares,asset_class\nETH,1,etf\n").shares == {("etf", "ETH"): 1.0}
    with pytest.raises(StageError, match="row 2: ETH is etf:ETH and stock:ETH: give the column asset_class"):
        read(tmp_path, "symbol,shares\nETH,1\n")


def test_cash_is_a_ticker_too(tmp_path: Path) -> None:
    known = [*KNOWN, ("stock", "CASH")]
    found = read(tmp_path, "symbol,shares,asset_class\nCASH,5,\nUSD,100,cash\n", known)
    assert found.shares == {("stock", "CASH"): 5.0}
    assert found.cash == 100.0


def test_instruments_outside_the_dataset_are_named(tmp_path: Path) -> None:
    assert read(tmp_path, "symbol,shares\nVTI,7\n=1+1,3\n").outside == ("VTI", "=1+1")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "must have a column symbol, got an empty file"),
        ("symbol,amount\nAAPL,1\n", "must have a column shares, got symbol, amount"),
        ("shares\n1\n", "must have a column symbol, got shares"),
        ("symbol,shares,qty\nAAPL,1,1\n", "must have one column shares, got 2"),
        ("symbol,shares\nAAPL,ten\n", "row 2: shares of AAPL must be a number such as 100, -25 or 0.5, got 'ten'"),
        ("symbol,shares\nAAPL,\n", "row 2: shares of AAPL must be a number .* got ''"),
        ("symbol,shares\nAAPL,nan\n", "got 'nan'"),
        ("symbol,shares\nAAPL,inf\n", "got 'inf'"),
        ("symbol,shares\nAAPL,1e999\n", "got '1e999'"),
        ("symbol;shares\nAAPL;1,5\n", "got '1,5'"),
        ("symbol;shares\nAAPL;1,500\n", "shares of AAPL must have no comma beside semicolons, got '1,500'"),
        ("symbol;shares;price\nAAPL;1;1,500\n", "price of AAPL must have no comma beside semicolons, got '1,500'"),
        ('symbol,shares\nAAPL,"0,125"\n', "got '0,125'"),
        ('symbol,shares\nAAPL,"007,125"\n', "got '007,125'"),
        ("symbol,shares\nAAPL,1\nSPY,2\nAAPL,3\n", "row 4: AAPL is held twice"),
        ("symbol,shares\nBRK.B,1\nBRK B,2\n", "row 3: BRK B is held twice"),
        ("symbol,shares\n,1\n", "row 2: symbol must not be empty"),
        ("symbol,shares,asset_class\nAAPL,1,bond\n", "asset_class must be one of stock, etf, crypto, cash, got 'bond'"),
        ("symbol,shares,price\nAAPL,1,0\n", "price of AAPL must be above zero, got 0"),
        ("symbol,shares,price\nAAPL,1,-3\n", "price of AAPL must be above zero, got -3"),
    ],
)
def test_a_broken_file_is_answered_with_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(StageError, match=sentence) as caught:
        read(tmp_path, text)
    assert str(caught.value).count("\n") == 0
    assert "book.holdings" in str(caught.value) or "column" in str(caught.value)


def test_a_file_that_is_no_text_is_answered(tmp_path: Path) -> None:
    (tmp_path / "holdings.csv").write_bytes(b"\xff\xfe\x00\x01PK")
    with pytest.raises(StageError, match="must be a CSV file in UTF-8"):
        read_holdings(tmp_path / "holdings.csv", KNOWN)


def test_a_file_that_is_not_there_is_a_wrong_setting(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="book.holdings must name a CSV file, got .*: no such file exists"):
        read_holdings(tmp_path / "none.csv", KNOWN)
