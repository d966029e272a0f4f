"""Bars of one file: its cells under our names, each read right or named with the line it stands in.

The cells of a file are looked at twice: first all of them together decide how dates and numbers are written, then they
are read. Those of a plain file, and cells whose types say what they are, are read at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import polars as pl

from src.core.runs import Runs
from src.market.bars import PRICES
from src.sources.cell_types import holds_days_and_numbers, is_category, is_number, is_text
from src.sources.clock import is_intraday, with_dates, with_repeated_days, with_time, zone_of
from src.sources.column_error import ColumnError
from src.sources.dates import CELL, YEARS, DateReading, date_reading
from src.sources.event_rows import DIVIDEND, SPLIT, has_events
from src.sources.files import CLASS_SPELLINGS
from src.sources.number_styles import is_plain, number_reading, tallied
from src.sources.numbers import NumberReading, is_missing, shapes, stripped
from src.sources.split_ratios import column_of_ratios
from src.sources.table_shape import TableShape
from src.sources.text_table import CHUNK, FAULT, LINE, WHOLE, TextTable

NUMBERS = [*PRICES, "adj_close", "volume", "split", "dividend", "capital_gain", "unadjusted_close"]
_COUNTS = ("volume", "split")
SHARES = ("stock", "etf")
"""Asset classes whose volume counts whole shares."""
_DATE = "_date"
_OURS = {"_class": "asset_class", "_symbol": "symbol", "_day": "date"}
_SMALL = 1000  # a volume that may be in thousands by a dot
_NONE = pl.lit(None, pl.Float64)


@dataclass(frozen=True)
class BarCells:
    """The cells of a file that are bars.

    Attributes
    ----------
    path : Path
        The file.
    columns : dict of str to str
        The file's name of a column by ours; ``time`` is a time of day beside the date.
    text : TextTable or None
        How its text is laid out; None for Parquet.
    interval : str
        Length of a bar.
    asset_class, symbol : str or None
        Of all rows, where no column has them.
    time_zone : str or None
        ``source.time_zone``.
    shape : TableShape
        What is done to the file's rows first; `columns` are those of the shaped table.
    scales : dict of str to float
        What the numbers of our columns are multiplied by.
    """

    path: Path
    columns: dict[str, str]
    text: TextTable | None
    interval: str = "1d"
    asset_class: str | None = None
    symbol: str | None = None
    time_zone: str | None = None
    shape: TableShape = field(default_factory=TableShape)
    scales: dict[str, float] = field(default_factory=dict)

    def chunks(self) -> Iterator[pl.DataFrame]:
        """Read the bars.

        Yields
        ------
        DataFrame
            asset_class, symbol, date (UTC timestamps unless daily), the numbers of our columns (float64), ``line`` and
            ``fault``: null, or the sentence that says which cell of the row can't be read. A row of a footer has no
            date. Of a small file one frame, of a large one a million rows at a time.

        Raises
        ------
        ColumnError
            If the file can't be read at all.
        PolarsError
            If a Parquet file is damaged.
        """
        if (plain := self._plain()) is not None:
            yield from plain
            return
        table = self if self.text is None or self.text.plain else self._with_events()
        try:
            reading = table._reading
            faulty = self.text is not None and self.text.plain and reading.unread
        except pl.exceptions.PolarsError:
            if self.text is None or not self.text.plain:
                raise
            faulty = True
        if faulty and self.text is not None:  # not plain after all: lines tell what is a footer and what a fault
            table = replace(self, text=self.text.careful())._with_events()
            reading = table._reading
        for frame in table._frames():
            yield table._read(frame, reading)

    def instruments(self) -> Iterator[pl.DataFrame]:
        """Read the instruments alone.

        Yields
        ------
        DataFrame
            asset_class, symbol; the different ones of a part of the file.

        Raises
        ------
        ColumnError, PolarsError
            As `chunks`.
        """
        names = [self.columns[name] for name in ("asset_class", "symbol") if name in self.columns]
        keys = [key.alias(name) for name, key in zip(("asset_class", "symbol"), self._keys().values(), strict=True)]
        try:
            found = [frame.select(names).unique().select(keys) for frame in self._rows(names)]
        except pl.exceptions.PolarsError:
            if self.text is None or not self.text.plain:
                raise
            careful = replace(self, text=self.text.careful())
            found = [frame.select(names).unique().select(keys) for frame in careful._rows(names)]
        yield from found

    @cached_property
    def _whole(self) -> list[pl.DataFrame] | None:
        """The rows of a small file, which are held; None for a large one."""
        if self.path.stat().st_size > WHOLE:
            return None
        return list(self._scanned())

    def _frames(self) -> Iterator[pl.DataFrame]:
        yield from self._scanned() if self._whole is None else self._whole

    def _scanned(self) -> Iterator[pl.DataFrame]:
        """The file's own columns that we use, the dates' cells, the numbers of lines, and faults of whole lines."""
        return map(self._dated, self._rows(list(dict.fromkeys(self.columns.values()))))

    def _rows(self, wanted: list[str]) -> Iterator[pl.DataFrame]:
        needed = self.shape.read_columns(wanted)
        if self.text is not None:
            for frame in self.text.chunks():
                yield self.shape.shaped(self.path, frame.select(*needed, LINE, FAULT)).select(*wanted, LINE, FAULT)
            return
        scan = pl.scan_parquet(self.path, hive_partitioning=False, glob=False)
        rows = scan.select(pl.len()).collect().item()
        for offset in range(0, max(rows, 1), CHUNK):  # a slice reads only its row groups; streaming holds far more
            frame = scan.select(needed).slice(offset, CHUNK).collect()
            named = frame.with_row_index(LINE, offset + 1).with_columns(pl.lit(None, pl.String).alias(FAULT))
            categorical = [pl.col(n).cast(pl.String) for n, kind in frame.schema.items() if is_category(kind)]
            named = named.with_columns(pl.col(LINE).cast(pl.Int64), *categorical)
            yield self.shape.shaped(self.path, named).select(*wanted, LINE, FAULT)

    def _with_events(self) -> BarCells:
        """The same table, whose events are taken out if there are any between its bars."""
        cells = tuple(self.columns[name] for name in (*PRICES, "volume"))
        if self.shape.abreast is not None or not any(has_events(frame, cells) for frame in self._rows(list(cells))):
            return self
        keys = tuple(self.columns[name] for name in ("symbol", "date") if name in self.columns)
        columns = {"dividend": DIVIDEND, "split": SPLIT} | self.columns
        return replace(self, columns=columns, shape=replace(self.shape, events=(cells, keys)))

    def _dated(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Add the cells of dates, a separate time of day joined to them."""
        date = self.columns["date"]
        kind = frame.schema[date]
        cell = stripped(date) if kind == pl.String else pl.col(date)
        if kind == pl.String:
            cell = pl.when(~is_missing(cell)).then(cell)
        if "time" in self.columns:
            cell = with_time(cell, kind, self.columns["time"], frame.schema[self.columns["time"]])
        ratios = [column_of_ratios(self.columns["split"])] if is_text(frame, self.columns.get("split")) else []
        return frame.with_columns(cell.alias(_DATE), *ratios)

    def _plain(self) -> Iterator[pl.DataFrame] | None:
        """The bars of a small file of days as YYYY-MM-DD and plain numbers, or of one of such types; else None."""
        usual = self.interval == "1d" and "time" not in self.columns
        if not usual or (self.text is not None and (not self.text.plain or self.text.separator != ",")):
            return None
        mine = {name: self.columns[name] for name in NUMBERS if name in self.columns}
        typed = self.text is None and self.shape == TableShape()
        if typed and holds_days_and_numbers(self.path, self.columns["date"], mine.values()):
            return (self._plain_bars(frame, mine) for frame in self._frames())
        try:
            frames = self._whole or []
        except pl.exceptions.PolarsError:
            return None
        for frame in frames[: len(frames) == 1]:
            kinds = frame.schema
            simple = kinds[_DATE] in (pl.String, pl.Date) and all(is_number(kinds[name]) for name in mine.values())
            if simple and not self._is_garbled(frame):
                bars = self._plain_bars(frame, mine)
                return None if self._is_unlike(bars, frame, mine) else iter([bars])
        return None

    def _plain_bars(self, frame: pl.DataFrame, mine: dict[str, str]) -> pl.DataFrame:
        text = frame.schema[_DATE] == pl.String
        day = pl.col(_DATE).str.to_date("%Y-%m-%d", strict=False) if text else pl.col(_DATE)
        day = pl.when(day.is_between(*YEARS)).then(day)
        numbers = {
            n: self._scaled(n, pl.col(mine[n]).cast(pl.Float64, strict=False)) if n in mine else _NONE for n in NUMBERS
        }
        bars = frame.select(_day=day, **numbers).with_columns(frame[LINE], frame[FAULT])
        return self._keyed(bars, frame).select("_class", "_symbol", *bars.columns).rename(_OURS)

    def _is_unlike(self, bars: pl.DataFrame, frame: pl.DataFrame, mine: dict[str, str]) -> bool:
        """Whether cells were lost because they are written in another way, or volumes may be in thousands."""
        lost = any(bars[ours].null_count() > frame[theirs].null_count() for ours, theirs in mine.items())
        small = self.text is not None and "volume" not in self.scales and (bars["volume"].max() or _SMALL) < _SMALL  # type: ignore[operator]
        return bool(lost or small or bars["date"].null_count())

    def _keyed(self, bars: pl.DataFrame, frame: pl.DataFrame) -> pl.DataFrame:
        """Add asset class and symbol, from the columns of `frame` that have them."""
        names = [self.columns[name] for name in ("asset_class", "symbol") if name in self.columns]
        if not names:
            return bars.with_columns(**self._keys())
        runs = Runs(frame, names)
        return bars.with_columns(runs.expanded(runs.heads.select(**self._keys())).get_columns())

    @cached_property
    def _reading(self) -> _Reading:
        """How dates and numbers are written, decided by all rows."""
        numbers = [self.columns[name] for name in NUMBERS if name in self.columns]
        dates, texts, faulty = [], set(), False
        for frame in self._frames():
            fresh = frame.lazy().select(pl.col(_DATE).alias(CELL), LINE).drop_nulls(CELL)
            dates.append(fresh.unique(CELL, keep="first", maintain_order=True).collect())
            texts |= {name for name in numbers if frame.schema[name] == pl.String}
            faulty |= frame[FAULT].count() > 0 or self._is_garbled(frame)
        read_dates = self._dates(pl.concat(dates).unique(CELL, keep="first", maintain_order=True))
        read_numbers, unread = self._numbers([name for name in numbers if name in texts])
        return _Reading(read_dates, read_numbers, faulty or unread or bool(read_dates.table["bad"].any()))

    def _dates(self, cells: pl.DataFrame) -> DateReading:
        zone = zone_of(self.asset_class, self.time_zone) if self.asset_class else None
        weekdays = self.asset_class != "crypto" and self.time_zone is None
        reading = date_reading(
            self.path, self.columns["date"], cells, self.interval, zone, weekdays, "symbol" in self.columns
        )
        if reading.has_days_only and is_intraday(self.interval):
            raise ColumnError(
                f"{self.path.name}: column {self.columns['date']} has days without a time, and"
                f" universe.interval={self.interval}: set universe.interval=1d",
                "quarantined",
            )
        return reading

    def _numbers(self, texts: list[str]) -> tuple[NumberReading, bool]:
        """How columns of text are read as numbers, and whether a cell of theirs is unread."""
        counts = [name for name in texts if name in {self.columns.get(ours) for ours in _COUNTS}]
        prices = {o: theirs for o, theirs in self.columns.items() if theirs in texts and theirs not in counts}
        prices = {ours: theirs for ours, theirs in prices.items() if ours in NUMBERS}
        comma = self.text is None or self.text.separator == ","
        if all(is_plain(frame, list(prices.values()), counts, comma) for frame in self._frames()):
            return NumberReading({}), False
        tally = tallied([shapes(frame, texts) for frame in self._frames()])
        reading = number_reading(
            self.path,
            tally,
            next(self._frames()),
            prices,
            counts,
            comma,
            self.asset_class in SHARES and "volume" not in self.scales,
        )
        return reading, any(reading.is_unread(name, cell) for name, cell in tally.select("column", "cell").iter_rows())

    def _scaled(self, name: str, values: pl.Expr) -> pl.Expr:
        factor = self.scales.get(name, 1.0)  # rounded: 32.099 thousand are 32,099
        return values if factor == 1 else (values * factor).round(6) if factor > 1 else values / round(1 / factor)

    def _is_garbled(self, frame: pl.DataFrame) -> bool:
        """Whether a symbol has bytes that are no UTF-8."""
        symbol = self.columns.get("symbol")
        if symbol is None or self.text is None or not self.text.plain:
            return False
        return bool(frame[symbol].str.contains("\ufffd", literal=True).any())

    def _read(self, frame: pl.DataFrame, reading: _Reading) -> pl.DataFrame:
        """Our columns of a part of the file."""
        table = reading.dates.table
        frame = frame.join(table, left_on=_DATE, right_on=CELL, how="left", maintain_order="left")
        frame = self._keyed(frame, frame)
        frame = with_dates(frame, self.interval, self.time_zone, self.path.name, self.columns["date"])
        kinds = frame.schema
        numbers = [
            self._scaled(name, reading.numbers.column(self.columns[name], kinds[self.columns[name]])).alias(f"_{name}")
            if name in self.columns
            else pl.lit(None, pl.Float64).alias(f"_{name}")
            for name in NUMBERS
        ]
        frame = frame.with_columns(numbers)
        if reading.unread:
            frame = frame.with_columns(self._fault(reading, kinds).alias(FAULT))
        if reading.dates.has_times:
            frame = with_repeated_days(frame, self.path.name, self.columns["date"], self.interval)
        named = [pl.col(f"_{name}").alias(name) for name in NUMBERS]
        return frame.select("_class", "_symbol", "_day", *named, LINE, FAULT).rename(_OURS)

    def _keys(self) -> dict[str, pl.Expr]:
        symbol = pl.lit(self.symbol, pl.String)
        if "symbol" in self.columns:
            symbol = pl.col(self.columns["symbol"]).cast(pl.String).str.strip_chars(" \t")
        kind = pl.lit(self.asset_class, pl.String)
        if "asset_class" in self.columns:
            text = pl.col(self.columns["asset_class"]).cast(pl.String).str.strip_chars().str.to_lowercase()
            kind = text.replace_strict(CLASS_SPELLINGS, default=text).fill_null(kind)
        return {"_class": kind, "_symbol": symbol}

    def _fault(self, reading: _Reading, kinds: pl.Schema) -> pl.Expr:
        """The sentence about the first cell of a row that can't be read; null for most rows."""
        where = "row" if self.text is None else "line"
        column, cell = self.columns["date"], pl.col(_DATE).cast(pl.String)
        inside = (pl.col(LINE) <= reading.dates.last_line) | cell.str.contains(r"^\d")
        faults = [pl.when(pl.col("_day").is_not_null() | inside).then(FAULT)]
        said = f"{self.path.name} {where} {{}}, column {column}: '{{}}' is no date: write YYYY-MM-DD"
        faults.append(pl.when(pl.col("bad").fill_null(False) & inside).then(pl.format(said, LINE, cell.fill_null(""))))
        for name in NUMBERS:
            theirs = self.columns.get(name)
            if theirs is None or kinds[theirs] != pl.String:
                continue
            said = f"{self.path.name} {where} {{}}, column {theirs}: '{{}}' is no number: write it as 1234.5"
            unread = reading.numbers.unread(theirs, kinds[theirs]) & pl.col("_day").is_not_null()
            faults.append(pl.when(unread).then(pl.format(said, LINE, pl.col(theirs).fill_null(""))))
        return pl.coalesce(faults)


@dataclass(frozen=True)
class _Reading:
    """How a file is read.

    Attributes
    ----------
    unread : bool
        Whether a cell or a line can't be read.
    """

    dates: DateReading
    numbers: NumberReading
    unread: bool
