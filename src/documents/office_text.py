"""Text of PDF and Word files."""

from __future__ import annotations

import io
import logging
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any

MOST_PAGES, _MOST_LETTERS = 3000, 20_000_000
_UNPACKED = 256 << 20  # bytes of a Word file's parts together

# What the two libraries raise beside their own errors when a file's structure is not what it says.
_OF_DAMAGE: tuple[type[Exception], ...] = (
    ValueError, KeyError, IndexError, TypeError, AttributeError, OSError, EOFError, ArithmeticError, AssertionError,
    NotImplementedError, ImportError, StopIteration, MemoryError, zlib.error, struct.error,
)  # fmt: skip


class Unreadable(Exception):
    """A file whose text can't be had: the message says why, as the end of a sentence that begins with its name."""


def pdf_text(body: bytes) -> str:
    """Text of a PDF's pages.

    Parameters
    ----------
    body : bytes

    Returns
    -------
    str
        Pages one after another; empty where they are pictures. The first `MOST_PAGES` count.

    Raises
    ------
    Unreadable
        If it is encrypted with a password or damaged.
    """
    from pypdf import PdfReader
    from pypdf.errors import PyPdfError

    damage: tuple[type[Exception], ...] = (PyPdfError, RecursionError, *_OF_DAMAGE)
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)  # it reports each flaw that it works around
    try:
        reader = PdfReader(io.BytesIO(body))
        if reader.is_encrypted and not reader.decrypt(""):
            raise Unreadable("is encrypted with a password: store a copy without one")
        return "\n".join(_pages(reader))
    except Unreadable:
        raise
    except damage as error:
        raise Unreadable(f"is damaged ({type(error).__name__}: {error}): store it again") from error


def word_text(body: bytes) -> str:
    """Text of a Word file (docx), its paragraphs and tables in their order.

    Parameters
    ----------
    body : bytes

    Returns
    -------
    str

    Raises
    ------
    Unreadable
        If it is encrypted or damaged, or unpacks to more than 256 MB.
    """
    import docx
    from docx.opc.exceptions import OpcError
    from docx.table import Table

    damage: tuple[type[Exception], ...] = (OpcError, zipfile.BadZipFile, SyntaxError, *_OF_DAMAGE)
    if body.startswith(b"\xd0\xcf\x11\xe0"):
        raise Unreadable("is encrypted, or of the format before 2007: store it as docx without a password")
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as parts:
            if sum(each.file_size for each in parts.infolist()) > _UNPACKED:
                raise Unreadable(f"unpacks to more than {_UNPACKED >> 20} MB")
        lines: list[str] = []
        for block in docx.Document(io.BytesIO(body)).iter_inner_content():
            lines += _cells(block) if isinstance(block, Table) else [block.text]
        return "\n".join(lines)
    except damage as error:
        raise Unreadable(f"is damaged ({type(error).__name__}: {error}): store it again") from error


def _pages(reader: Any) -> Iterator[str]:
    letters = 0
    for number, page in enumerate(reader.pages):
        text = page.extract_text() or ""
        letters += len(text)
        if number >= MOST_PAGES or letters > _MOST_LETTERS:
            return
        yield text


def _cells(table: Any) -> Iterator[str]:
    for row in table.rows:
        texts = dict.fromkeys(cell.text.strip() for cell in row.cells)  # merged cells come once each
        yield "\t".join(text for text in texts if text)
