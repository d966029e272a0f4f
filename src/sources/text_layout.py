"""Layout of the first lines of a text: separator, header, and what stands before it."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from src.sources.column_error import ColumnError

_SEPARATORS = ",;\t|"
_LINES = 40  # that decide
_COMMENT = re.compile(r"\s*\"?(?:#(?!N/A|VALUE|REF|DIV|NUM|NAME|NULL)|//)", re.IGNORECASE)
_BLANK = " \t\xa0\u2007\u202f\u200b\ufeff"
_VALUE = re.compile(
    r"""[-+(]?\s*[$€£¥₹]?\s*[-+]?\d[\d.,'\s\xa0\u202f]*(?:[eE][-+]?\d+)?\s*(?:(?<!\.)[KMBT%]|bn|[€£$])?\)?  # a number
    | \d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}(?:[T\s].*)?  # a date
    | \d{1,2}[-\s][A-Za-z]{3,9}[-\s,]+\d{2,4}.* | [A-Za-z]{3,9}\.?\s\d{1,2},?\s\d{4}.* | \d{1,2}:\d\d.*""",
    re.VERBOSE,
)
_DAY = re.compile(
    r"""\d{8} | \d{9,19}(?:\.0*)? | .*\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}.*
    | .*\d.*[A-Za-z]{3}.*\d{2}.* | [A-Za-z]{3,}.*\d{4}.*""",
    re.VERBOSE,
)
_LABELS = ("ticker", "tickers", "symbol", "symbols")  # a line of the header begins so, whose cells may be numbers


@dataclass(frozen=True)
class TextLayout:
    """Layout of the first lines.

    Attributes
    ----------
    separator : str
        Between cells; a space stands for any number of spaces.
    names : list of str
        Of the columns.
    header_lines : list of list of str
        Lines of the header, the one with the names first; empty if there is none.
    first_line : int
        Number of the first line after the header, from 1.
    is_quoted_across : bool
        Whether a quoted cell among the first lines goes on in the next line, or a comment stands between them.
    """

    separator: str
    names: list[str]
    header_lines: list[list[str]]
    first_line: int
    is_quoted_across: bool


def cells_of(line: str, separator: str) -> list[str]:
    """Cells of a line, without the spaces around them.

    Parameters
    ----------
    line : str
        Without its line end.
    separator : str
        A space stands for any number of spaces.
    """
    if separator == " ":
        return line.split()
    try:
        cells = next(csv.reader([line], delimiter=separator, skipinitialspace=True), [])
    except csv.Error:
        cells = line.split(separator)
    return [cell.strip(_BLANK) for cell in cells]


def is_comment(line: str) -> bool:
    """Whether a line is a comment, as some vendors put above and below a table."""
    return _COMMENT.match(line) is not None


def is_value(cell: str) -> bool:
    """Whether a cell looks like a number, a date or a time."""
    return _VALUE.fullmatch(cell) is not None


def laid_out(path: Path, lines: list[str]) -> TextLayout:
    """Find separator and header among the first lines of a text.

    Parameters
    ----------
    path : Path
        The file, for messages.
    lines : list of str
        Its first lines.

    Returns
    -------
    TextLayout
        The separator that cuts most lines into equally many cells, and the lines of names just above the first line of
        values.

    Raises
    ------
    ColumnError
        If no line has two cells.
    """
    declared = re.fullmatch(r"\"?sep=(.)\"?", lines[0].strip(), re.IGNORECASE) if lines else None
    begin = 1 if declared else 0
    used = [(i, line) for i, line in enumerate(lines[: _LINES + begin]) if i >= begin and line.strip(_BLANK + "\0")]
    plain = [(i, line) for i, line in used if not is_comment(line)]
    separator = declared.group(1) if declared else _separator([line for _, line in plain or used])
    rows = [(i, cells_of(line, separator)) for i, line in plain]
    width = _usual_width(cells for _, cells in rows)
    data = next((n for n, (_, cells) in enumerate(rows) if _is_data(cells, width)), len(rows))
    block = _header(rows[:data], width)
    if not block:
        block = _commented(used, rows[data][0] if data < len(rows) else len(lines), separator, width)
    if not block and data == len(rows):
        raise ColumnError(f"{path.name} is no table: no line of it has the names of columns")
    across = any(line.count('"') % 2 for _, line in used) or len(used) > len(plain)
    if block:
        last = block[-1][0]
        return TextLayout(separator, block[0][1], [cells for _, cells in block], last + 2, across)
    names = [f"column_{i + 1}" for i in range(width)]
    return TextLayout(separator, names, [], rows[data][0] + 1, across)


def _separator(lines: list[str]) -> str:
    """The separator that cuts most lines into the same number of cells, two at least."""
    best, score = ",", (0, 0)
    for separator in _SEPARATORS:
        counts = Counter(len(cells_of(line, separator)) if '"' in line else line.count(separator) + 1 for line in lines)
        fit = max(((n, width) for width, n in counts.items() if width > 1), default=(0, 0))
        if fit > score:
            best, score = separator, fit
    if score == (0, 0) and sum(len(line.split()) > 2 for line in lines) > len(lines) / 2:
        return " "
    return best


def _usual_width(rows: Iterable[list[str]]) -> int:
    counts = Counter(len(cells) for cells in rows)
    return max(((n, width) for width, n in counts.items()), default=(0, 0))[1]


def _is_data(cells: list[str], width: int) -> bool:
    """Whether a line holds values: three of them, or half of its cells, or a day beside cells with digits."""
    filled = [cell for cell in cells if cell]
    if cells and cells[0].lower() in _LABELS:
        return False
    values = sum(map(is_value, filled))
    digits = sum(any(sign.isdecimal() for sign in cell) for cell in filled)
    if digits >= 4 and len(cells) >= width - 1 and any(map(_DAY.fullmatch, filled)):
        return True  # a bar whose cells no pattern reads, as USD 100.45: it is refused by line and column, and not lost
    return values >= 3 or (2 * values >= len(filled) > 0 and len(cells) >= (width + 1) // 2)


def _header(rows: list[tuple[int, list[str]]], width: int) -> list[tuple[int, list[str]]]:
    """Lines of names: those just above the values that are about as wide, from the one with most names on."""
    block: list[tuple[int, list[str]]] = []
    for i, cells in reversed(rows):
        if len(cells) < max(1, width - 1) and block:
            break
        if len(cells) >= max(1, (width + 1) // 2):
            block.insert(0, (i, cells))
    if not block:
        return []
    named = [sum(bool(cell) for cell in cells) for _, cells in block]
    return block[named.index(max(named)) :]


def _commented(used: list[tuple[int, str]], data: int, separator: str, width: int) -> list[tuple[int, list[str]]]:
    """A header that is written as a comment: ``#date,open,high``."""
    for i, line in reversed([(i, line) for i, line in used if i < data and is_comment(line)]):
        cells = cells_of(line.lstrip().lstrip('#/" '), separator)
        if len(cells) >= max(2, width - 1):
            return [(i, cells)]
    return []
