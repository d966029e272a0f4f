"""Facts of kind `filings`: which reports a company filed and when, what an 8-K announces, how long and new a text is.

Headers come from three places: indexes list all filings with their dates, a company's submissions add times, periods
and items, and a filing that is stored itself says all of it and has a text.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import polars as pl

from src.documents.document_store import DocumentStore
from src.documents.facts import FILING_FORMS, schema
from src.research.reading.cache import ReadCache, Reader, gathered
from src.research.reading.dating import dated, document, evening, origin
from src.research.reading.deadlines import filing_dates, late_days
from src.research.reading.forms import (
    INDEXED,
    KINDS,
    SUBMITTED,
    form_code,
    index_filings,
    stated_fields,
    submitted_filings,
)
from src.research.reading.instruments import of_instruments
from src.research.reading.word_counts import text_figures

_GRACE = pl.duration(hours=12)  # that a filing's own document has to arrive, after the index that lists it
_REPORT = float(FILING_FORMS["8-K"])
_DISTRESS = ("1.03", "2.04", "2.06", "3.01", "4.02")
_FILING = ["cik", "accession"]
_HEADER = ("form", "filed", "accepted", "period", "items")
_TIMES = ("known", "backfilled", "document")
_CIK = r"CIK:?0*(\d+)"


def filings(store: DocumentStore, companies: pl.DataFrame, cache: Path | None = None) -> pl.DataFrame:
    """Read the facts of all instruments.

    A filing has a row from when it was known first, with what was known of it then. A live index is followed by the
    filing's own document within minutes; its row waits up to 12 hours for that. A document that arrives later still
    has a row of its own with a null ``form``, so that counts of forms count each filing once.

    Only forms of `FILING_FORMS` have rows. ``accepted`` is 22:00 in New York of the filing date where only an index
    tells of the filing; items are null then.

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
        Columns of `src.documents.facts.schema("filings")`. A later document changes no row of an earlier known time.
    """
    kept = ReadCache(cache)
    wanted = companies.select("cik").unique()
    own = _stored(store).join(wanted, on="cik", how="semi")
    figures = text_figures(store, own, kept)
    own = own.join(figures, on=["source", "id", "cik"], how="left").with_columns(rank=pl.lit(0, pl.Int32))
    listed = [_submitted(store, kept), _indexed(store, kept)]
    held = [table.join(wanted, on="cik", how="semi").with_columns(_later(), rank=pl.lit(place + 1, pl.Int32))
            for place, table in enumerate(listed)]  # fmt: skip
    columns = (*_FILING, *_HEADER, *_TIMES, "rank")
    every = pl.concat([own.select(*columns, "length", "similarity"), *(each.select(columns) for each in held)],
                      how="diagonal")  # fmt: skip
    return of_instruments(_facts(_rows(every)), companies).select(
        pl.col(name).cast(kind) for name, kind in schema("filings").items()
    )


def _later() -> pl.Expr:
    """When a row of a list counts: history at once, what comes live after the time that its document has to arrive."""
    return pl.when("backfilled").then("known").otherwise(pl.col("known") + _GRACE).alias("known")


def _indexed(store: DocumentStore, cache: ReadCache) -> pl.DataFrame:
    """Filings that indexes list."""
    documents = store.documents(kinds=["index"])
    read = gathered(store, documents, Reader("index", index_filings, INDEXED), cache)
    rows = read.join(origin(documents), on="content_hash", how="inner").with_columns(stamp=evening(pl.col("filed")))
    empty = [pl.lit(None, SUBMITTED[name]).alias(name) for name in ("accepted", "period", "items")]
    return dated(rows, documents, _lags(store, documents), _FILING).with_columns(empty)


def _submitted(store: DocumentStore, cache: ReadCache) -> pl.DataFrame:
    """Filings that companies' submissions list."""
    documents = store.documents(kinds=["submissions"])
    read = gathered(store, documents, Reader("submissions", submitted_filings, SUBMITTED), cache)
    number = pl.coalesce(pl.col("entity").str.extract(_CIK), pl.col("id").str.extract(_CIK)).cast(pl.Int64)
    about = origin(documents).with_columns(cik=documents.select(number)[:, 0])
    rows = read.join(about, on="content_hash", how="inner").with_columns(
        stamp=pl.coalesce("accepted", evening(pl.col("filed")))
    )
    return dated(rows, documents, _lags(store, documents), _FILING)


def _stored(store: DocumentStore) -> pl.DataFrame:
    """Filings that are stored themselves."""
    documents = store.documents(kinds=KINDS, revisions=False)
    said = [stated_fields(text) for text in documents["fields"]]
    columns = {"period": pl.Date(), "items": pl.List(pl.String()), "name": pl.String(), "filed": pl.Date()}
    stated = pl.DataFrame(said, schema=columns, orient="row")
    return documents.with_columns(stated).select(
        "source", "id", "revision", "content_hash", "size", "name", "filed", "accepted", "items", "known", "backfilled",
        cik=pl.col("entity").str.extract(_CIK).cast(pl.Int64),
        accession="id",
        form="kind",
        period=pl.coalesce("period", pl.col("event").dt.date()),
        code=form_code("kind"),
        amended=pl.col("kind").str.ends_with("/A").cast(pl.Float64),
        document=document(),
    )  # fmt: skip


def _rows(every: pl.DataFrame) -> pl.DataFrame:
    """One row a filing with what was known when it became known, and one for a document that came later."""
    first = every.group_by(_FILING).agg(first=pl.col("known").min())
    joined = every.join(first, on=_FILING, how="left").sort("rank", "document")
    known = joined.filter(pl.col("known") == pl.col("first"))
    whole = known.group_by(_FILING, maintain_order=True).agg(
        *(pl.col(name).drop_nulls().first() for name in (*_HEADER, "length", "similarity")),
        *(pl.col(name).first() for name in _TIMES),
    )
    said = whole.select(*_FILING, said=pl.col("items").is_not_null())
    after = joined.filter((pl.col("rank") == 0) & (pl.col("known") > pl.col("first"))).join(said, on=_FILING)
    after = after.with_columns(items=pl.when(~pl.col("said")).then("items")).drop("said")  # announced once
    return pl.concat(
        [whole.with_columns(late_text=pl.lit(value=False)), after.with_columns(late_text=pl.lit(value=True))],
        how="diagonal",
    ).drop("rank", "first", strict=False)


def _facts(rows: pl.DataFrame) -> pl.DataFrame:
    """Values of `FACTS` from headers."""
    stamp = pl.coalesce("accepted", evening(pl.col("filed")))
    table = rows.with_columns(code=form_code(), stamp=stamp)
    filed = table["filed"].fill_null(filing_dates(table["accepted"]))
    late = late_days(table["code"], table["period"], filed)
    has_items = (pl.col("code") == _REPORT) & pl.col("items").is_not_null()
    return table.with_columns(
        form=pl.when(~pl.col("late_text")).then("code"),
        amended=pl.col("form").str.ends_with("/A").cast(pl.Float64),
        accepted=pl.col("stamp").dt.epoch("us") / 86_400e6,
        period=pl.col("period").dt.epoch("d").cast(pl.Float64),
        late=pl.when(~pl.col("form").str.ends_with("/A")).then(late),
        earnings=_announces("2.02"),
        departure=_announces("5.02"),
        distress=_announces(*_DISTRESS),
        items=pl.when(has_items).then(pl.col("items").list.len()),
    )


def _announces(*numbers: str) -> pl.Expr:
    """1 for an 8-K with one of these items, 0 for another filing, null for an 8-K whose items are not known."""
    held = pl.any_horizontal(*(pl.col("items").list.contains(number) for number in numbers)).cast(pl.Float64)
    return pl.when(pl.col("code") == _REPORT).then(held).otherwise(0.0)


def _lags(store: DocumentStore, documents: pl.DataFrame) -> dict[str, dt.timedelta]:
    return {source: store.lag(source) for source in documents["source"].unique()}
