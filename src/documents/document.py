"""A document as a source delivered it, the times that it carries, and the columns in which it is stored."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import polars as pl

_MOMENT = pl.Datetime("us", "UTC")
DOCUMENTS: dict[str, Any] = {
    "source": pl.String(),  # that delivered it: edgar, news, papers, gdelt, own, stocktwits, reddit, simulated
    "id": pl.String(),  # the source's own key, unique within it: accession number, guid, arXiv id, path
    "revision": pl.Int32(),  # 0 for the first content seen under this id, then 1, 2, ...
    "kind": pl.String(),  # form type (4, 8-K, 10-K), article, paper, post, file; or a source's own, such as tickers
    "entity": pl.String(),  # whom the source names: CIK:0000320193, stock:AAPL; empty where only the text says it
    "title": pl.String(),
    "url": pl.String(),
    "event": _MOMENT,  # what it is about: end of the period of report; null
    "published": _MOMENT,  # as the publisher says; null
    "accepted": _MOMENT,  # as an archive such as EDGAR stamped it; null
    "first_seen": _MOMENT,  # when a machine of ours had it whole
    "known": _MOMENT,  # when decisions may use it: see `known_time`
    "backfilled": pl.Boolean(),  # whether `known` stands on a publisher's time plus a lag
    "content_hash": pl.String(),  # of the body
    "size": pl.Int64(),  # bytes of the body
    "fields": pl.String(),  # JSON object: what else the source says
}
KEY = ("source", "id", "revision")


@dataclass(frozen=True)
class Document:
    """One document, before it is stored.

    Attributes
    ----------
    source, id, kind, entity, title, url, event, published, accepted
        As in `DOCUMENTS`; times with a time zone.
    seen : datetime
        When it arrived whole.
    body : bytes
        As served; text in UTF-8 where the source serves text.
    stream : str
        What was being watched when it came, such as ``index`` or the address of a feed: documents stamped before the
        stream was first asked are history.
    fields : mapping
        What else the source says, as JSON values.

    Raises
    ------
    ValueError
        Without an id, or if a time has no zone.
    """

    source: str
    id: str
    kind: str
    seen: dt.datetime
    body: bytes
    stream: str
    entity: str = ""
    title: str = ""
    url: str = ""
    event: dt.datetime | None = None
    published: dt.datetime | None = None
    accepted: dt.datetime | None = None
    fields: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.id:
            raise ValueError(f"a document of {self.source} must have an id, got none: {self.title[:80]!r}")
        for name in ("seen", "event", "published", "accepted"):
            moment = getattr(self, name)
            if moment is not None and moment.tzinfo is None:
                raise ValueError(f"{name} of {self.source} {self.id!r} must have a time zone, got {moment}")


@dataclass(frozen=True)
class Ask:
    """A request that a source answered: from then on, the absence of a document says that there was none.

    Attributes
    ----------
    source, stream : str
        As in `Document`.
    asked : datetime
        When.
    since : datetime or None
        Start of the history that the answer covers; None where it covers none.
    """

    source: str
    stream: str
    asked: dt.datetime
    since: dt.datetime | None = None


def known_time(
    stamp: dt.datetime | None, first_seen: dt.datetime, revision: int, watched: dt.datetime | None, lag: dt.timedelta
) -> tuple[dt.datetime, bool]:
    """When decisions may use a document, decided once, when it is stored.

    What comes while its stream is watched is known when it is first seen. History, stamped before the stream was first
    asked, is known at its stamp plus a lag, and never later than when it was seen. A revision is never history: it was
    not there when the first content was read.

    Parameters
    ----------
    stamp : datetime or None
        The archive's time, else the publisher's.
    first_seen : datetime
        When it arrived whole.
    revision : int
        0 for the first content under its id.
    watched : datetime or None
        When its stream was first asked; None if it never was before.
    lag : timedelta
        Added to the stamp of history.

    Returns
    -------
    (datetime, bool)
        The time, and whether it stands on the stamp.

    Examples
    --------
    >>> filed, bought = dt.datetime(2024, 3, 1, 21), dt.datetime(2024, 3, 20, 6)
    >>> known, history = known_time(filed, bought, 0, bought, dt.timedelta(days=1))
    >>> print(known, history)
    2024-03-02 21:00:00 True
    >>> known, history = known_time(filed, bought, 0, filed, dt.timedelta(days=1))
    >>> print(known, history)
    2024-03-20 06:00:00 False
    """
    history = revision == 0 and stamp is not None and stamp < (watched or first_seen)
    if history and stamp is not None and stamp + lag < first_seen:
        return stamp + lag, True
    return first_seen, False
