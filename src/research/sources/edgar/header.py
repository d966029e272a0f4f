"""The header of a filing: form, acceptance time, period, and who is its issuer, its filer or a reporting owner.

EDGAR writes it in two styles. At the head of a filing's whole text stand lines such as ``CENTRAL INDEX KEY:
0000001750`` in sections such as ``ISSUER:``; the page ``-index-headers.html`` has tags such as ``<CIK>0000001750`` in
``<ISSUER>``. The second one alone has the numbers of an 8-K's items; the first one has their titles.
"""

from __future__ import annotations

import datetime as dt
import html
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from src.fetching.provider import Malformed
from src.market.calendar import NEW_YORK

_ROLES = ("ISSUER", "SUBJECT-COMPANY", "FILER", "FILED-BY", "FILED-FOR", "REPORTING-OWNER")
_ABOUT = ("ISSUER", "SUBJECT-COMPANY", "FILER")  # roles of the company that a filing is about, the first that there is
_LINE = re.compile(r"^\s*(?:<([A-Z][A-Z0-9-]*)>|([A-Z][A-Z0-9 -]*):)[ \t]*(.*?)\s*$")
_NAMES = {
    "CONFORMED-SUBMISSION-TYPE": "TYPE",
    "CONFORMED-PERIOD-OF-REPORT": "PERIOD",
    "FILED-AS-OF-DATE": "FILING-DATE",
    "ITEM-INFORMATION": "ITEMS",
    "CENTRAL-INDEX-KEY": "CIK",
}
_HEADER = re.compile(r"<SEC-HEADER>.*?</SEC-HEADER>", re.DOTALL)
_DOCUMENT = re.compile(r"<DOCUMENT>\s*<TYPE>([^\n]*)\s*<SEQUENCE>([^\n]*)\s*(?:<FILENAME>([^\n]*))?")


@dataclass(frozen=True)
class FilingHeader:
    """What the header of a filing says.

    Attributes
    ----------
    accession, form : str
        Accession number with dashes; form type such as ``8-K`` or ``4/A``.
    accepted : datetime or None
        When EDGAR accepted it; the header has New York time, this is UTC.
    filed, period : date or None
        Filing date, and end of the period of report.
    items : tuple of str
        Of an 8-K: numbers, or titles if it is the header of the whole text.
    parties : dict of str to list of int
        CIKs by role, in order.
    """

    accession: str
    form: str
    accepted: dt.datetime | None
    filed: dt.date | None
    period: dt.date | None
    items: tuple[str, ...]
    parties: dict[str, list[int]] = field(default_factory=dict)

    @property
    def about(self) -> list[int]:
        """CIKs of the company that it is about, never of a reporting owner while there is an issuer."""
        return next((self.parties[role] for role in _ABOUT if self.parties.get(role)), [])

    @property
    def owners(self) -> list[int]:
        """CIKs of the reporting owners."""
        return self.parties.get("REPORTING-OWNER", [])


@dataclass(frozen=True)
class ListedDocument:
    """A document of a filing, as the page of its header lists it.

    Attributes
    ----------
    form, name : str
        Its type, such as ``10-K`` or ``EX-99.1``, and its file name; empty for what was filed on paper.
    sequence : int
        1 for the main document.
    """

    form: str
    name: str
    sequence: int


def read_header(text: str) -> FilingHeader:
    """Read a header in either style.

    Parameters
    ----------
    text : str
        The header; what follows its end is not looked at.

    Returns
    -------
    FilingHeader

    Raises
    ------
    Malformed
        If it has no accession number or no form type.
    """
    found: dict[str, str] = {}
    items: list[str] = []
    parties: dict[str, list[int]] = {}
    role = ""
    for name, value in _entries(text.split("</SEC-HEADER>", 1)[0]):
        if name in _ROLES:
            role = name
        elif name == "ITEMS":
            items.append(value)
        elif name == "CIK" and role and value.isdecimal():
            parties.setdefault(role, []).append(int(value))
        else:
            found.setdefault(name, value)
    if not found.get("ACCESSION-NUMBER") or not found.get("TYPE"):
        raise Malformed(f"the header of a filing has no accession number or no form type: {text[:80]!r}")
    filed, period = _date(found.get("FILING-DATE")), _date(found.get("PERIOD"))
    accepted = new_york(found.get("ACCEPTANCE-DATETIME", ""))
    return FilingHeader(found["ACCESSION-NUMBER"], found["TYPE"], accepted, filed, period, tuple(items), parties)


def read_header_page(page: str) -> tuple[FilingHeader, list[ListedDocument]]:
    """Read a page ``-index-headers.html``.

    Parameters
    ----------
    page : str
        The page.

    Returns
    -------
    (FilingHeader, list of ListedDocument)
        The documents in order.

    Raises
    ------
    Malformed
        If it holds no header.
    """
    header = _HEADER.search(page)
    if not header:
        raise Malformed("the page of a filing's header holds no header")
    rest = html.unescape(page[header.end() :])
    listed = [
        ListedDocument(form.strip(), name.strip(), int(number) if number.strip().isdecimal() else 0)
        for form, number, name in _DOCUMENT.findall(rest)
    ]
    return read_header(header.group()), listed


def new_york(text: str) -> dt.datetime | None:
    """A time of New York, as UTC.

    Parameters
    ----------
    text : str
        ``20240607181030``.

    Returns
    -------
    datetime or None
        None if it is no time.
    """
    if not re.fullmatch(r"\d{14}", text):
        return None
    try:
        naive = dt.datetime.strptime(text, "%Y%m%d%H%M%S")
    except ValueError:
        return None
    return naive.replace(tzinfo=NEW_YORK).astimezone(dt.UTC)


def _entries(text: str) -> Iterator[tuple[str, str]]:
    """Names and values of the lines, in the style of tags."""
    for line in text.splitlines():
        match = _LINE.match(line)
        if match:
            name = (match[1] or match[2]).replace(" ", "-")
            yield _NAMES.get(name, name), match[3]


def _date(text: str | None) -> dt.date | None:
    if not text or not re.fullmatch(r"\d{8}", text):
        return None
    try:
        return dt.datetime.strptime(text, "%Y%m%d").date()
    except ValueError:
        return None
