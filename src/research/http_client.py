"""The client of sources that serve over HTTP: polite, proxied, and never with part of an answer."""

from __future__ import annotations

import contextlib
import datetime as dt
import re
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from src.config.research_sections import ResearchConfig
from src.config.schema import LiveSource
from src.core.errors import ConfigError
from src.fetching.download import AGENT
from src.fetching.network import ca_file, proxy
from src.fetching.obstacle import PROXY, kind_of
from src.fetching.provider import ProviderError, Refusal, RequestGate, Unavailable, Unfit, Unreachable, WebPage
from src.fetching.retry_after import retry_after
from src.research.http_body import ENCODINGS, collected, decoded, is_html
from src.research.source import Page, Reply
from src.runtime.redaction import masked

if TYPE_CHECKING:
    from requests import Response, Session

MOST_BYTES = 64 * 1024**2
_PIECE = 64 * 1024
_REDIRECTS = 5
_MOVED = (301, 302, 303, 307, 308)
_GONE = (404, 410)
_LIMITED = re.compile(
    rb"rate.{0,20}(?:limit|exceed)|too many requests|quota|throttl|undeclared automated tool|slow down", re.I | re.S
)
_ABSENT = re.compile(rb"<Code>(?:AccessDenied|NoSuchKey)</Code>")  # how a store of files says 404
_PRIVATE = ("set-cookie", "set-cookie2", "www-authenticate")
_PLAIN = ("accept", "accept-language", "if-none-match", "if-modified-since")  # may go to another host too


class HttpClient:
    """Sends requests through the gate of a source.

    Parameters
    ----------
    settings : ResearchConfig
    live : LiveSource
        Contact, timeout, proxy and certificates.
    gate : RequestGate
    now : callable
        The time of day in UTC.
    clock : callable
        Monotonic time in seconds.

    Attributes
    ----------
    limited_pause : float or None
        Seconds to wait where a host that limits the rate names no time; None leaves that to the gate.
    """

    limited_pause: float | None = None

    def __init__(
        self,
        settings: ResearchConfig,  # noqa: ARG002 (the signature of every source's client)
        live: LiveSource,
        gate: RequestGate,
        now: Callable[[], dt.datetime] = lambda: dt.datetime.now(dt.UTC),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        import requests  # noqa: F401 (loaded here, as otherwise the first requests wait for it behind the gate, and bunch)

        self._live, self._gate, self._now, self._clock = live, gate, now, clock
        self._own = threading.local()
        self._sessions: list[Session] = []

    def fetch(self, page: Page) -> Reply:
        """Ask for one page.

        ``page.context`` may hold ``etag`` and ``last_modified`` of the last answer (see `validators`), so that the
        source can answer that nothing changed; ``html``, true where a web page is what is wanted; and ``most_bytes``,
        the longest body (64 MB unless it says otherwise).

        Parameters
        ----------
        page : Page

        Returns
        -------
        Reply

        Raises
        ------
        Refusal
            If the host limits the rate (status 429, 503 with Retry-After, 403 that says so).
        Unavailable
            If no whole answer came.
        WebPage
            If a web page came where data was expected.
        Unfit
            If the host refuses the request (other statuses of 4xx), redirects without end, or sends too much.
        Stopped
            If the run is ending.
        """
        url, headers = page.url, self._headers(page)
        for _ in range(_REDIRECTS + 1):
            self._gate.enter()
            answer = self._sent(url, headers)
            with contextlib.closing(answer):
                target = answer.headers.get("location") if answer.status_code in _MOVED else None
                if target is None:
                    return self._reply(page, url, answer)
                self._gate.answered()
            url, headers = _redirected(url, target, headers)
        raise Unfit(f"{masked(page.url)}: more than {_REDIRECTS} redirects")

    def close(self) -> None:
        """Close connections."""
        for session in self._sessions:
            session.close()

    def _headers(self, page: Page) -> dict[str, str]:
        contact = self._live.contact
        headers = {"User-Agent": f"{AGENT} {contact}" if contact else AGENT, "Accept-Encoding": ENCODINGS}
        known = {"etag": "If-None-Match", "last_modified": "If-Modified-Since"}
        conditions = {name: str(page.context[key]) for key, name in known.items() if page.context.get(key)}
        return {**headers, **conditions, **page.headers}

    def _session(self) -> Session:
        """The session of this thread: requests does not promise that threads may share one."""
        if not hasattr(self._own, "session"):
            from http.cookiejar import DefaultCookiePolicy

            import requests

            session = requests.Session()
            session.trust_env = False  # proxy and certificates of the environment are arguments of each request
            session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
            session.headers.clear()
            self._own.session = session
            self._sessions.append(session)
        return self._own.session  # type: ignore[no-any-return]

    def _sent(self, url: str, headers: dict[str, str]) -> Response:
        """Send one request; the answer's body is still to be read."""
        import requests

        try:
            host = urlsplit(url).hostname
            through = proxy(self._live, host)
            return self._session().get(
                url,
                headers=headers,
                timeout=self._live.timeout,
                proxies={"https": through, "http": through} if through else {},
                verify=ca_file(self._live) or True,
                allow_redirects=False,
                stream=True,
            )
        except ConfigError:
            raise
        except ValueError as error:  # also what requests raises for malformed addresses
            raise Unfit(f"{masked(url)} is no address that can be asked ({type(error).__name__})") from None
        except requests.RequestException as error:
            words = masked(f"{type(error).__name__}: {error}")
            message, obstacle = f"{masked(url)}: {words[:200]}", kind_of(words)
            raise (Unreachable(message, obstacle, host or "") if obstacle else Unavailable(message)) from None

    def _reply(self, page: Page, url: str, answer: Response) -> Reply:
        """Judge an answer."""
        status, shown, host = answer.status_code, masked(url), urlsplit(url).hostname or ""
        headers = {name.lower(): str(value) for name, value in answer.headers.items() if name.lower() not in _PRIVATE}
        if status == 304:
            self._gate.answered()
            return Reply(b"", self._now(), headers, unchanged=True)
        if status == 407:
            raise Unreachable(f"{shown}: the proxy answers 407", PROXY, host)
        try:
            body = self._body(answer, int(page.context.get("most_bytes", MOST_BYTES)))
        except ProviderError as error:
            self._judge_status(status, shown, headers, b"")
            self._gate.answered()
            raise type(error)(f"{shown}: {error}") from None
        self._judge_status(status, shown, headers, body)
        self._gate.answered()
        if status in _GONE or (status == 403 and _ABSENT.search(body)):
            return Reply(b"", self._now(), headers, missing=True)
        if status not in (200, 203, 204):
            words = f"{shown}: answers {status} {answer.reason or ''}".strip()
            raise Unavailable(words) if status >= 500 or status in (202, 206, 408, 425) else Unfit(words)
        if not page.context.get("html") and is_html(body):
            raise WebPage(f"{shown}: a web page came instead of data", host)
        return Reply(body, self._now(), headers)

    def _judge_status(self, status: int, shown: str, headers: Mapping[str, str], body: bytes) -> None:
        """Raise `Refusal` if the host limits the rate."""
        named = headers.get("retry-after")
        limited = status == 403 and not _ABSENT.search(body) and _LIMITED.search(body)
        if status == 429 or (status == 503 and named) or limited:
            seconds = retry_after(named, self._now())
            seconds = self.limited_pause if seconds is None else seconds
            self._gate.refused(seconds)
            raise Refusal(f"{shown}: answers {status}, which limits the rate", seconds)

    def _body(self, answer: Response, most: int) -> bytes:
        from urllib3.exceptions import HTTPError

        headers: Mapping[str, Any] = answer.headers
        pieces = answer.raw.stream(_PIECE, decode_content=False)
        try:
            body = collected(pieces, headers.get("content-length"), most, 4 * self._live.timeout, self._clock)
        except (HTTPError, OSError) as error:
            raise Unavailable(f"the answer was cut ({masked(f'{type(error).__name__}: {error}')[:160]})") from None
        return decoded(body, headers.get("content-encoding"), most)


def validators(reply: Reply) -> dict[str, str]:
    """What to remember of an answer so that the next request can ask whether anything changed.

    Parameters
    ----------
    reply : Reply

    Returns
    -------
    dict of str to str
        ``etag`` and ``last_modified``, as far as the source gives them: for a unit's notes, and from there for
        ``Page.context``.
    """
    named = {"etag": reply.headers.get("etag"), "last_modified": reply.headers.get("last-modified")}
    return {key: value for key, value in named.items() if value}


def _redirected(url: str, target: str, headers: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """Where a redirect leads, and what may be sent there: to another host nothing that could be a secret."""
    following = urljoin(url, target)
    before, after = urlsplit(url), urlsplit(following)
    if after.scheme not in ("http", "https") or not after.hostname:
        raise Unfit(f"{masked(url)}: redirects to {masked(following)[:120]}, which is not followed")
    if (before.scheme, before.netloc) == (after.scheme, after.netloc):
        return following, dict(headers)
    kept = ("user-agent", "accept-encoding", *_PLAIN)
    return following, {name: value for name, value in headers.items() if name.lower() in kept}
