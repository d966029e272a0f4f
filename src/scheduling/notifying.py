"""Notifications to addresses from the environment, and the dead man's switch; no address is ever shown or logged.

``ALPHA_LOOP_NOTIFY`` holds addresses of apprise, divided by spaces or line ends. ``ALPHA_LOOP_HEARTBEAT_URL`` holds the
address of a service such as healthchecks.io, which raises the alarm if it is not asked for once a day.
"""

from __future__ import annotations

import contextlib
import logging
import os
import urllib.request
from collections.abc import Iterator

from src.runtime.redaction import PRIVATE_ADDRESSES, shown_lines
from src.runtime.terminal import notice

_NOTIFY, _SWITCH = PRIVATE_ADDRESSES
_SECONDS = 10.0  # for an answer of the dead man's switch
_SILENCED = ("apprise", "urllib3", "requests", "charset_normalizer", "httpx", "asyncio")


def send(title: str, body: str) -> None:
    """Send a text to every address; what fails is said in a warning without the address.

    Parameters
    ----------
    title, body : str
        Plain text; secrets in it are masked.
    """
    addresses = os.environ.get(_NOTIFY, "").split()
    if not addresses:
        return
    try:
        with _quiet():
            failed = _send(addresses, shown_lines(title), shown_lines(body))
    except Exception as error:  # noqa: BLE001 - a library that fails must not end the day, and its words hold addresses
        notice(f"daily: notifications failed ({type(error).__name__}); the day itself is not affected")
        return
    for number, why in failed:
        notice(f"daily: address {number} of {len(addresses)} in {_NOTIFY} {why}; the day itself is not affected")


def ping(well: bool) -> None:
    """Ask for the address of the dead man's switch, with ``/fail`` appended after a bad day.

    Parameters
    ----------
    well : bool
        Whether the day ended well.
    """
    address = os.environ.get(_SWITCH, "").strip()
    if not address:
        return
    if not address.lower().startswith(("https://", "http://")):
        notice(f"daily: {_SWITCH} must begin with https:// or http://: nothing was asked for")
        return
    place, mark, query = address.partition("?")
    try:
        with (
            _quiet(),
            urllib.request.urlopen(place.rstrip("/") + ("" if well else "/fail") + mark + query, timeout=_SECONDS),
        ):
            pass
    except Exception as error:  # noqa: BLE001 - its words hold the address
        notice(f"daily: the address in {_SWITCH} did not answer well ({type(error).__name__})")


def _send(addresses: list[str], title: str, body: str) -> list[tuple[int, str]]:
    """Send; return the numbers of the addresses that failed, and why."""
    import apprise

    failed = []
    for number, address in enumerate(addresses, 1):
        sender = apprise.Apprise()
        if not sender.add(address):
            failed.append((number, "is not one that apprise knows"))
        elif not sender.notify(body=body, title=title, body_format=apprise.NotifyFormat.TEXT):
            failed.append((number, "did not take the notification"))
    return failed


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Let no library log: their lines hold addresses."""
    loggers = [logging.getLogger(name) for name in _SILENCED]
    before = [(each.disabled, each.propagate) for each in loggers]
    level = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    for each in loggers:
        each.propagate = False
    try:
        yield
    finally:
        logging.disable(level)
        for each, (disabled, propagate) in zip(loggers, before, strict=True):
            each.disabled, each.propagate = disabled, propagate
