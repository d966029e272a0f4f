"""Parquet or CSV files of your own: tables with many instruments, or one file for each instrument.

A file with a column for the symbol is a table, and so is one with several instruments side by side. Any other file
holds the instrument that its name says (``AAPL.csv``), or its folder (``symbol=AAPL/part-0.parquet``,
``AAPL/2021.csv``). The asset class comes from a column, from a folder named stocks, etfs or crypto, or from
``source.asset_class``. A file that can't be read costs its own instruments and no others.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePath

import polars as pl

from src.config.schema import SourceConfig
from src.core.end_state import EndState
from src.core.finding import BarFinding
from src.core.instruments import KEY, Key
from src.core.runs import Runs
from src.sources import folder_files, several_files
from src.sources.cells import NUMBERS
from src.sources.column_names import setting
from src.sources.declaration import Batch, FileSource, Selection, SourceError
from src.sources.files import located
from src.sources.folder_files import PassedOver
from src.sources.folder_inspection import (
    READ_ERRORS,
    SUFFIXES,
    Inspection,
    LostFile,
    TableFile,
    inspection,
    state_of,
    unreadable,
)
from src.sources.several_files import ORIGIN, FileOrigin
from src.sources.text_table import FAULT, LINE

_CHUNK = 1_000_000  # rows of tables held before they are written to their buckets


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
    readable, passed = folder_files.readable_files(path, SUFFIXES)
    if not readable:
        what = f"{len(passed)} files of other kinds ({passed[0]})" if passed else "nothing"
        raise SourceError(
            f"source.path: {path} holds {what} and no .parquet, .csv, .txt or .tsv file: put bars there, or name"
            " another path"
        )
    return readable


def passed_over(source: SourceConfig) -> list[PassedOver]:
    """List the files that are not read, with the reasons.

    Parameters
    ----------
    source : SourceConfig
        Its path, columns and asset class.

    Returns
    -------
    list of PassedOver
        Files of other kinds, and those whose instruments can't be named.
    """
    return _found(source).passed


def listing(source: SourceConfig) -> pl.DataFrame:
    """List every instrument of the files, also those whose file can't be read.

    Parameters
    ----------
    source : SourceConfig
        Its path, columns and asset class.

    Returns
    -------
    DataFrame
        asset_class, symbol; sorted, unique in any case: where files write a symbol as aapl and as AAPL, AAPL.

    Raises
    ------
    ConfigError
        If no file says its asset class.
    SourceError
        If no instrument can be named.
    """
    found = _found(source)
    rows = [(str(f.asset_class), str(f.symbol)) for f in found.readable if not f.is_table]
    rows += [each.ended.key for each in found.unusable]
    kinds = dict.fromkeys(KEY, pl.String())
    tables = [found.keys(f, source)[0] for f in found.readable if f.is_table]
    keys = pl.concat([pl.DataFrame(rows, schema=kinds, orient="row"), *tables]).unique().sort(KEY)
    if keys.is_empty():
        reasons = [error for f in found.readable if (error := found.keys(f, source)[1])]
        reasons += [str(each) for each in found.passed]
        raise SourceError(reasons[0] if reasons else f"source.path: {source.path} names no instrument: put bars there")
    first = keys.group_by("asset_class", pl.col("symbol").str.to_lowercase().alias("any_case"), maintain_order=True)
    return first.agg(pl.first("symbol")).select(KEY).sort(KEY)


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
    found = _found(source)
    wanted = _Wanted(selection.wanted)
    origins = [
        origin
        for f in found.readable
        for origin in (FileOrigin(f.name, f.is_part, _place(f), f.layout.unused), _respelled(f))
    ]
    numbered = list(enumerate(found.readable))
    shutil.rmtree(scratch, ignore_errors=True)
    lost = _split([(n, f) for n, f in numbered if f.is_table], found, source, selection.interval, wanted, scratch)
    for each in found.unusable:
        if (key := wanted.key(*each.ended.key)) is not None:
            lost.append(LostFile(replace(each.ended, symbol=key[1]), each.is_part))
    singles: dict[int, list[tuple[int, TableFile]]] = {}
    for number, file in numbered:
        if not file.is_table and (key := wanted.key(str(file.asset_class), str(file.symbol))) is not None:
            singles.setdefault(wanted.buckets[key], []).append((number, file))
    for b in sorted(set(wanted.buckets.values())):
        bad = [each for each in lost if wanted.buckets[each.ended.key] == b]
        parts = sorted(scratch.glob(f"*/bucket={b}.parquet"))
        frames = [pl.read_parquet(part, hive_partitioning=False, glob=False) for part in parts]
        for number, file in singles.get(b, []):
            read = _single(file, number, source, selection.interval, wanted)
            if isinstance(read, LostFile):
                bad.append(read)
            else:
                frames += read
        yield _batch(b, frames, bad, origins)
    shutil.rmtree(scratch, ignore_errors=True)


def _found(source: SourceConfig) -> Inspection:
    return inspection(files(source), located(source.path), source)


class _Wanted:
    """The selected instruments, found in any case.

    Attributes
    ----------
    buckets : dict of (asset_class, symbol) to int
        Bucket of each.
    """

    def __init__(self, wanted: pl.DataFrame) -> None:
        self.buckets = {(kind, symbol): int(b) for kind, symbol, b in wanted.select(*KEY, "bucket").iter_rows()}
        self._any_case = {(kind, symbol.lower()): (kind, symbol) for kind, symbol in self.buckets}

    def key(self, asset_class: str, symbol: str) -> Key | None:
        """The selected instrument of a name as a file has it; None if it is not selected."""
        return self._any_case.get((asset_class, symbol.lower()))

    def of(self, rows: pl.DataFrame, number: int) -> pl.DataFrame:
        """The selected rows of a table, under the selected names, with their bucket and origin."""
        runs = Runs(rows, KEY)
        names = runs.heads.unique().drop_nulls()
        keys = [(*name, key[1], self.buckets[key]) for name in names.iter_rows() if (key := self.key(*name))]
        kinds = dict.fromkeys((*KEY, "name"), pl.String()) | {"bucket": pl.Int32()}
        named = pl.DataFrame(keys, schema=kinds, orient="row")
        origin = (2 * number + (pl.col("symbol") != pl.col("name")).cast(pl.UInt32)).cast(pl.UInt32).alias(ORIGIN)
        chosen = runs.heads.join(named, on=KEY, how="left", maintain_order="left")
        chosen = chosen.select("bucket", origin, pl.col("name").alias("symbol"))
        rows = rows.drop(LINE).with_columns(runs.expanded(chosen).get_columns())
        return rows.drop_nulls("bucket") if rows["bucket"].null_count() else rows


def _respelled(file: TableFile) -> FileOrigin:
    """The rows of a file whose symbol is written in other letters than the instrument's."""
    return FileOrigin(f"{file.name} (in other letters)", False, _place(file), file.layout.unused)


def _place(file: TableFile) -> str:
    """What the data quality page counts by: a table, or the folder of a file of one instrument, without Hive's keys."""
    if file.is_table:
        return file.name
    return "/".join(part for part in PurePath(file.name).parent.parts if "=" not in part)


def _single(
    file: TableFile, number: int, source: SourceConfig, interval: str, wanted: _Wanted
) -> list[pl.DataFrame] | LostFile:
    """Rows of a file of one instrument with their origin, or why it can't be read."""
    key = wanted.key(str(file.asset_class), str(file.symbol))
    assert key is not None
    origin = pl.lit(2 * number + (file.symbol != key[1]), pl.UInt32).alias(ORIGIN)
    try:
        parts = list(file.cells(source, interval).chunks())
    except READ_ERRORS as error:
        return LostFile(EndState(*key, state_of(error), unreadable(file.path, error)), file.is_part)
    return [part.drop(LINE).with_columns(origin, pl.lit(key[1]).alias("symbol")) for part in parts]


def _split(
    tables: Sequence[tuple[int, TableFile]], found: Inspection, source: SourceConfig, interval: str, wanted: _Wanted,
    scratch: Path,
) -> list[LostFile]:  # fmt: skip
    """Write the selected rows of tables to parts by bucket, and return the instruments of those that can't be read."""
    held: list[pl.DataFrame] = []
    lost: list[LostFile] = []
    writes = 0
    for number, table in tables:
        try:
            for chunk in table.cells(source, interval).chunks():
                held.append(wanted.of(chunk, number))
                if sum(frame.height for frame in held) >= _CHUNK:
                    _write(held, scratch / f"{writes:05d}")
                    held, writes = [], writes + 1
        except READ_ERRORS as error:
            keys = (wanted.key(*key) for key in found.keys(table, source)[0].iter_rows())
            reason = unreadable(table.path, error)
            lost += [LostFile(EndState(*key, state_of(error), reason), True) for key in keys if key is not None]
    _write(held, scratch / f"{writes:05d}")
    return lost


def _write(frames: Sequence[pl.DataFrame], folder: Path) -> None:
    if not frames:
        return
    folder.mkdir(parents=True, exist_ok=True)
    rows = pl.concat(frames, how="vertical_relaxed")
    for (b,), part in rows.partition_by("bucket", as_dict=True, include_key=False, maintain_order=True).items():
        part.write_parquet(folder / f"bucket={b}.parquet", compression="uncompressed", statistics=False)  # read once


def _batch(b: int, frames: Sequence[pl.DataFrame], lost: Sequence[LostFile], origins: Sequence[FileOrigin]) -> Batch:
    """The rows of a bucket, without instruments of which a part can't be read."""
    if not frames:
        kinds = {"asset_class": pl.String(), "symbol": pl.String(), "date": pl.Date()}
        nothing = pl.DataFrame(schema=kinds | dict.fromkeys(NUMBERS, pl.Float64()))
        return Batch(b, nothing, [each.ended for each in lost])
    rows = pl.concat(frames, how="vertical_relaxed")
    numbers = dict(zip(*several_files.files_of(rows), strict=True))
    places = {key: place for key, files_read in numbers.items() if (place := origins[files_read[0]].place)}
    held = numbers.keys()
    bad = [each.ended for each in lost if each.is_part or each.ended.key not in held]
    if rows[FAULT].null_count() < rows.height:
        faults = rows.drop_nulls(FAULT).group_by(KEY, maintain_order=True).agg(pl.first(FAULT), pl.len().alias("n"))
        for kind, symbol, fault, n in faults.iter_rows():
            said = fault if n == 1 else f"{fault} ({n:,} lines like this)"
            bad.append(EndState(kind, symbol, "quarantined", said, rule="unreadable"))
    if bad:
        out = pl.DataFrame([ended.key for ended in bad], schema=dict.fromkeys(KEY, pl.String()), orient="row").unique()
        rows = rows.join(out, on=KEY, how="anti", maintain_order="left")
    rows, differing, remarks = several_files.joined(rows.drop(FAULT), origins)
    out_of_use = {each.key for each in (*bad, *differing)}
    for key, files_read in numbers.items():
        unused = list(dict.fromkeys(name for n in files_read for name in origins[n].unused))
        if unused and key not in out_of_use:
            remarks.setdefault(key, []).append(_unused(unused))
    for each in lost:
        if not each.is_part and each.ended.key in held:
            note = BarFinding("unreadable", "noted", f"another file of it is not read: {each.ended.reason}")
            remarks.setdefault(each.ended.key, []).append(note)
    return Batch(b, rows, [*bad, *differing], origins=places, remarks=remarks)


def _unused(names: Sequence[str]) -> BarFinding:
    several = len(names) > 1
    said = (
        f"column{'s' if several else ''} {', '.join(names[:4])} {'are' if several else 'is'} not used: name a dividend,"
        f" a split or an adjusted close with {setting('dividend', names[0])}, or split or adj_close"
    )
    return BarFinding("unused_column", "noted", said)


SOURCE = FileSource("folder", listing, bars, files, archive=True, passed_over=passed_over)
