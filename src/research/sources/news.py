"""News by RSS and Atom feeds, each asked again after some minutes, no host more than once a second."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections import Counter
from collections.abc import Iterator
from urllib.parse import quote, urlsplit

from src.config.research_sections import ResearchConfig
from src.config.schema import LiveSource
from src.documents.document import Ask, Document
from src.fetching.provider import Unfit
from src.research.feed_entries import Feed, FeedEntry, read_feed
from src.research.http_client import validators
from src.research.source import CollectContext, Harvest, Page, Reply, ResearchSource
from src.runtime.redaction import masked

NAME = "news"
_SYMBOL = "{symbol}"
_ACCEPT = {"Accept": "application/rss+xml, application/atom+xml, application/xml;q=0.9, text/xml;q=0.9, */*;q=0.1"}


def pages(context: CollectContext) -> Iterator[Page]:
    """Ask for every feed; for each symbol that is watched where the address holds ``{symbol}``.

    Parameters
    ----------
    context : CollectContext

    Yields
    ------
    Page
        Its unit, which is also the stream of its documents, is the feed's address without secrets.
    """
    units: Counter[str] = Counter()
    for feed in dict.fromkeys(context.settings.news.feeds):
        subjects = [(f"{kind}:{symbol}", symbol) for kind, symbol in context.watched.iter_rows()]
        for entity, symbol in subjects if _SYMBOL in feed else [("", "")]:
            url = feed.replace(_SYMBOL, quote(symbol, safe=""))
            unit = masked(url)
            units[unit] += 1
            if units[unit] > 1:  # the same but for a secret, or for the class of the symbol
                unit = f"{unit}#{units[unit]}"
            # A web page is let through: it is this feed's fault, and says nothing about the network.
            known = {"entity": entity, "html": True, "seen": _is_watched(context, unit)} | _validators(context, unit)
            yield Page(NAME, unit, url, context=known, headers=_ACCEPT)


def _is_watched(context: CollectContext, unit: str) -> bool:
    """Whether the feed was read before: what is new in it was not there then, whatever date it carries."""
    return bool(context.notes(unit).get("looked")) or context.asked(unit)


def _validators(context: CollectContext, unit: str) -> dict[str, str]:
    """What the feed's last answer said about its version."""
    notes = context.notes(unit)
    return {key: notes[key] for key in ("etag", "last_modified") if notes.get(key)}


def read(page: Page, reply: Reply, context: CollectContext) -> Harvest:
    """Read a feed.

    Parameters
    ----------
    page : Page
    reply : Reply
    context : CollectContext

    Returns
    -------
    Harvest
        An article for each entry; its body is the text without markup, or the title of an entry without text.

    Raises
    ------
    Malformed
        If what came is no feed.
    Unfit
        If there is no such feed.
    """
    if reply.missing:
        raise Unfit(f"{page.unit}: there is no such feed: correct or remove it in research.news.feeds")
    again = reply.arrived + dt.timedelta(minutes=context.settings.news.every_minutes)
    asks = (Ask(NAME, page.unit, reply.arrived),)
    if reply.unchanged:
        return Harvest(asks=asks, again=again, notes=context.notes(page.unit))
    feed = read_feed(reply.body, page.url, reply.headers.get("content-type", ""), reply.arrived)
    documents, remarks = [], [f"the feed is not well-formed ({feed.fault})"] if feed.fault else []
    for entry, id in _identified(feed, page):
        if not id:
            remarks.append(f"an entry has neither guid nor link: {entry.title[:80]!r}")
            continue
        if entry.date:
            remarks.append(f"{id}: its date is not believed: {entry.date[:60]!r}")
        documents.append(_document(entry, id, feed, page, reply.arrived))
    return Harvest(documents, asks=asks, again=again, notes={"looked": True, **validators(reply)}, remarks=remarks)


def _identified(feed: Feed, page: Page) -> Iterator[tuple[FeedEntry, str]]:
    """Entries with their ids: the link, by which an article of two feeds is one, else the guid within its feed.

    Where several entries have one link, the guid tells them apart. What comes for one symbol is a document of that
    symbol's.
    """
    entity = str(page.context.get("entity") or "")
    links = Counter(link for link, _ in {(entry.link, entry.guid) for entry in feed.entries})
    for entry in feed.entries:
        id = _shown(entry.link)
        if links[entry.link] > 1 and entry.link and entry.guid:
            id = f"{id}#{entry.guid}"
        elif not id and entry.guid:
            id = _shown(entry.guid) if "://" in entry.guid else f"{urlsplit(page.url).hostname}:{entry.guid}"
        yield entry, f"{id} {entity}" if id and entity else id


def _document(entry: FeedEntry, id: str, feed: Feed, page: Page, seen: dt.datetime) -> Document:
    """An article. At the first look its text is that of its last change; after it, what is new was not there before."""
    fields = {"feed": feed.title, "guid": masked(entry.guid), **entry.fields}
    if entry.date:
        fields["date"] = entry.date
    return Document(
        NAME, id, "article", seen, (entry.text or entry.title).encode("utf-8", "replace"), page.unit,
        str(page.context.get("entity") or ""), entry.title, masked(entry.link),
        published=entry.published, accepted=seen if page.context["seen"] else entry.changed, fields=fields,
    )  # fmt: skip


def _shown(link: str) -> str:
    """An address without secrets, which stays another than those that differ in the secret alone."""
    shown = masked(link)
    return shown if shown == link else f"{shown}#{hashlib.blake2b(link.encode(), digest_size=8).hexdigest()}"


def _hosts(settings: ResearchConfig) -> tuple[str, ...]:
    hosts = (urlsplit(feed).hostname for feed in settings.news.feeds)
    return tuple(dict.fromkeys(host for host in hosts if host))


def _missing(settings: ResearchConfig, live: LiveSource) -> str:  # noqa: ARG001 (the signature of every source's)
    feeds = settings.news.feeds
    if not feeds:
        return "name feeds in research.news.feeds"
    if not settings.watch and all(_SYMBOL in feed for feed in feeds):
        return "name symbols in research.watch: every feed is asked for one symbol at a time"
    return ""


RESEARCH = ResearchSource(
    NAME, pages, read, rate=1.0, ceiling=1.0, hosts=_hosts, missing=_missing, by_host=True
)  # fmt: skip
