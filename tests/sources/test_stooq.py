"""Stooq's bulk layout, unpacked or zipped."""

import shutil

import polars as pl
import pytest

from src.config.schema import SourceConfig
from src.core.errors import StageError
from src.sources import stooq
from src.sources.declaration import Selection
from tests.market_case import MARKET

HEAD = "<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>,<OPENINT>\n"
ROW = "X.US,D,20240102,000000,10.5,11,10,10.75,1234.5,0\n"


def archive(tmp_path, **files):
    root = tmp_path / "in"
    for name, text in files.items():
        path = root / "data" / "daily" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="")
    return root


FILES = {
    "us/nasdaq stocks/1/aapl.us.txt": HEAD + ROW,
    "us/nyse stocks/2/brk-b.us.txt": HEAD + ROW + ROW.replace("20240102", "20240103"),
    "us/nyse etfs/spy.us.txt": (HEAD + ROW).replace("\n", "\r\n"),
    "world/cryptocurrencies/btc.v.txt": HEAD + ROW,
    "world/indices/^spx.txt": HEAD + ROW,
    "us/nasdaq etfs/none.us.txt": "",
    "us/nasdaq etfs/head.us.txt": HEAD,
    "us/nasdaq etfs/odd.us.txt": "date,close\n2024-01-02,1\n",
}


def read(path):
    source = SourceConfig(kind="stooq", path=str(path))
    listed = stooq.listing(source)
    (batch,) = stooq.bars(source, Selection(listed.with_columns(bucket=0)), path.parent / "scratch")
    return listed, batch.bars, {t.symbol: (t.state, t.reason) for t in batch.unusable}


@pytest.mark.parametrize("zipped", [False, True])
def test_the_archive_is_read_as_folder_and_as_zip(tmp_path, zipped):
    path = archive(tmp_path, **FILES)
    path = tmp_path / "d_us_txt.zip" if zipped else path
    if zipped:
        shutil.make_archive(str(tmp_path / "d_us_txt"), "zip", tmp_path / "in")
    listed, bars, unusable = read(path)
    assert listed.rows() == [
        ("crypto", "BTC"),
        ("etf", "HEAD"),
        ("etf", "NONE"),
        ("etf", "ODD"),
        ("etf", "SPY"),
        ("stock", "AAPL"),
        ("stock", "BRK-B"),
    ]
    assert bars.group_by("symbol").len().sort("symbol").rows() == [("AAPL", 1), ("BRK-B", 2), ("BTC", 1), ("SPY", 1)]
    first = bars.filter(pl.col("symbol") == "SPY").row(0, named=True)
    assert (str(first["date"]), first["open"], first["close"], first["volume"]) == ("2024-01-02", 10.5, 10.75, 1234.5)
    assert unusable["NONE"] == ("quarantined", "none.us.txt is empty")
    assert unusable["HEAD"] == ("quarantined", "head.us.txt has a header and no rows")
    assert unusable["ODD"][0] == "failed" and "is not in Stooq's layout" in unusable["ODD"][1]


def test_a_file_cut_off_in_a_row_loses_that_row_only(tmp_path):
    path = archive(tmp_path, **{"us/nasdaq stocks/a.us.txt": HEAD + ROW + "X.US,D,202401"})
    _, bars, unusable = read(path)
    assert not unusable and bars["date"].is_null().to_list() == [False, True]


def test_two_files_of_one_symbol_are_joined_where_they_agree_and_said_where_they_differ(tmp_path):
    other = ROW.replace("10.75", "10.5")
    files = {
        "us/nasdaq stocks/1/aaa.us.txt": HEAD + ROW,
        "us/nyse stocks/1/aaa.us.txt": HEAD + ROW + ROW.replace("20240102", "20240103"),
        "us/nasdaq stocks/1/sap.us.txt": HEAD + ROW,
        "de/xetra stocks/sap.de.txt": HEAD + other,
    }
    _, bars, unusable = read(archive(tmp_path, **files))
    assert bars["symbol"].to_list() == ["AAA", "AAA"]
    state, reason = unusable["SAP"]
    assert state == "quarantined"
    assert "10.5 in de/xetra stocks/sap.de.txt and 10.75 in nasdaq stocks/1/sap.us.txt" in reason


def test_a_cell_that_is_no_number_is_named_and_an_empty_one_is_missing(tmp_path):
    files = {
        "us/nasdaq stocks/bad.us.txt": HEAD + ROW + ROW.replace("10.75", "10,75x").replace(",75x", "x"),
        "us/nasdaq stocks/gap.us.txt": HEAD + ROW.replace("10.75", ""),
        "us/nasdaq stocks/GOOD.US.TXT": HEAD + ROW,
        "__MACOSX/us/nasdaq stocks/._good.us.txt": "x",
    }
    _, bars, unusable = read(archive(tmp_path, **files))
    assert sorted(bars["symbol"]) == ["GAP", "GOOD"]
    assert unusable["BAD"] == (
        "quarantined",
        "bad.us.txt line 3, column <CLOSE>: '10x' is no number: download the archive again",
    )


def test_an_incomplete_zip_and_a_folder_of_something_else_are_clear_errors(tmp_path):
    archive(tmp_path, **FILES)
    shutil.make_archive(str(tmp_path / "d_us_txt"), "zip", tmp_path / "in")
    path = tmp_path / "d_us_txt.zip"
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(StageError, match="is not a complete zip: download it again"):
        read(path)
    (tmp_path / "other").mkdir()
    with pytest.raises(StageError, match=r"holds no \.txt file of Stooq's layout"):
        read(tmp_path / "other")
    with pytest.raises(StageError, match="names stocks, etfs or cryptocurrencies"):
        read(archive(tmp_path / "x", **{"world/indices/^spx.txt": HEAD + ROW}))


@pytest.mark.skipif(not (MARKET / "stooq").is_dir(), reason="the shared market files are not at hand")
def test_the_shared_files_are_read_and_the_empty_one_is_said():
    listed, bars, unusable = read(MARKET / "stooq")
    assert listed.height == 13 and unusable == {"RNLC": ("quarantined", "rnlc.us.txt is empty")}
    assert bars.height == 54_452 - 12 and bars.null_count().sum_horizontal()[0] == 0


def test_what_another_source_lists_and_the_archive_lacks_has_no_rows(tmp_path):
    source = SourceConfig(kind="stooq", path=str(archive(tmp_path, **FILES)))
    keys = [("stock", "AAPL", 0), ("stock", "LATER", 0), ("stock", "NEW", 1)]
    wanted = pl.DataFrame(keys, schema=["asset_class", "symbol", "bucket"], orient="row")
    batches = list(stooq.bars(source, Selection(wanted), tmp_path / "scratch"))
    assert [(b.bucket, b.bars["symbol"].to_list(), b.unusable) for b in batches] == [(0, ["AAPL"], []), (1, [], [])]
