"""What providers measure as most traded today: Yahoo's screener for stocks and ETFs, an exchange's bars for coins."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Mapping

import polars as pl

from src.config.schema import LiveSource, UniverseConfig
from src.core.errors import ConfigError, StageError
from src.fetching.provider import Stopped
from src.fetching.rate_gate import RateGate
from src.listings import current, ranking
from src.runtime.progress import Progress

_YAHOO = "yahoo"
_BIASED = "who is traded much today has done well, so a universe of these is biased upward"


def traded(
    universe: UniverseConfig, live: LiveSource, data_root: str, limits: Mapping[str, int]
) -> tuple[pl.DataFrame, str]:
    """Rank each class that the chain serves: columns of a pinned list, and in words how it was measured.

    Raises
    ------
    ConfigError
        Where the chain names neither Yahoo nor an exchange.
    StageError
        Where a provider gives no good answer.
    """
    parts, words = [], []
    kinds = [kind for kind in ("stock", "etf") if _YAHOO in live.chain.get(kind, ()) and limits[kind]]
    exchange = next((name for name in live.chain.get("crypto", ()) if name not in current.NO_EXCHANGE), None)
    try:
        if kinds:
            parts.append(_by_yahoo(live, kinds, limits))
            words.append("stocks and ETFs by price times mean volume of three months (Yahoo's screener)")
        if exchange and limits["crypto"]:
            parts.append(_by_exchange(exchange, universe, live, data_root, limits))
            words.append(f"coins by median dollar volume of {ranking.RECENT_DAYS} days at {exchange}")
    except Stopped as error:
        raise StageError(f"the provider refuses for too long ({error}): the former list stays") from error
    if not parts:
        raise ConfigError("source must name yahoo or an exchange in source.live.chain: choose source=auto, or dataset=")
    return pl.concat(parts), f"{', '.join(words)}; {_BIASED}"


def _by_yahoo(live: LiveSource, kinds: list[str], limits: Mapping[str, int]) -> pl.DataFrame:
    from src.sources.yahoo import source

    provider = source.connect(_YAHOO, live, RateGate(_YAHOO, live))
    try:
        return ranking.by_screener(provider.most_traded, kinds, limits)
    finally:
        provider.close()


def _by_exchange(
    name: str, universe: UniverseConfig, live: LiveSource, data_root: str, limits: Mapping[str, int]
) -> pl.DataFrame:
    from src.sources.ccxt import source

    everything = dataclasses.replace(
        universe, stock=0, etf=0, crypto=None, symbols=[], file=None, pinned=None, as_of=None
    )
    alone = dataclasses.replace(live, chain={"crypto": [name]})
    coins = current.current(everything, alone, data_root).filter(pl.col("listed_until").is_null())["symbol"]
    provider = source.connect(name, live, RateGate(name, live))
    try:
        with Progress("enlist", len(coins)) as progress:
            today = dt.datetime.now(dt.UTC).date()
            return ranking.by_recent_bars(provider, coins, limits, today, lambda: progress.advance(1))
    finally:
        provider.close()
