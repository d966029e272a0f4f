"""Which instruments a live hydration has: the directory's or a pinned list's, with those that archives hold beside."""

from __future__ import annotations

import dataclasses
import logging

import polars as pl

from src.config.schema import Config
from src.core.errors import ConfigError
from src.core.instruments import ASSET_CLASSES, KEY
from src.hydration.live import provider_chain
from src.hydration.live.schedule import Instrument
from src.listings import current
from src.listings import pinned as pinned_list
from src.listings.types import told_otc
from src.market import universe
from src.market.bars import BarStore, bucket
from src.sources import registry

log = logging.getLogger(__name__)
_STAYS = "stays with its bars: the lists have it no longer, or as another type"


def select(config: Config) -> pl.DataFrame:
    """Every instrument that is listed, whether it is in the universe, and why.

    Returns
    -------
    DataFrame
        asset_class, symbol, included, reason, rank (null where none is known), sorted by key.

    Raises
    ------
    ConfigError
        Where a name is not listed or of a class that nobody serves, or nothing is selected.
    """
    unserved = provider_chain.unserved(config.source)
    listed = current.current(config.universe, config.source.live, config.data.root)
    known = _ranked(pl.concat([listed, *_archived(config, listed)], how="diagonal"), config)
    chosen = universe.select(known, config.universe).join(known.select(*KEY, "rank"), on=KEY, how="left")
    for row in chosen.filter(~pl.col("included")).iter_rows(named=True):
        log.info("%s:%s left out: %s", row["asset_class"], row["symbol"], row["reason"])
    _refuse_unserved(chosen.filter(pl.col("included") & pl.col("asset_class").is_in(unserved)))
    if not chosen["included"].any():
        why = f"; nobody serves {', '.join(unserved)}: name a provider in source.live.chain" if unserved else ""
        raise ConfigError(f"universe={config.universe.name}: none of {known.height:,} instruments is selected{why}")
    if unserved:
        log.info("nobody serves %s: source.live.chain names no provider of that class", " and ".join(unserved))
    return chosen.sort(KEY)


def _refuse_unserved(wanted: pl.DataFrame) -> None:
    """Only names of one's own can be of a class that nobody serves: nothing would ever be asked about them."""
    if not wanted.height:
        return
    kinds = [kind for kind in ASSET_CLASSES if kind in set(wanted["asset_class"])]
    names = [f"{kind}:{symbol}" for kind, symbol in wanted.select(KEY).head(5).rows()]
    more = f" and {wanted.height - 5:,} more" if wanted.height > 5 else ""
    remedy = " ".join(f"source.live.chain.{kind}=[{registry.suggested(kind)}]" for kind in kinds)
    raise ConfigError(
        f"source.live.chain has no provider of class {' or '.join(kinds)}, so nobody serves {', '.join(names)}{more}:"
        f" set {remedy}, choose source=auto, or leave these names out"
    )


def with_held(chosen: pl.DataFrame, store: BarStore, config: Config) -> pl.DataFrame:
    """The selection, and with it what the dataset has bars of and the lists have no longer: it stays.

    A list that is refreshed, a security whose type is told otherwise today, an archive without a former name: none of
    it takes an instrument away. Names of one's own, a day of membership and lower limits do: there the choice is meant.

    Parameters
    ----------
    chosen
        From `select`.
    store
        Of the dataset; it may hold nothing yet.
    """
    path = store.root / "universe.parquet"
    if config.universe.symbols or config.universe.file or config.universe.as_of or not path.is_file():
        return chosen
    done = store.instruments().filter(pl.col("state") == "done")
    held = pl.read_parquet(path).filter("included").join(done, on=KEY, how="semi")
    held = held.join(chosen.filter("included"), on=KEY, how="anti")
    if config.universe.pinned:
        held = held.join(pinned_list.read(config.universe.pinned).rows, on=KEY, how="anti")
    if not held.height:
        return chosen
    log.info("%d instruments are in no list any more and stay: %s", held.height, ", ".join(held["symbol"].head(10)))
    held = held.with_columns(reason=pl.lit(_STAYS))
    return pl.concat([chosen.join(held, on=KEY, how="anti"), held.select(chosen.columns)]).sort(KEY)


def instruments(chosen: pl.DataFrame, store: BarStore, config: Config) -> list[Instrument]:
    """The selected ones with their buckets; the most traded of each class are marked as candidates for the panel."""
    buckets = store.manifest.buckets if store.exists() else config.universe.buckets
    rows = chosen.filter("included").sort("rank", "symbol", nulls_last=True)
    early = {
        (kind, symbol)
        for kind in ASSET_CLASSES
        for symbol in _leading(rows.filter(asset_class=kind), config.universe.panel)
    }
    listed = {(symbol, kind != "crypto") for kind, symbol in rows.filter(pl.col("reason") != _STAYS).select(KEY).rows()}
    return [
        Instrument(
            kind, symbol, bucket(kind, symbol, buckets), (kind, symbol) in early,
            moved=reason == _STAYS and (symbol, kind != "crypto") in listed,
        )
        for kind, symbol, reason in rows.select(*KEY, "reason").iter_rows()
    ]  # fmt: skip


def narrowed(all_of_them: list[Instrument], config: Config) -> list[Instrument]:
    """Those that may be asked for: what ``only=[...]`` names, all where it names none.

    A symbol that is listed in another class by now is asked for in that one alone.

    Raises
    ------
    ConfigError
        Where a name means none of them.
    """
    all_of_them = [each for each in all_of_them if not each.moved]
    if not config.only:
        return all_of_them
    keys = pl.DataFrame([each.key for each in all_of_them], schema=dict.fromkeys(KEY, pl.String()), orient="row")
    named = {key for hits in universe.matches(keys, config.only, "only").values() for key in hits}
    return [each for each in all_of_them if each.key in named]


def _ranked(listed: pl.DataFrame, config: Config) -> pl.DataFrame:
    """The listing with the rank and traded volume that the pinned list knows."""
    pinned = pinned_list.read(config.universe.pinned or pinned_list.SHIPPED)
    liquidity = pl.col("dollar_volume").fill_null(1 / pl.col("rank"))  # an order where nothing was measured
    ranks = pinned.rows.select(*KEY, "rank", liquidity=liquidity, period=pl.lit(f"as pinned on {pinned.made}"))
    return listed.join(ranks, on=KEY, how="left")


def _leading(rows: pl.DataFrame, size: int) -> list[str]:
    """The first of one class; coins that follow the price of another are none of them."""
    kept = [symbol for kind, symbol in rows.select(KEY).iter_rows() if not universe.follows(kind, symbol)]
    return kept[:size]


def _archived(config: Config, listed: pl.DataFrame) -> list[pl.DataFrame]:
    """What the archives of the chains hold beyond the lists: names that were delisted are only there.

    What a list has under a type that is not wanted is none of it; of the type of other stocks the symbol alone speaks.
    """
    if universe.ranked(config.universe) or config.universe.symbols or config.universe.file:
        return []
    extra: list[pl.DataFrame] = []
    if not registry.archives(config.source):
        return extra
    listed = pl.concat([listed, current.current(config.universe, config.source.live, config.data.root, typed=False)])
    for kind, links in provider_chain.chains(config.source).items():
        if links.archive:
            source = dataclasses.replace(config.source, kind=links.archive)
            held = registry.file_source(links.archive).listing(source).filter(asset_class=kind)
            held = held.join(listed, on=KEY, how="anti")
            extra.append(_of_types(held, config.universe.types) if kind == "stock" else held)
    return extra


def _of_types(stocks: pl.DataFrame, types: list[str]) -> pl.DataFrame:
    wanted = pl.Series([told_otc(symbol).type in types for symbol in stocks["symbol"]], dtype=pl.Boolean)
    if not wanted.all():
        log.info("%d stocks of the archive left out by universe.types", (~wanted).sum())
    return stocks.filter(wanted)
