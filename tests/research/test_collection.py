"""A collection asks what is due, stores what comes once, and goes on where it was ended."""

import dataclasses
import datetime as dt
import re
import sqlite3
from collections import Counter
from contextlib import closing

import pytest

from src.core.errors import StageError
from src.documents.document_store import DocumentStore
from src.fetching.network_watch import NetworkWatch
from src.fetching.provider import Unavailable
from src.research import collection, source_run
from src.research.collection import Collecting, collect
from src.research.lanes import Lanes
from src.research.source import Harvest, Reply
from src.research.unit_records import UnitRecords, is_secret
from src.runtime.disk_space import DiskError
from tests.loopback.wire import HTML, JSON, TEXT
from tests.loopback.wire import Reply as Sent
from tests.process_case import free_port
from tests.research.collection_case import body, expected, job, numbered, records, served, store, stored, use
from tests.research.site_case import site


@pytest.fixture
def world():
    with site(served) as made:
        yield made


def test_all_that_is_due_is_asked_once_and_stored_once(world, tmp_path, monkeypatch) -> None:
    of = job(tmp_path)
    use(monkeypatch, numbered(lambda: world.url))
    assert collect(of) == "news 45 new documents"
    assert sorted(stored(of)["id"]) == expected(5)
    assert Counter(world.paths) == Counter(set(world.paths)) and len(world.paths) == 15
    assert store(of).coverage("news")["stream"].to_list() == ["stream"]
    assert collect(of) == "news nothing due" and len(world.paths) == 15


def test_a_unit_is_asked_again_when_it_is_due_and_other_contents_are_revisions(world, tmp_path, monkeypatch) -> None:
    of = job(tmp_path)
    use(monkeypatch, numbered(lambda: world.url, 2, again=0.0))
    collect(of)
    assert collect(of) == "news 0 new documents"
    world.answer = lambda _request: Sent(200, body("u0").replace(b"text 1", b"corrected"), JSON)
    assert collect(of) == "news 0 new documents, 1 revised"
    assert stored(of).filter(id="u0/1")["revision"].to_list() == [0, 1]


def test_notes_come_back_and_are_those_of_the_last_answer(world, tmp_path, monkeypatch) -> None:
    of, seen = job(tmp_path), []
    source = numbered(lambda: world.url, 1, again=0.0)

    def pages(context):
        seen.append((context.notes("u0"), context.stored("u0/0"), len(context.latest("article"))))
        return source.pages(context)

    use(monkeypatch, dataclasses.replace(source, pages=pages))
    collect(of), collect(of)
    assert seen == [({}, False, 0), ({"had": 3}, True, 9)]


def test_what_came_in_this_run_is_seen_by_the_pages_that_follow(world, tmp_path, monkeypatch) -> None:
    of, seen = job(tmp_path), {}
    source = numbered(lambda: world.url, 1)

    def read(page, reply, context):
        kept = {row["id"]: text for row, text in context.latest("article")}
        seen[page.unit] = context.stored("u0/0"), kept.get("u0/0")
        return source.read(page, reply, context)

    use(monkeypatch, dataclasses.replace(source, read=read))
    collect(of)
    assert seen == {"u0": (False, None), "u0-0": (True, b"text 0 of u0"), "u0-1": (True, b"text 0 of u0")}


def test_a_page_that_is_named_several_times_is_asked_once(world, tmp_path, monkeypatch) -> None:
    of, source = job(tmp_path), numbered(lambda: world.url, 3)

    def pages(context):
        return [*source.pages(context), *source.pages(context)]

    def read(page, reply, context):
        harvest = source.read(page, reply, context)
        return dataclasses.replace(harvest, pages=[dataclasses.replace(each, unit="same") for each in harvest.pages])

    use(monkeypatch, dataclasses.replace(source, pages=pages, read=read))
    collect(of)
    assert len(world.paths) == 4


PASSING = [
    Sent(429, b"", TEXT),
    Sent(429, b"", TEXT, {"Retry-After": "0.05"}),
    Sent(503, b"", HTML),
    Sent(500, b"<html>", HTML),
    Sent(200, body("u0"), JSON, sent=20),
    Sent(200, body("u0"), JSON, reset=True),
    Sent(200, b"<html>Sign in", HTML),
    Sent(200, b"x" * 50, JSON, {"Content-Encoding": "gzip"}),
]


def test_faults_that_pass_lose_nothing_and_double_nothing(world, tmp_path, monkeypatch) -> None:
    of, tries = job(tmp_path), Counter()

    def answer(request):
        tries[request.path] += 1
        spoilt = hash_of(request.path) % 3 and tries[request.path] == 1
        return PASSING[hash_of(request.path) % len(PASSING)] if spoilt else served(request)

    world.answer = answer
    use(monkeypatch, numbered(lambda: world.url, 40))
    assert collect(of) == "news 360 new documents"
    assert sorted(stored(of)["id"]) == expected(40) and max(tries.values()) > 1
    assert collect(of) == "news nothing due"


def hash_of(path: str) -> int:
    return sum(path.encode())


LASTING = {
    "/u1": Sent(200, b"garbage", JSON),
    "/u2": Sent(400, b"", JSON),
    "/u3": Sent(301, b"", JSON, {"Location": "/u3"}),
    "/u4": Sent(200, b'{"documents": 7}', JSON),
}


def test_a_page_that_can_not_be_read_fails_alone_and_is_asked_later(world, tmp_path, monkeypatch, caplog) -> None:
    of = job(tmp_path)
    caplog.set_level("INFO")
    world.answer = lambda request: LASTING.get(request.path) or served(request)
    use(monkeypatch, numbered(lambda: world.url, 6))
    assert collect(of) == "news 18 new documents, 4 pages failed"
    for words in ("u1 malformed: no JSON", "u2 unfit", "more than 5 redirects", "u4 could not be read (AttributeError"):
        assert words in caplog.text
    asked = len(world.paths)
    assert collect(of) == "news nothing due" and len(world.paths) == asked, "a failed page has to wait"
    with records(of) as kept:
        soon, late = (dt.datetime.now(dt.UTC) + dt.timedelta(hours=n) for n in (5.9, 6.1))
        assert not kept.is_due("news", "u1", soon) and kept.is_due("news", "u1", late)


def test_pages_of_a_source_that_answers_nothing_well_do_not_wait_for_a_key_to_be_corrected(
    world, tmp_path, monkeypatch
) -> None:
    of = job(tmp_path)
    world.answer = lambda _request: Sent(401, b"", JSON)
    use(monkeypatch, numbered(lambda: world.url, 2))
    assert collect(of).startswith("news 0 new documents, 2 pages failed (unfit: http://127.0.0.1")
    world.answer = served
    assert collect(of) == "news 18 new documents"


def test_a_failing_unit_is_left_alone_for_longer_each_time(tmp_path) -> None:
    now = dt.datetime(2024, 3, 1, tzinfo=dt.UTC)
    with UnitRecords(tmp_path, tmp_path) as kept:
        waits = []
        for _ in range(8):
            kept.fail("news", "u", now, "broken", 6.0)
            waits.append(next(h for h in range(1, 200) if kept.is_due("news", "u", now + dt.timedelta(hours=h))))
    assert waits == [6, 12, 24, 48, 96, 168, 168, 168]


def test_documents_of_a_page_that_make_no_sense_are_remarked_and_the_rest_is_stored(
    world, tmp_path, monkeypatch, caplog
) -> None:
    of, source = job(tmp_path), numbered(lambda: world.url, 1)

    def read(page, reply, context):
        harvest = source.read(page, reply, context)
        documents = list(harvest.documents)
        bad = [
            dataclasses.replace(documents[0], source="other"),
        ]
        return Harvest([*bad, *documents], remarks=["a row is short"])

    caplog.set_level("INFO")
    use(monkeypatch, dataclasses.replace(source, read=read))
    assert collect(of) == "news 3 new documents, 2 remarks in the log"
    for words in ("a row is short", "names other as its source"):
        assert words in caplog.text


def test_what_is_missing_is_said_and_the_others_go_on(world, tmp_path, monkeypatch) -> None:
    of = job(tmp_path)
    closed = numbered(lambda: world.url, name="reddit", missing=lambda _settings, _live: "set REDDIT_CLIENT_ID")
    broken = dataclasses.replace(numbered(lambda: world.url, name="gdelt"), pages=lambda _context: 1 / 0)
    use(monkeypatch, numbered(lambda: world.url, 1), closed, broken)
    said = collect(of)
    assert said.startswith("news 9 new documents; reddit not asked: set REDDIT_CLIENT_ID; gdelt not asked: ")
    assert "could not be planned (ZeroDivisionError" in said
    use(monkeypatch, closed)
    with pytest.raises(StageError, match="no source of research could be asked: reddit not asked: set REDDIT"):
        collect(of)


class Hours:
    """A clock that is a minute further each time it is read."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 60.0
        return self.now


def run(of, lanes: Lanes) -> str:
    with records(of) as kept:
        return Collecting(of, store(of), kept, lanes).run()


def test_without_a_network_it_ends_soon_and_nothing_is_held_against_a_page(tmp_path, monkeypatch) -> None:
    of = job(tmp_path)
    port = free_port()
    use(monkeypatch, numbered(lambda: f"http://127.0.0.1:{port}", 3))
    lanes = Lanes(of.research, of.live, NetworkWatch(Hours()))
    with pytest.raises(StageError, match=r"127\.0\.0\.1: the connection is refused.*src\.doctor research=news"):
        run(of, lanes)
    with records(of) as kept:
        assert all(kept.is_due("news", f"u{i}", dt.datetime.now(dt.UTC)) for i in range(3))


def test_a_source_that_never_answers_is_named_while_the_others_go_on(world, tmp_path, monkeypatch) -> None:
    of, port = job(tmp_path), free_port()
    use(
        monkeypatch,
        numbered(lambda: f"http://127.0.0.1:{port}", 3, name="gdelt"),
        numbered(lambda: world.url, 1),
    )
    said = run(of, Lanes(of.research, of.live, NetworkWatch(Hours())))
    assert said.startswith("gdelt never answered (") and "news 9 new" in said
    assert "`python -m src.doctor research=gdelt` looks at each host" in said


def test_each_host_of_feeds_has_a_gate_of_its_own(world, tmp_path, monkeypatch) -> None:
    of = job(tmp_path)
    source = numbered(lambda: world.url, 4, by_host=True)

    def pages(context):
        for i, page in enumerate(source.pages(context)):
            there = page.url.replace("127.0.0.1", "localhost") if i % 2 else page.url
            yield dataclasses.replace(page, url=there)

    use(monkeypatch, dataclasses.replace(source, pages=pages))
    lanes = Lanes(of.research, of.live)
    assert run(of, lanes) == "news 36 new documents"
    assert lanes.gates.keys() == {"news 127.0.0.1", "news localhost"}
    assert sum(gate.counts.requests for gate in lanes.gates.values()) == 12


def test_a_source_is_never_asked_faster_than_its_rate(world, tmp_path, monkeypatch) -> None:
    of = job(tmp_path)
    use(monkeypatch, dataclasses.replace(numbered(lambda: world.url, 20), rate=100.0))
    collect(of)
    arrivals = world.watch.visits["site"].arrivals
    assert len(arrivals) == 60 and arrivals[-1] - arrivals[0] > 0.8 * 59 / 100


def test_a_run_that_is_interrupted_keeps_what_was_read_and_what_follows(world, tmp_path, monkeypatch) -> None:
    of, source, reads = job(tmp_path, workers=1), numbered(lambda: world.url, 5), []

    def read(page, reply, context):
        reads.append(page.unit)
        if len(reads) == 4:
            raise KeyboardInterrupt
        return source.read(page, reply, context)

    use(monkeypatch, dataclasses.replace(source, read=read))
    with pytest.raises(KeyboardInterrupt):
        collect(of)
    kept = set(reads[:3])
    assert {each.partition("/")[0] for each in stored(of)["id"]} == kept
    with records(of) as left:
        assert {page.unit for page in left.following("news")} == {f"{each}-{i}" for each in kept for i in (0, 1)}
    use(monkeypatch, source)
    before = len(world.paths)
    assert collect(of) == f"news {45 - 9} new documents"
    assert not {f"/{each}" for each in kept} & set(world.paths[before:])
    assert sorted(stored(of)["id"]) == expected(5)


def test_a_run_whose_time_is_over_leaves_the_rest_to_the_next(world, tmp_path, monkeypatch) -> None:
    of = job(tmp_path, workers=1)
    use(monkeypatch, numbered(lambda: world.url, 5))
    short = dataclasses.replace(of, research=dataclasses.replace(of.research, minutes=1e-9))
    said = collect(short)
    assert re.fullmatch(
        r"news 3 new documents, \d+ pages left for the next run; ended after research.minutes=1e-09", said
    )
    assert collect(of) == f"news {45 - 3} new documents"
    assert sorted(stored(of)["id"]) == expected(5)


def test_no_unit_is_recorded_before_its_documents_are_durable(world, tmp_path, monkeypatch) -> None:
    of = job(tmp_path)
    use(monkeypatch, numbered(lambda: world.url))

    def fails(_store, _documents, _asks=()):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(DocumentStore, "append", fails)
        with pytest.raises(OSError, match="No space"):
            collect(of)
    assert collect(of) == "news 45 new documents"


def test_a_full_disk_ends_the_run_before_and_after_a_batch(world, tmp_path, monkeypatch) -> None:
    of = job(tmp_path)
    use(monkeypatch, numbered(lambda: world.url))
    monkeypatch.setattr("src.runtime.disk_space.free_bytes", lambda _path: 10)
    with pytest.raises(DiskError, match="collecting documents needs"):
        collect(of)
    assert world.paths == []
    monkeypatch.setattr(collection.disk_space, "require", lambda *_wanted: None)
    collect(of)
    assert stored(of).height == 45


def test_documents_that_were_lost_are_asked_for_again(world, tmp_path, monkeypatch, caplog) -> None:
    of = job(tmp_path)
    use(monkeypatch, numbered(lambda: world.url))
    collect(of)
    for path in of.paths.documents.rglob("*.parquet"):
        path.unlink()
    assert collect(of) == "news 45 new documents" and "all its units are asked again" in caplog.text
    assert collect(of) == "news nothing due"


def test_a_lost_or_damaged_record_costs_requests_alone(world, tmp_path, monkeypatch, caplog) -> None:
    of = job(tmp_path)
    use(monkeypatch, numbered(lambda: world.url))
    collect(of)
    digest = store(of).digest()
    with records(of) as kept:
        path = kept.path
    path.write_bytes(b"no database at all" * 500)
    assert collect(of) == "news 0 new documents" and len(world.paths) == 30
    assert store(of).digest() == digest and path.with_suffix(".damaged").exists()
    assert "can't be read" in caplog.text


def test_files_are_read_without_a_network(tmp_path, monkeypatch) -> None:
    of = job(tmp_path)

    class Files:
        def fetch(self, page):
            if page.unit == "u1":
                raise Unavailable("u1 is open in another program")
            children = 0 if "-" in page.unit else 1
            return Reply(body(page.unit, children=children), dt.datetime(2024, 3, 1, tzinfo=dt.UTC))

        def close(self):
            closed.append(True)

    closed = []
    source = numbered(lambda: "", 3, name="own", offline=True, connect=lambda _settings, _live, _gate: Files())
    use(monkeypatch, source)
    assert collect(of) == "own 12 new documents, 1 page failed (unavailable: u1 is open in another program)" and closed


def test_a_key_in_an_address_or_a_header_is_in_no_file(world, tmp_path, monkeypatch) -> None:
    of, source = job(tmp_path), numbered(lambda: world.url, 2)

    def read(page, reply, context):
        harvest = source.read(page, reply, context)
        pages = [dataclasses.replace(each, url=f"{each.url}?api_key=T0psecret1") for each in harvest.pages]
        return dataclasses.replace(harvest, pages=pages)

    use(monkeypatch, dataclasses.replace(source, read=read))
    assert collect(of) == "news 18 new documents"
    assert all(b"T0psecret1" not in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    with records(of) as kept:
        assert kept.is_due("news", "u0", dt.datetime.now(dt.UTC)), "it has to name the pages that follow again"
    assert is_secret(source_run.Page("news", "u", "http://h/", headers={"Authorization": "Bearer T0psecret1aB"}))


def test_the_record_of_another_folder_of_documents_is_another(tmp_path) -> None:
    now = dt.datetime(2024, 3, 1, tzinfo=dt.UTC)
    with UnitRecords(tmp_path, tmp_path / "a") as one, UnitRecords(tmp_path, tmp_path / "b") as other:
        one.fail("news", "u", now, "broken", 6.0)
        assert not one.is_due("news", "u", now) and other.is_due("news", "u", now)
        with closing(sqlite3.connect(one.path)) as database:
            assert database.execute("SELECT reason FROM units").fetchall() == [("broken",)]
