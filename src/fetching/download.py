"""Download of one text file, complete or not at all."""

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
    """Body, or else the reason of the failure and whether another try may help."""
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
        return None, masked(f"{type(error).__name__}: {error}")[:200], True
    if answer.status_code != 200:
        return None, f"answers {answer.status_code} {answer.reason or ''}".strip(), answer.status_code >= 429
    answer.encoding = "utf-8"
    return answer.text, "", False
