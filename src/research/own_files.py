"""What a file of the user's own research states of itself in its name, head or columns: a date, symbols, a title."""

from __future__ import annotations

import csv
import datetime as dt
import hashlib
import io
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from zoneinfo import ZoneInfo

from src.documents.text import FRONT_MATTER, decoded, text_of

_NEW_YORK, _EVENING = ZoneInfo("America/New_York"), dt.time(22)
_NAMES = {
    "date": ("date", "published", "publication_date", "pubdate", "timestamp", "datetime", "time", "created", "day"),
    "symbol": ("symbol", "symbols", "ticker", "tickers", "instrument", "instruments", "stock"),
    "title": ("title", "headline", "subject"),
    "text": ("text", "body", "content", "summary", "abstract", "note", "notes", "comment", "description", "article"),
}
_DATE = re.compile(r"(?<!\d)((?:19|20)\d\d)([-_. ]?)(0[1-9]|1[0-2])\2(0[1-9]|[12]\d|3[01])(?!\d)")
_LINE = re.compile(r"^([A-Za-z][\w -]{0,40}?)[ \t]*:[ \t]*(.*)$")
_ITEM = re.compile(r"^[ \t]*-[ \t]+(.+)$")
_META = re.compile(
    r"""<meta\b[^>]*?(?:name|property|itemprop)\s*=\s*["']?(?:article:published_time|datepublished|date|dc\.date)["']?"""
    r"""[^>]*?content\s*=\s*["']([^"']+)""",
    re.IGNORECASE,
)
_SYMBOL = re.compile(r"[A-Z][A-Z0-9]{0,5}(?:[.-][A-Z0-9]{1,4})?")
_IN_NAME = re.compile(r"(?<![A-Za-z0-9])(?:\$|(?:stock|etf)_)([A-Z][A-Z0-9]{0,5}(?:[.-][A-Z]{1,2})?)(?![A-Za-z0-9])")
_HEADING = re.compile(r"<title[^>]*>(.*?)</title>|^#[ \t]+(.+?)[ \t]*#*$", re.IGNORECASE | re.DOTALL | re.MULTILINE)
_HEAD = 65_536  # characters in which a file states what it is
_LONGEST_TITLE = 300
_MOST_ROWS = 1_000_000


@dataclass(frozen=True)
class Stated:
    """What a file or a row says of itself.

    Attributes
    ----------
    date : datetime or None
        UTC; a date without a time counts from 22:00 New York of that day.
    symbols : list of str
    title, text : str
    """

    date: dt.datetime | None = None
    symbols: list[str] = field(default_factory=list)
    title: str = ""
    text: str = ""

    def over(self, other: Stated) -> Stated:
        """This, and from another what this does not state.

        Parameters
        ----------
        other : Stated
        """
        return replace(self, date=self.date or other.date, symbols=self.symbols or other.symbols)


def stated(name: str, body: bytes, text: str) -> tuple[Stated, list[str]]:
    """Find date, symbols and title of a file: in its head first, then in its name.

    Parameters
    ----------
    name : str
        Path below the folder.
    body : bytes
    text : str
        Its plain text.

    Returns
    -------
    (Stated, list of str)
        What it states, and a sentence on each thing that it states and that can't be read.
    """
    ending = PurePosixPath(name).suffix.lower()
    head = decoded(body[: 4 * _HEAD])[:_HEAD] if ending not in (".pdf", ".docx", ".docm") else ""
    front = _front(head) if ending in (".md", ".markdown", ".txt", ".text") else {}
    if not front.get("date") and (meta := _META.search(head)):
        front["date"] = meta[1]
    remarks = []
    date = moment(front.get("date", ""))
    if front.get("date") and date is None:
        remarks.append(f"{name} states the date {front['date'][:40]!r}, which can't be read: write YYYY-MM-DD")
    if date is None and (match := _DATE.search(PurePosixPath(name).name)):
        date = moment(f"{match[1]}-{match[3]}-{match[4]}")
    tickers = symbols(front.get("symbol", "")) or _IN_NAME.findall(PurePosixPath(name).stem)
    title = front.get("title") or _heading(head, ending) or PurePosixPath(name).stem
    return Stated(date, list(dict.fromkeys(tickers)), title[:_LONGEST_TITLE], text), remarks


def rows(body: bytes) -> tuple[list[tuple[str, Stated]], dict[str, str], list[str]]:
    """Read a table whose columns give date, symbol, title and text, each guessed by its name.

    Parameters
    ----------
    body : bytes
        CSV with a header; separated by commas, semicolons, tabs or bars.

    Returns
    -------
    (list of (str, Stated), dict of str to str, list of str)
        Rows, each with a key made of what it states, so that rows may be added or reordered; which column gives what;
        and sentences on what can't be read. No rows if no column gives a title or a text.
    """
    text = decoded(body)
    reader = csv.reader(io.StringIO(text), delimiter=_delimiter(text))
    try:
        header = [each.strip() for each in next(reader, [])]
        columns = guessed(header)
        if "text" not in columns and "title" not in columns:
            return [], {}, ["no column is named title or text, so the table counts as one document"]
        return _read_rows(reader, header, columns)
    except csv.Error as error:
        return [], {}, [f"it is no table ({error}), so it counts as one document"]


def guessed(header: list[str]) -> dict[str, str]:
    """Which column gives the date, the symbol, the title and the text.

    Parameters
    ----------
    header : list of str

    Returns
    -------
    dict of str to str

    Examples
    --------
    >>> guessed(["Ticker", "Published", "Headline", "rating"])
    {'date': 'Published', 'symbol': 'Ticker', 'title': 'Headline'}
    """
    by_name = {re.sub(r"[\s-]+", "_", name.strip().lower()): name for name in reversed(header)}
    found = {what: next((by_name[each] for each in names if each in by_name), "") for what, names in _NAMES.items()}
    return {what: name for what, name in found.items() if name}


def moment(text: str) -> dt.datetime | None:
    """Read a date or a time; a date counts from 22:00 New York of that day, a time without a zone is New York's.

    Parameters
    ----------
    text : str
        ISO 8601, or YYYYMMDD.

    Returns
    -------
    datetime or None
        UTC.

    Examples
    --------
    >>> moment("2024-07-01").isoformat(), moment("2024-07-01T09:30Z").isoformat(), moment("July")
    ('2024-07-02T02:00:00+00:00', '2024-07-01T09:30:00+00:00', None)
    >>> moment("2024-07-01 09:30").isoformat()
    '2024-07-01T13:30:00+00:00'
    """
    words = text.strip().strip("\"'")
    try:
        if re.fullmatch(r"\d{4}-?\d\d-?\d\d", words):
            return dt.datetime.combine(dt.date.fromisoformat(words), _EVENING, _NEW_YORK).astimezone(dt.UTC)
        found = dt.datetime.fromisoformat(words)
        return (found if found.tzinfo else found.replace(tzinfo=_NEW_YORK)).astimezone(dt.UTC)
    except (ValueError, OverflowError):
        return None


def symbols(text: str) -> list[str]:
    """Symbols of a cell or a line such as ``[AAPL, $MSFT]``.

    Parameters
    ----------
    text : str

    Returns
    -------
    list of str
    """
    cells = (each.strip(" \"'[]$#").rpartition(":")[2].upper() for each in re.split(r"[,;|\s]+", text))
    return list(dict.fromkeys(each for each in cells if _SYMBOL.fullmatch(each)))


def _read_rows(
    reader: Iterable[list[str]], header: list[str], columns: dict[str, str]
) -> tuple[list[tuple[str, Stated]], dict[str, str], list[str]]:
    places = {what: header.index(name) for what, name in columns.items()}
    found: list[tuple[str, Stated]] = []
    keys: dict[str, int] = {}
    empty = undated = left = 0
    for row in reader:
        cell = {what: row[place].strip() if place < len(row) else "" for what, place in places.items()}
        if not (cell.get("title") or cell.get("text")):
            empty += bool(any(row))
            continue
        if len(found) >= _MOST_ROWS:
            left += 1
            continue
        date = moment(cell.get("date", ""))
        undated += date is None and "date" in columns
        whole = text_of(cell.get("text", "").encode(), "cell.txt")
        title = cell.get("title", "") or whole[:80]
        digest = hashlib.blake2b(
            "\x1f".join([cell.get("date", ""), cell.get("symbol", ""), title]).encode(), digest_size=6
        )
        key = digest.hexdigest()
        keys[key] = keys.get(key, 0) + 1
        unique = key if keys[key] == 1 else f"{key}-{keys[key]}"
        found.append((unique, Stated(date, symbols(cell.get("symbol", "")), title[:_LONGEST_TITLE], whole)))
    counts = {
        f"{empty:,} rows have neither title nor text": empty,
        f"the dates of {undated:,} rows can't be read: write YYYY-MM-DD": undated,
        f"{left:,} rows beyond the first {_MOST_ROWS:,} are left out": left,
    }
    return found, columns, [words for words, count in counts.items() if count]


def _delimiter(text: str) -> str:
    line = text.lstrip("\r\n").partition("\n")[0]
    return max(",;\t|", key=line.count)


def _front(head: str) -> dict[str, str]:
    """Date, symbols and title of the lines between two rules at the top of a file."""
    match = FRONT_MATTER.match(head)
    values: dict[str, list[str]] = {}
    name = ""
    for line in match[1].splitlines() if match else ():
        if pair := _LINE.match(line):
            name = pair[1].strip().lower().replace(" ", "_").replace("-", "_")
            values[name] = [pair[2].strip()]
        elif (item := _ITEM.match(line)) and name:
            values[name].append(item[1].strip())
    found = {what: next((values[each] for each in names if each in values), []) for what, names in _NAMES.items()}
    return {what: ", ".join(filter(None, parts)).strip("\"'") for what, parts in found.items() if parts}


def _heading(head: str, ending: str) -> str:
    if ending not in (".md", ".markdown", ".htm", ".html", ".xhtml"):
        return ""
    match = _HEADING.search(head)
    return text_of((match[1] or match[2] or "").encode(), "title.html") if match else ""
