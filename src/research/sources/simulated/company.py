"""One simulated company: its number, its name, its calendar, and random numbers that depend on names alone."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from src.market import calendar

_FIRST_CIK = 9_000_000_001
_NAMES = ("Alder", "Basalt", "Cobalt", "Dorian", "Ember", "Fennel", "Garnet", "Hazel", "Indigo", "Juniper")
_TRADES = ("Instruments", "Foods", "Logistics", "Biologics", "Software", "Minerals", "Retail Group", "Energy")


def cik(symbol: str) -> int:
    """Return the number of a simulated company, in the SEC's form.

    Parameters
    ----------
    symbol : str
        Such as ``SIM01``.

    Returns
    -------
    int
        Beyond those that the SEC gives out.
    """
    return _FIRST_CIK - 1 + int(symbol.removeprefix("SIM"))


def name(symbol: str) -> str:
    """Return the name of a simulated company.

    Parameters
    ----------
    symbol : str
    """
    number = int(symbol.removeprefix("SIM"))
    return f"{_NAMES[number % len(_NAMES)]} {_TRADES[number // len(_NAMES) % len(_TRADES)]} {number} Inc."


def tickers(symbols: list[str]) -> bytes:
    """Write the table of companies in the form of the SEC's company_tickers_exchange.json.

    Parameters
    ----------
    symbols : list of str

    Returns
    -------
    bytes
        JSON.
    """
    data = [[cik(symbol), name(symbol), symbol, "NYSE"] for symbol in symbols]
    return json.dumps({"fields": ["cik", "name", "ticker", "exchange"], "data": data}).encode()


@dataclass(frozen=True)
class SimulatedCompany:
    """What the generators know of a stock, its future included.

    Attributes
    ----------
    symbol : str
    seed : int
    dates : datetime64[D], shape (n,)
        Sessions with a bar, ascending.
    returns : float64, shape (n,)
        Log return from the open of a session to that of the next.
    seen : datetime
        When the documents arrive.
    """

    symbol: str
    seed: int
    dates: NDArray[Any]
    returns: NDArray[np.float64]
    seen: dt.datetime

    @property
    def entity(self) -> str:
        """The company's number as documents of EDGAR state it."""
        return f"CIK:{cik(self.symbol):010d}"

    @cached_property
    def closes(self) -> list[dt.datetime]:
        """Close of each session, UTC."""
        return calendar.session_closes("stock", pl.Series(self.dates.astype("datetime64[D]"))).to_list()

    def random(self, what: str) -> np.random.Generator:
        """Return random numbers of one purpose: the same in any order of use.

        Parameters
        ----------
        what : str
            Name of the purpose.
        """
        text = f"{self.seed}:{self.symbol}:{what}"
        digest = hashlib.blake2b(text.encode(), digest_size=16).digest()
        return np.random.default_rng(int.from_bytes(digest, "big"))

    def ahead(self, sessions: int) -> NDArray[np.float64]:
        """Standardised return over the sessions that a decision at each close can still earn.

        Parameters
        ----------
        sessions : int
            From the next open on.

        Returns
        -------
        float64, shape (n,)
            Mean 0 and standard deviation 1 over the stock's history; 0 where the sessions reach beyond it.
        """
        total = np.r_[0.0, np.cumsum(self.returns)]
        n = len(self.returns)
        start = np.arange(n) + 1
        whole = start + sessions < n
        found = np.zeros(n)
        found[whole] = total[start[whole] + sessions] - total[start[whole]]
        spread = float(found[whole].std()) if whole.any() else 0.0
        return np.where(whole, (found - found[whole].mean()) / spread, 0.0) if spread else np.zeros(n)
