"""Cells of bar files: kinds of text, dates and numbers, each read right or refused by line and column."""

import bz2
import datetime as dt
import gzip
import lzma
import zipfile

import polars as pl
import pytest

from src.config.schema import SourceConfig
from src.core.errors import ConfigError, StageError
from src.sources import cells, folder
from src.sources.declaration import Selection

HEADER = "Date,Open,High,Low,Close,Volume\n"


@pytest.fixture
def read(tmp_path):
    """Dates and closes of one file, or what was said of it."""

    def reader(content, name="ZZA.csv", interval="1d", asset_class="stock", **settings):
        path = tmp_path / "in" / name
        path.parent.mkdir(exist_ok=True)
        if isinstance(content, pl.DataFrame):
            content.write_parquet(path)
        else:
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        source = SourceConfig(kind="folder", path=str(path.parent), asset_class=asset_class, **settings)
        try:
            listed = folder.listing(source).with_columns(bucket=0)
            (batch,) = folder.bars(source, Selection(listed, interval), tmp_path / "scratch")
        except (StageError, ConfigError) as error:
            return str(error)
        if batch.unusable:
            return batch.unusable[0].reason
        form = "%F" if interval == "1d" else "%F %H:%M"
        return dict(zip(batch.bars["date"].dt.strftime(form), batch.bars["close"], strict=True))

    return reader


def table(*dates, closes=None):
    closes = closes or [f"10.{i + 1}" for i in range(len(dates))]
    return HEADER + "".join(f"{date},10,11,9,{close},100\n" for date, close in zip(dates, closes, strict=True))


TWO = {"2021-01-04": 10.1, "2021-01-05": 10.2}
PLAIN = table(*TWO)


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_a_compressed_file_is_read_whatever_its_name_says(read, pack):
    assert read(pack(PLAIN.encode())) == TWO


def test_a_zip_of_one_file_is_read_and_of_two_refused(read, tmp_path):
    packed = tmp_path / "a.zip"
    for names, right in ((["a.csv"], TWO), (["a.csv", "b.csv"], "zip of 2 files")):
        with zipfile.ZipFile(packed, "w") as archive:
            for name in names:
                archive.writestr(name, PLAIN)
        got = read(packed.read_bytes())
        assert got == right if isinstance(right, dict) else right in got


@pytest.mark.parametrize(
    "content, kind",
    [
        ("<!DOCTYPE html><html><body>429</body></html>", "a web page"),
        ('{"error": "limit"}', "JSON"),
        (b"PAR1 and more", "a Parquet file"),
        (b"\xd0\xcf\x11\xe0 and more", "an Excel workbook"),
        (b"\x80\x04\x95 and more", "a pickle"),
    ],
)
def test_a_file_that_is_no_table_is_named_as_what_it_is(read, content, kind):
    assert kind in read(content) and "ZZA.csv" in read(content)


def test_text_named_parquet_is_said(read):
    assert "ZZA.parquet is no Parquet file" in read(PLAIN, "ZZA.parquet")


def test_zero_bytes_are_named_by_line(read):
    assert "line 4 holds zero bytes" in read(PLAIN.encode() + bytes(100))


def test_lines_of_another_length_are_named_and_empty_surplus_is_not(read):
    assert read(PLAIN.replace(",100\n", ",100,\n")) == TWO
    assert "ZZA.csv line 4 has 3 cells, the header 6" in read(PLAIN + "2021-01-06,10,11.2")
    assert "line 4 has 7 cells" in read(PLAIN + "2021-01-06,10,11,9,10,100,7\n")


def test_a_symbol_cell_of_a_bad_row_costs_its_instrument_alone(tmp_path):
    rows = [f"{s},2021-01-0{i},10,11,9,{'x' if (s, i) == ('B', 5) else 10},100" for s in "ABC" for i in (4, 5, 6)]
    path = tmp_path / "all.csv"
    path.write_text("symbol," + HEADER + "\n".join(rows), encoding="utf-8")
    source = SourceConfig(kind="folder", path=str(path), asset_class="stock")
    listed = folder.listing(source).with_columns(bucket=0)
    (batch,) = folder.bars(source, Selection(listed), tmp_path / "scratch")
    assert batch.bars["symbol"].to_list() == ["A"] * 3 + ["C"] * 3
    (lost,) = batch.unusable
    assert lost.symbol == "B" and lost.state == "quarantined"
    assert lost.reason == "all.csv line 6, column Close: 'x' is no number: write it as 1234.5"


@pytest.mark.parametrize(
    "dates, said",
    [
        (("2021-01-04", "2021-13-05"), "line 3, column Date: '2021-13-05' is no date"),
        (("01/02/2021", "02/03/2021"), "line 2: column Date reads '01/02/2021': day or month first?"),
        (("01/13/2021", "13/01/2021", "01/14/2021"), "reads '13/01/2021' but '01/13/2021' in line 2"),
        (("1.60974E+09", "1.60983E+09"), "'1.60974E+09', which is not a date"),
        (("2021010410", "2021010411"), "'2021010410', which is not a date"),
        (("18631", "18632"), "'18631' is a count of days, from 1970 or Excel's from 1900"),
        (tuple(str(42738 + i) for i in (0, 1, 2, 3, 4, 7, 8)), "a weekend by Excel's count from 1900"),
        (("44200", "44201", "1609891200"), "line 2, column Date: '44200' is no date"),
        (("04-Mai-2021", "05-Mai-2021"), "'04-Mai-2021', which is not a date"),
        (("1821-01-04", "1821-01-05"), "'1821-01-04', which is not a date"),
        (("2021-01-03T23:00Z", "2021-01-04T23:00Z", "2021-01-05T23:00Z"), "a weekend in America/New_York: set"),
        (("2021-01-04T05:00Z", "2021-01-05T00:00Z"), "midnight in UTC, but '2021-01-04T05:00Z' in line 2"),
        (("2021-01-04 09:30", "2021-01-04 10:30", "2021-01-05 09:30"), "several bars a day (2021-01-04 09:30:00"),
    ],
)  # fmt: skip
def test_dates_that_can_be_read_wrong_are_refused(read, dates, said):
    assert said in read(table(*dates))


def test_a_few_rows_in_the_other_order_of_day_and_month_are_refused(read):
    days = [dt.date(2021, 3, 4) + dt.timedelta(days=i) for i in range(300)]
    rows = [d.strftime("%d/%m/%Y" if i < 3 else "%m/%d/%Y") for i, d in enumerate(days)]
    assert "day or month first?" in read(table(*rows, closes=["10"] * 300))
    right = [d.strftime("%m/%d/%Y") for d in days]
    assert list(read(table(*right, closes=["10"] * 300))) == [d.isoformat() for d in days]


def test_monthly_dates_are_not_taken_for_days_of_one_month(read):
    months = [f"01/{m:02d}/{y}" for y in (2020, 2021, 2022) for m in range(1, 13)]
    assert "day or month first?" in read(table(*months, closes=["10"] * 36))


def test_the_exchange_s_day_counts_for_bars_stamped_in_utc(read):
    assert list(read(table("2021-01-03T23:00Z", "2021-01-04T23:00Z"), time_zone="Europe/Paris")) == list(TWO)
    assert list(read(table("2021-01-04T00:00+01:00", "2021-01-05T00:00+01:00"))) == list(TWO)
    assert list(read(table("2021-01-04 24:00", "2021-01-05 24:00"))) == list(TWO)


def test_naive_intraday_times_are_the_exchange_s(read):
    content = table("2021-01-04 09:30:00", "2021-07-05 09:30:00")
    assert list(read(content, interval="1h")) == ["2021-01-04 14:30", "2021-07-05 13:30"]
    assert list(read(content, interval="1h", time_zone="Europe/Paris")) == ["2021-01-04 08:30", "2021-07-05 07:30"]
    assert list(read(content, interval="1h", asset_class="crypto")) == ["2021-01-04 09:30", "2021-07-05 09:30"]
    assert "nothing is traded in America/New_York" in read(table("2021-01-04 20:30", "2021-01-05 20:30"), interval="1h")


def test_an_hour_that_comes_twice_is_told_by_its_order_and_one_that_is_skipped_refused(read):
    zone = {"interval": "1h", "asset_class": "crypto", "time_zone": "America/New_York"}
    content = table("2021-11-07 00:30", "2021-11-07 01:30", "2021-11-07 01:30:00", "2021-11-07 02:30")
    assert list(read(content, **zone)) == [f"2021-11-07 0{h}:30" for h in (4, 5, 6, 7)]
    said = read(table("2021-03-14 01:30", "2021-03-14 02:30"), **zone)
    assert "ZZA.csv line 3, column Date: the local time 2021-03-14 02:30:00 does not exist" in said


def test_days_under_an_hourly_interval_name_the_setting(read):
    said = read(table("2021-01-04", "2021-01-05", "2021-01-06"), interval="1h")
    assert "days without a time" in said and "set universe.interval=1d" in said


def test_date_and_time_in_two_columns_are_one(read):
    rows = "2021-01-04,0930,10,11,9,10.1,100\n2021-01-04,1030,10,11,9,10.2,100\n"
    content = HEADER.replace("Date,", "Date,Time,") + rows
    assert read(content, interval="1h") == {"2021-01-04 14:30": 10.1, "2021-01-04 15:30": 10.2}


@pytest.mark.parametrize(
    "kind",
    [pl.Date, pl.Datetime("ms"), pl.Datetime("ns"), pl.Datetime("us", "UTC"), pl.Datetime("us", "Asia/Tokyo"),
     pl.String, pl.Categorical, *[(unit, kind) for unit in ("s", "ms", "us", "ns") for kind in (pl.Int64, pl.UInt64)],
     ("s", pl.Float64), ("ms", pl.Decimal(20, 2))],
)  # fmt: skip
def test_parquet_s_dates_are_read_in_every_type(read, kind):
    days = pl.Series([dt.date(2021, 1, 4), dt.date(2021, 1, 5)])
    if isinstance(kind, tuple):
        date = days.cast(pl.Datetime("us")).dt.epoch(kind[0]).cast(kind[1])
    elif isinstance(kind, pl.Datetime) and kind.time_zone:
        date = days.cast(pl.Datetime("us")).dt.replace_time_zone(kind.time_zone)
    else:
        date = days.cast(kind) if kind != pl.Categorical else days.cast(pl.String).cast(kind)
    prices = {name: pl.Series(["1,010.5", "NA"]) for name in ("open", "high", "low", "close")}
    got = read(pl.DataFrame({"date": date, **prices, "volume": pl.Series([1, 2], dtype=pl.UInt64)}), "ZZA.parquet")
    assert got == {"2021-01-04": 1010.5, "2021-01-05": None}


@pytest.mark.parametrize(
    "cells, values",
    [
        (("1,234.50", "998.25"), (1234.5, 998.25)),
        (("1.234,50", "998,25"), (1234.5, 998.25)),
        (("1 234,50", "998,25"), (1234.5, 998.25)),
        (("1'234.50", "998.25"), (1234.5, 998.25)),
        (("1,23,456.5", "99,999.5"), (123456.5, 99999.5)),
        (("$80.66", "$ 80.70"), (80.66, 80.7)),
        (("1.2e+03", "1E3"), (1200.0, 1000.0)),
        (("+5.5", "(5.5)"), (5.5, -5.5)),
        (("1.07M", "0.74K"), (1_070_000.0, 740.0)),
        (("n.a.", "#N/A"), (None, None)),
    ],
)
def test_numbers_are_read_in_the_style_of_the_file(read, cells, values):
    quoted = [f'"{cell}"' for cell in cells]
    other = "10,11,9" if "," in cells[1] else "10.5,11.5,9.5"
    got = read(table(*TWO, closes=quoted).replace("10,11,9", other))
    assert list(got.values()) == list(values)


@pytest.mark.parametrize("cell", ["12 3/8", "99%", "12.3p", "abc", "1,23", "1.2.3", "10..5", "#VALUE!"])
def test_text_that_is_no_number_is_named(read, cell):
    said = read(table(*TWO, closes=["10.25", f'"{cell}"']))
    assert said == f"ZZA.csv line 3, column Close: '{cell}' is no number: write it as 1234.5"


def test_a_number_that_may_be_a_thousand_is_decided_by_other_cells_or_refused(read):
    rows = '{},"{}","{}","{}","{}",100\n'
    all_three = HEADER + "".join(rows.format(day, *["1,234"] * 4) for day in TWO)
    assert "ZZA.csv line 2, column Open: '1,234' may be a thousand or have three decimals" in read(all_three)
    between = (
        HEADER + rows.format("2021-01-04", 998, "1,003", 990, "1,002") + rows.format("2021-01-05", 998, 999, 990, 995)
    )
    assert list(read(between).values()) == [1002.0, 995.0]


def test_prices_in_two_currencies_are_refused(read):
    said = read(table(*TWO, closes=["$10.5", "€10.5"]))
    assert "prices in several currencies: '$10.5' in line 2 and '€10.5' in line 3" in said


@pytest.mark.parametrize("day", [None, dt.date(1850, 1, 1)])
def test_a_table_whose_types_say_what_cells_are_is_read_in_parts_as_one_that_is_looked_through(
    tmp_path, monkeypatch, day
):
    monkeypatch.setattr(cells, "CHUNK", 7)
    days = pl.date_range(dt.date(2024, 1, 1), dt.date(2024, 1, 20), eager=True).to_list()
    days[11] = day or days[11]  # a day that can't be read, in the second part
    prices = {name: [float(k) for k in range(1, 21)] for name in ("open", "high", "low", "close")}
    table = pl.DataFrame({"date": days, "symbol": [" zza"] * 20, "volume": range(20), **prices})
    table.write_parquet(tmp_path / "typed.parquet")
    table.with_columns(pl.col("date").cast(pl.String)).write_parquet(tmp_path / "text.parquet")
    columns = {name: name for name in table.columns}
    read = [
        list(cells.BarCells(tmp_path / name, columns, None, asset_class="stock").chunks())
        for name in ("typed.parquet", "text.parquet")
    ]
    assert [len(parts) for parts in read] == [3, 3]
    ours = ["asset_class", "symbol", "date", "open", "volume", "line"]
    typed, text = (pl.concat(parts) for parts in read)
    assert typed.select(ours).equals(text.select(ours))
    assert [found["fault"].count() for found in (typed, text)] == [int(day is not None)] * 2
