"""Read what EDGAR keeps by company: the table of tickers, submissions, facts; and the insider sets of all companies."""

from __future__ import annotations

import datetime as dt
import io
import zipfile
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

from src.documents.document import Document
from src.fetching.provider import Malformed
from src.research.http_client import validators
from src.research.source import CollectContext, Harvest, Page, Reply
from src.research.sources.edgar import addresses
from src.research.sources.edgar.acceptance import acceptance_times
from src.research.sources.edgar.client import ARCHIVE
from src.research.sources.edgar.companies import read_table
from src.research.sources.edgar.filing_reading import document_page
from src.research.sources.edgar.pages import ORDER, company_pages, facts_unit, pages_of, set_page, submissions_page
from src.research.sources.edgar.quarters import Quarter, closing, new_york_day
from src.research.sources.edgar.state import (
    FUNDAMENTALS,
    NAME,
    OWNERSHIP,
    SETS,
    EdgarRun,
    base_form,
    wanted_forms,
)

_DAILY = dt.timedelta(hours=20)
_BEFORE = dt.timedelta(days=2)  # of an archive that does not say when it was made
_GIVEN_UP = dt.timedelta(days=60)  # after the end of a quarter whose insider set lies in neither folder
_TABLES = {"SUBMISSION.tsv", "REPORTINGOWNER.tsv", "NONDERIV_TRANS.tsv"}


def read_tickers(page: Page, reply: Reply, context: CollectContext, run: EdgarRun) -> Harvest:
    """Read the table of tickers; its first reading makes all other pages due.

    The table is sorted by market value, so it is another one each day: it is stored where its rows changed.

    Parameters
    ----------
    page : Page
    reply : Reply
    context : CollectContext
    run : EdgarRun

    Returns
    -------
    Harvest

    Raises
    ------
    Malformed
        If it is no such table.
    """
    if reply.missing:
        raise Malformed(f"{page.url} is not there: see research.edgar.address")
    stored = context.latest("tickers")
    table = read_table(stored[-1][1] if reply.unchanged and stored else reply.body)
    companies, pages = pages_of(context, table, run)
    documents = []
    if not stored or sorted(read_table(stored[-1][1])) != sorted(table):
        documents.append(
            Document(
                NAME, page.unit, "tickers", reply.arrived, reply.body, "tickers",
                title="Companies, tickers and exchanges", url=page.url, fields={"rows": len(table)},
            )
        )  # fmt: skip
    notes = {"complete": True, "companies": companies, **validators(reply)}
    return Harvest(documents, pages, (), reply.arrived + _DAILY, notes)


def read_submissions(page: Page, reply: Reply, context: CollectContext, run: EdgarRun) -> Harvest:  # noqa: ARG001 (one signature for all)
    """Read a company's submissions, and find in them the filings whose texts are wanted.

    Parameters
    ----------
    page : Page
    reply : Reply
    context : CollectContext
    run : EdgarRun

    Returns
    -------
    Harvest

    Raises
    ------
    Malformed
        If they are another company's, or of another form.
    """
    notes = {"complete": True, "asked": page.context.get("as_of") or new_york_day(reply.arrived).isoformat()}
    if reply.missing:
        return Harvest(notes=notes | {"missing": True}, remarks=[f"{page.unit} is not there"])
    cik = page.context["cik"]
    tree = _tree(page, reply.body)
    try:
        columns = tree if page.context["part"] else tree["filings"]["recent"]
        parts = [] if page.context["part"] else tree["filings"].get("files") or []
        pages = [*_older(parts, context, page), *_texts(columns, context, cik, tree.get("name", ""))]
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise Malformed(f"{page.unit} is of an unexpected form: {type(error).__name__} {error}") from None
    name = page.context["part"] or addresses.company(cik)
    document = Document(
        NAME, f"submissions/{name}", "submissions", reply.arrived, reply.body, "submissions",
        entity=addresses.entity(cik), title=f"Submissions of {tree.get('name') or name}", url=page.url,
    )  # fmt: skip
    return Harvest([document], pages, notes=notes)


def read_facts(page: Page, reply: Reply, context: CollectContext, run: EdgarRun) -> Harvest:
    """Read a company's facts.

    Parameters
    ----------
    page : Page
    reply : Reply
    context : CollectContext
    run : EdgarRun

    Returns
    -------
    Harvest

    Raises
    ------
    Malformed
        If they are another company's, or of another form.
    """
    notes = {"complete": True, "asked": page.context.get("as_of") or new_york_day(reply.arrived).isoformat()}
    documents = []
    if not reply.missing:
        tree = _tree(page, reply.body)
        if not isinstance(tree.get("facts"), dict):
            raise Malformed(f"{page.unit} holds no facts")
        documents.append(_facts_document(page, reply, tree.get("entityName") or ""))
    run.settle(FUNDAMENTALS, page.unit)
    return Harvest(documents, asks=run.asks(FUNDAMENTALS, context, reply.arrived), notes=notes)


def _facts_document(page: Page, reply: Reply, name: str) -> Document:
    cik = page.context["cik"]
    return Document(
        NAME, facts_unit(cik), "companyfacts", reply.arrived, reply.body, FUNDAMENTALS,
        entity=addresses.entity(cik), title=f"Facts of {name or addresses.company(cik)}", url=page.url,
    )  # fmt: skip


def read_bulk(page: Page, reply: Reply, context: CollectContext, run: EdgarRun) -> Harvest:
    """Take note of the archive of all companies, which lies in a file, and read the universe's companies from there.

    Parameters
    ----------
    page : Page
    reply : Reply
    context : CollectContext
    run : EdgarRun

    Returns
    -------
    Harvest
        One page for each company; its client takes it from the file, or asks for it where the file is gone.
    """
    kind, path = page.context["kind"], reply.headers.get(ARCHIVE, "")
    made = reply.headers.get("last-modified")
    day = new_york_day(parsedate_to_datetime(made) if made else reply.arrived - _BEFORE)
    about = {"archive": path, "as_of": day.isoformat()} if path else {}
    remarks = [] if path else [f"{page.unit} is not there: companies are asked for one by one"]
    return Harvest(pages=company_pages(context, kind, run.ciks, about), notes={"complete": True}, remarks=remarks)


def read_set(page: Page, reply: Reply, context: CollectContext, run: EdgarRun) -> Harvest:
    """Read a quarter's insider set; what is in neither folder is looked for again the next day.

    Parameters
    ----------
    page : Page
    reply : Reply
    context : CollectContext
    run : EdgarRun

    Returns
    -------
    Harvest

    Raises
    ------
    Malformed
        If it is no archive of the tables, or was cut.
    """
    quarter = Quarter.of(dt.date.fromisoformat(page.context["day"]))
    unit = f"insider-set/{quarter.lower}"
    if reply.missing and not page.context["other"]:
        return Harvest(pages=[set_page(context, quarter, other=True)], again=reply.arrived + _DAILY)
    if not reply.missing:
        _require_set(page, reply.body)
    late = reply.missing and closing(quarter.last) + _GIVEN_UP > reply.arrived
    documents = [] if reply.missing else [_set_document(page, reply, quarter)]
    run.settle(SETS, unit)
    asks = run.asks(SETS, context, reply.arrived)
    remarks = [f"the insider set of {quarter} lies in neither folder"] if reply.missing else []
    again = reply.arrived + _DAILY if reply.missing else None
    return Harvest(documents, (), asks, again, {} if late else {"complete": True}, remarks)


def _set_document(page: Page, reply: Reply, quarter: Quarter) -> Document:
    end = closing(quarter.last)
    return Document(
        NAME, quarter.lower, "insider-set", reply.arrived, reply.body, SETS,
        title=f"Insiders' transactions of {quarter}", url=page.url, event=end, published=end,
    )  # fmt: skip


def _require_set(page: Page, body: bytes) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            lacking = _TABLES.difference(archive.namelist())
            broken = None if lacking else archive.testzip()
    except zipfile.BadZipFile as error:
        raise Malformed(f"{page.unit} is no archive: {error}") from None
    if lacking or broken:
        raise Malformed(f"{page.unit} lacks {', '.join(sorted(lacking))}" if lacking else f"{broken} is broken")


def _tree(page: Page, body: bytes) -> Mapping[str, Any]:
    """JSON of a company; the older parts of submissions do not say whose they are."""
    try:
        tree = orjson.loads(body)
        stated = int(tree["cik"]) if not page.context.get("part") else page.context["cik"]
    except (ValueError, KeyError, TypeError) as error:
        raise Malformed(f"{page.unit} is of an unexpected form: {type(error).__name__} {error}") from None
    if stated != page.context["cik"]:
        raise Malformed(f"{page.unit} was asked for, and that of {stated} came")
    return tree  # type: ignore[no-any-return]


def _older(parts: list[Mapping[str, Any]], context: CollectContext, page: Page) -> Iterator[Page]:
    """Older parts of the submissions that reach into the history that is wanted."""
    for part in parts:
        if str(part["filingTo"]) >= context.settings.start:
            about = {key: page.context[key] for key in ("archive", "as_of") if key in page.context}
            yield submissions_page(context, page.context["cik"], str(part["name"]).removesuffix(".json"), about)


def _texts(columns: Mapping[str, list[Any]], context: CollectContext, cik: int, name: str) -> Iterator[Page]:
    """Main documents of the wanted filings: submissions name them, so that one request a filing is enough."""
    if not context.settings.edgar.texts:
        return
    forms, filed, accessions = columns["form"], columns["filingDate"], columns["accessionNumber"]
    accepted = acceptance_times(columns["acceptanceDateTime"], filed, forms)
    wanted = wanted_forms(context) - OWNERSHIP
    for n, accession in enumerate(accessions):
        chosen = base_form(forms[n]) in wanted and filed[n] >= context.settings.start
        if not chosen or context.stored(accession):
            continue
        said = {
            "cik": cik, "about": cik, "accession": accession, "form": forms[n].strip(), "name": name,
            "accepted": stamp.isoformat() if (stamp := accepted[n]) else "", "filed": filed[n],
            "period": columns["reportDate"][n] or "", "document": columns["primaryDocument"][n] or "",
            "items": [item for item in str(columns["items"][n] or "").split(",") if item],
            "filers": [cik], "owners": [],
        }  # fmt: skip
        yield _text_page(context, said)


def _text_page(context: CollectContext, said: dict[str, Any]) -> Page:
    """The main document; the whole text of old filings, whose documents have no names."""
    if said["document"]:
        return document_page(context, said, "text")
    url = addresses.whole_text(context.settings.edgar, said["cik"], said["accession"])
    return Page(NAME, f"filing/{said['accession']}", url, ORDER["text"], {**said, "what": "whole"})
