"""From when on a row of a document was known: of one that holds a single filing, or of one that lists many."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import polars as pl

NEW_YORK = "America/New_York"
_EVENING = pl.duration(hours=22)  # when the SEC ends its day
_ORIGIN = ("source", "id", "revision", "first_seen")


def evening(day: pl.Expr) -> pl.Expr:
    """When a filing of a date was public at the latest: 22:00 in New York, the end of the SEC's day.

    Parameters
    ----------
    day : Expr of Date
        Filing date.

    Returns
    -------
    Expr of Datetime("us", "UTC")

    Notes
    -----
    Forms 3, 4 and 5 that arrive until 22:00 have the date of the day, all other forms those until 17:30
    (17 CFR 232.13).
    """
    local = (day.cast(pl.Datetime("us")) + _EVENING).dt.replace_time_zone(NEW_YORK)
    return local.dt.convert_time_zone("UTC")


def origin(documents: pl.DataFrame) -> pl.DataFrame:
    """Columns that rows of a document that lists many filings carry until they are dated.

    Parameters
    ----------
    documents : DataFrame
        Columns of `DOCUMENTS`.

    Returns
    -------
    DataFrame
        source, id, revision, first_seen, content_hash.
    """
    return documents.select(*_ORIGIN, "content_hash")


def dated(
    rows: pl.DataFrame, documents: pl.DataFrame, lags: dict[str, dt.timedelta], key: Sequence[str]
) -> pl.DataFrame:
    """Date the rows of documents that list many filings, such as an index.

    A row counts in the first revision that holds it. Rows stamped before the first document of this kind was ever
    seen are history and are known at their stamp plus the lag of their source; later ones are known when the revision
    that holds them was first seen. Of a row that several documents hold, the earliest known one stays.

    Parameters
    ----------
    rows : DataFrame
        Columns of `origin`, ``stamp`` (Datetime UTC, null where not known) and those of `key`.
    documents : DataFrame
        All documents of this kind.
    lags : dict of str to timedelta
        By source.
    key : sequence of str
        What tells one row from another.

    Returns
    -------
    DataFrame
        The rows without source, id, revision, first_seen, stamp and content_hash, with known, backfilled and document.
    """
    watched = documents.group_by("source").agg(watched=pl.col("first_seen").min())
    delays = pl.DataFrame(
        {"source": list(lags), "lag": list(lags.values())}, schema={"source": pl.String(), "lag": pl.Duration("us")}
    )
    firsts = rows.sort("revision").unique(["source", "id", *key], keep="first", maintain_order=True)
    back = (
        (pl.col("revision") == 0)
        & (pl.col("stamp") < pl.col("watched"))
        & (pl.col("stamp") + pl.col("lag") < pl.col("first_seen"))
    ).fill_null(value=False)
    known = (
        firsts.join(watched, on="source", how="left")
        .join(delays, on="source", how="left")
        .with_columns(
            backfilled=back, known=pl.when(back).then(pl.col("stamp") + pl.col("lag")).otherwise("first_seen"),
            document=document(),
        )
    )  # fmt: skip
    return (
        known.sort("known", "document")
        .unique(key, keep="first", maintain_order=True)
        .drop(*_ORIGIN, "content_hash", "stamp", "watched", "lag")
    )


def document() -> pl.Expr:
    """Name of a document as facts carry it: ``source:id:revision``."""
    return pl.concat_str("source", "id", pl.col("revision").cast(pl.String()), separator=":")
