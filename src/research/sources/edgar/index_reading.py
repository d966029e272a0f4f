"""Read an index, and find in it the filings and the new figures of the universe's companies."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

import polars as pl

from src.documents.document import Document
from src.market.calendar import is_session
from src.research.http_client import validators
from src.research.source import CollectContext, Harvest, Page, Reply
from src.research.sources.edgar import addresses
from src.research.sources.edgar.master_index import lines_left_out, read_index
from src.research.sources.edgar.pages import ORDER, facts_page, facts_unit, set_is_due, submissions_unit
from src.research.sources.edgar.quarters import Quarter, closing
from src.research.sources.edgar.state import (
    FUNDAMENTALS,
    INDEX,
    NAME,
    OWNERSHIP,
    REPORTS,
    EdgarRun,
    base_form,
    taken,
    wanted_forms,
)

_SETTLED = dt.timedelta(days=3)  # after the close of a day its index is read once more, then it is final
_LATE = dt.timedelta(hours=1)  # until an index that is not there yet is looked for again
_BASE = pl.col("form").str.replace(r"/A$", "")


def read_index_page(page: Page, reply: Reply, context: CollectContext, run: EdgarRun) -> Harvest:
    """Read the index of a day or a quarter.

    Parameters
    ----------
    page : Page
    reply : Reply
    context : CollectContext
    run : EdgarRun

    Returns
    -------
    Harvest
        The index, and pages for filings and facts that it makes due.

    Raises
    ------
    Malformed
        If it is no index or was cut.
    """
    first = dt.date.fromisoformat(page.context["day"])
    last = first if page.context["what"] == "day" else Quarter.of(first).last
    final = closing(last) + _SETTLED
    if reply.missing:
        return _missing(page, reply, context, run, final)
    again = final if reply.arrived < final else None
    documents, pages, remarks = [], list[Page](), list[str]()
    if not reply.unchanged:
        rows = read_index(reply.body)
        documents.append(_document(page, reply, last, rows))
        pages.extend(_filings(rows, page, context, run))
        pages.extend(_facts(rows, context, run))
        if odd := lines_left_out(reply.body, rows):
            remarks.append(f"{odd:,} lines are of another form and were left out")
    run.settle(INDEX, page.unit)
    asks = [*run.asks(INDEX, context, reply.arrived), *run.asks(FUNDAMENTALS, context, reply.arrived)]
    return Harvest(documents, pages, asks, again, {"complete": True, **validators(reply)}, remarks)


def _missing(page: Page, reply: Reply, context: CollectContext, run: EdgarRun, final: dt.datetime) -> Harvest:
    """A holiday has no index; one of a working day is late."""
    holiday = page.context["what"] == "day" and not is_session("stock", dt.date.fromisoformat(page.context["day"]))
    if not holiday and (reply.arrived < final or page.context["what"] == "quarter"):
        return Harvest(again=reply.arrived + _LATE, remarks=[f"{page.unit} is not there yet"])
    run.settle(INDEX, page.unit)
    return Harvest(asks=run.asks(INDEX, context, reply.arrived), notes={"complete": True, "missing": True})


def _document(page: Page, reply: Reply, last: dt.date, rows: pl.DataFrame) -> Document:
    return Document(
        NAME, page.unit, "index", reply.arrived, reply.body, INDEX,
        title=f"Master index of {page.unit.partition('/')[2]}", url=page.url,
        event=closing(last), published=closing(last), fields={"rows": rows.height},
    )  # fmt: skip


def _filings(rows: pl.DataFrame, page: Page, context: CollectContext, run: EdgarRun) -> Iterator[Page]:
    """Pages of the wanted filings of the universe's companies, each filing once.

    Insiders' forms of a past quarter come with its insider set. What a company filed before its submissions were read
    comes from there, with one request a filing; later filings need two, the header and the main document.
    """
    day = page.context["what"] == "day"
    owners = day or (context.settings.edgar.insider_sets and not set_is_due(Quarter.of(_day(page)), context.now))
    found = rows.filter(pl.col("cik").is_in(list(run.ciks)) & _BASE.is_in(list(wanted_forms(context))))
    for row in found.unique("accession", keep="first", maintain_order=True).iter_rows(named=True):
        if context.stored(row["accession"]):
            continue
        if base_form(row["form"]) in OWNERSHIP:
            if owners:
                yield _whole_text(row, context)
        elif (since := _submissions_taken(row["cik"], context)) and row["filed"] >= since:
            yield _header(row, context)


def _facts(rows: pl.DataFrame, context: CollectContext, run: EdgarRun) -> Iterator[Page]:
    """Pages of the facts of companies that filed a report since their facts were read."""
    if not context.settings.edgar.fundamentals:
        return
    found = rows.filter(pl.col("cik").is_in(list(run.ciks)) & _BASE.is_in(list(REPORTS)))
    for row in found.unique(["cik", "accession"], maintain_order=True).iter_rows(named=True):
        since = taken(facts_unit(row["cik"]), context)
        page = facts_page(context, row["cik"], row["accession"])
        if since and row["filed"] >= since and not context.notes(page.unit):
            run.left.setdefault(FUNDAMENTALS, set()).add(page.unit)
            yield page


def _submissions_taken(cik: int, context: CollectContext) -> dt.date | None:
    return taken(submissions_unit(context, addresses.company(cik)), context)


def _whole_text(row: dict[str, Any], context: CollectContext) -> Page:
    url = addresses.whole_text(context.settings.edgar, _place(row), row["accession"])
    return Page(NAME, f"filing/{row['accession']}", url, ORDER["filing"], {"what": "whole", **_about(row)})


def _header(row: dict[str, Any], context: CollectContext) -> Page:
    url = addresses.header(context.settings.edgar, _place(row), row["accession"])
    about = {"what": "header", "html": True, **_about(row)}
    return Page(NAME, f"header/{row['accession']}", url, ORDER["filing"], about)


def _about(row: dict[str, Any]) -> dict[str, Any]:
    names = ("cik", "accession", "form", "name")
    return {name: row[name] for name in names} | {"filed": row["filed"].isoformat(), "place": _place(row)}


def _place(row: dict[str, Any]) -> int:
    """The CIK in a filing's path: that of another of its filers, for some."""
    return int(row["path"].split("/")[2])


def _day(page: Page) -> dt.date:
    return dt.date.fromisoformat(page.context["day"])
