"""Which insider trades are routine, by what was known when each became known."""

from __future__ import annotations

import polars as pl

_INSIDER = ("issuer", "owner")
_YEARS = (1, 2, 3)


def routine(trades: pl.DataFrame) -> pl.Series:
    """1 if the insider traded in the same calendar month of each of the three years before, else 0.

    Parameters
    ----------
    trades : DataFrame
        issuer, owner, traded (Date) and known of each trade, in any order.

    Returns
    -------
    Series of Float64, shape (n,)
        Null where no trade of this insider in this company is known for one of the three years before: such an
        insider can't be judged. A trade counts if it was known when the trade that is judged became known.

    Notes
    -----
    The paper classifies insiders at the beginning of each calendar year, and, as its second version, single trades;
    this is the latter.

    Source: Cohen, Malloy and Pomorski (2012), "Decoding Inside Information", Journal of Finance 67:1009-1043:
    only insiders with a trade in each of the three preceding years are judged; those with a trade in the same
    calendar month of three consecutive years are routine, the others are opportunistic.
    """
    rows = trades.select(
        *_INSIDER, "known", year=pl.col("traded").dt.year(), month=pl.col("traded").dt.month().cast(pl.Int32)
    ).with_row_index("place")
    years = rows.group_by(*_INSIDER, "year").agg(first=pl.col("known").min())
    months = rows.group_by(*_INSIDER, "year", "month").agg(first=pl.col("known").min())
    judged = rows
    for back in _YEARS:
        judged = _earlier(judged, years, ("year",), back, f"year_{back}")
        judged = _earlier(judged, months, ("year", "month"), back, f"month_{back}")
    whole = pl.all_horizontal(*(pl.col(f"year_{back}") for back in _YEARS))
    same = pl.all_horizontal(*(pl.col(f"month_{back}") for back in _YEARS)).cast(pl.Float64)
    return judged.sort("place").select(routine=pl.when(whole).then(same))["routine"]


def _earlier(rows: pl.DataFrame, firsts: pl.DataFrame, by: tuple[str, ...], back: int, name: str) -> pl.DataFrame:
    """Whether a trade `back` years before was known, as a column."""
    moved = firsts.with_columns(pl.col("year") + back)
    joined = rows.join(moved, on=[*_INSIDER, *by], how="left")
    return joined.with_columns((pl.col("first") <= pl.col("known")).fill_null(value=False).alias(name)).drop("first")
