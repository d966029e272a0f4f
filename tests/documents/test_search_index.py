"""The index of search against a naive search of the same documents, over its updates, losses and kills."""

import dataclasses
import datetime as dt
import re
import shutil
import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from src.core.errors import StageError
from src.documents import search_index, segments
from src.documents.document import Ask, Document
from src.documents.document_store import DocumentStore
from src.documents.search_index import SearchIndex
from src.documents.search_query import Query, words
from src.documents.search_text import searchable_text
from tests.documents.naive_store import at

TEXTS = [
    b"Shares plunge after accounting probe",
    b"Accounting rules; a probe of Mars",
    "Caf\u00e9 chain: net income AND revenue rose".encode(),
    b"probe",
]

EMPTY = sqlite3.connect(":memory:")
EMPTY.execute("CREATE VIRTUAL TABLE words USING fts5 (title, text, content='')")


def document(name, hour, body, source="news", kind="article", **more):
    return Document(source, name, kind, at(hour), body, "s", title=f"title of {name}", **more)


@pytest.fixture
def store(tmp_path):
    store = DocumentStore(tmp_path / "documents")
    store.append([document(f"d{i}", i, body, entity=f"stock:S{i % 2}") for i, body in enumerate(TEXTS)])
    return store


@pytest.fixture
def index(tmp_path, store):
    return SearchIndex(tmp_path / "state", store.root)


def found(index, text, **narrowed):
    index.update()
    return [hit.id for hit in index.find(Query(words(text), **narrowed)).hits]


def test_words_phrases_and_refused_words_find_what_they_say_newest_first(index):
    assert found(index, "accounting probe") == ["d1", "d0"]
    assert found(index, '"accounting probe"') == ["d0"]
    assert found(index, "probe -accounting") == ["d3"]
    assert found(index, 'probe -"of mars" -plunge') == ["d3"]
    assert found(index, "cafe income") == ["d2"]
    assert found(index, "title d1") == ["d1"]
    assert found(index, "nothing such") == []


ODD = (
    """" probe" probe_AND NOT_probe probe_OR_( probe* text:probe ^probe NEAR(probe probe_- -" a"b {probe} probe_+_x"""
    " ';DROP"
)


@pytest.mark.parametrize("text", [each.replace("_", " ") for each in ODD.split()])
def test_no_sign_is_taken_for_an_operator(index, text):
    asked = words(text)
    if asked.wanted:
        for hit in found(index, text):
            body = TEXTS[int(hit[1:])].decode().lower()
            assert all(re.search(r"\W+".join(phrase).lower(), body) for phrase in asked.wanted)


@given(st.text())
def test_any_text_is_a_query_of_words(text):
    asked = words(text)
    if asked.wanted:
        EMPTY.execute("SELECT rowid FROM words WHERE words MATCH ?", (asked.query,)).fetchall()
    asked.snippet(text)


def test_a_query_is_narrowed_by_source_kind_entity_and_days(index, store):
    store.append([document("f", 50, b"probe", source="edgar", kind="8-K")])
    assert found(index, "probe", source="edgar") == ["f"] == found(index, "probe", kind="8-K")
    assert found(index, "probe", entities=("stock:S0", "CIK:1")) == ["d0"]
    assert found(index, "probe", since=at(3)) == ["f", "d3"]
    assert found(index, "probe", until=at(3)) == ["d1", "d0"]
    assert found(index, "probe", limit=2) == ["f", "d3"]
    assert index.find(Query(words("probe"), limit=2)).total == 4


def test_an_update_reads_new_files_alone_and_sealing_indexes_nothing_twice(index, store, monkeypatch):
    assert index.update() == 4
    read = []
    monkeypatch.setattr(search_index, "searchable_text", lambda *words: read.append(words) or searchable_text(*words))
    store.append([document("n", 60, b"one more probe")])
    store.seal()
    assert index.update() == 5 and [name for _, name, _ in read] == ["n"]
    assert found(index, "probe") == ["n", "d3", "d1", "d0"]


def test_revisions_and_known_times_are_those_of_the_store_after_a_join(index, store, tmp_path):
    index.update()
    other = DocumentStore(tmp_path / "other")
    other.append(
        [document("d3", 1, b"other probe", published=at(0)), document("d0", 90, TEXTS[0])], [Ask("news", "s", at(1))]
    )
    other.seal()
    shutil.copytree(tmp_path / "other", store.root, dirs_exist_ok=True)
    store.append([document("d3", 99, b"third probe")])
    for _ in range(2):
        index.update()
        expected = DocumentStore(store.root).documents().select("id", "revision", "known").sort("id", "revision").rows()
        with sqlite3.connect(index.path) as database:
            rows = database.execute("SELECT id, revision, known FROM documents ORDER BY id, revision").fetchall()
        begin = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
        assert [(id, n, begin + dt.timedelta(microseconds=known)) for id, n, known in rows] == expected
        store.seal()
    hits = index.find(Query(words("probe"))).hits
    assert [(hit.id, hit.revision) for hit in hits[:2]] == [("d3", 2), ("d3", 1)]
    assert all("probe" in hit.snippet for hit in hits)


@pytest.mark.parametrize("loss", ["missing", "no database", "cut", "older", "documents gone"])
def test_a_lost_index_is_made_again(index, store, loss):
    store.seal()
    assert found(index, "probe") == ["d3", "d1", "d0"]
    content = index.path.read_bytes()
    if loss == "missing":
        index.remove()
    elif loss == "no database":
        index.path.write_bytes(b"not a database, and longer than its head" * 50)
    elif loss == "cut":
        index.path.write_bytes(content[: len(content) // 2])
    elif loss == "older":
        with sqlite3.connect(index.path) as database:
            database.execute("PRAGMA user_version = 99")
    else:
        (path,) = segments.segments(store.root, "news")
        path.unlink()
        store = DocumentStore(store.root)
        store.append([document("d3", 5, b"probe")])
        assert found(index, "probe") == ["d3"]
        return
    assert found(index, "probe") == ["d3", "d1", "d0"]


def test_a_kill_while_the_index_is_made_loses_and_doubles_nothing(index, store, monkeypatch):
    store.seal()
    monkeypatch.setattr(search_index, "_ROWS", 1)
    for moment in range(6):
        index.remove()
        calls = []

        def dying(*arguments, calls=calls, moment=moment):
            calls.append(arguments)
            if len(calls) > moment:
                raise KeyboardInterrupt
            return searchable_text(*arguments)

        with monkeypatch.context() as patch:
            patch.setattr(search_index, "searchable_text", dying)
            if moment < 4:
                with pytest.raises(KeyboardInterrupt):
                    index.update()
        assert found(index, "probe") == ["d3", "d1", "d0"]
        assert index.find(Query(words("probe"))).total == 3


def test_a_damaged_segment_leaves_the_others_to_be_found_with_a_remark(index, store):
    store.append([document("later", 24 * 40, b"later probe")])
    store.seal()
    bad, _good = segments.segments(store.root, "news")
    whole = bad.read_bytes()
    bad.write_bytes(whole[:-9])
    assert found(index, "probe") == ["later"]
    assert bad.name in index.remarks[0] and "copy it again" in index.remarks[0]
    bad.write_bytes(whole)
    assert found(index, "probe") == ["later", "d3", "d1", "d0"] and not index.remarks


def test_a_segment_that_vanishes_while_it_is_read_is_found_where_it_went(index, store, monkeypatch):
    real, begun = segments.read_columns, []

    def read(path, columns):
        if not begun:
            begun.append(path)
            DocumentStore(store.root).seal()
        return real(path, columns)

    monkeypatch.setattr(segments, "read_columns", read)
    assert found(index, "probe") == ["d3", "d1", "d0"]


def test_a_folder_that_cannot_be_written_is_named(store, tmp_path):
    (tmp_path / "state").mkdir()
    index = SearchIndex(tmp_path / "state", store.root)
    index.path.mkdir()
    with pytest.raises(StageError, match=r"index of search .*search-.*\.db can't be written"):
        index.update()


def test_what_is_searched_of_a_filing_and_of_tables():
    form = b'<?xml version="1.0"?>\n<ownershipDocument><name>COOK TIMOTHY</name><code>P</code></ownershipDocument>'
    assert searchable_text("4", "form4.xml", form) == "COOK TIMOTHY P"
    assert searchable_text("8-K", "a.htm", b"<p>Item 2.02</p>") == "Item 2.02"
    assert searchable_text("article", "x", b"5 < 6 <p>") == "5 < 6 <p>"
    assert searchable_text("tickers", "x", b"AAPL") == "" == searchable_text("insider-set", "x", b"PK\x03\x04")
    assert searchable_text("10-K", "x", b"PK\x03\x04AAPL") == ""


def test_a_snippet_stands_around_the_first_words_that_are_found():
    text = "word " * 100 + "the accounting\n probe began " + "word " * 100
    shown = words('"accounting probe"').snippet(text, 60)
    assert re.fullmatch(r"\.\.\. (word )+the accounting probe began( word)+ \.\.\.", shown) and len(shown) <= 68
    assert words("absent").snippet("short\ttext") == "short text"
    assert dataclasses.asdict(words("")) == {"wanted": (), "refused": ()}
