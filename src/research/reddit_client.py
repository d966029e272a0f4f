"""Reddit by `praw`, through the gate of its source: nothing is sent that the gate did not let in, tokens included."""

from __future__ import annotations

import datetime as dt
import json
import threading
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from src.config.paths import main_root
from src.config.research_sections import ResearchConfig
from src.config.schema import LiveSource
from src.fetching.download import AGENT
from src.fetching.network import ca_file, proxy
from src.fetching.obstacle import kind_of
from src.fetching.provider import (
    Malformed,
    ProviderError,
    Refusal,
    RequestGate,
    Unavailable,
    Unfit,
    Unreachable,
    WebPage,
)
from src.fetching.retry_after import retry_after
from src.research.http_body import is_html
from src.research.source import Page, Reply
from src.runtime.env_file import variable
from src.runtime.redaction import masked

KEYS = ("REDDIT_CLIENT_ID", "REDDIT_CLIENT_SECRET")
_CHECK = f"check {KEYS[0]} and {KEYS[1]} and the app at https://www.reddit.com/prefs/apps"


def keys() -> tuple[str, ...]:
    """Id and secret of the user's app, from the environment or ``.env``; each is empty if it is not there."""
    return tuple(variable(name, main_root() / ".env") for name in KEYS)


class RedditClient:
    """Asks for listings with a token of the app alone, one request at a time.

    Parameters
    ----------
    settings : ResearchConfig
        Addresses.
    live : LiveSource
        Timeout, proxy and certificates.
    gate : RequestGate
    """

    def __init__(self, settings: ResearchConfig, live: LiveSource, gate: RequestGate) -> None:
        self._settings, self._live, self._gate = settings, live, gate
        self._lock = threading.Lock()  # praw's own limiter serves one thread
        self._reddit: Any = None
        self._session: Any = None

    def fetch(self, page: Page) -> Reply:
        """Ask for one listing.

        Parameters
        ----------
        page : Page
            Path and query of its address are asked for.

        Returns
        -------
        Reply
            JSON; `missing` where the subreddit is private, closed or unknown.

        Raises
        ------
        Refusal
            If Reddit limits the rate.
        Unavailable
            If no answer came.
        Unfit
            If Reddit does not accept the app.
        Malformed
            If the answer is not JSON.
        Stopped
            If the run is ending.
        """
        import prawcore

        parts = urlsplit(page.url)
        with self._lock:
            try:
                answer = self._client().request(method="GET", path=parts.path, params=dict(parse_qsl(parts.query)))
            except (prawcore.NotFound, prawcore.Redirect, prawcore.exceptions.UnavailableForLegalReasons):
                return Reply(b"", dt.datetime.now(dt.UTC), missing=True)
            except prawcore.PrawcoreException as error:
                return self._excused(error)
            except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:  # of an answer's form
                raise Malformed(f"Reddit's answer can't be read ({type(error).__name__})") from error
        return Reply(json.dumps(answer).encode(), dt.datetime.now(dt.UTC))

    def close(self) -> None:
        """Close connections."""
        if self._session is not None:
            self._session.close()

    def _excused(self, error: Exception) -> Reply:
        """A refusal of one subreddit is an answer; one of the app is an error."""
        import prawcore

        response = getattr(error, "response", None)
        status = getattr(response, "status_code", 0)
        if isinstance(error, prawcore.exceptions.BadJSON) and response is not None:
            raise (WebPage if is_html(response.content) else Malformed)("Reddit's answer is not JSON") from None
        reason = ""
        if isinstance(error, prawcore.Forbidden) and response is not None:
            reason = _reason(response)
            if reason:  # private, banned, quarantined, gated: of the subreddit, not of the app
                return Reply(b"", dt.datetime.now(dt.UTC), missing=True)
        if status in (400, 401, 403) or isinstance(error, prawcore.OAuthException):
            raise Unfit(f"Reddit does not accept the app (status {status} {reason}".rstrip() + f"): {_CHECK}") from None
        raise Unavailable(f"Reddit: {masked(f'{type(error).__name__}: {error}')[:200]}") from None

    def _client(self) -> Any:
        if self._reddit is None:
            import praw
            import requests

            found, secret = keys()
            self._session = requests.Session()
            self._session.trust_env = False  # proxy and certificates of the environment go along below
            self._session.verify = ca_file(self._live) or True
            self._reddit = praw.Reddit(
                "DEFAULT",
                client_id=found,
                client_secret=secret,
                user_agent=f"{AGENT} {self._live.contact or '(research)'}",
                oauth_url=self._settings.reddit.address,
                reddit_url=self._settings.reddit.token_address,
                check_for_updates=False,
                check_for_async=False,
                requestor_class=_requestor(self._gate, self._live),
                requestor_kwargs={"session": self._session},
            )
            self._reddit.read_only = True
        return self._reddit


def _requestor(gate: RequestGate, live: LiveSource) -> type:
    """A requestor of prawcore that passes the gate before each request, and judges answers as our other clients do."""
    import prawcore
    import requests

    class Gated(prawcore.Requestor):
        def request(self, *args: Any, timeout: float | None = None, **kwargs: Any) -> Any:  # noqa: ARG002 (prawcore's)
            url = str(kwargs.get("url") or args[1])
            through = proxy(live, urlsplit(url).hostname)
            if through:
                kwargs["proxies"] = {"https": through, "http": through}
            gate.enter()
            try:
                answer = self._http.request(*args, **(kwargs | {"timeout": live.timeout}))
            except requests.RequestException as error:
                raise _unheard(url, error) from None
            _judge(answer, gate)
            return answer

    return Gated


def _judge(answer: Any, gate: RequestGate) -> None:
    """Report an answer to the gate, and raise what prawcore would repeat by itself."""
    if answer.status_code == 429:
        named = answer.headers.get("retry-after") or answer.headers.get("x-ratelimit-reset")
        seconds = retry_after(named)
        gate.refused(seconds)
        raise Refusal("Reddit answers 429, which limits the rate", seconds)
    gate.answered()
    if answer.status_code >= 500 or answer.status_code == 408:
        raise Unavailable(f"Reddit answers {answer.status_code} {answer.reason or ''}".strip())


def _unheard(url: str, error: Exception) -> ProviderError:
    words = masked(f"{type(error).__name__}: {error}")
    message, obstacle = f"{masked(url)}: {words[:200]}", kind_of(words)
    return Unreachable(message, obstacle, urlsplit(url).hostname or "") if obstacle else Unavailable(message)


def _reason(response: Any) -> str:
    try:
        return str(response.json().get("reason", ""))
    except (ValueError, AttributeError):
        return ""
