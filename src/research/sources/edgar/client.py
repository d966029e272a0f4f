"""The client of EDGAR: what the SEC answers instead of data, and archives of all companies that go to a file."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import tempfile
import threading
import zipfile
from pathlib import Path
from urllib.parse import urlsplit

from src.fetching.provider import Refusal, WebPage
from src.research.http_body import is_html
from src.research.http_client import HttpClient
from src.research.source import Page, Reply

ARCHIVE = "x-archive"  # name under which the headers of a reply have the path of a file
_LOOKED_AT = 8192
_BLOCKED = re.compile(rb"undeclared automated tool|request rate threshold exceeded", re.IGNORECASE)
_CLOSED = re.compile(
    rb"<title>[^<]*(?:file unavailable|maintenance|temporarily unavailable|page not found|error)[^<]*</title>",
    re.IGNORECASE,
)
_ENOUGH = 600.0  # seconds that a block lasts after the last request that was too much


class EdgarClient(HttpClient):
    """Sends requests to both hosts of EDGAR through one gate, and reads from archives that it has asked for before.

    A page with ``archive`` in its context is a file of that archive, if the archive is still there. One with
    ``to_file`` is an archive: it goes to a temporary file, which lies there until the client is closed.
    """

    limited_pause = _ENOUGH

    def fetch(self, page: Page) -> Reply:
        """Ask for one page, or take it from an archive.

        Parameters
        ----------
        page : Page

        Raises
        ------
        Refusal
            If the SEC blocks this machine, with whatever status it says so.
        WebPage
            If it says that the site is closed for maintenance, or a web page came where data was expected.
        """
        archive = page.context.get("archive", "")
        if archive and Path(archive).is_file():
            return self._member(Path(archive), page)
        if page.context.get("to_file"):
            return self._archive(page)
        reply = super().fetch(dataclasses.replace(page, context={**page.context, "html": True}))
        if is_html(reply.body):
            self._require_filing(page, reply.body[:_LOOKED_AT])
        return reply

    def close(self) -> None:
        """Close connections and archives, and remove their files."""
        super().close()
        for archive, path in self._archives.values():
            archive.close()
            path.unlink(missing_ok=True)

    def _require_filing(self, page: Page, start: bytes) -> None:
        host = urlsplit(page.url).hostname or ""
        if _BLOCKED.search(start):
            self._gate.refused(_ENOUGH)
            raise Refusal(f"{page.url}: the SEC blocks requests from this machine for some minutes", _ENOUGH)
        if _CLOSED.search(start) or not page.context.get("html"):
            raise WebPage(f"{page.url}: a web page came instead of data", host)
