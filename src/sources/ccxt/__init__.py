"""Coins from exchanges through ccxt: in a chain, each name that no other source has is that of an exchange."""

from __future__ import annotations

from typing import TYPE_CHECKING

from src.sources.declaration import LiveProvider

if TYPE_CHECKING:
    from src.config.schema import LiveSource
    from src.fetching.provider import Provider, RequestGate


def _connect(name: str, settings: LiveSource, gate: RequestGate) -> Provider:
    from src.sources.ccxt.source import connect  # ccxt takes seconds to load

    return connect(name, settings, gate)


def _hosts(name: str) -> tuple[str, ...]:
    from src.sources.ccxt.client import hosts

    return hosts(name)


SOURCE = LiveProvider(
    "ccxt", _connect, asset_classes=("crypto",), exchange_example="coinbaseexchange", lists_coins=True, hosts=_hosts
)
