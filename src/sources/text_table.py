"""Tables of text: separator, header and cells of a CSV file."""

from __future__ import annotations

import csv
import gzip
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from src.sources.column_error import ColumnError

_SEPARATORS = ",;\t|"


@dataclass(frozen=True)
class TextTable:
    """How a file of text is laid out.

    Attributes
    ----------
    path : Path
        The file.
    separator : str
        Between cells.
    names : list of str
        Of the columns, as in the header.
    header_lines : list of list of str
        Cells of each line of the header.
    """

    path: Path
    separator: str
    names: list[str]
    header_lines: list[list[str]]

    def scan(self) -> pl.LazyFrame:
        """Open the file.

        Returns
        -------
        LazyFrame
            The file's own columns; every cell is text, so that NA and TRUE stay symbols.
        """
        return pl.scan_csv(self.path, separator=self.separator, infer_schema=False, encoding="utf8-lossy", glob=False)


def inspected(path: Path) -> TextTable:
    """Read the header of a file of text.

    Parameters
    ----------
    path : Path
        CSV, also compressed with gzip.

    Returns
    -------
    TextTable
        Its names and its separator.

    Raises
    ------
    ColumnError
        If the file is empty, can't be opened, or is no UTF-8 text.
    """
    zipped = path.name.lower().endswith(".gz")
    try:
        with gzip.open(path, "rb") if zipped else path.open("rb") as stream:
            head = stream.readline()
    except (OSError, EOFError) as error:
        raise ColumnError(f"{path.name} can't be read ({error}): it may be truncated; fetch it again") from error
    if not head.strip():
        raise ColumnError(f"{path.name} is empty", "quarantined")
    if head[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\x00" in head:
        raise ColumnError(f"{path.name} is not UTF-8 text: save it as CSV UTF-8")
    line = head.decode("utf-8-sig", errors="replace").rstrip("\r\n")
    separator = max(_SEPARATORS, key=line.count)
    names = next(csv.reader([line], delimiter=separator))
    return TextTable(path, separator, names, [names])
