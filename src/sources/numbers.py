"""Numbers of a file of bars: which style they are written in, and the cells of a column as float64.

A cell is a number, a missing value, or text that is no number; the last is never taken for a missing value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import polars as pl

MISSING = (
    "", "na", "n/a", "n.a.", "n.a", "nan", "null", "none", "nil", "nat", "<na>", "#n/a", "#n/a n/a", "-", "--", "---",
    ".", "\u2013", "\u2014",
)  # fmt: skip
"""Cells that stand for a missing value, in lower case."""
_SPACE = r"[ \u00a0\u2009\u202f\u2007]"
_APOSTROPHE = "['\u2019`]"
_CURRENCY = r"(?:US\$|C\$|A\$|HK\$|[$€£¥₹₩₿฿₽]|USD|EUR|GBP|JPY|CHF|CAD|AUD|INR|CNY|HKD|Rs\.?|kr|USDT)"
_SCALES = {"k": 3, "m": 6, "mn": 6, "mio": 6, "mm": 6, "b": 9, "bn": 9, "t": 12, "tn": 12, "cr": 7, "lakh": 5}


@dataclass(frozen=True)
class NumberStyle:
    """How numbers are written.

    Attributes
    ----------
    decimal : str
        The decimal sign, a dot or a comma; the other one groups thousands.
    """

    decimal: str = "."

    @cached_property
    def pattern(self) -> str:
        """A regular expression for every number of this style: sign, currency, digits, exponent, scale."""
        dec, comma = re.escape(self.decimal), re.escape("," if self.decimal == "." else ".")
        groups = [rf"[0-9]{{1,3}}(?:{sep}[0-9]{{3}})+" for sep in (comma, _SPACE, _APOSTROPHE)]
        groups.append(rf"[0-9]{{1,2}}(?:{comma}[0-9]{{2}})+{comma}[0-9]{{3}}")  # lakh and crore
        body = rf"(?:(?:{'|'.join(groups)}|[0-9]+)(?:{dec}[0-9]*)?|{dec}[0-9]+)(?:[eE][-+]?[0-9]{{1,3}})?"
        sign = "[-+\u2212]?"
        currency = rf"(?i:{_CURRENCY})?{_SPACE}?"
        scale = rf"(?:{_SPACE}?(?i:{'|'.join(sorted(_SCALES, key=len, reverse=True))}))?"
        amount = rf"{sign}{currency}{sign}{body}{scale}{_SPACE}?(?i:{_CURRENCY})?"
        return rf"^(?:{amount}|\({currency}{body}{scale}\))$"

    def values(self, text: pl.Expr) -> pl.Expr:
        """Read cells that match `pattern`.

        Parameters
        ----------
        text : Expr
            Cells without surrounding spaces.

        Returns
        -------
        Expr
            float64; null where the cell is no number.
        """
        grouping = "," if self.decimal == "." else "."
        bare = text.str.replace_all(rf"(?i){_CURRENCY}", "").str.replace_all(rf"{_SPACE}|{_APOSTROPHE}", "")
        bare = bare.str.replace_all(grouping, "", literal=True).str.replace(self.decimal, ".", literal=True)
        bare = bare.str.replace_all("\u2212", "-", literal=True).str.replace(r"^\((.*)\)$", "-$1")
        for scale in sorted(_SCALES, key=len, reverse=True):
            bare = bare.str.replace(rf"(?i)([0-9.]){scale}$", f"${{1}}e{_SCALES[scale]}")
        return pl.when(text.str.contains(self.pattern)).then(bare.cast(pl.Float64, strict=False))


DOT, COMMA = NumberStyle("."), NumberStyle(",")
_NAME = {".": "a decimal point", ",": "a decimal comma"}


def stripped(name: str) -> pl.Expr:
    """Cells of a column of text without surrounding spaces, of any kind of space."""
    return pl.col(name).str.strip_chars(" \t\r\n\xa0\u2007\u202f\u2009\u200b\ufeff")


def is_missing(text: pl.Expr) -> pl.Expr:
    """Whether cells stand for a missing value."""
    return text.is_null() | text.str.to_lowercase().is_in(MISSING)


def plain(text: pl.Expr) -> pl.Expr:
    """Cells as float64 where they are plain numbers; null elsewhere."""
    return text.cast(pl.Float64, strict=False)


@dataclass(frozen=True)
class NumberReading:
    """How the columns of numbers of a file are read.

    Attributes
    ----------
    styles : mapping of str to NumberStyle
        By the file's name of a column; columns of plain numbers have none.
    """

    styles: Mapping[str, NumberStyle]

    def column(self, name: str, kind: pl.DataType) -> pl.Expr:
        """Build the expression for a column.

        Parameters
        ----------
        name : str
            The file's name of it.
        kind : DataType
            Of the column in the file.

        Returns
        -------
        Expr
            float64; null where the value is missing and where the cell is no number (see `unread`).
        """
        if kind == pl.Categorical or isinstance(kind, pl.Enum):
            kind, column = pl.String(), pl.col(name).cast(pl.String)
        else:
            column = pl.col(name)
        if kind != pl.String:
            return column.cast(pl.Float64, strict=False)
        style = self.styles.get(name)
        return plain(stripped(name)) if style is None else style.values(stripped(name))

    def unread(self, name: str, kind: pl.DataType) -> pl.Expr:
        """Whether a cell of a column of text is neither a number nor a missing value."""
        if kind != pl.String:
            return pl.lit(False)
        return self.column(name, kind).is_null() & ~is_missing(stripped(name))

    def is_unread(self, name: str, cell: str) -> bool:
        """Whether one cell is neither a number nor a missing value."""
        style = self.styles.get(name)
        if style is not None:
            return re.match(style.pattern, cell) is None
        return pl.Series([cell]).cast(pl.Float64, strict=False).null_count() > 0


def shapes(frame: pl.DataFrame, names: list[str]) -> pl.DataFrame:
    """Count the ways in which the cells of columns are written.

    Parameters
    ----------
    frame : DataFrame
        Cells as text, and their ``line``.
    names : list of str
        Columns.

    Returns
    -------
    DataFrame
        column, shape (digits as 9, a lone zero before a separator as 0), cell (an example), line (of it), n.
    """
    tables = []
    for name in names:
        text = stripped(name)
        shape = text.str.replace_all(r"[1-9]", "9").str.replace(r"^([^0-9]*)0([.,])", "${1}z$2")
        shape = shape.str.replace_all("0", "9", literal=True).str.replace("z", "0", literal=True)
        cells = frame.lazy().select(pl.lit(name).alias("column"), shape.alias("shape"), text.alias("cell"), "line")
        cells = cells.filter(~is_missing(pl.col("cell")))
        tables.append(cells.group_by("column", "shape").agg(pl.first("cell"), pl.first("line"), pl.len().alias("n")))
    return pl.concat(tables).collect()
