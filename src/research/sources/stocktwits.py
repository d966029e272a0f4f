"""Messages of StockTwits on the symbols of ``research.watch``: never the whole universe.

Who wrote a message is not stored.
"""

from __future__ import annotations

import datetime as dt
import html
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlsplit

from src.config.research_sections import ResearchConfig
from src.config.schema import LiveSource
from src.documents.document import Ask, Document
from src.fetching.provider import Malformed
from src.research.checked_client import checked
from src.research.source import CollectContext, Harvest, Page, Reply, ResearchSource

_NAME = "stocktwits"
_AGAIN, _UNKNOWN_AGAIN = dt.timedelta(minutes=30), dt.timedelta(days=1)
_DEEPEST = 40  # pages of 30 messages back to the last one seen


def pages(context: CollectContext) -> Iterator[Page]:
    """Plan the latest messages of each watched symbol; older ones follow, back to the last one seen.

    Parameters
    ----------
    context : CollectContext

    Yields
    ------
    Page
    """
    for kind, symbol in context.watched.select("asset_class", "symbol").iter_rows():
        entity = f"{kind}:{symbol}"
        stream = f"{context.settings.stocktwits.address}/streams/symbol/{quote(_name(kind, symbol), safe='')}.json"
        seen = int(context.notes(entity).get("newest") or 0)
        yield Page(_NAME, entity, stream, 0, {"entity": entity, "stream": stream, "seen": seen, "depth": 1})


def read(page: Page, reply: Reply, context: CollectContext) -> Harvest:  # noqa: ARG001 (as every source)
    """Read one page of messages.

    Parameters
    ----------
    page : Page
    reply : Reply
        JSON, the newest message first.
    context : CollectContext

    Returns
    -------
    Harvest

    Raises
    ------
    Malformed
        If the reply is not JSON, or reports an error.
    """
    entity = str(page.context["entity"])
    if reply.missing:
        return Harvest(
            again=reply.arrived + _UNKNOWN_AGAIN, notes={"newest": int(page.context["seen"])},
            remarks=[f"StockTwits knows no symbol {entity}"],
        )  # fmt: skip
    answer = _answer(page, reply)
    documents: dict[str, Document] = {}
    broken = 0
    for message in answer["messages"]:
        try:
            document = _document(message, page, reply)
        except (KeyError, TypeError, ValueError, AttributeError):
            broken += 1
            continue
        documents.setdefault(document.id, document)
    remarks = [f"{broken:,} messages on {entity} are not in StockTwits' format"] if broken else []
    ids = [int(each) for each in documents]
    following, more = _older(page, answer, ids)
    remarks += more
    if int(page.context["depth"]) > 1:
        return Harvest(documents.values(), following, remarks=remarks)
    ask = Ask(_NAME, str(page.context["stream"]), reply.arrived)
    newest = max([*ids, int(page.context["seen"])])
    return Harvest(documents.values(), following, [ask], reply.arrived + _AGAIN, {"newest": newest}, remarks)


def _older(page: Page, answer: dict[str, Any], ids: list[int]) -> tuple[list[Page], list[str]]:
    """The page before this one, unless this one reaches what is known; nothing before the first look is wanted."""
    seen, depth = int(page.context["seen"]), int(page.context["depth"])
    cursor = answer.get("cursor") or {}
    before = min(ids, default=0)
    if not seen or not cursor.get("more") or before <= seen:
        return [], []
    entity, stream = str(page.context["entity"]), str(page.context["stream"])
    if depth >= _DEEPEST:
        return [], [f"messages on {entity} between {seen} and {before} are left out: too many came since the last run"]
    about = {"entity": entity, "stream": stream, "seen": seen, "depth": depth + 1}
    return [Page(_NAME, f"{entity}/before/{before}", f"{stream}?max={before}", 1, about)], []


def _answer(_page: Page, reply: Reply) -> dict[str, Any]:
    try:
        answer = json.loads(reply.body)
    except ValueError as error:
        raise Malformed(f"StockTwits' reply is not JSON: {error}") from error
    if not isinstance(answer, dict) or not isinstance(answer.get("messages"), list):
        errors = answer.get("errors") if isinstance(answer, dict) else None
        raise Malformed(f"StockTwits answers {str(errors)[:200]}" if errors else "StockTwits' reply has no messages")
    return answer


def _document(message: dict[str, Any], page: Page, reply: Reply) -> Document:
    """A message; who wrote it is left out."""
    body = html.unescape(str(message["body"])).strip()
    if not body:
        raise ValueError("empty")
    number = int(message["id"])
    sentiment = (message.get("entities") or {}).get("sentiment") or {}
    conversation = message.get("conversation") or {}
    fields = {
        "sentiment": sentiment.get("basic"),
        "symbols": [each["symbol"] for each in message.get("symbols") or []],
        "likes": (message.get("likes") or {}).get("total", 0),
        "is_reply": conversation.get("in_reply_to_message_id") is not None,
    }
    created = dt.datetime.fromisoformat(str(message["created_at"]))
    return Document(
        source=_NAME,
        id=str(number),
        kind="post",
        seen=reply.arrived,
        body=body.encode("utf-8", "replace"),
        stream=str(page.context["stream"]),
        entity=str(page.context["entity"]),
        url=f"https://stocktwits.com/message/{number}",
        published=created.astimezone(dt.UTC) if created.tzinfo else created.replace(tzinfo=dt.UTC),
        # After the first look, what is new was not there before, whatever time it carries.
        accepted=reply.arrived if page.context["seen"] else None,
        fields=fields,
    )


def _name(kind: str, symbol: str) -> str:
    """How StockTwits names an instrument: BTC.X for a coin, BRK.B for a class of shares."""
    return f"{symbol.partition('-')[0]}.X" if kind == "crypto" else symbol.replace("-", ".")


def _hosts(settings: ResearchConfig) -> tuple[str, ...]:
    return (urlsplit(settings.stocktwits.address).hostname or "",)


def _missing(settings: ResearchConfig, _live: LiveSource) -> str:
    return "" if settings.watch else "research.watch is empty: name symbols to ask for, such as research.watch=[AAPL]"


RESEARCH = ResearchSource(_NAME, pages, read, connect=checked(_answer), rate=200 / 3600, hosts=_hosts, missing=_missing)
