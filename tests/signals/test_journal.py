"""The journal says each decision once, and every change of what it said is found."""

from __future__ import annotations

import datetime as dt
import errno
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from src.core.errors import StageError
from src.core.project import ROOT
from src.signals.journal import Entry, Journal
from src.signals.journal_chain import CHAIN, head_file, read_chain, sealed
from src.signals.tables import BOOK, LINES, book_frame, lines_frame
from src.storage import atomic
from tests import process_case
from tests.signals.journal_case import FRIDAY, NOON, content, filled, line, refused, said, say, weight

MONDAY = FRIDAY + dt.timedelta(3)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "quick")


def test_an_empty_journal_has_the_declared_columns(journal: Journal) -> None:
    assert journal.entries() == []
    assert journal.verify() == 0
    added = {"entry": pl.Int64(), "kind": pl.String(), "said_at": pl.Datetime("us", "UTC")}
    assert dict(journal.lines().schema) == {**LINES, **added}
    assert dict(journal.books().schema) == {**BOOK, **added}


def test_what_was_said_is_read_back_with_entry_kind_and_time(journal: Journal) -> None:
    lines, books = lines_frame([line("AAPL"), refused("MSFT", decided_on=None)]), book_frame([weight()])
    entry = journal.append("book", lines, books, {"settings": {"cap": 0.1}}, NOON)
    assert journal.lines().drop("entry", "kind", "said_at").equals(lines)
    assert journal.books().drop("entry", "kind", "said_at").equals(books)
    assert journal.lines().select("entry", "kind", "said_at").unique().row(0) == (1, "book", NOON)
    assert isinstance(entry, Entry)
    assert (entry.first, entry.last, entry.lines) == (FRIDAY, FRIDAY, 2)
    assert journal.entries()[0].note == {"settings": {"cap": 0.1}}


def test_a_hash_is_the_sha256_of_the_entry_without_it(journal: Journal) -> None:
    import hashlib

    say(journal, line())
    stored = json.loads((journal.root / CHAIN).read_text(encoding="ascii"))
    claimed = stored.pop("hash")
    text = json.dumps(stored, sort_keys=True, separators=(",", ":"))
    assert claimed == hashlib.sha256(text.encode("ascii")).hexdigest()
    file = journal.root / "000001-lines.parquet"
    assert stored["files"][file.name]["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()


def test_the_same_book_again_adds_nothing(journal: Journal) -> None:
    lines, books = (line("AAPL"), refused("MSFT")), (weight(),)
    say(journal, *lines, books=books)
    before = content(journal.root)
    assert say(journal, *lines, books=books) is None
    assert content(journal.root) == before


def test_a_decision_is_said_once_whatever_bars_or_version_say_later(journal: Journal) -> None:
    say(journal, line(score=0.55, close=100.0))
    restated = line(score=0.70, close=50.0, version=4)
    assert say(journal, restated) is None
    assert say(journal, restated, kind="replay") is None
    assert say(journal, restated, line("MSFT")).lines == 1
    assert journal.lines().filter(symbol="AAPL")["score"].to_list() == [0.55]


def test_a_saturday_repeats_no_decision_of_friday(journal: Journal) -> None:
    saturday = FRIDAY + dt.timedelta(1)
    of_friday = line("AAPL", decided_on=dt.datetime(2025, 1, 3))
    coin = line("BTC-USD", saturday, asset_class="crypto")
    say(journal, of_friday)
    assert say(journal, {**of_friday, "book_date": saturday}, coin).lines == 1
    both = Journal(journal.root.with_name("both"))
    say(both, {**of_friday, "book_date": saturday}, coin, of_friday)  # days of one call, in any order
    assert both.lines().sort("book_date")["book_date"].to_list() == [FRIDAY, saturday]


def test_a_refusal_is_said_once_a_book_and_blocks_no_later_line(journal: Journal) -> None:
    say(journal, refused())
    assert say(journal, refused(reason="another reason")) is None
    assert say(journal, refused(day=MONDAY)).lines == 1
    assert say(journal, line()).lines == 1
    assert say(journal, refused(day=FRIDAY, book_date=MONDAY + dt.timedelta(1))) is None, "the decision was said"
    assert journal.lines()["state"].to_list() == ["refused", "refused", "said"]


def test_a_book_of_a_day_is_said_once(journal: Journal) -> None:
    say(journal, line(), books=(weight(weight=0.1),))
    assert say(journal, line(), books=(weight(weight=0.2),)) is None
    say(journal, line("AAPL", MONDAY), books=(weight(weight=0.3), weight(day=MONDAY, weight=0.4)))
    assert journal.books()["weight"].to_list() == [0.1, 0.4]


def test_a_first_day_and_columns_limit_what_is_read(tmp_path: Path) -> None:
    journal = filled(tmp_path / "quick")
    assert journal.lines(dt.date(2024, 12, 31), ["symbol", "entry"]).rows() == [("AAPL", 1), ("MSFT", 1), ("AAPL", 3)]
    assert journal.books(FRIDAY).height == 2
    assert journal.lines(MONDAY).is_empty()


def test_champions_that_have_decided_are_found_from_the_last_entry_on(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(journal, line("AAPL"), refused("NVDA"))
    say(journal, line("MSFT", MONDAY))
    journal.record_event({"demoted": "stock.NVDA"})
    assert journal.deciders(["stock.AAPL", "stock.MSFT", "stock.NVDA"]) == {"stock.AAPL", "stock.MSFT"}
    opened: list[str] = []
    read = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: (opened.append(path.name), read(path))[1])
    assert journal.deciders(["stock.MSFT"]) == {"stock.MSFT"}
    assert "000001-lines.parquet" not in opened


def test_many_days_are_looked_up_in_the_entries_that_can_hold_them_alone(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    days = [FRIDAY + dt.timedelta(n) for n in range(8)]
    for day in days[:-1]:
        say(journal, line(day=day), books=(weight(day=day),))
    opened: list[str] = []
    read = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: (opened.append(path.name), read(path))[1])
    say(journal, line(day=days[-1]), books=(weight(day=days[-1]),))
    assert {name for name in opened if name.endswith("parquet")} == {"000008-lines.parquet", "000008-books.parquet"}


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"decided_on": None}, "decided_on"),
        ({"book_date": None}, "book_date"),
        ({"state": "maybe"}, "said or refused, got maybe"),
        ({"symbol": None}, "symbol"),
    ],
)
def test_a_line_without_its_key_is_refused(journal: Journal, changes: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        say(journal, line(**changes))
    assert not journal.root.exists()


def test_a_note_that_json_cannot_hold_leaves_nothing(journal: Journal) -> None:
    for note in ({"sharpe": float("nan")}, {"when": object()}):
        with pytest.raises(ValueError, match="what JSON can hold"):
            journal.append("book", lines_frame([line()]), book_frame([]), note)
    with pytest.raises(ValueError, match="time zone"):
        journal.record_event({}, dt.datetime(2025, 1, 3))
    with pytest.raises(ValueError, match="book or replay"):
        say(journal, line(), kind="event")
    assert content(journal.root) == {}


def test_columns_that_an_older_release_did_not_write_are_null(journal: Journal) -> None:
    write = atomic.write_parquet
    with pytest.MonkeyPatch.context() as patch:
        older = lambda frame, path, **how: write(frame.drop("luck_rate").with_columns(was=1), path, **how)  # noqa: E731
        patch.setattr("src.signals.journal_files.write_parquet", older)
        say(journal, line("AAPL", luck_rate=0.1))
    say(journal, line("MSFT", luck_rate=0.2))
    assert journal.lines().select("symbol", "luck_rate").rows() == [("AAPL", None), ("MSFT", 0.2)]
    assert list(journal.lines().columns)[:-3] == list(LINES)


# every change is found ------------------------------------------------------------------------------------------------


def test_any_byte_of_the_chain_that_is_changed_removed_or_doubled_is_found(tmp_path: Path) -> None:
    journal = filled(tmp_path / "quick")
    path = journal.root / CHAIN
    whole = path.read_bytes()
    starts = [0, *(place + 1 for place, byte in enumerate(whole) if byte == 0x0A)]
    for place in range(len(whole)):
        changes = [bytes([whole[place] ^ 1 << place % 8])]
        changes += [b"", whole[place : place + 1] * 2] if place % 7 == 0 or place + 1 == len(whole) else []
        for changed in changes:
            path.write_bytes(whole[:place] + changed + whole[place + 1 :])
            with pytest.raises(StageError) as caught:
                read_chain(journal.root)
            entry = sum(start <= place for start in starts) + (changed == b"\n\n")
            assert f"entry {entry} " in str(caught.value), "it names the first broken entry"
    path.write_bytes(whole)
    assert journal.verify() == 3


@pytest.mark.parametrize("name", ["000001-lines", "000001-books", "000003-lines", "000003-books"])
def test_any_byte_of_a_file_that_is_changed_is_found(tmp_path: Path, name: str) -> None:
    journal = filled(tmp_path / "quick")
    path = journal.root / f"{name}.parquet"
    whole = path.read_bytes()
    for place in range(0, len(whole), 101):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :])
        with pytest.raises(StageError, match=f"entry {int(name[:6])} is broken, {name}.parquet was changed"):
            journal.verify()
    with pytest.raises(StageError, match=f"{name}.parquet was changed"):
        journal.lines() if "lines" in name else journal.books()


def _swap(root: Path) -> None:
    first, third = root / "000001-lines.parquet", root / "000003-lines.parquet"
    kept = first.read_bytes()
    first.write_bytes(third.read_bytes())
    third.write_bytes(kept)


def _lines(change: Callable[[list[bytes]], list[bytes]]) -> Callable[[Path], None]:
    def act(root: Path) -> None:
        lines = (root / CHAIN).read_bytes().splitlines(keepends=True)
        (root / CHAIN).write_bytes(b"".join(change(lines)))

    return act


def _forged(lines: list[bytes]) -> list[bytes]:
    """The second entry says another thing, with a hash that fits it."""
    stored = json.loads(lines[1])
    del stored["hash"]
    return [lines[0], sealed({**stored, "note": {}}), lines[2]]


def _rehashed(lines: list[bytes]) -> list[bytes]:
    """The same, and the entry after it follows."""
    forged = _forged(lines)
    stored = json.loads(lines[2])
    del stored["hash"]
    return [*forged[:2], sealed({**stored, "previous": json.loads(forged[1])["hash"]})]


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (_swap, "entry 1 is broken, 000001-lines.parquet"),
        (lambda root: (root / "000003-books.parquet").unlink(), "entry 3 is broken, 000003-books.parquet is missing"),
        (lambda root: (root / "000002-lines.parquet").write_bytes(b""), "entry 2 is broken, 000002-lines.parquet was"),
        (lambda root: (root / "000009-lines.parquet").write_bytes(b""), "000009-lines.parquet is no file of the"),
        (_lines(lambda lines: lines[1:]), "entry 1 is missing, or was moved: its place holds entry 2"),
        (_lines(lambda lines: [lines[0], lines[2]]), "entry 2 is missing"),
        (_lines(lambda lines: [lines[0], lines[2], lines[1]]), "entry 2 is missing, or was moved: its place holds"),
        (_lines(lambda lines: [*lines, lines[2]]), "entry 4 is missing, or was moved: its place holds entry 3"),
        (_lines(lambda lines: [*lines, b"\n"]), "entry 4 can't be read"),
        (_lines(lambda lines: [b"\xef\xbb\xbf" + lines[0], *lines[1:]]), "entry 1 "),
        (_lines(lambda lines: [line.replace(b"\n", b"\r\n") for line in lines]), "entry 1 was changed"),
        (_lines(lambda lines: [lines[0].replace(b":2,", b": 2,"), *lines[1:]]), "entry 1 was changed"),
        (_lines(_forged), "entry 3 does not follow from entry 2"),
        (_lines(_rehashed), "entry 3 is not the one that was said here"),
        (_lines(lambda lines: lines[:2]), "ends with entry 2, but entry 3 was said"),
        (lambda root: (root / CHAIN).unlink(), "ends with entry 0, but entry 3 was said"),
    ],
)
def test_a_removal_an_insertion_and_a_swap_are_found(tmp_path: Path, act: Callable[[Path], None], words: str) -> None:
    journal = filled(tmp_path / "quick")
    act(journal.root)
    broken = content(journal.root)
    for use in (journal.verify, lambda: say(journal, line(day=MONDAY))):
        with pytest.raises(StageError, match=words):
            use()
            journal.verify()
    if "000001-lines" not in words:  # the sizes are the same: seen when the files are read
        assert content(journal.root) == broken, "nothing is written into a broken journal"


def test_a_head_that_cannot_be_read_is_an_error_and_one_that_is_missing_is_made_again(tmp_path: Path) -> None:
    journal = filled(tmp_path / "quick")
    kept = head_file(journal.root).read_bytes()
    head_file(journal.root).write_bytes(b"{")
    with pytest.raises(StageError, match="delete it if the journal is whole"):
        journal.entries()
    head_file(journal.root).unlink()
    say(journal, line())
    say(journal, line("NVDA"))
    assert len(journal.entries()) == 4
    assert json.loads(head_file(journal.root).read_bytes())["number"] == 4
    assert json.loads(kept)["number"] == 3


def test_files_of_an_entry_that_did_not_reach_the_chain_are_replaced(journal: Journal) -> None:
    journal.root.mkdir(parents=True)
    for name in ("000001-lines.parquet", "000001-books.parquet"):
        (journal.root / name).write_bytes(b"of a killed process")
    assert journal.lines().is_empty()
    say(journal, line())
    assert sorted(content(journal.root)) == ["000001-lines.parquet", CHAIN]
    assert journal.verify() == 1


# kills, a full disk, two processes ------------------------------------------------------------------------------------

BREAKS = ("replace", "fsync", "mkdir", "rmdir", "unlink")


def _calls(patch: pytest.MonkeyPatch, root: Path, before: Callable[[str], None]) -> None:
    """Call `before` ahead of each operation on the disk."""
    for name in BREAKS:
        real = getattr(os, name)
        patch.setattr(os, name, lambda *args, _real=real, _name=name, **how: (before(_name), _real(*args, **how))[1])


def test_a_kill_at_any_step_leaves_the_journal_as_before_or_after(tmp_path: Path) -> None:
    home = tmp_path / "whole"
    journal = filled(home / "quick")
    before = said(journal)
    states: list[Path] = []

    def snapshot(_name: str) -> None:
        with pytest.MonkeyPatch.context() as undone:
            for name, real in originals.items():
                undone.setattr(os, name, real)
            states.append(tmp_path / f"killed-{len(states)}")
            shutil.copytree(home, states[-1])

    originals = {name: getattr(os, name) for name in BREAKS}
    with pytest.MonkeyPatch.context() as patch:
        _calls(patch, home, snapshot)
        say(journal, line(day=MONDAY), books=(weight(day=MONDAY),))
    after = said(journal)
    whole = content(journal.root)
    seen = set()
    for state in states:
        left = Journal(state / "quick")
        found = said(left)
        assert found.equals(before) or found.equals(after)
        seen.add(found.height)
        say(left, line(day=MONDAY), books=(weight(day=MONDAY),))
        assert content(left.root) == whole or not _tidy(left.root), state.name
        assert said(left).equals(after)
        assert left.verify() == 4
    assert seen == {before.height, after.height}
    assert len(states) > 10


def _tidy(root: Path) -> bool:
    """Whether no temporary file is left: those of this very process, which lives, are."""
    return not list(root.glob(".tmp-*"))


@pytest.mark.parametrize("operation", ["replace", "fsync", "mkdir", "write"])
def test_a_disk_that_refuses_leaves_the_journal_as_it_was(tmp_path: Path, operation: str) -> None:
    journal = filled(tmp_path / "quick")
    before = content(journal.root)
    for number in range(1, 30):
        count = iter(range(1, 100))

        def refuse(name: str, at: int = number, count: Iterator[int] = count) -> None:
            if name == operation and next(count) == at:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        with pytest.MonkeyPatch.context() as patch:
            _calls(patch, journal.root, refuse)
            real = Path.write_bytes
            patch.setattr(Path, "write_bytes", lambda path, data, real=real: (refuse("write"), real(path, data))[1])
            try:
                say(journal, line(day=MONDAY), books=(weight(day=MONDAY),))
            except OSError as error:
                assert error.errno == errno.ENOSPC
            else:
                break
        if len(journal.entries()) == 4:  # the entry is durable, what remembers its number is not yet
            break
        kept = {name: data for name, data in content(journal.root).items() if not name.startswith("000004-")}
        assert kept == before
        assert journal.verify() == 3
    say(journal, line(day=MONDAY), books=(weight(day=MONDAY),))
    assert journal.verify() == 4


ADDS = """
import sys
from pathlib import Path
from src.signals.journal import Journal
journal = Journal(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
for number in range(10):
    journal.record_event({"by": sys.argv[2], "number": number})
"""


def test_two_processes_add_one_after_the_other(journal: Journal) -> None:
    command = [sys.executable, "-c", ADDS, str(journal.root)]
    pipes = {"stdin": process_case.subprocess.PIPE, "stdout": process_case.subprocess.PIPE, "cwd": ROOT, "text": True}
    with process_case.started([*command, "a"], **pipes) as one, process_case.started([*command, "b"], **pipes) as two:
        for process in (one, two):
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        for process in (one, two):
            assert process.stdin is not None
            process.stdin.write("\n")
            process.stdin.flush()
        for process in (one, two):
            assert process.wait(process_case.HANG) == 0
    assert journal.verify() == 20
    notes = [entry.note for entry in journal.entries()]
    for name in "ab":
        assert [note["number"] for note in notes if note["by"] == name] == list(range(10))
