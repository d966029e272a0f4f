"""The table of bars and its store: keys, shards, hashes."""

import datetime as dt
import os

import polars as pl
import pytest

from src.market import bars
from src.market.bars import BarStore, Manifest, bucket, content_hash, tradable


def table(symbol: str = "AAA", n: int = 600, first: str = "2019-06-03", asset_class: str = "stock") -> pl.DataFrame:
    dates = pl.date_range(dt.date.fromisoformat(first), dt.date(2030, 1, 1), eager=True)
    dates = dates.filter(dates.dt.weekday() < 6).head(n)
    price = pl.Series([100.0 + i % 7 for i in range(n)])
    columns = {name: price for name in ("open", "high", "low", "close")}
    frame = pl.DataFrame({"date": dates, **columns, "volume": 1000.0, "factor": 1.0})
    frame = frame.with_columns(asset_class=pl.lit(asset_class), symbol=pl.lit(symbol), repaired=False)
    return frame.with_columns(split=pl.lit(None, pl.Float64)).select(bars.SCHEMA.keys())


def test_bucket_is_pinned_for_ever():
    assert [bucket("stock", "AAPL", 64), bucket("etf", "SPY", 64), bucket("crypto", "BTC-USD", 64)] == [1, 29, 51]


def test_bucket_keeps_the_same_ticker_of_two_classes_apart_and_spreads_evenly():
    assert bucket("stock", "NEAR", 1024) != bucket("crypto", "NEAR", 1024)
    counts = [0] * 16
    for i in range(16_000):
        counts[bucket("stock", f"S{i}", 16)] += 1
    assert min(counts) > 880 and max(counts) < 1120


def test_a_bar_trades_with_an_open_a_close_and_volume_and_null_counts_as_no():
    frame = pl.DataFrame({"open": [1.0, 0.0, 1.0, 1.0, None], "close": [1.0] * 5, "volume": [1.0, 1.0, 0.0, None, 1.0]})
    assert frame.select(tradable(frame)).to_series().to_list() == [True, False, False, False, False]


def test_written_bars_come_back_sorted_and_years_have_files_of_their_own(tmp_path):
    store = BarStore(tmp_path)
    frame = pl.concat([table("BBB"), table("AAA"), table("AAA", asset_class="etf")])
    store.write_bucket(3, frame.sample(fraction=1, shuffle=True, seed=1))
    assert store.read_bucket(3).equals(frame.sort("asset_class", "symbol", "date"))
    assert sorted(p.name for p in tmp_path.glob("*.parquet")) == [f"b003-{y}.parquet" for y in (2019, 2020, 2021)]
    one = store.read_bucket(3, columns=["close", "symbol"], symbols=[("etf", "AAA")])
    assert one.columns == ["close", "symbol"] and one.height == 600


def test_an_absent_bucket_reads_as_an_empty_table_of_the_right_types(tmp_path):
    assert BarStore(tmp_path).read_bucket(5).schema == pl.Schema(bars.SCHEMA)


def test_only_the_shard_of_a_changed_year_is_rewritten(tmp_path):
    store = BarStore(tmp_path)
    store.write_bucket(0, table())
    for path in tmp_path.glob("*.parquet"):
        os.utime(path, (1, 1))
    longer = table(n=610)
    store.write_bucket(0, longer)
    rewritten = [p.name for p in tmp_path.glob("*.parquet") if p.stat().st_mtime > 1]
    assert rewritten == ["b000-2021.parquet"]
    assert store.read_bucket(0).equals(longer)


def test_a_year_that_is_gone_loses_its_shard(tmp_path):
    store = BarStore(tmp_path)
    store.write_bucket(0, table())
    store.write_bucket(0, table(n=100))
    assert [p.name for p in tmp_path.glob("*.parquet")] == ["b000-2019.parquet"]


def test_a_damaged_shard_is_written_again(tmp_path):
    store = BarStore(tmp_path)
    store.write_bucket(0, table())
    (tmp_path / "b000-2020.parquet").write_bytes(b"PAR1 nonsense")
    store.write_bucket(0, table())
    assert store.read_bucket(0).equals(table())


def test_a_bar_that_stands_twice_is_refused(tmp_path):
    with pytest.raises(ValueError, match="occurs twice"):
        BarStore(tmp_path).write_bucket(0, pl.concat([table(n=5), table(n=1)]))


def test_later_bars_and_marks_of_repair_leave_the_hash_up_to_a_date_alone():
    short, long = table(n=300), table(n=600)
    until = short["date"].max()
    assert content_hash(short) == content_hash(long, until)
    assert content_hash(long) != content_hash(short)
    assert content_hash(short.with_columns(repaired=True)) == content_hash(short)


@pytest.mark.parametrize("column", ["open", "high", "low", "close", "volume", "factor"])
def test_one_changed_value_changes_the_hash(column):
    frame = table(n=300)
    changed = frame.with_columns(pl.when(pl.col("date") == frame["date"][7]).then(1.5).otherwise(column).alias(column))
    assert content_hash(changed) != content_hash(frame)


def test_the_hash_of_known_bars_is_pinned_for_ever():
    assert content_hash(table(n=3)) == "e9b360e668e8f9096a54b5d3df2b93ea"


def test_the_manifest_survives_and_is_left_alone_where_it_says_the_same(tmp_path):
    store = BarStore(tmp_path)
    assert not store.exists()
    manifest = Manifest("demo", "1d", "simulated", "", "auto", 4, None, "f", "j", False, [["stock", "A"]])
    store.write_manifest(manifest)
    os.utime(tmp_path / "manifest.json", (1, 1))
    store.write_manifest(manifest)
    assert store.manifest == manifest and (tmp_path / "manifest.json").stat().st_mtime == 1


def test_the_panel_is_empty_until_it_is_pinned(tmp_path):
    store = BarStore(tmp_path)
    assert store.panel() == []
    store.write_panel([("etf", "SPY"), ("stock", "NA")])
    assert store.panel() == [("etf", "SPY"), ("stock", "NA")]
