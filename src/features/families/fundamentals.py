"""What the last statements say, as first filed, over assets or over the market's value of the company.

The statement with the latest period among those known at a bar's close counts, for 400 days after it was known. Market
value is the close times the shares outstanding of its cover page, both counted in shares of one size by the split
history; where that is unknown, or older than the bars, market value is.
"""

from __future__ import annotations

import numpy as np

from src.features.facts import Facts, Rows, at, newest
from src.features.registry import family, feature, ingredient
from src.features.windows import Array

FAMILY = family("fundamentals", group="research", order=160)
_OLDEST = 400.0  # days since a statement was known after which it says nothing any more
_BARS = 290  # daily bars in which 400 days lie
_BARS_OF_TWO = 545  # those in which 400 days and a year lie
_YEAR = 365.0


@feature(FAMILY, window=1, source="Sloan (1996), Do stock prices fully reflect information in accruals, TAR 71:289")
def accruals(statements: Facts) -> Array:
    """(Net income - cash flow from operations) of twelve months over mean assets, by the statement of cash flows.

    Returns
    -------
    float64, shape (bars,), any sign
        NaN where a part isn't known.
    """
    own = statements.fields
    mean = (own["assets"] + own["assets_before"]) / 2
    return at(_over(own["net_income"] - own["operating_cash"], mean), _row(statements))


@feature(FAMILY, window=1, source="Novy-Marx (2013), The other side of value, JFE 108:1")
def gross_profitability(statements: Facts) -> Array:
    """Gross profit of twelve months over assets.

    Returns
    -------
    float64, shape (bars,), any sign
        NaN where a part isn't known.
    """
    own = statements.fields
    return at(_over(own["gross_profit"], own["assets"]), _row(statements))


@feature(FAMILY, window=1, source="Haugen and Baker (1996), Commonality in the determinants, JFE 41:401")
def return_on_equity(statements: Facts) -> Array:
    """Net income of twelve months over the equity of common shareholders.

    Returns
    -------
    float64, shape (bars,), any sign
        NaN where a part isn't known, or equity isn't positive.
    """
    own = statements.fields
    return at(_over(own["net_income"], own["equity"]), _row(statements))


@feature(FAMILY, window=1, source="Cooper, Gulen and Schill (2008), Asset growth, JF 63:1609")
def asset_growth(statements: Facts) -> Array:
    """Assets over those of a year before, less 1.

    Returns
    -------
    float64, shape (bars,), at least -1
        NaN where a part isn't known.
    """
    own = statements.fields
    return at(_over(own["assets"], own["assets_before"]), _row(statements)) - 1.0


@feature(FAMILY, window=_BARS_OF_TWO, source="Pontiff and Woodgate (2008), Share issuance, JF 63:921")
def share_issuance(statements: Facts, split: Array) -> Array:
    """ln of the shares outstanding over those of a year before, both counted in shares of one size.

    Returns
    -------
    float64, shape (bars,), any sign
        NaN where a part or the split history isn't known.
    """
    row, own = _row(statements), statements.fields
    known = at(statements.known, row)
    now = at(own["shares"], row) * _split_of(statements, split, known, _BARS_OF_TWO)
    before = at(own["shares_before"], row) * _split_of(statements, split, known - _YEAR, _BARS_OF_TWO)
    return np.log(_over(np.where(now > 0, now, np.nan), before))


@feature(FAMILY, window=1, source="definition")
def statement_age(statements: Facts) -> Array:
    """Days since the end of the last statement's period.

    Returns
    -------
    float64, shape (bars,), at least 0
        NaN where no statement is known that is up to 400 days old.
    """
    return np.maximum(statements.close - at(statements.fields["period"], _row(statements)), 0.0)


@feature(FAMILY, window=_BARS, source="Fama and French (1992), The cross-section of expected returns, JF 47:427")
def book_to_market(statements: Facts, market_value: Array) -> Array:
    """Equity of common shareholders over market value.

    Returns
    -------
    float64, shape (bars,), any sign
        NaN where a part or the split history isn't known.
    """
    return _over(at(statements.fields["equity"], _row(statements)), market_value)


@feature(FAMILY, window=_BARS, source="Basu (1983), Earnings' yield, market value and return, JFE 12:129")
def earnings_yield(statements: Facts, market_value: Array) -> Array:
    """Net income of twelve months over market value.

    Returns
    -------
    float64, shape (bars,), any sign
        NaN where a part or the split history isn't known.
    """
    return _over(at(statements.fields["net_income"], _row(statements)), market_value)


@feature(FAMILY, window=_BARS, source="Barbee, Mukherji and Raines (1996), Do sales-price explain returns, FAJ 52:56")
def sales_yield(statements: Facts, market_value: Array) -> Array:
    """Revenue of twelve months over market value.

    Returns
    -------
    float64, shape (bars,), any sign
        NaN where a part or the split history isn't known.
    """
    return _over(at(statements.fields["revenue"], _row(statements)), market_value)


@ingredient
def market_value(statements: Facts, raw_close: Array, split: Array) -> Array:
    """USD: close times shares outstanding of the last statement's cover page, in the shares that the close is of."""
    row = _row(statements)
    shares = at(statements.fields["shares"], row) * _split_of(statements, split, at(statements.known, row), _BARS)
    return raw_close * shares


def _row(statements: Facts) -> Rows:
    return newest(statements, statements.fields["period"], _OLDEST)


def _split_of(statements: Facts, split: Array, day: Array, window: int) -> Array:
    """Factor from shares of a day to those that the bars are counted in; NaN before the last `window` bars."""
    bar = np.searchsorted(statements.close, day, side="right") - 1
    there = (bar >= 0) & (bar > np.arange(len(split)) - window) & ~np.isnan(day)
    return np.where(there, split[np.where(there, bar, 0)], np.nan)


def _over(value: Array, divisor: Array) -> Array:
    """Quotient; NaN where the divisor isn't positive."""
    there = divisor > 0
    return np.where(there, value / np.where(there, divisor, 1.0), np.nan)
