"""Read filings: the whole text of insiders' forms; header and main document of the others."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from src.documents.document import Document
from src.fetching.provider import Malformed
from src.research.source import CollectContext, Harvest, Page, Reply
from src.research.sources.edgar import addresses
from src.research.sources.edgar.header import FilingHeader, ListedDocument, read_header_page
from src.research.sources.edgar.pages import ORDER
from src.research.sources.edgar.quarters import closing
from src.research.sources.edgar.state import INDEX, NAME, EdgarRun, midnight
from src.research.sources.edgar.whole_text import read_whole_text

_DONE = {"complete": True}


def read_whole_page(page: Page, reply: Reply, context: CollectContext, run: EdgarRun) -> Harvest:  # noqa: ARG001 (one signature for all)
    """Read a filing's whole text: 5 to 20 kB for an insider's form, which come with one request.

    Parameters
    ----------
    page : Page
    reply : Reply
    context : CollectContext
    run : EdgarRun

    Returns
    -------
    Harvest
        The main document, about the issuer.

    Raises
    ------
    Malformed
        If the text was cut, or is another filing's.
    """
    if reply.missing:
        return _gone(page)
    header, name, body = read_whole_text(reply.body)
    _require_same(header, page)
    return _stored(page, reply, body, _said(header, page), name)


def read_header_reply(page: Page, reply: Reply, context: CollectContext, run: EdgarRun) -> Harvest:  # noqa: ARG001 (one signature for all)
    """Read the page of a filing's header, which names its main document.

    A report's whole text has 5 to 50 MB, with all exhibits, pictures and data; header and main document are two
    requests of a tenth of that. The header alone is kept where ``research.edgar.texts`` is false, and of paper filings.

    Parameters
    ----------
    page : Page
    reply : Reply
    context : CollectContext
    run : EdgarRun

    Returns
    -------
    Harvest
        The page of the main document, or a document without a body.

    Raises
    ------
    Malformed
        If it holds no header, or another filing's.
    """
    if reply.missing:
        return _gone(page)
    header, listed = read_header_page(reply.body.decode("utf-8", "replace"))
    _require_same(header, page)
    said, main = _said(header, page), _main(listed)
    if not main or not context.settings.edgar.texts:
        return _stored(page, reply, b"", said, "")
    return Harvest(pages=[document_page(context, said | {"document": main})], notes=_DONE)


def read_document_reply(page: Page, reply: Reply, context: CollectContext, run: EdgarRun) -> Harvest:  # noqa: ARG001 (one signature for all)
    """Read the main document of a filing whose header is known.

    Parameters
    ----------
    page : Page
    reply : Reply
    context : CollectContext
    run : EdgarRun

    Returns
    -------
    Harvest
        The document.

    Raises
    ------
    Malformed
        If it is empty.
    """
    if reply.missing:
        return _gone(page)
    if not reply.body.strip():
        raise Malformed(f"the main document of {page.context['accession']} is empty")
    return _stored(page, reply, reply.body, page.context, page.context["document"])


def document_page(context: CollectContext, said: Mapping[str, Any], order: str = "filing") -> Page:
    """The main document of a filing.

    Parameters
    ----------
    context : CollectContext
    said : mapping
        What is known of the filing: cik, accession, document (file name), form, ...; ``place`` is the CIK in its
        address if that is another.
    order : str
        A key of `ORDER`.
    """
    place = said.get("place", said["cik"])
    url = addresses.document(context.settings.edgar, place, said["accession"], said["document"])
    about = {**said, "what": "document", "html": True}
    return Page(NAME, f"filing/{said['accession']}", url, ORDER[order], about)


def _stored(page: Page, reply: Reply, body: bytes, said: Mapping[str, Any], name: str) -> Harvest:
    """The document of a filing; without a body if there is only its header."""
    accepted = dt.datetime.fromisoformat(said["accepted"]) if said.get("accepted") else None
    period = midnight(dt.date.fromisoformat(said["period"])) if said.get("period") else None
    fields = {key: said[key] for key in ("items", "period", "filed", "filers", "owners") if said.get(key)}
    fields |= {"size": len(body), "primary_document": name}
    remarks = [] if body else [f"{said['form']} {said['accession']}: there is only a header"] if not name else []
    document = Document(
        NAME, said["accession"], said["form"], reply.arrived, body, INDEX,
        entity=addresses.entity(said["about"]), title=f"{said['form']} of {said['name']}", url=page.url, event=period,
        published=closing(dt.date.fromisoformat(said["filed"])) if accepted is None and said.get("filed") else None,
        accepted=accepted, fields=fields,
    )  # fmt: skip
    return Harvest([document], notes=_DONE, remarks=remarks)


def _said(header: FilingHeader, page: Page) -> dict[str, Any]:
    """What a header says, as JSON values; the index's words stand in for what it lacks."""
    about = header.about or [page.context["cik"]]
    cik = page.context["cik"] if page.context["cik"] in about else about[0]
    return {
        "cik": page.context["cik"],
        "place": page.context.get("place", page.context["cik"]),
        "accession": header.accession,
        "form": header.form or page.context["form"],
        "name": page.context["name"] if cik == page.context["cik"] else addresses.company(cik),
        "about": cik,
        "accepted": header.accepted.isoformat() if header.accepted else "",
        "filed": header.filed.isoformat() if header.filed else page.context["filed"],
        "period": header.period.isoformat() if header.period else "",
        "items": list(header.items),
        "filers": about,
        "owners": header.owners,
    }


def _main(listed: list[ListedDocument]) -> str:
    """File name of the main document; empty without one, as of a filing on paper."""
    return min(listed, key=lambda each: each.sequence or len(listed) + 1).name if listed else ""


def _require_same(header: FilingHeader, page: Page) -> None:
    if header.accession != page.context["accession"]:
        raise Malformed(f"{page.context['accession']} was asked for, and {header.accession} came")


def _gone(page: Page) -> Harvest:
    """A filing that the index lists and that is not there: EDGAR takes some back."""
    words = f"{page.context['form']} {page.context['accession']} is in the index and is not there (any longer)"
    return Harvest(notes=_DONE | {"missing": True}, remarks=[words])
