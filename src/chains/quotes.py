"""The one table of option quotes: its columns, and the flags that say what is wrong with a quote.

Nothing is dropped and no value of a provider is changed but for NaN and infinities, which become null. A flag is a
column of booleans; `clean` is true where none of `SPOILING` is raised.
"""

from __future__ import annotations

from typing import Any

import polars as pl

from src.fetching.provider import CHAIN, OptionChain

KEY: dict[str, Any] = {"asset_class": pl.String(), "underlying": pl.String()}
VALUES: dict[str, Any] = {
    "mid": pl.Float64(),  # (bid + ask) / 2, a missing bid counting as 0; null without an ask
    "quoted": pl.Datetime("us", "UTC"),  # moment that the quotes are of: the capture's, or the last close before it
    "years": pl.Float64(),  # from then to the close of the expiry's session, in years of 365 days
    "risk_free": pl.Float64(),  # a year, continuously compounded, as assumed
    "spot": pl.Float64(),  # of the underlying, as the chain implies it, else as quoted
    "forward": pl.Float64(),
    "forward_from": pl.String(),  # parity, neighbours (other expiries' parity) or spot
    "moneyness": pl.Float64(),  # strike / spot
    "iv": pl.Float64(),  # a year, of the mid
    "delta": pl.Float64(),  # money per money of the underlying
    "gamma": pl.Float64(),
    "theta": pl.Float64(),  # money a year (of 365 days) that passes
    "vega": pl.Float64(),  # money per 1.00 of volatility
    "rho": pl.Float64(),  # money per 1.00 of the interest rate
}
FLAGS: dict[str, str] = {
    "no_bid": "the bid is null or 0",
    "no_ask": "the ask is null or 0",
    "crossed": "the bid is above the ask",
    "locked": "the bid equals the ask",
    "wide": "the spread is more than a quarter of the mid and more than 0.10",
    "closed": "captured while the options' market was closed: quotes of its last minutes",
    "stale_trade": "not traded in the session of the capture: `last`, `change` and `volume` are of an earlier one",
    "stale_quote": "the quote itself is of another day: not traded for 30 days, or unmoved where it had to move",
    "placeholder_iv": "the provider's volatility is no estimate: null, its lower bound, or a step of its search",
    "no_time_value": "the mid is at or below what exercise or the forward alone is worth: it tells no volatility",
    "below_intrinsic": "even the ask is clearly below that: the quote is of another moment",
    "adjusted": "delivers something else than 100 shares (after a corporate action)",
    "expired": "the expiry was before the capture",
    "foreign": "the price is in another currency than USD",
    "duplicate": "the contract stands above already",
    "malformed": "strike, expiry, type or a price is missing or impossible, or contradicts the contract's symbol",
}
SPOILING = (
    "no_bid",
    "no_ask",
    "crossed",
    "stale_quote",
    "below_intrinsic",
    "adjusted",
    "expired",
    "foreign",
    "duplicate",
    "malformed",
)
SCHEMA: dict[str, Any] = KEY | CHAIN | VALUES | dict.fromkeys((*FLAGS, "clean"), pl.Boolean())

_WIDE, _WIDE_MONEY = 0.25, 0.10
_LOWEST_IV = 1e-5  # where Yahoo's search begins: its answer for a price that no volatility explains
_LADDER = [_LOWEST_IV + (1 - _LOWEST_IV) / 2**n for n in range(1, 9)]  # and its first steps, left where it had no price
_OCC = r"^(.+)(\d{6})([CP])(\d{8})$"


def contract_table(chain: OptionChain, asset_class: str) -> pl.DataFrame:
    """The contracts of a chain as rows of `SCHEMA`, with the flags that need no valuation; the others are false.

    Parameters
    ----------
    chain
        As a provider or a file gave it. Columns that it lacks are null; a contract without a capture time or a price of
        the underlying takes the chain's.
    asset_class
        Of the underlying.

    Returns
    -------
    DataFrame
        One row a contract, sorted by expiry, strike and type; values of `VALUES` but for `mid` are null.
    """
    rows = chain.contracts
    rows = rows.select(
        (pl.col(name) if name in rows.columns else pl.lit(None)).cast(kind).alias(name) for name, kind in CHAIN.items()
    )
    numbers = [name for name, kind in CHAIN.items() if kind == pl.Float64()]
    rows = rows.with_columns(
        pl.lit(asset_class).alias("asset_class"),
        pl.lit(chain.underlying).alias("underlying"),
        pl.col("captured").fill_null(pl.lit(chain.captured).cast(CHAIN["captured"])),
        *(pl.when(pl.col(name).is_finite()).then(name).alias(name) for name in numbers),
        _unreal=pl.any_horizontal(~pl.col(name).is_finite().fill_null(True) for name in numbers),
    )
    price = pl.col("underlying_price").fill_null(pl.lit(chain.price, pl.Float64))
    rows = rows.with_columns(underlying_price=pl.when(price.is_finite() & (price > 0)).then(price))
    rows = rows.with_columns(mid=pl.when(pl.col("ask") > 0).then((pl.col("bid").fill_null(0) + pl.col("ask")) / 2))
    rows = _flagged(rows)
    absent = [pl.lit(None, kind).alias(name) for name, kind in VALUES.items() if name != "mid"]
    return with_flags(rows.with_columns(*absent)).sort("expiry", "strike", "type", maintain_order=True)


def with_flags(rows: pl.DataFrame, **flags: pl.Expr) -> pl.DataFrame:
    """Raise further flags, and bring `clean` in line with all of them.

    Parameters
    ----------
    rows : DataFrame
        Columns of `SCHEMA`; flags may be missing. A flag that is up stays up.
    **flags : Expr
        Conditions by flag; null counts as false.

    Returns
    -------
    DataFrame
        Columns of `SCHEMA`.
    """
    present = set(rows.columns)
    raised = [
        pl.any_horizontal(
            expr.fill_null(False)
            for expr in (pl.col(name) if name in present else pl.lit(False), flags.get(name, pl.lit(False)))
        ).alias(name)
        for name in FLAGS
    ]
    return rows.with_columns(raised).with_columns(clean=~pl.any_horizontal(SPOILING)).select(SCHEMA.keys())


def _flagged(rows: pl.DataFrame) -> pl.DataFrame:
    bid, ask, iv = pl.col("bid").fill_null(0), pl.col("ask").fill_null(0), pl.col("iv_provider")
    quoted = (bid > 0) & (ask > 0)
    laddered = pl.any_horizontal((iv - step).abs() < 1e-6 for step in _LADDER)
    root = pl.col("contract").str.extract(_OCC, 1)
    symbol = pl.col("underlying").str.replace_all("[^A-Za-z0-9]", "")
    day = pl.col("captured").dt.convert_time_zone("America/New_York").dt.date()
    return rows.with_columns(
        no_bid=bid <= 0,
        no_ask=ask <= 0,
        crossed=quoted & (bid > ask),
        locked=quoted & (bid == ask),
        wide=quoted & (ask - bid > _WIDE * pl.col("mid")) & (ask - bid > _WIDE_MONEY),
        placeholder_iv=iv.is_null() | (iv <= 10 * _LOWEST_IV) | (laddered & ~quoted),
        adjusted=(root != symbol) & (root.str.replace_all(r"\d", "") == symbol)
        | pl.col("contract_size").ne("REGULAR").fill_null(False),
        expired=pl.col("expiry") < day,
        foreign=pl.col("currency") != "USD",
        duplicate=pl.col("contract").is_first_distinct().not_() & pl.col("contract").is_not_null(),
        malformed=_malformed(),
    )


def _malformed() -> pl.Expr:
    """Whether a row can't be read as an option, or says two things at once."""
    contract = pl.col("contract")
    expiry = contract.str.extract(_OCC, 2).str.to_date("%y%m%d", strict=False)
    kind = contract.str.extract(_OCC, 3).replace_strict({"C": "call", "P": "put"}, default=None, return_dtype=pl.String)
    strike = contract.str.extract(_OCC, 4).cast(pl.Float64, strict=False) / 1000
    return (
        pl.col("_unreal")
        | pl.any_horizontal(pl.col("expiry", "type", "strike", "contract").is_null())
        | (pl.col("strike") <= 0)
        | (pl.col("bid") < 0).fill_null(False)
        | (pl.col("ask") < 0).fill_null(False)
        | ~pl.col("type").is_in(["call", "put"])
        | (expiry != pl.col("expiry")).fill_null(False)
        | (kind != pl.col("type")).fill_null(False)
        | ((strike - pl.col("strike")).abs() > 5e-4).fill_null(False)
    ).fill_null(True)
