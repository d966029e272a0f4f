"""What live providers have in common: a question, an answer, and the ways in which an answer can fail.

A live source is a module with ``connect(name, settings, gate) -> Provider``. A provider asks nothing of the network
without passing the gate, and raises one of the errors below for every answer that is no good, in words a person
understands; it never returns half an answer.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Any, Protocol

import polars as pl

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
    "captured": pl.Datetime("us", "UTC"),  # when the answer with this contract's expiry came
    "underlying_price": pl.Float64(),  # as that answer had it
}


def raw_schema(interval: str) -> dict[str, Any]:
    """Columns and types of bars as served; intraday bars carry a UTC timestamp instead of a date."""
    return RAW if interval == "1d" else RAW | {"date": pl.Datetime("us", "UTC")}


class ProviderError(Exception):
    """An answer that is no good. `kind` is its class, for the ledger and for counts."""

    kind = "error"


class Refusal(ProviderError):
    """The provider refuses whoever asks, not this symbol (429, or a block): wait, then ask again; counts as no try."""

    kind = "refused"

    def __init__(self, words: str, retry_after: float | None = None) -> None:
        super().__init__(words)
        self.retry_after = retry_after  # seconds, where the provider names them


class Unavailable(ProviderError):
    """No answer, or a passing fault: 5xx, reset, timeout, a body cut short. Ask again later."""

    kind = "unavailable"


class Malformed(ProviderError):
    """An answer that can't be read as what it should be: null results, ragged arrays, not JSON. Ask again."""

    kind = "malformed"


class Unknown(ProviderError):
    """The provider says in so many words that it has no such symbol, or no longer."""

    kind = "unknown"


class Unfit(ProviderError):
    """A good answer that can't be used: another currency, another symbol than asked. Quarantine it."""

    kind = "unfit"


class Stopped(Exception):
    """The run is ending (Ctrl+C, or patience is at its end): raised by the gate into whoever waits at it."""


class RequestGate(Protocol):
    """One for each provider and run, shared by its threads: who may send a request now."""

    def enter(self) -> None:
        """Wait until one request may be sent. Raises `Stopped`."""

    def answered(self) -> None:
        """A request was answered, well or badly, without a refusal."""

    def refused(self, retry_after: float | None) -> None:
        """A request was refused; `retry_after` in seconds where the provider said."""


@dataclass(frozen=True)
class BarRequest:
    """One question: an instrument's bars and events from `start` to now."""

    asset_class: str
    symbol: str
    start: dt.date
    interval: str = "1d"
    name: str = ""  # what the provider calls it; empty: derive it from the symbol


@dataclass(frozen=True)
class Answer:
    """What was served, in order, untouched but for names and types: columns of `RAW` and `EVENTS`."""

    bars: pl.DataFrame
    events: pl.DataFrame
    facts: dict[str, str] = field(default_factory=dict)  # currency, type, name, ... as the provider says


@dataclass(frozen=True)
class OptionChain:
    """All contracts of one underlying as quoted: columns of `CHAIN`, one row a contract.

    A chain takes a request an expiry, politely apart, so each contract carries the time and the underlying's price of
    its own answer; `captured` and `price` are those of the first, and stand in where a contract has none.
    """

    underlying: str  # as it was asked for
    price: float | None
    captured: dt.datetime  # UTC
    contracts: pl.DataFrame
    facts: dict[str, str] = field(default_factory=dict)  # market state, exchange, expiries left out, ...


class Provider(Protocol):
    """A live source of bars; used by several threads at once."""

    name: str

    def fetch(self, wanted: BarRequest) -> Answer:
        """Ask for one instrument. Raises a `ProviderError`, or `Stopped`."""

    def close(self) -> None:
        """Let go of connections."""


class OptionProvider(Provider, Protocol):
    """A provider that quotes option chains too."""

    def chain(self, underlying: str, max_expiries: int) -> OptionChain:
        """Ask for the option chain of one underlying, the nearest expiries first.

        Raises
        ------
        ProviderError
            If there is no good answer.
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
            If there is no good answer.
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
            If there is no good answer.
        Stopped
            If the run is ending.
        """
