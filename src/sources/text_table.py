"""Tables of text: how a file of comma-separated values is laid out, and its cells as text.

A plain file (UTF-8, header first, equal rows) is scanned by Polars. Any other is read line by line, which tells
footers, repeated headers and lines of another length from bars.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from src.sources import content
from src.sources.column_error import ColumnError
from src.sources.text_layout import cells_of, laid_out
from src.sources.text_lines import careful_chunks

LINE, FAULT = "line", "fault"
"""Columns beside the file's own: the number of the line, and what is wrong with the line as a whole (mostly null)."""
WHOLE = 64_000_000
"""Bytes up to which a file is read at once."""
CHUNK = 1_000_000
"""Rows held at a time of a larger one."""


@dataclass(frozen=True)
class TextTable:
    """How a file of text is laid out.

    Attributes
    ----------
    path : Path
        The file.
    separator : str
        Between cells; a space stands for any number of spaces.
    names : list of str
        Of the columns, as in the header without surrounding spaces; may be empty or equal. ``column_1`` and so on if
        the file has no header.
    header_lines : list of list of str
        Cells of each line of the header, the one with the names first; empty if the file has no header.
    first_line : int
        Number of the first line after the header, from 1.
    encoding : str
        Of the text.
    surplus : int
        Empty cells that lines have beyond the header's.
    plain : bool
        Whether Polars can scan the file.
    """

    path: Path
    separator: str
    names: list[str]
    header_lines: list[list[str]]
    first_line: int
    encoding: str
    surplus: int = 0
    plain: bool = True

    @property
    def keys(self) -> list[str]:
        """Names by which `chunks` gives the columns: the first of equal names keeps it, the others are numbered."""
        keys: list[str] = []
        for name in self.names:
            again, key = 1, name
            while key in keys or key in (LINE, FAULT):
                again += 1
                key = f"{name}#{again}"
            keys.append(key)
        return keys

    def chunks(self) -> Iterator[pl.DataFrame]:
        """Read the cells.

        Yields
        ------
        DataFrame
            The file's columns by `keys` as text, so that NA and TRUE stay symbols; `LINE`; `FAULT`. Of a small file one
            frame, of a large one a million rows at a time.

        Raises
        ------
        ColumnError
            If the file is damaged.
        PolarsError
            If a file that seemed plain is not.
        """
        if not self.plain:
            yield from careful_chunks(self)
            return
        scan = self._scan()
        small = self.path.stat().st_size <= WHOLE
        for frame in [scan.collect()] if small else scan.collect_batches(chunk_size=CHUNK, maintain_order=True):
            if frame[self.keys[-1]].null_count() or any(frame[f"surplus {i}"].count() for i in range(self.surplus)):
                raise pl.exceptions.ComputeError("lines differ in length")
            yield frame.select(*self.keys, pl.col(LINE).cast(pl.Int64), pl.lit(None, pl.String).alias(FAULT))

    def careful(self) -> TextTable:
        """The same table, read line by line."""
        return replace(self, plain=False)

    def _scan(self) -> pl.LazyFrame:
        names = [*self.keys, *(f"surplus {i}" for i in range(self.surplus))]
        return pl.scan_csv(
            self.path, separator=self.separator, has_header=False, skip_lines=self.first_line - 1, glob=False,
            schema=dict.fromkeys(names, pl.String()), encoding="utf8-lossy", row_index_name=LINE,
            row_index_offset=self.first_line, raise_if_empty=False,
        )  # fmt: skip


def inspected(path: Path) -> TextTable:
    """Find the layout of a file of text.

    Parameters
    ----------
    path : Path
        CSV or the like, also compressed.

    Returns
    -------
    TextTable
        Its encoding, separator, names and first line.

    Raises
    ------
    ColumnError
        If the file is empty, damaged, or no table of text.
    """
    stat = path.stat()
    return _inspected(path, stat.st_size, stat.st_mtime_ns)


@functools.lru_cache(maxsize=20_000)  # each file is looked at by the listing, and again when its bars are read
def _inspected(path: Path, _size: int, _changed: int) -> TextTable:
    start = content.head(path)
    codec = content.encoding(path, start)
    whole = len(start) < content.HEAD
    try:
        text = start.decode(codec, errors="replace" if codec == "cp1252" else "strict" if whole else "ignore")
    except UnicodeDecodeError as error:
        raise ColumnError(f"{path.name} is not the {codec} text that it begins as: save it as CSV UTF-8") from error
    lines = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if not whole and len(lines) > 1:
        lines.pop()
    form = laid_out(path, lines)
    plain = (
        codec in ("utf-8", "utf-8-sig")
        and form.separator != " "
        and not form.is_quoted_across
        and text.count("\r") == text.count("\r\n")
        and content.is_scannable(path)
    )
    names, width = form.names, len(form.names)
    first = next((cells_of(line, form.separator) for line in lines[form.first_line - 1 :] if line.strip()), names)
    surplus = max(0, len(first) - width) if not any(cell.strip() for cell in first[width:]) else 0
    return TextTable(path, form.separator, names, form.header_lines, form.first_line, codec, surplus, plain)
