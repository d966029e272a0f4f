"""Prices by textbook formulas and a plain tree, written without QuantLib, and chains made of them."""

import datetime as dt
import math
from statistics import NormalDist

import numpy as np
import polars as pl

from src.fetching.provider import CHAIN, OptionChain

CAPTURED = dt.datetime(2026, 2, 11, 17, 0, tzinfo=dt.UTC)  # Wednesday noon in New York
SIGMA = 0.5  # at which early exercise is worth little
N = NormalDist().cdf


def black_scholes(call, spot, strike, years, rate, sigma, dividend=0.0):
    """Black, Scholes and Merton's formula with a continuous dividend yield."""
    if years <= 0:
        return max(spot - strike if call else strike - spot, 0.0)
    deviation = sigma * math.sqrt(years)
    d1 = (math.log(spot / strike) + (rate - dividend + sigma**2 / 2) * years) / deviation
    d2 = d1 - deviation
    held, paid = spot * math.exp(-dividend * years), strike * math.exp(-rate * years)
    return held * N(d1) - paid * N(d2) if call else paid * N(-d2) - held * N(-d1)


def tree(call, spot, strike, years, rate, sigma, dividend=0.0, steps=1000):
    """American price by the binomial tree of Cox, Ross and Rubinstein; the mean of two trees smooths its zigzag."""
    return (
        _tree(call, spot, strike, years, rate, sigma, dividend, steps)
        + _tree(call, spot, strike, years, rate, sigma, dividend, steps + 1)
    ) / 2


def _tree(call, spot, strike, years, rate, sigma, dividend, steps):
    step = years / steps
    up = math.exp(sigma * math.sqrt(step))
    chance = (math.exp((rate - dividend) * step) - 1 / up) / (up - 1 / up)
    sign = 1 if call else -1
    powers = np.arange(-steps, steps + 1, 2)
    values = np.maximum(sign * (spot * up**powers - strike), 0)
    for level in range(steps - 1, -1, -1):
        values = math.exp(-rate * step) * (chance * values[1:] + (1 - chance) * values[:-1])
        prices = spot * up ** np.arange(-level, level + 1, 2)
        values = np.maximum(values, sign * (prices - strike))
    return float(values[0])


def years_to(expiry: dt.date, captured: dt.datetime = CAPTURED) -> float:
    """To four o'clock in New York, in years of 365 days."""
    close = 20 if dt.date(2026, 3, 8) <= expiry < dt.date(2026, 11, 1) else 21  # summer time
    return (dt.datetime.combine(expiry, dt.time(close), dt.UTC) - captured).total_seconds() / 86_400 / 365


def chain(
    underlying="AAA",
    spot=100.0,
    quoted=None,
    sigma=SIGMA,
    rate=0.04,
    dividend=0.01,
    expiries=(dt.date(2026, 2, 20), dt.date(2026, 5, 15)),
    strikes=tuple(range(85, 120, 5)),
    spread=0.04,
    captured=CAPTURED,
    price=black_scholes,
) -> OptionChain:
    """A chain quoted around model prices; no fault in it. Far strikes get a bid of at least a cent."""
    rows = []
    for expiry in expiries:
        for strike in strikes:
            for kind in ("call", "put"):
                mid = max(price(kind == "call", spot, strike, years_to(expiry, captured), rate, sigma, dividend), 0.05)
                rows.append(
                    {
                        "contract": f"{underlying}{expiry:%y%m%d}{kind[0].upper()}{strike * 1000:08d}",
                        "expiry": expiry,
                        "type": kind,
                        "strike": float(strike),
                        "bid": mid - spread / 2,
                        "ask": mid + spread / 2,
                        "last": mid,
                        "volume": 3.0,
                        "open_interest": 10.0,
                        "last_trade": captured - dt.timedelta(minutes=20),
                        "currency": "USD",
                        "contract_size": "REGULAR",
                        "iv_provider": sigma,
                    }
                )
    frame = pl.DataFrame(rows, schema={name: CHAIN[name] for name in rows[0]})
    return OptionChain(underlying, spot if quoted is None else quoted, captured, frame)


def changed(given: OptionChain, contract: str, **values) -> OptionChain:
    """The chain with other values in one contract."""
    here = pl.col("contract") == contract
    frame = given.contracts.with_columns(
        pl.when(here).then(pl.lit(value, dtype=given.contracts.schema[name])).otherwise(name).alias(name)
        for name, value in values.items()
    )
    return OptionChain(given.underlying, given.price, given.captured, frame)
