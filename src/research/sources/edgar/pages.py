"""The pages that a run asks EDGAR for: the table of tickers, indexes, insider sets, companies."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Iterator

from src.research.source import CollectContext, Page
from src.research.sources.edgar import addresses
from src.research.sources.edgar.companies import ListedCompany, companies_of
from src.research.sources.edgar.quarters import Quarter, last_indexed, new_york_day, weekdays
from src.research.sources.edgar.state import FUNDAMENTALS, INDEX, NAME, SETS, EdgarRun, beginning

_LARGE = 1 << 28  # bytes that a quarter's index, an insider set or a company's facts may have
_PUBLISHED = dt.timedelta(days=15)  # after the end of a quarter its insider set is looked for
# Order of asking: what decides today comes before history, small before large.
ORDER = {"tickers": 0, "day": 1, "set": 2, "quarter": 3, "filing": 4, "submissions": 5, "facts": 6, "text": 7}


def tickers_page(context: CollectContext) -> Page:
    """The table of tickers.

    Parameters
    ----------
    context : CollectContext
    """
    url = addresses.tickers(context.settings.edgar)
    return Page(NAME, addresses.TICKERS, url, ORDER["tickers"], {"what": "tickers"})


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
    by_stream = {
        INDEX: list(_index_pages(context)),
        SETS: list(_set_pages(context)) if edgar.insider_sets else [],
        FUNDAMENTALS: list(_company_pages(context, run, "companyfacts", facts_page)) if edgar.fundamentals else [],
    }
    run.left = {stream: _incomplete(context, pages) for stream, pages in by_stream.items()}
    every = [page for pages in by_stream.values() for page in pages]
    return companies, [*every, *_company_pages(context, run, "submissions", submissions_page)]


def day_page(context: CollectContext, day: dt.date) -> Page:
    """The index of a day.

    Parameters
    ----------
    context : CollectContext
    day : date
    """
    url = addresses.daily_index(context.settings.edgar, day)
    return Page(NAME, f"index/{day}", url, ORDER["day"], {"what": "day", "day": day.isoformat()})


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


def facts_page(context: CollectContext, cik: int, accession: str = "") -> Page:
    """A company's facts.

    Parameters
    ----------
    context : CollectContext
    cik : int
    accession : str
        Of the report that brings new figures; empty for the first time.
    """
    unit = f"companyfacts/{addresses.company(cik)}" + (f"/{accession}" if accession else "")
    url = addresses.companyfacts(context.settings.edgar, cik)
    return Page(NAME, unit, url, ORDER["facts"], {"what": "facts", "cik": cik, "most_bytes": _LARGE})


def submissions_page(context: CollectContext, cik: int, part: str = "") -> Page:
    """A company's submissions, or an older part of them.

    Parameters
    ----------
    context : CollectContext
    cik : int
    part : str
        ``CIK0000320193-submissions-001``.
    """
    name = part or addresses.company(cik)
    about = {"what": "submissions", "cik": cik, "part": part}
    return Page(
        NAME, f"submissions/{name}", addresses.submissions(context.settings.edgar, name), ORDER["submissions"], about
    )


def bulk_page(context: CollectContext, kind: str) -> Page:
    """The archive of the submissions or the facts of all companies, which goes to a file.

    Parameters
    ----------
    context : CollectContext
    kind : str
        A key of `addresses.BULK`.
    """
    about = {"what": "bulk", "kind": kind, "to_file": True}
    return Page(NAME, f"bulk/{kind}", addresses.bulk(context.settings.edgar, kind), ORDER["submissions"], about)


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
        if quarter == Quarter.of(last) or any(_seen(context, f"index/{day}") for day in days):
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


def _company_pages(
    context: CollectContext, run: EdgarRun, kind: str, page: Callable[[CollectContext, int], Page]
) -> Iterator[Page]:
    """One page a company, or the archive of all companies and one for each company that it was not read for."""
    ciks: Iterable[int] = run.ciks
    if context.settings.edgar.bulk:
        archive = context.notes(f"bulk/{kind}")
        if not archive.get("complete"):
            yield bulk_page(context, kind)
            return
        ciks = run.ciks.difference(archive["ciks"])
    yield from (page(context, cik) for cik in sorted(ciks))


def _seen(context: CollectContext, unit: str) -> bool:
    return bool(context.notes(unit)) or context.stored(unit)


def _incomplete(context: CollectContext, pages: Iterable[Page]) -> set[str]:
    return {page.unit for page in pages if not context.notes(page.unit).get("complete")}
