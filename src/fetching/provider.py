"""What live providers have in common: a request, an answer, and the ways in which a request can fail.

A provider passes its gate before each request. For an answer that it can't use it raises one of the errors below, with
a message for a person; it never returns part of an answer.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Any, Protocol

import polars as pl

from src.fetching.obstacle import PAGE

RAW: dict[str, Any] = {  # bars as served: prices in the provider's split basis, not adjusted for dividends
    "asset_class": pl.String(),
    "symbol": pl.String(),
    "date": pl.Date(),  # intraday: the bar's start, as a UTC timestamp
    "open": pl.Float64(),
    "high": pl.Float64(),
    "low": pl.Float64(),
    "close": pl.Float64(),
    "adj_close": pl.Float64(),  # the provider's own, dividends included; null where it gives none
    "volume": pl.Float64(),
    "source": pl.String(),
}
EVENTS: dict[str, Any] = {
    "asset_class": pl.String(),
    "symbol": pl.String(),
    "date": pl.Date(),  # ex-date
    "kind": pl.String(),  # dividend, capital_gain (money a share, in the split basis of the bars), split (new per old)
    "value": pl.Float64(),
    "source": pl.String(),
}

CHAIN: dict[str, Any] = {  # contracts as quoted, in order, untouched but for names and types; null where not given
    "contract": pl.String(),  # OCC symbol, AAPL260618C00185000
    "expiry": pl.Date(),
    "type": pl.String(),  # call or put
    "strike": pl.Float64(),
    "bid": pl.Float64(),
    "ask": pl.Float64(),
    "last": pl.Float64(),
    "change": pl.Float64(),  # of the last price since the day before, in money
    "percent_change": pl.Float64(),
    "volume": pl.Float64(),
    "open_interest": pl.Float64(),
    "last_trade": pl.Datetime("us", "UTC"),
    "currency": pl.String(),
    "contract_size": pl.String(),  # as the provider says it: REGULAR
    "in_the_money": pl.Boolean(),
    "iv_provider": pl.Float64(),  # a year
    "captured": pl.Datetime("us", "UTC"),  # when the answer with this contract's expiry arrived
    "underlying_price": pl.Float64(),  # as that answer had it
}


def raw_schema(interval: str) -> dict[str, Any]:
    """Columns and types of bars as served.

    Parameters
    ----------
    interval : str
        Length of a bar. Unless it is ``1d``, the column date is a UTC timestamp.

    Returns
    -------
    dict of str to polars data type
        In the order of the columns.
    """
    return RAW if interval == "1d" else RAW | {"date": pl.Datetime("us", "UTC")}


class ProviderError(Exception):
    """A request without a usable answer. `kind` is its class in the ledger and in counts."""

    kind = "error"


class Refusal(ProviderError):
    """The provider refuses the client, not this symbol (status 429, or a block). Wait and ask again; not a try.

    Attributes
    ----------
    retry_after : float or None
        Seconds to wait, if the provider says so.
    """

    kind = "refused"

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Unavailable(ProviderError):
    """No answer, or a fault that may pass: status 5xx, reset, timeout, a truncated body. Ask again later."""

    kind = "unavailable"


class Unreachable(Unavailable):
    """No answer at all: what fails lies between this machine and the host, and concerns no symbol.

    Attributes
    ----------
    obstacle : str
        A key of `src.fetching.obstacle.REMEDIES`.
    host : str
        Host that was asked.
    """

    def __init__(self, message: str, obstacle: str, host: str = "") -> None:
        super().__init__(message)
        self.obstacle, self.host = obstacle, host


class Malformed(ProviderError):
    """An answer in an unexpected form: null results, arrays of unequal length, not JSON. Ask again later."""

    kind = "malformed"


class WebPage(Malformed):
    """A web page where data was expected: a sign-in page of the network, a proxy that blocks, or a fault of the host.

    Attributes
    ----------
    obstacle, host : str
        As of `Unreachable`.
    """

    obstacle = PAGE

    def __init__(self, message: str, host: str = "") -> None:
        super().__init__(message)
        self.host = host


class Unknown(ProviderError):
    """The provider says that it has no such symbol, or that the symbol was delisted."""

    kind = "unknown"


class Unfit(ProviderError):
    """A well-formed answer that can't be used: another currency, or another symbol than requested. Quarantine it."""

    kind = "unfit"


class Stopped(Exception):
    """The run is ending, by Ctrl+C or because a gate gave up. The gate raises it in every thread that waits."""


class RequestGate(Protocol):
    """Limits the requests to one provider; shared by all threads of a run."""

    def enter(self) -> None:
        """Wait until one request may be sent.

        Raises
        ------
        Stopped
            If the run is ending.
        """

    def answered(self) -> None:
        """Record that a request was answered in any way but a refusal."""

    def refused(self, retry_after: float | None) -> None:
        """Record that a request was refused.

        Parameters
        ----------
        retry_after : float or None
            Seconds to wait, if the provider says so.
        """


@dataclass(frozen=True)
class BarRequest:
    """A request for an instrument's bars and events.

    Attributes
    ----------
    start : date
        First date wanted; the last is today.
    interval : str
        Length of a bar, ``1d`` or ``1h``.
    name : str
        The provider's name of the instrument; empty if the provider derives it from the symbol.
    """

    asset_class: str
    symbol: str
    start: dt.date
    interval: str = "1d"
    name: str = ""


@dataclass(frozen=True)
class Answer:
    """What a provider served: values and order as they arrived, names and types as in `RAW` and `EVENTS`.

    Attributes
    ----------
    bars : DataFrame
        Columns of `RAW`; the date is a UTC timestamp unless daily.
    events : DataFrame
        Columns of `EVENTS`: dividends, capital gains, splits.
    facts : dict of str to str
        What else the provider says: currency, type, name, ...
    """

    bars: pl.DataFrame
    events: pl.DataFrame
    facts: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class OptionChain:
    """All contracts of one underlying, as quoted.

    Attributes
    ----------
    underlying : str
        Symbol as requested.
    price, captured : float or None, datetime
        Price of the underlying and time (UTC) of the first answer. Each expiry takes a request of its own, so contracts
        carry the price and time of their own answer; these stand in where a contract has none.
    contracts : DataFrame
        Columns of `CHAIN`, one row for each contract.
    facts : dict of str to str
        What else the provider says: market state, exchange, expiries left out, ...
    """

    underlying: str
    price: float | None
    captured: dt.datetime
    contracts: pl.DataFrame
    facts: dict[str, str] = field(default_factory=dict)


class Provider(Protocol):
    """A live source of bars, used by several threads at once."""

    name: str

    def fetch(self, request: BarRequest) -> Answer:
        """Ask for one instrument's bars and events.

        Raises
        ------
        ProviderError
            If there is no usable answer.
        Stopped
            If the run is ending.
        """

    def close(self) -> None:
        """Close connections."""


class OptionProvider(Provider, Protocol):
    """A provider that quotes option chains too."""

    def chain(self, underlying: str, max_expiries: int) -> OptionChain:
        """Ask for the option chain of one underlying, the nearest expiries first.

        Raises
        ------
        ProviderError
            If there is no usable answer.
        Stopped
            If the run is ending.
        """


class RankingProvider(Provider, Protocol):
    """A provider that names the most traded instruments of an asset class."""

    def most_traded(self, kind: str, count: int) -> pl.DataFrame:
        """Ask for the `count` most traded instruments of a class: columns symbol and dollar_volume at least.

        Raises
        ------
        ProviderError
            If there is no usable answer.
        Stopped
            If the run is ending.
        """


class ExchangeProvider(Provider, Protocol):
    """An exchange of coins, which lists its markets."""

    def markets(self) -> pl.DataFrame:
        """Ask for the spot markets: name, base, quote, active, kind.

        Raises
        ------
        ProviderError
            If there is no usable answer.
        Stopped
            If the run is ending.
        """
