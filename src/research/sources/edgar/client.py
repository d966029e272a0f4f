"""The client of EDGAR: what the SEC answers instead of data, and archives of all companies that go to a file."""

from __future__ import annotations

import contextlib
import dataclasses
import re
import tempfile
import threading
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from src.config.research_sections import ResearchConfig
from src.config.schema import LiveSource
from src.fetching.provider import Refusal, RequestGate, Unavailable, WebPage
from src.research.http_body import is_html
from src.research.http_client import HttpClient
from src.research.source import Page, Reply
from src.runtime import disk_space

if TYPE_CHECKING:
    from requests import Response

ARCHIVE = "x-archive"  # name under which the headers of a reply have the path of a file
_LOOKED_AT = 8192
_PIECE = 1 << 20  # bytes
_SPARE = 1 << 29  # bytes that stay free beside an archive
_BLOCKED = re.compile(rb"undeclared automated tool|request rate threshold exceeded", re.IGNORECASE)
_CLOSED = re.compile(
    rb"<title>[^<]*(?:file unavailable|maintenance|temporarily unavailable|page not found|error)[^<]*</title>",
    re.IGNORECASE,
)
_ENOUGH = 600.0  # seconds that a block lasts after the last request that was too much


class EdgarClient(HttpClient):
    """Sends requests to both hosts of EDGAR through one gate, and reads from archives that it has asked for before.

    The parameters are those of `HttpClient`.

    A page with ``archive`` in its context is a file of that archive, if the archive is still there. One with
    ``to_file`` is an archive: it goes to a temporary file, which lies there until the client is closed.
    """

    limited_pause = _ENOUGH

    def __init__(self, settings: ResearchConfig, live: LiveSource, gate: RequestGate, **clocks: Any) -> None:
        super().__init__(settings, live, gate, **clocks)
        self._archives: dict[str, tuple[zipfile.ZipFile, Path]] = {}
        self._lock = threading.Lock()

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

    def _archive(self, page: Page) -> Reply:
        """Download an archive to a file; the path is in the headers of the reply."""
        self._gate.enter()
        answer = self._sent(page.url, self._headers(page))
        with contextlib.closing(answer):
            if answer.status_code != 200:
                return self._reply(page, page.url, answer)
            path = self._saved(answer, page)
            self._gate.answered()
        headers = {name.lower(): str(value) for name, value in answer.headers.items()}
        return Reply(b"", self._now(), {**headers, ARCHIVE: str(path)})

    def _saved(self, answer: Response, page: Page) -> Path:
        """The file of an archive, whole or not at all."""
        from urllib3.exceptions import HTTPError

        announced = int(answer.headers.get("content-length") or 0)
        disk_space.require(Path(tempfile.gettempdir()), announced + _SPARE, f"the archive {page.url}")
        with tempfile.NamedTemporaryFile(prefix="alpha-loop-edgar-", suffix=".zip", delete=False) as file:
            path = Path(file.name)
        try:
            with path.open("wb") as out:
                for piece in answer.raw.stream(_PIECE, decode_content=True):
                    out.write(piece)
            archive = zipfile.ZipFile(path)
        except (HTTPError, OSError, zipfile.BadZipFile) as error:
            path.unlink(missing_ok=True)
            self._gate.answered()
            raise Unavailable(f"{page.url}: the archive was cut ({type(error).__name__})") from None
        with self._lock:
            self._archives[str(path)] = archive, path
        return path

    def _member(self, path: Path, page: Page) -> Reply:
        """A file of an archive, by the last part of its address."""
        with self._lock:
            if str(path) not in self._archives:
                self._archives[str(path)] = zipfile.ZipFile(path), path
            archive = self._archives[str(path)][0]
        try:
            return Reply(archive.read(urlsplit(page.url).path.rsplit("/", 1)[-1]), self._now())
        except KeyError:
            return Reply(b"", self._now(), missing=True)
        except (OSError, zipfile.BadZipFile, zlib.error) as error:
            raise Unavailable(f"{page.url}: its file in the archive is broken ({type(error).__name__})") from None
