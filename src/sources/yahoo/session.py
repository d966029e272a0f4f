"""The HTTP session under yfinance: each request passes the gate, each answer is checked before yfinance sees it.

By itself, yfinance sends up to three requests for every failure, takes any error page for a crumb, and calls all that
it can't read "possibly delisted". Here a failure is one request and one `ProviderError` that says what happened.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from curl_cffi.requests import Response, Session
from curl_cffi.requests.exceptions import RequestException

from src.config.schema import LiveSource
from src.fetching.network import ca_file, proxy
from src.fetching.obstacle import is_page, kind_of
from src.fetching.provider import (
    Malformed,
    ProviderError,
    Refusal,
    RequestGate,
    Unavailable,
    Unknown,
    Unreachable,
    WebPage,
)
from src.fetching.retry_after import retry_after
from src.runtime.redaction import masked
from src.sources.yahoo.options import checked as checked_options
from src.sources.yahoo.payload import loaded
from src.sources.yahoo.screener import checked as checked_screener

CHART, OPTIONS, CRUMB = "/v8/finance/chart/", "/v7/finance/options/", "/v1/test/getcrumb"
_CHECKS = {
    OPTIONS: checked_options,
    "/v1/finance/screener": checked_screener,
}  # of what yfinance does not check
_REFUSALS = (403, 429, 999)  # forbidden, too many requests, and Yahoo's own code for a blocked address
_ROOTS = ("chart", "optionChain", "finance", "quoteResponse")  # keys of Yahoo's JSON that may hold an error
_WITHHELD = 60.0  # seconds before a cookie or crumb that could not be had is requested again
_LONGEST_CRUMB = 64
_PASSING = ("internal", "unavailable", "timeout", "timed out", "temporar", "try again", "overload")
_ABSENT = ("not found", "no data found", "delisted", "data doesn't exist")


class Served(Exception):
    """A good answer on its way past yfinance, whose own table silently drops, sorts and merges rows."""

    def __init__(self, body: dict[str, Any]) -> None:
        super().__init__("served")
        self.body = body


class Withheld(OSError):
    """No cookie or crumb for now. yfinance takes an OSError for a fault that may pass, and goes on without them."""


class YahooSession(Session):  # type: ignore[type-arg]
    """A session of curl_cffi, shared by all threads of a run.

    Parameters
    ----------
    settings : LiveSource
        Proxy, certificates and timeout.
    gate : RequestGate
        Passed before each request, and notified of each answer and refusal.
    forget : callable
        Called when Yahoo no longer accepts the crumb.
    """

    def __init__(self, settings: LiveSource, gate: RequestGate, forget: Callable[[], None]) -> None:
        through = proxy(settings)
        super().__init__(
            impersonate="chrome",
            verify=ca_file(settings) or True,  # type: ignore[arg-type]  # a path works: it is passed to libcurl
            proxies={"http": through, "https": through} if through else None,
        )
        self._gate, self._forget, self._seconds = gate, forget, settings.timeout
        self._withheld: dict[str, tuple[float, ProviderError | None]] = {}
        self._last = threading.local()

    @property
    def last_body(self) -> dict[str, Any]:
        """The latest answer that this thread received, parsed."""
        body: dict[str, Any] = self._last.body
        return body

    def request(self, method: Any, url: str, **options: Any) -> Response:  # type: ignore[override]
        """Send one request when the gate lets it pass.

        Parameters
        ----------
        method, url, options
            As in curl_cffi; the timeout is that of the settings.

        Returns
        -------
        Response
            For what yfinance has to read itself: cookies, crumbs, the first page of an option chain, the screener.

        Raises
        ------
        Served
            With the answer, if it is a chart or a later page of an option chain.
        ProviderError
            If the answer is unusable.
        Withheld
            If a cookie or a crumb can't be had.
        Stopped
            If the run is ending.
        """
        if (errand := _errand(url)) is None:
            return self._asked(method, url, options)
        until, cause = self._withheld.get(errand, (0.0, None))
        if time.monotonic() < until:
            raise Withheld(f"no {errand} less than a minute ago") from cause
        try:
            return self._asked(method, url, options, errand)
        except ProviderError as error:
            self._withheld[errand] = (time.monotonic() + _WITHHELD, error)
            raise Withheld(f"no {errand}: {error}") from error

    def _asked(self, method: Any, url: str, options: dict[str, Any], errand: str | None = None) -> Response:
        self._gate.enter()
        try:
            response: Response = super().request(method, url, **options | {"timeout": self._seconds})
        except RequestException as error:
            raise _unreached(
                urlsplit(url).hostname or "", masked(str(error)).split(" See https://curl.se")[0]
            ) from error
        where = urlsplit(response.url)
        if _is_refused(response):
            wait = retry_after(response.headers.get("Retry-After"))
            self._gate.refused(wait)
            raise Refusal(f"{where.hostname} refuses: status {response.status_code}", wait)
        self._gate.answered()
        if errand == "crumb" and not _is_crumb(response):
            raise Malformed(f"{where.hostname} gave no crumb: {_shown(response)}")
        if "/finance/" in where.path:  # also after a redirection by a consent page
            self._serve(response, where.path, parse_qs(where.query))
        return response

    def _serve(self, response: Response, path: str, query: dict[str, list[str]]) -> None:
        """Check an answer with data, keep it for this thread, and take it past yfinance if it is complete."""
        body = self._last.body = self._checked(response)
        for part, check in _CHECKS.items():
            if part in path:
                check(body)
        if (CHART in path and "period1" in query) or (OPTIONS in path and "date" in query):
            raise Served(body)

    def _checked(self, response: Response) -> dict[str, Any]:
        """Parse the body of an answer with data; raise the error that it reports."""
        host, status = urlsplit(response.url).hostname, response.status_code
        if status >= 500:
            raise Unavailable(f"{host} answered {_shown(response)}")
        if status == 401:
            self._forget()
            sent = "crumb=" in response.url
            crumb = "no longer accepts the crumb" if sent else "wants a crumb, which could not be had"
            raise Unavailable(f"{host} {crumb}: {_shown(response)}; it is fetched again")
        if is_page(response.content) and b"Will be right back" not in response.content:
            shown = " ".join(response.content[:300].decode("utf-8", "replace").split())[:100]
            raise WebPage(f"{host} answered status {status} without JSON: {shown}: a web page", host or "")
        body = loaded(response.content, f"{host} answered status {status}")
        for root in _ROOTS:
            part = body.get(root)
            if isinstance(part, dict) and part.get("error"):
                raise api_error(part["error"])
        if status >= 400:
            raise Malformed(f"{host} answered {_shown(response)}")
        return body


def _unreached(host: str, reason: str) -> Unavailable:
    """The error of a request that brought no answer: of the way to the host, or else of the host."""
    obstacle = kind_of(reason)
    message = f"{host} can't be reached: {reason.rstrip('.')}"
    return Unreachable(message, obstacle, host) if obstacle else Unavailable(message)


def api_error(error: Any) -> ProviderError:
    """Classify an error that Yahoo reports in its JSON.

    Parameters
    ----------
    error : object
        ``{"code": ..., "description": ...}``.

    Returns
    -------
    ProviderError
        `Unavailable` if it may pass, `Unknown` for a symbol that there is not, else `Malformed`.
    """
    if not isinstance(error, dict):
        return Malformed(f"Yahoo says: {str(error)[:200]}")
    code, description = str(error.get("code") or ""), str(error.get("description") or "")
    both = f"{code} {description}".lower()
    if any(word in both for word in _PASSING):
        return Unavailable(f"Yahoo says {code}: {description}")
    if any(word in both for word in _ABSENT):
        return Unknown(f"Yahoo says: {description or code}")
    return Malformed(f"Yahoo says {code}: {description}")


def _errand(url: str) -> str | None:
    """Name what yfinance requests for itself and can go on without; None for a request of ours."""
    parts = urlsplit(url)
    if parts.path.endswith(CRUMB):
        return "crumb"
    return None if (parts.hostname or "").endswith("finance.yahoo.com") else "cookie"


def _is_refused(response: Response) -> bool:
    if response.status_code in _REFUSALS or (response.status_code == 503 and "Retry-After" in response.headers):
        return True
    return len(response.content) < 500 and b"Too Many Requests" in response.content


def _is_crumb(response: Response) -> bool:
    text = response.text.strip()
    return response.status_code == 200 and 0 < len(text) <= _LONGEST_CRUMB and not set("<{ \n") & set(text)


def _shown(response: Response) -> str:
    """Status and the beginning of a body, for a message."""
    body = " ".join(response.content[:400].decode("utf-8", "replace").split())
    return f"status {response.status_code} ({body[:120] or 'an empty body'})"
