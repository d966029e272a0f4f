"""Forms 4 and 5 as the SEC's ownershipDocument states them: one row for each line of the table of plain securities."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator, Mapping
from typing import Any
from xml.etree.ElementTree import Element

import polars as pl
from defusedxml.ElementTree import fromstring

TRADES: dict[str, Any] = {
    "accession": pl.String(),  # null where a document holds one filing: its id is the accession number
    "filed": pl.Date(),  # filing date; null where only the archive's stamp says it
    "form": pl.String(),
    "issuer": pl.Int64(),
    "owner": pl.Int64(),
    "officer": pl.Float64(),
    "director": pl.Float64(),
    "owner_of_ten_percent": pl.Float64(),
    "planned": pl.Float64(),
    "line": pl.Int32(),  # place in the table, from 0; -1 for the row that only counts
    "code": pl.String(),  # of the transaction
    "side": pl.String(),  # A acquired, D disposed of
    "swap": pl.Boolean(),  # whether an equity swap was involved
    "shares": pl.Float64(),
    "price": pl.Float64(),
    "held": pl.Float64(),
    "traded": pl.Date(),
    "others": pl.Int32(),  # lines with other codes, on the counting row
    "derivatives": pl.Int32(),  # lines of the table of derivatives, on the counting row
}
MARKET_CODES = ("P", "S")  # open-market or private purchase and sale
TRUE = ("1", "true", "yes", "y")
FALSE = ("0", "false", "no", "n")
PLAN = re.compile(r"10\s*b\s*5\s*[-\u2010-\u2014 ]?\s*1", re.IGNORECASE)
NO_PLAN = re.compile(r"\bnot\b[^.;]{0,60}10\s*b\s*5\s*[-\u2010-\u2014 ]?\s*1", re.IGNORECASE)


def trades(body: bytes) -> list[dict[str, Any]]:
    """Read one ownership document.

    Parameters
    ----------
    body : bytes
        XML; a whole submission with its SGML header is taken too.

    Returns
    -------
    list of dict
        Columns of `TRADES`: the lines with a market code, and a row that counts the others.

    Raises
    ------
    ValueError, ParseError
        If it is no ownership document.
    """
    root = fromstring(_xml(body))
    if root.tag != "ownershipDocument":
        raise ValueError(f"its root is {root.tag[:40]}")
    notes = {each.get("id", ""): _text(each) for each in root.iterfind("footnotes/footnote")}
    common = _common(root)
    lines = root.findall("nonDerivativeTable/nonDerivativeTransaction")
    rows = []
    for number, line in enumerate(lines):
        code = _code(line)
        if code in MARKET_CODES:
            rows.append({**common, **_line(line, common["planned"], notes), "line": number, "code": code})
    derivatives = len(root.findall("derivativeTable/derivativeTransaction"))
    return [*rows, {**common, "line": -1, "others": len(lines) - len(rows), "derivatives": derivatives}]


def flag(text: str | None) -> float | None:
    """Read a checkbox: 1, 0, or None if it is empty.

    Parameters
    ----------
    text : str or None
        ``1``, ``true``, ``0``, ``false``.
    """
    word = (text or "").strip().lower()
    return 1.0 if word in TRUE else 0.0 if word in FALSE else None


def number(text: str | None) -> float | None:
    """Read a number; None where a footnote stands in its place.

    Parameters
    ----------
    text : str or None
    """
    try:
        value = float((text or "").strip().lstrip("$").replace(",", ""))
    except ValueError:
        return None
    return value if abs(value) < float("inf") else None


def planned(checked: float | None, notes: str) -> float | None:
    """Whether a trade was made under a 10b5-1 plan: by the checkbox (since April 2023), else by its footnotes.

    Parameters
    ----------
    checked : float or None
        Of the whole form.
    notes : str
        Footnotes of the line.

    Returns
    -------
    float or None
        None if the form does not say.
    """
    if checked == 1.0:
        return 1.0
    if NO_PLAN.search(notes):
        return 0.0
    return 1.0 if PLAN.search(notes) else checked


def _xml(body: bytes) -> bytes:
    """The XML of a body, without what stands around it in a whole submission."""
    start, end = body.find(b"<ownershipDocument"), body.rfind(b"</ownershipDocument>")
    if start < 0 or end < 0:
        raise ValueError("it holds no ownershipDocument")
    if body[:start].lstrip().startswith(b"<?xml"):
        return body[: end + len(b"</ownershipDocument>")].lstrip()
    return body[start : end + len(b"</ownershipDocument>")]


def _common(root: Element) -> dict[str, Any]:
    """What all lines of a form share; the first of several owners stands for them, with the roles of all."""
    owners = root.findall("reportingOwner")
    roles = {
        name: max((flag(owner.findtext(f"reportingOwnerRelationship/{tag}")) or 0.0 for owner in owners), default=0.0)
        for name, tag in (
            ("officer", "isOfficer"), ("director", "isDirector"), ("owner_of_ten_percent", "isTenPercentOwner"),
        )
    }  # fmt: skip
    first = owners[0].findtext("reportingOwnerId/rptOwnerCik") if owners else None
    return {
        "form": (root.findtext("documentType") or "").strip(),
        "issuer": int((root.findtext("issuer/issuerCik") or "").strip()),
        "owner": int(first) if first and first.strip().isdigit() else None,
        "planned": flag(root.findtext("aff10b5One")),
        **roles,
    }


def _line(line: Element, checked: float | None, notes: Mapping[str, str]) -> dict[str, Any]:
    """One line of the table."""
    named = " ".join(notes.get(each.get("id", ""), "") for each in line.iter("footnoteId"))
    after = "postTransactionAmounts/sharesOwnedFollowingTransaction/value"
    return {
        "side": (line.findtext("transactionAmounts/transactionAcquiredDisposedCode/value") or "").strip() or None,
        "swap": flag(line.findtext("transactionCoding/equitySwapInvolved")) == 1.0,
        "shares": number(line.findtext("transactionAmounts/transactionShares/value")),
        "price": number(line.findtext("transactionAmounts/transactionPricePerShare/value")),
        "held": number(line.findtext(after)),
        "traded": _day(line.findtext("transactionDate/value")),
        "planned": planned(checked, named),
    }


def _code(line: Element) -> str:
    return (line.findtext("transactionCoding/transactionCode") or "").strip().upper()


def _text(element: Element) -> str:
    return " ".join(_pieces(element))


def _pieces(element: Element) -> Iterator[str]:
    yield from element.itertext()


def _day(text: str | None) -> dt.date | None:
    """A date; XML allows a time zone after it."""
    try:
        return dt.date.fromisoformat((text or "").strip()[:10])
    except ValueError:
        return None
