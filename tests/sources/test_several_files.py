"""Two files of one symbol: joined where they agree, set aside with both names where they don't."""

import polars as pl
import pytest

from src.config.schema import SourceConfig
from src.sources import folder
from src.sources.declaration import Selection
from tests.market_case import put, series, write
from tests.sources.test_folder import PLAIN


def batch(path, **settings):
    source = SourceConfig(kind="folder", path=str(path), asset_class="stock", **settings)
    wanted = folder.listing(source).with_columns(bucket=0)
    (found,) = folder.bars(source, Selection(wanted), path.parent / "scratch")
    return found


def test_the_same_file_twice_is_one_series_and_is_said(tmp_path):
    for name in ("a/AAA.csv", "b/AAA.csv"):
        write(PLAIN, tmp_path / "in" / name)
    found = batch(tmp_path / "in")
    assert found.bars["date"].to_list() == PLAIN["date"].to_list() and not found.unusable
    assert found.remarks["stock", "AAA"][0].text == "joined from 2 files that agree: a/AAA.csv, b/AAA.csv"


def test_files_that_share_days_and_agree_are_joined_to_the_longer_series(tmp_path):
    write(PLAIN.head(20), tmp_path / "in" / "a" / "AAA.csv")
    write(PLAIN.tail(15), tmp_path / "in" / "b" / "AAA.parquet")
    found = batch(tmp_path / "in")
    assert found.bars.sort("date")["close"].to_list() == pytest.approx(PLAIN["close"].to_list())
    assert found.bars.height == 30 and not found.unusable


def test_files_that_differ_on_a_day_are_set_aside_with_both_names_and_values(tmp_path):
    write(PLAIN.with_columns(close=pl.lit(50.0)), tmp_path / "in" / "AAA.csv")
    write(put(PLAIN.with_columns(close=pl.lit(50.0)), 3, close=51.0), tmp_path / "in" / "AAA (1).csv")
    found = batch(tmp_path / "in")
    assert found.bars.is_empty() and [t.state for t in found.unusable] == ["quarantined"]
    day = PLAIN["date"][3]
    assert f"two files differ on {day}: close is 50 in AAA.csv and 51 in AAA (1).csv" in found.unusable[0].reason


def test_two_companies_that_had_one_ticker_in_turn_are_not_joined(tmp_path):
    write(PLAIN.head(15), tmp_path / "in" / "nasdaq" / "AAA.csv")
    write(PLAIN.tail(15), tmp_path / "in" / "nyse" / "AAA.csv")
    found = batch(tmp_path / "in")
    assert found.bars.is_empty()
    reason = found.unusable[0].reason
    assert "two files have no day in common" in reason and "nasdaq/AAA.csv (" in reason and "nyse/AAA.csv (" in reason


@pytest.mark.parametrize(
    "names",
    [
        ("AAA_2015.csv", "AAA_2016.csv"),
        ("AAA/2015.csv", "AAA/2016.csv"),
        ("symbol=AAA/p-0.parquet", "symbol=AAA/p-1.parquet"),
    ],
)
def test_parts_by_their_layout_are_one_series_without_a_remark(tmp_path, names):
    write(PLAIN.head(15), tmp_path / "in" / names[0])
    write(PLAIN.tail(15), tmp_path / "in" / names[1])
    found = batch(tmp_path / "in")
    assert found.bars.height == 30 and not found.unusable and not found.remarks


def test_tables_of_years_are_one_series_and_tables_that_differ_are_not(tmp_path):
    both = pl.concat([series("AAA", n=30), series("BBB", n=30)])
    days = PLAIN["date"]
    write(both.filter(pl.col("date") <= days[14]), tmp_path / "in" / "2015.csv")
    later = both.filter(pl.col("date") >= days[14])
    far = (pl.col("symbol") == "BBB") & (pl.col("date") == days[14])
    write(later.with_columns(close=pl.when(far).then(1.0).otherwise("close")), tmp_path / "in" / "2016.csv")
    found = batch(tmp_path / "in")
    assert found.bars["symbol"].unique().to_list() == ["AAA"] and found.bars.height == 30
    assert [t.symbol for t in found.unusable] == ["BBB"] and "1 in 2016.csv and" in found.unusable[0].reason


def test_symbols_that_differ_by_case_only_are_one_symbol(tmp_path):
    write(PLAIN.head(20), tmp_path / "in" / "a" / "aaa.csv")
    write(PLAIN.tail(20), tmp_path / "in" / "b" / "AAA.csv")
    found = batch(tmp_path / "in")
    assert found.bars["symbol"].unique().to_list() == ["AAA"] and found.bars.height == 30
    write(pl.concat([series("aaa", n=20), series("AAA", n=20)]), tmp_path / "table" / "all.csv")
    found = batch(tmp_path / "table")  # other values under the other spelling
    assert [t.symbol for t in found.unusable] == ["AAA"] and "all.csv (in other letters)" in found.unusable[0].reason


def test_a_copy_that_cannot_be_read_is_said_and_costs_nothing(tmp_path):
    write(PLAIN, tmp_path / "in" / "AAA.csv")
    (tmp_path / "in" / "AAA (1).csv").write_bytes(b"")
    found = batch(tmp_path / "in")
    assert found.bars.height == 30 and not found.unusable
    assert "AAA (1).csv is empty" in found.remarks["stock", "AAA"][0].text
