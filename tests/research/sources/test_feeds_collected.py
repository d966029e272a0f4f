"""Papers, GDELT and a folder through the real collection, at a site that misbehaves."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from pathlib import Path
from urllib.parse import urlencode

from src.fetching.rate_gate import RateGate
from src.research.collection import collect
from src.research.source import Page
from tests.loopback.wire import HTML, JSON, TEXT, Request
from tests.loopback.wire import Reply as Sent
from tests.research.site_case import XML, site
from tests.research.sources.feed_case import collection, stored
from tests.research.sources.test_gdelt import Site as Gdelt
from tests.research.sources.test_papers import Archive, Paper, feed

TODAY = dt.datetime.now(dt.UTC).replace(minute=0, second=0, microsecond=0)
PAPERS = [
    Paper(f"2401.{n:05}", 1 + n % 2, TODAY - dt.timedelta(hours=4 * n + 30), TODAY - dt.timedelta(hours=4 * n + 29))
    for n in range(400)
]
FAULTS = (
    Sent(429, b"Rate exceeded.", TEXT, {"Retry-After": "0"}), Sent(503, b"", TEXT), Sent(200, b"x" * 400, XML, sent=9),
    Sent(200, b"x" * 4000, XML, reset=True), Sent(200, b"<!doctype html><html>Sign in</html>", HTML),
    Sent(502, b"", HTML), Sent(429, b"", JSON, {"Retry-After": "0"}),
)  # fmt: skip


class World:
    """Both providers at one site; each fault comes once, in the middle of good answers."""

    def __init__(self) -> None:
        self.faults = list(FAULTS)
        self.gdelt, self.archive = Gdelt(TODAY), Archive(PAPERS)
        self.count = 0
        self.empty = self.cut = True  # once each: a page without its entries, a file that is not the one of the list

    def __call__(self, request: Request) -> Sent:
        self.count += 1
        if self.count % 3 == 0 and self.faults:
            return self.faults.pop()
        page = Page("", "", f"http://site{request.path}?{urlencode(request.query)}")
        if request.path == "/api/query":
            empty = self.empty and "submittedDate" in request.query["search_query"]
            self.empty = self.empty and not empty
            return Sent(200, feed([], 99) if empty else self.archive(page).body, XML)
        page = Page("", "", f"http://site{request.path}")
        reply = self.gdelt(page)
        cut = self.cut and request.path.endswith(f"{TODAY:%Y%m%d%H%M%S}.gkg.csv.zip")
        self.cut = self.cut and not cut
        return Sent(404 if reply.missing else 200, reply.body[:100] if cut else reply.body, TEXT)


def test_all_that_the_providers_have_is_stored_once_whatever_fails_on_the_way(
    tmp_path: Path, gates: list[RateGate]
) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    (inbox / "2024-01-05 $AAPL.md").write_text("# Outlook\nMargins widen.", encoding="utf-8")
    (inbox / "broken.pdf").write_bytes(b"%PDF-1.7")
    world = World()
    world.gdelt.gone.add(f"{TODAY - dt.timedelta(minutes=30):%Y%m%d%H%M%S}")
    with site(world) as made:
        job = collection(
            tmp_path / "data",
            "research=papers",
            "research.gdelt.enabled=true",
            "research.gdelt.days=0.1",
            "research.own.enabled=true",
            f"research.own.path='{inbox.as_posix()}'",
            f"research.papers.address={made.url}/api/query",
            f"research.gdelt.address={made.url}/gdeltv2",
            f"research.start={TODAY - dt.timedelta(days=70):%Y-%m-01}",
            rates={"papers": 500.0, "gdelt": 500.0},
            tries=20,
        )
        said = collect(job)
        assert said == ("papers 400 new documents; gdelt 18 new, 1 remark in the log; own 1 new, 1 remark in the log")
        assert not (world.faults or world.empty or world.cut), "each fault was met"
        assert set(stored(job, "papers")["id"]) == {each.id for each in PAPERS}
        assert stored(job, "papers")["revision"].max() == 0
        assert Counter(stored(job, "gdelt")["id"]).most_common(1)[0][1] == 1
        assert sum(gate.counts.requests for gate in gates) == len(made.requests)
        own = stored(job, "own").row(0, named=True)
        assert (own["id"], own["entity"], own["body"]) == (
            "2024-01-05 $AAPL.md",
            "stock:AAPL",
            b"# Outlook\nMargins widen.",
        )
        assert own["known"] == dt.datetime(2024, 1, 7, 3, tzinfo=dt.UTC) and own["backfilled"]
        count = len(made.requests)
        assert collect(job) == "papers nothing due; gdelt nothing due; own 0 new"
        assert len(made.requests) == count
