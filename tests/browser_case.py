"""A Chromium that is installed, driven by Playwright: tests that need it skip where there is none."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIET = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


def chromium() -> str | None:
    """Path of the browser: the variable ``CHROMIUM``, or the first that is installed."""
    return os.environ.get("CHROMIUM") or next((path for name in NAMES if (path := shutil.which(name))), None)


needs_chromium = pytest.mark.skipif(chromium() is None, reason="no Chromium is installed")


@dataclass
class Seen:
    """A page, and what it did: requests beyond its own file, and messages of its console."""

    page: Any
    requests: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)


@contextmanager
def browsing() -> Iterator[Any]:
    """A browser for the pages of several tests, which no other loop of asyncio may run beside."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=list(QUIET))
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened(
    address: str | Path, width: int = 1400, height: int = 900, scheme: str = "light", browser: Any = None
) -> Iterator[Seen]:
    """Open a page, offline where it is a file.

    Parameters
    ----------
    address : str or Path
        Of the page, or its file.
    width, height : int
        Of the window in pixels.
    scheme : str
        ``light`` or ``dark``.
    browser : optional
        One of `browsing`; a new one, which ends with the page, by default.
    """
    target = Path(address).resolve().as_uri() if isinstance(address, Path) else address
    with ExitStack() as ended:
        browser = browser or ended.enter_context(browsing())
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, offline=isinstance(address, Path)
        )
        ended.callback(context.close)
        page = context.new_page()
        seen = Seen(page)
        page.on("request", lambda request: _note_request(seen, request.url, target))
        page.on("console", lambda message: seen.messages.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: seen.messages.append(f"error: {error}"))
        page.goto(target)
        yield seen


def _note_request(seen: Seen, url: str, target: str) -> None:
    if url.partition("#")[0] != target.partition("#")[0] and not url.startswith(("data:", "blob:")):
        seen.requests.append(url)
