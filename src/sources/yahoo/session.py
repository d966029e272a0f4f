"""The one HTTP session under yfinance: each request passes the gate, each answer is judged before yfinance sees it.

Left to itself yfinance asks up to three times for every failure, reads any error page as a crumb, and calls whatever it
can't read "possibly delisted". Here a failure is one request and one `ProviderError` that says what happened.
"""

from __future__ import annotations

import datetime as dt
import email.utils
import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from curl_cffi.requests import Response, Session
from curl_cffi.requests.exceptions import RequestException

from src.config.schema import LiveSource
from src.fetching.network import ca_file, proxy
from src.fetching.provider import Malformed, ProviderError, Refusal, RequestGate, Unavailable, Unknown
from src.runtime.redaction import masked
from src.sources.yahoo import options as options_module
from src.sources.yahoo import screener
from src.sources.yahoo.payload import loaded

CHART, OPTIONS, CRUMB = "/v8/finance/chart/", "/v7/finance/options/", "/v1/test/getcrumb"
_CHECKS = {
    OPTIONS: options_module.checked,
    "/v1/finance/screener": screener.checked,
}  # what yfinance takes as given
_REFUSALS = (403, 429, 999)  # forbidden, too many requests, and Yahoo's own word for a blocked address
_ROOTS = ("chart", "optionChain", "finance", "quoteResponse")  # where Yahoo's JSON says what went wrong
_WITHHELD = 60.0  # seconds without asking again for a cookie or crumb that was not to be had
_LONGEST_CRUMB = 64
_PASSING = ("internal", "unavailable", "timeout", "timed out", "temporar", "try again", "overload")
_ABSENT = ("not found", "no data found", "delisted", "data doesn't exist")


class Served(Exception):
    """A good answer on its way past yfinance, whose own table drops, sorts and merges rows without a word."""

    def __init__(self, body: dict[str, Any]) -> None:
        super().__init__("served")
        self.body = body


class Withheld(OSError):
    """No cookie or crumb for now. An OSError passes with yfinance for a passing fault: it goes on without them."""


class YahooSession(Session):  # type: ignore[type-arg]
    """A session of curl_cffi, shared by all threads of a run.

    Parameters
    ----------
    settings
        Proxy, certificates and timeout.
    gate
        Entered before each request and told of each refusal.
    forget
        Called when Yahoo no longer takes the crumb.
    """

    def __init__(self, settings: LiveSource, gate: RequestGate, forget: Callable[[], None]) -> None:
        through = proxy(settings)
        super().__init__(
            impersonate="chrome",
            verify=ca_file(settings) or True,  # type: ignore[arg-type]  # a path does: it is handed to libcurl
            proxies={"http": through, "https": through} if through else None,
        )
        self._gate, self._forget, self._seconds = gate, forget, settings.timeout
        self._withheld: dict[str, float] = {}
        self._heard = threading.local()

    @property
    def heard(self) -> dict[str, Any]:
        """The last answer that this thread was given, parsed."""
        body: dict[str, Any] = self._heard.body
        return body

    def request(self, method: Any, url: str, **options: Any) -> Response:  # type: ignore[override]
        """Send one request when the gate lets it pass.

        Raises
        ------
        Served
            With the answer, where it is a chart or a later page of an option chain.
        ProviderError
            Where the answer is no good.
        Withheld
            Where it would have been a cookie or a crumb.
        Stopped
            Where the run is ending.
        """
        if (errand := _errand(url)) is None:
            return self._asked(method, url, options)
        if time.monotonic() < self._withheld.get(errand, 0.0):
            raise Withheld(f"no {errand} a moment ago")
        try:
            return self._asked(method, url, options, errand)
        except ProviderError as error:
            self._withheld[errand] = time.monotonic() + _WITHHELD
            raise Withheld(f"no {errand}: {error}") from error

    def _asked(self, method: Any, url: str, options: dict[str, Any], errand: str | None = None) -> Response:
        self._gate.enter()
        try:
            response: Response = super().request(method, url, **options | {"timeout": self._seconds})
        except RequestException as error:
            words = masked(str(error)).split(" See https://curl.se")[0]
            raise Unavailable(f"{urlsplit(url).hostname} can't be reached: {words}") from error
        where = urlsplit(response.url)
        if _is_refused(response):
            wait = retry_after(response.headers.get("Retry-After"))
            self._gate.refused(wait)
            raise Refusal(f"{where.hostname} refuses: status {response.status_code}", wait)
        self._gate.answered()
        if errand == "crumb" and not _is_crumb(response):
            raise Malformed(f"{where.hostname} gave no crumb: {_shown(response)}")
        if "/finance/" in where.path:  # also where a consent page led back to it
            self._hear(response, where.path, parse_qs(where.query))
        return response

    def _hear(self, response: Response, path: str, query: dict[str, list[str]]) -> None:
        """Judge an answer with data, keep it for this thread, and take it past yfinance where all is known."""
        body = self._heard.body = self._judged(response)
        for part, check in _CHECKS.items():
            if part in path:
                check(body)
        if (CHART in path and "period1" in query) or (OPTIONS in path and "date" in query):
            raise Served(body)

    def _judged(self, response: Response) -> dict[str, Any]:
        """The body of an answer with data, parsed; or the error that it is."""
        host, status = urlsplit(response.url).hostname, response.status_code
        if status >= 500:
            raise Unavailable(f"{host} answered {_shown(response)}")
        if status == 401:
            self._forget()
            had = "no longer takes the crumb" if "crumb=" in response.url else "wants a crumb, which was not to be had"
            raise Unavailable(f"{host} {had}: {_shown(response)}; it is fetched anew")
        body = loaded(response.content, f"{host} answered status {status}")
        for root in _ROOTS:
            part = body.get(root)
            if isinstance(part, dict) and part.get("error"):
                raise complaint(part["error"])
        if status >= 400:
            raise Malformed(f"{host} answered {_shown(response)}")
        return body


def complaint(error: Any) -> ProviderError:
    """What Yahoo itself says went wrong, as an error of its class."""
    if not isinstance(error, dict):
        return Malformed(f"Yahoo says: {str(error)[:200]}")
    code, description = str(error.get("code") or ""), str(error.get("description") or "")
    both = f"{code} {description}".lower()
    if any(word in both for word in _PASSING):
        return Unavailable(f"Yahoo says {code}: {description}")
    if any(word in both for word in _ABSENT):
        return Unknown(f"Yahoo says: {description or code}")
    return Malformed(f"Yahoo says {code}: {description}")


def retry_after(text: str | None) -> float | None:
    """Seconds that a Retry-After header asks for, written as a number or as a date; None where it says neither."""
    if not text:
        return None
    try:
        return max(float(text), 0.0) if float(text) < float("inf") else None
    except ValueError:
        pass
    try:
        moment = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
    return max((moment - dt.datetime.now(dt.UTC)).total_seconds(), 0.0)


def _errand(url: str) -> str | None:
    """What yfinance fetches for itself, not for us: it can go on without."""
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
    """Status and the beginning of a body, for words."""
    body = " ".join(response.content[:400].decode("utf-8", "replace").split())
    return f"status {response.status_code} ({body[:120] or 'an empty body'})"
