"""Units in the names of columns: ``Volume (000s)``, ``Close (GBp)``, ``Open (USD)``. They are applied, or refused."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from src.sources.column_error import ColumnError

_COUNTS = {
    **dict.fromkeys(("shares", "share", "units", "number", "nos", "qty", "quantity", "stk", "st", "coins"), 1.0),
    **dict.fromkeys(("hundreds", "hundred", "100s", "00s"), 1e2),
    **dict.fromkeys(("k", "000", "000s", "1000s", "1,000s", "thousand", "thousands", "tsd", "x1000"), 1e3),
    **dict.fromkeys(("m", "mn", "mm", "mio", "mil", "million", "millions"), 1e6),
}
_LOTS = ("lot", "lots", "round lots", "contracts")
MONEY = (
    "usd", "usdt", "usdc", "busd", "fdusd", "tusd", "dai", "eur", "gbp", "jpy", "krw", "try", "brl", "aud", "cad",
    "chf", "inr", "cny", "cnh", "hkd", "sgd", "nzd", "sek", "nok", "dkk", "pln", "czk", "huf", "zar", "mxn", "twd",
    "thb", "idr", "ils", "rub", "uah", "ngn", "php", "vnd", "ars", "clp", "myr", "sar", "aed",
)  # fmt: skip
"""Currencies, and coins that stand for one."""
_SIGNS = {"$": "usd", "us$": "usd", "€": "eur", "£": "gbp", "¥": "jpy", "₹": "inr"}
_HUNDREDTHS = {
    **dict.fromkeys(("gbx", "pence", "p", "gbpence"), "gbp"),
    "zac": "zar",
    "ila": "ils",
    "cents": "cents",
    "c": "cents",
}
_BRACKETS = re.compile(r"(?P<name>.*?)\s*[(\[]\s*(?:in\s+)?(?P<unit>[^()\[\]]+?)\s*[)\]]\s*\**\s*$")
_WORDS = re.compile(
    r"(?P<name>vol(?:ume)?\.?)[\s_,]+(?:in[\s_]+)?"
    r"(?P<unit>k|'?000'?s?|thousands?|millions?|mio|hundreds|100s|lots|contracts|shares)\s*",
    re.IGNORECASE,
)


def parts(name: str) -> tuple[str, str]:
    """Split the name of a column into the name alone and its unit.

    Parameters
    ----------
    name : str
        As in the file.

    Returns
    -------
    name, unit : str
        The unit as written, empty if there is no known one. Of a volume in a currency or in coins the unit is a part of
        the name.

    Examples
    --------
    >>> [parts(name) for name in ("Close (GBp)", "Volume (000s)", "Volume in lots", "Volume (USD)", "Close (adj)")]
    [('Close', 'GBp'), ('Volume', '000s'), ('Volume', 'lots'), ('Volume USD', ''), ('Close (adj)', '')]
    """
    found = _BRACKETS.fullmatch(name) or _WORDS.fullmatch(name.strip())
    if found is None:
        return name, ""
    bare, unit = found.group("name"), found.group("unit")
    if bare.strip(" <\"'").lower().startswith("vol"):
        if _word(unit) in _COUNTS or _word(unit) in _LOTS:
            return bare, unit
        coin = _currency(unit) or (unit if re.fullmatch(r"[A-Z]{3,5}", unit) else "")
        return (f"{bare} {_SIGNS.get(unit.lower(), unit)}", "") if coin else (name, "")
    return (bare, unit) if _currency(unit) else (name, "")


def scales(path: Path, columns: Mapping[str, str]) -> dict[str, float]:
    """Factors that bring the columns of a file into one currency and single shares.

    Parameters
    ----------
    path : Path
        The file, for messages.
    columns : mapping of str to str
        The file's name of each of our columns of numbers.

    Returns
    -------
    dict of str to float
        By our names; columns that need none are left out. Amounts of money without a unit have that of the close.

    Raises
    ------
    ColumnError
        If prices are in several currencies, or a volume counts lots.
    """
    found = {}
    units = {ours: parts(theirs)[1] for ours, theirs in columns.items()}
    units.pop("volume", None)
    volume = _word(_count(columns.get("volume", "")))
    if volume in _LOTS:
        raise ColumnError(
            f"{path.name}: column {columns['volume']} counts {volume}, whose size it does not say: write shares",
            "quarantined",
        )
    if volume:
        found["volume"] = _COUNTS[volume]
    named = {ours: unit for ours, unit in units.items() if unit}
    currencies = {_currency(unit): columns[ours] for ours, unit in named.items()}
    if len(currencies) > 1:
        raise ColumnError(
            f"{path.name} has prices in several currencies, in the columns {' and '.join(currencies.values())}:"
            " convert them to one",
            "quarantined",
        )
    money = {ours: unit or units.get("close", "") for ours, unit in units.items() if ours != "split"}
    found |= {ours: 0.01 for ours, unit in money.items() if _is_hundredths(unit)}
    return {ours: factor for ours, factor in found.items() if factor != 1}


def is_scaled(name: str) -> bool:
    """Whether a name has a unit in which numbers can't be left as they are."""
    unit = parts(name)[1]
    return _is_hundredths(unit) or _word(unit) in _LOTS or _COUNTS.get(_word(unit), 1.0) != 1


def _count(name: str) -> str:
    """The unit of a volume, whatever it is called."""
    found = _BRACKETS.fullmatch(name)
    unit = found.group("unit") if found else parts(name)[1]
    return unit if _word(unit) in _COUNTS or _word(unit) in _LOTS else ""


def _word(unit: str) -> str:
    return unit.strip(" '.\u2019").lower()


def _is_hundredths(unit: str) -> bool:
    return unit == "GBp" or _word(unit) in _HUNDREDTHS


def _currency(unit: str) -> str:
    """The currency of a unit of money; empty for other words."""
    word = _word(unit)
    return _HUNDREDTHS.get(word) or _SIGNS.get(word) or (word if word in MONEY else "")
