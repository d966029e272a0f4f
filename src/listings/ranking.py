"""The most traded instruments of each class, by bars from before any prediction or by today's measures of providers."""

from __future__ import annotations

import datetime as dt
import functools
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import polars as pl

from src.config.schema import SplitConfig
from src.core.errors import ConfigError, StageError
from src.core.instruments import KEY
from src.fetching.network_watch import doctor_hint
from src.fetching.obstacle import REMEDIES
from src.fetching.provider import BarRequest, Provider, ProviderError, Refusal, Unreachable, WebPage
from src.listings.pinned import COLUMNS
from src.market.bars import BarStore
from src.market.universe import activity, follows, liquidity

RECENT_DAYS = 30  # of which a coin's volume today is the median
_TRIES = 3
_FAILED = 0.2  # share of coins without an answer beyond which nothing is ranked

log = logging.getLogger(__name__)


def by_bars(store: BarStore, split: SplitConfig, limits: Mapping[str, int]) -> pl.DataFrame:
    """Rank a dataset's instruments by their median daily dollar volume before the first possible prediction.

    Later bars do not count, so the ranking does not favour winners; see `src.market.universe.liquidity`.

    Parameters
    ----------
    store : BarStore
        Daily bars.
    split : SplitConfig
        Decides when the first prediction can be.
    limits : mapping of str to int
        Number of instruments by class.

    Returns
    -------
    DataFrame
        Columns of a pinned list.

    Raises
    ------
    ConfigError
        If the dataset has no bars, or no daily ones.
    """
    if not store.exists() or not store.buckets():
        raise ConfigError(f"dataset: {store.root} holds no bars: hydrate it first, or name another dataset")
    if store.manifest.interval != "1d":
        raise ConfigError(f"dataset must have daily bars, got {store.manifest.interval}: name a daily dataset")
    needed = [*KEY, "date", "close", "volume"]
    months = pl.concat([activity(store.read_bucket(b, needed)) for b in store.buckets()])
    usable = store.instruments().filter(pl.col("state") == "done").select(KEY)
    volumes = liquidity(months, split).join(usable, on=KEY, how="semi")
    return ranked(volumes.select(*KEY, dollar_volume="liquidity"), limits)


def by_screener(
    most_traded: Callable[[str, int], pl.DataFrame], kinds: Iterable[str], limits: Mapping[str, int]
) -> pl.DataFrame:
    """Rank classes by today's dollar volume according to a provider's screener.

    Parameters
    ----------
    most_traded : callable
        ``most_traded(kind, count)`` of a `RankingProvider`: symbol, dollar_volume.
    kinds : iterable of str
        Asset classes to rank.
    limits : mapping of str to int
        Number of instruments by class.

    Returns
    -------
    DataFrame
        Columns of a pinned list.

    Raises
    ------
    StageError
        If the screener gives no good answer.
    """
    parts = []
    for kind in kinds:
        named = _retried(functools.partial(most_traded, kind, limits[kind]), f"the most traded of class {kind}")
        if named is None:
            raise StageError(f"the provider's screener gave no good answer for class {kind}: try again later")
        parts.append(named.select(pl.lit(kind).alias("asset_class"), "symbol", "dollar_volume"))
    return ranked(pl.concat(parts), limits)


def by_recent_bars(
    provider: Provider, coins: Iterable[str], limits: Mapping[str, int], today: dt.date, tick: Callable[[], Any]
) -> pl.DataFrame:
    """Rank coins by the median dollar volume of their last days at an exchange.

    Parameters
    ----------
    provider : Provider
        The exchange.
    coins : iterable of str
        Symbols such as BTC-USD.
    limits : mapping of str to int
        Number of instruments by class.
    today : date
        UTC.
    tick : callable
        Called after each coin.

    Returns
    -------
    DataFrame
        Columns of a pinned list.

    Raises
    ------
    StageError
        If more than a fifth of the coins got no answer, or none has bars.
    """
    rows, failed, asked = [], 0, 0
    for symbol in coins:
        asked += 1
        request = BarRequest("crypto", symbol, today - dt.timedelta(days=RECENT_DAYS))
        answer = _retried(functools.partial(provider.fetch, request), symbol, reached=asked > failed + 1)
        failed += answer is None
        dollars = (answer.bars["close"] * answer.bars["volume"]).median() if answer is not None else None
        if isinstance(dollars, float):
            rows.append(("crypto", symbol, dollars))
        tick()
    if failed > _FAILED * asked or not rows:
        silent = f"{failed:,} of {asked:,} coins got no answer, {asked - failed - len(rows):,} have no recent bars"
        raise StageError(f"{silent}: the former list stays; try again later")
    kinds = {"asset_class": pl.String(), "symbol": pl.String(), "dollar_volume": pl.Float64()}
    return ranked(pl.DataFrame(rows, schema=kinds, orient="row"), limits)


def ranked(volumes: pl.DataFrame, limits: Mapping[str, int]) -> pl.DataFrame:
    """Take the instruments with the largest dollar volume of each class, without coins that follow another price.

    Parameters
    ----------
    volumes : DataFrame
        asset_class, symbol, dollar_volume; rows without a positive volume are left out.
    limits : mapping of str to int
        Number of instruments by class.

    Returns
    -------
    DataFrame
        Columns of a pinned list, rank 1 first.
    """
    rows = []
    for kind, limit in limits.items():
        part = volumes.filter(pl.col("asset_class") == kind, pl.col("dollar_volume") > 0)
        part = part.sort("dollar_volume", "symbol", descending=[True, False]).unique("symbol", maintain_order=True)
        kept = [row for row in part.select(*KEY, "dollar_volume").rows() if not follows(row[0], row[1])][:limit]
        rows += [(key, symbol, rank, dollars) for rank, (key, symbol, dollars) in enumerate(kept, 1)]
    return pl.DataFrame(rows, schema=COLUMNS, orient="row")


def _retried(ask: Callable[[], Any], what: str, reached: bool = False) -> Any:
    """The answer, or None after three tries. Refusals do not count: the gate waits before the next request.

    Raises a StageError if the provider can't be reached and never was: each other name would take as long.
    """
    tries = 0
    while tries < _TRIES:
        try:
            return ask()
        except Refusal as error:
            log.info("%s: %s; asked again", what, error)
        except ProviderError as error:
            tries += 1
            log.info("%s: %s", what, error)
            if tries == _TRIES and isinstance(error, Unreachable | WebPage) and not reached:
                remedy = REMEDIES[error.obstacle].action
                raise StageError(f"{error}: {remedy}; {doctor_hint()}. The former list stays") from error
    return None
