"""New posts of some subreddits, by the user's own app and `praw`, without a user's login.

Who wrote a post is not stored, and a post that is removed leaves what was stored before as it is.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlsplit

from src.config.research_sections import ResearchConfig
from src.config.schema import LiveSource
from src.documents.document import Ask, Document
from src.fetching.provider import Malformed
from src.research.reddit_client import KEYS, RedditClient, keys
from src.research.source import CollectContext, Harvest, Page, Reply, ResearchSource

_NAME = "reddit"
_AGAIN, _CLOSED_AGAIN = dt.timedelta(minutes=15), dt.timedelta(days=1)
_DEEPEST = 10  # pages of 100 posts: Reddit lists no more than 1,000
_LIMIT = 100
_GONE = ("[removed]", "[deleted]")
_POST = re.compile(r"t3_[a-z0-9]{1,12}")
_SUBREDDIT = re.compile(r"(?:/?r/)?([A-Za-z0-9_]{2,40})/?")


def pages(context: CollectContext) -> Iterator[Page]:
    """Plan the newest posts of each subreddit; older ones follow, back to the last one seen.

    Parameters
    ----------
    context : CollectContext

    Yields
    ------
    Page
    """
    for name in context.settings.reddit.subreddits:
        match = _SUBREDDIT.fullmatch(name.strip())
        unit = f"r/{match[1] if match else name}"
        seen = str(context.notes(unit).get("newest") or "")
        address = f"{context.settings.reddit.address}/{unit}/new?limit={_LIMIT}"
        yield Page(_NAME, unit, address, 0, {"stream": unit, "seen": seen, "depth": 1})


def read(page: Page, reply: Reply, context: CollectContext) -> Harvest:
    """Read one page of posts.

    Parameters
    ----------
    page : Page
    reply : Reply
        A listing as JSON, the newest post first.
    context : CollectContext

    Returns
    -------
    Harvest

    Raises
    ------
    Malformed
        If the reply is no listing.
    """
    stream = str(page.context["stream"])
    if reply.missing:
        notes = {"newest": str(page.context["seen"])}
        remarks = [f"{stream} is private, closed or does not exist"]
        return Harvest(again=reply.arrived + _CLOSED_AGAIN, notes=notes, remarks=remarks)
    listing = _listing(reply.body)
    documents: dict[str, Document] = {}
    broken = removed = 0
    for child in listing["children"]:
        try:
            document = _document(child["data"], page, reply)
        except (KeyError, TypeError, ValueError, OverflowError, AttributeError):
            broken += 1
            continue
        if document.fields["removed"] and context.stored(document.id):
            removed += 1
            continue
        documents.setdefault(document.id, document)
    counts = {"are not in Reddit's format": broken, "were removed since they were stored": removed}
    remarks = [f"{count:,} posts of {stream} {words}" for words, count in counts.items() if count]
    following, more = _older(page, listing, context)
    remarks += more
    if int(page.context["depth"]) > 1:
        return Harvest(documents.values(), following, remarks=remarks)
    newest = max([*_names(listing), str(page.context["seen"])], key=_number)
    ask = Ask(_NAME, stream, reply.arrived)
    return Harvest(documents.values(), following, [ask], reply.arrived + _AGAIN, {"newest": newest}, remarks)


def _older(page: Page, listing: dict[str, Any], context: CollectContext) -> tuple[list[Page], list[str]]:
    """The page before this one, unless this one reaches what is known; nothing before the first look is wanted."""
    seen, stream, depth = str(page.context["seen"]), str(page.context["stream"]), int(page.context["depth"])
    names, after = _names(listing), listing.get("after")
    if not seen or not names or min(map(_number, names)) <= _number(seen):
        return [], []
    if not after or depth >= _DEEPEST:
        words = f"posts of {stream} between {seen} and {min(names, key=_number)} are left out: Reddit lists no more"
        return [], [words]
    about = {"stream": stream, "seen": seen, "depth": depth + 1}
    address = f"{context.settings.reddit.address}/{stream}/new?limit={_LIMIT}&after={quote(str(after))}"
    return [Page(_NAME, f"{stream}/after/{after}", address, 1, about)], []


def _listing(body: bytes) -> dict[str, Any]:
    try:
        listing = json.loads(body)["data"]
        if isinstance(listing["children"], list):
            return dict(listing)
    except (ValueError, KeyError, TypeError) as error:
        raise Malformed(f"Reddit's reply is no listing ({type(error).__name__}: {error})") from error
    raise Malformed("Reddit's reply is no listing: it has no children")


def _names(listing: dict[str, Any]) -> list[str]:
    """Names of the posts of a listing, such as t3_1b2c3d: those that came later have the higher number."""
    found = [(each.get("data") or {}).get("name") for each in listing["children"] if isinstance(each, dict)]
    return [name for name in found if isinstance(name, str) and _POST.fullmatch(name)]


def _number(name: str) -> int:
    return int(name[3:], 36) if name else -1


def _document(post: dict[str, Any], page: Page, reply: Reply) -> Document:
    """A post; who wrote it is left out.

    At the first look a text is that of its last edit; after it, what is new was not there before.
    """
    name, title = str(post["name"]), " ".join(str(post["title"]).split())
    if not _POST.fullmatch(name) or not title:
        raise ValueError("no post")
    text = str(post.get("selftext") or "").strip()
    removed = str(post.get("removed_by_category") or ("unknown" if text in _GONE else ""))
    fields = {key: post.get(key) for key in ("score", "num_comments", "link_flair_text", "domain", "over_18")}
    edited = float(post.get("edited") or 0)  # when, or false; long ago Reddit said true without a time
    changed = dt.datetime.fromtimestamp(edited, dt.UTC) if edited > 1 else None
    body = title if text in _GONE or not text else f"{title}\n\n{text}"
    return Document(
        source=_NAME,
        id=name,
        kind="post",
        seen=reply.arrived,
        body=f"{body}\n".encode("utf-8", "replace"),
        stream=str(page.context["stream"]),
        title=title,
        url=f"https://www.reddit.com{post.get('permalink') or ''}",
        published=dt.datetime.fromtimestamp(float(post["created_utc"]), dt.UTC),
        accepted=reply.arrived if page.context["seen"] else changed,
        fields=fields | {"subreddit": post.get("subreddit"), "edited": bool(post.get("edited")), "removed": removed},
    )


def _hosts(settings: ResearchConfig) -> tuple[str, ...]:
    addresses = (settings.reddit.token_address, settings.reddit.address)
    return tuple(urlsplit(each).hostname or "" for each in addresses)


def _missing(_settings: ResearchConfig, _live: LiveSource) -> str:
    absent = [name for name, value in zip(KEYS, keys(), strict=True) if not value]
    if not absent:
        return ""
    return f"set {' and '.join(absent)} in the environment or .env (an app of yours: https://www.reddit.com/prefs/apps)"


RESEARCH = ResearchSource(_NAME, pages, read, connect=RedditClient, rate=1.0, hosts=_hosts, missing=_missing)
