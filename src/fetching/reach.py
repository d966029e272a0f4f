"""Whether a host can be reached from here: one small request, of which only the way matters."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from src.config.schema import LiveSource
from src.fetching.network import ca_file, proxy
from src.fetching.obstacle import SILENCE, kind_of
from src.fetching.provider import Unreachable
from src.runtime.redaction import masked

_SECONDS = 8.0  # for a connection, and for the first byte of an answer


def unreached(hosts: Iterable[str], settings: LiveSource) -> dict[str, Unreachable]:
    """Ask each host for its first page, all at once.

    Parameters
    ----------
    hosts : iterable of str
        Names without scheme.
    settings : LiveSource
        Proxy and certificates.

    Returns
    -------
    dict of str to Unreachable
        What stands in the way, of the hosts that gave no answer; any status is an answer.
    """
    names = list(dict.fromkeys(hosts))
    with ThreadPoolExecutor(max(1, len(names))) as pool:
        errors = list(pool.map(lambda name: _asked(name, settings), names))
    return {name: error for name, error in zip(names, errors, strict=True) if error is not None}


def _asked(host: str, settings: LiveSource) -> Unreachable | None:
    import requests

    through = proxy(settings, host)
    try:
        with requests.Session() as session:
            session.trust_env = False
            session.get(
                f"https://{host}/",
                timeout=_SECONDS,
                proxies={"https": through} if through else {},
                verify=ca_file(settings) or True,
                allow_redirects=False,
                stream=True,
            ).close()
    except requests.RequestException as error:
        words = masked(f"{type(error).__name__}: {error}")
        return Unreachable(words.rpartition("Caused by ")[2][:120], kind_of(words) or SILENCE, host)
    return None
