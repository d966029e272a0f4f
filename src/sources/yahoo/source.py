"""Yahoo through yfinance: stocks, ETFs and coins, daily or hourly, option chains, and the most traded names.

yfinance makes the requests (addresses, cookies, crumb, consent pages) over `src.sources.yahoo.session`. Bars are read
from the JSON itself: yfinance's own table costs 30 ms of CPU for each symbol, and silently drops, sorts, merges and
fills rows (duplicates, rows without a price, missing volumes, dividends on days without a bar).
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
from src.fetching.provider import (
    Answer,
    BarRequest,
    Malformed,
    OptionChain,
    Refusal,
    RequestGate,
    Unavailable,
    Unfit,
    Unreachable,
)

if TYPE_CHECKING:
    import polars as pl

    from src.sources.yahoo.session import YahooSession

_HOURLY_DAYS = 729  # Yahoo serves hourly bars of the last 730 days
_NAME = re.compile(
    r"(?![A-Z]{2}[A-Z0-9]{9}[0-9]$)[A-Z0-9^][A-Z0-9.^=-]{0,19}"
)  # not an ISIN, which yfinance would look up
_INTERVALS = ("1d", "1h")
_T = TypeVar("_T")
_PAGE_TRIES = 4  # of one expiry of a chain: one fault should not cost the pages received before


class Yahoo:
    """Yahoo as a `Provider`: one shared session, used by several threads.

    yfinance keeps one session for each process, so the provider connected last serves all.

    Parameters
    ----------
    name : str
        Written in the column source.
    session : YahooSession
        Carries the gate.
    """

    def __init__(self, name: str, session: YahooSession) -> None:
        self.name = name
        self._session = session

    def fetch(self, request: BarRequest) -> Answer:
        """Ask for one instrument's bars and events in one request.

        Parameters
        ----------
        request : BarRequest
            Hourly bars older than Yahoo serves are not requested; the facts then have the first date as ``start``.

        Returns
        -------
        Answer
            Rows as served; see `src.sources.yahoo.chart`.

        Raises
        ------
        ProviderError
            If there is no usable answer.
        Stopped
            If the run is ending.
        """
        from src.sources.yahoo.chart import answer

        asked = yahoo_name(request)
        start, facts = _start(request)
        served = answer(self._chart(asked, start, request), request, asked, self.name)
        return Answer(served.bars, served.events, served.facts | facts)

    def chain(self, underlying: str, max_expiries: int) -> OptionChain:
        """Ask for the option chain of one underlying: one request for each expiry, the nearest first.

        Parameters
        ----------
        underlying : str
            Our symbol or Yahoo's.
        max_expiries : int
            Limit of expiries. The facts have the number of all.

        Returns
        -------
        OptionChain
            Contracts as served; see `src.sources.yahoo.options`.

        Raises
        ------
        ProviderError
            If a page is still unusable after four tries, or there are no options (`Unknown`).
        Stopped
            If the run is ending.
        """
        import polars as pl

        from src.sources.yahoo import options

        asked = yahoo_name(BarRequest("stock", underlying, dt.date.min))
        ticker = self._ticker(asked, "America/New_York")
        expiries = sorted(_retried(lambda: _called(lambda: ticker.options, asked)))
        moment = dt.datetime.now(dt.UTC)
        first = options.checked(self._session.last_body)
        taken = expiries[:max_expiries]
        pages = []
        for expiry in taken:
            if expiry == options.expiry_of(first):
                pages.append(options.contracts(first, asked, moment))
            else:
                pages.append(_retried(functools.partial(self._page, ticker, asked, expiry)))
        facts = options.facts(first) | {"expiries": f"{len(taken)} of {len(expiries)}"}
        return OptionChain(underlying, options.spot(first, asked), moment, pl.concat(pages), facts)

    def most_traded(self, kind: str, count: int) -> pl.DataFrame:
        """Ask for the stocks or ETFs with the largest dollar volume of today.

        Parameters
        ----------
        kind : str
            ``stock`` or ``etf``.
        count : int
            How many.

        Returns
        -------
        DataFrame
            See `src.sources.yahoo.screener.most_traded`.

        Raises
        ------
        ProviderError
            If there is no usable answer.
        """
        from src.sources.yahoo.screener import most_traded

        return _called(lambda: most_traded(kind, count), f"the most traded of {kind}")

    def close(self) -> None:
        """Close connections."""
        self._session.close()

    def _chart(self, asked: str, start: dt.date, request: BarRequest) -> dict[str, Any]:
        ticker = self._ticker(asked, "UTC" if request.asset_class == "crypto" else "America/New_York")
        return _body(lambda: ticker.history(start=start, interval=request.interval, auto_adjust=False), asked)

    def _page(self, ticker: Any, asked: str, expiry: str) -> pl.DataFrame:
        """The contracts of one expiry, with the time of their answer."""
        from src.sources.yahoo import options

        body = _body(lambda: ticker.option_chain(expiry), asked)
        return options.contracts(options.checked(body), asked, dt.datetime.now(dt.UTC))

    def _ticker(self, asked: str, zone: str) -> Any:
        import yfinance

        ticker = yfinance.Ticker(asked, session=self._session)
        ticker._tz = zone  # otherwise yfinance asks Yahoo for it, which doubles the requests
        return ticker


def connect(name: str, settings: LiveSource, gate: RequestGate) -> Yahoo:
    """Set yfinance up for this process: it raises its errors, does not retry, and keeps its caches in the project.

    Parameters
    ----------
    name : str
        Written in the column source.
    settings : LiveSource
        Timeout, proxy and certificates.
    gate : RequestGate
        Passed before each request.
    """
    import yfinance
    from yfinance.data import YfData

    from src.sources.yahoo.session import YahooSession

    yfinance.config.debug.hide_exceptions = False
    yfinance.config.network.retries = 0
    set_cache_folder()
    logging.getLogger("yfinance").setLevel(logging.CRITICAL)  # we report every failure ourselves
    warnings.filterwarnings("ignore", module=r"yfinance\.")  # printed at every call
    session = YahooSession(settings, gate, lambda: _forget_crumb(YfData))
    YfData(session=session)
    _forget_crumb(YfData, "basic")
    return Yahoo(name, session)


def yahoo_name(request: BarRequest) -> str:
    """Return Yahoo's name of a symbol: BRK.B is BRK-B, ABR$D is ABR-PD.

    Parameters
    ----------
    request : BarRequest
        Its ``name`` is taken as it is if there is one.

    Returns
    -------
    str
        In upper case.

    Raises
    ------
    Unfit
        If it can't be a name of Yahoo's.
    """
    asked = request.name or request.symbol.replace("$", "-P").replace(".", "-").replace("/", "-")
    if not _NAME.fullmatch(asked.upper()):
        raise Unfit(f"{asked} can't be a symbol of Yahoo's, which have letters, digits and . - ^ = only")
    return asked.upper()


def _called(ask: Callable[[], _T], what: str) -> _T:
    """Call yfinance; if it can't read an answer, the answer is malformed."""
    from yfinance.data import YfData

    from src.sources.yahoo.session import Withheld

    try:
        try:
            return ask()
        except LookupError:  # Yahoo's cookie is not called A3, as yfinance expects: it is sent as it is
            YfData()._cookie = True
            return ask()
    except Withheld as error:  # a consent page without a way on
        cause = error.__cause__
        if isinstance(cause, Unreachable):
            raise Unreachable(f"{what}: {error}", cause.obstacle, cause.host) from error
        raise Unavailable(f"{what}: {error}") from error
    except (ValueError, LookupError) as error:
        raise Malformed(f"{what}: yfinance can't read the answer: {error or type(error).__name__}") from error


def _body(ask: Callable[[], Any], asked: str) -> dict[str, Any]:
    """The body that the session received when yfinance was called."""
    from src.sources.yahoo.session import Served

    try:
        _called(ask, asked)
    except Served as served:
        return served.body
    raise Malformed(f"{asked}: yfinance returned without an answer")


def _retried(ask: Callable[[], _T]) -> _T:
    """Ask again after faults and refusals; after a refusal the gate waits."""
    for _ in range(_PAGE_TRIES - 1):
        try:
            return ask()
        except (Malformed, Refusal, Unavailable):
            continue
    return ask()


def _start(request: BarRequest) -> tuple[dt.date, dict[str, str]]:
    """First day to ask for, and a fact if it is later than requested."""
    if request.interval not in _INTERVALS:
        raise Unfit(f"Yahoo is asked for bars of {' or '.join(_INTERVALS)}, not {request.interval}")
    earliest = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=_HOURLY_DAYS)
    if request.interval == "1d" or request.start >= earliest:
        return request.start, {}
    note = f"from {earliest}: Yahoo serves hourly bars of the last 730 days only"
    return earliest, {"start": note, "serves": "hourly bars of the last 730 days only"}


@functools.cache
def set_cache_folder() -> None:
    """Keep yfinance's caches in the project. Once for each process: yfinance can't move an open cache."""
    import yfinance

    folder = main_root() / "data" / "cache" / "yfinance"
    folder.mkdir(parents=True, exist_ok=True)
    yfinance.set_tz_cache_location(str(folder))


def _forget_crumb(data: Any, strategy: str | None = None) -> None:
    """Make yfinance fetch cookie and crumb again with its next request, for which it has no public function.

    Without a `strategy`, it changes to the other of its two ways to a cookie (`basic`, `csrf`), as it does by itself.
    """
    import yfinance

    held = data()
    other = "csrf" if held._cookie_strategy == "basic" else "basic"
    held._cookie_strategy = strategy or other
    held._crumb = held._cookie = None
    yfinance.cache.get_cookie_cache().store("curlCffi", None)
