"""Files of bars without a header: which column is which, as far as the values say it."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from src.sources.column_error import ColumnError

_OHLC = ("open", "high", "low", "close")
_FORMS = (
    ("date", *_OHLC, "volume"),
    ("date", "low", "high", "open", "close", "volume"),  # Coinbase
    ("date", *_OHLC, "volume", "count"),  # Kraken
    ("date", *_OHLC, "vwap", "volume", "count"),
    ("date", "time", *_OHLC, "volume"),  # MetaTrader 4
    ("symbol", "date", *_OHLC, "volume"),
    ("symbol", "period", "date", "time", *_OHLC, "volume"),
    ("symbol", "period", "date", "time", *_OHLC, "volume", "interest"),
    ("date", *_OHLC, "volume", "close_time", "quote_volume", "count", "taker_volume", "taker_quote_volume", "ignore"),
)
_DATE = r"^\s*(?:\d{8}|\d{9,19}(?:\.\d+)?|\d{4}[-/.]\d{1,2}[-/.]\d{1,2}.*|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}.*)\s*$"
_NUMBERS = (*_OHLC, "volume")
_SHARE = 0.99


def named_by_values(path: Path, sample: pl.DataFrame) -> dict[str, str]:
    """Find our columns in a table without names.

    Parameters
    ----------
    path : Path
        The file, for messages.
    sample : DataFrame
        First rows, cells as text.

    Returns
    -------
    dict of str to str
        The file's column by ours. The high is the highest and the low the lowest price in nearly all rows, and where
        two orders of columns fit, open comes before close.

    Raises
    ------
    ColumnError
        If no known order of columns fits, with what to do.
    """
    keys = sample.columns
    for form in _FORMS:
        columns = dict(zip(form, keys, strict=False))
        if len(form) == len(keys) and _fits(sample, columns):
            return {ours: key for ours, key in columns.items() if ours in (*_NUMBERS, "date", "time", "symbol")}
    first = ", ".join(str(cell) for cell in sample.row(0)[:8]) if sample.height else ""
    raise ColumnError(
        f"{path.name} has no header and {len(keys)} columns ({first}), which fit no known order: write their names into"
        " a first line, such as date,open,high,low,close,volume"
    )


def _fits(sample: pl.DataFrame, columns: dict[str, str]) -> bool:
    text = {ours: pl.col(key).cast(pl.String).str.strip_chars() for ours, key in columns.items()}
    prices = [text[name].cast(pl.Float64, strict=False) for name in _OHLC]
    sane = (text["high"].cast(pl.Float64, strict=False) >= pl.max_horizontal(prices)) & (
        text["low"].cast(pl.Float64, strict=False) <= pl.min_horizontal(prices)
    )
    sane &= text["volume"].cast(pl.Float64, strict=False).is_not_null() & text["date"].str.contains(_DATE)
    if "symbol" in text:
        sane &= ~text["symbol"].str.contains(_DATE)
    if "time" in text:
        sane &= text["time"].str.contains(r"^\d{1,2}:?\d{2}(?::?\d{2})?$")
    return sample.height > 0 and (sample.select(sane.fill_null(False).mean()).item() or 0) >= _SHARE
