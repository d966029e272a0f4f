"""In which intervals the absence of a fact says that there was none."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any

import polars as pl

from src.documents.asks import GAP
from src.documents.document_store import DocumentStore
from src.documents.facts import COVERAGE
from src.research.links import companies
from src.research.reading.dating import evening

STREAMS = {  # source, and the stream whose intervals count for all instruments, of each kind of fact
    "filings": (("edgar", "index"), ("simulated", "filings")),
    "insider_trades": (("edgar", "index"), ("edgar", "insider-sets"), ("simulated", "filings")),
    "statements": (("edgar", "fundamentals"), ("simulated", "filings")),
}
TEXTS = ("edgar", "news", "papers", "gdelt", "own", "stocktwits", "reddit", "simulated")  # sources that have texts
_MOMENT = pl.Datetime("us", "UTC")
_SPAN: dict[str, Any] = {"since": _MOMENT, "until": _MOMENT}


_NO_SPANS = pl.DataFrame(schema={"cik": pl.Int64(), **_SPAN})
_INDEX = ("edgar", "index")
# `GAP` is taken off where nothing more is read: readers of coverage let an interval count for so long after its end.
_FIRST_RUN = pl.duration(days=2)  # from the first index to the submissions of a company that was there from the start


def coverage(store: DocumentStore, tables: Mapping[str, pl.DataFrame], instruments: pl.DataFrame) -> pl.DataFrame:
    """Intervals of each instrument and kind of fact.

    What a source tells of all companies counts for every instrument whose company has a number there. Texts count for
    an instrument from its first one on, while a source of texts is asked. Option chains say nothing by their absence.
    No interval ends where a later fact would prolong it: what was covered at a close stays so.

    Insiders' trades are known from an index only since it is watched, because its history lists forms that were not
    read. A company whose submissions were taken later than that joined the universe later: its forms and the items of
    its 8-Ks were not read in between, and those of a company without submissions never. The quarterly sets cover the
    quarters up to the last one that is stored, as far as they are history: what comes in a set later is known when the
    set is, so that it says nothing of the bars before.

    Parameters
    ----------
    store : DocumentStore
    tables : mapping of str to DataFrame
        Facts by kind.
    instruments : DataFrame
        asset_class, symbol of the dataset.

    Returns
    -------
    DataFrame
        Columns of `COVERAGE`.
    """
    named = companies(store, instruments).filter(pl.col("cik").is_not_null())
    known = named.select("cik", "asset_class", "symbol", first="since", last="until")
    parts = [pl.DataFrame(schema=COVERAGE)]
    for kind, streams in STREAMS.items():
        spans = [_of_stream(store, kind, source, stream) for source, stream in streams if (source, stream) != _INDEX]
        of_all = known.select("cik").unique().join(_merged(pl.concat(spans)), how="cross") if spans else _NO_SPANS
        own = _of_index(store, kind) if _INDEX in streams else _NO_SPANS
        parts.append(_of_companies(known, pl.concat([of_all, own]), kind))
    if "text_scores" in tables:
        parts.append(_of_texts(store, tables["text_scores"]))
    return pl.concat(parts).sort(*COVERAGE)


def _of_stream(store: DocumentStore, kind: str, source: str, stream: str) -> pl.DataFrame:
    """Intervals of one stream, as far as they count for a kind of fact."""
    spans = store.coverage(source).filter(stream=stream).select(*_SPAN).cast(pl.Schema(_SPAN))
    if kind != "insider_trades" or source != "edgar" or not spans.height:
        return spans
    sets = store.documents("edgar", ["insider-set"])
    quarters = sets.select("first_seen", end=quarter_end(pl.col("id"))).drop_nulls()
    if stream == "index":
        index = store.documents("edgar", ["index"])["first_seen"].min()
        before = quarters.filter(pl.col("end") <= index)["end"].max() if index is not None else None
        begun = before or index
        return spans.with_columns(since=pl.max_horizontal("since", pl.lit(begun, _MOMENT))).filter(_is_span())
    last = quarters.select(pl.min_horizontal(pl.col("end").max(), pl.col("first_seen").min())).item()
    return spans.with_columns(until=pl.min_horizontal("until", pl.lit(last, _MOMENT) - GAP)).filter(_is_span())


def _of_index(store: DocumentStore, kind: str) -> pl.DataFrame:
    """Intervals of the index by company: those that joined later are not covered from its first reading until then."""
    spans = _merged(_of_stream(store, kind, *_INDEX))
    begun = store.documents("edgar", ["index"])["first_seen"].min()
    number = pl.col("entity").str.extract(r"^CIK:0*(\d+)$").cast(pl.Int64)
    taken = store.documents("edgar", ["submissions"]).group_by(cik=number).agg(taken=pl.col("first_seen").min())
    each = taken.drop_nulls().join(spans, how="cross")
    late = pl.col("taken") > pl.lit(begun, _MOMENT) + _FIRST_RUN
    ended = pl.lit(begun, _MOMENT) - GAP
    listed = each.filter(late) if kind == "filings" else each.clear()  # submissions list filings, and no trades
    before = listed.with_columns(until=pl.min_horizontal("until", ended))
    after = each.with_columns(since=pl.when(late).then(pl.max_horizontal("since", "taken")).otherwise("since"))
    return pl.concat([before, after]).filter(_is_span()).select(_NO_SPANS.columns)


def quarter_end(name: pl.Expr) -> pl.Expr:
    """When the last filing of a quarter was public, from the name of its set.

    Parameters
    ----------
    name : Expr of String
        Such as ``2024q1``; null for another name.
    """
    month = name.str.extract(r"^\d{4}q([1-4])$").cast(pl.Int32) * 3
    year = name.str.extract(r"^(\d{4})q[1-4]$").cast(pl.Int32)
    return evening(pl.date(year, month, 1).dt.month_end())


def _is_span() -> pl.Expr:
    return pl.col("since").is_not_null() & (pl.col("since") <= pl.col("until"))


def _merged(spans: pl.DataFrame) -> pl.DataFrame:
    """Intervals without overlaps."""
    return pl.DataFrame(list(_joined(spans.sort("since", "until").rows())), schema=_SPAN, orient="row")


def _joined(spans: list[tuple[dt.datetime, dt.datetime]]) -> Iterator[tuple[dt.datetime, dt.datetime]]:
    begun: dt.datetime | None = None
    ended: dt.datetime | None = None
    for since, until in spans:
        if begun is None or ended is None or since > ended:
            if begun is not None and ended is not None:
                yield begun, ended
            begun, ended = since, until
        else:
            ended = max(ended, until)
    if begun is not None and ended is not None:
        yield begun, ended


def _of_companies(known: pl.DataFrame, spans: pl.DataFrame, kind: str) -> pl.DataFrame:
    """Intervals of each instrument, within the time that its company stood behind it."""
    each = known.join(spans, on="cik", how="inner").with_columns(
        since=pl.max_horizontal("since", "first"), until=pl.min_horizontal("until", "last")
    )
    inside = each.filter(_is_span()).select("asset_class", "symbol", *_SPAN)
    keys = inside.partition_by("asset_class", "symbol", as_dict=True, include_key=False)
    rows = [(*key, kind, *span) for key, own in keys.items() for span in _merged(own).rows()]
    return pl.DataFrame(rows, schema=COVERAGE, orient="row")


def _of_texts(store: DocumentStore, table: pl.DataFrame) -> pl.DataFrame:
    """Intervals in which a source of texts is asked, from the first text of each instrument on."""
    asked = pl.concat(store.coverage(source).select(*_SPAN).cast(pl.Schema(_SPAN)) for source in TEXTS)
    first = table.group_by("asset_class", "symbol").agg(first=pl.col("known").min())
    each = first.join(_merged(asked), how="cross").with_columns(since=pl.max_horizontal("since", "first"))
    return each.filter(_is_span()).with_columns(fact=pl.lit("text_scores")).select(COVERAGE.keys()).unique()
