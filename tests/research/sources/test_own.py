from __future__ import annotations

import datetime as dt
import json
import os
from pathlib import Path

import polars as pl
import pytest

from src.config.research_sections import FolderSection, ResearchConfig
from src.config.schema import LiveSource
from src.documents.document import DOCUMENTS, known_time
from src.fetching.provider import Unavailable
from src.research.links import COMPANIES, mentions
from src.research.source import Page, Reply
from src.research.sources import own
from src.research.sources.own import RESEARCH, FolderClient
from tests.documents.test_office_text import pdf, word
from tests.research.sources.feed_case import NOW, Crawl


class Gate:
    def enter(self) -> None: ...

    def answered(self) -> None: ...

    def refused(self, retry_after: float | None) -> None: ...


def crawl(folder: Path) -> Crawl:
    return Crawl(RESEARCH, ResearchConfig(own=FolderSection(enabled=True, path=str(folder))))


def look(crawl: Crawl, at: dt.datetime = NOW) -> Crawl:
    client = FolderClient(crawl.settings, LiveSource(), Gate())

    def serve(page: Page) -> Reply:
        reply = client.fetch(page)
        return Reply(reply.body, at, reply.headers, missing=reply.missing)

    return crawl.at(at).run(serve)


def test_each_kind_of_file_is_stored_as_it_is_with_what_it_states(tmp_path: Path) -> None:
    files = {
        "2024-03-01 $AAPL outlook.pdf": pdf("Margins widen"),
        "sub/note.docx": word("A thesis"),
        "view.md": b"---\ntitle: Rates\ndate: 2024-02-29\ntickers:\n  - TLT\n  - IEF\n---\n# Other\nFalling.",
        "page.html": b'<html><head><title>Jobs &amp; wages</title><meta property="article:published_time" '
        b'content="2024-03-08T13:30:00Z"></head><body><p>Up</p></body></html>',
        "plain.txt": "Caf\u00e9".encode("cp1252"),
    }
    for name, body in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(body)
    done = look(crawl(tmp_path))
    by_id = {each.id: each for each in done.documents}
    assert {name: each.body for name, each in by_id.items()} == files
    assert not done.remarks and not done.failed
    outlook, view, page = by_id["2024-03-01 $AAPL outlook.pdf"], by_id["view.md"], by_id["page.html"]
    assert outlook.published == dt.datetime(2024, 3, 2, 3, tzinfo=dt.UTC)  # 22:00 in New York
    assert (outlook.entity, outlook.kind, outlook.fields["symbols"]) == ("stock:AAPL", "file", ["AAPL"])
    assert (view.title, view.entity, view.fields["symbols"]) == ("Rates ($TLT $IEF)", "", ["TLT", "IEF"])
    assert view.published == dt.datetime(2024, 3, 1, 3, tzinfo=dt.UTC)
    assert (page.title, page.published) == ("Jobs & wages", dt.datetime(2024, 3, 8, 13, 30, tzinfo=dt.UTC))
    assert (by_id["plain.txt"].published, by_id["plain.txt"].title) == (None, "plain")


def test_the_class_of_a_symbol_is_that_of_the_universe(tmp_path: Path) -> None:
    (tmp_path / "$SPY.txt").write_text("Breadth", encoding="utf-8")
    (tmp_path / "coin.md").write_text("---\nsymbol: BTC-USD\n---\nHalving", encoding="utf-8")
    done = crawl(tmp_path)
    done.universe = [("etf", "SPY"), ("crypto", "BTC-USD")]
    assert sorted(each.entity for each in look(done).documents) == ["crypto:BTC-USD", "etf:SPY"]


def test_several_symbols_of_a_file_are_linked(tmp_path: Path) -> None:
    (tmp_path / "calls.csv").write_text('ticker,headline\n"MSFT, AAPL",Cut\n', encoding="utf-8")
    (document,) = look(crawl(tmp_path)).documents
    row = {"source": "own", "id": document.id, "revision": 0, "entity": "", "known": NOW}
    rows = pl.DataFrame([{**dict.fromkeys(DOCUMENTS), **row}], schema=DOCUMENTS)
    known = [(None, "stock", symbol, "", None, None) for symbol in ("AAPL", "MSFT", "TSLA")]
    found = mentions(rows, pl.Series([document.title]), pl.DataFrame(known, schema=COMPANIES, orient="row"))
    assert set(found.filter(pl.col("confidence") >= 0.7)["symbol"]) == {"AAPL", "MSFT"}


def known(done: Crawl, id: str) -> dt.datetime:
    document = next(each for each in done.documents if each.id == id)
    watched = min(ask.asked for ask in done.asks)
    stamp = document.accepted or document.published
    return known_time(stamp, document.seen, 0, watched, dt.timedelta(hours=24))[0]


def test_a_date_that_a_file_states_counts_at_the_first_look_alone(tmp_path: Path) -> None:
    (tmp_path / "2024-01-10 old.txt").write_text("Old", encoding="utf-8")
    done = look(crawl(tmp_path))
    assert known(done, "2024-01-10 old.txt") == dt.datetime(2024, 1, 12, 3, tzinfo=dt.UTC)
    later = tmp_path / "2024-01-11 late.txt"
    later.write_text("Put there in March, dated January", encoding="utf-8")
    os.utime(later, (0, 1_704_000_000))
    tomorrow = NOW + dt.timedelta(days=1)
    done = look(done, tomorrow)
    assert known(done, "2024-01-11 late.txt") == tomorrow
    assert known(done, "2024-01-10 old.txt") == dt.datetime(2024, 1, 12, 3, tzinfo=dt.UTC)


def test_a_machine_that_lost_its_state_or_is_another_one_takes_no_later_file_for_history(tmp_path: Path) -> None:
    (tmp_path / "2024-01-10 old.txt").write_text("Old", encoding="utf-8")
    done = look(crawl(tmp_path))
    done.units.clear()
    (tmp_path / "2024-01-11 late.txt").write_text("Put there later", encoding="utf-8")
    tomorrow = NOW + dt.timedelta(days=1)
    assert known(look(done, tomorrow), "2024-01-11 late.txt") == tomorrow


def test_the_time_of_a_file_is_no_date(tmp_path: Path) -> None:
    path = tmp_path / "undated.txt"
    path.write_text("Text", encoding="utf-8")
    os.utime(path, (1_500_000_000, 1_500_000_000))
    (document,) = look(crawl(tmp_path)).documents
    assert document.published is document.accepted is None


def test_an_unchanged_file_is_read_once_a_changed_one_is_a_revision_and_a_removed_one_stays(tmp_path: Path) -> None:
    path, other = tmp_path / "a.txt", tmp_path / "b.txt"
    path.write_text("First", encoding="utf-8")
    other.write_text("Other", encoding="utf-8")
    done = look(look(crawl(tmp_path)))
    assert len(done.documents) == 2
    path.write_text("Second", encoding="utf-8")
    other.unlink()
    assert look(done).contents() == {"a.txt": [b"First", b"Second"], "b.txt": [b"Other"]}


def test_files_that_can_not_be_used_are_counted_and_the_others_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own, "MOST_BYTES", 3 << 20)
    files = {
        "broken.pdf": b"%PDF-1.7 cut", "locked.pdf": pdf("Secret", password="x1y2"), "scan.pdf": pdf("", ""),
        "zero.txt": b"", "nulls.txt": bytes(4096), "spaces.md": b" \n\t", "huge.txt": b"x" * ((3 << 20) + 1),
        "future 2031-01-01.txt": b"Tomorrow", "odd.md": b"---\ndate: last Tuesday\n---\nText", "good.txt": b"Good",
        ".hidden.txt": b"Hidden", "~$lock.docx": b"Lock", "picture.png": b"PNG", "part.txt.crdownload": b"Par",
        "README": b"Without an ending",
    }  # fmt: skip
    for name, body in files.items():
        (tmp_path / name).write_bytes(body)
    done = look(crawl(tmp_path))
    assert set(done.contents()) == {"scan.pdf", "future 2031-01-01.txt", "odd.md", "good.txt"}
    said = "\n".join(done.remarks)
    for words in (
        "broken.pdf is damaged", "locked.pdf is encrypted with a password", "scan.pdf has no text", "zero.txt is empty",
        "files of other kinds are left out: 1 of .crdownload, 1 of .png, 1 of no ending",
        "nulls.txt is empty", "spaces.md is empty", "huge.txt has 3 MB", "states 2031-01-0", "'last Tuesday'",
    ):  # fmt: skip
        assert words in said
    assert len(done.remarks) == 10
    assert all(each.published is None for each in done.documents)


def test_links_in_circles_and_to_nowhere_end_nothing(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "a.txt").write_text("A", encoding="utf-8")
    try:
        (tmp_path / "deep" / "up").symlink_to(tmp_path, target_is_directory=True)
        (tmp_path / "self.txt").symlink_to(tmp_path / "self.txt")
        (tmp_path / "nowhere.txt").symlink_to(tmp_path / "gone")
    except OSError:
        pytest.skip("this system allows no links")
    done = look(crawl(tmp_path))
    assert set(done.contents()) == {"deep/a.txt"}
    assert len(done.remarks) == 2 and all("can't be read" in each for each in done.remarks)


def test_a_folder_that_can_not_be_read_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "locked").mkdir()
    (tmp_path / "a.txt").write_text("A", encoding="utf-8")
    scan = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("locked"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    done = look(crawl(tmp_path))
    assert set(done.contents()) == {"a.txt"} and "locked can't be read (Permission denied)" in done.remarks[0]


@pytest.mark.skipif(os.name == "nt", reason="Windows allows no such names")
def test_names_with_control_characters_or_of_bytes_alone_are_written_out(tmp_path: Path) -> None:
    for name in (b"a\x1b[31m.txt", b"line\nfeed.txt", b"latin-\xe9.txt"):
        try:
            Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_bytes(b"Text")
        except OSError:
            pytest.skip("this file system allows no such names")
    done = look(crawl(tmp_path))
    ids = set(done.contents())
    assert len(ids) == 3 and all(each.isprintable() for each in ids)
    for page in done.asked:
        json.dumps([page.unit, page.url, dict(page.context)], ensure_ascii=False).encode()  # as its record is written


def test_a_file_that_is_being_written_is_left_for_the_next_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.txt"
    path.write_text("First half", encoding="utf-8")
    states = iter([path.stat(), os.stat_result([*path.stat()[:6], 99, *path.stat()[7:]])])
    with monkeypatch.context() as patched:
        patched.setattr(own.os, "fstat", lambda _file: next(states))
        done = look(crawl(tmp_path))
    assert not done.documents and "is being written: the next run takes it" in done.failed[0]
    path.write_text("First half, second half", encoding="utf-8")
    assert look(done).contents() == {"a.txt": [b"First half, second half"]}


def test_a_file_that_goes_between_the_list_and_its_reading_is_counted(tmp_path: Path) -> None:
    page = Page("own", "a.txt?1-1", str(tmp_path / "a.txt"), 1, {"name": "a.txt", "stream": "s", "first": True})
    reply = FolderClient(crawl(tmp_path).settings, LiveSource(), Gate()).fetch(page)
    assert list(RESEARCH.read(page, reply, crawl(tmp_path).context()).remarks) == [
        "a.txt was removed before it was read"
    ]


def test_a_file_without_rights_fails_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_path: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(own, "_whole", refuse)
    client = FolderClient(crawl(tmp_path).settings, LiveSource(), Gate())
    with pytest.raises(Unavailable, match="Permission denied"):
        client.fetch(Page("own", "a.txt?1-1", "a.txt"))


TABLE = """Published;Ticker;Headline;Note
2024-03-01;AAPL;Upgrade;"Margins; widen"
2024-03-04T09:30:00-05:00;MSFT, AAPL;Cut;Falls
someday;TSLA;Recall;Brakes
2024-03-05;NVDA;;
2024-03-01;AAPL;Upgrade;"Margins; widen"
"""


def test_each_row_of_a_table_is_a_document(tmp_path: Path) -> None:
    path = tmp_path / "calls.csv"
    path.write_text(TABLE, encoding="utf-8")
    done = look(crawl(tmp_path))
    first, second, third, again = done.documents
    assert first.fields["columns"] == {"date": "Published", "symbol": "Ticker", "title": "Headline", "text": "Note"}
    assert (first.title, first.entity, first.body) == ("Upgrade", "stock:AAPL", b"Upgrade\n\nMargins; widen\n")
    assert first.published == dt.datetime(2024, 3, 2, 3, tzinfo=dt.UTC)
    assert second.published == dt.datetime(2024, 3, 4, 14, 30, tzinfo=dt.UTC)
    assert (second.entity, second.fields["symbols"]) == ("", ["MSFT", "AAPL"])
    assert third.published is None and again.id == f"{first.id}-2"
    assert sorted(done.remarks) == [
        "calls.csv: 1 rows have neither title nor text",
        "calls.csv: the dates of 1 rows can't be read: write YYYY-MM-DD",
    ]


def test_rows_that_are_added_or_reordered_make_no_revision_and_a_changed_text_does(tmp_path: Path) -> None:
    path = tmp_path / "calls.csv"
    head, a, b, c, *_ = TABLE.splitlines()
    path.write_text("\n".join([head, a, b]), encoding="utf-8")
    done = look(crawl(tmp_path))
    path.write_text("\n".join([head, c, b, a]), encoding="utf-8")
    assert [len(bodies) for bodies in look(done).contents().values()] == [1, 1, 1]
    path.write_text("\n".join([head, c, b.replace("Falls", "Falls hard"), a]), encoding="utf-8")
    assert sorted(len(bodies) for bodies in look(done).contents().values()) == [1, 1, 2]


@pytest.mark.parametrize("body", ["price,volume\n1,2\n", "\x00\x01\x02binary", 'title,text\n"open,quote\n'])
def test_a_table_without_known_columns_is_one_document(tmp_path: Path, body: str) -> None:
    (tmp_path / "t.csv").write_bytes(body.encode())
    done = look(crawl(tmp_path))
    assert len(done.documents) == 1 and not done.failed


def test_a_folder_that_does_not_exist_is_named_with_the_remedy(tmp_path: Path) -> None:
    settings = crawl(tmp_path / "gone").settings
    assert "create it or set research.own.path" in RESEARCH.missing(settings, LiveSource())
    assert RESEARCH.missing(crawl(tmp_path).settings, LiveSource()) == ""
