"""Forward prices that a chain itself implies, by put-call parity, expiry by expiry.

Free providers quote options with a delay and the underlying without one: on real snapshots the chains of SPY and AAPL
implied a spot 0.3 to 1.2 dollars away from the price beside them, which would make every call dear and every put cheap,
or the other way round. Parity needs no price of the underlying and no dividends.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import polars as pl

from src.options.pricing import Pricer, Terms

_PAIRS = 12  # strikes nearest to the money that an expiry's forward is taken from
_FEWEST = 3
_WIDEST = 0.15  # of the straddle: both spreads together
_NEAR = 14 / 365  # years to the expiry that tells the spot: hardly a dividend before it
_ROUNDS = 2
_UNFIT = ("no_bid", "no_ask", "crossed", "stale_quote", "malformed", "duplicate", "adjusted", "foreign", "expired")


@dataclass(frozen=True)
class Curve:
    """Forwards of one underlying at one moment.

    Attributes
    ----------
    spot
        As the nearest expiry implies it, else as quoted; None if neither is known.
    forwards
        By expiry: expiry, forward, forward_from.
    """

    spot: float | None
    forwards: pl.DataFrame


def forward_curve(rows: pl.DataFrame, rate: float, pricer: Pricer) -> Curve:
    """Forward of every expiry of a snapshot.

    An expiry's forward is the median, over the strikes nearest to the money that are quoted closely on both sides, of
    strike + (call - put) / discount, the right of early exercise taken out of both mids. An expiry with fewer than
    three such strikes takes its carry from the neighbouring expiries; if no expiry has enough, the quoted price grows
    at the interest rate.

    Parameters
    ----------
    rows
        One underlying's contracts with mid, years and flags, as `quotes.contract_table` gives them.
    rate
        Interest a year, continuously compounded.
    """
    expiries = rows.filter(pl.col("years") > 0).group_by("expiry").agg(pl.col("years").median()).sort("expiry")
    pairs = _pairs(rows)
    raw = _medians(pairs, rate)
    quoted = rows["underlying_price"].median()
    near = [(years, forward) for years, forward in raw.values() if years <= _NEAR]
    spot = near[0][1] * math.exp(-rate * near[0][0]) if near else quoted
    if isinstance(spot, float):
        for _ in range(_ROUNDS):
            raw = _medians(_without_exercise(pairs, raw, spot, rate, pricer), rate)
    return Curve(spot if isinstance(spot, float) else None, _filled(expiries, raw, spot, rate))  # type: ignore[arg-type]


def _pairs(rows: pl.DataFrame) -> pl.DataFrame:
    """Strikes quoted closely as call and as put, the nearest to the money of each expiry."""
    fit = rows.filter(~pl.any_horizontal(_UNFIT), pl.col("years") > 0).select(
        "expiry", "strike", "type", "years", "mid", width=pl.col("ask") - pl.col("bid")
    )
    calls, puts = (fit.filter(pl.col("type") == kind).drop("type") for kind in ("call", "put"))
    both = calls.join(puts.drop("years"), on=["expiry", "strike"], suffix="_put")
    straddle = pl.col("mid") + pl.col("mid_put")
    both = both.filter(pl.col("width") + pl.col("width_put") <= _WIDEST * straddle)
    nearest = both.sort("expiry", (pl.col("mid") - pl.col("mid_put")).abs(), "strike")
    return nearest.group_by("expiry", maintain_order=True).head(_PAIRS)


def _medians(pairs: pl.DataFrame, rate: float) -> dict[object, tuple[float, float]]:
    """Years and forward by expiry, in the order of the expiries."""
    forward = pl.col("strike") + (pl.col("mid") - pl.col("mid_put")) * (rate * pl.col("years")).exp()
    found = pairs.group_by("expiry").agg(pl.col("years").median(), forward.median().alias("forward"), pl.len())
    found = found.filter(pl.col("len") >= _FEWEST, pl.col("forward") > 0).sort("expiry")
    return {expiry: (years, value) for expiry, years, value, _ in found.iter_rows()}


def _without_exercise(
    pairs: pl.DataFrame, raw: dict[object, tuple[float, float]], spot: float, rate: float, pricer: Pricer
) -> pl.DataFrame:
    """The pairs with the right of early exercise taken out of their mids; those without a volatility are left out."""
    if not pricer.american:
        return pairs
    mids: list[list[float | None]] = []
    for expiry, strike, years, call, put in pairs.select("expiry", "strike", "years", "mid", "mid_put").iter_rows():
        if expiry in raw:
            mids.append(
                [
                    _european(pricer, call_, strike, spot, raw[expiry][1], years, rate, price)
                    for call_, price in ((True, call), (False, put))
                ]
            )
        else:
            mids.append([None, None])
    cleared = pl.DataFrame(mids, schema={"mid": pl.Float64(), "mid_put": pl.Float64()}, orient="row")
    return pairs.drop("mid", "mid_put").hstack(cleared).drop_nulls(["mid", "mid_put"])


def _european(
    pricer: Pricer, call: bool, strike: float, spot: float, forward: float, years: float, rate: float, price: float
) -> float | None:
    terms = Terms(call, strike, spot, forward, years, rate)
    volatility = pricer.volatility(terms, price)
    return None if volatility is None else pricer.european_price(terms, volatility)


def _filled(
    expiries: pl.DataFrame, known: dict[object, tuple[float, float]], spot: float | None, rate: float
) -> pl.DataFrame:
    """A forward for every expiry: its own, else by the carry of its neighbours, else the spot grown at the rate."""
    years = expiries["years"].to_numpy()
    if known:
        at = [each[0] for each in known.values()]
        carried = [math.log(forward) - rate * t for t, forward in known.values()]
        forward = np.exp(np.interp(years, at, carried) + rate * years)
    else:
        forward = np.full(len(years), np.nan if spot is None else spot) * np.exp(rate * years)
    origin = ["parity" if expiry in known else "neighbours" if known else "spot" for expiry in expiries["expiry"]]
    filled = expiries.select("expiry").with_columns(
        pl.Series("forward", forward, pl.Float64).fill_nan(None), pl.Series("forward_from", origin, pl.String)
    )
    return filled.with_columns(forward_from=pl.when(pl.col("forward").is_not_null()).then("forward_from"))
