"""Yahoo Finance through yfinance: stocks, ETFs and coins, option chains, and the most traded names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from src.sources.declaration import LiveProvider
from src.sources.yahoo.names import COINS

if TYPE_CHECKING:
    from src.config.schema import LiveSource
    from src.fetching.provider import Provider, RequestGate


def _connect(name: str, settings: LiveSource, gate: RequestGate) -> Provider:
    from src.sources.yahoo.source import connect  # yfinance takes a second to load

    return connect(name, settings, gate)


def _hosts(_name: str) -> tuple[str, ...]:
    return "query1.finance.yahoo.com", "query2.finance.yahoo.com", "fc.yahoo.com"


SOURCE = LiveProvider(
    "yahoo",
    _connect,
    asset_classes=("stock", "etf", "crypto"),
    rate=0.5,
    ceiling=1.0,
    quotes_options=True,
    ranks=("stock", "etf"),
    ranked_by="price times mean volume of three months (Yahoo's screener)",
    names=COINS,
    coin_volume_in_dollars=True,
    hosts=_hosts,
)
