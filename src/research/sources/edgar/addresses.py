"""Where EDGAR keeps what, and how the units and documents made of it are named.

Addresses as public clients of EDGAR use them: dgunning/edgartools (``edgar/urls.py``, ``edgar/headers.py``), and for
the insider sets, whose folder changed with the second quarter of 2026, the repositories that list both folders.
"""

from __future__ import annotations

import datetime as dt

from src.config.research_sections import EdgarSection
from src.research.sources.edgar.quarters import Quarter

_SETS = ("structureddata", "datastandardsinnovation")  # folders of the insider sets, the older first
_MOVED = Quarter(2026, 2)  # from this quarter on they lie in the newer folder
TICKERS = "company_tickers_exchange"  # unit and document of the table of tickers
BULK = {
    "submissions": "daily-index/bulkdata/submissions.zip",
    "companyfacts": "daily-index/xbrl/companyfacts.zip",
}


def company(cik: int) -> str:
    """Name of a company in addresses and ids: ``CIK0000320193``.

    Parameters
    ----------
    cik : int
        The SEC's number.
    """
    return f"CIK{cik:010d}"


def entity(cik: int) -> str:
    """Name of a company as `Document.entity` has it: ``CIK:0000320193``.

    Parameters
    ----------
    cik : int
        The SEC's number.
    """
    return f"CIK:{cik:010d}"


def tickers(settings: EdgarSection) -> str:
    """Address of the table of companies, tickers and exchanges.

    Parameters
    ----------
    settings : EdgarSection
    """
    return f"{settings.address}/files/{TICKERS}.json"


def daily_index(settings: EdgarSection, day: dt.date) -> str:
    """Address of the index of a day.

    Parameters
    ----------
    settings : EdgarSection
    day : date
        In New York.
    """
    quarter = Quarter.of(day)
    folder = f"{quarter.year}/QTR{quarter.number}"
    return f"{settings.address}/Archives/edgar/daily-index/{folder}/master.{day:%Y%m%d}.idx"


def quarterly_index(settings: EdgarSection, quarter: Quarter) -> str:
    """Address of the index of a quarter.

    Parameters
    ----------
    settings : EdgarSection
    quarter : Quarter
    """
    return f"{settings.address}/Archives/edgar/full-index/{quarter.year}/QTR{quarter.number}/master.idx"


def insider_set(settings: EdgarSection, quarter: Quarter, other: bool = False) -> str:
    """Address of a quarter's insider-transactions data set.

    Parameters
    ----------
    settings : EdgarSection
    quarter : Quarter
    other : bool
        Whether to look into the other of the two folders.
    """
    folder = _SETS[(quarter >= _MOVED) != other]
    return f"{settings.address}/files/{folder}/data/insider-transactions-data-sets/{quarter.lower}_form345.zip"


def submissions(settings: EdgarSection, name: str) -> str:
    """Address of a company's submissions.

    Parameters
    ----------
    settings : EdgarSection
    name : str
        ``CIK0000320193``, or of an older part ``CIK0000320193-submissions-001``.
    """
    return f"{settings.data_address}/submissions/{name}.json"


def companyfacts(settings: EdgarSection, cik: int) -> str:
    """Address of a company's facts.

    Parameters
    ----------
    settings : EdgarSection
    cik : int
        The SEC's number.
    """
    return f"{settings.data_address}/api/xbrl/companyfacts/{company(cik)}.json"


def bulk(settings: EdgarSection, kind: str) -> str:
    """Address of the archive of all companies.

    Parameters
    ----------
    settings : EdgarSection
    kind : str
        A key of `BULK`.
    """
    return f"{settings.address}/Archives/edgar/{BULK[kind]}"


def whole_text(settings: EdgarSection, cik: int, accession: str) -> str:
    """Address of a filing with its header and all its documents in one text.

    Parameters
    ----------
    settings : EdgarSection
    cik : int
        Of any of its filers.
    accession : str
        Number with dashes.
    """
    return f"{settings.address}/Archives/edgar/data/{cik}/{accession}.txt"


def header(settings: EdgarSection, cik: int, accession: str) -> str:
    """Address of a filing's header, followed by the list of its documents.

    Parameters
    ----------
    settings : EdgarSection
    cik : int
        Of any of its filers.
    accession : str
        Number with dashes.
    """
    return document(settings, cik, accession, f"{accession}-index-headers.html")


def document(settings: EdgarSection, cik: int, accession: str, name: str) -> str:
    """Address of one document of a filing.

    Parameters
    ----------
    settings : EdgarSection
    cik : int
        Of any of its filers.
    accession : str
        Number with dashes.
    name : str
        File name.
    """
    return f"{settings.address}/Archives/edgar/data/{cik}/{accession.replace('-', '')}/{name}"
