"""A list of your own (``universe.file``): a CSV with a column symbol, or lines with one symbol each.

A table has a header with the column symbol (or ticker) and optionally asset_class. A plain list has no header. In both,
a symbol may include its class ("stock:AAPL"); empty lines and lines that begin with # are skipped. Every cell is text,
also NA and TRUE.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path

from src.core.errors import ConfigError
from src.core.instruments import ASSET_CLASSES
from src.core.project import ROOT

_SYMBOLS = ("symbol", "ticker")
_SEPARATORS = (",", ";", "\t")  # not in symbols: a line with one belongs to a table


def names(file: str) -> dict[str, int]:
    """Read a watchlist.

    Parameters
    ----------
    file : str
        Path, absolute or relative to the project.

    Returns
    -------
    dict of str to int
        Each name, "AAPL" or "stock:AAPL", with the number of its first line.

    Raises
    ------
    ConfigError
        If the file can't be read or has no name, or a line is malformed.
    """
    path = Path(file).expanduser()
    path = path if path.is_absolute() else ROOT / path
    lines = _text(path).splitlines()
    if lines and re.fullmatch(r"\"?sep=.\"?", lines[0].strip(), re.IGNORECASE):  # as Excel writes it
        lines[0] = ""
    numbered = [(number, line) for number, line in enumerate(lines, 1) if line.strip() and line.strip()[0] != "#"]
    if not numbered:
        raise ConfigError(f"universe.file: {path} names no instrument: write one symbol a line")
    lines_by_name: dict[str, int] = {}
    try:
        for number, kind, symbol in _rows(path, numbered):
            lines_by_name.setdefault(_name(kind, symbol, f"universe.file: {path}, line {number}"), number)
    except csv.Error as error:
        raise ConfigError(
            f"universe.file: {path} is not a CSV: {error} (a quote that is not closed?); write one symbol a line"
        ) from error
    if not lines_by_name:
        raise ConfigError(f"universe.file: {path} names no instrument: there is nothing below its header")
    return lines_by_name


def _text(path: Path) -> str:
    """The text of a file, in UTF-8, UTF-16 or an eight-bit encoding: symbols are ASCII, comments need not be."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"universe.file: {path} can't be read: {error.strerror or error}") from error
    if content.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise ConfigError(f"universe.file: {path} is a workbook or an archive: save it as CSV")
    try:
        return content.decode("utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _rows(path: Path, numbered: list[tuple[int, str]]) -> Iterator[tuple[int, str, str]]:
    """Yield line, asset class (empty if not given) and symbol."""
    header, symbol = [], None
    for separator in _SEPARATORS:
        table = csv.reader((line for _, line in numbered), delimiter=separator, strict=True)
        header = [re.sub(r"[\s_-]+", "_", cell.strip().strip("<>").lower()) for cell in next(table)]
        symbol = next((header.index(name) for name in _SYMBOLS if name in header), None)
        if symbol is not None:
            break
    if symbol is None:
        yield from _plain_rows(path, numbered)
        return
    kind = header.index("asset_class") if "asset_class" in header else len(header)
    for row in table:
        cells = [cell.strip() for cell in row] + [""] * (len(header) + 1 - len(row))
        if cells[symbol]:
            yield numbered[table.line_num - 1][0], cells[kind] if kind < len(header) else "", cells[symbol]


def _plain_rows(path: Path, numbered: list[tuple[int, str]]) -> Iterator[tuple[int, str, str]]:
    for number, line in numbered:
        if any(separator in line for separator in _SEPARATORS):
            raise ConfigError(
                f"universe.file: {path}, line {number}: {line.strip()[:80]!r} is not a symbol: write one a line, or a"
                " CSV (with commas) whose first line names its columns, symbol among them"
            )
        yield number, "", line.strip().strip('"')


def _name(kind: str, symbol: str, where: str) -> str:
    """The name as `src.market.universe.matches` expects it."""
    before, colon, after = (part.strip() for part in symbol.partition(":"))
    if colon and not kind:
        kind, symbol = before, after
    if kind and kind.lower() not in ASSET_CLASSES:
        raise ConfigError(f"{where}: asset class must be one of {', '.join(ASSET_CLASSES)}, got {kind}")
    if not symbol or (colon and not before):
        raise ConfigError(f"{where}: symbol must follow its class, as in stock:AAPL, got {before}:{after}")
    return f"{kind.lower()}:{symbol}" if kind else symbol
