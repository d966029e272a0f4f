"""A small EDGAR: companies that are invented, whose filings are dated and served in the formats of the real one.

Formats after real samples: whole texts, headers and ownership forms after ``data/sgml``, ``data/headers`` and
``data/ownership`` of dgunning/edgartools, submissions after its ``data/company_submission.json``; indexes after its
``data/index_files`` and the tests of public clients; insider sets after SUBMISSION.tsv and the readme of
MarianaSwe/Insider_transactions. No data of theirs is in it.
"""

from __future__ import annotations

import datetime as dt
import gzip
import random
from dataclasses import dataclass, field
from email.utils import format_datetime
from zoneinfo import ZoneInfo

from tests.loopback import edgar_texts as texts
from tests.loopback.wire import HTML, JSON, TEXT, Reply, Request

NEW_YORK = ZoneInfo("America/New_York")
DENIED = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>'
)
BLOCKED = Reply(
    403,
    b"<!DOCTYPE html><html><head><title>SEC.gov | Request Rate Threshold Exceeded</title></head><body>"
    b"<h1>Your Request Originates from an Undeclared Automated Tool</h1></body></html>",
    HTML,
)
CLOSED = Reply(200, b"<!DOCTYPE html><html><head><title>SEC.gov | File Unavailable</title></head></html>", HTML)
HOLIDAYS = ("2026-01-01", "2026-01-19", "2026-02-16", "2026-05-25", "2026-06-19", "2026-07-03", "2026-09-07",
            "2026-10-12", "2026-11-11", "2026-11-26", "2026-12-25", "2025-12-25")  # fmt: skip


@dataclass(frozen=True)
class Company:
    """A filer: a company, or an insider if it has no ticker."""

    cik: int
    name: str
    tickers: tuple[str, ...] = ()
    local_clock: bool = False  # whether its submissions have New York time behind the Z


@dataclass
class Filing:
    """One filing; `accepted` is New York time without a zone."""

    accession: str
    form: str
    filers: list[Company]
    accepted: dt.datetime
    filed: dt.date
    period: dt.date
    owners: list[Company] = field(default_factory=list)
    items: tuple[str, ...] = ()
    body: bytes = b""
    paper: bool = False  # has no documents
    gone: bool = False  # in the index alone

    @property
    def document(self) -> str:
        return "form4.xml" if self.owners else f"{self.accession}.htm"

    @property
    def parties(self) -> list[Company]:
        return [*self.filers, *self.owners]


def day_of(accepted: dt.datetime, form: str) -> dt.date:
    """Filing date: the next business day after 17:30, for insiders' forms after 22:00."""
    limit = dt.time(22) if form.removesuffix("/A") in ("3", "4", "5") else dt.time(17, 30)
    day = accepted.date() if accepted.time() <= limit else accepted.date() + dt.timedelta(days=1)
    while not is_open(day):
        day += dt.timedelta(days=1)
    return day


def is_open(day: dt.date) -> bool:
    return day.weekday() < 5 and day.isoformat() not in HOLIDAYS


class Edgar:
    """What EDGAR holds and what it answers at a time.

    Parameters
    ----------
    companies : int
    first, last : date
        Days with filings.
    seed : int
    """

    def __init__(
        self,
        companies: int = 20,
        first: dt.date = dt.date(2025, 12, 1),
        last: dt.date = dt.date(2026, 11, 25),
        seed: int = 7,
    ) -> None:
        self.random = random.Random(seed)
        self.companies = [self._company(n) for n in range(companies)]
        self.insiders = [Company(900_000 + n, f"Insider {n:02d}") for n in range(2 * companies)]
        self.filings: list[Filing] = []
        self.now = dt.datetime.combine(last, dt.time(23), NEW_YORK) + dt.timedelta(days=3)
        self.number = 0
        day = first
        while day <= last:
            if is_open(day):
                self._day(day)
            day += dt.timedelta(days=1)

    def _company(self, n: int) -> Company:
        tickers = (f"T{n:02d}A", f"T{n:02d}B") if n == 3 else (f"BR-{n}",) if n == 4 else (f"T{n:02d}",)
        name = "Société Générale du Test" if n == 5 else f"Test Company {n:02d} Inc."
        return Company(1000 + n, name, tickers, local_clock=n % 4 == 1)

    def _day(self, day: dt.date) -> None:
        for n, company in enumerate(self.companies):
            draw = self.random.random()
            if draw < 0.06:
                self.insider(company, day, owner=self.insiders[2 * n + self.random.randrange(2)])
            elif draw < 0.09:
                self.report(company, day, "8-K", items=("2.02", "9.01"))
            if day.day == 5 + n % 20 and day.month % 3 == 2:
                self.report(company, day, "10-K" if day.month == 2 else "10-Q")

    def insider(self, company: Company, day: dt.date, owner: Company, form: str = "4", hour: int = 18) -> Filing:
        """Add an insider's form."""
        accepted = dt.datetime.combine(day, dt.time(hour, self.random.randrange(60), 7))
        filing = self._filed(company, form, accepted, day - dt.timedelta(days=2), owners=[owner])
        filing.body = texts.ownership(filing, shares=100 + self.number)
        return filing

    def report(self, company: Company, day: dt.date, form: str, items: tuple[str, ...] = (), hour: int = 16) -> Filing:
        """Add a report."""
        accepted = dt.datetime.combine(day, dt.time(hour, self.random.randrange(60), 11))
        filing = self._filed(company, form, accepted, day - dt.timedelta(days=30), items=items)
        filing.body = texts.report(filing)
        return filing

    def _filed(self, company: Company, form: str, accepted: dt.datetime, period: dt.date, **more: object) -> Filing:
        self.number += 1
        accession = f"0001111111-{accepted:%y}-{self.number:06d}"
        filing = Filing(accession, form, [company], accepted, day_of(accepted, form), period, **more)
        self.filings.append(filing)
        return filing

    def served(self, request: Request) -> Reply:
        """What a site answers, as the SEC's: nothing without a contact."""
        declared = "@" in request.headers.get("user-agent", "")
        return self.answer(request.path, request.headers) if declared else BLOCKED

    def answer(self, path: str, headers: dict[str, str]) -> Reply:
        """What is answered for a path, on either host."""
        reply = self._found(path)
        if reply is None:
            is_index = path.startswith("/Archives/edgar/daily-index/") or path.startswith("/Archives/edgar/full-index/")
            return (
                Reply(403, DENIED, "application/xml")
                if is_index
                else Reply(404, b"<html><title>404</title></html>", HTML)
            )
        made = reply.headers.get("ETag")
        if made and headers.get("if-none-match") == made:
            return Reply(304, b"", reply.kind, {"ETag": made})
        if "gzip" in headers.get("accept-encoding", "") and reply.kind != "application/zip":
            return Reply(
                reply.status, gzip.compress(reply.body, 1), reply.kind, reply.headers | {"Content-Encoding": "gzip"}
            )
        return reply

    def visible(self) -> list[Filing]:
        """Filings that were accepted by now."""
        return [each for each in self.filings if each.accepted.replace(tzinfo=NEW_YORK) <= self.now]

    def _found(self, path: str) -> Reply | None:
        parts = path.strip("/").split("/")
        name = parts[-1]
        if name == "company_tickers_exchange.json":
            return _tagged(texts.tickers(self.companies), JSON)
        if name.startswith("master."):
            quarterly = parts[2] == "full-index"
            return self._quarterly(int(parts[3]), int(parts[4][3:])) if quarterly else self._daily(name[7:15])
        if name.endswith("_form345.zip") and "structureddata" in parts:
            return self._set(int(name[:4]), int(name[5]))
        if parts[0] == "submissions" or parts[:3] == ["api", "xbrl", "companyfacts"]:
            return self._company_json(parts[0], name)
        if name in ("submissions.zip", "companyfacts.zip"):
            return self._archive(name.removesuffix(".zip"))
        return self._filing(parts[3:]) if parts[:3] == ["Archives", "edgar", "data"] else None

    def _daily(self, name: str) -> Reply | None:
        day = dt.datetime.strptime(name, "%Y%m%d").date()
        made = dt.datetime.combine(day, dt.time(22), NEW_YORK)
        if not is_open(day) or self.now < made:
            return None
        return _tagged(texts.index([each for each in self.filings if each.filed == day], day, daily=True), TEXT)

    def _quarterly(self, year: int, number: int) -> Reply:
        chosen = [each for each in self.visible() if each.filed.year == year and (each.filed.month + 2) // 3 == number]
        return _tagged(texts.index(chosen, dt.date(year, 3 * number, 28), daily=False), TEXT)

    def _set(self, year: int, number: int) -> Reply | None:
        end = dt.date(year + number // 4, 3 * (number % 4) + 1, 10)
        if self.now.date() < end:
            return None
        chosen = [each for each in self.filings if each.owners and each.filed.year == year]
        return Reply(
            200, texts.insider_set([f for f in chosen if (f.filed.month + 2) // 3 == number]), "application/zip"
        )

    def _company_json(self, kind: str, name: str) -> Reply | None:
        company = {each.cik: each for each in self.companies}.get(int(name[3:13]))
        if company is None:
            return None
        chosen = [each for each in self.visible() if company in each.parties]
        chosen.sort(key=lambda each: each.accepted, reverse=True)
        if kind == "submissions":
            older = "-submissions-" in name
            return _tagged(texts.submissions(company, chosen, older), JSON)
        return _tagged(texts.companyfacts(company, chosen), JSON)

    def _archive(self, kind: str) -> Reply:
        names = [f"CIK{each.cik:010d}.json" for each in self.companies]
        if kind == "submissions":
            names += [f"{name[:-5]}-submissions-001.json" for name in names]
        files = {name: found.body for name in names if (found := self._company_json(kind, name))}
        made = format_datetime(self.now.astimezone(dt.UTC), usegmt=True)
        return Reply(200, texts.archive(files), "application/zip", {"Last-Modified": made})

    def _filing(self, parts: list[str]) -> Reply | None:
        number = parts[1].removesuffix(".txt").replace("-", "")
        found = next((each for each in self.visible() if each.accession.replace("-", "") == number), None)
        if found is None or found.gone or int(parts[0]) not in [each.cik for each in found.parties]:
            return None
        if len(parts) == 2:
            return Reply(200, texts.whole_text(found), TEXT)
        if parts[2] == f"{found.accession}-index-headers.html":
            return Reply(200, texts.header_page(found), HTML)
        return Reply(200, found.body, HTML) if parts[2] == found.document and not found.paper else None


def _tagged(body: bytes, kind: str) -> Reply:
    return Reply(200, body, kind, {"ETag": f'"{hash(body) & 0xFFFFFFFF:x}"'})
