"""The directory's two files: every live line, every cell text, symbols as providers write them."""

import polars as pl
import pytest

from src.listings.directory import ENTRY, FILES, BadListing, entries, provider_symbol
from tests.market_case import MARKET

NASDAQ = """Symbol|Security Name|Market Category|Test Issue|Financial Status|Round Lot Size|ETF|NextShares
NA|Nano Labs Ltd - Class A Ordinary Shares|G|N|N|100|N|N
NAN|Something - Common Stock|G|N|N|100|N|N
QQQ|Invesco QQQ Trust, Series 1|G|N|N|100|Y|N
TRUE|TrueCar, Inc. - Common Stock|Q|N|N|100|N|N
ZVZZT|NASDAQ TEST STOCK|G|Y|N|100||N
File Creation Time: 0721202521:31|||||||
"""
OTHER = """ACT Symbol|Security Name|Exchange|CQS Symbol|ETF|Round Lot Size|Test Issue|NASDAQ Symbol
ABR$D|Arbor Realty Trust 6.375% Series D Preferred Stock|N|ABRpD|N|100|N|ABR-D
BRK.B|Berkshire Hathaway Inc. Common Stock|N|BRK.B|N|100|N|BRK.B
SPY|SPDR S&P 500|P|SPY|Y|100|N|SPY
ZTEST|BATS BZX Exchange Common Stock (test issue)|Z|ZTEST|N|100|Y|ZTEST
File Creation Time: 0721202521:31||||||
"""


def test_every_live_line_is_there_with_class_type_and_exchange():
    frame = entries(NASDAQ, "nasdaqlisted")
    assert frame.schema == pl.Schema(ENTRY)
    rows = frame.select("asset_class", "symbol", "type", "exchange").rows()
    assert rows == [
        ("stock", "NA", "common", "NASDAQ"),
        ("stock", "NAN", "common", "NASDAQ"),
        ("etf", "QQQ", "etf", "NASDAQ"),
        ("stock", "TRUE", "common", "NASDAQ"),
    ]
    rows = entries(OTHER, "otherlisted").select("asset_class", "symbol", "listed_as", "type", "exchange").rows()
    assert rows == [
        ("stock", "ABR-PD", "ABR$D", "preferred", "NYSE"),
        ("stock", "BRK-B", "BRK.B", "common", "NYSE"),
        ("etf", "SPY", "SPY", "etf", "NYSE Arca"),
    ]


@pytest.mark.parametrize("end", ["", "File Cre", "ZZZ|Cyber Hornet|G|N|N|100|Y|N\n"])
def test_a_file_without_its_last_line_is_cut_short_and_refused(end):
    with pytest.raises(BadListing, match="must end with a line 'File Creation Time'"):
        entries(NASDAQ.partition("File Creation")[0] + end, "nasdaqlisted")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("<html>denied</html>\nFile Creation Time: 1", "must have the columns Symbol, Security Name"),
        (NASDAQ.partition("NA|")[0] + "File Creation Time: 1", "must list securities"),
        (OTHER, "must have the columns Symbol, Market Category"),
        (NASDAQ.replace("|Q|N|N|100|N|N", ""), "must have 8 columns in every line, got 'TRUE"),
    ],
)
def test_another_format_is_refused(text, words):
    with pytest.raises(BadListing, match=words):
        entries(text, "nasdaqlisted")


SYMBOLS = [("AAPL", "AAPL"), ("BRK.B", "BRK-B"), ("ABR$D", "ABR-PD"), ("ETI$", "ETI-P"), ("AACT.W", "AACT-WT")]
SYMBOLS += [("AACT.WS", "AACT-WT"), ("XYZ.WS.A", "XYZ-WTA"), ("AACT.U", "AACT-UN"), ("CELG.R", "CELG-RI")]
SYMBOLS += [("NXG.V", "NXG-WI"), ("AKO.A", "AKO-A"), ("AACBU", "AACBU"), ("BC$A.V", "BC-PAV")]


@pytest.mark.parametrize(("listed", "ours"), SYMBOLS)
def test_symbols_are_written_as_providers_write_them(listed, ours):
    assert provider_symbol(listed) == ours


@pytest.mark.skipif(not MARKET.exists(), reason="no real directory here")
@pytest.mark.parametrize(
    ("file", "lines", "tests", "etfs"), [("nasdaqlisted", 4_973, 8, 914), ("otherlisted", 6_606, 25, 3_430)]
)
def test_a_real_file_is_read_whole(file, lines, tests, etfs):
    (path,) = (MARKET / "symbols").glob(f"{file}_*.txt")
    frame = entries(path.read_text(encoding="utf-8"), file)
    assert frame.height == lines - tests
    assert frame.select("asset_class", "symbol").is_unique().all()
    assert frame["symbol"].str.contains(r"^[A-Z]+(-[A-Z]{1,3})?$").all()
    assert frame.filter(type_source="flag").height == etfs
    assert {"NA", "TRUE"} <= set(frame["symbol"]) or file == "otherlisted"


def test_both_files_are_named():
    assert FILES == ("nasdaqlisted", "otherlisted")
