"""What names of files and folders say: symbol, asset class, day, and whether a file is one of several parts.

A name is taken as it is written, but for what vendors and browsers add to a symbol: ``AAPL_daily.csv``,
``AAPL_2010_2020.csv``, ``AAPL Historical Data.csv``. A browser's second download, ``AAPL (1).csv`` or ``AAPL[1].csv``,
is another file of AAPL where AAPL.csv lies beside it, and otherwise a name like any other.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote

from src.sources.column_names import ALIASES, normalised
from src.sources.files import CLASS_SPELLINGS, asset_class
from src.sources.folder_files import suffix

_DAY = r"(?:19|20)\d{2}[-_.]?(?:0[1-9]|1[0-2])[-_.]?(?:0[1-9]|[12]\d|3[01])"
_PERIOD = rf"(?:{_DAY}|(?:19|20)\d{{2}}[-_.]?(?:0[1-9]|1[0-2])|(?:19[5-9]|20[0-3])\d)(?:\d{{4}})?"
_SPAN = re.compile(  # a year alone behind a hyphen is a contract's: ES-2024
    rf"(?:[ _.]+{_PERIOD}|-{_PERIOD}(?<!-\d{{4}}))(?:[ _-]+(?:to[ _-]+)?{_PERIOD})?$", re.IGNORECASE
)
_WHOLE_SPAN = re.compile(rf"{_PERIOD}(?:[ _-]+(?:to[ _-]+)?{_PERIOD})?", re.IGNORECASE)
_INTERVALS = {
    "1d": r"daily|eod|1d|d1|1day|us_d|1440|historical[ _]?(?:data|prices|quotes)|historical|history|ohlcv?"
    "|historische daten|données historiques|datos históricos|dados históricos|dati storici",
    "1h": r"hourly|1h|h1|60m|60min|1hour",
}
_WORDS = {name: re.compile(rf"[ _,.-]+(?:{words})$", re.IGNORECASE) for name, words in _INTERVALS.items()}
_AROUND = tuple(
    re.compile(pattern)
    for pattern in (
        r"Download Data - [A-Z]+_[A-Z]{2}_[A-Z0-9]+_(?P<symbol>.+)",  # MarketWatch
        r"[A-Z]+_(?P<symbol>[A-Z0-9.]+), (?:1D|60)(?:_[0-9a-f]{5})?",  # TradingView
        r"daily_(?:adjusted_)?(?P<symbol>[A-Za-z0-9.^-]+)",  # Alpha Vantage
        r"table_(?P<symbol>[a-z.-]+)",  # QuantQuote
    )
)
_COPY = re.compile(
    r"(?P<stem>.+?)(?:\s*\(\d{1,3}\)|\[\d{1,3}\]|\s+\d{1,2}|\s+-\s+copy(?:\s*\(\d+\))?|\s+copy(?:\s+\d+)?)",
    re.IGNORECASE,
)
_PART = re.compile(
    r"(?:part|chunk|data|file|output)?[-_ ]?\d{1,6}(?:[-_.][0-9a-z-]+)*"
    r"|[0-9a-f]{8,}(?:-[0-9a-f]+)*|[0-9a-f-]{36}(?:-\d+)?",
    re.IGNORECASE,
)
_GENERIC = re.compile(
    r"data|daily|1d|1h|hourly|eod|bars?|prices?|ohlcv?|quotes?|history|historical|historical[ _]?(?:data|prices|quotes)"
    r"(?:[ _]\d+)?|download|export|table|untitled|sheet ?1|book ?1"
)
_NAMELESS = re.compile(
    r"(?:historical ?(?:data|prices|quotes)(?:[ _]\d{6,})?|download(?:ed)?|untitled)(?: ?\(\d+\))?", re.IGNORECASE
)
_HIVE = re.compile(r"(?P<key>[A-Za-z_][\w ]*)=(?P<value>.*)")
_NO_VALUE = ("__HIVE_DEFAULT_PARTITION__", "")


@dataclass(frozen=True)
class NamedFile:
    """A file and what its name and folders say of it.

    Attributes
    ----------
    path : Path
        The file.
    symbol : str
        Of its bars, unless it has a column for it; empty if neither name nor folder says one.
    asset_class : str or None
        From a folder; None if none names a class.
    day : date or None
        The only day that the name or a folder (``date=2021-01-04``) holds: of tables without a column of dates.
    is_part : bool
        Whether its name or folder marks it as one part of a series: a period, or a part of a Hive folder.
    """

    path: Path
    symbol: str
    asset_class: str | None
    day: dt.date | None
    is_part: bool


def named_files(paths: Sequence[Path], root: Path, suffixes: Sequence[str]) -> list[NamedFile]:
    """Say what names and folders say, of all files together: a name is read beside its neighbours.

    Parameters
    ----------
    paths : sequence of Path
        The files.
    root : Path
        Folder that the source names, or the one file; folders above it name no symbol.
    suffixes : sequence of str
        Ends of names that say the kind of a file.

    Returns
    -------
    list of NamedFile
        In the order of `paths`.
    """
    stems = {path: path.name[: -len(suffix(path, suffixes) or path.suffix)] or path.name for path in paths}
    beside: dict[Path, set[str]] = {}
    for path, stem in stems.items():
        beside.setdefault(path.parent, set()).add(stem)
    of_parts = _folders_of_parts(beside, root, {path.parent for path in paths})
    found = [_named(path, stems[path], beside[path.parent], path.parent in of_parts) for path in paths]
    return _without_mixed_intervals(found, stems)


def _named(path: Path, stem: str, beside: set[str], in_folder_of_parts: bool) -> NamedFile:
    hive = _hive(path)
    symbol = next((hive[alias] for alias in ALIASES["symbol"] if alias in hive), None)
    kind = next((hive[alias] for alias in ALIASES["asset_class"] if alias in hive), "").lower()
    plain = stem.rstrip("_") or stem
    written, is_span = _symbol(plain, beside)
    is_part = symbol is not None or is_span
    if symbol is None and in_folder_of_parts:
        symbol, is_part = _folder_name(path.parent), True
    if symbol is None and _says_no_symbol(plain, len(beside) == 1, any(map(_HIVE.fullmatch, path.parent.parts))):
        symbol = ""
    return NamedFile(
        path=path,
        symbol=written if symbol is None else symbol,
        asset_class=CLASS_SPELLINGS.get(kind) or asset_class(path),
        day=_only_day([stem, *(hive[alias] for alias in ALIASES["date"] if alias in hive)]),
        is_part=is_part,
    )


def _says_no_symbol(stem: str, alone: bool, in_hive: bool) -> bool:
    """Whether a name is a vendor's word or a date: ``HistoricalData_1619012345678``, ``download``, ``2021-01-04``."""
    if _NAMELESS.fullmatch(stem) or re.fullmatch(_DAY, stem):
        return True
    return (alone and _GENERIC.fullmatch(stem) is not None) or (in_hive and _is_part(stem))


def _symbol(stem: str, beside: set[str]) -> tuple[str, bool]:
    """The symbol of a name, and whether the name also holds a period."""
    copy = _COPY.fullmatch(stem)
    if copy is not None and copy.group("stem") in beside:
        stem = copy.group("stem")
    for pattern in _AROUND:
        if (found := pattern.fullmatch(stem)) is not None:
            return found.group("symbol"), False
    bare, is_span = stem, False
    for _ in range(3):  # AAPL_daily_2010_2020, AAPL-1d-2021-01
        without = _SPAN.sub("", bare)
        is_span |= without != bare
        for pattern in _WORDS.values():
            without = pattern.sub("", without)
        if without == bare:
            break
        bare = without
    return (bare, is_span) if bare and not _WHOLE_SPAN.fullmatch(bare) else (stem, False)


def _without_mixed_intervals(found: list[NamedFile], stems: Mapping[Path, str]) -> list[NamedFile]:
    """Keep whole names where one symbol has files of several intervals: AAPL_1d and AAPL_1h are two series."""
    intervals: dict[tuple[Path, str], set[str]] = {}
    for file in found:
        stem = _SPAN.sub("", stems[file.path])
        hit = next((name for name, pattern in _WORDS.items() if pattern.search(stem)), None)
        if hit is not None and stem.startswith(file.symbol):
            intervals.setdefault((file.path.parent, file.symbol), set()).add(hit)
    mixed = {place for place, names in intervals.items() if len(names) > 1}
    return [
        replace(file, symbol=stems[file.path], is_part=False) if (file.path.parent, file.symbol) in mixed else file
        for file in found
    ]


def _folders_of_parts(beside: Mapping[Path, set[str]], root: Path, folders: Iterable[Path]) -> set[Path]:
    """Folders named after a symbol, which hold its bars in parts: ``ZZA/2020.csv``, ``ZZA.csv/part-0000.csv``."""
    years: dict[str, int] = {}
    for stems in beside.values():
        for stem in stems:
            years[stem] = years.get(stem, 0) + 1
    found = set()
    for folder in folders:
        names = beside[folder]
        is_below = folder != root and root in folder.parents
        if not is_below or folder.name.lower() in CLASS_SPELLINGS or _HIVE.fullmatch(folder.name):
            continue
        if all(_is_part(name) for name in names):
            lone = [
                name for name in names if re.fullmatch(r"\d{4}(?:\d{2})?", name)
            ]  # a year, or a ticker of Tokyo or Hong Kong
            if not lone or (len(lone) > 1 and _are_years(lone)) or (len(lone) == 1 and years[lone[0]] > 1):
                found.add(folder)
    return found


def _is_part(stem: str) -> bool:
    if re.fullmatch(r"\d{4}", stem):
        return 1950 <= int(stem) <= 2039
    spans = _WHOLE_SPAN.fullmatch(stem) is not None
    return spans or _GENERIC.fullmatch(stem.lower()) is not None or (_PART.fullmatch(stem) is not None and "-" in stem)


def _are_years(names: list[str]) -> bool:
    """Whether four digits are years: no gap of more than a few between them."""
    years = sorted(int(name[:4]) for name in names)
    return all(1950 <= year <= 2039 for year in years) and years[-1] - years[0] < 2 * len(years) + 2


def _folder_name(folder: Path) -> str:
    """AAPL of a folder AAPL, or of AAPL.csv, as Spark names it."""
    name = re.sub(r"\.(?:csv|parquet|pq)$", "", folder.name, flags=re.IGNORECASE)
    return name.rstrip("_") or name


def _hive(path: Path) -> dict[str, str]:
    """Values of folders such as ``symbol=AAPL`` by the folder's key, the nearest folder first."""
    values: dict[str, str] = {}
    for part in reversed(path.parent.parts):
        found = _HIVE.fullmatch(part)
        if found is not None and found.group("value") not in _NO_VALUE:
            values.setdefault(normalised(found.group("key")), unquote(found.group("value")))
    return values


def _only_day(texts: Iterable[str]) -> dt.date | None:
    days = set()
    for text in texts:
        for found in re.findall(rf"(?<!\d){_DAY}(?!\d)", text):
            digits = re.sub(r"\D", "", found)
            try:
                days.add(dt.date(int(digits[:4]), int(digits[4:6]), int(digits[6:])))
            except ValueError:
                continue
    return days.pop() if len(days) == 1 else None
