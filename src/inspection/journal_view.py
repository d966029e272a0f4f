"""The journal of a dataset as status and doctor show it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from src.core.errors import StageError
from src.inspection.diagnostics import Finding
from src.signals.journal import Journal

if TYPE_CHECKING:
    from src.config.paths import DatasetPaths
    from src.config.schema import Config
    from src.storage.state_counts import Json


def last_book(paths: DatasetPaths) -> Json | None:
    """Describe the end of the journal; its chain is checked, its files are not read.

    Parameters
    ----------
    paths : DatasetPaths

    Returns
    -------
    dict or None
        ``entries``, the ``hash`` of the last, and of the entry with the latest book that book's date ``last``, its
        ``lines`` and ``said_at``; ``broken`` says what is wrong, or is null. None without a journal.
    """
    try:
        entries = Journal(paths.journal).entries()
    except StageError as error:
        unknown = dict.fromkeys(("entries", "hash", "last", "lines", "said_at"))
        return {**unknown, "broken": str(error)}
    if not entries:
        return None
    book = max((entry for entry in entries if entry.last), key=lambda entry: (entry.last, entry.number), default=None)
    found = {
        "last": None if book is None else str(book.last),
        "lines": None if book is None else book.lines,
        "said_at": None if book is None else book.said_at.isoformat(timespec="seconds"),
    }
    return {"entries": len(entries), "hash": entries[-1].hash, **found, "broken": None}


def journal_sentence(state: Json) -> str:
    """Write one line of what `last_book` returns.

    Parameters
    ----------
    state : dict
    """
    if state["broken"]:
        return str(state["broken"])
    if state["last"] is None:
        return f"{state['entries']:,} entries, no book yet"
    end = f"{state['entries']:,} entries, the last {state['hash'][:12]}"
    return f"book of {state['last']}, {state['lines']:,} lines, said at {state['said_at']}; {end}"


def journal(config: Config) -> Finding:
    """The journal's chain holds, and every file has the SHA-256 that the chain says.

    Parameters
    ----------
    config : Config
    """
    kept = Journal(config.paths.journal)
    try:
        count = kept.verify()
    except StageError as error:
        return Finding("journal", "bad", str(error))
    state = last_book(config.paths)
    if not count or state is None:
        return Finding("journal", "ok", f"none of {config.dataset} yet")
    return Finding("journal", "ok", f"{config.dataset}: {journal_sentence(state)}, each file as its chain says")
