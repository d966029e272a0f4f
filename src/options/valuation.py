"""Implied volatility and Greeks of a whole snapshot."""

from __future__ import annotations

from typing import Any

import polars as pl

from src.chains.quotes import VALUES, with_flags
from src.market import calendar
from src.options.forwards import forward_curve
from src.options.pricing import Pricer, Terms
from src.options.staleness import quote_times

_TICK, _CLEARLY = 0.05, 2e-4  # an ask this much below the least value, in money and of the spot, is no rounding
_COMPUTED = ("iv", "delta", "gamma", "theta", "vega", "rho")


def with_values(rows: pl.DataFrame, risk_free: float) -> pl.DataFrame:
    """The rows of one underlying's snapshot with all columns of `VALUES` and the flags that need them.

    The volatility is that of the mid, on the forward that put-call parity implies. Options on stocks and ETFs are
    valued with the right of early exercise, on indices (``^SPX``) without. Delta and gamma are those of the option at
    that volatility; theta, vega and rho are those of the European option, an approximation for puts in the money.

    Parameters
    ----------
    rows
        As `quotes.contract_table` gives them, with the flags of age.
    risk_free
        Interest a year, continuously compounded, for all expiries.

    Returns
    -------
    DataFrame
        Same rows in the same order. Values are null for an expired or malformed contract, without a mid, or if no
        volatility explains the mid; a wide or stale quote is valued all the same, so look at the flags.
    """
    if not rows.height:
        return rows
    closing = calendar.session_closes("stock", rows["expiry"])
    rows = rows.with_columns(quote_times(rows))
    seconds = (closing - pl.col("quoted")).dt.total_microseconds() / 1e6
    rows = rows.with_columns(years=seconds / (365 * 86_400), risk_free=pl.lit(risk_free))
    pricer = Pricer(american=not str(rows["underlying"][0]).startswith("^"))
    found = forward_curve(rows, risk_free, pricer)
    rows = rows.drop("forward", "forward_from").join(found.forwards, on="expiry", how="left", maintain_order="left")
    rows = rows.with_columns(spot=pl.lit(found.spot, pl.Float64))
    rows = rows.with_columns(moneyness=pl.col("strike") / pl.col("spot"))
    values, least = _values(rows, risk_free, pricer)
    computed = pl.DataFrame(values, schema={name: VALUES[name] for name in _COMPUTED}, orient="row")
    rows = rows.drop(_COMPUTED).hstack(computed).with_columns(_least=pl.Series(least, dtype=pl.Float64))
    clearly = pl.max_horizontal(pl.lit(_TICK), _CLEARLY * pl.col("spot"))
    return with_flags(
        rows,
        no_time_value=pl.col("iv").is_null() & (pl.col("mid") <= pl.col("_least")),
        below_intrinsic=(pl.col("ask") > 0) & (pl.col("ask") < pl.col("_least") - clearly),
    )


def _values(rows: pl.DataFrame, rate: float, pricer: Pricer) -> tuple[list[Any], list[float | None]]:
    """One tuple of values a row, and what an option of these terms is worth at least."""
    nothing = (None,) * len(_COMPUTED)
    values: list[Any] = []
    least: list[float | None] = []
    names = ("type", "strike", "spot", "forward", "years", "mid", "malformed")
    for kind, strike, spot, forward, years, mid, malformed in rows.select(names).iter_rows():
        if malformed or None in (spot, forward, years, mid) or years <= 0:
            values.append(nothing)
            least.append(None)
            continue
        terms = Terms(kind == "call", strike, spot, forward, years, rate)
        volatility = pricer.volatility(terms, mid)
        values.append(nothing if volatility is None else (volatility, *pricer.greeks(terms, volatility, mid)))
        least.append(pricer.least(terms))
    return values, least
