"""Parquet or CSV files of your own: tables with many instruments, or one file for each instrument.

A file with a column for the symbol is a table. A file without one holds the instrument that its name says
(``AAPL.csv``; a trailing underscore is dropped, so that ``PRN_.csv`` is PRN, which Windows does not allow as a file
name). The asset class comes from a column, from a folder named stocks, etfs or crypto, or from ``source.asset_class``.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from src.config.schema import SourceConfig
from src.core.end_state import EndState
from src.core.errors import ConfigError
from src.core.instruments import KEY
from src.sources.cells import NUMBERS, BarCells
from src.sources.column_error import ColumnError
from src.sources.columns import Layout, layout
from src.sources.declaration import Batch, FileSource, Selection, SourceError
from src.sources.files import CLASS_SPELLINGS, asset_class, located
from src.sources.text_table import FAULT, LINE

SUFFIXES = (".parquet", ".pq", ".csv", ".csv.gz", ".txt", ".tsv")
_SKIPPED = ("readme", "license")  # beginnings of file names


@dataclass(frozen=True)
class File:
    """One readable file.

    Attributes
    ----------
    asset_class : str or None
        From its folder or the settings; None if a column has it.
    symbol : str or None
        From its name; None for a table, which has a column for it.
    """

    path: Path
    layout: Layout
    asset_class: str | None
    symbol: str | None

    @property
    def is_table(self) -> bool:
        """Whether the file holds many instruments."""
        return self.symbol is None


def files(source: SourceConfig) -> list[Path]:
    """List the files under ``source.path`` that the source reads.

    Parameters
    ----------
    source : SourceConfig
        Its path is a file or a folder.

    Returns
    -------
    list of Path
        Sorted. Hidden files and those with another suffix are left out.

    Raises
    ------
    ConfigError
        If the path does not exist.
    SourceError
        If there is no file of a known kind.
    """
    path = located(source.path)
    if path.is_file():
        return [path]
    inside = sorted(p for p in path.rglob("*") if p.is_file() and not p.name.startswith("."))
    readable = [p for p in inside if _suffix(p) and not p.name.lower().startswith(_SKIPPED)]
    if not readable:
        what = f"{len(inside)} files of other kinds" if inside else "nothing"
        raise SourceError(
            f"source.path: {path} holds {what} and no {', '.join(SUFFIXES)} file: put bars there, or name another path"
        )
    return readable


def listing(source: SourceConfig) -> pl.DataFrame:
    """List every instrument of the files, also those whose file can't be read.

    Parameters
    ----------
    source : SourceConfig
        Its path, columns and asset class.

    Returns
    -------
    DataFrame
        asset_class, symbol; sorted, unique.

    Raises
    ------
    ConfigError
        If a file does not say its asset class.
    SourceError
        If a table or every file can't be read, or an asset class is unknown.
    """
    readable, unusable = _inspected(source)
    rows = [(str(f.asset_class), str(f.symbol)) for f in readable if not f.is_table]
    rows += [(t.asset_class, t.symbol) for t in unusable]
    kinds = dict.fromkeys(KEY, pl.String())
    tables = [_keys(f, source) for f in readable if f.is_table]
    return pl.concat([pl.DataFrame(rows, schema=kinds, orient="row"), *tables]).unique().sort(KEY)


def bars(source: SourceConfig, selection: Selection, scratch: Path) -> Iterator[Batch]:
    """Yield the rows of the selected instruments bucket by bucket, reading every table once.

    Tables are first split into parts by bucket, a million rows at a time, so that memory depends on the size of a
    bucket and not of a file.

    Parameters
    ----------
    source : SourceConfig
        Its path, columns and asset class.
    selection : Selection
        Instruments and interval.
    scratch : Path
        Folder for the parts, which is emptied before and removed afterwards.

    Yields
    ------
    Batch
        Of each bucket of the selection, ascending.
    """
    readable, unusable = _inspected(source)
    wanted = selection.wanted
    tables = [f for f in readable if f.is_table]
    shutil.rmtree(scratch, ignore_errors=True)
    for number, table in enumerate(tables):
        _split(_cells(table, source, selection.interval), wanted, scratch / f"{number:05d}")
    place = {(kind, symbol): b for kind, symbol, b in wanted.select(*KEY, "bucket").iter_rows()}
    singles: dict[int, list[File]] = {}
    for file in readable:
        if not file.is_table and (b := place.get((str(file.asset_class), str(file.symbol)))) is not None:
            singles.setdefault(b, []).append(file)
    failed: dict[int, list[EndState]] = {}
    for ended in unusable:
        if (b := place.get(ended.key)) is not None:
            failed.setdefault(b, []).append(ended)
    for b in sorted(set(place.values())):
        frames, bad = [], failed.get(b, [])
        for part in sorted(scratch.glob(f"*/bucket={b}/*.parquet")):
            frames.append(pl.read_parquet(part, hive_partitioning=False, glob=False))
        for file in singles.get(b, []):
            try:
                frames += list(_cells(file, source, selection.interval).chunks())
            except (pl.exceptions.PolarsError, ColumnError, OSError, UnicodeDecodeError) as error:
                state = error.state if isinstance(error, ColumnError) else "failed"
                bad = [*bad, EndState(str(file.asset_class), str(file.symbol), state, _unreadable(file.path, error))]
        rows, faulty = _joined(frames)
        yield Batch(b, rows, [*bad, *faulty])
    shutil.rmtree(scratch, ignore_errors=True)


def _suffix(path: Path) -> str | None:
    name = path.name.lower()
    return next((suffix for suffix in SUFFIXES if name.endswith(suffix)), None)


def _inspected(source: SourceConfig) -> tuple[list[File], list[EndState]]:
    """Read every file's header: the files that can be read, and the instruments of those that can't."""
    readable, unusable, errors = [], [], []
    for path in files(source):
        kind = asset_class(path) or source.asset_class
        stem = path.name[: -len(_suffix(path) or path.suffix)] or path.name
        symbol = stem.rstrip("_") or stem
        try:
            header = layout(path, source.columns)
        except ColumnError as error:
            errors.append(error)
            unusable.append(EndState(kind or "stock", symbol, error.state, str(error)))
            continue
        table = "symbol" in header.columns
        if kind is None and "asset_class" not in header.columns:
            raise ConfigError(
                f"source.asset_class: {path.name} does not say its asset class: set source.asset_class=stock (or etf,"
                " crypto), or put files in folders named stocks, etfs and crypto"
            )
        readable.append(File(path, header, kind, None if table else symbol))
    if not readable:
        raise SourceError(str(errors[0]) + (f" ({len(errors):,} files like this)" if len(errors) > 1 else ""))
    return readable, unusable


def _cells(file: File, source: SourceConfig, interval: str = "1d") -> BarCells:
    """The cells of a file, for bars of a length."""
    columns, text = file.layout.columns, file.layout.text
    return BarCells(file.path, columns, text, interval, file.asset_class, file.symbol, source.time_zone)


def _keys(file: File, source: SourceConfig) -> pl.DataFrame:
    """The instruments of a table."""
    keys = pl.DataFrame(schema=dict.fromkeys(KEY, pl.String()))
    try:
        for part in _cells(file, source).instruments():
            keys = pl.concat([keys, part]).unique()
    except (pl.exceptions.PolarsError, ColumnError, OSError) as error:
        raise SourceError(_unreadable(file.path, error)) from error
    unknown = keys.filter(~pl.col("asset_class").is_in(list(CLASS_SPELLINGS)) | pl.col("asset_class").is_null())
    if unknown.height:
        values = ", ".join(sorted({str(value) for value in unknown["asset_class"]})[:5])
        raise SourceError(
            f"{file.path.name}: asset class must be stock, etf or crypto, got {values}: name another column with"
            " source.columns.asset_class=<column>"
        )
    return keys.filter(pl.col("symbol").is_not_null() & (pl.col("symbol") != ""))


def _split(cells: BarCells, wanted: pl.DataFrame, folder: Path) -> None:
    """Write the selected rows of a table to parts by bucket, in one pass."""
    buckets = wanted.select(*KEY, pl.col("bucket").cast(pl.Int32))
    try:
        for number, chunk in enumerate(cells.chunks()):
            rows = chunk.join(buckets, on=KEY, how="inner", maintain_order="left")
            for (b,), part in rows.partition_by("bucket", as_dict=True, include_key=False).items():
                place = folder / f"bucket={b}"
                place.mkdir(parents=True, exist_ok=True)
                part.write_parquet(place / f"{number:05d}.parquet", compression="lz4")
    except (pl.exceptions.PolarsError, ColumnError, OSError) as error:
        raise SourceError(_unreadable(cells.path, error)) from error


def _joined(frames: list[pl.DataFrame]) -> tuple[pl.DataFrame, list[EndState]]:
    """The rows of all parts, and the instruments with a cell that can't be read, whose rows are left out."""
    if not frames:
        kinds = {"asset_class": pl.String(), "symbol": pl.String(), "date": pl.Date()}
        return pl.DataFrame(schema=kinds | dict.fromkeys(NUMBERS, pl.Float64())), []
    rows = pl.concat(frames, how="vertical_relaxed")
    faults = rows.drop_nulls(FAULT).group_by(KEY, maintain_order=True).agg(pl.first(FAULT), pl.len().alias("n"))
    if faults.height:
        rows = rows.join(faults, on=KEY, how="anti", maintain_order="left")
    ended = [
        EndState(kind, symbol, "quarantined", fault if n == 1 else f"{fault} ({n:,} lines like this)")
        for kind, symbol, fault, n in faults.iter_rows()
    ]
    return rows.drop(LINE, FAULT), ended


def _unreadable(path: Path, error: Exception) -> str:
    if isinstance(error, ColumnError):
        return str(error)
    first = (str(error).strip() or type(error).__name__).splitlines()[0]
    return f"{path.name} can't be read ({first[:160]}): it may be truncated; fetch it again"


SOURCE = FileSource("folder", listing, bars, files, archive=True)
