"""Files as vendors and libraries write them: read as they are, or refused with what to type."""

import polars as pl
import pytest

from src.core.errors import StageError
from tests.sources.layout_case import (
    ADJ,
    CLOSE,
    DAYS,
    HIGH,
    LAYOUTS,
    LOW,
    OPEN,
    TABLES,
    VALUES,
    VOLUME,
    frame,
    lines,
    yfinance,
)
from tests.sources.test_folder import read

PLAIN = "Date,Open,High,Low,Close,Volume"


def stored(folder, text, name="AAA.csv"):
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8", newline="")
    return folder


def agree(bars, factor=1):
    bars = bars.sort("date")
    assert bars["date"].to_list() == DAYS
    for name in ("open", "high", "low", "close"):
        assert bars[name].to_list() == pytest.approx([factor * value for value in VALUES[name]])
    assert bars["volume"].to_list() == pytest.approx(VOLUME)


@pytest.mark.parametrize("vendor", LAYOUTS)
def test_a_file_of_one_instrument_is_read_as_its_vendor_writes_it(tmp_path, vendor):
    listed, bars, unusable = read(stored(tmp_path / "in", LAYOUTS[vendor]), asset_class="crypto", time_zone="UTC")
    assert not unusable and listed.rows() == [("crypto", "AAA")]
    agree(bars)


@pytest.mark.parametrize("vendor", TABLES)
def test_a_table_is_read_as_its_vendor_writes_it(tmp_path, vendor):
    listed, bars, unusable = read(stored(tmp_path / "in", TABLES[vendor], "2021.csv"), asset_class="stock")
    assert not unusable and listed.rows() == [("stock", "AAA")]
    agree(bars)


def test_events_between_the_bars_of_yahoos_page_are_used_and_are_no_bars(tmp_path):
    _, bars, _ = read(stored(tmp_path / "in", LAYOUTS["Yahoo's page"]), asset_class="stock")
    bars = bars.sort("date")
    assert bars["adj_close"].to_list() == pytest.approx(ADJ)
    assert dict(bars.filter(pl.col("dividend").is_not_null()).select("date", "dividend").iter_rows()) == {DAYS[4]: 0.24}
    assert dict(bars.filter(pl.col("split").is_not_null()).select("date", "split").iter_rows()) == {DAYS[7]: 2.0}


def test_an_event_on_a_day_without_a_bar_is_named_with_its_line(tmp_path):
    text = LAYOUTS["Yahoo's page"] + '"Jan 02, 2021",0.30 Dividend,,,,,\n'
    _, bars, unusable = read(stored(tmp_path / "in", text), asset_class="stock")
    assert bars.is_empty() and unusable[0].state == "quarantined"
    assert "AAA.csv line 14: '0.30 Dividend' is an event that can't be read or has no bar" in unusable[0].reason


SIDE_BY_SIDE = {
    "fields first": yfinance("AAA", "BBB"),
    "tickers first": yfinance("AAA", "BBB", group="ticker", names=("Ticker", "Price")),
    "an older release": yfinance("AAA", "BBB", names=("", "")),
    "an older release, tickers first": yfinance("AAA", "BBB", group="ticker", names=("", "")),
    "without an index": yfinance("AAA", "BBB", names=("Date", ""), third=""),
    "names joined, field first": yfinance("AAA", "BBB", names=("Date", ""), third="").replace("\n", "§", 1),
    "names joined, ticker first": yfinance("AAA", "BBB", names=("Date", ""), third="").replace("\n", "§", 1),
    "names in pairs": yfinance("AAA", "BBB", names=("", ""), third="").replace("\n", "§", 1),
}


def joined(text, form):
    """The two lines of a header as one."""
    first, second = text.split("\n", 1)[0].split("§")
    pattern = {"names joined, field first": "{0}_{1}", "names joined, ticker first": "{1} {0}"}.get(
        form, "\"('{0}', '{1}')\""
    )
    pairs = zip(first.split(","), second.split(","), strict=True)
    cells = [pattern.format(field, ticker) if ticker else "Date" for field, ticker in pairs]
    return ",".join(cells) + "\n" + text.split("\n", 1)[1]


@pytest.mark.parametrize("form", SIDE_BY_SIDE)
def test_instruments_side_by_side_are_several_instruments(tmp_path, form):
    text = SIDE_BY_SIDE[form]
    text = joined(text, form) if "§" in text else text
    listed, bars, unusable = read(stored(tmp_path / "in", text, "download.csv"), asset_class="stock")
    assert not unusable and listed["symbol"].to_list() == ["AAA", "BBB"]
    agree(bars.filter(pl.col("symbol") == "AAA"))
    agree(bars.filter(pl.col("symbol") == "BBB"), factor=2)


def test_the_columns_of_one_ticker_in_two_lines_are_one_instrument(tmp_path):
    listed, bars, _ = read(
        stored(tmp_path / "in", yfinance("AAA"), "x.csv"), asset_class="stock", columns={"date": "Price"}
    )
    assert listed["symbol"].to_list() == ["AAA"]
    agree(bars)


def test_days_on_which_only_the_neighbour_has_a_bar_are_no_bars(tmp_path):
    late = yfinance("AAA", "BBB", cells=lambda i, ticker, value: "" if ticker == "BBB" and i < 4 else str(value))
    _, bars, _ = read(stored(tmp_path / "in", late, "x.csv"), asset_class="stock")
    assert bars.filter(pl.col("symbol") == "BBB")["date"].to_list() == DAYS[4:]
    agree(bars.filter(pl.col("symbol") == "AAA"))


def test_parquet_of_pandas_is_read_with_its_index_and_its_pairs_of_names(tmp_path):
    (tmp_path / "a").mkdir()
    frame().rename({"date": "__index_level_0__", "close": "Close"}).write_parquet(tmp_path / "a" / "AAA.parquet")
    agree(read(tmp_path / "a", asset_class="stock")[1])
    (tmp_path / "b").mkdir()
    names = {name: f"('{name.title()}', 'BBB')" for name in ("open", "high", "low", "close", "volume")}
    frame().drop("adj_close").rename(names | {"date": "Date"}).write_parquet(tmp_path / "b" / "x.parquet")
    listed, bars, _ = read(tmp_path / "b", asset_class="stock")
    assert listed["symbol"].to_list() == ["BBB"]
    agree(bars)


def test_columns_of_events_and_of_unadjusted_prices_are_passed_on(tmp_path):
    for vendor, header, values in (
        ("tiingo", "date,close,high,low,open,volume,adjClose,divCash,splitFactor", lambda i: [ADJ[i], 0.5, 2.0]),
        ("av", "timestamp,close,high,low,open,volume,adjusted_close,dividend_amount,split_coefficient",
         lambda i: [ADJ[i], 0.5, 2.0]),
        ("wiki", "Date,Close,High,Low,Open,Volume,Adj. Close,Ex-Dividend,Split Ratio", lambda i: [ADJ[i], 0.5, 2.0]),
        ("yf", "Date,Close,High,Low,Open,Volume,Adj Close,Dividends,Stock Splits", lambda i: [ADJ[i], 0.5, 2.0]),
    ):  # fmt: skip
        text = lines(header, lambda i, v=values: [DAYS[i], CLOSE[i], HIGH[i], LOW[i], OPEN[i], VOLUME[i], *v(i)])
        _, bars, _ = read(stored(tmp_path / vendor, text), asset_class="stock")
        agree(bars)
        assert bars["adj_close"].to_list() == pytest.approx(ADJ), vendor
        assert bars["dividend"].to_list() == [0.5] * 10 and bars["split"].to_list() == [2.0] * 10, vendor
    sharadar = lines(
        "ticker,date,open,high,low,close,volume,closeadj,closeunadj,lastupdated",
        lambda i: ["AAA", DAYS[i], OPEN[i], HIGH[i], LOW[i], CLOSE[i], VOLUME[i], ADJ[i], 2 * CLOSE[i], "2021-02-01"],
    )
    _, bars, _ = read(stored(tmp_path / "sep", sharadar, "SEP.csv"), asset_class="stock")
    agree(bars)
    assert bars["unadjusted_close"].to_list() == [2 * c for c in CLOSE] and bars["adj_close"].to_list() == ADJ


REFUSED = {
    "Bloomberg": (
        lines("Dates,PX_OPEN,PX_HIGH,PX_LOW,PX_LAST,PX_VOLUME",
              lambda i: [DAYS[i], OPEN[i], HIGH[i], LOW[i], CLOSE[i], VOLUME[i]]),
        '"source.columns={open: PX_OPEN, high: PX_HIGH, low: PX_LOW, close: PX_LAST, volume: PX_VOLUME}"',
    ),
    "money for volume": (
        lines("date,open,high,low,close,Volume USD", lambda i: [DAYS[i], OPEN[i], HIGH[i], LOW[i], CLOSE[i], 1e6]),
        "\"source.columns.volume=Volume USD\"",
    ),
    "adjusted closes alone": (
        lines("Date,Open,High,Low,Adj Close,Volume", lambda i: [DAYS[i], OPEN[i], HIGH[i], LOW[i], ADJ[i], VOLUME[i]]),
        "has no column for close",
    ),
    "one value for each symbol": (
        lines("Date,AAA,BBB,BRK.B", lambda i: [DAYS[i], CLOSE[i], CLOSE[i], CLOSE[i]]),
        "AAA.csv has one column for each symbol (AAA, BBB, BRK.B): a table of one value a day can't be traded on",
    ),
    "two closes": (
        lines("date,open,high,low,close,Close,volume",
              lambda i: [DAYS[i], OPEN[i], HIGH[i], LOW[i], CLOSE[i], 1, VOLUME[i]]),
        'AAA.csv has 2 columns for close: close, Close: name the right one with "source.columns.close=close"',
    ),
    "no names, no known order": (
        lines("", lambda i: [DAYS[i], CLOSE[i], HIGH[i], LOW[i], OPEN[i], VOLUME[i], 1, 2, 3, 4]),
        "AAA.csv has no header and 10 columns",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_can_be_taken_two_ways_is_refused_with_what_to_type(tmp_path, case):
    text, words = REFUSED[case]
    with pytest.raises(StageError) as error:
        read(stored(tmp_path / "in", text), asset_class="stock")
    assert words in str(error.value)


@pytest.mark.parametrize("case", ["Bloomberg", "money for volume", "two closes"])
def test_the_setting_that_a_refusal_proposes_works_as_typed(tmp_path, case):
    from hydra.core.override_parser.overrides_parser import OverridesParser

    text, _ = REFUSED[case]
    with pytest.raises(StageError) as error:
        read(stored(tmp_path / "in", text), asset_class="stock")
    typed = str(error.value).split('"')[1]
    override = OverridesParser.create().parse_override(typed)
    key, value = override.key_or_group, override.value()
    columns = (
        {str(k): str(v) for k, v in value.items()} if key == "source.columns" else {key.split(".")[-1]: str(value)}
    )
    assert read(tmp_path / "in", asset_class="stock", columns=columns)[1].height == 10


def test_a_line_of_units_below_the_header_names_no_instruments(tmp_path):
    for units in (",USD,USD,USD,USD,shares", ",USD,USD,USD,USD,USD"):
        text = f"{PLAIN}\n{units}\n" + LAYOUTS["Stooq, one symbol"].split("\n", 1)[1]
        listed, bars, _ = read(stored(tmp_path / "in", text), asset_class="stock")
        assert listed["symbol"].to_list() == ["AAA"]
        agree(bars)


def test_nested_columns_are_refused_by_name(tmp_path):
    (tmp_path / "in").mkdir()
    bars = frame().select("date", "volume", pl.struct("open", "high", "low", "close").alias("prices"))
    bars.write_parquet(tmp_path / "in" / "AAA.parquet")
    with pytest.raises(StageError, match=r"AAA.parquet has nested columns, prices \(.*: write one bar a row"):
        read(tmp_path / "in", asset_class="stock")


def test_a_column_called_name_is_a_symbol_only_where_it_holds_symbols(tmp_path):
    text = lines(PLAIN + ",Name", lambda i: [DAYS[i], OPEN[i], HIGH[i], LOW[i], CLOSE[i], VOLUME[i], "Anvil Works"])
    assert read(stored(tmp_path / "in", text), asset_class="stock")[0]["symbol"].to_list() == ["AAA"]


def test_a_table_a_day_takes_its_date_from_its_name(tmp_path):
    for i, day in enumerate(DAYS):
        text = "Symbol,Open,High,Low,Close,Volume\n" + "".join(
            f"{s},{OPEN[i]},{HIGH[i]},{LOW[i]},{CLOSE[i]},{VOLUME[i]}\n" for s in ("AAA", "BBB")
        )
        stored(tmp_path / "in", text, f"{day}.csv")
    listed, bars, unusable = read(tmp_path / "in", asset_class="stock")
    assert not unusable and listed["symbol"].to_list() == ["AAA", "BBB"]
    agree(bars.filter(pl.col("symbol") == "BBB"))
