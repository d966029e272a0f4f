"""Feeds of a site that misbehaves, collected by the command itself, which dies at 20 of its writes: ``make soak``."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path

import pytest

from src.documents.document_store import DocumentStore
from tests.loopback.wire import HTML, TEXT, Reply, Request
from tests.research.site_case import XML, Site, site
from tests.soak import faulted_command
from tests.soak.fault_points import KILLED, Faults

FEEDS, ENTRIES, KILLS, RATE, TRIES = 40, 12, 20, 200.0, 4
PRELOAD = "tests.soak.preloaded"
EXPECTED = {f"https://example.org/{feed}/{i}": f"Text {i} of {feed}" for feed in range(FEEDS) for i in range(ENTRIES)}


SPOILT = (
    Reply(429, b"", TEXT, {"Retry-After": "0.1"}), Reply(503, b"", HTML), Reply(200, b"x" * 999, XML, sent=20),
    Reply(200, b"x" * 999, XML, reset=True),
)  # fmt: skip
SPOIL = 11  # each request of this number meets one of these, in turn
_count = itertools.count(1)


def answer(request: Request) -> Reply:
    number = next(_count)
    if number % SPOIL == 0:
        return SPOILT[number // SPOIL % len(SPOILT)]
    feed = request.path.strip("/")
    items = "".join(
        f"<item><title>T</title><link>https://example.org/{feed}/{i}</link>"
        f"<description>Text {i} of {feed}</description><pubDate>Mon, 04 Mar 2024 10:00:00 GMT</pubDate></item>"
        for i in range(ENTRIES)
    )
    body = f'<?xml version="1.0"?><rss version="2.0"><channel><title>{feed}</title>{items}</channel></rss>'
    return Reply(200, body.encode(), XML)


@pytest.fixture(scope="module")
def world():
    with site(answer) as made:
        yield made


def ingest(root: Path, world: Site, first: int = 0) -> faulted_command.Ended:
    """Run the command; it dies at its write of this number."""
    feeds = ",".join(f"{world.url}/{i}" for i in range(FEEDS))
    arguments = [
        "research=news", f"data.root={root.as_posix()}/data", f"data.logs={root.as_posix()}/logs",
        f"research.news.feeds=[{feeds}]", "source.live.pause=0.05",
        "source.live.max_pause=0.2", f"source.live.tries={TRIES}",
        f"+source.live.rates.news={RATE}", f"+source.live.ceilings.news={RATE}",
    ]  # fmt: skip
    root.mkdir(exist_ok=True)
    return faulted_command.run("ingest", arguments, Faults(root, first, "kill"), root.parent, PRELOAD)


def contents(root: Path) -> dict[str, str]:
    store = DocumentStore(root / "data" / "research" / "documents")
    rows = store.documents("news")
    assert rows["revision"].max() == 0 and rows.height == rows["id"].n_unique()
    return dict(zip(rows["id"], (body.decode() for body in store.bodies(rows)["body"]), strict=True))


def test_twenty_kills_lose_nothing_double_nothing_and_hurry_nothing(world: Site, tmp_path: Path) -> None:
    whole = ingest(tmp_path / "whole", world)
    assert whole.status == 0 and contents(tmp_path / "whole") == EXPECTED, whole.error
    assert f"news {len(EXPECTED)} new documents" in whole.out + whole.error
    moments = sorted({1 + round(i * (whole.points - 1) / (KILLS - 1)) for i in range(KILLS)})
    assert len(moments) == KILLS, "too few writes to tell moments apart"
    world.watch.visits.clear()
    for moment in moments:
        root, before = tmp_path / f"at{moment}", len(world.requests)
        assert ingest(root, world, moment).status == KILLED, moment
        died = len(world.requests)
        done = ingest(root, world)
        assert done.status == 0, (moment, done.error)
        assert contents(root) == EXPECTED, moment
        asked = Counter(each.path for each in world.requests[before:])
        assert len(asked) == FEEDS and max(asked.values()) <= 2 + 2 * TRIES, moment
        assert polite(world, before, died) and polite(world, died, len(world.requests)), moment


def polite(world: Site, begin: int, end: int) -> bool:
    """Whether the requests of one run took as long as its rate says; the first may have been held up on its way."""
    arrivals = world.watch.visits["site"].arrivals
    offset = len(world.requests) - len(arrivals)
    times = arrivals[begin - offset : end - offset]
    return len(times) < 2 or times[-1] - times[0] > 0.8 * (len(times) - 1) / RATE - 0.05
