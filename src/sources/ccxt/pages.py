"""The candles of one market, page after page: what a page leaves out is asked for once more.

A page may be empty because the market had not opened, or for once; it may hold fewer bars than asked, repeat some, or
be the exchange's latest ones whatever was asked. The page alone does not show which, so pages are followed
from their last bar, and the holes that all of them together leave are asked for again.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from src.fetching.provider import BarRequest, Malformed

_PAGE_SIZE = 500  # bars in one request if ccxt does not know the exchange's limit
_HOLES = 5  # that are asked for again in one answer, the largest first
_FULL = 0.98  # of a page's bars, beyond which it is cut by the exchange's limit
_DAY = 86_400_000
Row = list[Any]


def final_rows(
    exchange: Any, name: str, request: BarRequest, now: dt.datetime, settled: dt.timedelta
) -> tuple[list[Row], str]:
    """Ask for a market's candles that are final.

    Parameters
    ----------
    exchange : ccxt.Exchange
        With its markets loaded.
    name : str
        Of the market.
    request : BarRequest
        First date and interval.
    now : datetime
        UTC.
    settled : timedelta
        After its end, until a candle counts as final.

    Returns
    -------
    rows : list of list
        As ccxt gives them: milliseconds, open, high, low, close, volume; in the order of their time.
    serves : str
        How much the exchange serves at all (``its latest 720 bars only``); empty if no limit was met.

    Raises
    ------
    Malformed
        If there is nothing at all over a period longer than one page.
    """
    step = exchange.parse_timeframe(request.interval) * 1000
    start = _ms(dt.datetime.combine(request.start, dt.time(), dt.UTC))
    until, final = _ms(now), _ms(now - settled) - step  # the last start of a candle that is final
    if step < _DAY and "1d" in exchange.timeframes:
        start = _first(exchange, name, start, final, until)
    start -= start % step
    pages = list(_pages(exchange, name, request.interval, start, step, until))
    rows = [row for page in pages for row in page]
    if not rows and (now.date() - request.start).days > _page(exchange):
        raise Malformed(f"{exchange.id} lists {name} and sent no bar of it since {request.start}")
    serves = _limit(pages[0] if pages else [], start, step, final, _page(exchange))
    if rows:
        rows += _missed(exchange, name, request.interval, sorted({row[0] for row in rows}), start, final, bool(serves))
    return [row for row in sorted(rows, key=lambda row: row[0]) if row[0] <= final], serves


def _missed(
    exchange: Any, name: str, interval: str, times: list[int], start: int, final: int, limited: bool
) -> list[Row]:
    """Rows that the pages left out: between two of their bars, after the last one, and before a beginning on a page."""
    step = exchange.parse_timeframe(interval) * 1000
    page = _page(exchange) * step
    holes = [(before + step, after - step) for before, after in pairwise(times) if after - before > step]
    holes = sorted(holes, key=lambda hole: hole[0] - hole[1])[:_HOLES]
    if times[-1] < final and exchange.markets[name]["active"] is not False:
        holes.append((times[-1] + step, final))
    if times[0] > start and (times[0] - start) % page == 0 and not limited:
        holes.append((times[0] - page, times[0] - step))  # a history that begins where a page does
    found = []
    for first, last in holes:
        for rows in _pages(exchange, name, interval, first, step, last):
            found += [row for row in rows if first <= row[0] <= last]
    return found


def _limit(page: list[Row], start: int, step: int, final: int, size: int) -> str:
    """The exchange's own limit, if it answered the first question with its latest bars."""
    latest = page and page[-1][0] >= final and page[0][0] >= start + size * step
    return f"its latest {len(page):,} bars only" if latest and len(page) >= _FULL * size else ""


def _page(exchange: Any) -> int:
    """Largest number of bars in one request."""
    limit = ((exchange.features or {}).get("spot") or {}).get("fetchOHLCV") or {}
    return int(limit.get("limit") or _PAGE_SIZE)


def _pages(exchange: Any, name: str, interval: str, start: int, step: int, until: int) -> Iterator[list[Row]]:
    """Yield pages of candles from `start` on (milliseconds), each beginning where the one before it ended.

    If an exchange answers by window, an empty page says nothing about the next one, so the window moves on. A page with
    bars is followed from its last bar, so that an exchange's own limit leaves no gap.
    """
    limit = _page(exchange)
    while start <= until:
        rows = exchange.fetch_ohlcv(name, interval, start, limit)
        yield rows
        start = max(start, rows[-1][0] - rows[-1][0] % step) + step if rows else start + limit * step


def _first(exchange: Any, name: str, start: int, final: int, until: int) -> int:
    """Find where an intraday series begins from the daily bars, which are fewer: earlier years may be empty."""
    if final - start <= _page(exchange) * 3_600_000:
        return start
    for page in _pages(exchange, name, "1d", start - start % _DAY, _DAY, until):
        if page:
            return max(start, int(page[0][0]))
    return start


def _ms(moment: dt.datetime) -> int:
    return int(moment.timestamp() * 1000)
