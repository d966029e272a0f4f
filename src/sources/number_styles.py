"""The style in which the numbers of a file are written, found from all of its cells together."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from src.sources.column_error import ColumnError
from src.sources.numbers import COMMA, DOT, NumberReading, NumberStyle, is_missing, plain, stripped

_BODY = re.compile(r"[\d.,]*\d")
_CURRENCIES = re.compile(r"US\$|C\$|A\$|HK\$|[$€£¥₹]|USD|EUR|GBP|JPY|CHF|CAD|AUD|INR|CNY|HKD", re.IGNORECASE)
_DOTTED = r"^[-+]?[1-9]\d{0,2}\.\d{3}$"
_SAMPLE = 100
_FAR = math.log(20)
_SOME, _MANY = 3, 60  # cells without a sign, and with one, that decide


def is_plain(frame: pl.DataFrame, prices: Sequence[str], others: Sequence[str], is_comma: bool) -> bool:
    """Whether every cell is a plain number or missing, and no dot can be the separator of thousands.

    Parameters
    ----------
    frame : DataFrame
        Cells as text.
    prices, others : sequence of str
        Columns of prices, and of volumes and counts.
    is_comma : bool
        Whether cells are separated by commas; where they are not, dots may group thousands.

    Returns
    -------
    bool
        True for what most programs write.
    """
    names = [*prices, *others]
    odd = [(plain(stripped(n)).is_null() & ~is_missing(stripped(n))).any().alias(n) for n in names]
    if not names or any(frame.select(odd).row(0)):
        return not names
    if is_comma and not any(frame[name].str.contains(_DOTTED).any() for name in others):
        return True
    cells = [cell for name in prices for cell in frame[name].head(_SAMPLE) if cell and "." in cell]
    return any(_certain(cell) is DOT for cell in cells) or not any(
        frame.select(stripped(name).str.contains(_DOTTED).any()).item() for name in names
    )


def number_reading(
    path: Path,
    tally: pl.DataFrame,
    sample: pl.DataFrame,
    prices: Mapping[str, str],
    others: Sequence[str],
    is_comma: bool,
    has_shares: bool,
) -> NumberReading:
    """Find the style of a file's numbers.

    Parameters
    ----------
    path : Path
        The file, for messages.
    tally : DataFrame
        From `shapes`, of all cells.
    sample : DataFrame
        Rows of the file, as text: they decide where every cell could be read in two ways.
    prices : mapping of str to str
        The file's names of its columns of prices by ours. They share one style.
    others : sequence of str
        The other columns of numbers: each follows the prices where it can.
    is_comma : bool
        Whether cells are separated by commas: then a lone dot is a decimal point.
    has_shares : bool
        Whether the others count whole shares, which have no decimals.

    Returns
    -------
    NumberReading
        Cells that its styles can't read are unread; the caller names them.

    Raises
    ------
    ColumnError
        If ``1,234`` may be a thousand or three decimals, or prices are in several currencies.
    """
    ours = tally.filter(pl.col("column").is_in(list(prices.values())))
    _refuse_currencies(path, ours)
    style = _conclusive(ours)
    rest = {name: _conclusive(tally.filter(pl.col("column") == name)) for name in others}
    if style is None and _is_ambiguous(ours):
        volume = next((each for each in rest.values() if each is not None), None)
        style = volume or _by_rows(sample, prices) or _by_gaps(ours) or _decimal_dots(ours, is_comma)
        if style is None:
            _refuse(path, ours)
    styles = {name: style or DOT for name in prices.values()}
    for name in others:
        cells = tally.filter(pl.col("column") == name)
        own = rest[name]
        if style is None and own is None and _is_ambiguous(cells):
            own = _by_gaps(cells) or (_grouping(cells) if has_shares else _decimal_dots(cells, is_comma))
            if own is None:
                _refuse(path, cells)
        first = style or own or DOT
        other = COMMA if first is DOT else DOT
        worse = _unread(cells, first) > 0 == _unread(cells, other)
        styles[name] = other if worse else first
    return NumberReading(styles)


def tallied(frames: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Join the counts of `shapes` of several parts of a file, in their order."""
    whole = pl.concat(frames)
    return whole.group_by("column", "shape", maintain_order=True).agg(
        pl.first("cell"), pl.first("line"), pl.col("n").sum()
    )


def _certain(cell: str) -> NumberStyle | None:
    """The one style that reads a cell; None if both do, or neither."""
    dot, comma = (re.match(style.pattern, cell) is not None for style in (DOT, COMMA))
    return None if dot == comma else DOT if dot else COMMA


def _conclusive(cells: pl.DataFrame) -> NumberStyle | None:
    """The style of most of the cells that only one style reads."""
    votes = {DOT: 0, COMMA: 0}
    for shape, cell, n in cells.select("shape", "cell", "n").iter_rows():
        if ("." in shape or "," in shape) and (style := _certain(cell)) is not None:
            votes[style] += n
    best = max(votes, key=lambda style: votes[style])
    return best if votes[best] else None


def _is_ambiguous(cells: pl.DataFrame) -> bool:
    return any(re.search(r"[.,]", _body(cell)) and _both(cell) for cell in cells["cell"])


def _both(cell: str) -> bool:
    return all(re.match(style.pattern, cell) for style in (DOT, COMMA))


def _unread(cells: pl.DataFrame, style: NumberStyle) -> int:
    return sum(n for cell, n in cells.select("cell", "n").iter_rows() if not re.match(style.pattern, cell))


def _body(cell: str) -> str:
    found = _BODY.search(cell)
    return found.group() if found else ""


def _by_rows(sample: pl.DataFrame, prices: Mapping[str, str]) -> NumberStyle | None:
    """The style in which lows are below highs and no close is far from the last one, where the other's are not."""
    if not {"open", "high", "low", "close"} <= prices.keys():
        return None
    impossible = {}
    for style in (DOT, COMMA):
        o, h, lo, c = (style.values(stripped(prices[name])) for name in ("open", "high", "low", "close"))
        wrong = (lo > pl.min_horizontal(o, c)) | (h < pl.max_horizontal(o, c)) | ((c / o).log().abs() > _FAR)
        impossible[style] = sample.select((wrong | ((c / c.shift(1)).log().abs() > _FAR)).sum()).item()
    if (impossible[DOT] == 0) == (impossible[COMMA] == 0):
        return None
    return DOT if impossible[DOT] == 0 else COMMA


def _grouping(cells: pl.DataFrame) -> NumberStyle | None:
    """The style in which cells that two styles read have thousands and no decimals; None if a unit may need them."""
    double = [cell for cell in cells["cell"] if _both(cell) and re.search(r"\d[.,]", cell)]
    if any(re.search(r"[A-Za-z]$", cell) for cell in double):
        return None
    return DOT if any("," in cell for cell in double) else COMMA


def _decimal_dots(cells: pl.DataFrame, is_comma: bool) -> NumberStyle | None:
    return DOT if is_comma and not any("," in cell for cell in cells["cell"]) else None


def _by_gaps(cells: pl.DataFrame) -> NumberStyle | None:
    """Thousands, where many numbers have three digits after the sign and others have no sign.

    Numbers with three decimals always have the sign; where zeros at the end are left out, some have fewer decimals.
    """
    whole = cells.filter(pl.col("shape").str.contains(r"^[^.,]*$"))["n"].sum()
    signed = cells.filter(pl.col("shape").str.contains(r"[.,]"))["n"].sum()
    return _grouping(cells) if whole >= _SOME and signed >= _MANY else None


def _refuse(path: Path, cells: pl.DataFrame) -> None:
    row = next(row for row in cells.sort("line").iter_rows(named=True) if _both(row["cell"]) and _body(row["cell"]))
    raise ColumnError(
        f"{path.name} line {row['line']}, column {row['column']}: '{row['cell']}' may be a thousand or have three"
        " decimals, and no other cell decides: write numbers without a separator of thousands, as 1234.5",
        "quarantined",
    )


def _refuse_currencies(path: Path, cells: pl.DataFrame) -> None:
    seen: dict[str, tuple[str, int]] = {}
    for cell, line in cells.sort("line").select("cell", "line").iter_rows():
        if found := _CURRENCIES.search(cell):
            seen.setdefault(found.group().upper().replace("US$", "$").replace("USD", "$"), (cell, line))
    if len(seen) > 1:
        (one, at), (other, there) = list(seen.values())[:2]
        raise ColumnError(
            f"{path.name} has prices in several currencies: '{one}' in line {at} and '{other}' in line {there}: convert"
            " them to one",
            "quarantined",
        )
