"""Files of a journal's entries: written once, and read only where their SHA-256 is the one in the chain."""

from __future__ import annotations

import datetime as dt
import hashlib
import io
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from src.core.errors import StageError
from src.signals.journal_chain import CHAIN, REMEDY, Entry
from src.signals.tables import BOOK, LINE_KEY, LINES
from src.storage.atomic import remove, sync_folder, write_parquet

REFUSED_KEY = ["name", "asset_class", "symbol", "book_date"]
"""A refusal is said once a champion, instrument and book."""
_ADDED: dict[str, Any] = {"entry": pl.Int64(), "kind": pl.String(), "said_at": pl.Datetime("us", "UTC")}
_SCHEMAS = {"lines": LINES, "books": BOOK}
_NEEDED = {"lines": ["book_date", "name", "asset_class", "symbol", "state"], "books": ["book_date", "symbol"]}


def conformed(frame: pl.DataFrame, table: str) -> pl.DataFrame:
    """Give a table exactly its declared columns, null where they are missing, NaN as null.

    Parameters
    ----------
    frame : DataFrame
    table : {'lines', 'books'}

    Raises
    ------
    ValueError
        If a key column holds null, or a state is neither said nor refused.
    """
    schema = _SCHEMAS[table]
    made = _with_schema(frame, schema).with_columns(pl.selectors.float().fill_nan(None))
    wrong = [name for name in _NEEDED[table] if made[name].null_count()]
    if table == "lines":
        said = made.filter(state="said")
        wrong += ["decided_on"] if said["decided_on"].null_count() else []
        unknown = set(made["state"].drop_nulls()) - {"said", "refused"}
        if unknown:
            raise ValueError(f"state of a line must be said or refused, got {', '.join(sorted(unknown))}")
    if wrong:
        raise ValueError(f"{table} of a book need {', '.join(wrong)} in every row, got null")
    return made


def new_lines(root: Path, entries: Sequence[Entry], lines: pl.DataFrame) -> pl.DataFrame:
    """Lines that the journal does not have: decisions not said yet, and refusals not said yet for that book.

    Parameters
    ----------
    root : Path
    entries : sequence of Entry
        The chain.
    lines : DataFrame
        Columns of `LINES`; of one decision the first by book_date stays.

    Returns
    -------
    DataFrame
        In their order. A refused line of a decision that was said is left out; a decision whose line was refused before
        is not.
    """
    if lines.is_empty():
        return lines
    past = _past_lines(root, entries, lines)
    ordered = lines.with_row_index("_at").sort("book_date", maintain_order=True)
    said = ordered.filter(state="said").unique(LINE_KEY, keep="first", maintain_order=True)
    said = said.join(past.filter(state="said"), on=LINE_KEY, how="anti")
    known = pl.concat([past.filter(state="said").select(LINE_KEY), said.select(LINE_KEY)])
    refused = ordered.filter(state="refused").unique(REFUSED_KEY, keep="first", maintain_order=True)
    refused = refused.join(past.filter(state="refused"), on=REFUSED_KEY, how="anti").join(
        known, on=LINE_KEY, how="anti"
    )
    return pl.concat([said, refused]).sort("_at").drop("_at")


def new_books(
    root: Path, entries: Sequence[Entry], books: pl.DataFrame, amended: Collection[dt.date] = ()
) -> pl.DataFrame:
    """Rows of the books of dates that the journal has no book of, or whose book has new lines.

    Parameters
    ----------
    root : Path
    entries : sequence of Entry
        The chain.
    books : DataFrame
        Columns of `BOOK`.
    amended : collection of date
        Of books that get further lines.
    """
    if books.is_empty():
        return books
    first, last = books["book_date"].min(), books["book_date"].max()
    overlapping = [each for each in entries if _overlaps(each.first, each.last, first, last)]
    dates = [read_table(root, each, "books", ["book_date"]) for each in overlapping if _file(each, "books")]
    if not dates:
        return books
    known = pl.concat(dates).filter(~pl.col("book_date").is_in(list(amended)))
    return books.join(known, on="book_date", how="anti")


def write_files(root: Path, number: int, tables: Mapping[str, pl.DataFrame]) -> dict[str, dict[str, Any]]:
    """Write the files of an entry; durable on return. What a killed process left of the same number is replaced.

    Parameters
    ----------
    root : Path
    number : int
        Of the entry.
    tables : mapping
        Tables by name; an empty one gets no file.

    Returns
    -------
    dict
        ``sha256`` and ``bytes`` by name of the file.
    """
    remove_interrupted(root, number)
    facts: dict[str, dict[str, Any]] = {}
    for table, frame in tables.items():
        if frame.height:
            path = root / file_name(number, table)
            write_parquet(frame, path, sync=False)
            content = path.read_bytes()
            facts[path.name] = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    if facts:
        sync_folder(root)
    return facts


def remove_interrupted(root: Path, number: int) -> None:
    """Remove what a killed process left of an entry that did not reach the chain.

    Parameters
    ----------
    root : Path
    number : int
        One more than the last entry's.
    """
    for left in sorted(root.glob(f"{number:06d}-*")):
        remove(left)


def file_name(number: int, table: str) -> str:
    """Name of a file of an entry, such as ``000001-lines.parquet``."""
    return f"{number:06d}-{table}.parquet"


def read_table(root: Path, entry: Entry, table: str, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """Read a table of an entry, with number, kind and time of the entry; its SHA-256 is checked.

    Parameters
    ----------
    root : Path
    entry : Entry
        That has the table.
    table : {'lines', 'books'}
    columns : sequence of str, optional
        All, and entry, kind and said_at, without it.

    Returns
    -------
    DataFrame
        Columns that an older release did not write are null.
    """
    content = checked_bytes(root, entry, file_name(entry.number, table))
    schema = _SCHEMAS[table]
    if columns is None:
        return _with_entry(_with_schema(pl.read_parquet(io.BytesIO(content)), schema), entry)
    stored = pl.read_parquet_schema(io.BytesIO(content))
    chosen = [name for name in columns if name in stored] or None  # without one of them, all, for the number of rows
    return _with_schema(pl.read_parquet(io.BytesIO(content), columns=chosen), {name: schema[name] for name in columns})


def read_tables(root: Path, entries: Sequence[Entry], table: str, columns: Sequence[str] | None = None) -> pl.DataFrame:
    """Read a table of several entries, in their order.

    Parameters
    ----------
    root : Path
    entries : sequence of Entry
        Those without the table are left out.
    table : {'lines', 'books'}
    columns : sequence of str, optional
        Of the table, and entry, kind, said_at; all without it.
    """
    schema = {**_SCHEMAS[table], **_ADDED}
    wanted = list(schema) if columns is None else list(columns)
    stored = [name for name in wanted if name not in _ADDED]
    parts = [
        _with_entry(read_table(root, each, table, stored), each).select(wanted)
        for each in entries
        if _file(each, table)
    ]
    return pl.concat([pl.DataFrame(schema={name: schema[name] for name in wanted}), *parts])


def check_listing(root: Path, entries: Sequence[Entry]) -> None:
    """Check that each file of the chain is there with its size, and that the folder holds no other.

    Files of the number after the last are those of an entry that was interrupted: they are no fault.

    Raises
    ------
    StageError
        Names the first entry with a file that is missing, of another size, or not of the chain.
    """
    sizes = dict(_sizes(root))
    known = {name for entry in entries for name in entry.files}
    interrupted = f"{len(entries) + 1:06d}-"
    added = sorted(name for name in sizes if name not in known and not name.startswith(interrupted))
    for entry in entries:
        prefix = f"{entry.number:06d}-"
        for name, facts in entry.files.items():
            if sizes.get(name) != facts["bytes"]:
                wrong = "is missing" if name not in sizes else f"has {sizes[name]:,} bytes, not {facts['bytes']:,}"
                raise _broken(root, entry.number, f"{name} {wrong}")
        extra = [name for name in added if name.startswith(prefix)]
        if extra:
            raise _broken(root, entry.number, f"{extra[0]} was added, the chain does not have it")
    if added:
        raise StageError(f"{(root / added[0]).as_posix()} is no file of the journal's chain: move it elsewhere")


def checked_bytes(root: Path, entry: Entry, name: str) -> bytes:
    """Read a file of an entry.

    Raises
    ------
    StageError
        If it is missing or its SHA-256 is not that of the chain.
    """
    try:
        content = (root / name).read_bytes()
    except FileNotFoundError:
        raise _broken(root, entry.number, f"{name} is missing") from None
    if hashlib.sha256(content).hexdigest() != entry.files[name]["sha256"]:
        raise _broken(root, entry.number, f"{name} was changed: its SHA-256 is not that of the chain")
    return content


def _past_lines(root: Path, entries: Sequence[Entry], lines: pl.DataFrame) -> pl.DataFrame:
    """Keys and states of the lines of those entries alone that can hold one of these decisions or refusals."""
    columns = list(dict.fromkeys([*LINE_KEY, *REFUSED_KEY, "state"]))
    said = lines["decided_on"].min(), lines["decided_on"].max()
    days = lines["book_date"].min(), lines["book_date"].max()
    chosen = [
        each
        for each in entries
        if _overlaps(each.decided_first, each.decided_last, *said) or _overlaps(each.first, each.last, *days)
    ]
    return read_tables(root, chosen, "lines", columns)


def _overlaps(first: Any, last: Any, low: Any, high: Any) -> bool:
    return None not in (first, last, low, high) and bool(first <= high and low <= last)


def _file(entry: Entry, table: str) -> bool:
    return file_name(entry.number, table) in entry.files


def _with_schema(frame: pl.DataFrame, schema: Mapping[str, Any]) -> pl.DataFrame:
    if not frame.width:
        return pl.DataFrame(schema=dict(schema))
    missing = [pl.lit(None).alias(name) for name in schema if name not in frame.columns]
    return frame.with_columns(missing).select(pl.col(name).cast(dtype) for name, dtype in schema.items())


def _with_entry(frame: pl.DataFrame, entry: Entry) -> pl.DataFrame:
    values: tuple[Any, ...] = (entry.number, entry.kind, entry.said_at.astimezone(dt.UTC))
    columns = zip(_ADDED.items(), values, strict=True)
    return frame.with_columns(pl.lit(value).cast(dtype).alias(name) for (name, dtype), value in columns)


def _sizes(root: Path) -> Iterator[tuple[str, int]]:
    if root.is_dir():
        with os.scandir(root) as found:
            for each in found:
                if each.name not in (CHAIN, ".gitignore") and not each.name.startswith(".tmp-"):
                    yield each.name, each.stat().st_size


def _broken(root: Path, number: int, wrong: str) -> StageError:
    return StageError(f"journal {root.as_posix()}: entry {number} is broken, {wrong}: {REMEDY}")
