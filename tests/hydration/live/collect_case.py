"""Providers in this process that serve what a test sets, and a hydration from them."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
import time_machine

from src.config.schema import Config, LiveSource
from src.fetching.provider import EVENTS, Answer, BarRequest, RequestGate, Unknown, raw_schema
from src.hydration.live import sessions
from src.market.bars import BarStore
from src.sources import registry
from tests.market_case import config as configured
from tests.market_case import series
from tests.moment_case import OPEN

LAST = sessions.last_complete("stock", "1d", OPEN)
N = 700


class Market:
    """What the providers serve; a test may change it between two runs."""

    def __init__(self) -> None:
        self.bars: dict[tuple[str, str], pl.DataFrame] = {}
        self.events: dict[str, list[tuple[dt.date, str, float]]] = {}
        self.errors: dict[str, Exception] = {}
        self.asked: list[tuple[str, str, dt.date]] = []

    def list(self, symbol: str, kind: str = "stock", n: int = N, provider: str = "yahoo") -> None:
        rows = series(symbol, n=n, asset_class=kind)
        end = LAST if kind != "crypto" else sessions.last_complete("crypto", "1d", OPEN)
        days = pl.date_range(end - dt.timedelta(days=2 * n), end, eager=True)
        days = days if kind == "crypto" else days.filter(days.dt.weekday() < 6)
        self.bars[provider, symbol] = rows.with_columns(date=days.tail(n), adj_close=pl.lit(None, pl.Float64))

    def counts(self) -> Counter[str]:
        return Counter(symbol for _, symbol, _ in self.asked)

    def connect(self, name: str, _settings: LiveSource, gate: RequestGate) -> Provider:
        return Provider(name, self, gate)


class Provider:
    def __init__(self, name: str, market: Market, gate: RequestGate) -> None:
        self.name, self.market, self.gate = name, market, gate

    def fetch(self, wanted: BarRequest) -> Answer:
        self.gate.enter()
        self.market.asked.append((self.name, wanted.symbol, wanted.start))
        self.gate.answered()
        if wanted.symbol in self.market.errors:
            raise self.market.errors[wanted.symbol]
        if (self.name, wanted.symbol) not in self.market.bars:
            raise Unknown("No data found, symbol may be delisted")
        rows = self.market.bars[self.name, wanted.symbol].with_columns(source=pl.lit(self.name))
        rows = rows.filter(pl.col("date") >= wanted.start).select(raw_schema("1d").keys())
        said = [
            (wanted.asset_class, wanted.symbol, *each, self.name) for each in self.market.events.get(wanted.symbol, [])
        ]
        events = pl.DataFrame(said, schema=EVENTS, orient="row").filter(pl.col("date") >= wanted.start)
        return Answer(rows, events, {"currency": "USD"})

    def close(self) -> None:
        return


@pytest.fixture
def market(monkeypatch: pytest.MonkeyPatch) -> Iterator[Market]:
    """The providers, at a moment that no session ends within the hour of."""
    made = Market()
    monkeypatch.setattr(registry, "connect", made.connect)
    with time_machine.travel(OPEN, tick=True):
        yield made


def live(tmp_path: Path, *names: str, **settings) -> Config:
    few = {"universe__buckets": 2} | settings  # each is published by itself, which takes most of a test's seconds
    made = configured(tmp_path, source__kind="auto", source__path=str(tmp_path / "source"), **few)
    made.universe.symbols = list(names)
    fast = dict.fromkeys(("yahoo", "kraken", "coinbaseexchange"), 10_000.0)
    given = made.source.live
    made.source.live = LiveSource(
        chain=given.chain or {"stock": ["yahoo"], "etf": ["yahoo"], "crypto": ["coinbaseexchange", "kraken"]},
        rates=fast, ceilings=fast, pause=0.02, tries=2, start="2010-01-01",
    )  # fmt: skip
    return made


def states(tmp_path: Path) -> dict[str, tuple[str, str]]:
    rows = BarStore(tmp_path / "data" / "bars" / "mine").instruments()
    return {row["symbol"]: (row["state"], row["reason"]) for row in rows.iter_rows(named=True)}


def bars(tmp_path: Path, symbol: str) -> pl.DataFrame:
    store = BarStore(tmp_path / "data" / "bars" / "mine")
    return pl.concat([store.read_bucket(b) for b in store.buckets()]).filter(symbol=symbol)


def files(tmp_path: Path) -> dict[str, bytes]:
    """Files of the published store and the raw bars, without ledgers, which contain times."""
    root = tmp_path / "data" / "bars" / "mine"
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in sorted(root.rglob("*.parquet"))}


NAMES = ("stock:AAA", "stock:BBB", "etf:SPY", "crypto:BTC-USD")


def listed(market: Market) -> None:
    market.list("AAA")
    market.list("BBB")
    market.list("SPY", "etf")
    market.list("BTC-USD", "crypto", provider="coinbaseexchange")
