"""Forms that become facts, and what the headers of filings say: from indexes, submissions and documents themselves."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Sequence
from typing import Any

import polars as pl

from src.documents.facts import FILING_FORMS
from src.research.reading.cache import UNREADABLE
from src.research.sources.edgar.acceptance import acceptance_times
from src.research.sources.edgar.master_index import read_index

_VARIANTS = {"10-K405": "10-K", "10-KT": "10-K", "10-QT": "10-Q"}
_CODES = FILING_FORMS | {form: FILING_FORMS[base] for form, base in _VARIANTS.items()}
KINDS = tuple(f"{form}{ending}" for form in _CODES for ending in ("", "/A"))
"""Form types whose filings become facts."""
INDEXED: dict[str, Any] = {
    "cik": pl.Int64(),
    "accession": pl.String(),
    "form": pl.String(),
    "filed": pl.Date(),
}
SUBMITTED: dict[str, Any] = {
    "accession": pl.String(),
    "form": pl.String(),
    "filed": pl.Date(),
    "accepted": pl.Datetime("us", "UTC"),
    "period": pl.Date(),
    "items": pl.List(pl.String()),
}
_TITLES = {
    "bankruptcy or receivership": "1.03",
    "results of operations and financial condition": "2.02",
    "triggering events that accelerate": "2.04",
    "material impairments": "2.06",
    "notice of delisting": "3.01",
    "non-reliance on previously issued": "4.02",
    "departure of directors": "5.02",
}
_NUMBER = re.compile(r"\b\d\.\d{2}\b")


def form_code(column: str = "form") -> pl.Expr:
    """Code of `FILING_FORMS` of a column of form types.

    Parameters
    ----------
    column : str
    """
    base = pl.col(column).str.strip_suffix("/A")
    return base.replace_strict(list(_CODES), list(_CODES.values()), default=None, return_dtype=pl.Float64())


def index_filings(body: bytes) -> pl.DataFrame:
    """Read what a master index says of the forms that become facts.

    Parameters
    ----------
    body : bytes
        As served.

    Returns
    -------
    DataFrame
        Columns of `INDEXED`; a filing with two filers has two rows.

    Raises
    ------
    ValueError
        If it is no index.
    """
    try:
        rows = read_index(body)
    except UNREADABLE:
        raise
    except Exception as error:
        raise ValueError(str(error)) from error
    return rows.filter(pl.col("form").is_in(KINDS)).select(*INDEXED).unique(maintain_order=True)


def submitted_filings(body: bytes) -> list[dict[str, Any]]:
    """Read what a company's submissions say of the forms that become facts.

    Parameters
    ----------
    body : bytes
        JSON of data.sec.gov; the older parts hold the columns alone.

    Returns
    -------
    list of dict
        Columns of `SUBMITTED`.

    Raises
    ------
    ValueError, KeyError, TypeError
        If it is of another form.
    """
    tree = json.loads(body)
    columns = tree["filings"]["recent"] if "filings" in tree else tree
    names = ("accessionNumber", "form", "filingDate", "reportDate", "items", "acceptanceDateTime")
    accession, forms, filed, periods, items, stamps = (columns[name] for name in names)
    accepted = acceptance_times(stamps, filed, forms)
    return [
        {
            "accession": accession[n], "form": form.strip(), "filed": a_date(filed[n]), "accepted": accepted[n],
            "period": a_date(periods[n]), "items": item_numbers(str(items[n] or "").split(",")),
        }
        for n, form in enumerate(forms)
        if form.strip() in KINDS
    ]  # fmt: skip


def stated_fields(text: str) -> tuple[dt.date | None, list[str] | None, str, dt.date | None]:
    """Period, items of an 8-K, name of the main document and filing date, as the fields of a document state them.

    Parameters
    ----------
    text : str
        JSON object.
    """
    said = json.loads(text) if text else {}
    said = said if isinstance(said, dict) else {}
    items = said.get("items")
    listed = items.split(",") if isinstance(items, str) else items if isinstance(items, list) else None
    period, filed = (a_date(str(said.get(name) or "")) for name in ("period", "filed"))
    numbers = None if listed is None else item_numbers(listed)
    return period, numbers, str(said.get("primary_document") or ""), filed


def item_numbers(items: Sequence[Any]) -> list[str]:
    """Numbers of an 8-K's items; headers of old filings state titles, of which those that count are known.

    Parameters
    ----------
    items : sequence of str
        Such as ``2.02``, ``Item 9.01`` or ``Results of Operations and Financial Condition``.

    Returns
    -------
    list of str
        One for each item; a title without a known number stays.
    """
    found = []
    for item in filter(None, (str(each).strip() for each in items)):
        match = _NUMBER.search(item)
        lower = item.lower()
        titled = next((number for title, number in _TITLES.items() if title in lower), item)
        found.append(match[0] if match else titled)
    return found


def a_date(text: str) -> dt.date | None:
    """Return the date that a text begins with, or None.

    Parameters
    ----------
    text : str
    """
    try:
        return dt.date.fromisoformat(text[:10])
    except ValueError:
        return None
