"""Entries of an RSS or Atom feed, read from bytes alone: nothing that a feed says makes the reader ask a network."""

from __future__ import annotations

import calendar
import datetime as dt
import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from src.documents.text import text_of
from src.fetching.provider import Malformed
from src.research.http_body import is_html

_DATES = ("published", "updated", "created")
_EARLIEST = dt.datetime(1990, 1, 1, tzinfo=dt.UTC)  # an earlier date is a formatted zero
_AHEAD = dt.timedelta(minutes=10)  # clocks differ
_COUNTERS = re.compile(r"utm_\w+|fbclid|gclid|cmpid|tsrc|ref_?src|partner|guccounter", re.IGNORECASE)
_TAG = re.compile(r"<[a-zA-Z/!][^>]*>|&(?:\w+|#\d+);")


@dataclass(frozen=True)
class FeedEntry:
    """One entry.

    Attributes
    ----------
    guid, link : str
        As the feed has them; a link without what only counts visits. Either may be empty.
    title, text : str
        Without markup.
    published : datetime or None
        UTC; None without a date that can be believed.
    date : str
        The date as written, if it is not believed.
    fields : mapping
        Author, tags and the time of the last update, as far as given.
    changed : datetime or None
        Time of the last update, where it is after the publication.
    """

    guid: str
    link: str
    title: str
    text: str
    published: dt.datetime | None
    date: str
    fields: Mapping[str, Any]
    changed: dt.datetime | None = None


@dataclass(frozen=True)
class Feed:
    """A feed as it was served.

    Attributes
    ----------
    title : str
    entries : tuple of FeedEntry
    fault : str
        What is wrong with its XML; empty if it is well-formed.
    """

    title: str
    entries: tuple[FeedEntry, ...]
    fault: str


def read_feed(body: bytes, address: str, content_type: str, arrived: dt.datetime) -> Feed:
    """Read a feed.

    Parameters
    ----------
    body : bytes
        As served.
    address : str
        Of the feed: its links may be relative.
    content_type : str
        The header, which may name the encoding.
    arrived : datetime
        When it was whole: no entry is from later.

    Returns
    -------
    Feed

    Raises
    ------
    Malformed
        If it is no feed.
    """
    import feedparser

    if is_html(body):
        raise Malformed("a web page, no feed")
    if b"<!ENTITY" in body.replace(b"\0", b""):
        raise Malformed("declares entities of its own, which no feed needs")
    headers = {"content-location": address} | ({"content-type": content_type} if content_type else {})
    # Bytes alone would be tried as the name of a file.
    parsed = feedparser.parse(io.BytesIO(body), response_headers=headers)
    fault = _fault(parsed)
    if not parsed.entries and (fault or not parsed.get("version")):
        raise Malformed(f"no feed that can be read{f' ({fault})' if fault else ''}")
    entries = tuple(_entry(each, arrived) for each in parsed.entries)
    return Feed(_line(parsed.feed.get("title", "")), entries, fault)


def bare_link(link: str) -> str:
    """Remove from an address what only counts visits, so that two feeds give one article one address.

    Parameters
    ----------
    link : str

    Examples
    --------
    >>> bare_link("https://a.example/x?id=7&utm_source=rss#top")
    'https://a.example/x?id=7'
    """
    try:
        parts = urlsplit(link.strip())
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https") or not parts.netloc:
        return ""
    pairs = parse_qsl(parts.query, keep_blank_values=True)
    kept = [(name, value) for name, value in pairs if not _COUNTERS.fullmatch(name)]
    query = parts.query if len(kept) == len(pairs) else urlencode(kept)
    return urlunsplit((parts.scheme, parts.netloc.lower(), parts.path, query, ""))


def _fault(parsed: Mapping[str, Any]) -> str:
    """What is wrong with the XML; another encoding than declared and another media type don't count."""
    import feedparser

    error = parsed.get("bozo_exception") if parsed.get("bozo") else None
    if error is None or isinstance(error, feedparser.CharacterEncodingOverride | feedparser.NonXMLContentType):
        return ""
    return " ".join(f"{type(error).__name__}: {error}".split())[:120]


def _entry(entry: dict[str, Any], arrived: dt.datetime) -> FeedEntry:
    published, date = _published(entry, arrived)
    title = _line(_value(entry, "title"))
    texts = [_value(entry, "summary"), *(str(each.get("value") or "") for each in _value_list(entry, "content"))]
    text = max(map(_text, texts), key=len)
    fields: dict[str, Any] = {}
    if author := _line(_value(entry, "author")):
        fields["author"] = author
    if tags := [str(each["term"]) for each in _value_list(entry, "tags") if each.get("term")]:
        fields["tags"] = list(dict.fromkeys(tags))
    updated = _moment(dict.get(entry, "updated_parsed"))
    if updated and published and updated != published:
        fields["updated"] = updated.isoformat()
    changed = min(updated, arrived) if updated and published and updated > published else None
    link = bare_link(_value(entry, "link"))
    return FeedEntry(_value(entry, "id").strip(), link, title, text, published, date, fields, changed)


def _published(entry: dict[str, Any], arrived: dt.datetime) -> tuple[dt.datetime | None, str]:
    """The entry's time, or the date as written where there is one that can't be believed."""
    for name in _DATES:
        written = _value(entry, name)
        moment = _moment(dict.get(entry, f"{name}_parsed")) or _read_date(written)
        if moment is not None and _EARLIEST <= moment <= arrived + _AHEAD:
            return min(moment, arrived), ""
        if written:
            return None, written
    return None, ""


def _moment(parsed: Any) -> dt.datetime | None:
    """A time of feedparser, which is in UTC."""
    try:
        return dt.datetime.fromtimestamp(calendar.timegm(parsed), dt.UTC) if parsed else None
    except (ValueError, OverflowError, TypeError, OSError):
        return None


def _read_date(text: str) -> dt.datetime | None:
    """A date that feedparser does not know, if it names its offset."""
    for read in (dt.datetime.fromisoformat, parsedate_to_datetime):
        try:
            moment = read(text.strip())
        except (ValueError, TypeError, OverflowError):
            continue
        if moment.tzinfo is not None:
            return moment.astimezone(dt.UTC)
    return None


def _value(entry: dict[str, Any], name: str) -> str:
    # feedparser's own get answers with another field where this one is missing
    value = dict.get(entry, name)
    return value if isinstance(value, str) else ""


def _value_list(entry: dict[str, Any], name: str) -> Iterator[Mapping[str, Any]]:
    values = dict.get(entry, name)
    return iter(values if isinstance(values, list) else [])


def _text(value: str) -> str:
    ending = ".html" if _TAG.search(value) else ".txt"
    return text_of(value.encode("utf-8", "replace"), f"entry{ending}")


def _line(value: str) -> str:
    return " ".join(_text(value).split())
