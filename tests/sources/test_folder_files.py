"""A folder may hold anything: what is read, what is named as passed over, and what is left alone."""

import os
import sys
import zipfile

import polars as pl
import pytest

from src.config.schema import SourceConfig
from src.core.errors import ConfigError, StageError
from src.hydrate import hydrate
from src.sources import folder
from src.sources.files import fingerprint
from src.sources.folder_files import readable_files
from src.sources.folder_inspection import SUFFIXES
from tests.market_case import config, series, write
from tests.sources.test_folder import PLAIN, read


def names(root):
    readable, passed = readable_files(root, SUFFIXES)
    return [p.relative_to(root).as_posix() for p in readable], {p.path.name: p.reason for p in passed}


def test_hidden_files_and_what_systems_leave_behind_are_left_alone(tmp_path):
    for name in ("AAA.csv", "stocks/BBB.CSV", "x.csv/CCC.csv", "~$AAA.csv", "._AAA.csv", ".~lock.AAA.csv", "README.txt",
                 "Thumbs.db", "desktop.ini", "__MACOSX/._AAA.csv", "__MACOSX/AAA.csv", ".ipynb_checkpoints/AAA.csv",
                 "_SUCCESS"):  # fmt: skip
        write(PLAIN, tmp_path / "in" / "AAA.csv")
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_text("x", encoding="utf-8")
    assert names(tmp_path / "in") == (["AAA.csv", "stocks/BBB.CSV", "x.csv/CCC.csv"], {})


def test_files_of_other_kinds_are_named_with_what_to_do(tmp_path):
    for name in ("a.xlsx", "b.zip", "c.json", "d.csv.crdownload", "e.docx", "f", "g.tar", "h.feather"):
        (tmp_path / name).write_text("x", encoding="utf-8")
    readable, passed = names(tmp_path)
    assert readable == [] and passed == {
        "a.xlsx": "is a workbook: save its sheet as CSV UTF-8",
        "b.zip": "is an archive: unpack it",
        "c.json": "is no table of text or Parquet: save it as CSV or Parquet",
        "d.csv.crdownload": "is an unfinished download: fetch it again",
        "e.docx": "is no table of text or Parquet: save it as CSV or Parquet",
        "f": "is of a kind that is not read",
        "g.tar": "is an archive: unpack it",
        "h.feather": "is no table of text or Parquet: save it as CSV or Parquet",
    }


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege on Windows")
def test_links_are_followed_once_and_broken_ones_are_named(tmp_path):
    root, other = tmp_path / "in", tmp_path / "other"
    write(PLAIN, other / "BBB.csv")
    write(PLAIN, root / "AAA.csv")
    (root / "more").symlink_to(other)
    (root / "again").symlink_to(root)
    (other / "up").symlink_to(root)
    (root / "GONE.csv").symlink_to(tmp_path / "nowhere.csv")
    readable, passed = names(root)
    assert readable == ["AAA.csv", "more/BBB.csv"]
    assert passed == {"GONE.csv": "is a link to a file that is not there"}


@pytest.mark.skipif(os.name == "nt" or getattr(os, "geteuid", lambda: 1)() == 0, reason="root may read everything")
def test_files_that_may_not_be_opened_cost_themselves(tmp_path):
    write(PLAIN, tmp_path / "in" / "AAA.csv")
    write(PLAIN, tmp_path / "in" / "BBB.csv").chmod(0)
    _, bars, unusable = read(tmp_path / "in", asset_class="stock")
    assert bars["symbol"].unique().to_list() == ["AAA"]
    assert "BBB.csv can't be opened" in unusable[0].reason


def test_a_workbook_named_after_a_symbol_is_an_instrument_that_was_skipped(tmp_path):
    write(PLAIN, tmp_path / "in" / "stocks" / "AAA.csv")
    for name in ("AAA.xlsx", "BBB.xlsx", "My trades 2021.xlsx"):
        (tmp_path / "in" / "stocks" / name).write_text("x", encoding="utf-8")
    listed, _, unusable = read(tmp_path / "in")
    assert listed.rows() == [("stock", "AAA"), ("stock", "BBB")]
    assert [(t.symbol, t.state, t.reason) for t in unusable] == [
        ("BBB", "skipped", "BBB.xlsx is a workbook: save its sheet as CSV UTF-8")
    ]
    passed = folder.passed_over(SourceConfig(kind="folder", path=str(tmp_path / "in")))
    assert [each.path.name for each in passed] == ["AAA.xlsx", "My trades 2021.xlsx"]


def test_hydrate_counts_the_files_that_are_not_read(tmp_path):
    write(series(n=90), tmp_path / "source" / "all.parquet")
    (tmp_path / "source" / "stocks").mkdir()
    (tmp_path / "source" / "notes.docx").write_text("x", encoding="utf-8")
    (tmp_path / "source" / "download.csv").write_text(PLAIN.write_csv(), encoding="utf-8")
    line = hydrate(config(tmp_path))
    assert "1 done" in line and line.endswith("(the others are in the log)")
    assert "; 2 files not read: notes.docx is no table of text or Parquet: save it as CSV or Parquet" in line


def test_a_file_without_a_class_or_a_symbol_costs_itself_alone(tmp_path):
    write(PLAIN, tmp_path / "in" / "stocks" / "AAA.csv")
    write(PLAIN, tmp_path / "in" / "BBB.csv")
    write(PLAIN, tmp_path / "in" / "stocks" / "HistoricalData_1619012345678.csv")
    (tmp_path / "in" / "torn.parquet").write_bytes(b"PAR1")
    listed, bars, unusable = read(tmp_path / "in")
    assert listed.rows() == [("stock", "AAA")] and bars.height == 30 and not unusable
    said = {p.path.name: p.reason for p in folder.passed_over(SourceConfig(kind="folder", path=str(tmp_path / "in")))}
    assert said["BBB.csv"].startswith("does not say its asset class: set source.asset_class=stock")
    assert said["HistoricalData_1619012345678.csv"].startswith("has no column for the symbol, and neither its name")
    assert said["torn.parquet"].startswith("can't be read")


def test_a_packed_file_of_one_table_is_read_and_one_of_several_is_said(tmp_path):
    (tmp_path / "in").mkdir()
    for name, members in (("AAA.csv.zip", 1), ("BBB.csv.zip", 2)):
        with zipfile.ZipFile(tmp_path / "in" / name, "w") as archive:
            for n in range(members):
                archive.writestr(f"{n}.csv", PLAIN.write_csv())
    listed, bars, unusable = read(tmp_path / "in", asset_class="stock")
    assert listed["symbol"].to_list() == ["AAA", "BBB"] and bars.height == 30
    assert unusable[0].symbol == "BBB" and "zip of 2 files" in unusable[0].reason


def test_a_broken_table_costs_its_instruments_and_no_others(tmp_path):
    write(pl.concat([series("AAA", n=20), series("BBB", n=20)]), tmp_path / "in" / "good.csv")
    text = series("CCC", n=20).write_csv() + "stock,CCC,2015-02-03,1,1,1,one,1,1\n"
    (tmp_path / "in" / "bad.csv").write_text(text, encoding="utf-8")
    (tmp_path / "in" / "torn.parquet").write_bytes(write(series("DDD"), tmp_path / "x.parquet").read_bytes()[:-60])
    listed, bars, unusable = read(tmp_path / "in")
    assert listed["symbol"].to_list() == ["AAA", "BBB", "CCC"] and sorted(bars["symbol"].unique()) == ["AAA", "BBB"]
    assert [(t.symbol, t.state) for t in unusable] == [("CCC", "quarantined")] and "'one'" in unusable[0].reason


def test_rows_of_an_unknown_class_cost_themselves(tmp_path):
    write(pl.concat([series("AAA", n=5), series("TBOND", n=5, asset_class="bond")]), tmp_path / "in" / "all.csv")
    assert read(tmp_path / "in")[0].rows() == [("stock", "AAA")]
    write(series(n=5, asset_class="bond"), tmp_path / "other" / "all.csv")
    with pytest.raises(StageError, match="asset class must be stock, etf or crypto, got bond"):
        read(tmp_path / "other")


def test_hive_folders_are_read_part_by_part(tmp_path):
    for symbol in ("AAA", "BRK%2FB"):
        for part, rows in enumerate((PLAIN.head(10), PLAIN.tail(20))):
            write(rows, tmp_path / "in" / "asset_class=etf" / f"symbol={symbol}" / f"part-{part}.parquet")
    listed, bars, unusable = read(tmp_path / "in")
    assert listed.rows() == [("etf", "AAA"), ("etf", "BRK/B")] and not unusable
    assert bars.group_by("symbol").len().sort("symbol").rows() == [("AAA", 30), ("BRK/B", 30)]


def test_a_missing_part_is_no_hole_but_a_failed_instrument(tmp_path):
    for part in range(3):
        write(PLAIN.slice(10 * part, 10), tmp_path / "in" / "symbol=AAA" / f"part-{part}.parquet")
    (tmp_path / "in" / "symbol=AAA" / "part-1.parquet").write_bytes(b"PAR1 torn")
    _, bars, unusable = read(tmp_path / "in", asset_class="stock", keys=[("stock", "AAA")])
    assert bars.is_empty() and unusable[0].state == "failed" and "part-1.parquet" in unusable[0].reason


def test_a_path_of_an_asset_class_is_still_asked_for_when_no_file_says_one(tmp_path):
    write(PLAIN, tmp_path / "in" / "AAA.csv")
    with pytest.raises(ConfigError, match=r"source.asset_class: AAA.csv does not say its asset class"):
        read(tmp_path / "in")


@pytest.mark.skipif(os.name == "nt" or sys.platform == "darwin", reason="names are text there")
def test_a_name_that_is_no_text_is_passed_over(tmp_path):
    write(PLAIN, tmp_path / "in" / "AAA.csv")
    (tmp_path / "in" / os.fsdecode(b"\xff.csv")).write_bytes(b"x")
    assert read(tmp_path / "in", asset_class="stock")[0]["symbol"].to_list() == ["AAA"]
    (passed,) = folder.passed_over(SourceConfig(kind="folder", path=str(tmp_path / "in"), asset_class="stock"))
    assert str(passed) == "\\udcff.csv has a name that is no text: rename it"


def test_moving_a_file_to_another_class_or_hive_folder_is_a_change_and_moving_the_whole_folder_is_none(tmp_path):
    prints = []
    for root, name in (("a", "symbol=X/p.csv"), ("b", "symbol=X/p.csv"), ("b", "symbol=Y/p.csv"), ("b", "etfs/p.csv")):
        path = tmp_path / root / name
        write(PLAIN, path)
        prints.append(fingerprint([path], {}, tmp_path / root))
    assert prints[0] == prints[1] and len(set(prints)) == 3
