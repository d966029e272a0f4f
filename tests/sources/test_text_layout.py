"""Which lines of a text are its header, and which are bars."""

from pathlib import Path

import pytest

from src.sources.text_layout import laid_out

BARS = [f"2021-01-{day:02d},{{0}} 99.66,{{0}} 100.58,{{0}} 99.61,{{0}} 100.45,743571" for day in range(4, 29)]


@pytest.mark.parametrize("word", ["USD", "approx.", "~", "PLN", "zł"])
def test_bars_whose_cells_are_written_oddly_are_no_lines_of_the_header(word: str) -> None:
    layout = laid_out(Path("a.csv"), ["Date,Open,High,Low,Close,Volume", *(bar.format(word) for bar in BARS)])
    assert layout.first_line == 2


@pytest.mark.parametrize("ticker", ["ZZA", "7203.T", "005930", "0700.HK", "600519.SS", "2330.TW"])
def test_tickers_that_are_numbers_stay_in_the_header(ticker: str) -> None:
    header = ["Price,Close,High,Low,Open,Volume", "Ticker" + f",{ticker}" * 5, "Date,,,,,"]
    layout = laid_out(Path("a.csv"), [*header, *["2021-01-04,1.5,2.5,1.25,1.75,1000"] * 5])
    assert layout.first_line == 4
    assert layout.header_lines[1][1:] == [ticker] * 5


def test_numbered_names_are_names() -> None:
    names = "timestamp,1. open,2. high,3. low,4. close,5. volume"
    layout = laid_out(Path("a.csv"), [names, *["2021-01-04,1.5,2.5,1.25,1.75,1000"] * 5])
    assert layout.first_line == 2
    assert layout.names[1] == "1. open"
