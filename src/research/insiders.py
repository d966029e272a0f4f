"""Facts of kind `insider_trades`: purchases and sales of insiders in the market, from Forms 4 and 5 at the SEC.

A filing that was stored as a document of its own is read from there; the quarterly data sets stand in for the years
before. Only the issuer decides the instrument: what a fund files as an owner of others is about these.
"""

from __future__ import annotations

import logging
from pathlib import Path

import polars as pl

from src.documents.document_store import DocumentStore
from src.documents.facts import schema
from src.research.reading.amendments import with_amendments
from src.research.reading.cache import ReadCache, Reader, gathered
from src.research.reading.dating import NEW_YORK, dated, document, evening, origin
from src.research.reading.insider_sets import set_trades
from src.research.reading.instruments import of_instruments
from src.research.reading.ownership import TRADES, trades
from src.research.reading.routine import routine

log = logging.getLogger(__name__)
FORMS = ("4", "4/A", "5", "5/A")
_SET = "insider-set"
_DEAREST = 2e6  # USD a share: more is a price that states the total, and no price
_LARGEST = 5e10  # USD of one line: more is a slip of the pen
_OLDEST = 40 * 365  # days between a trade and its filing
_TIMES = ("known", "backfilled", "document")


def insider_trades(store: DocumentStore, companies: pl.DataFrame, cache: Path | None = None) -> pl.DataFrame:
    """Read the facts of all instruments.

    Each line with code P or S is a fact; other codes, derivatives, equity swaps and lines without a plausible number
    of shares are counted in the log. A price of 0, above 2 million USD, or one by which the line is worth more than 50
    billion USD is no price: price and value are null. An amendment has rows for what it changes, marked
    as a ``correction``: they belong into sums and are no trades of their own. See `with_amendments`.

    Parameters
    ----------
    store : DocumentStore
    companies : DataFrame
        Columns of `src.research.links.COMPANIES`.
    cache : Path, optional
        Folder in which what was read of documents is kept.

    Returns
    -------
    DataFrame
        Columns of `src.documents.facts.schema("insider_trades")`. A later document changes no row of an earlier
        known time.
    """
    kept = ReadCache(cache)
    wanted = companies.select(issuer="cik").unique()
    lines = pl.concat([_from_forms(store, kept), _from_sets(store, kept)]).join(wanted, on="issuer", how="semi")
    once = _once(lines)
    _log_counts(once)
    rows = with_amendments(_plausible(once.filter(pl.col("line") >= 0)))
    facts = rows.with_columns(routine=routine(rows)).rename({"issuer": "cik"}).sort("known", "accession", "line")
    return of_instruments(facts, companies).select(
        pl.col(name).dt.epoch("d").cast(pl.Float64) if name == "traded" else pl.col(name).cast(kind)
        for name, kind in schema("insider_trades").items()
    )


def _from_forms(store: DocumentStore, cache: ReadCache) -> pl.DataFrame:
    """Lines of filings that are stored themselves."""
    documents = store.documents(kinds=FORMS, revisions=False)
    read = gathered(store, documents, Reader("ownership", trades, TRADES), cache)
    about = documents.select(
        "content_hash", "known", "backfilled", name="id", document=document(),
        stamped=pl.col("accepted").dt.convert_time_zone(NEW_YORK).dt.date(),
    )  # fmt: skip
    return (
        read.join(about, on="content_hash", how="inner")
        .with_columns(accession="name", filed="stamped", rank=pl.lit(0, pl.Int32))
        .select(*TRADES, *_TIMES, "rank")
    )


def _from_sets(store: DocumentStore, cache: ReadCache) -> pl.DataFrame:
    """Lines of the quarterly data sets."""
    documents = store.documents(kinds=[_SET])
    read = gathered(store, documents, Reader("insider-sets", set_trades, TRADES), cache)
    lags = {source: store.lag(source) for source in documents["source"].unique()}
    about = origin(documents)
    filings = (
        read.filter(pl.col("line") >= 0)
        .select("content_hash", "accession", stamp=evening(pl.col("filed")))
        .unique(["content_hash", "accession"])
        .join(about, on="content_hash", how="inner")
    )
    times = dated(filings, documents, lags, ["accession"])
    named = about.select("content_hash", origin=document())
    held = read.join(named, on="content_hash", how="inner")
    lines = held.join(times, left_on=["accession", "origin"], right_on=["accession", "document"], how="inner")
    return lines.with_columns(document="origin", rank=pl.lit(1, pl.Int32)).select(*TRADES, *_TIMES, "rank")


def _once(lines: pl.DataFrame) -> pl.DataFrame:
    """Each filing from where it was known first; a document of its own wins a tie."""
    first = (
        lines.select("accession", "known", "rank", "document")
        .unique()
        .sort("known", "rank", "document")
        .unique("accession", keep="first", maintain_order=True)
    )
    return lines.join(first.select("accession", "document"), on=["accession", "document"], how="semi")


def _plausible(lines: pl.DataFrame) -> pl.DataFrame:
    """Lines that state a trade, with signed shares and value, and what is implausible made null."""
    bought = pl.col("code") == "P"
    agrees = pl.col("side").is_null() | (pl.col("side") == pl.when(bought).then(pl.lit("A")).otherwise(pl.lit("D")))
    sound = (pl.col("shares") > 0) & ~pl.col("swap").fill_null(value=False) & agrees
    kept = lines.filter(sound.fill_null(value=False))
    if refused := lines.height - kept.height:
        log.warning("%s insider trades left out: no shares, an equity swap, or a side against the code", f"{refused:,}")
    sign = pl.when(bought).then(1.0).otherwise(-1.0)
    value = pl.col("price") * pl.col("shares")
    priced = (pl.col("price") > 0) & (pl.col("price") <= _DEAREST) & (value <= _LARGEST)
    if unpriced := kept.filter(~priced.fill_null(value=False)).height:
        log.info("%s insider trades state no plausible price", f"{unpriced:,}")
    age = (pl.col("filed") - pl.col("traded")).dt.total_days()
    return kept.with_columns(
        value=pl.when(priced).then(sign * value),
        price=pl.when(priced).then("price"),
        shares=sign * pl.col("shares"),
        held=pl.when(pl.col("held") >= 0).then("held"),
        traded=pl.when(age.is_between(0, _OLDEST)).then("traded"),
        owner=pl.col("owner"),
        amended=pl.col("form").str.ends_with("/A"),
        correction=pl.lit(0.0),
    )


def _log_counts(lines: pl.DataFrame) -> None:
    """Say what of the filings is no fact."""
    others, derivatives = lines.select(pl.col("others").sum(), pl.col("derivatives").sum()).row(0)
    log.info("insider filings: %s lines of other codes and %s of derivatives are no facts", others, derivatives)
