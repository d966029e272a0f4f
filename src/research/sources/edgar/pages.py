"""The pages that a run asks EDGAR for: the table of tickers, indexes, insider sets, companies."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

from src.research.source import CollectContext, Page
from src.research.sources.edgar import addresses
from src.research.sources.edgar.companies import ListedCompany, companies_of
from src.research.sources.edgar.quarters import Quarter, last_indexed, new_york_day, weekdays
from src.research.sources.edgar.state import (
    FUNDAMENTALS,
    INDEX,
    NAME,
    OWNERSHIP,
    SETS,
    EdgarRun,
    beginning,
    wanted_forms,
)

_LARGE = 1 << 28  # bytes that a quarter's index, an insider set or a company's facts may have
_PUBLISHED = dt.timedelta(days=15)  # after the end of a quarter its insider set is looked for
# Order of asking: what decides today comes before history. The texts of a company come before the next company's
# submissions: otherwise those of all companies, a million pages, would wait at once.
ORDER = {"tickers": 0, "day": 1, "set": 2, "quarter": 3, "filing": 4, "facts": 5, "text": 6, "submissions": 7}


def tickers_page(context: CollectContext) -> Page:
    """The table of tickers.

    Parameters
    ----------
    context : CollectContext
    """
    url = addresses.tickers(context.settings.edgar)
    about = {"what": "tickers", **(known(context, addresses.TICKERS) if context.stored(addresses.TICKERS) else {})}
    return Page(NAME, addresses.TICKERS, url, ORDER["tickers"], about)


def pages_of(
    context: CollectContext, table: list[ListedCompany], run: EdgarRun
) -> tuple[dict[str, list[int]], list[Page]]:
    """All pages of a run whose table of tickers is known; `run` learns what has to be read.

    Parameters
    ----------
    context : CollectContext
    table : list of ListedCompany
        The newest table.
    run : EdgarRun
        Its companies and what is left are set.

    Returns
    -------
    (dict of str to list of int, list of Page)
        Companies by symbol, to be remembered; the pages, those that are done among them.
    """
    edgar = context.settings.edgar
    former = context.notes(addresses.TICKERS).get("companies", {})
    companies = companies_of(context.instruments, table, former)
    run.ciks = frozenset(cik for ciks in companies.values() for cik in ciks)
    indexes, sets = list(_index_pages(context)), list(_set_pages(context)) if edgar.insider_sets else []
    submissions = company_pages(context, "submissions", run.ciks)
    facts = company_pages(context, "companyfacts", run.ciks) if edgar.fundamentals else []
    by_stream = {INDEX: indexes, SETS: sets, FUNDAMENTALS: facts}
    run.left = {stream: _incomplete(context, pages) for stream, pages in by_stream.items()}
    both = [("submissions", submissions), *([("companyfacts", facts)] if facts else [])]
    archived = [page for kind, pages in both for page in _archive_first(context, kind, pages)]
    return companies, [*indexes, *sets, *archived]


def company_pages(
    context: CollectContext, kind: str, ciks: Iterable[int], archive: Mapping[str, str] = MappingProxyType({})
) -> list[Page]:
    """Submissions or facts of companies.

    Parameters
    ----------
    context : CollectContext
    kind : str
        submissions or companyfacts.
    ciks : iterable of int
    archive : mapping
        ``archive`` and ``as_of``: where the archive of all companies lies, and of what day it is.
    """
    page = submissions_page if kind == "submissions" else facts_page
    return [page(context, cik, about=archive) for cik in sorted(ciks)]


def day_page(context: CollectContext, day: dt.date) -> Page:
    """The index of a day.

    Parameters
    ----------
    context : CollectContext
    day : date
    """
    url = addresses.daily_index(context.settings.edgar, day)
    unit = f"index/{day}"
    return Page(NAME, unit, url, ORDER["day"], {"what": "day", "day": day.isoformat(), **known(context, unit)})


def known(context: CollectContext, unit: str) -> dict[str, str]:
    """What the last answer said of itself, so that the next one can be that nothing changed.

    Parameters
    ----------
    context : CollectContext
    unit : str
    """
    notes = context.notes(unit)
    return {key: str(notes[key]) for key in ("etag", "last_modified") if notes.get(key)}


def set_page(context: CollectContext, quarter: Quarter, other: bool = False) -> Page:
    """The insider set of a quarter; the other of the two folders where it may lie is another unit.

    Parameters
    ----------
    context : CollectContext
    quarter : Quarter
    other : bool
    """
    unit = f"insider-set/{quarter.lower}"
    about = {"what": "set", "day": quarter.first.isoformat(), "other": other, "most_bytes": _LARGE}
    url = addresses.insider_set(context.settings.edgar, quarter, other)
    return Page(NAME, f"{unit}/other" if other else unit, url, ORDER["set"], about)


def facts_page(
    context: CollectContext, cik: int, accession: str = "", about: Mapping[str, str] = MappingProxyType({})
) -> Page:
    """A company's facts.

    Parameters
    ----------
    context : CollectContext
    cik : int
    accession : str
        Of the report that brings new figures; empty for the first time.
    about : mapping
        As `company_pages` has it.
    """
    unit = facts_unit(cik) + (f"/{accession}" if accession else "")
    url = addresses.companyfacts(context.settings.edgar, cik)
    return Page(NAME, unit, url, ORDER["facts"], {"what": "facts", "cik": cik, "most_bytes": _LARGE, **about})


def facts_unit(cik: int) -> str:
    """Unit of a company's facts, and the id of their document.

    Parameters
    ----------
    cik : int
    """
    return f"companyfacts/{addresses.company(cik)}"


def submissions_page(
    context: CollectContext, cik: int, part: str = "", about: Mapping[str, str] = MappingProxyType({})
) -> Page:
    """A company's submissions, or an older part of them.

    Parameters
    ----------
    context : CollectContext
    cik : int
    part : str
        ``CIK0000320193-submissions-001``.
    about : mapping
        As `company_pages` has it.
    """
    name = part or addresses.company(cik)
    said = {"what": "submissions", "cik": cik, "part": part, "most_bytes": _LARGE, **about}
    url = addresses.submissions(context.settings.edgar, name)
    return Page(NAME, submissions_unit(context, name), url, ORDER["submissions"], said)


def submissions_unit(context: CollectContext, name: str) -> str:
    """Unit of a company's submissions: they are read again where other texts are wanted.

    Parameters
    ----------
    context : CollectContext
    name : str
        ``CIK0000320193``, or a part of it.
    """
    forms = sorted(wanted_forms(context) - OWNERSHIP) if context.settings.edgar.texts else []
    return f"submissions/{name}" + (f" {','.join(forms)} from {context.settings.start}" if forms else "")


def bulk_page(context: CollectContext, kind: str) -> Page:
    """The archive of the submissions or the facts of all companies, which goes to a file.

    Parameters
    ----------
    context : CollectContext
    kind : str
        A key of `addresses.BULK`.
    """
    about = {"what": "bulk", "kind": kind, "to_file": True}
    order = ORDER["submissions" if kind == "submissions" else "facts"]
    return Page(NAME, f"bulk/{kind}", addresses.bulk(context.settings.edgar, kind), order, about)


def set_is_due(quarter: Quarter, now: dt.datetime) -> bool:
    """Whether the insider set of a quarter should be published.

    Parameters
    ----------
    quarter : Quarter
    now : datetime
    """
    return new_york_day(now) >= quarter.next.first + _PUBLISHED


def _index_pages(context: CollectContext) -> Iterator[Page]:
    """Indexes of the days of this quarter and of each that was begun by days, else of whole quarters; newest first."""
    last, first = last_indexed(context.now), Quarter.of(beginning(INDEX, context))
    for quarter in reversed(list(first.until(Quarter.of(last).next))):
        days = list(weekdays(quarter.first, min(quarter.last, last)))
        begun = not _seen(context, f"index/{quarter}") and any(_seen(context, f"index/{day}") for day in days)
        if quarter == Quarter.of(last) or begun:
            yield from (day_page(context, day) for day in reversed(days))
        else:
            about = {"what": "quarter", "day": quarter.first.isoformat(), "most_bytes": _LARGE}
            url = addresses.quarterly_index(context.settings.edgar, quarter)
            yield Page(NAME, f"index/{quarter}", url, ORDER["quarter"], about)


def _set_pages(context: CollectContext) -> Iterator[Page]:
    first = Quarter.of(beginning(SETS, context))
    for quarter in reversed(list(first.until(Quarter.of(new_york_day(context.now))))):
        if set_is_due(quarter, context.now):
            yield set_page(context, quarter)


def _archive_first(context: CollectContext, kind: str, pages: list[Page]) -> list[Page]:
    """The archive of all companies in place of their pages, the first time, if that is wanted."""
    wanted = context.settings.edgar.bulk and not context.notes(f"bulk/{kind}").get("complete")
    return [bulk_page(context, kind)] if wanted else pages


def _seen(context: CollectContext, unit: str) -> bool:
    return bool(context.notes(unit)) or context.stored(unit)


def _incomplete(context: CollectContext, pages: Iterable[Page]) -> set[str]:
    return {page.unit for page in pages if not context.notes(page.unit).get("complete")}
