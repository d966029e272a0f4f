"""Files of one's own: tables and single files, their columns, dates and faults."""

import gzip

import polars as pl
import pytest

from src.config.schema import SourceConfig
from src.core.errors import ConfigError, StageError
from src.sources import folder
from src.sources.declaration import Selection
from tests.market_case import series, write


def read(path, keys=None, interval="1d", **settings):
    """Listing and rows (and unusable instruments) of a source in one bucket."""
    source = SourceConfig(kind="folder", path=str(path), **settings)
    listed = folder.listing(source)
    wanted = listed if keys is None else pl.DataFrame(keys, schema=["asset_class", "symbol"], orient="row")
    batches = list(folder.bars(source, Selection(wanted.with_columns(bucket=0), interval), path.parent / "scratch"))
    assert len(batches) == 1 and not (path.parent / "scratch").exists()
    return listed, batches[0].bars, batches[0].unusable


def csv(path, frame):
    return write(frame, path)


PLAIN = series(n=30).drop("asset_class", "symbol", "adj_close")


@pytest.mark.parametrize("name", ["all.parquet", "all.csv"])
def test_one_file_of_all_instruments_is_split_by_bucket(tmp_path, name):
    frame = pl.concat([series("AAA", n=30), series("NEAR", n=20), series("NEAR", n=25, asset_class="crypto")])
    write(frame, tmp_path / "in" / name)
    source = SourceConfig(kind="folder", path=str(tmp_path / "in" / name))
    wanted = folder.listing(source).with_columns(bucket=pl.Series([2, 0, 2]))
    batches = list(folder.bars(source, Selection(wanted), tmp_path / "scratch"))
    assert [b.bucket for b in batches] == [0, 2]
    assert batches[0].bars.select("asset_class", "symbol").unique().rows() == [("stock", "AAA")]
    read_columns = [*frame.columns[:7], "adj_close", "volume", "split", "dividend", "capital_gain", "unadjusted_close"]
    assert batches[1].bars.height == 45 and batches[1].bars.columns == read_columns
    got = pl.concat([b.bars for b in batches]).sort("asset_class", "symbol", "date")
    assert got.select(frame.columns).equals(frame.sort("asset_class", "symbol", "date"))


def test_one_file_an_instrument_takes_symbol_and_class_from_its_path(tmp_path):
    for name in ("stocks/AAA.csv", "etfs/SPY.parquet", "crypto/BTC-USD.csv", "stocks/PRN_.csv"):
        write(PLAIN, tmp_path / "in" / name)
    listed, bars, unusable = read(tmp_path / "in")
    assert listed.rows() == [("crypto", "BTC-USD"), ("etf", "SPY"), ("stock", "AAA"), ("stock", "PRN")]
    assert bars.height == 120 and not unusable


def test_gzipped_csv_and_other_separators_are_read(tmp_path):
    path = tmp_path / "in" / "AAA.csv.gz"
    path.parent.mkdir()
    path.write_bytes(gzip.compress(PLAIN.write_csv(separator=";").encode("utf-8-sig")))
    _, bars, _ = read(tmp_path / "in", asset_class="stock")
    assert bars["close"].to_list() == PLAIN["close"].to_list() and bars["symbol"][0] == "AAA"


def test_symbols_such_as_na_true_and_1e5_stay_text(tmp_path):
    names = ["NA", "NAN", "TRUE", "1E5", "null", "INF"]
    write(pl.concat([series(s, n=3) for s in names]), tmp_path / "all.csv")
    listed, bars, _ = read(tmp_path / "all.csv")
    assert listed["symbol"].to_list() == sorted(names) and bars.height == 18
    for name in ("TRUE", "1E5", "007"):
        write(series(name, n=3), tmp_path / f"{name}.csv")
        assert read(tmp_path / f"{name}.csv")[0].rows() == [("stock", name)]


def test_usual_column_names_are_known_and_others_are_named_in_the_config(tmp_path):
    yahoo = PLAIN.rename(
        {"date": "Date", "open": "Open", "high": "High", "low": "Low", "close": "Close*", "volume": "Volume"}
    )
    write(yahoo.with_columns(pl.col("Close*").alias("Adj Close")), tmp_path / "a" / "AAA.csv")
    assert read(tmp_path / "a", asset_class="stock")[1]["adj_close"].null_count() == 0
    write(PLAIN.rename({"close": "Last"}), tmp_path / "b" / "AAA.csv")
    assert read(tmp_path / "b", asset_class="stock", columns={"close": "Last"})[1]["close"].null_count() == 0


def test_a_missing_column_is_named_with_what_there_is_and_the_remedy(tmp_path):
    write(PLAIN.rename({"close": "closing"}), tmp_path / "in" / "AAA.csv")
    with pytest.raises(StageError) as error:
        read(tmp_path / "in", asset_class="stock")
    assert "AAA.csv has no column for close" in str(error.value)
    assert "it has: date, open, high, low, closing, volume" in str(error.value)
    assert '"source.columns.close=closing"' in str(error.value)
    write(PLAIN.rename({"close": "Letzter"}).with_columns(adj_close=pl.lit(1.0)), tmp_path / "other" / "AAA.csv")
    with pytest.raises(StageError, match='name it with "source.columns.close=<column>"'):
        read(tmp_path / "other", asset_class="stock")  # adj_close is another price, and no proposal for the close


def test_a_column_named_in_the_config_that_is_not_there_is_refused(tmp_path):
    write(PLAIN, tmp_path / "in" / "AAA.csv")
    with pytest.raises(StageError, match=r"source.columns.close=Last: AAA.csv has no such column; it has: date, open"):
        read(tmp_path / "in", asset_class="stock", columns={"close": "Last"})
    with pytest.raises(StageError, match=r"source.columns: there is no column closing to name"):
        read(tmp_path / "in", asset_class="stock", columns={"closing": "close"})


def test_one_bad_file_among_good_ones_is_one_failed_instrument(tmp_path):
    write(PLAIN, tmp_path / "in" / "AAA.csv")
    write(PLAIN.drop("volume"), tmp_path / "in" / "BBB.csv")
    (tmp_path / "in" / "CCC.csv").write_bytes(b"")
    whole = write(PLAIN, tmp_path / "in" / "DDD.parquet").read_bytes()
    (tmp_path / "in" / "DDD.parquet").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "in" / "EEE.csv").write_text(
        "date,open,high,low,close,volume\n2020-01-02,1,1\n2020-01-03,1,1,1,1,1,1,1\n", encoding="utf-8"
    )
    listed, bars, unusable = read(tmp_path / "in", asset_class="stock")
    assert listed.height == 5 and bars["symbol"].unique().to_list() == ["AAA"]
    said = {t.symbol: (t.state, t.reason) for t in unusable}
    assert said["BBB"][0] == "failed" and "has no column for volume" in said["BBB"][1]
    assert said["CCC"] == ("quarantined", "CCC.csv is empty")
    assert said["DDD"][0] == "failed" and "can't be read" in said["DDD"][1] and "truncated" in said["DDD"][1]
    assert said["EEE"] == (
        "quarantined",
        "EEE.csv line 2 has 3 cells, the header 6: mend the line (2 lines like this)",
    )


def test_a_truncated_table_is_a_clear_error(tmp_path):
    path = write(series(n=300), tmp_path / "all.parquet")
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(StageError, match=r"all.parquet can't be read .*truncated"):
        read(path)


def test_a_damaged_page_inside_a_table_costs_the_tables_instruments_and_no_others(tmp_path):
    path = write(series(n=5_000), tmp_path / "in" / "all.parquet")
    content = bytearray(path.read_bytes())
    content[2000:4000] = bytes(2000)
    path.write_bytes(bytes(content))
    write(PLAIN, tmp_path / "in" / "BBB.csv")
    listed, bars, unusable = read(tmp_path / "in", asset_class="stock")
    assert listed["symbol"].to_list() == ["AAA", "BBB"] and bars["symbol"].unique().to_list() == ["BBB"]
    assert [(t.symbol, t.state) for t in unusable] == [("AAA", "failed")]
    assert "all.parquet can't be read" in unusable[0].reason


def test_an_empty_folder_and_a_missing_path_are_clear_errors(tmp_path):
    (tmp_path / "in").mkdir()
    with pytest.raises(StageError, match=r"holds nothing and no \.parquet"):
        read(tmp_path / "in")
    (tmp_path / "in" / "notes.docx").write_text("x", encoding="utf-8")
    with pytest.raises(StageError, match=r"holds 1 files of other kinds"):
        read(tmp_path / "in")
    with pytest.raises(ConfigError, match=r"source.path: there is no "):
        read(tmp_path / "elsewhere")


def test_a_file_that_says_no_asset_class_asks_for_it(tmp_path):
    write(PLAIN, tmp_path / "in" / "AAA.csv")
    with pytest.raises(ConfigError, match=r"source.asset_class: AAA.csv does not say its asset class"):
        read(tmp_path / "in")


def test_an_unknown_asset_class_in_a_column_is_refused(tmp_path):
    write(series(n=5).with_columns(asset_class=pl.lit("bond")), tmp_path / "all.csv")
    with pytest.raises(StageError, match="asset class must be stock, etf or crypto, got bond"):
        read(tmp_path / "all.csv")


def test_text_in_latin_1_and_utf_16_is_read(tmp_path):
    lines = ["name," + line for line in series(n=5).write_csv().splitlines()]
    (tmp_path / "latin.csv").write_bytes("\n".join(lines).replace("name,stock", "Société,stock").encode("latin-1"))
    assert read(tmp_path / "latin.csv")[1].height == 5
    (tmp_path / "wide.csv").write_bytes(series(n=5).write_csv().encode("utf-16"))
    assert read(tmp_path / "wide.csv")[1].height == 5


@pytest.mark.parametrize(
    "form",
    [
        "%Y-%m-%d",
        "%Y%m%d",
        "%Y/%m/%d",
        "%d.%m.%Y",
        "%m/%d/%Y",
        "%d/%m/%Y",
        "%Y-%m-%d %H:%M:%S",
        "%Y-%m-%dT%H:%M:%SZ",
        "%Y-%m-%d 00:00:00-05:00",
    ],
)
def test_dates_are_read_however_they_are_written(tmp_path, form):
    frame = PLAIN.with_columns(pl.col("date").cast(pl.Datetime).dt.strftime(form))
    write(frame, tmp_path / "in" / "AAA.csv")
    _, bars, _ = read(tmp_path / "in", asset_class="stock")
    assert bars["date"].to_list() == PLAIN["date"].to_list()


@pytest.mark.parametrize(
    "make",
    [
        lambda d: d.dt.strftime("%Y%m%d").cast(pl.Int64),
        lambda d: d.dt.epoch("s"),
        lambda d: d.dt.epoch("ms"),
        lambda d: d.cast(pl.Datetime("ns")),
    ],
)
def test_dates_may_be_numbers_or_timestamps(tmp_path, make):
    write(PLAIN.with_columns(make(pl.col("date"))), tmp_path / "in" / "AAA.parquet")
    _, bars, _ = read(tmp_path / "in", asset_class="stock")
    assert bars["date"].to_list() == PLAIN["date"].to_list()


def test_a_day_that_may_be_a_month_and_an_unreadable_date_are_said(tmp_path):
    for name, text in (("AAA", "01/02/2020"), ("BBB", "soon")):
        row = f"date,open,high,low,close,volume\n{text},1,1,1,1,1\n"
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / "in" / f"{name}.csv").write_text(row, encoding="utf-8")
    _, _, unusable = read(tmp_path / "in", asset_class="stock")
    said = {t.symbol: t.reason for t in unusable}
    assert "reads '01/02/2020': day or month first?" in said["AAA"]
    assert "reads 'soon', which is not a date: write YYYY-MM-DD" in said["BBB"]


def test_intraday_bars_carry_utc_timestamps(tmp_path):
    text = "date,open,high,low,close,volume\n2024-01-02T09:30:00-05:00,1,1,1,1,1\n2024-07-02T09:30:00-04:00,1,1,1,1,1\n"
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "AAA.csv").write_text(text, encoding="utf-8")
    _, bars, unusable = read(tmp_path / "in", asset_class="stock", interval="1h")
    assert not unusable and bars.schema["date"] == pl.Datetime("us", "UTC")
    assert bars["date"].dt.strftime("%F %H:%M").to_list() == ["2024-01-02 14:30", "2024-07-02 13:30"]
