"""Which instruments a live hydration has: the directory's or a pinned list's, with those that archives hold beside."""

from __future__ import annotations

import dataclasses
import logging
from pathlib import Path

import polars as pl

from src.config.schema import SourceConfig, UniverseConfig
from src.core.errors import ConfigError
from src.core.instruments import ASSET_CLASSES, KEY
from src.hydration.live import provider_chain
from src.hydration.live.schedule import SelectedInstrument
from src.listings import current
from src.listings import pinned as pinned_list
from src.listings.types import otc_security_type
from src.market import universe
from src.market.bars import BarStore, bucket
from src.market.symbols import with_visible_symbols
from src.sources import registry

log = logging.getLogger(__name__)
_STAYS = "stays with its bars: the lists have it no longer, or as another type"


def select(chosen: UniverseConfig, source: SourceConfig, data_root: Path) -> pl.DataFrame:
    """Every instrument that is listed, whether it is in the universe, and why.

    Parameters
    ----------
    chosen, source
        Sections of the configuration.
    data_root : Path
        The data folder; listings are kept there.

    Returns
    -------
    DataFrame
        asset_class, symbol, included, reason, rank (null where none is known), sorted by key.

    Raises
    ------
    ConfigError
        If a name is not listed or of a class that no provider serves, or nothing is selected.
    """
    unserved = provider_chain.unserved(source)
    listed = current.current(chosen, source.live, data_root)
    listing = pl.concat([listed, *_archived(chosen, source, data_root, listed)], how="diagonal")
    listing = _ranked(with_visible_symbols(listing), chosen.pinned)
    selected = universe.select(listing, chosen).join(listing.select(*KEY, "rank"), on=KEY, how="left")
    for row in selected.filter(~pl.col("included")).iter_rows(named=True):
        log.info("%s:%s left out: %s", row["asset_class"], row["symbol"], row["reason"])
    _refuse_unserved(selected.filter(pl.col("included") & pl.col("asset_class").is_in(unserved)))
    if not selected["included"].any():
        why = f"; no provider serves {', '.join(unserved)}: name one in source.live.chain" if unserved else ""
        raise ConfigError(f"universe={chosen.name}: none of {listing.height:,} instruments is selected{why}")
    if unserved:
        log.info("no provider serves %s: source.live.chain names none of that class", " and ".join(unserved))
    return selected.sort(KEY)


def _refuse_unserved(wanted: pl.DataFrame) -> None:
    """Refuse names of a class that no provider serves; only names that the user gave can be of one."""
    if not wanted.height:
        return
    kinds = [kind for kind in ASSET_CLASSES if kind in set(wanted["asset_class"])]
    names = [f"{kind}:{symbol}" for kind, symbol in wanted.select(KEY).head(5).rows()]
    more = f" and {wanted.height - 5:,} more" if wanted.height > 5 else ""
    remedy = " ".join(f"source.live.chain.{kind}=[{registry.suggested(kind)}]" for kind in kinds)
    raise ConfigError(
        f"source.live.chain has no provider of class {' or '.join(kinds)}, so none serves {', '.join(names)}{more}:"
        f" set {remedy}, choose source=auto, or leave these names out"
    )


def with_held(selected: pl.DataFrame, store: BarStore, chosen: UniverseConfig) -> pl.DataFrame:
    """The selection, extended by instruments that the dataset has bars of and the lists no longer have.

    A refreshed list, a security whose type has changed, or an archive without a former name removes no instrument from
    the dataset. A list of the user's own, a day of membership and lower limits do: that choice is deliberate.

    Parameters
    ----------
    selected : DataFrame
        From `select`.
    store : BarStore
        Of the dataset; it may be empty.
    chosen : UniverseConfig
        The section that was selected by.

    Returns
    -------
    DataFrame
        Columns of `select`.
    """
    path = store.root / "universe.parquet"
    if chosen.symbols or chosen.file or chosen.as_of or not path.is_file():
        return selected
    done = store.instruments().filter(pl.col("state") == "done")
    held = pl.read_parquet(path, glob=False).filter("included").join(done, on=KEY, how="semi")
    held = held.join(selected.filter("included"), on=KEY, how="anti")
    if chosen.pinned:
        held = held.join(pinned_list.read(chosen.pinned).rows, on=KEY, how="anti")
    if not held.height:
        return selected
    log.info("%d instruments are in no list any more and stay: %s", held.height, ", ".join(held["symbol"].head(10)))
    held = held.with_columns(reason=pl.lit(_STAYS))
    return pl.concat([selected.join(held, on=KEY, how="anti"), held.select(selected.columns)]).sort(KEY)


def instruments(selected: pl.DataFrame, store: BarStore, chosen: UniverseConfig) -> list[SelectedInstrument]:
    """The selected instruments with their buckets.

    Parameters
    ----------
    selected : DataFrame
        From `with_held`.
    store : BarStore
        Of the dataset; it may be empty.
    chosen : UniverseConfig
        The section that was selected by.

    Returns
    -------
    list of SelectedInstrument
        The most traded of each class are marked as candidates for the panel (`early`).
    """
    buckets = store.manifest.buckets if store.exists() else chosen.buckets
    rows = selected.filter("included").sort("rank", "symbol", nulls_last=True)
    early = {
        (kind, symbol) for kind in ASSET_CLASSES for symbol in _leading(rows.filter(asset_class=kind), chosen.panel)
    }
    listed = {(symbol, kind != "crypto") for kind, symbol in rows.filter(pl.col("reason") != _STAYS).select(KEY).rows()}
    return [
        SelectedInstrument(
            kind, symbol, bucket(kind, symbol, buckets), (kind, symbol) in early,
            moved=reason == _STAYS and (symbol, kind != "crypto") in listed,
        )
        for kind, symbol, reason in rows.select(*KEY, "reason").iter_rows()
    ]  # fmt: skip


def narrowed(selected: list[SelectedInstrument], only: list[str]) -> list[SelectedInstrument]:
    """The instruments that may be asked for.

    Parameters
    ----------
    selected : list of SelectedInstrument
        From `instruments`. A symbol that is now listed in another class is asked for in that class alone.
    only : list of str
        Names to narrow to; empty takes all.

    Returns
    -------
    list of SelectedInstrument
        In the same order.

    Raises
    ------
    ConfigError
        If a name matches no instrument.
    """
    selected = [each for each in selected if not each.moved]
    if not only:
        return selected
    keys = pl.DataFrame([each.key for each in selected], schema=dict.fromkeys(KEY, pl.String()), orient="row")
    named = {key for matches in universe.matches(keys, only, "only").values() for key in matches}
    return [each for each in selected if each.key in named]


def _ranked(listed: pl.DataFrame, pinned_path: str | None) -> pl.DataFrame:
    """The listing with the rank and traded volume that the pinned list knows."""
    pinned = pinned_list.read(pinned_path or pinned_list.SHIPPED)
    liquidity = pl.col("dollar_volume").fill_null(1 / pl.col("rank"))  # an order where nothing was measured
    ranks = pinned.rows.select(*KEY, "rank", liquidity=liquidity, period=pl.lit(f"as pinned on {pinned.made}"))
    return listed.join(ranks, on=KEY, how="left")


def _leading(rows: pl.DataFrame, size: int) -> list[str]:
    """The first of one class, without coins that follow the price of another asset."""
    kept = [symbol for kind, symbol in rows.select(KEY).iter_rows() if not universe.follows(kind, symbol)]
    return kept[:size]


def _archived(
    chosen: UniverseConfig, source: SourceConfig, data_root: Path, listed: pl.DataFrame
) -> list[pl.DataFrame]:
    """What the archives of the chains hold beyond the lists: only they have names that were delisted.

    An instrument that a list has under a type that is not wanted is left out. The type of other stocks is read from
    their symbol.
    """
    if universe.ranked(chosen) or chosen.symbols or chosen.file:
        return []
    extra: list[pl.DataFrame] = []
    if not registry.archives(source):
        return extra
    listed = pl.concat([listed, current.current(chosen, source.live, data_root, typed=False)])
    for kind, links in provider_chain.chains(source).items():
        if links.archive:
            archive = dataclasses.replace(source, kind=links.archive)
            held = registry.file_source(links.archive).listing(archive).filter(asset_class=kind)
            held = held.join(listed, on=KEY, how="anti")
            extra.append(_of_types(held, chosen.types) if kind == "stock" else held)
    return extra


def _of_types(stocks: pl.DataFrame, types: list[str]) -> pl.DataFrame:
    wanted = pl.Series([otc_security_type(symbol).type in types for symbol in stocks["symbol"]], dtype=pl.Boolean)
    if not wanted.all():
        log.info("%d stocks of the archive left out by universe.types", (~wanted).sum())
    return stocks.filter(wanted)
