"""The store of documents against a naive one, over histories of two machines whose folders are copied."""

import datetime as dt
import errno
import os
import shutil
import tempfile
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from src.core.errors import StageError
from src.documents import batches, document_store, folding, segments
from src.documents.document import Ask, Document
from src.documents.document_store import DocumentStore
from tests.documents.naive_store import NaiveStore, at

HOURS = st.integers(0, 24 * 45)
LAGS = {"news": 24.0, "edgar": 2.0, "default": 24.0}


def document(name="a", hour=10, body=b"A", source="news", **settings):
    return Document(
        source, name, settings.pop("kind", "article"), at(hour), body, settings.pop("stream", "s"), **settings
    )


@st.composite
def documents(draw):
    stamp = draw(st.none() | HOURS)
    return document(
        draw(st.sampled_from("xyz")),
        draw(HOURS),
        draw(st.sampled_from([b"1", b"2", b"3"])),
        draw(st.sampled_from(["news", "edgar"])),
        stream=draw(st.sampled_from("st")),
        kind=draw(st.sampled_from(["article", "8-K"])),
        **{draw(st.sampled_from(["published", "accepted"])): None if stamp is None else at(stamp)},
    )


@st.composite
def asks(draw):
    asked, before = draw(HOURS), draw(st.none() | st.integers(0, 400))
    since = None if before is None else at(asked - before)
    return Ask(draw(st.sampled_from(["news", "edgar"])), draw(st.sampled_from("st")), at(asked), since)


MACHINES = st.sampled_from([0, 1])
STEPS = st.one_of(
    st.tuples(st.just("append"), MACHINES, st.lists(documents(), max_size=4), st.lists(asks(), max_size=2)),
    st.tuples(st.just("append"), MACHINES, st.lists(documents(), max_size=4), st.lists(asks(), max_size=2)),
    st.tuples(st.sampled_from(["seal", "open", "copy"]), MACHINES),
)


def copy(source, target):
    if source.is_dir():
        shutil.copytree(source, target, dirs_exist_ok=True)


def rows(store, **narrowed):
    found = store.documents(**narrowed)
    bodies = store.bodies(found)
    assert bodies.select("source", "id", "revision").equals(found.select("source", "id", "revision"))
    found = found.with_columns(bodies["body"])
    return found.select("source", "id", "revision", "body", "first_seen", "known", "backfilled").rows()


class Machines:
    """Two folders, their stores, and a naive store for each."""

    def __init__(self, root):
        self.roots = [root / "one", root / "two"]
        self.naive = [NaiveStore(), NaiveStore()]
        self.stores = [DocumentStore(each) for each in self.roots]

    def step(self, what, machine, *batch):
        if what == "append":
            found = self.stores[machine].append(*batch)
            assert (found.new, found.revised, found.same) == self.naive[machine].append(*batch)
        elif what == "seal":
            self.stores[machine].seal()
        elif what == "copy":
            copy(self.roots[1 - machine], self.roots[machine])
            self.naive[machine].join(self.naive[1 - machine])
        if what in ("copy", "open"):
            self.stores[machine] = DocumentStore(self.roots[machine])

    def check(self, machine):
        store, naive = self.stores[machine], self.naive[machine]
        expected = naive.rows(segments.body_hash)
        assert rows(store) == expected
        for source in ("news", "edgar"):
            assert store.coverage(source).rows() == naive.coverage(source)
            assert store.ids(source) == {row[1] for row in expected if row[0] == source}


@settings(max_examples=12)
@given(st.lists(STEPS, max_size=12))
def test_any_history_of_two_machines_reads_as_the_naive_store_does(steps):
    with tempfile.TemporaryDirectory() as folder:
        machines = Machines(Path(folder))
        for step in steps:
            machines.step(*step)
        for machine in (0, 1):
            machines.check(machine)
            machines.step("seal", machine)
            machines.check(machine)
        for step in (("copy", 0), ("copy", 1), ("seal", 0), ("open", 1)):
            machines.step(*step)
        one, two = machines.stores
        assert rows(one) == rows(two) == machines.naive[0].rows(segments.body_hash)
        assert one.digest() == two.digest() and one.digest("news") == two.digest("news")
        assert one.coverage("news").equals(two.coverage("news"))


def test_history_is_known_at_its_stamp_plus_the_lag_of_its_source_and_news_when_it_is_seen(tmp_path):
    store = DocumentStore(tmp_path, LAGS)
    store.append(
        [
            document("old", 100, published=at(10)),
            document("old", 100, source="edgar", published=at(40), accepted=at(10)),
            document("undated", 100),
            document("late", 100, published=at(90)),  # its lag ends after it was seen
        ],
        [Ask("news", "s", at(100)), Ask("edgar", "s", at(100))],
    )
    store.append([document("new", 130, published=at(101)), document("missed", 130, published=at(20))])
    found = {(source, name): (known, stands) for source, name, known, stands in store.documents().select(
        "source", "id", "known", "backfilled").rows()}  # fmt: skip
    assert found == {
        ("news", "old"): (at(34), True),
        ("edgar", "old"): (at(12), True),
        ("news", "undated"): (at(100), False),
        ("news", "late"): (at(100), False),
        ("news", "new"): (at(130), False),
        ("news", "missed"): (at(44), True),
    }
    assert store.lag("edgar") == dt.timedelta(hours=2) and store.lag("gdelt") == dt.timedelta(hours=24)


def test_nothing_is_known_before_its_archive_had_it_where_this_machines_clock_is_slow(tmp_path):
    store = DocumentStore(tmp_path)
    store.append([], [Ask("news", "s", at(1))])
    store.append([document("slow", 100, accepted=at(125)), document("stamp", 100, accepted=at(90_000))])
    assert dict(store.documents().select("id", "known").rows()) == {"slow": at(125), "stamp": at(100)}


def test_a_stream_that_is_first_asked_later_is_watched_from_then_on(tmp_path):
    store = DocumentStore(tmp_path)
    store.append([], [Ask("news", "s", at(100))])
    store.append([], [Ask("news", "t", at(120))])
    store.append([document("before", 200, stream="t", published=at(110))])
    store.append([document("after", 200, stream="t", published=at(130))])
    assert store.documents().select("id", "known").rows() == [("before", at(134)), ("after", at(200))]
    assert DocumentStore(tmp_path).coverage("news")["stream"].to_list() == ["s", "t"]


def test_a_revision_is_never_history_even_where_another_machine_took_it_for_history(tmp_path):
    one, two = DocumentStore(tmp_path / "one"), DocumentStore(tmp_path / "two")
    one.append([document("a", 100, b"first", published=at(10))], [Ask("news", "s", at(100))])
    two.append([document("a", 200, b"second", published=at(10))], [Ask("news", "s", at(200))])
    one.seal(), two.seal()
    copy(tmp_path / "two", tmp_path / "one")
    found = one.documents().select("revision", "first_seen", "known", "backfilled").rows()
    assert found == [(0, at(100), at(34), True), (1, at(200), at(200), False)]


def test_what_a_watching_machine_saw_is_no_history_although_another_took_it_for_history(tmp_path):
    """The other one's first look came later, and would have it known before anyone had it."""
    one, two = DocumentStore(tmp_path / "one"), DocumentStore(tmp_path / "two")
    one.append([document("a", 100, published=at(20))], [Ask("news", "s", at(10))])
    two.append([document("a", 200, published=at(20))], [Ask("news", "s", at(200))])
    assert two.documents()["known"].to_list() == [at(44)]
    one.seal(), two.seal()
    copy(tmp_path / "one", tmp_path / "two")
    assert two.documents().select("first_seen", "known", "backfilled").rows() == [(at(100), at(100), False)]


def test_what_is_asked_for_is_narrowed_by_source_kind_time_and_first_content(tmp_path):
    store = DocumentStore(tmp_path)
    store.append(
        [document("a", 1), document("a", 5, b"B"), document("b", 3, kind="post"), document("a", 2, source="own")]
    )
    narrow = lambda **words: [(row[0], row[1], row[2]) for row in rows(store, **words)]  # noqa: E731 - one line
    assert narrow() == [("news", "a", 0), ("own", "a", 0), ("news", "b", 0), ("news", "a", 1)]
    assert narrow(source="own") == [("own", "a", 0)] and narrow(source="gdelt") == []
    assert narrow(kinds=["post"]) == [("news", "b", 0)] and narrow(kinds=[]) == []
    assert narrow(until=at(3)) == [("news", "a", 0), ("own", "a", 0), ("news", "b", 0)]
    assert narrow(revisions=False) == [("news", "a", 0), ("own", "a", 0), ("news", "b", 0)]
    assert store.ids("news", "post") == {"b"} and store.ids("news") == {"a", "b"}
    assert store.contains("own", "a") and not store.contains("own", "b")


def test_bodies_come_in_the_order_of_the_rows_and_parts_are_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(segments, "_GROUP_ROWS", 3)
    store = DocumentStore(tmp_path)
    store.append([document(f"d{i}", i, b"x" * i) for i in range(20)])
    store.seal()
    found = store.documents()[[7, 3, 3, 19, 0]]
    assert store.bodies(found)["body"].to_list() == [b"x" * int(name[1:]) for name in found["id"]]
    parts = list(store.parts(store.documents().select("source", "id", "revision", "title"), most=40))
    assert all(part["body"].bin.size().sum() <= 40 for part in parts) and len(parts) > 3
    together = pl.concat(parts)
    assert sorted(together["id"]) == sorted(store.ids("news")) and together.columns[-2:] == ["title", "body"]
    assert all(len(body) == int(name[1:]) for name, body in together.select("id", "body").rows())
    with pytest.raises(StageError, match=r"news: 'd3', revision 7, is not stored"):
        store.bodies(found.with_columns(revision=pl.Series([0, 7, 0, 0, 0], dtype=pl.Int32)))


def test_a_large_log_is_sealed_in_pieces_while_the_run_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(segments, "PIECE", 1000)
    monkeypatch.setattr(document_store, "_LOG_FILES", 5)
    store = DocumentStore(tmp_path)
    for i in range(16):
        store.append([document(f"{i}-{k}", i, bytes(70)) for k in range(3)])
        assert len(segments.log_files(tmp_path)) <= 5
    assert len(rows(store)) == 48
    store.seal()
    sizes = [segments.read_columns(path, ["size"])["size"].sum() for path in segments.segments(tmp_path, "news")]
    assert sum(sizes) == 16 * 210 and max(sizes) <= 1210
    assert len(rows(DocumentStore(tmp_path))) == 48


def test_strangers_texts_are_stored_whatever_characters_they_have(tmp_path):
    store = DocumentStore(tmp_path)
    odd = "a\0b\ud800\u202e\n"
    fields = {"x": float("nan"), "y": [1, float("inf")], "z": "\ud800", "when": dt.date(2024, 1, 2)}
    for _ in range(2):
        store.append([document(odd, title=odd, url=odd, entity=odd, fields=fields)])
    store.seal()
    found = DocumentStore(tmp_path).documents()
    assert found["id"].to_list() == ["a\0b?\u202e\n"] and store.contains("news", "a\0b?\u202e\n")
    assert found["fields"].to_list() == ['{"when":"2024-01-02","x":null,"y":[1,null],"z":"?"}']


def test_a_document_needs_an_id_a_zone_and_a_source_that_can_be_a_folder(tmp_path):
    with pytest.raises(ValueError, match="published of news 'a' must have a time zone"):
        document(published=dt.datetime(2024, 1, 1))
    with pytest.raises(ValueError, match="must have an id"):
        document("")
    for name in ("log", "../news", "", "News"):
        with pytest.raises(ValueError, match="a source's name must be"):
            DocumentStore(tmp_path).append([document(source=name)])
    assert not any(tmp_path.iterdir())


def test_other_files_in_the_folder_are_ignored(tmp_path):
    store = DocumentStore(tmp_path)
    store.append([document()], [Ask("news", "s", at(1))])
    store.seal()
    before = store.documents()
    month = segments.segments(tmp_path, "news")[0].parent
    for place in (tmp_path, tmp_path / "news", month, tmp_path / "news" / "asks", tmp_path / "log"):
        for name in (".DS_Store", "x.parquet", "0123456789abcdef01234567.parquet.part", "conflict (1).parquet"):
            (place / name).write_bytes(b"no parquet")
    (tmp_path / "Odd Folder").mkdir()
    store = DocumentStore(tmp_path)
    store.append([document("b")])
    store.seal()
    assert store.documents()["id"].to_list() == ["a", "b"] and before.height == 1
    assert store.coverage("news").height == 1


@pytest.mark.parametrize("damage", ["cut", "empty", "flipped"])
def test_a_damaged_segment_is_named_with_the_remedy_and_the_others_stay_readable(tmp_path, damage):
    store = DocumentStore(tmp_path)
    store.append([document("a", 10, os.urandom(5000)), document("b", 24 * 40, b"B"), document("o", source="own")])
    store.seal()
    bad, good = segments.segments(tmp_path, "news")
    content = bytearray(bad.read_bytes())
    if damage == "flipped":
        content[2000] ^= 1
    bad.write_bytes({"cut": content[:-20], "empty": b"", "flipped": bytes(content)}[damage])
    store = DocumentStore(tmp_path)
    message = rf"{bad.name} can't be read \(.*\): copy it again from the machine"
    if damage == "flipped":  # in a body: found when it is read
        found = store.documents("news")
        with pytest.raises(StageError, match=message):
            store.bodies(found)
        assert store.bodies(found.filter(pl.col("id") == "b"))["body"].to_list() == [b"B"]
        return
    for read in (store.documents, lambda: store.documents("news"), store.digest):
        with pytest.raises(StageError, match=message):
            read()
    with pytest.raises(StageError, match=message):
        store.bodies(pl.DataFrame({"source": "news", "id": "a", "revision": 0}))
    assert store.documents("own")["id"].to_list() == ["o"]
    assert store.documents("news", skip_damaged=True)["id"].to_list() == ["b"]
    assert store.ids("news") == {"b"} and good.is_file()
    bad.unlink()
    assert store.documents("news")["id"].to_list() == ["b"]


def test_a_damaged_batch_of_the_log_is_named_and_stays_there(tmp_path):
    store = DocumentStore(tmp_path)
    store.append([document("a")])
    (bad,) = segments.log_files(tmp_path)
    store.append([document("b")])
    bad.write_bytes(b"PAR1")
    store = DocumentStore(tmp_path)
    with pytest.raises(StageError, match=bad.name):
        store.append([document("c")])
    with pytest.raises(StageError, match=bad.name):
        store.documents()
    store.seal()
    assert segments.log_files(tmp_path) == [bad]
    assert store.documents(skip_damaged=True)["id"].to_list() == ["b"]


def test_a_full_disk_while_sealing_loses_nothing(tmp_path, monkeypatch):
    store = DocumentStore(tmp_path)
    for source in ("edgar", "news", "own"):
        store.append([document(f"d{i}", 24 * 20 * i, source=source) for i in range(4)], [Ask(source, "s", at(1))])
    before = rows(store)
    written, real = [], segments._write

    def full(table, path):
        if len(written) == 4:
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(path)
        real(table, path)

    monkeypatch.setattr(segments, "_write", full)
    with pytest.raises(OSError, match="No space left"):
        store.seal()
    assert rows(store) == before == rows(DocumentStore(tmp_path))
    monkeypatch.setattr(segments, "_write", real)
    store.seal()
    assert rows(store) == before and not segments.log_files(tmp_path)
    assert sum(segments.read_columns(path, ["id"]).height for path in tmp_path.glob("*/????-??/*.parquet")) == 12


class Killed(BaseException):
    pass


def killed_at(monkeypatch, moment):
    """Let no operation on files happen from the n-th on."""
    left = [moment]

    def dying(real):
        def call(*arguments, **words):
            left[0] -= 1
            if left[0] < 0:
                raise Killed
            return real(*arguments, **words)

        return call

    for name in ("replace", "unlink", "mkdir", "rmdir"):
        monkeypatch.setattr(os, name, dying(getattr(os, name)))
    monkeypatch.setattr(shutil, "rmtree", lambda *_a, **_w: None)
    return left


BATCHES = [
    ([document("a", 1), document("b", 24 * 40, source="own")], [Ask("news", "s", at(1))]),
    ([document("a", 2, b"B"), document("c", 24 * 50)], [Ask("own", "s", at(3)), Ask("news", "s", at(4))]),
]


def run(store, acknowledged):
    for batch in BATCHES:
        store.append(*batch)
        acknowledged.append(batch)
    store.seal()


def test_a_kill_between_any_two_operations_on_files_loses_and_doubles_nothing(tmp_path, monkeypatch):
    naive = NaiveStore()
    for batch in BATCHES:
        naive.append(*batch)
    expected = naive.rows(segments.body_hash)
    moment, ended = 0, False
    while not ended:
        root = tmp_path / str(moment)
        acknowledged = []
        with monkeypatch.context() as patch:
            left = killed_at(patch, moment)
            try:
                run(DocumentStore(root), acknowledged)
                ended = True
            except Killed:
                assert left[0] < 0
        before = NaiveStore()
        for batch in acknowledged:
            before.append(*batch)
        found = {row[:4] for row in rows(DocumentStore(root))}
        assert found >= {row[:4] for row in before.rows(segments.body_hash)}
        store = DocumentStore(root)
        run(store, [])
        assert rows(store) == expected, moment
        assert store.coverage("news").rows() == naive.coverage("news")
        assert sum(segments.read_columns(path, ["id"]).height for path in root.glob("*/????-??/*.parquet")) == 4
        assert not segments.log_files(root)
        moment += 1
    assert moment > 20


def runs(root, count):
    for i in range(count):
        store = DocumentStore(root)
        store.append([document(f"d{i % 5}", 24 * 9 * i, b"%d" % i)], [Ask("news", "s", at(24 * 11 * i))])
        store.seal()


def test_small_segments_of_many_runs_are_united_and_read_the_same(tmp_path, monkeypatch):
    runs(tmp_path / "apart", 12)
    monkeypatch.setattr(folding, "FEW", 1)
    monkeypatch.setattr(folding, "MANY", 3)
    runs(tmp_path / "united", 12)
    apart, united = DocumentStore(tmp_path / "apart"), DocumentStore(tmp_path / "united")
    assert rows(united) == rows(apart) and united.digest() == apart.digest()
    assert united.coverage("news").equals(apart.coverage("news")) and apart.coverage("news").height == 12
    files = segments.segments(tmp_path / "united", "news")
    assert len(files) <= 6 < len(segments.segments(tmp_path / "apart", "news"))
    assert sum(segments.read_columns(path, ["id"]).height for path in files) == 12
    assert len(segments.ask_files(tmp_path / "united", "news")) <= 4
    copy(tmp_path / "apart", tmp_path / "united")
    assert rows(DocumentStore(tmp_path / "united")) == rows(apart)


def test_a_folder_that_dvc_carries_is_only_added_to(tmp_path, monkeypatch):
    monkeypatch.setattr(folding, "FEW", 1)
    monkeypatch.setattr(folding, "MANY", 1)
    root, before = tmp_path / "documents", set()
    (tmp_path / "documents.dvc").write_text("outs: []", encoding="utf-8")
    for i in range(5):
        store = DocumentStore(root)
        store.append([document(f"d{i}", 24 * 40 * i)], [Ask("news", "s", at(24 * 40 * i))])
        store.seal()
        files = {path for path in root.rglob("*.parquet")}
        assert before < files
        before = files
    (tmp_path / "documents.dvc").unlink()
    store.append([document("last", 24 * 220)])
    store.seal()
    assert not before <= set(root.rglob("*.parquet"))


def test_a_kill_while_segments_are_united_loses_nothing(tmp_path, monkeypatch):
    runs(tmp_path / "whole", 4)
    expected = rows(DocumentStore(tmp_path / "whole"))
    monkeypatch.setattr(folding, "FEW", 0)
    monkeypatch.setattr(folding, "MANY", 1)
    moment, ended = 0, False
    while not ended:
        root = tmp_path / str(moment)
        copy(tmp_path / "whole", root)
        with monkeypatch.context() as patch:
            killed_at(patch, moment)
            try:
                folding.fold(DocumentStore(root)._catalogue, "news")
                ended = True
            except Killed:
                pass
        assert rows(DocumentStore(root)) == expected
        moment += 1
    assert moment > 5


def test_a_damaged_body_is_not_carried_into_a_united_segment(tmp_path, monkeypatch):
    runs(tmp_path, 4)
    monkeypatch.setattr(folding, "FEW", 0)
    files = segments.segments(tmp_path, "news")
    with monkeypatch.context() as patch:
        patch.setattr(segments, "body_hash", lambda _body: "damaged")
        folding.fold(DocumentStore(tmp_path)._catalogue, "news")
    assert segments.segments(tmp_path, "news") == files


def test_a_reader_goes_on_while_another_process_seals(tmp_path, monkeypatch):
    writer, reader = DocumentStore(tmp_path), DocumentStore(tmp_path)
    writer.append([document("a"), document("b", 5, b"B")])
    real, sealed = segments.read_columns, []

    def read(path, columns):
        if "title" in columns and not sealed:
            sealed.append(True)
            writer.seal()
        return real(path, columns)

    monkeypatch.setattr(segments, "read_columns", read)
    assert reader.documents()["id"].to_list() == ["b", "a"]
    assert reader.bodies(reader.documents())["body"].to_list() == [b"B", b"A"]


def test_two_processes_seal_the_same_log_without_losing_a_row(tmp_path, monkeypatch):
    one, two = DocumentStore(tmp_path), DocumentStore(tmp_path)
    one.append([document("a")])
    two.append([document("b"), document("a")])  # has not seen the other's
    real, begun = segments.read_columns, []

    def read(path, columns):
        if "body" in columns and not begun:
            begun.append(True)
            two.seal()
        return real(path, columns)

    monkeypatch.setattr(segments, "read_columns", read)
    one.seal()
    assert sorted(row[1] for row in rows(DocumentStore(tmp_path))) == ["a", "b"]
    assert not segments.log_files(tmp_path)


def test_a_batch_that_brings_nothing_writes_nothing(tmp_path):
    store = DocumentStore(tmp_path)
    assert store.append([]) == batches.Appended()
    store.append([document()])
    files = segments.log_files(tmp_path)
    assert store.append([document(hour=20)]) == batches.Appended(same=1)
    assert segments.log_files(tmp_path) == files
    store.seal()
    store.seal()
    assert store.documents().height == 1
