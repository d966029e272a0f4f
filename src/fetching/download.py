"""One file from an exchange's or an authority's site, whole or not at all."""

from __future__ import annotations

import time
from urllib.parse import urlsplit

from src.config.schema import LiveSource
from src.fetching.network import ca_file, proxy
from src.fetching.provider import Unavailable
from src.runtime.redaction import masked

AGENT = "alpha-loop"
_TRIES = 3
_wait = time.sleep


def text(address: str, settings: LiveSource, contact: str | None = None) -> str:
    """The body at an address, as text.

    Parameters
    ----------
    address
        https://...
    settings
        Timeout, proxy and certificates.
    contact
        E-mail address for the User-Agent, where the site demands one.

    Raises
    ------
    Unavailable
        Where there was no good answer in three tries: address, what was answered.
    """
    reason = ""
    for attempt in range(_TRIES):
        if attempt:
            _wait(2.0 * attempt)
        body, reason, again = _ask(address, settings, contact)
        if body is not None:
            return body
        if not again:
            break
    raise Unavailable(f"{address}: {reason}")


def _ask(address: str, settings: LiveSource, contact: str | None) -> tuple[str | None, str, bool]:
    """Body, or what went wrong and whether asking again may help."""
    import requests

    host = urlsplit(address).hostname
    through = proxy(settings, host)
    try:
        with requests.Session() as session:
            session.trust_env = False  # what the environment says of proxies and certificates is in the two below
            answer = session.get(
                address,
                headers={"User-Agent": f"{AGENT} {contact}" if contact else AGENT},
                timeout=settings.timeout,
                proxies={"https": through, "http": through} if through else {},
                verify=ca_file(settings) or True,
            )
    except requests.RequestException as error:
        return None, masked(f"{type(error).__name__}: {error}")[:200], True
    if answer.status_code != 200:
        return None, f"answers {answer.status_code} {answer.reason or ''}".strip(), answer.status_code >= 429
    answer.encoding = "utf-8"
    return answer.text, "", False
