"""Stooq's bulk download, as a zip or as the folder it was unpacked to: one text file for each instrument, by market.

The asset class is in the path (``nasdaq stocks``, ``nyse etfs``, ``cryptocurrencies``); files without one (indices,
bonds, currencies) are left out. Prices are adjusted for splits and dividends: total-return prices.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path, PurePosixPath

import polars as pl

from src.config.schema import SourceConfig
from src.core.end_state import EndState
from src.core.finding import BarFinding
from src.core.instruments import KEY, Key
from src.sources import folder_files, several_files
from src.sources.declaration import Batch, FileSource, Selection, SourceError
from src.sources.files import asset_class, located

HEADER = "<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>"
_FIELDS = {"<OPEN>": "open", "<HIGH>": "high", "<LOW>": "low", "<CLOSE>": "close", "<VOL>": "volume"}
_RAW = {"asset_class": pl.String(), "symbol": pl.String(), "date": pl.Date()} | dict.fromkeys(
    _FIELDS.values(), pl.Float64()
)


def files(source: SourceConfig) -> list[Path]:
    """List the files that the source reads.

    Parameters
    ----------
    source : SourceConfig
        Its path is the zip or the unpacked folder.

    Returns
    -------
    list of Path
        The zip, or the text files of the folder, sorted.

    Raises
    ------
    ConfigError
        If the path does not exist.
    SourceError
        If nothing in it has Stooq's layout.
    """
    path = located(source.path)
    if path.is_file():
        if not zipfile.is_zipfile(path):
            raise SourceError(f"source.path: {path.name} is not a complete zip: download it again, or name the folder")
        return [path]
    texts = folder_files.readable_files(path, (".txt",))[0]
    if not texts:
        raise SourceError(
            f"source.path: {path} holds no .txt file of Stooq's layout (data/daily/us/nasdaq stocks/1/aapl.us.txt):"
            " name the zip as downloaded, or the folder it was unpacked to"
        )
    return texts


def listing(source: SourceConfig) -> pl.DataFrame:
    """List every instrument of the archive.

    Parameters
    ----------
    source : SourceConfig
        Its path.

    Returns
    -------
    DataFrame
        asset_class, symbol; sorted.

    Raises
    ------
    SourceError
        If no path names an asset class.
    """
    keys = sorted(_members(source))
    if not keys:
        raise SourceError(
            f"source.path: no folder of {source.path} names stocks, etfs or cryptocurrencies, as Stooq's layout does"
        )
    return pl.DataFrame(keys, schema=dict.fromkeys(KEY, pl.String()), orient="row").sort(KEY)


def bars(source: SourceConfig, selection: Selection, scratch: Path) -> Iterator[Batch]:  # noqa: ARG001 (not needed)
    """Yield the rows of the selected instruments bucket by bucket.

    Parameters
    ----------
    source : SourceConfig
        Its path.
    selection : Selection
        Instruments; the archive need not have all of them.
    scratch : Path
        Not used.

    Yields
    ------
    Batch
        Of each bucket of the selection, ascending. Instruments whose file is empty or has a cell that is no number, or
        whose two files differ, are quarantined; those whose file can't be read have failed.
    """
    members = _members(source)
    path = located(source.path)
    with zipfile.ZipFile(path) if path.is_file() else nullcontext() as archive:
        for (b,), wanted in sorted(selection.wanted.partition_by("bucket", as_dict=True).items()):
            frames, unusable, several, places = [], [], [], {}
            for kind, symbol in wanted.select(KEY).rows():
                names = members.get((kind, symbol), [])  # none: listed by another source
                for name in names:
                    places[kind, symbol] = _place(name)
                    try:
                        content = archive.read(name) if archive else Path(name).read_bytes()
                        rows = _rows(content, kind, symbol)
                    except _READ_ERRORS as error:
                        unusable.append(_unusable(kind, symbol, PurePosixPath(name).name, error))
                        continue
                    if len(names) > 1:
                        several.append((name, rows))
                    else:
                        frames.append(rows)
            joined, differing, remarks = _joined(several)
            bars = pl.concat([*frames, joined]) if frames or several else pl.DataFrame(schema=_RAW)
            yield Batch(int(str(b)), bars, [*unusable, *differing], origins=places, remarks=remarks)


def _place(name: str) -> str:
    """The folder of a file that says what is in it, such as ``nasdaq stocks``; numbered ones don't."""
    return next((part for part in reversed(PurePosixPath(name).parent.parts) if not part.isdigit()), "")


def _joined(
    several: list[tuple[str, pl.DataFrame]],
) -> tuple[pl.DataFrame, list[EndState], dict[Key, list[BarFinding]]]:
    """The rows of instruments of which the archive has two files, as two markets or two folders have them."""
    origins = [several_files.FileOrigin("/".join(PurePosixPath(name).parts[-3:]), False) for name, _ in several]
    numbered = [
        rows.with_columns(pl.lit(n, pl.UInt32).alias(several_files.ORIGIN)) for n, (_, rows) in enumerate(several)
    ]
    if not numbered:
        return pl.DataFrame(schema=_RAW), [], {}
    return several_files.joined(pl.concat(numbered), origins)


class _Unfit(ValueError):
    """A file without rows, of which Stooq has some, or with a cell that is no number."""


_READ_ERRORS = (
    ValueError, OSError, EOFError, RuntimeError, zlib.error, zipfile.BadZipFile, pl.exceptions.PolarsError,
)  # fmt: skip
"""What reading a member may raise: RuntimeError where it is encrypted or packed in a way that Python lacks."""


def _unusable(kind: str, symbol: str, name: str, error: Exception) -> EndState:
    first = (str(error).strip() or type(error).__name__).splitlines()[0]
    return EndState(kind, symbol, "quarantined" if isinstance(error, _Unfit) else "failed", f"{name} {first}")


def _members(source: SourceConfig) -> dict[Key, list[str]]:
    """Daily files of each instrument by its key, nearly always one."""
    paths = files(source)
    names = [path.as_posix() for path in paths]
    if located(source.path).is_file():
        with zipfile.ZipFile(paths[0]) as archive:
            names = [name for name in archive.namelist() if name.lower().endswith(".txt")]
    members: dict[Key, list[str]] = {}
    for name in sorted(names):
        inside = PurePosixPath(name)
        parts = {part.lower() for part in inside.parts}
        if parts & {"hourly", "5 min", "__macosx"} or inside.name.startswith("."):
            continue
        kind = asset_class(Path(name), split_names=True) or source.asset_class
        if kind is not None:
            members.setdefault((kind, _symbol(inside.name)), []).append(name)
    return members


def _symbol(name: str) -> str:
    """AAPL of aapl.us.txt, BTC of btc.v.txt, BRK-B of brk-b.us.txt."""
    stem = name[: -len(".txt")]
    return stem.rpartition(".")[0].upper() or stem.upper()


def _rows(content: bytes, asset_class: str, symbol: str) -> pl.DataFrame:
    if not content.strip():
        raise _Unfit("is empty")
    head = content[:200].splitlines()[0].decode("utf-8", errors="replace")
    if not head.upper().startswith(HEADER):
        raise ValueError(f"is not in Stooq's layout: its first line reads '{head[:80]}', expected '{HEADER}...'")
    kinds = {name: pl.Float64() for name in _FIELDS} | {"<DATE>": pl.String(), "<PER>": pl.String()}
    table = pl.read_csv(io.BytesIO(content), columns=["<PER>", "<DATE>", *_FIELDS], schema_overrides=kinds,
                        ignore_errors=True, encoding="utf8-lossy", truncate_ragged_lines=True)  # fmt: skip
    if not table.height:
        raise _Unfit("has a header and no rows")
    if any(table.select(*_FIELDS).null_count().row(0)) or table["<DATE>"].null_count():
        _refuse_text(content)
    return table.filter(pl.col("<PER>") == "D").select(
        pl.lit(asset_class).alias("asset_class"),
        pl.lit(symbol).alias("symbol"),
        pl.col("<DATE>").str.to_date("%Y%m%d", strict=False).alias("date"),
        *(pl.col(theirs).alias(ours) for theirs, ours in _FIELDS.items()),
    )


def _refuse_text(content: bytes) -> None:
    """Refuse a file with a cell that is no number: an empty cell is a missing value, other text is not."""
    cells = pl.read_csv(io.BytesIO(content), infer_schema=False, encoding="utf8-lossy", truncate_ragged_lines=True)
    for name in _FIELDS:
        text = cells[name].str.strip_chars()
        wrong = text.is_not_null() & (text != "") & text.cast(pl.Float64, strict=False).is_null()
        if wrong.any():
            at = wrong.arg_max() or 0
            raise _Unfit(f"line {at + 2}, column {name}: '{text[at]}' is no number: download the archive again")


SOURCE = FileSource("stooq", listing, bars, files, archive=True)
