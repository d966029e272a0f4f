"""Download of one text file, complete or not at all."""

from __future__ import annotations

import time
from urllib.parse import urlsplit

from src.config.schema import LiveSource
from src.fetching.network import ca_file, proxy
from src.fetching.obstacle import PAGE, is_page, kind_of
from src.fetching.provider import Unavailable, Unreachable
from src.runtime.redaction import masked

AGENT = "alpha-loop"
_TRIES = 3
_wait = time.sleep


def text(address: str, settings: LiveSource, contact: str | None = None) -> str:
    """Download a text file, in up to three tries.

    Parameters
    ----------
    address : str
        ``https://...``.
    settings : LiveSource
        Timeout, proxy and certificates.
    contact : str or None
        E-mail address for the User-Agent, for sites that demand one.

    Returns
    -------
    str
        The body, decoded as UTF-8.

    Raises
    ------
    Unavailable
        If no try succeeds, with the address and the last answer.
    """
    error = Unavailable("")
    for attempt in range(_TRIES):
        if attempt:
            _wait(2.0 * attempt)
        answer, again = _asked(address, settings, contact)
        if isinstance(answer, str):
            return answer
        error = answer
        if not again:
            break
    raise error


def _asked(address: str, settings: LiveSource, contact: str | None) -> tuple[str | Unavailable, bool]:
    """Body, or else the failure and whether another try may help."""
    import requests

    host = urlsplit(address).hostname
    through = proxy(settings, host)
    try:
        with requests.Session() as session:
            session.trust_env = False  # proxy and certificates of the environment are in the two arguments below
            answer = session.get(
                address,
                headers={"User-Agent": f"{AGENT} {contact}" if contact else AGENT},
                timeout=settings.timeout,
                proxies={"https": through, "http": through} if through else {},
                verify=ca_file(settings) or True,
            )
    except requests.RequestException as error:
        words = masked(f"{type(error).__name__}: {error}")
        message, obstacle = f"{address}: {words[:200]}", kind_of(words)
        return (Unreachable(message, obstacle, host or "") if obstacle else Unavailable(message)), True
    if answer.status_code != 200:
        words = f"answers {answer.status_code} {answer.reason or ''}".strip()
        return Unavailable(f"{address}: {words}"), answer.status_code >= 429
    if is_page(answer.content):
        return Unreachable(f"{address}: a web page came instead of the list", PAGE, host or ""), False
    answer.encoding = "utf-8"
    return answer.text, False
