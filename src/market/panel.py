"""The daily table of the pinned panel, from which market-relative features know the market.

The panel is a fixed list of instruments of each asset class (`BarStore.panel`), so that one more instrument in the
universe changes no other's features. A row of the table uses bars up to its day only.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from numpy.typing import NDArray

if TYPE_CHECKING:
    import datetime as dt

    from src.market.bars import BarStore

MIN_MEMBERS = 5  # members that must have traded for a day to count
LIMIT = 0.5  # a member's return is limited to plus or minus this: one bad print is not the market
OLDEST_DAYS = 7.0  # a return over a longer gap is not that of a day
DIGITS = 12  # decimals kept: the order of summation, which depends on the processor, changes later ones only
SCHEMA = {
    "asset_class": pl.String,
    "date": pl.Date,
    "market_return": pl.Float64,
    "dispersion": pl.Float64,
    "csad": pl.Float64,
    "breadth": pl.Float64,
    "n": pl.Int32,
}


def panel_table(store: BarStore) -> pl.DataFrame:
    """Compute the daily table of every asset class in the pinned panel.

    Buckets are read one after the other and only the members' returns are kept: memory grows with the panel (at most
    `universe.panel` instruments of each class), not with the universe.

    Parameters
    ----------
    store : BarStore
        Bars of the dataset and its panel.

    Returns
    -------
    DataFrame
        asset_class, date, market_return (mean of the members' close-to-close returns, each limited to +-0.5),
        dispersion (their sample standard deviation), csad (mean |r - market_return|), breadth (share of members that
        rose), n (members that traded), sorted. Days on which fewer than five members traded have null values.

    Source
    ------
    Chang, Cheng and Khorana (2000), An examination of herd behavior in equity markets, JBF 24:1651, eq. 2.
    """
    members = store.panel()
    columns = ["asset_class", "symbol", "date", "open", "close", "volume", "factor"]
    parts = [member_returns(store.read_bucket(b, columns, members)) for b in store.buckets()] if members else []
    return table_of(pl.concat(parts)) if parts else pl.DataFrame(schema=SCHEMA)


def member_returns(bars: pl.DataFrame) -> pl.DataFrame:
    """Compute total-return close-to-close returns of tradable bars.

    Parameters
    ----------
    bars : DataFrame
        asset_class, symbol, date, open, close, volume, factor.

    Returns
    -------
    DataFrame
        asset_class, symbol, date, return (limited to +-0.5); without returns over more than a week, and without NaN.
    """
    key = ["asset_class", "symbol"]
    price = pl.col("close") * pl.col("factor")
    days = pl.col("date").diff().dt.total_seconds() / 86_400
    return (
        bars.filter((pl.col("close") > 0) & (pl.col("open") > 0) & (pl.col("volume") > 0))
        .sort(*key, "date")
        .select(
            *key,
            "date",
            (price / price.shift(1) - 1).over(key).clip(-LIMIT, LIMIT).alias("return"),
            days.over(key).alias("days"),
        )
        .filter(pl.col("days") <= OLDEST_DAYS, pl.col("return").is_finite())
        .drop("days")
    )


def table_of(returns: pl.DataFrame) -> pl.DataFrame:
    """Compute the daily table from the members' returns.

    Parameters
    ----------
    returns : DataFrame
        From `member_returns`, in any order.

    Returns
    -------
    DataFrame
        As of `panel_table`.
    """
    parts = []
    for (asset_class,), rows in sorted(returns.group_by("asset_class"), key=lambda part: str(part[0])):
        wide = rows.sort("symbol").pivot("symbol", index="date", values="return").sort("date")
        names = sorted(name for name in wide.columns if name != "date")
        values = _daily(wide.select(names).to_numpy())
        parts.append(
            wide.select(pl.lit(asset_class, dtype=pl.String).alias("asset_class"), "date").with_columns(
                pl.Series(name, column, nan_to_null=True) for name, column in values.items()
            )
        )
    return pl.concat(parts).with_columns(pl.col("n").cast(pl.Int32)) if parts else pl.DataFrame(schema=SCHEMA)


def panel_hash(table: pl.DataFrame, until: dt.date | None = None, asset_class: str | None = None) -> str:
    """Hash the daily table.

    Parameters
    ----------
    table : DataFrame
        From `panel_table`.
    until : date or None
        Last date that counts; None takes all.
    asset_class : str or None
        Class whose rows count; None takes all.

    Returns
    -------
    str
        Hexadecimal digits.
    """
    rows = table.sort("asset_class", "date")
    if until is not None:
        rows = rows.filter(pl.col("date").cast(pl.Date) <= until)
    if asset_class is not None:
        rows = rows.filter(pl.col("asset_class") == asset_class)
    hashed = hashlib.blake2b(digest_size=16)
    for column in rows.columns:
        series = rows[column]
        if series.dtype == pl.String:
            data = "\n".join(series.to_list()).encode()
        elif series.dtype.is_nested():
            data = series.to_numpy().astype("<f4").tobytes()
        else:
            physical = series.to_physical()
            data = physical.cast(pl.Float64).fill_null(float("nan")).to_numpy().astype("<f8").tobytes()
        hashed.update(f"{column}:{len(data)}:".encode() + data)
    return hashed.hexdigest()


def _daily(returns: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Statistics over the members (columns) for each day (row); a member that did not trade is NaN."""
    traded = np.isfinite(returns)
    count = traded.sum(axis=1).astype(np.float64)
    enough = count >= MIN_MEMBERS
    n = np.where(enough, count, np.nan)
    market = np.where(traded, returns, 0.0).sum(axis=1) / n
    apart = np.where(traded, returns - market[:, None], 0.0)
    statistics = {
        "market_return": market,
        "dispersion": np.sqrt((apart**2).sum(axis=1) / (n - 1)),
        "csad": np.abs(apart).sum(axis=1) / n,
        "breadth": (traded & (returns > 0)).sum(axis=1) / n,
    }
    return {name: np.where(enough, values, np.nan).round(DIGITS) for name, values in statistics.items()} | {"n": count}
