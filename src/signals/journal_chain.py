"""The chain of a journal: a line of JSON for each entry, with the SHA-256 of its content and of the line before."""

from __future__ import annotations

import datetime as dt
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from src.core.errors import StageError
from src.storage.atomic import jsonable, write_atomic, write_json

CHAIN = "chain.jsonl"
START = "0" * 64
"""What the first entry has in place of the hash before."""
REMEDY = "bring the folder back from a copy (dvc checkout, the shared folder, a backup); nothing was written"


@dataclass(frozen=True)
class Entry:
    """One link of the chain.

    Attributes
    ----------
    number : int
        From 1 on.
    kind : str
        ``book`` for what was said, ``replay`` for what would have been said of days that had passed, ``event`` for a
        promotion, a demotion or the like.
    said_at : datetime
        UTC, when it was made durable.
    first, last : date or None
        Days of the books in it.
    lines : int
        Decisions in it.
    note : mapping
        Plain values: digests of the data and the code, settings of the book, or what happened.
    hash : str
        SHA-256 over all of it, its files, and the hash of the entry before.
    previous : str
        Hash of the entry before; zeros in the first.
    files : mapping
        SHA-256 and size in bytes (``sha256``, ``bytes``) of each file, by name.
    decided_first, decided_last : datetime or None
        Bars at whose close the decisions in it were made.
    """

    number: int
    kind: str
    said_at: dt.datetime
    first: dt.date | None
    last: dt.date | None
    lines: int
    note: Mapping[str, Any]
    hash: str
    previous: str = START
    files: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    decided_first: dt.datetime | None = None
    decided_last: dt.datetime | None = None


@dataclass(frozen=True)
class JournalChain:
    """What the chain file holds.

    Attributes
    ----------
    entries : list of Entry
        Each follows from the one before.
    lines : list of bytes
        Their lines, as stored.
    """

    entries: list[Entry]
    lines: list[bytes]

    @property
    def head(self) -> tuple[int, str]:
        """Number and hash of the last entry; 0 and zeros without one."""
        return (self.entries[-1].number, self.entries[-1].hash) if self.entries else (0, START)


def canonical(content: Mapping[str, Any]) -> str:
    """Write a mapping as JSON in the one form that is hashed: keys sorted, no space, ASCII, dates as ISO text.

    Raises
    ------
    ValueError
        On NaN, an infinity, or a value that JSON can't hold.
    """
    try:
        return json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False, default=jsonable)
    except (TypeError, ValueError) as error:
        raise ValueError(f"the journal takes what JSON can hold ({error}): give plain values, null for NaN") from error


def sealed(content: Mapping[str, Any]) -> bytes:
    """Write an entry as its line of the chain, with the hash.

    Parameters
    ----------
    content : mapping
        Everything else, ``previous`` included.

    Returns
    -------
    bytes
        With the line's end.
    """
    text = canonical(json.loads(canonical(content)))
    digest = hashlib.sha256(text.encode("ascii")).hexdigest()
    return canonical({**json.loads(text), "hash": digest}).encode("ascii") + b"\n"


def head_file(root: Path) -> Path:
    """Number and hash of a journal's last entry, kept beside its folder."""
    return root.with_name(f"{root.name}.head.json")


def lock_file(root: Path) -> Path:
    """Lock of a journal, beside its folder."""
    return root.with_name(f".{root.name}.lock")


def read_chain(root: Path) -> JournalChain:
    """Read the chain of a journal, and check each line and the end that is remembered elsewhere.

    Parameters
    ----------
    root : Path
        Folder of the journal; it may be absent.

    Raises
    ------
    StageError
        If a line was changed, removed, added or moved: names the first such entry.
    """
    remembered = _read_head(
        head_file(root)
    )  # first: an entry that is added meanwhile makes the chain longer, never shorter
    path = root / CHAIN
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        content = b""
    chain = JournalChain([], [])
    for line in io.BytesIO(content):
        found = _entry(line, *chain.head)
        if not isinstance(found, Entry):
            raise StageError(f"{path.as_posix()}: entry {chain.head[0] + 1} {found}: {REMEDY}")
        chain.entries.append(found)
        chain.lines.append(line)
    _check_head(path, chain.entries, remembered, head_file(root))
    return chain


def append_lines(root: Path, chain: JournalChain, lines: Sequence[bytes]) -> JournalChain:
    """Add entries to the chain file, which is replaced in one step; durable on return.

    Replacing it keeps a full disk or a kill from leaving half a line, and leaves alone the copy in DVC's cache that the
    file may be a link to. Ten years of days are two megabytes.

    Parameters
    ----------
    root : Path
        Folder of the journal.
    chain : JournalChain
        As read under the journal's lock.
    lines : sequence of bytes
        As `sealed` makes them, each following from the one before.

    Returns
    -------
    JournalChain
        With the new entries.
    """
    longer = JournalChain(list(chain.entries), [*chain.lines, *lines])
    for line in lines:
        entry = _entry(line, *longer.head)
        if not isinstance(entry, Entry):
            raise ValueError(f"entry {longer.head[0] + 1} {entry}")
        longer.entries.append(entry)
    write_atomic(root / CHAIN, partial(write_bytes, b"".join(longer.lines)))
    remember_head(root, longer)
    return longer


def remember_head(root: Path, chain: JournalChain) -> None:
    """Keep number and hash of the last entry beside the journal's folder, so that a shortened chain is noticed.

    Parameters
    ----------
    root : Path
        Folder of the journal.
    chain : JournalChain
    """
    path = head_file(root)
    if chain.entries and _read_head(path) != chain.head:
        write_json({"number": chain.head[0], "hash": chain.head[1]}, path)


def write_bytes(content: bytes, path: Path) -> None:
    """Write a file; the order of the parameters suits `functools.partial`."""
    path.write_bytes(content)


def _entry(line: bytes, before: int, previous: str) -> Entry | str:
    """Read a line of the chain; what is wrong with it where it does not follow from the one before."""
    number = before + 1
    try:
        content = json.loads(line)
        claimed = content.pop("hash")
        text = canonical(content)
        whole = canonical({**content, "hash": claimed}).encode("ascii") + b"\n"
        entry = _parsed(content, claimed)
    except (ValueError, KeyError, TypeError, AttributeError):
        return "can't be read"
    if entry.number != number:
        return f"is missing, or was moved: its place holds entry {entry.number}"
    if line != whole or hashlib.sha256(text.encode("ascii")).hexdigest() != claimed:
        return "was changed: its hash does not match its content"
    if entry.previous != previous:
        return f"does not follow from entry {before}: one of the two was replaced"
    return entry


def _parsed(content: Mapping[str, Any], claimed: str) -> Entry:
    return Entry(
        number=content["number"],
        kind=content["kind"],
        said_at=dt.datetime.fromisoformat(content["said_at"]),
        first=_date(content["first"]),
        last=_date(content["last"]),
        lines=content["lines"],
        note=dict(content["note"]),
        hash=claimed,
        previous=content["previous"],
        files={name: dict(facts) for name, facts in content["files"].items()},
        decided_first=_moment(content["decided_first"]),
        decided_last=_moment(content["decided_last"]),
    )


def _date(text: str | None) -> dt.date | None:
    return None if text is None else dt.date.fromisoformat(text)


def _moment(text: str | None) -> dt.datetime | None:
    return None if text is None else dt.datetime.fromisoformat(text)


def _check_head(path: Path, entries: list[Entry], remembered: tuple[int, str] | None, head: Path) -> None:
    if remembered is None:
        return
    number, digest = remembered
    if number > len(entries):
        wrong = (
            f"ends with entry {len(entries)}, but entry {number} was said: the entries after {len(entries)} are gone"
        )
    elif entries[number - 1].hash != digest:
        wrong = f"entry {number} is not the one that was said here: the journal was replaced by another"
    else:
        return
    remembers = f"If it is meant to be so, delete {head.as_posix()}, which remembers the last entry"
    raise StageError(f"{path.as_posix()} {wrong}: {REMEDY}. {remembers}")


def _read_head(path: Path) -> tuple[int, str] | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return int(content["number"]), str(content["hash"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        what = f"{path.as_posix()}, which remembers the journal's last entry, can't be read"
        raise StageError(f"{what}: delete it if the journal is whole") from error
