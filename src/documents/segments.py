"""Files of the store: segments of documents, and how they are named, written and read.

A segment holds documents of one source that were first seen in one month, with their bodies in small row groups, so
that a few bodies are read without the others. Its name is the hash of its rows.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from src.config.commands import command
from src.core.errors import StageError
from src.core.hashing import table_digest
from src.documents.document import DOCUMENTS
from src.storage import atomic

if TYPE_CHECKING:
    import pyarrow as pa
    from numpy.typing import NDArray

STORED: dict[str, Any] = DOCUMENTS | {"body": pl.Binary()}
PIECE = 128 * 2**20  # bytes of bodies in one segment, and in memory while it is written
LOG, ASKS = "log", "asks"
_GROUP_BYTES, _GROUP_ROWS = 2 * 2**20, 4096  # of a row group, whichever is reached first
_SOURCE, _MONTH = re.compile(r"(?!log$)[a-z][a-z0-9_-]*"), re.compile(r"\d{4}-\d{2}")
_FILE = re.compile(r"[0-9a-f]{24}\.parquet")


def body_hash(body: bytes) -> str:
    """Hash of a body: 32 hexadecimal digits.

    Parameters
    ----------
    body : bytes

    Returns
    -------
    str
    """
    return hashlib.blake2b(body, digest_size=16).hexdigest()


def is_source(name: str) -> bool:
    """Whether a name can be that of a source, and so of its folder.

    Parameters
    ----------
    name : str

    Returns
    -------
    bool
    """
    return _SOURCE.fullmatch(name) is not None


def sources(root: Path) -> list[str]:
    """Sources that have a folder.

    Parameters
    ----------
    root : Path
        Folder of the store; it may be absent.

    Returns
    -------
    list of str
        Sorted.
    """
    return [path.name for path in _listed(root) if is_source(path.name) and path.is_dir()]


def segments(root: Path, source: str) -> list[Path]:
    """Segments of a source; other files in its folder are no part of the store.

    Parameters
    ----------
    root : Path
    source : str

    Returns
    -------
    list of Path
        Sorted.
    """
    months = (path for path in _listed(root / source) if _MONTH.fullmatch(path.name))
    return [path for month in months for path in _files(month)]


def ask_files(root: Path, source: str) -> list[Path]:
    """Tables of what was asked of a source.

    Parameters
    ----------
    root : Path
    source : str

    Returns
    -------
    list of Path
        Sorted.
    """
    return _files(root / source / ASKS)


def log_files(root: Path) -> list[Path]:
    """Batches that are not sealed.

    Parameters
    ----------
    root : Path

    Returns
    -------
    list of Path
        Sorted.
    """
    return _files(root / LOG)


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn an error of reading a file of the store into one that names it and the remedy.

    Parameters
    ----------
    path : Path

    Raises
    ------
    StageError
        If reading fails. A file that is missing still raises `FileNotFoundError`: another process has sealed it.
    """
    import pyarrow as pa

    remedy = (
        "copy it again from the machine or remote that has it whole, or move it away, "
        f"and `{command('ingest')}` with its source collects what it can again"
    )
    try:
        with atomic.read_errors(path, remedy):
            yield
    except pa.ArrowException as error:
        cause = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise StageError(f"{path.as_posix()} can't be read ({cause}): {remedy}") from error


def read_columns(path: Path, columns: Sequence[str]) -> pl.DataFrame:
    """Read some columns of a segment or of a batch of the log.

    Parameters
    ----------
    path : Path
    columns : sequence of str
        Of `STORED`.

    Returns
    -------
    DataFrame

    Raises
    ------
    StageError
        If it can't be read.
    FileNotFoundError
        If it is not there any more.
    """
    with reading(path):
        return pl.read_parquet(path, columns=list(columns), glob=False, hive_partitioning=False).select(
            pl.col(name).cast(STORED[name]) for name in columns
        )


def read_bodies(path: Path, rows: NDArray[np.int64]) -> list[bytes]:
    """Read bodies of some rows; row groups without any of them are not read.

    Parameters
    ----------
    path : Path
        A segment or a batch of the log.
    rows : numbers of rows in the file, in any order, shape (n,)

    Returns
    -------
    list of bytes
        In the order of `rows`.

    Raises
    ------
    StageError
        If the file can't be read, or a body is not what its hash says.
    FileNotFoundError
        If it is not there any more.
    """
    import pyarrow.parquet as pq

    found: dict[int, bytes] = {}
    with reading(path), pq.ParquetFile(path, memory_map=False, page_checksum_verification=True) as file:
        sizes = [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]
        starts = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
        places = np.searchsorted(starts, rows, side="right") - 1
        for group in np.unique(places):
            table = file.read_row_group(int(group), columns=["content_hash", "body"])
            for row in np.unique(rows[places == group]).tolist():
                inside = row - int(starts[group])
                body = found[row] = table["body"][inside].as_py()
                if body_hash(body) != table["content_hash"][inside].as_py():
                    raise OSError(f"the body of row {row} is damaged")
    return [found[row] for row in rows.tolist()]


def write_segment(root: Path, source: str, month: str, rows: pl.DataFrame) -> Path:
    """Write a segment; a power cut after the return loses nothing of it.

    Parameters
    ----------
    root : Path
    source : str
    month : str
        Such as ``2024-03``.
    rows : DataFrame
        Columns of `STORED`.

    Returns
    -------
    Path
    """
    rows = rows.sort("kind", "entity", "first_seen", "id", "revision")
    path = root / source / month / f"{table_digest(rows.select(DOCUMENTS.keys()))}.parquet"
    if not path.is_file():
        atomic.write_atomic(path, lambda temporary: _write(rows, temporary))
    for folder in (path.parent.parent, root):
        atomic.sync_folder(folder)
    return path


def spans(sizes: Sequence[int], most: int, rows: int | None = None) -> Iterator[tuple[int, int]]:
    """Cut rows into parts of bounded size.

    Parameters
    ----------
    sizes : sequence of int
        Bytes of each row.
    most : int
        Bytes of a part; a row that is larger is a part of its own.
    rows : int, optional
        Rows of a part.

    Yields
    ------
    (int, int)
        First row of a part, and the one after its last.

    Examples
    --------
    >>> list(spans([3, 3, 9, 1], 6))
    [(0, 2), (2, 3), (3, 4)]
    """
    begin, total = 0, 0
    for row, size in enumerate(sizes):
        if row > begin and (total + size > most or (rows is not None and row - begin >= rows)):
            yield begin, row
            begin, total = row, 0
        total += size
    if sizes:
        yield begin, len(sizes)


def _write(rows: pl.DataFrame, path: Path) -> None:
    import pyarrow.parquet as pq

    table: pa.Table = rows.to_arrow(compat_level=pl.CompatLevel.oldest())
    plain = [name for name in STORED if name not in ("source", "kind", "entity")]
    writer = pq.ParquetWriter(
        path,
        table.schema,
        compression="zstd",
        compression_level=3,
        use_dictionary=[name for name in STORED if name not in plain],
        write_statistics=[name for name in STORED if name not in ("body", "fields", "title", "url")],
        write_page_checksum=True,
    )
    with writer:
        for begin, end in spans(rows["size"].to_list(), _GROUP_BYTES, _GROUP_ROWS):
            writer.write_table(table.slice(begin, end - begin), row_group_size=end - begin)


def _files(folder: Path) -> list[Path]:
    return [path for path in _listed(folder) if _FILE.fullmatch(path.name)]


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
