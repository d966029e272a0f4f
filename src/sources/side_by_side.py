"""Several instruments side by side in one table, as yfinance's ``download`` gives them: a field and ticker a column."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from src.sources.column_names import ALIASES, field_of, normalised

SYMBOL, DATE = "symbol", "date"
_NEEDED = ("open", "high", "low", "close", "volume")
_KNOWN = ("adj_close", "split", "dividend")
_EXTRA = ("capital_gains", "repaired")
_UNITS = ("usd", "eur", "gbp", "gbx", "jpy", "chf", "cad", "aud", "inr", "hkd", "cny", "$", "€", "shares", "number")
_FIELD = r"(?P<field>(?i:adj[ ._-]?close|open|high|low|close|volume))"
_FIELD_FIRST, _TICKER_FIRST = (
    re.compile(p) for p in (_FIELD + r"[ _|.:-]+(?P<ticker>.+)", r"(?P<ticker>.+?)[ _|.:-]+" + _FIELD)
)
_NO_TICKERS = ("adj", "adjusted", "bid", "ask", "mid", "raw", "unadj", "unadjusted", "prev", "previous", "price")
_PAIR = re.compile(r"\(\s*'(.*?)',\s*'(.*?)'\s*\)")


@dataclass(frozen=True)
class SideBySide:
    """Where each instrument's columns are.

    Attributes
    ----------
    date : str
        The file's column of dates.
    tickers : dict of str to dict of str to str
        For each symbol the file's column by ours.
    """

    date: str
    tickers: dict[str, dict[str, str]]

    @property
    def fields(self) -> list[str]:
        """Our columns that any instrument has."""
        there = {ours for columns in self.tickers.values() for ours in columns}
        return [ours for ours in ALIASES if ours in there]

    def stacked(self, frame: pl.DataFrame, kept: Sequence[str] = ()) -> pl.DataFrame:
        """Put the instruments below each other.

        Parameters
        ----------
        frame : DataFrame
            Columns of the file.
        kept : sequence of str
            Other columns that each row keeps, such as the number of its line.

        Returns
        -------
        DataFrame
            date, symbol, `fields` and `kept`; rows in which an instrument has no value at all are left out.
        """
        parts = []
        for symbol, columns in self.tickers.items():
            values = [
                pl.col(columns[ours]).alias(ours) if ours in columns else pl.lit(None).alias(ours)
                for ours in self.fields
            ]
            rows = frame.select(pl.col(self.date).alias(DATE), pl.lit(symbol).alias(SYMBOL), *values, *kept)
            cells = [pl.col(ours).cast(pl.String).str.strip_chars() for ours in self.fields if ours in columns]
            parts.append(rows.filter(pl.any_horizontal((cell != "").fill_null(False) for cell in cells)))
        return pl.concat(parts, how="vertical_relaxed")


def side_by_side(keys: Sequence[str], header: Sequence[Sequence[str]]) -> SideBySide | None:
    """Find instruments side by side.

    Parameters
    ----------
    keys : sequence of str
        Columns of the file.
    header : sequence of sequence of str
        Lines of its header, each with a cell for every column; one line where names are pairs: ``('Close', 'AAPL')``.

    Returns
    -------
    SideBySide or None
        None if the table holds one instrument, or many below each other.
    """
    lines = [list(line) + [""] * (len(keys) - len(line)) for line in header if any(line)]
    pairs = [_PAIR.fullmatch(key.strip()) for key in keys]
    if sum(pair is not None for pair in pairs) >= len(_NEEDED):
        lines = [
            [pair.group(i) if pair else key * (2 - i) for pair, key in zip(pairs, keys, strict=True)] for i in (1, 2)
        ]
    if len(lines) < 2:
        return None
    for fields, tickers in ((lines[0], lines[1]), (lines[1], lines[0])):
        found = _placed(keys, fields, _filled(fields, tickers))
        if found is not None:
            return found
    return None


def joined_names(keys: Sequence[str]) -> SideBySide | None:
    """Find instruments side by side by names that join field and ticker: ``Close_AAPL``, ``AAPL Close``.

    Parameters
    ----------
    keys : sequence of str
        Columns of the file.

    Returns
    -------
    SideBySide or None
        None unless every column but the dates has such a name, and every ticker all fields.
    """
    for pattern in (_FIELD_FIRST, _TICKER_FIRST):
        found = [pattern.fullmatch(key.strip()) for key in keys]
        fields = [each.group("field") if each else key for each, key in zip(found, keys, strict=True)]
        tickers = [each.group("ticker") if each else "" for each in found]
        placed = _placed(keys, fields, tickers)
        if placed is not None and not any(normalised(ticker) in _NO_TICKERS for ticker in placed.tickers):
            return placed
    return None


def _filled(fields: list[str], tickers: list[str]) -> list[str]:
    """Tickers with those of merged cells, which are written once above their columns."""
    filled, last = [], ""
    for field, ticker in zip(fields, tickers, strict=True):
        last = ticker or last
        filled.append(last if field else ticker)
    return filled


def _placed(keys: Sequence[str], fields: list[str], tickers: list[str]) -> SideBySide | None:
    columns: dict[str, dict[str, str]] = {}
    date: str | None = None
    for n, (key, field, ticker) in enumerate(zip(keys, fields, tickers, strict=True)):
        ours = field_of(field)
        if ours in (*_NEEDED, *_KNOWN) and ticker and normalised(field) != "price":
            if field_of(ticker) in _NEEDED or ours in columns.get(ticker, {}):
                return None
            columns.setdefault(ticker, {})[ours] = key
        elif ours == "date" or (n == 0 and date is None):
            date = key
        elif normalised(field) not in _EXTRA:
            return None
    if len(columns) == 1 and next(iter(columns)).lower() in _UNITS:
        return None
    whole = bool(columns) and all(ours in held for held in columns.values() for ours in _NEEDED)
    return SideBySide(date, columns) if whole and date is not None else None
