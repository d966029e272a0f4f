"""The verb search: what it prints, and what it says where there is nothing to print."""

import datetime as dt
import json

import pytest

from src.core.errors import StageError
from src.documents.document import Document
from src.documents.document_store import DocumentStore
from src.search import search

DAY = dt.datetime(2024, 3, 1, tzinfo=dt.UTC)


def document(name, days, body, source="news", kind="article", **more):
    return Document(source, name, kind, DAY + dt.timedelta(days=days), body, "s", **more)


@pytest.fixture
def folder(tmp_path):
    store = DocumentStore(tmp_path / "documents")
    tickers = {"fields": ["cik", "name", "ticker", "exchange"], "data": [[7, "Brown Inc.", "BF-B", "NYSE"]]}
    odd = "Plunge\n\x1b[31m\u202e"
    store.append([
        document("one", 0, b"Shares plunge after accounting probe", title=odd, entity="stock:BF.B"),
        document("two", 1, b"<p>No probe of the accounting</p>", "edgar", "8-K", title="8-K", entity="CIK:0000000007"),
        document("three", 2, b"A probe reaches Mars", entity="stock:MARS"),
        document("company_tickers_exchange", 3, json.dumps(tickers).encode(), "edgar", "tickers"),
    ])  # fmt: skip
    store.seal()
    return tmp_path


def run(folder, *words):
    return search([*words, f"data.root={folder.as_posix()}/data", f"folder={folder.as_posix()}/documents"])


def lines(folder, capsys, *words):
    assert run(folder, *words) == 0
    printed = capsys.readouterr()
    return printed.out.splitlines(), printed.err.splitlines()[-1]


def test_each_hit_is_one_line_and_a_stranger_s_title_moves_no_cursor(folder, capsys):
    shown, count = lines(folder, capsys, "accounting probe")
    assert shown == [
        "2024-03-02  edgar  8-K  CIK:0000000007  8-K  No probe of the accounting",
        r"2024-03-01  news  article  stock:BF.B  Plunge\n\x1b[31m\u202e  Shares plunge after accounting probe",
    ]
    assert count == "search: 2 documents, newest first"


def test_hits_are_narrowed_and_counted(folder, capsys):
    assert len(lines(folder, capsys, "probe", "symbol=BF.B")[0]) == 2
    assert len(lines(folder, capsys, "probe", "symbol=stock:MARS")[0]) == 1
    assert lines(folder, capsys, "probe", "symbol=crypto:BF.B") == (
        [],
        "search: no document holds these words within these limits",
    )
    assert len(lines(folder, capsys, "probe", "source=edgar")[0]) == 1
    assert len(lines(folder, capsys, "probe", "-mars", "kind=article")[0]) == 1
    assert len(lines(folder, capsys, "probe", "since=2024-03-02", "until=2024-03-02")[0]) == 1
    shown, count = lines(folder, capsys, "probe", "limit=1")
    assert len(shown) == 1 and count == "search: 1 of 3 documents, newest first; limit=3 shows more"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "search: name a word to look for: python -m src.search "),
        (("-", '""', "-probe"), "search: name a word to look for: "),
        (("probe", "since=yesterday"), "search: since must be a day such as 2024-03-01, got yesterday"),
        (("probe", "limit=0"), "search: limit must be a whole number from 1 to 100000, got 0"),
        (("probe", "research.nothing=1"), "search: "),
    ],
)
def test_a_wrong_command_line_is_explained(folder, capsys, words, message):
    assert run(folder, *words) == 2
    assert message in capsys.readouterr().err


def test_an_empty_store_names_the_command_that_collects(tmp_path):
    with pytest.raises(StageError, match=r"no documents are stored in .*: `python -m src.ingest research=news"):
        run(tmp_path, "probe")


def test_help_shows_how_to_ask(capsys):
    assert search(["--help"]) == 0
    assert '"accounting probe" -dismissed' in capsys.readouterr().out
