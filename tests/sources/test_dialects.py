"""A known table of bars in random dialects: it is read as it is, or refused with file, line and column."""

import datetime as dt
import os
import re
import shutil
import tempfile
from pathlib import Path

import polars as pl
import pytest
from hypothesis import assume, event, given, settings
from hypothesis import strategies as st

from src.config.schema import SourceConfig
from src.core.errors import ConfigError, StageError
from src.hydration.validation import validate
from src.sources import folder
from src.sources.declaration import Selection
from tests.sources.dialects import DATES, NUMBERS, Dialect, known_bars, written

EXAMPLES = int(os.environ.get("DIALECTS", "60"))  # DIALECTS=5000 takes minutes
PREAMBLES = ((), ("# written by hand",), ("Symbol: ZZA", "Currency: USD"), ("sep={sep}",), ("History of ZZA", ""))
FOOTERS = ((), ("",), ("Total",), ("Downloaded from a vendor as of 04-21-2023",), ("# end",), ("", "", ""))


@st.composite
def dialects(draw):
    decimal = draw(st.sampled_from([".", ".", ","]))
    separators = [",", ",", ";", "\t", "|"]
    separator = draw(st.sampled_from(separators))
    groups = ["", "", "", " ", "\u00a0", "'", "," if decimal == "." else "."] + (["lakh"] if decimal == "." else [])
    scale = draw(st.sampled_from(["", "", "", "K", "M"]))
    preamble = tuple(line.format(sep=separator) for line in draw(st.sampled_from(PREAMBLES)))
    return Dialect(
        separator=separator,
        decimal=decimal,
        thousands=draw(st.sampled_from(groups)),
        grouped=draw(st.sampled_from(["both", "volume"])),
        places=draw(st.sampled_from([0, 2, 3, 4, None])),
        currency=draw(st.sampled_from(["", "", "", "$", "€"])),
        scale=scale,
        dates=draw(st.sampled_from([*DATES, "iso", "iso"])),
        changes_to=draw(st.sampled_from(["", "", "", *DATES])),
        header=draw(st.integers(0, 3)),
        quotes=draw(st.sampled_from(["needed", "all"])),
        encoding=draw(st.sampled_from(["utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])),
        line_end=draw(st.sampled_from(["\n", "\r\n", "\r"])),
        newest_first=draw(st.booleans()),
        missing=draw(st.sampled_from(["", "NA", "N/A", "NaN", "null", "None", "-", "--", "n.a.", "#N/A"])),
        holes=draw(st.sampled_from([0, 0, 7])),
        preamble=preamble,
        footer=draw(st.sampled_from(FOOTERS)),
        trailing=draw(st.sampled_from(["none", "none", "rows", "all"])),
        extra=draw(st.sampled_from(["none", "text", "number"])),
        order=tuple(draw(st.permutations(range(6)))),
        header_again=draw(st.sampled_from([False, False, True])),
        packed=draw(st.booleans()),
    )


@st.composite
def tables(draw, places):
    price = max(draw(st.sampled_from([0.07, 3.0, 60.0, 990.0, 1500.0, 45_000.0])), 50 * 10.0**-places)
    first = dt.date(1995, 1, 2) + dt.timedelta(days=draw(st.integers(0, 10_000)))
    return known_bars(draw(st.integers(0, 10**6)), draw(st.sampled_from([3, 30, 90, 300])), price, places, first)


def read(path):
    """The rows of the file as read, those that validation kept, and the refusal."""
    source = SourceConfig(kind="folder", path=str(path), asset_class="stock")
    try:
        listed = folder.listing(source).with_columns(bucket=0)
        (batch,) = folder.bars(source, Selection(listed), path.parent / "scratch")
    except (StageError, ConfigError) as error:
        return None, None, str(error)
    if batch.unusable:
        assert not batch.bars.height
        return None, None, batch.unusable[0].reason
    return batch.bars, validate(batch.bars)[0], ""


def numbers(column):
    return column.fill_null(float("nan")).to_list()


def same(column):
    return pytest.approx(numbers(column), rel=1e-12, nan_ok=True)


def check(bars, form):
    """Read what was written; the refusal, empty where the table came back."""
    place = Path(tempfile.mkdtemp())
    try:
        path, known = written(bars, form, place)
        raw, kept, refusal = read(path)
    finally:
        shutil.rmtree(place)
    if raw is None:
        assert re.match(r"ZZA\.csv(\.gz)? ", refusal) or refusal.startswith(("ZZA.csv:", "ZZA.csv.gz:")), refusal
        assert re.search(r"line \d+", refusal) and re.search(r"column|cells", refusal), refusal
        return refusal
    rows = raw.filter(pl.col("date").is_not_null()).sort("date")
    assert rows["date"].to_list() == known["date"].to_list()
    for name in NUMBERS:
        assert numbers(rows[name]) == same(known[name]), name
    if kept.height:  # a history that is too short or too odd is quarantined whole
        assert kept["date"].to_list() == known["date"].to_list()
        assert kept["close"].to_list() == pytest.approx(known["close"].to_list(), rel=1e-12)
    return ""


@settings(max_examples=EXAMPLES, derandomize="DIALECTS" not in os.environ)
@given(data=st.data(), form=dialects())
def test_a_table_in_any_dialect_is_read_as_it_is_or_refused_by_line_and_column(data, form):
    assume(form.decimal != form.thousands)
    bars = data.draw(tables(form.places if form.places is not None else 2))
    refusal = check(bars, form)
    event(refusal and re.sub(r"'[^']*'|\d+", "", refusal)[:90])


@pytest.mark.parametrize("dates", DATES)
def test_each_way_of_writing_dates_is_read(dates):
    refusal = check(known_bars(1, 300, 60.0, 2, dt.date(2017, 1, 2)), Dialect(dates=dates))
    assert refusal == ""
