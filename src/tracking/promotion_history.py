"""Who changed which champions, when and why: lines of JSON to which is only added.

An entry is written before the registry changes and closed afterwards. After a kill in between it is open: the next
command of the same kind takes it up and closes it, so that the whole is undone as one. Whatever the registry shows was
therefore announced here; an announced change that was refused is named by the line that closes the entry.
"""

from __future__ import annotations

import datetime as dt
import getpass
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from src.core.errors import StageError
from src.storage.atomic import sync_folder


@dataclass(frozen=True)
class Change:
    """One champion that changes.

    Attributes
    ----------
    name : str
        Of the registered model.
    before, after : int or None
        Its champion's version; None for no champion.
    """

    name: str
    before: int | None
    after: int | None

    def __str__(self) -> str:
        return f"{self.name} {_version(self.before)} -> {_version(self.after)}"


@dataclass(frozen=True)
class PromotionEntry:
    """What one command decided.

    Attributes
    ----------
    number : int
        From 1.
    kind : str
        ``promote``, ``withdraw``, ``demote`` or ``undo``.
    at : str
        Time in UTC, ISO 8601.
    who, why : str
        The person or account, and the reason; the reason may be empty.
    changes : tuple of Change
        One for each name.
    demands : mapping
        Evidence that was demanded.
    refused : tuple of str
        Names whose change the registry refused.
    is_closed : bool
        Whether the command lived to carry it out.
    """

    number: int
    kind: str
    at: str
    who: str
    why: str = ""
    changes: tuple[Change, ...] = ()
    demands: Mapping[str, Any] = field(default_factory=dict)
    refused: tuple[str, ...] = ()
    is_closed: bool = False

    @property
    def carried_out(self) -> tuple[Change, ...]:
        """The changes that were not refused."""
        return tuple(change for change in self.changes if change.name not in self.refused)

    def lines(self) -> Iterator[str]:
        """Yield a line that says who did what, when and why, the demands of each scope, and a line for each change."""
        why = f' ("{self.why}")' if self.why else ""
        state = "" if self.is_closed else " (interrupted)"
        yield f"{self.number}. {self.at} {self.kind} of {self.who}{why}: {len(self.changes):,} changed{state}"
        for scope, limits in self.demands.items():
            if limits:
                yield f"   {scope}: {', '.join(f'{name} {limit:g}' for name, limit in limits.items())}"
        for change in self.changes:
            yield f"   {change}{' (refused)' if change.name in self.refused else ''}"


class PromotionHistory:
    """The history of one dataset; the caller holds the lock of ``promote``.

    Parameters
    ----------
    path : Path
        The file; it need not exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def entries(self) -> list[PromotionEntry]:
        """Read all entries, the earliest first.

        Returns
        -------
        list of PromotionEntry
            Without a last line that a kill left unfinished.

        Raises
        ------
        StageError
            If a line can't be read.
        """
        found: dict[int, PromotionEntry] = {}
        for number, line in enumerate(self._lines(), 1):
            try:
                self._take(found, json.loads(line))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise StageError(
                    f"line {number} of {self.path.as_posix()} can't be read ({error!r}): restore the file from a copy, "
                    "or remove that line"
                ) from error
        return list(found.values())

    def open_entry(self, kind: str | None = None) -> PromotionEntry | None:
        """Return the last entry if it was interrupted.

        Parameters
        ----------
        kind : str, optional
            The entry is of this kind. Default: of any.
        """
        entries = self.entries()
        last = entries[-1] if entries else None
        return last if last and not last.is_closed and kind in (None, last.kind) else None

    def demoted(self) -> dict[tuple[str, int], str]:
        """List the versions that were demoted and have not been champion since: when and why, by name and version."""
        found: dict[tuple[str, int], str] = {}
        for entry in self.entries():
            for change in entry.changes:
                if change.name in entry.refused:
                    continue
                if change.after is not None:
                    found.pop((change.name, change.after), None)
                elif entry.kind == "demote" and change.before is not None:
                    found[change.name, change.before] = f"{entry.at[:10]}: {entry.why}"
        return found

    def begin(
        self, kind: str, changes: Iterable[Change], *, why: str = "", demands: Mapping[str, Any] | None = None
    ) -> PromotionEntry:
        """Announce changes, before they are carried out; takes up an interrupted entry of the same kind.

        Parameters
        ----------
        kind : str
            ``promote``, ``withdraw``, ``demote`` or ``undo``.
        changes : iterable of Change
        why : str
            The reason that a person gave.
        demands : mapping, optional
            Evidence that was demanded.

        Returns
        -------
        PromotionEntry
            On disk when this returns.
        """
        taken = self.open_entry(kind)
        number = taken.number if taken else len(self.entries()) + 1
        entry = PromotionEntry(number, kind, _now(), person(), why, tuple(changes), dict(demands or {}))
        stated = [[change.name, change.before, change.after] for change in entry.changes]
        self._append(
            {"entry": number, "kind": kind, "at": entry.at, "who": entry.who, "why": why}
            | {"demands": entry.demands, "changes": stated}
        )
        return _merged(taken, entry) if taken else entry

    def close(self, entry: PromotionEntry, refused: Iterable[str] = ()) -> None:
        """Record that an entry was carried out.

        Parameters
        ----------
        entry : PromotionEntry
            From `begin`.
        refused : iterable of str
            Names whose change the registry refused.
        """
        self._append({"entry": entry.number, "closed": _now(), "refused": sorted(refused)})

    def _take(self, found: dict[int, PromotionEntry], line: Mapping[str, Any]) -> None:
        number = int(line["entry"])
        if "closed" in line:
            found[number] = replace(found[number], is_closed=True, refused=tuple(line["refused"]))
            return
        changes = tuple(Change(str(name), before, after) for name, before, after in line["changes"])
        kind, at, who, why = (str(line[key]) for key in ("kind", "at", "who", "why"))
        entry = PromotionEntry(number, kind, at, who, why, changes, dict(line["demands"]))
        found[number] = _merged(found[number], entry) if number in found else entry

    def _lines(self) -> list[str]:
        if not self.path.is_file():
            return []
        return self.path.read_bytes()[: self._whole()].decode("utf-8").splitlines()

    def _whole(self) -> int:
        """Length of the file up to its last line feed, in bytes."""
        return self.path.read_bytes().rfind(b"\n") + 1

    def _append(self, line: Mapping[str, Any]) -> None:
        """Add a line, and wait until it is on disk; what a kill left unfinished of another is cut off."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        is_new = not self.path.is_file()
        with self.path.open("ab") as stream:
            if not is_new:
                stream.truncate(self._whole())
            stream.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
            stream.flush()
            os.fsync(stream.fileno())
        if is_new:
            sync_folder(self.path.parent)


def person() -> str:
    """Name of the account that runs the command; ``unknown`` where the system has none."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "unknown"


def _merged(earlier: PromotionEntry, later: PromotionEntry) -> PromotionEntry:
    """One entry of an interrupted command and of the one that took it up."""
    changes = {change.name: change for change in earlier.changes}
    for change in later.changes:
        before = changes[change.name].before if change.name in changes else change.before
        changes[change.name] = Change(change.name, before, change.after)
    return replace(later, why=later.why or earlier.why, changes=tuple(changes.values()))


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")


def _version(number: int | None) -> str:
    return "none" if number is None else f"version {number}"
