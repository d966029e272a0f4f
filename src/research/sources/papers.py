"""Papers of arXiv, by its query interface: what is new or revised since the last run, and the months before."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit
from xml.etree.ElementTree import Element
from zoneinfo import ZoneInfo

from src.config.research_sections import ResearchConfig
from src.documents.document import Ask, Document
from src.fetching.provider import Malformed
from src.research.checked_client import checked
from src.research.source import CollectContext, Harvest, Page, Reply, ResearchSource

_NAME, _RECENT = "papers", "recent"
_MOST = 200  # entries of a page
_DEEPEST = 10_000  # entries of one query; a month of all q-fin categories has about 2,000
_OVERLAP = dt.timedelta(days=14)  # a submission on hold appears days after the time that it carries
_AGAIN = dt.timedelta(hours=6)  # new papers are announced once a day
_ATOM = "{http://www.w3.org/2005/Atom}"
_SEARCH = "{http://a9.com/-/spec/opensearch/1.1/}"
_ARXIV = "{http://arxiv.org/schemas/atom}"
_STEPS = range(0, _DEEPEST, _MOST)
_ID = re.compile(r"https?://[^/]+/abs/(?P<id>.+?)(?:v(?P<version>\d+))?$")
_NEW_YORK = ZoneInfo("America/New_York")
_DEADLINE, _SHOWN = dt.time(14), dt.time(20)


@dataclass(frozen=True)
class _PaperVersion:
    """One version of a paper."""

    id: str
    version: int
    published: dt.datetime
    updated: dt.datetime
    title: str
    summary: str
    url: str
    primary: str
    categories: list[str]
    authors: int


def announced(submitted: dt.datetime) -> dt.datetime:
    """When arXiv shows what was submitted: at 20:00 New York, Sunday to Thursday, for what came by 14:00.

    Parameters
    ----------
    submitted : datetime
        The time that an entry carries; with a time zone.

    Returns
    -------
    datetime
        UTC. Holidays, and submissions that moderators hold, come later: ``research.lag_hours`` covers the former.

    Source
    ------
    arXiv, "Availability of submissions", info.arxiv.org/help/availability.html.

    Examples
    --------
    >>> friday = dt.datetime(2024, 3, 1, 21, 30, tzinfo=dt.UTC)  # 16:30 in New York: shown on Monday
    >>> announced(friday).isoformat()
    '2024-03-05T01:00:00+00:00'
    """
    local = submitted.astimezone(_NEW_YORK)
    day = local.date() + dt.timedelta(days=local.time() >= _DEADLINE)
    while day.weekday() >= 5:  # nothing closes on a Saturday or Sunday
        day += dt.timedelta(days=1)
    if day.weekday() == 4:  # what Friday closes is shown on Sunday
        day += dt.timedelta(days=2)
    return dt.datetime.combine(day, _SHOWN, _NEW_YORK).astimezone(dt.UTC)


def pages(context: CollectContext) -> Iterator[Page]:
    """Plan the latest changes of each category, and the newest month of its past that is not stored.

    Pages follow one another, each from the reply before it, and months go backwards, so that what is stored has no
    hole.

    Parameters
    ----------
    context : CollectContext

    Yields
    ------
    Page
    """
    for category in context.settings.papers.categories:
        closed = _closed(context, category)
        known = str(closed.get("newest") or "")
        if not closed or context.now - dt.datetime.fromisoformat(str(closed["at"])) >= _AGAIN:
            yield _page(context, category, _RECENT, 0, known, known)
        if closed:
            yield from _past(context, category, _previous(str(closed["first"])))


def read(page: Page, reply: Reply, context: CollectContext) -> Harvest:
    """Read one page of a query.

    Parameters
    ----------
    page : Page
    reply : Reply
        An Atom feed.
    context : CollectContext

    Returns
    -------
    Harvest

    Raises
    ------
    Malformed
        If the reply is no feed, reports an error, or is empty although entries are left: arXiv serves such pages now
        and then.
    """
    root = _feed(page, reply)
    entries, remarks = _entries(root)
    start, total = int(page.context["start"]), _number(root, "totalResults")
    served = start + sum(1 for _ in root.iter(f"{_ATOM}entry"))
    left = start < served < total
    if left and served >= _DEEPEST:
        remarks.append(f"more than {_DEEPEST:,} papers of {page.context['category']}: the rest is left out")
        left = False
    documents = [_document(each, page, reply) for each in entries]
    if page.context["span"] == _RECENT:
        return _changes(page, reply, context, documents, remarks, served if left else 0)
    return _month_read(page, reply, context, documents, remarks, served if left else 0)


def _changes(
    page: Page, reply: Reply, context: CollectContext, documents: list[Document], remarks: list[str], following: int
) -> Harvest:
    """Changes, the latest first, down to two weeks before the newest that an earlier run knows."""
    category, known = str(page.context["category"]), str(page.context["known"])
    closed = _closed(context, category)
    first = str(closed.get("first") or f"{reply.arrived:%Y-%m}")
    floor = dt.datetime.fromisoformat(known) - _OVERLAP if known else _month(first)
    stamps = [dt.datetime.fromisoformat(str(each.fields["updated"])) for each in documents]
    newest = max([str(page.context["newest"]), *(each.isoformat() for each in stamps)])
    if following and (not stamps or min(stamps) >= floor):
        more = [_page(context, category, _RECENT, following, known, newest)]
        return Harvest(documents, more, again=reply.arrived, remarks=remarks)
    if not newest:
        remarks = [*remarks, f"arXiv has no paper of {category}: check research.papers.categories"]
    ask = Ask(_NAME, category, reply.arrived, None if known else _month(first))
    notes = {"newest": newest, "at": reply.arrived.isoformat(), "first": first}
    older = [] if closed else _past(context, category, _previous(first))
    return Harvest(documents, older, [ask], reply.arrived, notes, remarks)


def _month_read(
    page: Page, reply: Reply, context: CollectContext, documents: list[Document], remarks: list[str], following: int
) -> Harvest:
    """Papers first submitted in one month of the past."""
    category, month = str(page.context["category"]), str(page.context["span"])
    if following:
        return Harvest(documents, [_page(context, category, month, following)], notes={"next": following})
    ask = Ask(_NAME, category, reply.arrived, _month(month))
    older = _past(context, category, _previous(month))
    return Harvest(documents, older, [ask], notes={"complete": True}, remarks=remarks)


def _past(context: CollectContext, category: str, month: str) -> Iterator[Page]:
    """The first page of the past that was not read, from `month` backwards."""
    while month >= context.settings.start[:7]:
        start = 0
        while following := context.notes(_unit(category, month, start)).get("next"):
            start = int(following)
        if not context.notes(_unit(category, month, start)).get("complete"):
            yield _page(context, category, month, start)
            return
        month = _previous(month)


def _closed(context: CollectContext, category: str) -> Mapping[str, Any]:
    """What the latest run knew that read the changes of a category to their end."""
    notes = (context.notes(_unit(category, _RECENT, start)) for start in _STEPS)
    return max((each for each in notes if each.get("at")), key=lambda each: str(each["at"]), default={})


def _page(context: CollectContext, category: str, span: str, start: int, known: str = "", newest: str = "") -> Page:
    query = f"cat:{category}"
    order = {"sortBy": "lastUpdatedDate", "sortOrder": "descending"}
    if span != _RECENT:
        last = _month(_next(span)) - dt.timedelta(days=1)
        query += f" AND submittedDate:[{_month(span):%Y%m%d}0000 TO {last:%Y%m%d}2359]"
        order = {"sortBy": "submittedDate", "sortOrder": "ascending"}
    asked = urlencode({"search_query": query, "start": start, "max_results": _MOST, **order})
    about = {"category": category, "span": span, "start": start, "known": known, "newest": newest}
    address = f"{context.settings.papers.address}?{asked}"
    return Page(_NAME, _unit(category, span, start), address, 0 if span == _RECENT else 1, about)


def _unit(category: str, span: str, start: int) -> str:
    return f"{category}/{span}/{start}"


def _document(entry: _PaperVersion, page: Page, reply: Reply) -> Document:
    """A version of a paper: its text is that of the version, so it is dated by the version's time.

    What comes while changes are watched is stamped by its arrival: a paper that moderators held was not there before.
    """
    watching = page.context["span"] == _RECENT and page.context["known"]
    name = f"arXiv:{entry.id}v{entry.version} ({entry.primary})"
    return Document(
        source=_NAME,
        id=entry.id,
        kind="paper",
        seen=reply.arrived,
        body=f"{entry.title}\n\n{entry.summary}\n\n{name}\n".encode(),
        stream=str(page.context["category"]),
        title=entry.title,
        url=entry.url,
        published=entry.published,
        accepted=reply.arrived if watching else announced(entry.updated),
        fields={
            "version": entry.version,
            "updated": entry.updated.isoformat(),
            "categories": entry.categories,
            "authors": entry.authors,
        },
    )


def _feed(page: Page, reply: Reply) -> Element:
    """The feed; refused if it is another document, or empty although entries are left."""
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import ParseError, fromstring

    try:
        root: Element = fromstring(reply.body)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise Malformed(f"arXiv's reply is no Atom feed: {error}") from error
    if root.tag != f"{_ATOM}feed":
        raise Malformed(f"arXiv's reply is no Atom feed: it begins with <{root.tag}>")
    start, total = int(page.context["start"]), _number(root, "totalResults")
    if start < total and root.find(f"{_ATOM}entry") is None:
        raise Malformed(f"arXiv serves an empty page at entry {start:,} of {total:,}")
    return root


def _entries(root: Element) -> tuple[list[_PaperVersion], list[str]]:
    """The entries that can be read, and a sentence on each other."""
    found: dict[str, _PaperVersion] = {}
    remarks = []
    for element in root.iter(f"{_ATOM}entry"):
        address = _text(element, f"{_ATOM}id")
        if "/api/errors" in address:
            raise Malformed(f"arXiv answers: {_text(element, f'{_ATOM}summary')}")
        try:
            entry = _entry(element, address)
        except ValueError as error:
            remarks.append(f"an entry of arXiv is left out ({error}): {address or 'it has no id'}")
            continue
        if entry.id not in found or found[entry.id].version <= entry.version:
            found[entry.id] = entry
        else:
            remarks.append(f"{entry.id} came twice on a page of arXiv, and the older version is left out")
    return list(found.values()), remarks


def _entry(element: Element, address: str) -> _PaperVersion:
    match = _ID.match(address)
    title, summary = _text(element, f"{_ATOM}title"), _text(element, f"{_ATOM}summary")
    if match is None or not title:
        raise ValueError("no id or no title")
    primary = element.find(f"{_ARXIV}primary_category")
    categories = [each.get("term", "") for each in element.iter(f"{_ATOM}category")]
    return _PaperVersion(
        id=match["id"],
        version=int(match["version"] or 1),
        published=_time(element, "published"),
        updated=_time(element, "updated"),
        title=title,
        summary=summary,
        url=address,
        primary=primary.get("term", "") if primary is not None else (categories or [""])[0],
        categories=[each for each in categories if each],
        authors=sum(1 for _ in element.iter(f"{_ATOM}author")),
    )


def _time(element: Element, name: str) -> dt.datetime:
    moment = dt.datetime.fromisoformat(_text(element, f"{_ATOM}{name}"))
    return moment.astimezone(dt.UTC) if moment.tzinfo else moment.replace(tzinfo=dt.UTC)


def _text(element: Element, tag: str) -> str:
    return " ".join((element.findtext(tag) or "").split())


def _number(root: Element, name: str) -> int:
    text = _text(root, f"{_SEARCH}{name}")
    if not text.isdecimal():
        raise Malformed(f"arXiv's feed has no {name}")
    return int(text)


def _month(text: str) -> dt.datetime:
    """First moment of a month such as 2024-03."""
    return dt.datetime.fromisoformat(f"{text}-01").replace(tzinfo=dt.UTC)


def _previous(month: str) -> str:
    return f"{_month(month) - dt.timedelta(days=1):%Y-%m}"


def _next(month: str) -> str:
    return f"{_month(month) + dt.timedelta(days=31):%Y-%m}"


def _hosts(settings: ResearchConfig) -> tuple[str, ...]:
    return (urlsplit(settings.papers.address).hostname or "",)


RESEARCH = ResearchSource(_NAME, pages, read, connect=checked(_feed), rate=1 / 3, hosts=_hosts)
