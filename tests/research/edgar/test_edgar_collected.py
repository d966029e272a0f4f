"""EDGAR over the wire: real client, gate and collection against the invented one on the loopback."""

from __future__ import annotations

import dataclasses
import datetime as dt
import itertools
from collections import Counter
from contextlib import contextmanager

import polars as pl
import pytest

from src.config.research_sections import EdgarSection
from src.research import collection
from src.research.collection import Collecting
from src.research.sources.edgar import RESEARCH
from src.research.sources.edgar.client import EdgarClient
from src.research.sources.edgar.edgar import EdgarSource
from tests.loopback.edgar import BLOCKED, CLOSED, Edgar
from tests.loopback.wire import HTML, Reply
from tests.research.collection_case import job, records, store, stored, use
from tests.research.edgar.edgar_case import NOBODY, Desk
from tests.research.site_case import site

COLUMNS = ("id", "revision", "kind", "entity", "accepted", "content_hash")


class Machine:
    """Collects over the wire; each run is a new process as far as the source can tell."""

    def __init__(self, folder, edgar, world, patch, **section) -> None:
        pace = {"edgar": 1e5}
        made = job(folder, contact="me@example.org", workers=4, rates=dict(pace), ceilings=dict(pace))
        section = EdgarSection(enabled=True, address=world.url, data_address=world.url, **section)
        research = dataclasses.replace(made.research, start="2025-12-01", edgar=section)
        self.job, self.edgar, self.patch = dataclasses.replace(made, research=research), edgar, patch
        patch.setattr(collection, "wanted", lambda _job: NOBODY)

    def run(self, most: float = float("inf")) -> str:
        """Collect, or be interrupted after `most` replies."""
        source, left, now = EdgarSource(), itertools.count(), self.edgar.now.astimezone(dt.UTC)

        def read(*arguments):
            if next(left) >= most:
                raise KeyboardInterrupt
            return source.read(*arguments)

        def connect(*arguments):
            return EdgarClient(*arguments, now=lambda: now)

        use(self.patch, dataclasses.replace(RESEARCH, pages=source.pages, read=read, connect=connect))
        with records(self.job) as units:
            return Collecting(self.job, store(self.job), units, now=now).run()

    def documents(self) -> pl.DataFrame:
        return stored(self.job, "edgar").sort("id", "revision").select(COLUMNS)


@contextmanager
def serving(edgar):
    with site(edgar.served) as world:
        yield world


def test_a_year_of_twenty_companies_is_collected_once_through_interruptions(tmp_path, monkeypatch):
    edgar = Edgar(companies=20)
    whole = Desk(tmp_path / "whole", edgar)
    whole.run()
    with serving(edgar) as world:
        machine = Machine(tmp_path / "wire", edgar, world, monkeypatch)
        for most in (1, 30, 150):
            with pytest.raises(KeyboardInterrupt):
                machine.run(most)
        machine.run()
        assert machine.documents().equals(whole.documents().sort("id", "revision").select(COLUMNS))
        repeated = Counter(world.paths).total() - len(set(world.paths))
        assert repeated <= 3 * (4 + 32)  # what was under way or not read yet at each interruption
        assert set(world.paths) == {url.split(".gov")[1] for url in whole.asked}
        before = len(world.paths)
        assert machine.run() == "edgar nothing due"
        assert len(world.paths) == before
        assert {each.headers["user-agent"] for each in world.requests} == {"alpha-loop me@example.org"}


def test_archives_of_all_companies_take_the_place_of_a_request_each(tmp_path, monkeypatch):
    edgar = Edgar(companies=6)
    whole = Desk(tmp_path / "whole", edgar)
    whole.run()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with serving(edgar) as world:
        machine = Machine(tmp_path / "wire", edgar, world, monkeypatch, bulk=True)
        machine.run()
        assert machine.documents().equals(whole.documents().sort("id", "revision").select(COLUMNS))
        assert not [path for path in world.paths if path.startswith(("/submissions/", "/api/"))]
        assert not list(tmp_path.glob("alpha-loop-edgar-*"))
        assert machine.run() == "edgar nothing due"


def test_companies_are_asked_for_one_by_one_where_an_archive_is_gone_when_its_run_was_interrupted(
    tmp_path, monkeypatch
):
    edgar = Edgar(companies=6)
    whole = Desk(tmp_path / "whole", edgar)
    whole.run()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with serving(edgar) as world:
        machine = Machine(tmp_path / "wire", edgar, world, monkeypatch, bulk=True)
        with pytest.raises(KeyboardInterrupt):
            machine.run(70)
        machine.run()
        assert machine.documents().equals(whole.documents().sort("id", "revision").select(COLUMNS))


@pytest.mark.parametrize(
    "fault",
    [
        BLOCKED,
        dataclasses.replace(BLOCKED, status=200),
        CLOSED,
        Reply(503, b"<html>maintenance</html>", HTML),
        "cut on the wire",
        "cut in the gzip",
        "cut before it was sent",
    ],
    ids=["blocked", "blocked with 200", "closed", "503", "cut", "gzip", "short"],
)
def test_no_fault_of_the_wire_is_stored_as_a_document(tmp_path, monkeypatch, fault):
    edgar = Edgar(companies=2)
    whole = Desk(tmp_path / "whole", edgar)
    whole.run()
    seen: Counter = Counter()

    def spoilt(request):
        seen[request.path] += 1
        reply = edgar.served(request)
        if seen[request.path] > 1 or seen.total() % 7 or reply.status != 200:
            return reply
        if isinstance(fault, Reply):
            return fault
        if fault == "cut on the wire":
            return dataclasses.replace(reply, sent=len(reply.body) // 2)
        if fault == "cut in the gzip" or reply.kind == "application/zip":
            return dataclasses.replace(reply, body=reply.body[: len(reply.body) // 2])
        plain = edgar.answer(request.path, {}).body
        return reply if b"8-K" in plain or b"10-" in plain else Reply(200, plain[: len(plain) // 2], reply.kind)

    with site(spoilt) as world:
        machine = Machine(tmp_path / "wire", edgar, world, monkeypatch)
        for _ in range(8):
            machine.run()
            edgar.now += dt.timedelta(hours=7)
            if machine.documents().height == whole.documents().height:
                break
    found, expected = machine.documents(), whole.documents().sort("id", "revision").select(COLUMNS)
    assert found.filter(pl.col("kind") != "tickers").equals(expected.filter(pl.col("kind") != "tickers"))


def test_the_declared_pace_stays_below_ten_a_second_for_both_hosts_together():
    assert (RESEARCH.rate, RESEARCH.ceiling, RESEARCH.by_host) == (8.0, 9.0, False)


def test_the_pace_is_kept_as_the_server_sees_it(tmp_path, monkeypatch):
    edgar = Edgar(companies=2)
    with serving(edgar) as world:
        machine = Machine(tmp_path / "wire", edgar, world, monkeypatch)
        machine.job.live.rates["edgar"] = machine.job.live.ceilings["edgar"] = 100.0
        machine.run()
        counts = world.watch.counts()["site"]
        assert counts["requests"] > 50
        assert counts["seconds"] >= (counts["requests"] - 1) / 100 - 0.1
