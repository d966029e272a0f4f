"""Yahoo through the real yfinance client: stocks, ETFs and coins, daily or hourly, option chains, most traded names.

yfinance makes the requests (addresses, cookies, crumb, consent pages) over `src.sources.yahoo.session`; what is stored
is read from the JSON that came. Its own table costs 30 ms of CPU a symbol and drops, sorts, merges and fills rows in
silence: duplicates, rows without a price, missing volumes, dividends on days without a bar.
"""

from __future__ import annotations

import datetime as dt
import functools
import logging
import re
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from src.config.paths import main_root
from src.config.schema import LiveSource
from src.fetching.provider import Answer, BarRequest, Malformed, OptionChain, Refusal, RequestGate, Unavailable, Unfit

if TYPE_CHECKING:
    import polars as pl

    from src.sources.yahoo.session import YahooSession

_HOURLY_DAYS = 729  # Yahoo serves hours of the last 730 days
_NAME = re.compile(r"(?![A-Z]{2}[A-Z0-9]{9}[0-9]$)[A-Z0-9^][A-Z0-9.^=-]{0,19}")  # no ISIN: yfinance would look it up
_INTERVALS = ("1d", "1h")
_T = TypeVar("_T")
_PAGE_TRIES = 4  # of one expiry of a chain: a single fault should not cost the pages already in


class Yahoo:
    """Yahoo as a `Provider`: one shared session, used by several threads.

    yfinance keeps one session a process, so the provider connected last serves all.
    """

    def __init__(self, name: str, session: YahooSession) -> None:
        self.name = name
        self._session = session

    def fetch(self, wanted: BarRequest) -> Answer:
        """Ask for one instrument's bars and events from ``wanted.start`` to now, in one request.

        Hours further back than Yahoo serves are not asked for; the facts then say where the series starts.
        """
        from src.sources.yahoo.chart import answer

        asked = yahoo_name(wanted)
        start, facts = _start(wanted)
        found = answer(self._chart(asked, start, wanted), wanted, asked, self.name)
        return Answer(found.bars, found.events, found.facts | facts)

    def chain(self, underlying: str, max_expiries: int) -> OptionChain:
        """Ask for the option chain of one underlying: one request an expiry, the nearest first.

        Parameters
        ----------
        underlying
            Symbol, in ours or in Yahoo's writing.
        max_expiries
            At most so many; the facts say how many there were.

        Raises
        ------
        ProviderError
            Where a page is still no good after four tries, or there are no options (`Unknown`).
        """
        import polars as pl

        from src.sources.yahoo import options

        asked = yahoo_name(BarRequest("stock", underlying, dt.date.min))
        ticker = self._ticker(asked, "America/New_York")
        expiries = sorted(_tried(lambda: _told(lambda: ticker.options, asked)))
        moment = dt.datetime.now(dt.UTC)
        first = options.checked(self._session.heard)
        wanted = expiries[:max_expiries]
        pages = []
        for expiry in wanted:
            if expiry == options.expiry_of(first):
                pages.append(options.contracts(first, asked, moment))
            else:
                pages.append(_tried(functools.partial(self._page, ticker, asked, expiry)))
        facts = options.facts(first) | {"expiries": f"{len(wanted)} of {len(expiries)}"}
        return OptionChain(underlying, options.spot(first, asked), moment, pl.concat(pages), facts)

    def most_traded(self, kind: str, count: int) -> pl.DataFrame:
        """The `count` stocks or ETFs with the largest dollar volume of today; see `src.sources.yahoo.screener`."""
        from src.sources.yahoo.screener import most_traded

        return _told(lambda: most_traded(kind, count), f"the most traded of {kind}")

    def close(self) -> None:
        """Let go of connections."""
        self._session.close()

    def _chart(self, asked: str, start: dt.date, wanted: BarRequest) -> dict[str, Any]:
        ticker = self._ticker(asked, "UTC" if wanted.asset_class == "crypto" else "America/New_York")
        return _served(lambda: ticker.history(start=start, interval=wanted.interval, auto_adjust=False), asked)

    def _page(self, ticker: Any, asked: str, expiry: str) -> pl.DataFrame:
        """The contracts of one expiry, with the time of their answer."""
        from src.sources.yahoo import options

        body = _served(lambda: ticker.option_chain(expiry), asked)
        return options.contracts(options.checked(body), asked, dt.datetime.now(dt.UTC))

    def _ticker(self, asked: str, zone: str) -> Any:
        import yfinance

        ticker = yfinance.Ticker(asked, session=self._session)
        ticker._tz = zone  # known beforehand: else yfinance asks Yahoo for it, which doubles the requests
        return ticker


def connect(name: str, settings: LiveSource, gate: RequestGate) -> Yahoo:
    """Set yfinance up for this process: its real errors, no retries of its own, its caches within the project."""
    import yfinance
    from yfinance.data import YfData

    from src.sources.yahoo.session import YahooSession

    yfinance.config.debug.hide_exceptions = False
    yfinance.config.network.retries = 0
    keep_caches()
    logging.getLogger("yfinance").setLevel(logging.CRITICAL)  # every failure is raised and told by us
    warnings.filterwarnings("ignore", module=r"yfinance\.")  # its use of what pandas will drop: printed at every call
    session = YahooSession(settings, gate, lambda: _forget_crumb(YfData))
    YfData(session=session)
    _forget_crumb(YfData, "basic")
    return Yahoo(name, session)


def yahoo_name(wanted: BarRequest) -> str:
    """The symbol in Yahoo's writing: BRK.B is BRK-B, ABR$D is ABR-PD; `wanted.name` where the listing knows it.

    Raises
    ------
    Unfit
        Where Yahoo can have no such name.
    """
    asked = wanted.name or wanted.symbol.replace("$", "-P").replace(".", "-").replace("/", "-")
    if not _NAME.fullmatch(asked.upper()):
        raise Unfit(f"{asked} can't be a symbol of Yahoo's: letters, digits and . - ^ = alone")
    return asked.upper()


def _told(ask: Callable[[], _T], what: str) -> _T:
    """What yfinance returns; its own trouble with an answer is the answer's."""
    from src.sources.yahoo.session import Withheld

    try:
        return ask()
    except Withheld as error:  # a consent page that did not lead on
        raise Unavailable(f"{what}: {error}") from error
    except ValueError as error:
        raise Malformed(f"{what}: yfinance can't read the answer: {error}") from error


def _served(ask: Callable[[], Any], asked: str) -> dict[str, Any]:
    """The body that came when yfinance was told to ask."""
    from src.sources.yahoo.session import Served

    try:
        _told(ask, asked)
    except Served as served:
        return served.body
    raise Malformed(f"{asked}: yfinance came back without the answer")


def _tried(ask: Callable[[], _T]) -> _T:
    """An answer, asked for again after a fault; after a refusal the gate says when."""
    for _ in range(_PAGE_TRIES - 1):
        try:
            return ask()
        except (Malformed, Refusal, Unavailable):
            continue
    return ask()


def _start(wanted: BarRequest) -> tuple[dt.date, dict[str, str]]:
    """First day to ask for, and a word where it is later than wanted."""
    if wanted.interval not in _INTERVALS:
        raise Unfit(f"Yahoo is asked for bars of {' or '.join(_INTERVALS)}, not {wanted.interval}")
    earliest = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=_HOURLY_DAYS)
    if wanted.interval == "1d" or wanted.start >= earliest:
        return wanted.start, {}
    return earliest, {"start": f"from {earliest}: Yahoo serves hours of the last 730 days alone"}


@functools.cache
def keep_caches() -> None:
    """Once a process: yfinance can't change the place of an open cache."""
    import yfinance

    folder = main_root() / "data" / "cache" / "yfinance"
    folder.mkdir(parents=True, exist_ok=True)
    yfinance.set_tz_cache_location(str(folder))


def _forget_crumb(data: Any, strategy: str | None = None) -> None:
    """Let yfinance fetch cookie and crumb anew with its next request; it has no public way to say so.

    Without a `strategy` it takes the other of its two ways to a cookie (`basic`, `csrf`), as it does by itself.
    """
    import yfinance

    held = data()
    other = "csrf" if held._cookie_strategy == "basic" else "basic"
    held._cookie_strategy = strategy or other
    held._crumb = held._cookie = None
    yfinance.cache.get_cookie_cache().store("curlCffi", None)
