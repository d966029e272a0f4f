"""The one tradable portfolio that a relative label subtracts and that its P&L is hedged by, as a table of its returns.

It is the equal-weight mean of the members of the class's pinned panel, or one fund. A median would not do: it can't be
bought, and returns are skewed: their mean less their median is 2 basis points a day without any skill.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from src.core.arrays import DateArray, FloatArray
from src.core.errors import ConfigError
from src.core.instruments import ASSET_CLASSES, KEY, Key
from src.evaluation.label_kinds.declaration import Hedge, later_dates
from src.market.bars import tradable
from src.market.spread import spread

if TYPE_CHECKING:
    from src.config.schema import LabelConfig

WEEK = dt.timedelta(days=7)
SPREAD_WINDOW = 63  # bars of the trailing mean of each member's spread
DIGITS = 12  # decimals kept: the order of summation, which depends on the processor, changes later ones only


def fund_of(label: LabelConfig) -> Key | None:
    """Return the fund that a label compares with; None where it compares with the panel's mean.

    Parameters
    ----------
    label : LabelConfig

    Returns
    -------
    (asset_class, symbol) or None

    Raises
    ------
    ConfigError
        If ``label.params.fund`` is not written as ``etf:SPY``.
    """
    fund = label.params.get("fund")
    if fund is None:
        return None
    asset_class, _, symbol = str(fund).partition(":")
    if asset_class not in ASSET_CLASSES or not symbol:
        raise ConfigError(f"label.params.fund must be an asset class and a symbol such as etf:SPY, got {fund}")
    return asset_class, symbol


def members_of(panel: Iterable[Key], label: LabelConfig) -> list[Key]:
    """List the instruments whose bars the table of a label needs: the panel, and the fund where there is one.

    Parameters
    ----------
    panel : iterable of (asset_class, symbol)
        The pinned panel.
    label : LabelConfig

    Returns
    -------
    list of (asset_class, symbol)
    """
    fund, members = fund_of(label), list(panel)
    return members if fund is None or fund in members else [*members, fund]


def portfolio_table(bars: pl.DataFrame, label: LabelConfig) -> pl.DataFrame:
    """Compute what the portfolio of each asset class returned, by the date of the decision.

    The mean of a date is over the members that traded on it and whose entry and exit are on the most common entry and
    exit dates, so that a member that did not trade for weeks brings nothing from beyond the horizon. One-bar means are
    chained to levels, which give the portfolio's return between any two dates: it is rebalanced at each open.

    Parameters
    ----------
    bars : DataFrame with the columns of ``bars.SCHEMA``
        Those of `members_of`; asset classes are kept apart.
    label : LabelConfig

    Returns
    -------
    DataFrame
        asset_class, date, entry, exit (of the decision), market_return (from entry to exit, the open after `horizon`
        bars), open_level, close_level (of chained one-bar returns), half_spread (mean of the members'), hedge_class;
        unique by (asset_class, date). Entry and what follows from later dates is null for the last dates.

    Raises
    ------
    ConfigError
        If the fund has no bars.
    """
    traded = bars.filter(tradable(bars)).sort(*KEY, "date")
    fund, classes = fund_of(label), traded["asset_class"].unique().sort().to_list()
    if fund is None:
        parts = [_of(traded.filter(pl.col("asset_class") == each), each, label) for each in classes]
        return pl.concat(parts) if parts else _empty(bars.schema["date"])
    own = traded.filter((pl.col("asset_class") == fund[0]) & (pl.col("symbol") == fund[1]))
    if own.is_empty():
        raise ConfigError(
            f"label.params.fund must name an instrument of the dataset, got {':'.join(fund)}: choose one of its symbols"
        )
    return pl.concat([_of(own, each, label) for each in classes])


def _empty(date: Any) -> pl.DataFrame:
    """A table without a row, for bars with dates of this type."""
    numbers = dict.fromkeys(("market_return", "open_level", "close_level", "half_spread"), pl.Float64)
    dates = dict.fromkeys(("date", "entry", "exit"), date)
    return pl.DataFrame(schema={"asset_class": pl.String, **dates, **numbers, "hedge_class": pl.String})


def _of(traded: pl.DataFrame, asset_class: str, label: LabelConfig) -> pl.DataFrame:
    """Table of one class, from the tradable bars of the members of its portfolio."""
    price = {name: pl.col(name).cast(pl.Float64) * pl.col("factor").cast(pl.Float64) for name in ("open", "close")}
    ahead = label.horizon + 1

    def moved(name: str, start: int, end: int) -> pl.DataFrame:
        """Date of the decision, dates between which a price moves, and its return; null where they are not known."""
        change = price[name].shift(-end) / price[name].shift(-start) - 1.0
        days = {"start": pl.col("date").shift(-start).over(KEY), "end": pl.col("date").shift(-end).over(KEY)}
        return traded.select("symbol", "date", **days, change=change.over(KEY))

    over_horizon = _means(moved("open", 1, ahead).drop_nulls(), ["date", "start", "end"])
    common = over_horizon.sort("members", "end", descending=[True, False]).unique("date", keep="first")
    table = (
        traded.select("date")
        .unique()
        .join(common.select("date", entry="start", exit="end", market_return="mean"), on="date", how="left")
    )
    for column, steps in (("open_level", moved("open", 1, 2)), ("close_level", moved("close", 0, 1))):
        table = table.join(_levels(steps, column), on="date", how="left")
    spreads = _means(_half_spreads(traded), ["date"]).select("date", half_spread="mean")
    table = (
        table.join(spreads, on="date", how="left")
        .sort("date")
        .with_columns(
            pl.col("open_level", "close_level").forward_fill().fill_null(1.0),
            pl.lit(traded.item(0, "asset_class"), dtype=pl.String).alias("hedge_class"),
        )
    )
    return table.select(pl.lit(asset_class, dtype=pl.String).alias("asset_class"), *table.columns)


def _means(rows: pl.DataFrame, dates: list[str]) -> pl.DataFrame:
    """Number of rows with a known ``change``, and its mean, for each combination of dates; added in a fixed order."""
    ordered = rows.filter(pl.col("change").is_finite()).sort(*dates, "symbol")
    starts = ordered.select(pl.struct(dates).rle_id().diff().fill_null(1) > 0).to_series().to_numpy()
    first = np.flatnonzero(starts)
    counts = np.diff(first, append=ordered.height)
    sums = np.add.reduceat(ordered["change"].to_numpy(), first) if first.size else np.zeros(0)
    found = pl.DataFrame({"members": counts, "mean": np.round(sums / counts, DIGITS)})
    return pl.concat([ordered.select(dates)[first], found], how="horizontal")


def _levels(steps: pl.DataFrame, name: str) -> pl.DataFrame:
    """Chain the members' mean returns from date to date.

    From a date the chain goes on to the first on which half of the members that traded on it have traded again, or
    after a week: a date on which few trade is no session. Later bars decide nothing about an earlier level.
    """
    traded = dict(steps.drop_nulls("start").group_by("start").len().iter_rows())
    known = _means(steps.drop_nulls(), ["start", "end"])
    means = {(start, end): (count, mean) for start, end, count, mean in known.iter_rows()}
    dates = sorted({*traded, *known["end"]})
    reached, again, value, levels = None, 0, 1.0, []
    for date in dates:
        count, mean = means.get((reached, date), (0, 0.0))
        again += count
        if reached is None or 2 * again >= traded.get(reached, 0) or date - reached >= WEEK:
            reached, again, value = date, 0, value * (1.0 + mean)
            levels.append((date, value))
    return pl.DataFrame(levels, schema={"date": steps.schema["start"], name: pl.Float64}, orient="row")


def _half_spreads(traded: pl.DataFrame) -> pl.DataFrame:
    """Half of the trailing spread of each member on each of its bars: symbol, date, change."""
    parts = [traded.select("symbol", "date", change=pl.lit(0.0)).clear()]
    for own in traded.partition_by("symbol", maintain_order=True):
        factor = own["factor"].cast(pl.Float64).to_numpy()
        high, low, close = (own[name].cast(pl.Float64).to_numpy() * factor for name in ("high", "low", "close"))
        width = pl.Series("change", spread(high, low, close, SPREAD_WINDOW) / 2.0)
        parts.append(own.select("symbol", "date").with_columns(width))
    return pl.concat(parts)


def return_at(table: pl.DataFrame, asset_class: str, dates: DateArray, horizon: int) -> FloatArray:
    """Look up what the portfolio returned over the horizon of each decision.

    Parameters
    ----------
    table : DataFrame
        From `portfolio_table`.
    asset_class : str
    dates : datetime64, shape (n,)
        Of the instrument's tradable bars.
    horizon : int

    Returns
    -------
    float64, shape (n,)
        NaN where it is not known, or the instrument's own entry or exit is on another date than the portfolio's.
    """
    own = _dated({"date": dates, "entry": later_dates(dates, 1), "exit": later_dates(dates, 1 + horizon)}, table)
    keys = ["date", "entry", "exit"]
    rows = table.filter(pl.col("asset_class") == asset_class).select(*keys, "market_return")
    joined = own.join(rows, on=keys, how="left", maintain_order="left")
    return joined["market_return"].cast(pl.Float64).fill_null(np.nan).to_numpy()


def hedge_at(table: pl.DataFrame, asset_class: str, dates: DateArray, ratio: FloatArray) -> Hedge:
    """Look up the portfolio over an instrument's own bars, whatever its dates: a level holds until the next.

    Parameters
    ----------
    table : DataFrame
        From `portfolio_table`.
    asset_class : str
    dates : datetime64, shape (n,)
        Of the instrument's tradable bars.
    ratio : float64, shape (n,)

    Returns
    -------
    Hedge
        Returns of 0 where the portfolio has no level yet.
    """
    rows = table.filter(pl.col("asset_class") == asset_class).sort("date")
    columns = ["open_level", "close_level", "half_spread"]
    found = _dated({"date": dates}, table).join_asof(rows.select("date", *columns), on="date")
    opens, closes = (found[name].fill_null(1.0).to_numpy() for name in columns[:2])
    bar_return, close_return = np.full(dates.size, np.nan), np.full(dates.size, np.nan)
    bar_return[:-2] = opens[2:] / opens[1:-1] - 1.0
    close_return[1:] = closes[1:] / closes[:-1] - 1.0
    hedge_class = rows.item(0, "hedge_class") if rows.height else asset_class
    return Hedge(hedge_class, ratio, bar_return, close_return, found["half_spread"].fill_null(0.0).to_numpy())


def _dated(columns: dict[str, DateArray], table: pl.DataFrame) -> pl.DataFrame:
    """Dates in the type that the table has them in."""
    return pl.DataFrame(columns).with_columns(pl.col(name).cast(table.schema[name]) for name in columns)
