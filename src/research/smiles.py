"""Volatilities of a chain at fixed places: at the forward and at 25 delta, 30 and 90 days ahead."""

from __future__ import annotations

import polars as pl

AT = "snapshot"  # column that tells the snapshots of a table apart
DELTA = 0.25
NEAREST, FARTHEST = 0.25, 3.0  # of the days wanted: expiries between which a volatility is interpolated
LEAST_ALONE, MOST_ALONE = 2 / 3, 1.5  # of the days wanted: an expiry that stands for them alone
_DELTAS = (0.05, 0.55)  # of the quotes beside 25 delta
_YEAR = 365


def expiry_volatilities(quotes: pl.DataFrame) -> pl.DataFrame:
    """Volatility of each expiry at the forward, and of its 25-delta put and call.

    At the forward: the volatilities of the strikes next to it, below and above, each the mean of its call's and its
    put's, interpolated linearly in ln(strike / forward). Missing where a side has no strike within one standard
    deviation. At 25 delta: interpolated linearly in delta between the two quotes of the type around it. Missing where
    one of the two is absent or has a delta outside 0.05 to 0.55.

    Parameters
    ----------
    quotes : DataFrame
        snapshot, expiry, type, strike, forward, years, iv and delta, none null and years positive.

    Returns
    -------
    DataFrame
        snapshot, expiry, years, at_money, put and call: volatilities a year, null where missing.
    """
    keys = [AT, "expiry"]
    at_money = _at_forward(quotes)
    wings = (_at_delta(quotes.filter(pl.col("type") == kind), kind) for kind in ("put", "call"))
    found = quotes.group_by(keys).agg(pl.col("years").median())
    for part in (at_money, *wings):
        found = found.join(part, on=keys, how="left")
    return found.sort(keys)


def at_days(volatilities: pl.DataFrame, column: str, days: float) -> pl.DataFrame:
    """Volatility of each snapshot at a number of days ahead, linear in total variance between the expiries around it.

    Both expiries lie within a quarter and three times the days. If only one side has such an expiry, its volatility
    counts if it lies within two thirds and one and a half times the days; else the value is missing.

    Parameters
    ----------
    volatilities : DataFrame
        As `expiry_volatilities` gives them.
    column : str
        at_money, put or call.
    days : float
        Calendar days.

    Returns
    -------
    DataFrame
        snapshot and the column, null where missing; a row for each snapshot of `volatilities`.

    Notes
    -----
    Total variance is volatility^2 x years: it grows with the time to expiry in a market without arbitrage (Gatheral and
    Jacquier 2014, Arbitrage-free SVI volatility surfaces, Quantitative Finance 14:59, definition 2.2).
    """
    target = days / _YEAR
    known = volatilities.filter(
        pl.col(column).is_not_null(), pl.col("years").is_between(NEAREST * target, FARTHEST * target)
    ).with_columns(variance=pl.col(column) ** 2 * pl.col("years"))
    near = _last(known.filter(pl.col("years") <= target), "years", (AT,), ("years", "variance"))
    far = _first(known.filter(pl.col("years") >= target), "years", (AT,), ("years", "variance"))
    both = volatilities.select(AT).unique().join(near, on=AT, how="left").join(far, on=AT, how="left", suffix="_far")
    years, later = pl.col("years"), pl.col("years_far")
    share = pl.when(later > years).then((target - years) / (later - years)).otherwise(0.0)
    between = pl.col("variance") + share * (pl.col("variance_far") - pl.col("variance"))
    alone = pl.coalesce("years", "years_far")
    lone = (pl.coalesce("variance", "variance_far") / alone).sqrt()
    near_enough = alone.is_between(LEAST_ALONE * target, MOST_ALONE * target)
    value = pl.when(between.is_not_null()).then((between / target).sqrt()).when(near_enough).then(lone)
    return both.select(AT, value.alias(column)).sort(AT)


def _at_forward(quotes: pl.DataFrame) -> pl.DataFrame:
    keys = (AT, "expiry")
    strikes = quotes.group_by(*keys, "strike").agg(pl.col("iv").mean(), pl.col("forward", "years").median())
    strikes = strikes.with_columns(distance=(pl.col("strike") / pl.col("forward")).log())
    below = _last(strikes.filter(pl.col("distance") <= 0), "distance", keys, ("distance", "iv", "years"))
    above = _first(strikes.filter(pl.col("distance") >= 0), "distance", keys, ("distance", "iv"))
    both = below.join(above, on=keys, suffix="_above")
    both = both.with_columns(at_money=_between("distance", "iv", 0.0))
    deviation = pl.col("at_money") * pl.col("years").sqrt()
    near = (pl.col("distance_above") <= deviation) & (-pl.col("distance") <= deviation)
    return both.filter(near).select(*keys, "at_money")


def _at_delta(quotes: pl.DataFrame, name: str) -> pl.DataFrame:
    keys = (AT, "expiry")
    quotes = quotes.with_columns(pl.col("delta").abs()).filter(pl.col("delta").is_between(*_DELTAS))
    quotes = quotes.group_by(*keys, "delta").agg(pl.col("iv").mean())
    below = _last(quotes.filter(pl.col("delta") <= DELTA), "delta", keys, ("delta", "iv"))
    above = _first(quotes.filter(pl.col("delta") >= DELTA), "delta", keys, ("delta", "iv"))
    both = below.join(above, on=keys, suffix="_above")
    return both.select(*keys, _between("delta", "iv", DELTA).alias(name))


def _between(at: str, value: str, wanted: float) -> pl.Expr:
    """Linear interpolation between the columns and those that end in ``_above``."""
    width = pl.col(f"{at}_above") - pl.col(at)
    share = pl.when(width > 0).then((wanted - pl.col(at)) / width).otherwise(0.0)
    return pl.col(value) + share * (pl.col(f"{value}_above") - pl.col(value))


def _last(rows: pl.DataFrame, by: str, keys: tuple[str, ...], columns: tuple[str, ...]) -> pl.DataFrame:
    return rows.sort(by).group_by(keys, maintain_order=True).agg(pl.col(*columns).last())


def _first(rows: pl.DataFrame, by: str, keys: tuple[str, ...], columns: tuple[str, ...]) -> pl.DataFrame:
    return rows.sort(by).group_by(keys, maintain_order=True).agg(pl.col(*columns).first())
