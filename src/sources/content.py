"""Content of a file, whatever its name says: compression, encoding, and kinds of file that are no table."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from src.sources.column_error import ColumnError

HEAD = 1 << 16
"""Bytes from which the layout of a file is found."""
_GZIP, _ZIP, _BZIP2, _XZ, _ZSTD = b"\x1f\x8b", b"PK\x03\x04", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd"
_COMPRESSIONS = (_GZIP, _ZIP, _BZIP2, _XZ, _ZSTD)
_KINDS = (
    (b"PAR1", "a Parquet file: end its name in .parquet"),
    (b"ARROW1", "an Arrow file: save it as Parquet or CSV"),
    (b"\xd0\xcf\x11\xe0", "an Excel workbook: save it as CSV UTF-8"),
    (b"SQLite format 3", "an SQLite database: export it as CSV"),
    (b"\x89HDF", "an HDF5 file: save it as Parquet or CSV"),
    (b"\x80\x04", "a pickle, which is never opened: save it as Parquet or CSV"),
    (b"\x80\x05", "a pickle, which is never opened: save it as Parquet or CSV"),
    (b"%PDF", "a PDF: save the table as CSV"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive: unpack it"),
    (b"Rar!", "a RAR archive: unpack it"),
)
_BOMS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_FAULTS = (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, NotImplementedError)


def truncated(path: Path, error: Exception | str) -> ColumnError:
    """The error of a file whose content ends, or breaks, before its time."""
    first = (str(error).strip() or type(error).__name__).splitlines()[0][:160]
    return ColumnError(f"{path.name} can't be read ({first}): it may be truncated; fetch it again")


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """Open the bytes of a file, unpacked if they are compressed.

    Parameters
    ----------
    path : Path
        The file. Its first bytes decide: gzip, zip with one file inside, bzip2, xz or zstd; else as it is.

    Yields
    ------
    file object
        Binary.

    Raises
    ------
    ColumnError
        If the compressed content is broken, or a zip holds several files.
    """
    try:
        with path.open("rb") as stream:
            magic = stream.read(6)
        if magic.startswith(_ZIP):
            with zipfile.ZipFile(path) as archive, archive.open(_member(path, archive)) as inside:
                yield inside
        else:
            with _stream(path, magic) as stream:
                yield stream
    except _FAULTS as error:
        raise truncated(path, error) from error


def compression(path: Path) -> bytes | None:
    """First bytes that name the compression of a file; None if it is not compressed."""
    with path.open("rb") as stream:
        magic = stream.read(6)
    return next((kind for kind in _COMPRESSIONS if magic.startswith(kind)), None)


def is_scannable(path: Path) -> bool:
    """Whether Polars itself unpacks the file: one that is not compressed, gzip or zstd."""
    return compression(path) in (None, _GZIP, _ZSTD)


def head(path: Path) -> bytes:
    """First bytes of a file, unpacked.

    Parameters
    ----------
    path : Path
        A file of text.

    Returns
    -------
    bytes
        At most `HEAD`.

    Raises
    ------
    ColumnError
        If the file is empty, broken, or something else than text, which the message names.
    """
    with opened(path) as stream:
        start = stream.read(HEAD)
    if not start.strip(b"\x00 \t\r\n\xef\xbb\xbf\xff\xfe"):
        raise ColumnError(f"{path.name} is empty", "quarantined")
    kind = next((kind for magic, kind in _KINDS if start.startswith(magic)), None)
    if kind is None and start[:4096].lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<" and b">" in start:
        page = b"<html" in start[:4096].lower() or b"<!doctype" in start[:4096].lower()
        if page:
            kind = "a web page, perhaps a provider's error: fetch the file again"
        elif start.lstrip(b"\xef\xbb\xbf \t\r\n")[:2] in (b"<?", b"<m", b"<r"):
            kind = "XML: save it as CSV"
    if kind is None and start.lstrip(b"\xef\xbb\xbf \t\r\n")[:2] in (
        b'{"',
        b"[{",
        b"[[",
        b"{\n",
        b"{\r",
        b"[\n",
        b"{}",
    ):
        kind = "JSON, perhaps a provider's error: save it as CSV, or fetch it again"
    if kind is not None:
        raise ColumnError(f"{path.name} is no table of text but {kind}")
    return start


def encoding(path: Path, start: bytes) -> str:
    """Name the encoding of a text.

    Parameters
    ----------
    path : Path
        The file, for messages.
    start : bytes
        Its first bytes.

    Returns
    -------
    str
        A codec of Python: by the byte order mark, by the zero bytes of UTF-16, UTF-8 where all bytes are, else cp1252.

    Raises
    ------
    ColumnError
        If there are zero bytes in another text.
    """
    bom = next((codec for mark, codec in _BOMS if start.startswith(mark)), None)
    if bom is not None:
        return bom
    for offset, codec in ((1, "utf-16-le"), (0, "utf-16-be")):
        high = start[offset:2000:2]
        if len(high) > 4 and high.count(0) > 0.8 * len(high):
            return codec
    if b"\x00" in start:
        line = start[: start.index(b"\x00")].count(b"\n") + 1
        raise ColumnError(f"{path.name} line {line} holds zero bytes: the file is damaged; fetch it again")
    try:
        start.decode("utf-8")
    except UnicodeDecodeError as error:
        if error.start < len(start) - 4 or len(start) < HEAD:
            return "cp1252"
    return "utf-8"


@contextmanager
def text(path: Path, codec: str) -> Iterator[IO[str]]:
    """Open a file as text with every line end (LF, CRLF, CR) read as one.

    Parameters
    ----------
    path : Path
        The file.
    codec : str
        Its encoding. Bytes that cp1252 does not define are replaced.

    Yields
    ------
    file object
        Text.

    Raises
    ------
    UnicodeDecodeError
        If the bytes are not in this encoding.
    """
    errors = "replace" if codec == "cp1252" else "strict"  # prices and dates are ASCII; only names of companies differ
    with opened(path) as stream, io.TextIOWrapper(stream, codec, errors, newline=None) as lines:
        yield lines


def _stream(path: Path, magic: bytes) -> IO[bytes]:
    if magic.startswith(_GZIP):
        return cast("IO[bytes]", gzip.open(path, "rb"))
    if magic.startswith(_BZIP2):
        return cast("IO[bytes]", bz2.open(path, "rb"))
    if magic.startswith(_XZ):
        return cast("IO[bytes]", lzma.open(path, "rb"))
    if magic.startswith(_ZSTD):
        import pyarrow as pa

        return cast("IO[bytes]", pa.input_stream(str(path), compression="zstd"))
    return path.open("rb")


def _member(path: Path, archive: zipfile.ZipFile) -> str:
    names = [name for name in archive.namelist() if not name.endswith("/") and not name.startswith("__MACOSX")]
    if "[Content_Types].xml" in names or any(name.startswith("xl/") for name in names):
        raise ColumnError(f"{path.name} is no table of text but an Excel workbook: save it as CSV UTF-8")
    if len(names) != 1:
        raise ColumnError(f"{path.name} is a zip of {len(names)} files, of which one was expected: unpack it")
    return names[0]
