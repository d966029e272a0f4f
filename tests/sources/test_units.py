"""Units in names of columns are applied or refused; columns whose type can not be what they say are refused."""

import datetime as dt

import polars as pl
import pytest

from src.core.errors import StageError
from tests.sources.layout_case import CLOSE, DAYS, HIGH, LOW, OPEN, VOLUME, frame, lines, yfinance
from tests.sources.test_folder import read
from tests.sources.test_layouts import agree, stored

PRICES = "Date,Open,High,Low,Close"


def ohlc(i, factor=1.0):
    return [round(factor * each[i], 4) for each in (OPEN, HIGH, LOW, CLOSE)]


@pytest.mark.parametrize(
    ("name", "factor"),
    [("Volume (000s)", 1000), ("Vol (K)", 1000), ("Volume [thousands]", 1000), ("Volume_in_thousands", 1000),
     ("Volume '000", 1000), ("Volume (in millions)", 1_000_000), ("Vol. (hundreds)", 100), ("Volume (shares)", 1)],
)  # fmt: skip
def test_a_volume_is_multiplied_by_the_unit_of_its_name(tmp_path, name, factor):
    text = lines(f"{PRICES},{name}", lambda i: [DAYS[i], *ohlc(i), VOLUME[i] / factor])
    agree(read(stored(tmp_path / "in", text), asset_class="stock")[1])


def test_the_unit_of_a_parquet_column_counts_too(tmp_path):
    (tmp_path / "in").mkdir()
    named = frame().drop("adj_close").rename({"volume": "Volume (000s)"})
    named.with_columns(pl.col("Volume (000s)") / 1000).write_parquet(tmp_path / "in" / "AAA.parquet")
    agree(read(tmp_path / "in", asset_class="stock")[1])


@pytest.mark.parametrize("unit", ["GBp", "GBX", "pence", "in p"])
def test_prices_in_pence_come_in_pounds(tmp_path, unit):
    names = ",".join(f"{name} ({unit})" for name in ("Open", "High", "Low", "Close"))
    text = lines(f"Date,{names},Volume,Dividends", lambda i: [DAYS[i], *ohlc(i, 100.0), VOLUME[i], 150 * (i == 5)])
    bars = read(stored(tmp_path / "in", text), asset_class="stock")[1]
    agree(bars)
    assert bars.sort("date")["dividend"][5] == 1.5


def test_a_dividend_in_pounds_beside_prices_in_pence_is_left_as_it_is(tmp_path):
    text = lines(
        "Date,Open (p),High (p),Low (p),Close (p),Volume,Dividend (GBP)",
        lambda i: [DAYS[i], *ohlc(i, 100.0), VOLUME[i], 1.5 * (i == 5)],
    )
    bars = read(stored(tmp_path / "in", text), asset_class="stock")[1]
    agree(bars)
    assert bars.sort("date")["dividend"][5] == 1.5


@pytest.mark.parametrize("unit", ["USD", "GBP", "€", "in EUR"])
def test_prices_in_one_currency_are_as_they_are(tmp_path, unit):
    names = ",".join(f"{name} ({unit})" for name in ("Open", "High", "Low", "Close"))
    agree(read(stored(tmp_path / "in", lines(f"Date,{names},Volume", lambda i: [DAYS[i], *ohlc(i), VOLUME[i]])),
               asset_class="stock")[1])  # fmt: skip


def test_columns_in_two_currencies_are_refused(tmp_path):
    text = lines("Date,Open (GBP),High (GBP),Low (GBP),Close (USD),Volume", lambda i: [DAYS[i], *ohlc(i), VOLUME[i]])
    with pytest.raises(StageError, match=r"several currencies, in the columns Low \(GBP\) and Close \(USD\)"):
        read(stored(tmp_path / "in", text), asset_class="stock")


@pytest.mark.parametrize("name", ["Volume (lots)", "Vol in lots", "Volume (contracts)"])
def test_a_volume_in_lots_is_refused(tmp_path, name):
    text = lines(f"{PRICES},{name}", lambda i: [DAYS[i], *ohlc(i), VOLUME[i]])
    with pytest.raises(StageError, match=r"counts (lots|contracts), whose size it does not say"):
        read(stored(tmp_path / "in", text), asset_class="stock")


@pytest.mark.parametrize("name", ["Volume (USD)", "Volume ($)", "Volume INR", "Volume_ma20", "Volume (EUR)"])
def test_money_and_averages_are_no_volume(tmp_path, name):
    text = lines(f"{PRICES},{name}", lambda i: [DAYS[i], *ohlc(i), VOLUME[i]])
    with pytest.raises(StageError, match="has no column for volume"):
        read(stored(tmp_path / "in", text), asset_class="stock")


@pytest.mark.parametrize("name", ["Adj", "Close (adj)", "Close (Adjusted)", "Adj. Price", "TR Close"])
def test_an_adjusted_close_is_found_under_odd_names(tmp_path, name):
    text = lines(f"{PRICES},Volume,{name}", lambda i: [DAYS[i], *ohlc(i), VOLUME[i], CLOSE[i] / 2])
    bars = read(stored(tmp_path / "in", text), asset_class="stock")[1].sort("date")
    assert bars["adj_close"].to_list() == pytest.approx([close / 2 for close in CLOSE])


@pytest.mark.parametrize(
    ("column", "values", "what"),
    [("volume", [True] * 10, "Boolean, which is no volume"), ("date", [b"2021"] * 10, "Binary, which is no date"),
     ("open", DAYS, "Date, which is no open"), ("date", [True] * 10, "Boolean, which is no date"),
     ("date", [dt.timedelta(1)] * 10, "Duration"), ("close", [b"1"] * 10, "Binary, which is no close")],
)  # fmt: skip
def test_a_parquet_column_of_a_type_that_it_cannot_be_is_refused(tmp_path, column, values, what):
    (tmp_path / "in").mkdir()
    frame().with_columns(pl.Series(column, values)).write_parquet(tmp_path / "in" / "AAA.parquet")
    with pytest.raises(StageError, match=f"column {column} is of type {what}"):
        read(tmp_path / "in", asset_class="stock")


def test_rows_without_a_symbol_are_said(tmp_path):
    from src.config.schema import SourceConfig
    from src.sources import folder

    text = lines(f"Symbol,{PRICES},Volume", lambda i: ["" if i == 4 else "AAA", DAYS[i], *ohlc(i), VOLUME[i]])
    path = stored(tmp_path / "in", text, "all.csv")
    _, bars, _ = read(path, asset_class="stock")
    assert bars.height == 9
    passed = folder.passed_over(SourceConfig(kind="folder", path=str(path), asset_class="stock"))
    assert [str(each) for each in passed] == [
        "all.csv has rows without a symbol in column Symbol, which are left out: write it in each row"
    ]


@pytest.mark.parametrize("sign", ["^", "~", "!"])
def test_an_odd_separator_is_named_with_the_line_that_declares_it(tmp_path, sign):
    text = lines(f"{PRICES},Volume".replace(",", sign), lambda i: [DAYS[i], *ohlc(i), VOLUME[i]], sign)
    with pytest.raises(StageError) as refused:
        read(stored(tmp_path / "in", text), asset_class="stock")
    assert f"write sep={sign} into a line above the header" in str(refused.value)
    agree(read(stored(tmp_path / "in", f"sep={sign}\n{text}"), asset_class="stock")[1])


def test_digits_of_other_scripts_are_named_and_are_no_missing_value(tmp_path):
    wide = str.maketrans("0123456789", "０１２３４５６７８９")  # noqa: RUF001 the digits that are tried
    text = lines(f"{PRICES},Volume", lambda i: [DAYS[i], *ohlc(i), str(VOLUME[i]).translate(wide)])
    _, bars, unusable = read(stored(tmp_path / "in", text), asset_class="stock")
    assert bars.is_empty() and "line 2, column Volume" in unusable[0].reason


@pytest.mark.parametrize("name", ["Distribution", "Adj Factor", "Total Return", "Split Adj Close", "AJEXDI", "DPS"])
def test_a_column_that_may_hold_events_and_is_not_read_is_said(tmp_path, name):
    text = lines(f"{PRICES},Volume,{name}", lambda i: [DAYS[i], *ohlc(i), VOLUME[i], 0.5])
    assert f"column {name} is not used: name a dividend" in remark(stored(tmp_path / "in", text))


@pytest.mark.parametrize("name", ["Adj Close,Adj Open", "Dividend Yield", "Change %", "Turnover", "Ex-Dividend Date"])
def test_other_columns_are_left_out_without_a_remark(tmp_path, name):
    width = name.count(",") + 1
    text = lines(f"{PRICES},Volume,{name}", lambda i: [DAYS[i], *ohlc(i), VOLUME[i], *[CLOSE[i]] * width])
    assert remark(stored(tmp_path / "in", text)) == ""


def remark(path):
    """What is said of the one instrument of a folder."""
    from src.config.schema import SourceConfig
    from src.sources import folder
    from src.sources.declaration import Selection

    source = SourceConfig(kind="folder", path=str(path), asset_class="stock")
    wanted = Selection(folder.listing(source).with_columns(bucket=0), "1d")
    [batch] = folder.bars(source, wanted, path.parent / "scratch")
    return "; ".join(each.text for found in batch.remarks.values() for each in found)


def test_a_unit_counts_in_a_column_that_the_settings_name(tmp_path):
    text = lines(f"{PRICES},Handel (000s)", lambda i: [DAYS[i], *ohlc(i), VOLUME[i] / 1000])
    agree(read(stored(tmp_path / "in", text), asset_class="stock", columns={"volume": "Handel (000s)"})[1])


def test_a_unit_above_several_instruments_is_refused(tmp_path):
    text = yfinance("AAA", "BBB").replace("Volume", "Volume (000s)")
    with pytest.raises(StageError, match=r"column Volume \(000s\) of several instruments has a unit"):
        read(stored(tmp_path / "in", text, "all.csv"), asset_class="stock")
