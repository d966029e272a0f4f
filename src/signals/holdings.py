"""What is held, from a CSV file of the user's or the broker's."""

from __future__ import annotations

import csv
import io
import math
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from src.core.errors import ConfigError, StageError
from src.core.instruments import ASSET_CLASSES, Key

_NAMES = {
    "symbol": ("symbol", "ticker"),
    "shares": ("shares", "quantity", "qty", "position"),
    "asset_class": ("asset_class", "class"),
    "price": ("price",),
}
"""Columns of the file, with the names that they go by."""
_NUMBER = re.compile(r"[-+]?\$?([1-9]\d{0,2}(,\d{3})+|\d+)?(\.\d+)?([eE][-+]?\d+)?")
_SEPARATORS = re.compile(r"[ ./\-]+")
CASH = "CASH"
_REMEDY = "correct the file that book.holdings names"


@dataclass(frozen=True)
class Holdings:
    """What is held before the orders.

    Attributes
    ----------
    shares : mapping
        Of each instrument of the dataset, negative where short; coins in coins.
    prices : mapping
        Of those rows that give one, in place of the last close.
    cash : float or None
        None where the file has no row for it.
    outside : tuple of str
        Symbols of the file that the dataset has no instrument for: no order touches them.
    """

    shares: Mapping[Key, float] = field(default_factory=dict)
    prices: Mapping[Key, float] = field(default_factory=dict)
    cash: float | None = None
    outside: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Row:
    """One line of the file, its cells stripped."""

    number: int
    symbol: str
    asset_class: str
    shares: str
    price: str


def read_holdings(path: str | Path, instruments: Iterable[Key]) -> Holdings:
    """Read a file of holdings.

    Parameters
    ----------
    path : str or Path
        CSV with a header: ``symbol`` (or ticker) and ``shares`` (or quantity, qty, position), optionally
        ``asset_class`` and ``price``; other columns are left alone. Symbols may be written as brokers do: ``BRK B``,
        ``BRK/B`` and ``BRK.B`` are ``BRK-B``, ``BTC/USD`` is ``BTC-USD``. A row of asset class ``cash``, or of the
        symbol ``CASH`` where that is no instrument, is the cash. Numbers may have a dollar sign and commas between
        thousands (not in a file with semicolons, where a comma may be a decimal one); negative shares are short.
    instruments : iterable of (asset_class, symbol)
        Of the dataset.

    Returns
    -------
    Holdings

    Raises
    ------
    ConfigError
        If there is no such file.
    StageError
        If it can't be read, lacks a column, or a row is not valid: names the row.
    """
    path, known = Path(path), _Known(instruments)
    shares: dict[Key, float] = {}
    prices: dict[Key, float] = {}
    cash, outside = None, []
    for row in _rows(path):
        where = f"{path}, row {row.number}"
        number = _number(row.shares, f"{where}: shares of {row.symbol}")
        if known.is_cash(row):
            cash = (cash or 0.0) + number
            continue
        key = known.find(row, where)
        if key is None:
            outside.append(row.symbol)
            continue
        if key in shares:
            raise StageError(f"{where}: {row.symbol} is held twice, and must be once: add up its rows, or {_REMEDY}")
        shares[key] = number
        if row.price:
            prices[key] = _price(row.price, f"{where}: price of {row.symbol}")
    return Holdings(shares, prices, cash, tuple(outside))


class _Known:
    """Instruments of the dataset by the ways in which their symbols are written."""

    def __init__(self, instruments: Iterable[Key]) -> None:
        self._keys: dict[str, set[Key]] = defaultdict(set)
        for asset_class, symbol in instruments:
            for form in _forms(asset_class, symbol):
                self._keys[form].add((asset_class, symbol))

    def is_cash(self, row: _Row) -> bool:
        """Whether a row is the cash: CASH is a ticker too."""
        return row.asset_class == "cash" or (
            row.symbol.upper().lstrip("$") == CASH and not row.asset_class and not self._keys.get(CASH)
        )

    def find(self, row: _Row, where: str) -> Key | None:
        """Instrument of a row; None where the dataset has none."""
        if row.asset_class and row.asset_class not in ASSET_CLASSES:
            allowed = ", ".join((*ASSET_CLASSES, "cash"))
            raise StageError(f"{where}: asset_class must be one of {allowed}, got {row.asset_class!r}: {_REMEDY}")
        found = self._keys.get(_joined(row.symbol), set())
        keys = sorted(key for key in found if row.asset_class in ("", key[0]))
        exact = [key for key in keys if key[1].upper() == row.symbol.upper()]
        keys = exact or keys
        if len(keys) > 1:
            names = " and ".join(":".join(key) for key in keys)
            raise StageError(f"{where}: {row.symbol} is {names}: give the column asset_class, or {_REMEDY}")
        return keys[0] if keys else None


def _forms(asset_class: str, symbol: str) -> Collection[str]:
    """Ways in which a symbol may be written, once separators are alike."""
    joined = _joined(symbol)
    return {joined, joined.replace("-", "")} if asset_class == "crypto" else {joined}


def _joined(symbol: str) -> str:
    return _SEPARATORS.sub("-", symbol.strip().upper())


def _rows(path: Path) -> Iterable[_Row]:
    """Yield the rows of the file; those without anything in them are left out."""
    text = _text(path)
    header = text.partition("\n")[0]
    delimiter = ";" if ";" in header and "," not in header else ","
    lines = csv.reader(io.StringIO(text), delimiter=delimiter)
    try:
        table = [[cell.strip() for cell in line] for line in lines]
    except csv.Error as error:
        raise StageError(f"{path} must be a CSV file, and can't be read ({error}): {_REMEDY}") from error
    places = _places(path, table[0] if table else [])
    for number, cells in enumerate(table[1:], 2):
        if any(cells):
            values = {name: cells[at] if at < len(cells) else "" for name, at in places.items()}
            row = _Row(number, **{**dict.fromkeys(_NAMES, ""), **values, "asset_class": _class(values)})
            if delimiter == ";":
                _refuse_commas(row, f"{path}, row {number}")
            if not row.symbol:
                raise StageError(f"{path}, row {number}: symbol must not be empty: {_REMEDY}")
            yield row


def _refuse_commas(row: _Row, where: str) -> None:
    """Refuse a comma that may be a decimal one: where files have semicolons, 1,500 is one and a half."""
    for name, text in (("shares", row.shares), ("price", row.price)):
        if "," in text and "." not in text:
            what = f"{where}: {name} of {row.symbol}"
            raise StageError(f"{what} must have no comma beside semicolons, got {text!r}: write a point, or {_REMEDY}")


def _class(values: Mapping[str, str]) -> str:
    return values.get("asset_class", "").lower()


def _text(path: Path) -> str:
    if not path.is_file():
        raise ConfigError(f"book.holdings must name a CSV file, got {path}: no such file exists")
    try:
        return path.read_text(encoding="utf-8-sig")
    except (UnicodeDecodeError, OSError) as error:
        raise StageError(f"{path} must be a CSV file in UTF-8, and can't be read ({error}): {_REMEDY}") from error


def _places(path: Path, header: list[str]) -> dict[str, int]:
    """Where each column stands."""
    names = [name.strip('"').lower().replace(" ", "_") for name in header]
    places = {}
    for name, aliases in _NAMES.items():
        found = [at for at, each in enumerate(names) if each in aliases]
        if len(found) > 1:
            raise StageError(f"{path} must have one column {name}, got {len(found)}: {_REMEDY}")
        if found:
            places[name] = found[0]
    for name in ("symbol", "shares"):
        if name not in places:
            got = ", ".join(header) or "an empty file"
            raise StageError(f"{path} must have a column {name}, got {got}: {_REMEDY}")
    return places


def _number(text: str, what: str) -> float:
    """Read a number as brokers write it."""
    plain = text.replace("$", "").replace(",", "")
    if not _NUMBER.fullmatch(text) or not any(digit.isdigit() for digit in plain) or not math.isfinite(float(plain)):
        raise StageError(f"{what} must be a number such as 100, -25 or 0.5, got {text!r}: {_REMEDY}")
    return float(plain)


def _price(text: str, what: str) -> float:
    price = _number(text, what)
    if price <= 0.0:
        raise StageError(f"{what} must be above zero, got {text}: {_REMEDY}")
    return price
