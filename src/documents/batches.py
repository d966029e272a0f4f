"""A batch of documents as rows: which are new, which revise a stored one, and from when decisions may use them."""

from __future__ import annotations

import datetime as dt
import json
import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from src.core.hashing import table_digest, text_digest
from src.documents.catalogue import keys
from src.documents.contents import Contents
from src.documents.document import DOCUMENTS, Document, known_time
from src.documents.segments import STORED, body_hash
from src.storage.atomic import jsonable

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)
_SLOWEST_CLOCK = dt.timedelta(days=90)  # behind the archive's; where a stamp is further ahead, it is the stamp


@dataclass(frozen=True)
class Appended:
    """What a batch brought.

    Attributes
    ----------
    new, revised, same : int
        Documents of an unknown id, other contents of a known id, and contents that were stored already.
    """

    new: int = 0
    revised: int = 0
    same: int = 0


@dataclass
class BatchRows:
    """Rows to store, and what they add to `Contents`.

    Attributes
    ----------
    rows : list of dict
        By the columns of `STORED`.
    added : dict of str to list
        Key, content and first sight by source.
    appended : Appended
    """

    rows: list[dict[str, Any]] = field(default_factory=list)
    added: defaultdict[str, list[tuple[int, int, int]]] = field(default_factory=lambda: defaultdict(list))
    appended: Appended = field(default_factory=Appended)

    @property
    def table(self) -> pl.DataFrame:
        """The rows as a table with the columns of `STORED`."""
        columns = {name: [row[name] for row in self.rows] for name in STORED}
        return pl.DataFrame(columns, schema=STORED)


def batch(
    documents: Sequence[Document],
    contents: Callable[[str], Contents],
    watched: Callable[[str], Mapping[str, dt.datetime]],
    lag: Callable[[str], dt.timedelta],
) -> BatchRows:
    """Compare documents with what is stored, and date those that are not.

    Parameters
    ----------
    documents : sequence of Document
        In the order in which they arrived.
    contents, watched, lag : callable
        By source: what is stored, when each stream was first asked, and what is added to the stamp of history.

    Returns
    -------
    BatchRows
    """
    result = BatchRows()
    ids = [_clean(document.id) for document in documents]
    fresh: defaultdict[tuple[str, int], list[tuple[int, int]]] = defaultdict(list)
    counts = [0, 0, 0]  # new, revised, same
    for document, name, key in zip(documents, ids, keys(pl.Series(ids, dtype=pl.String)).to_list(), strict=True):
        source, digest = document.source, body_hash(document.body)
        content = int(digest[:16], 16)
        before = [*contents(source).of(key), *fresh[source, key]]
        if any(content == each for each, _ in before):
            counts[2] += 1
            continue
        revision = len({each for each, _ in before})
        seen = max(_first_sight(document), *(moment for _, moment in before), -(2**62))
        since = watched(source).get(document.stream)
        result.rows.append(_row(document, name, digest, revision, _moment(seen), since, lag(source)))
        fresh[source, key].append((content, seen))
        result.added[source].append((key, content, seen))
        counts[min(revision, 1)] += 1
    result.appended = Appended(*counts)
    return result


def _first_sight(document: Document) -> int:
    """When a document was seen: not before its archive had it, whatever the clock of this machine says."""
    seen, accepted = document.seen, document.accepted
    slow = accepted is not None and seen < accepted <= seen + _SLOWEST_CLOCK
    return _microseconds(accepted if slow and accepted is not None else seen)


def log_name(table: pl.DataFrame, asks: pl.DataFrame) -> str:
    """Name of a batch's file in the log.

    Parameters
    ----------
    table, asks : DataFrame
        Documents and intervals.

    Returns
    -------
    str
    """
    return f"{text_digest(table_digest(table.select(DOCUMENTS.keys())), asks.rows())[:24]}.parquet"


def _row(
    document: Document,
    name: str,
    digest: str,
    revision: int,
    seen: dt.datetime,
    watched: dt.datetime | None,
    lag: dt.timedelta,
) -> dict[str, Any]:
    stamp = document.accepted or document.published
    known, backfilled = known_time(stamp, seen, revision, watched, lag)
    return {
        "source": document.source,
        "id": name,
        "revision": revision,
        "kind": _clean(document.kind),
        "entity": _clean(document.entity),
        "title": _clean(document.title),
        "url": _clean(document.url),
        "event": document.event,
        "published": document.published,
        "accepted": document.accepted,
        "first_seen": seen,
        "known": known,
        "backfilled": backfilled,
        "content_hash": digest,
        "size": len(document.body),
        "fields": _clean(_json(document.fields)),
        "body": document.body,
    }


def _json(fields: Mapping[str, Any]) -> str:
    def written(value: Any) -> str:
        return json.dumps(
            value, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"), default=jsonable
        )

    try:
        return written(dict(fields))
    except ValueError:  # NaN and infinity have no form in JSON
        return written(_finite(dict(fields)))


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _clean(text: str) -> str:
    """Replace halves of surrogate pairs, which no file in UTF-8 can hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode()
    return text


def _microseconds(moment: dt.datetime) -> int:
    return (moment - _EPOCH) // _MICROSECOND


def _moment(microseconds: int) -> dt.datetime:
    return _EPOCH + microseconds * _MICROSECOND
