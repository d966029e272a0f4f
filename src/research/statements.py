"""Facts of kind `statements`: balance sheets and flows of twelve months, as they were filed first.

The SEC's companyfacts list every figure of every filing. Of each concept and period the figure that was filed first
counts for ever; a restated one changes nothing.
"""

from __future__ import annotations

import datetime as dt
import logging
from pathlib import Path
from typing import Any

import polars as pl

from src.documents.document_store import DocumentStore
from src.documents.facts import schema
from src.research.reading.cache import ReadCache, Reader, filled, read_rows
from src.research.reading.company_facts import FIGURES, RECENT, figures, recent_figures
from src.research.reading.dating import dated, evening, origin
from src.research.reading.instruments import of_instruments
from src.research.reading.twelve_months import Company, Figure

log = logging.getLogger(__name__)
_KIND = "companyfacts"
_REPORTS = ("10-K", "10-Q", "10-KT", "10-QT", "20-F", "40-F")
_COMPANIES = 400  # at a time: bounds the memory
_CIK = r"CIK:?0*(\d+)"
_KEY = ["cik", "concept", "rank", "start", "end", "accession"]


def statements(store: DocumentStore, companies: pl.DataFrame, cache: Path | None = None) -> pl.DataFrame:
    """Read the facts of all instruments.

    One row for each annual or quarterly report. Flows are those of the last twelve months: as a report states them, or
    the last fiscal year, plus the current one so far, less the last one so far. Figures in other units than USD are
    left out and counted, so are figures that are a thousand or a million times their neighbours, and those of periods
    that end after their filing, which would count as the newest for years. Gross profit is revenue less its cost where
    it is not stated. Amended reports have no rows.

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
        Columns of `src.documents.facts.schema("statements")`. A later document changes no row of an earlier known time.
    """
    kept = ReadCache(cache)
    every = _documents(store)
    documents = every.join(companies.select("cik").unique(), on="cik", how="semi")
    readers = {name: Reader(name, read, FIGURES) for name, read in _READERS.items()}
    names = {name: filled(store, documents.filter(reader=name), readers[name], kept) for name in readers}
    own = _own_times(store)
    rows: list[tuple[Any, ...]] = []
    foreign = refused = 0
    for some in documents.select("cik").unique().sort("cik").iter_slices(_COMPANIES):
        held = documents.join(some, on="cik", how="semi")
        read = pl.concat([read_rows(held.filter(reader=name), readers[name], kept, names[name]) for name in readers])
        foreign += int(read["foreign"].sum())
        for cik, listed in _by_company(store, read, held, every, own):
            company = Company()
            rows += [(cik, *statement) for statement in company.statements(listed)]
            refused += company.refused
    log.info("statements: %s figures in other units than USD are left out", f"{foreign:,}")
    if refused:
        log.warning(
            "statements: %s figures are in another unit than their neighbours or of a time to come: left out",
            f"{refused:,}",
        )
    return of_instruments(_table(rows), companies).select(
        pl.col(name).cast(kind) for name, kind in schema("statements").items()
    )


_READERS = {"companyfacts": figures, "companyfacts-recent": recent_figures}


def _documents(store: DocumentStore) -> pl.DataFrame:
    """Facts of companies, and by which reader: of a revision, what it adds to the one before is enough."""
    documents = store.documents(kinds=[_KIND]).sort("source", "id", "revision")
    number = pl.coalesce(pl.col("id").str.extract(_CIK), pl.col("entity").str.extract(_CIK)).cast(pl.Int64)
    since = (pl.col("first_seen") - pl.col("first_seen").shift()).over("source", "id")
    whole = (pl.col("revision") == 0) | since.is_null() | (since > dt.timedelta(days=RECENT - 60))
    first, recent = _READERS
    reader = pl.when(whole).then(pl.lit(first)).otherwise(pl.lit(recent))
    return documents.with_columns(cik=number, reader=reader).filter(pl.col("cik").is_not_null())


def _own_times(store: DocumentStore) -> pl.DataFrame:
    """When reports of the past that are stored themselves were known: their figures were known with them."""
    documents = store.documents(kinds=_REPORTS, revisions=False)
    return documents.filter("backfilled").select(accession="id", own="known").unique("accession", keep="first")


def _by_company(
    store: DocumentStore, read: pl.DataFrame, held: pl.DataFrame, every: pl.DataFrame, own: pl.DataFrame
) -> list[tuple[int, list[Figure]]]:
    """Figures of each company in the order in which they became known."""
    about = origin(held).with_columns(cik=held["cik"])
    rows = (
        read.filter(pl.col("concept").is_not_null())
        .join(about, on="content_hash", how="inner")
        .with_columns(stamp=evening(pl.col("filed")))
    )
    lags = {source: store.lag(source) for source in held["source"].unique()}
    earlier = pl.when("backfilled").then(pl.min_horizontal("known", "own")).otherwise("known")
    known = (
        dated(rows, every, lags, _KEY)
        .join(own, on="accession", how="left")
        .with_columns(known=earlier.dt.epoch("us"))
        .sort("cik", "known", "filed", "accession", "concept", "rank", "end", "start")
    )
    days = pl.col("filed", "start", "end").dt.epoch("d")
    parts = known.with_columns(days).select("cik", *Figure._fields).partition_by("cik", as_dict=True, include_key=False)
    return [(int(cik), [Figure(*row) for row in part.rows()]) for (cik,), part in parts.items()]


def _table(rows: list[tuple[Any, ...]]) -> pl.DataFrame:
    """Statements as a table."""
    values = [name for name in schema("statements") if name not in ("asset_class", "symbol", "known", "document")]
    names = [name for name in values if name not in ("backfilled", "period", "annual")]
    columns: dict[str, Any] = {
        "cik": pl.Int64(), "known": pl.Int64(), "document": pl.String(), "backfilled": pl.Boolean(),
        "accession": pl.String(), "period": pl.Float64(), "annual": pl.Float64(), **dict.fromkeys(names, pl.Float64()),
    }  # fmt: skip
    table = pl.DataFrame(rows, schema=columns, orient="row", strict=False)
    return table.with_columns(pl.from_epoch("known", time_unit="us").dt.replace_time_zone("UTC"))
