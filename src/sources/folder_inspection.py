"""What each file of a folder holds: its columns, its instruments, or the reason why it can't be read."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from src.config.schema import SourceConfig
from src.core.end_state import EndState
from src.core.errors import ConfigError
from src.core.instruments import KEY
from src.sources import folder_files
from src.sources.cells import BarCells
from src.sources.column_error import ColumnError
from src.sources.columns import Layout, layout
from src.sources.declaration import SourceError
from src.sources.file_names import named_files
from src.sources.files import CLASS_SPELLINGS, stamp
from src.sources.folder_files import PassedOver

_PACKED = (".gz", ".zip", ".bz2", ".xz", ".zst")
SUFFIXES = (".parquet", ".pq", *(text + packed for text in (".csv", ".txt", ".tsv") for packed in ("", *_PACKED)))
READ_ERRORS = (pl.exceptions.PolarsError, ColumnError, OSError, UnicodeError, EOFError)
"""What reading a file may raise: it costs the file's instruments and no others."""
_TICKER = re.compile(r"[A-Z0-9^][A-Z0-9.\-^=]{0,9}")


@dataclass(frozen=True)
class TableFile:
    """One readable file.

    Attributes
    ----------
    path : Path
        The file.
    name : str
        Its path below the source's, for messages.
    layout : Layout
        Its columns.
    asset_class : str or None
        From its folder or the settings; None if a column has it.
    symbol : str or None
        From its name or folder; None for a table, which has a column for it.
    is_part : bool
        Whether other files may hold the rest of its instruments.
    """

    path: Path
    name: str
    layout: Layout
    asset_class: str | None
    symbol: str | None
    is_part: bool

    @property
    def is_table(self) -> bool:
        """Whether the file holds many instruments."""
        return self.symbol is None

    def cells(self, source: SourceConfig, interval: str = "1d") -> BarCells:
        """The cells of the file.

        Parameters
        ----------
        source : SourceConfig
            Its time zone.
        interval : str
            Length of a bar.
        """
        form = self.layout
        return BarCells(
            self.path,
            form.columns,
            form.text,
            interval,
            self.asset_class,
            self.symbol,
            source.time_zone,
            form.shape,
            form.scales,
        )


@dataclass(frozen=True)
class LostFile:
    """A file that can't be read, and the instrument whose bars it should hold.

    Attributes
    ----------
    ended : EndState
        The instrument and the reason.
    is_part : bool
        Whether the instrument has a hole without this file, and is not another copy of it.
    """

    ended: EndState
    is_part: bool


@dataclass(frozen=True)
class Inspection:
    """What was found in a folder.

    Attributes
    ----------
    readable : list of TableFile
        In the order of their paths.
    unusable : list of LostFile
        Files that can't be read but name their instrument.
    passed : list of PassedOver
        Files that are not read and name no instrument.
    """

    readable: list[TableFile]
    unusable: list[LostFile]
    passed: list[PassedOver]
    _keys: dict[Path, tuple[pl.DataFrame, str]] = field(default_factory=dict)

    def keys(self, table: TableFile, source: SourceConfig) -> tuple[pl.DataFrame, str]:
        """The instruments of a table, read once.

        Parameters
        ----------
        table : TableFile
            One of `readable`.
        source : SourceConfig
            Its time zone.

        Returns
        -------
        keys : DataFrame
            asset_class and symbol; those read before a fault, if the table is damaged.
        reason : str
            What is wrong with the table; empty if nothing is.
        """
        if table.path not in self._keys:
            self._keys[table.path] = found = _keys(table, source)
            if found[1]:
                self.passed.append(PassedOver(table.path, found[1].removeprefix(f"{table.path.name} ")))
        return self._keys[table.path]


def inspection(paths: Sequence[Path], root: Path, source: SourceConfig) -> Inspection:
    """Look into every file of a folder; again only when one of them has changed.

    Parameters
    ----------
    paths : sequence of Path
        From `src.sources.folder.files`.
    root : Path
        Folder that the source names, or its only file.
    source : SourceConfig
        Its columns and asset class.

    Returns
    -------
    Inspection
        Of all of them.

    Raises
    ------
    ConfigError
        If no file says its asset class.
    SourceError
        If none can be read and none names an instrument.
    """
    return _inspected(root, stamp(paths), tuple(paths), tuple(source.columns.items()), source.asset_class)


@functools.lru_cache(maxsize=1)
def _inspected(
    root: Path, _stamp: str, paths: tuple[Path, ...], columns: tuple[tuple[str, str], ...], asset_class: str | None
) -> Inspection:
    passed = folder_files.readable_files(root, SUFFIXES)[1] if root.is_dir() else []
    base = root if root.is_dir() else root.parent
    readable: list[TableFile] = []
    unusable: list[LostFile] = []
    unnamed, classless = [], []
    for named in named_files(paths, root, SUFFIXES):
        kind = named.asset_class or asset_class
        try:
            form = layout(named.path, dict(columns), named.day)
        except READ_ERRORS as error:
            reason = unreadable(named.path, error)
            if kind and named.symbol:
                ended = EndState(kind, named.symbol, state_of(error), reason)
                unusable.append(LostFile(ended, named.is_part))
            else:
                unnamed.append(PassedOver(named.path, reason.removeprefix(f"{named.path.name} ")))
            continue
        is_table = "symbol" in form.columns
        if kind is None and "asset_class" not in form.columns:
            classless.append(PassedOver(named.path, _CLASSLESS))
        elif not is_table and not named.symbol:
            unnamed.append(PassedOver(named.path, _NAMELESS))
        else:
            below = named.path.relative_to(base).as_posix()
            symbol = None if is_table else named.symbol
            readable.append(TableFile(named.path, below, form, kind, symbol, is_table or named.is_part))
    if not readable and classless:
        raise ConfigError(f"source.asset_class: {classless[0]}")
    if not readable and (unusable or unnamed):
        reasons = [each.ended.reason for each in unusable] + [str(each) for each in unnamed]
        raise SourceError(reasons[0] + (f" ({len(reasons):,} files like this)" if len(reasons) > 1 else ""))
    instruments, others = _of_other_kinds(passed, asset_class, readable, unusable)
    return Inspection(readable, [*unusable, *instruments], [*others, *unnamed, *classless])


_CLASSLESS = (
    "does not say its asset class: set source.asset_class=stock (or etf, crypto), or put files in folders named stocks,"
    " etfs and crypto"
)
_NAMELESS = (
    "has no column for the symbol, and neither its name nor its folder is one: rename it after its symbol, such as"
    " AAPL.csv, or name the column with source.columns.symbol=<column>"
)


def _of_other_kinds(
    passed: Sequence[PassedOver], asset_class: str | None, readable: Sequence[TableFile], unusable: Sequence[LostFile]
) -> tuple[list[LostFile], list[PassedOver]]:
    """Files of other kinds: the instruments that their names say, and those that name none."""
    known = {(f.asset_class, str(f.symbol).lower()) for f in readable}
    known |= {(each.ended.asset_class, each.ended.symbol.lower()) for each in unusable}
    instruments, others = [], []
    names = named_files([each.path for each in passed], Path(), ())
    for each, named in zip(passed, names, strict=True):
        kind = named.asset_class or asset_class
        is_symbol = _TICKER.fullmatch(each.path.stem) is not None and each.path.suffix != ""
        if kind and is_symbol and (kind, each.path.stem.lower()) not in known:
            instruments.append(LostFile(EndState(kind, each.path.stem, "skipped", str(each)), False))
            known.add((kind, each.path.stem.lower()))
        else:
            others.append(each)
    return instruments, others


def _keys(file: TableFile, source: SourceConfig) -> tuple[pl.DataFrame, str]:
    keys, reason = pl.DataFrame(schema=dict.fromkeys(KEY, pl.String())), ""
    try:
        for part in file.cells(source).instruments():
            keys = pl.concat([keys, part]).unique()
    except READ_ERRORS as error:
        reason = unreadable(file.path, error)
    known = pl.col("asset_class").is_in(list(CLASS_SPELLINGS)).fill_null(False)
    unknown = keys.filter(~known)
    if unknown.height and not reason:
        values = ", ".join(sorted({str(value) for value in unknown["asset_class"]})[:5])
        reason = (
            f"{file.path.name} has rows of other classes: asset class must be stock, etf or crypto, got {values}:"
            " name another column with source.columns.asset_class=<column>"
        )
    nameless = pl.col("symbol").is_null() | (pl.col("symbol") == "")
    if keys.filter(nameless).height and not reason:
        column = file.layout.columns["symbol"]
        reason = (
            f"{file.path.name} has rows without a symbol in column {column}, which are left out: write it in each row"
        )
    return keys.filter(known & ~nameless).sort(KEY), reason


def state_of(error: Exception) -> str:
    """State of the instruments of a file that can't be read.

    Parameters
    ----------
    error : Exception
        One of `READ_ERRORS`.

    Returns
    -------
    str
        ``failed``, or what the error says.
    """
    return error.state if isinstance(error, ColumnError) else "failed"


def unreadable(path: Path, error: Exception) -> str:
    """One sentence on a file that can't be read.

    Parameters
    ----------
    path : Path
        The file.
    error : Exception
        One of `READ_ERRORS`.

    Returns
    -------
    str
        With the file's name and the remedy.
    """
    if isinstance(error, ColumnError):
        return str(error)
    if isinstance(error, PermissionError):
        return f"{path.name} can't be opened ({error.strerror}): give yourself the right to read it"
    first = (str(error).strip() or type(error).__name__).splitlines()[0]
    return f"{path.name} can't be read ({first[:160]}): it may be truncated; fetch it again"
