"""A store of documents in memory, written for its rules alone: lists and loops."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

BEGIN = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)


def at(hours):
    return BEGIN + dt.timedelta(hours=hours)


@dataclass(frozen=True)
class Seen:
    """What one machine observed."""

    source: str
    id: str
    body: bytes
    kind: str
    place: int  # its revision where it was observed
    first_seen: dt.datetime
    known: dt.datetime
    backfilled: bool


@dataclass
class NaiveStore:
    lag: dt.timedelta = dt.timedelta(hours=24)
    seen: list[Seen] = field(default_factory=list)
    asks: list = field(default_factory=list)

    def append(self, documents, asks):
        self.asks.extend(asks)
        counts = [0, 0, 0]
        for document in documents:
            before = [each for each in self.seen if (each.source, each.id) == (document.source, document.id)]
            if document.body in {each.body for each in before}:
                counts[2] += 1
                continue
            place = len({each.body for each in before})
            counts[1 if place else 0] += 1
            slow = document.accepted is not None and document.accepted - document.seen <= dt.timedelta(days=90)
            seen = max(document.seen, document.accepted) if slow else document.seen
            first_seen = max([seen, *(each.first_seen for each in before)])
            stamp = document.accepted if document.accepted is not None else document.published
            streams = [a.asked for a in self.asks if (a.source, a.stream) == (document.source, document.stream)]
            watched = min(streams) if streams else first_seen
            known, backfilled = first_seen, False
            if place == 0 and stamp is not None and stamp < watched and stamp + self.lag < first_seen:
                known, backfilled = stamp + self.lag, True
            kept = Seen(
                document.source, document.id, document.body, document.kind, place, first_seen, known, backfilled
            )
            self.seen.append(kept)
        return tuple(counts)

    def join(self, other):
        self.seen.extend(each for each in other.seen if each not in self.seen)
        self.asks.extend(each for each in other.asks if each not in self.asks)

    def rows(self, hashed):
        """source, id, revision, body, first_seen, known, backfilled; oldest known first."""
        rows = []
        for source, name in {(each.source, each.id) for each in self.seen}:
            of_id = [each for each in self.seen if (each.source, each.id) == (source, name)]
            contents = []
            for body in {each.body for each in of_id}:
                same = [each for each in of_id if each.body == body]
                first_seen, place = min((each.first_seen, each.place) for each in same)
                contents.append((first_seen, place, hashed(body), body, min((e.backfilled, e.known) for e in same)))
            for revision, (first_seen, _place, _hash, body, dated) in enumerate(sorted(contents)):
                rows.append(
                    (source, name, revision, body, first_seen, *((first_seen, False) if revision else dated[::-1]))
                )
        return sorted(rows, key=lambda row: (row[5], *row[:3]))

    def coverage(self, source):
        """stream, since, until."""
        spans = []
        for stream in sorted({ask.stream for ask in self.asks if ask.source == source}):
            asks = [ask for ask in self.asks if (ask.source, ask.stream) == (source, stream)]
            united = []
            for since, until in sorted((min(ask.since or ask.asked, ask.asked), ask.asked) for ask in asks):
                if united and since - united[-1][1] <= dt.timedelta(days=10):
                    united[-1][1] = max(united[-1][1], until)
                else:
                    united.append([since, until])
            spans.extend((stream, *each) for each in united)
        return spans
