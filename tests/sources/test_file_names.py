"""Symbols, classes and days from the names of files and folders."""

import datetime as dt
from pathlib import Path

import pytest

from src.sources.file_names import named_files
from src.sources.folder_inspection import SUFFIXES

ROOT = Path("/in")


def named(*names):
    return {str(f.path.relative_to(ROOT).as_posix()): f for f in named_files([ROOT / n for n in names], ROOT, SUFFIXES)}


def symbol(name):
    return named(name)[name].symbol


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("AAPL.csv", "AAPL"),
        ("MSFT.CSV", "MSFT"),
        ("AAPL.csv.gz", "AAPL"),
        ("aapl.us.txt", "aapl.us"),
        ("BTC-USD.csv", "BTC-USD"),
        ("BRK.B.csv", "BRK.B"),
        ("BRK_B.csv", "BRK_B"),
        ("PRN_.csv", "PRN"),
        ("0700.HK.csv", "0700.HK"),
        ("7203.csv", "7203"),
        ("1999.csv", "1999"),
        ("1E5.csv", "1E5"),
        ("NA.csv", "NA"),
        ("ES-2024.csv", "ES-2024"),
        ("A_1.csv", "A_1"),
        ("ZZA[1].csv", "ZZA[1]"),
        ("ZZA (1).csv", "ZZA (1)"),
        ("AAPL_daily.csv", "AAPL"),
        ("AAPL_2010_2020.csv", "AAPL"),
        ("AAPL_2010-01-01_2020-12-31.csv", "AAPL"),
        ("AAPL-2010-01-01-to-2020-12-31.csv", "AAPL"),
        ("aapl_us_d.csv", "aapl"),
        ("AAPL Historical Data.csv", "AAPL"),
        ("BTCUSDT-1d-2021-01.csv", "BTCUSDT"),
        ("XBTUSD_1440.csv", "XBTUSD"),
        ("AAPL_Daily_202001020000_202312290000.csv", "AAPL"),
        ("daily_adjusted_IBM.csv", "IBM"),
        ("Download Data - STOCK_US_XNAS_AAPL.csv", "AAPL"),
        ("NASDAQ_AAPL, 1D.csv", "AAPL"),
        ("HistoricalData_1619012345678.csv", ""),
        ("HistoricalPrices.csv", ""),
        ("download.csv", ""),
        ("2021-01-04.csv", ""),
    ],
)
def test_the_symbol_of_a_name(name, expected):
    assert symbol(name) == expected


def test_copies_are_files_of_the_symbol_that_lies_beside_them_and_names_of_their_own_otherwise():
    copies = ("ZZA[1].csv", "ZZA (1).csv", "ZZA - Copy.csv", "ZZA - Copy (2).csv", "ZZA 2.csv", "ZZA copy.csv")
    assert {f.symbol for f in named("ZZA.csv", *copies).values()} == {"ZZA"}
    assert {f.symbol for f in named("ZZB.csv", *copies).values()} == {"ZZB", *(Path(c).stem for c in copies)}


def test_files_of_two_intervals_keep_their_whole_names():
    found = named("GE_1d.csv", "GE_1h.csv", "IBM_1d.csv")
    assert [f.symbol for f in found.values()] == ["GE_1d", "GE_1h", "IBM"]


def test_hive_folders_name_symbol_class_and_day():
    name = "asset_class=etf/Symbol=BRK%2FB/year=2021/part-0.parquet"
    file = named(name)[name]
    assert (file.symbol, file.asset_class, file.day, file.is_part) == ("BRK/B", "etf", None, True)
    name = "date=2021-01-04/part-0.parquet"
    file = named(name)[name]
    assert (file.symbol, file.day) == ("", dt.date(2021, 1, 4))
    assert symbol("symbol=__HIVE_DEFAULT_PARTITION__/part-0.parquet") == ""


def test_a_folder_names_the_symbol_of_parts_and_of_nothing_else():
    found = named(
        "ZZA/2020.csv", "ZZA/2021.csv", "ZZB/2021.csv", "ZZC/daily.csv", "ZZD.csv/part-00000-ab12.csv",
        "ZZE/2021-01.csv", "ZZE/2021-02.csv", "daily/ZZF.csv", "hk/0700.csv", "hk/1999.csv", "stocks/nasdaq/ZZG.csv",
    )  # fmt: skip
    assert [f.symbol for f in found.values()] == [
        "ZZA", "ZZA", "ZZB", "ZZC", "ZZD", "ZZE", "ZZE", "ZZF", "0700", "1999", "ZZG",
    ]  # fmt: skip
    assert found["stocks/nasdaq/ZZG.csv"].asset_class == "stock" and not found["daily/ZZF.csv"].is_part


def test_a_name_holds_a_day_only_if_it_holds_one():
    days = {name: f.day for name, f in named("2021-01-04.csv", "NYSE_20210104.csv", "a_20210104_20210105.csv").items()}
    assert list(days.values()) == [dt.date(2021, 1, 4), dt.date(2021, 1, 4), None]
    assert named("x_20211304.csv")["x_20211304.csv"].day is None
