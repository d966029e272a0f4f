"""The careful reading of a table of text: line by line, for files that are not plain."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import polars as pl

from src.sources import content
from src.sources.column_error import ColumnError
from src.sources.text_layout import is_comment, is_value

if TYPE_CHECKING:
    from src.sources.text_table import TextTable

_ROWS = 100_000  # held at a time
_BLANK = " \t\xa0\u2007\u202f\u200b\ufeff\r\n"
_EVENT = re.compile(r"\d\S* (cash )?(dividends?|stock splits?|capital gains?)|(dividend|stock split)s?", re.IGNORECASE)
Row = tuple[list[str], int, str | None]


def careful_chunks(table: TextTable) -> Iterator[pl.DataFrame]:
    """Read the cells of a table line by line.

    Parameters
    ----------
    table : TextTable
        Its layout.

    Yields
    ------
    DataFrame
        As `TextTable.chunks`. Blank lines, comments and repeated headers are left out. A line with too few or too many
        cells has its fault, rows of events (`src.sources.event_rows`) excepted; notes of a single cell have no date.

    Raises
    ------
    ColumnError
        If the text has zero bytes, or a quote that is never closed.
    """
    yield from _framed(table, _rows(table, _decoding(table)))


def _decoding(table: TextTable) -> str:
    """The encoding that reads the whole file: its own, or cp1252 where UTF-8 breaks in a later line."""
    try:
        with content.text(table.path, table.encoding) as stream:
            while stream.read(1 << 20):
                pass
    except UnicodeDecodeError:
        if table.encoding in ("utf-8", "utf-8-sig"):
            return "cp1252"
        raise ColumnError(f"{table.path.name} is not {table.encoding} text throughout: save it as CSV UTF-8") from None
    return table.encoding


def _rows(table: TextTable, codec: str) -> Iterator[Row]:
    """Cells, line number and fault of each line that may be a bar."""
    width, header = len(table.names), {tuple(cells) for cells in table.header_lines}
    with content.text(table.path, codec) as stream:
        for _ in range(table.first_line - 1):
            stream.readline()
        for raw, line in _parsed(table, stream):
            cells = [cell.strip(_BLANK) for cell in raw]
            filled = sum(map(bool, cells))
            if not filled or tuple(cells) in header or tuple(cells[:width]) in header:
                continue
            if any("\0" in cell for cell in cells):
                raise ColumnError(
                    f"{table.path.name} line {line} holds zero bytes: the file is damaged; fetch it again"
                )
            fault = None
            is_event = filled <= 3 and any(_EVENT.fullmatch(cell) for cell in cells)
            if not is_event and (any(cells[width:]) or len(cells) < width):
                if filled < 3 and not any(map(is_value, cells[:1])):
                    continue  # a note below the table
                fault = f"{table.path.name} line {line} has {len(cells)} cells, the header {width}: mend the line"
            yield (cells + [""] * width)[:width], line, fault


def _parsed(table: TextTable, stream: Iterable[str]) -> Iterator[tuple[list[str], int]]:
    before = table.first_line - 1
    if table.separator == " ":
        for number, text in enumerate(stream, before + 1):
            if not is_comment(text):
                yield text.split(), number
        return
    reader = csv.reader(_uncommented(stream), delimiter=table.separator, skipinitialspace=True, strict=False)
    number = before + 1
    try:
        for cells in reader:
            yield cells, number
            number = before + reader.line_num + 1
    except csv.Error as error:
        raise ColumnError(
            f"{table.path.name} line {number} can't be cut into cells ({error}): look for a quote that is not closed"
        ) from error


def _uncommented(stream: Iterable[str]) -> Iterator[str]:
    """Lines, comments as blank ones."""
    return ("\n" if is_comment(line) else line for line in stream)


def _framed(table: TextTable, rows: Iterator[Row]) -> Iterator[pl.DataFrame]:
    keys = table.keys
    kinds = {**dict.fromkeys(keys, pl.String()), "line": pl.Int64(), "fault": pl.String()}
    held: list[Row] = []
    empty = True
    for row in rows:
        held.append(row)
        if len(held) == _ROWS:
            yield _frame(held, keys, kinds)
            held, empty = [], False
    if held or empty:
        yield _frame(held, keys, kinds)


def _frame(rows: list[Row], keys: list[str], kinds: dict[str, pl.DataType]) -> pl.DataFrame:
    columns: dict[str, list[object]] = {key: [cells[i] or None for cells, _, _ in rows] for i, key in enumerate(keys)}
    columns["line"] = [line for _, line, _ in rows]
    columns["fault"] = [fault for _, _, fault in rows]
    return pl.DataFrame(columns, schema=kinds)
