"""Cost of deriving facts from ten years of EDGAR, printed and not asserted: `make bench`.

Made to the counts of the SEC's indexes: 2.0 million Forms 4 (each listed under issuer and owner), 750,000 8-K, 400,000
annual and quarterly reports and 4 million other filings in 40 quarterly indexes, and 40 insider sets of 50,000 filings
in the SEC's columns, a quarter of whose lines are purchases and sales. ISSUERS in the environment takes fewer
companies, with as many filings each. Texts, single forms and companyfacts are timed for some, as their cost is linear.
"""

import datetime as dt
import io
import os
import resource
import sys
import threading
import time
import zipfile
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl

from src.documents.document import Document
from src.documents.document_store import DocumentStore
from src.research.filings import filings
from src.research.insiders import insider_trades
from src.research.links import COMPANIES
from src.research.reading.ownership import trades
from src.research.reading.word_counts import similarity, word_counts
from src.research.statements import statements
from tests.research.reading_case import LINE, NOTE, OWNER, SUBMISSION, company_facts, form4

ISSUERS = int(os.environ.get("ISSUERS", "10000"))
SCALE = ISSUERS / 10_000
QUARTERS = [(year, quarter) for year in range(2014, 2024) for quarter in (1, 2, 3, 4)]
SEEN = dt.datetime(2026, 11, 29, 12, tzinfo=dt.UTC)
FORMS = {"4": 50_000, "8-K": 18_750, "10-Q": 7_500, "10-K": 2_500, "424B2": 40_000, "13F-HR": 20_000, "D": 40_000}
MONTHS = "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split()  # noqa: SIM905 (months as the SEC writes them)


class Peak(threading.Thread):
    """Largest resident memory while it runs, in MB."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.most, self._done = 0.0, threading.Event()

    def run(self) -> None:
        while not self._done.wait(0.05):
            pages = int(Path("/proc/self/statm").read_text().split()[1]) if sys.platform == "linux" else 0
            self.most = max(self.most, pages * os.sysconf("SC_PAGE_SIZE") / 2**20 if pages else _most())

    def stop(self) -> float:
        self._done.set()
        self.join()
        return self.most


def _most() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def timed(words, work, count=None):
    """Print time, CPU time and the largest memory of some work."""
    peak = Peak()
    peak.start()
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    spent, used = time.perf_counter() - wall, time.process_time() - cpu
    each = f", {count / used:,.0f} a CPU second" if count else ""
    sys.stdout.write(f"{words}: {spent:.1f} s, CPU {used:.1f} s{each}, at most {peak.stop():,.0f} MB\n")
    return result


def accessions(random, count, year):
    agents, numbers = random.integers(1, 2_000_000, count), random.permutation(count)
    return [f"{agent:010d}-{year % 100:02d}-{number:06d}" for agent, number in zip(agents, numbers, strict=True)]


def index(random, year, quarter):
    """A quarter's master index; a Form 4 is listed under its issuer and its owner."""
    lines = []
    for form, filed in FORMS.items():
        count = int(filed * SCALE)
        months = random.integers(quarter * 3 - 2, quarter * 3 + 1, count)
        days, ciks = random.integers(1, 29, count), random.integers(1, ISSUERS + 1, count)
        for accession, cik, month, day in zip(accessions(random, count, year), ciks, months, days, strict=True):
            for filer in (cik, cik + 5_000_000) if form == "4" else (cik,):
                path = f"edgar/data/{filer}/{accession}.txt"
                lines.append(f"{filer}|A COMPANY OF SOME NAME INC|{form}|{year}-{month:02d}-{day:02d}|{path}")
    head = "Description: Master Index\n\nCIK|Company Name|Form Type|Date Filed|Filename\n"
    return (head + "-" * 80 + "\n" + "\n".join(lines) + "\n").encode()


def insider_set(random, year, quarter):
    """A quarter's set: 1.7 lines a filing; an owner trades in one company."""
    count = int(50_000 * SCALE)
    owners = random.integers(0, int(60_000 * SCALE), count)
    names = accessions(random, count, year)
    months, days = random.integers(quarter * 3 - 2, quarter * 3 + 1, count), random.integers(1, 27, count)
    filed = [f"{day + 2:02d}-{MONTHS[month - 1]}-{year}" for month, day in zip(months, days, strict=True)]
    form = np.where(random.random(count) < 0.015, "4/A", "4")
    submissions = {"ACCESSION_NUMBER": names, "FILING_DATE": filed, "PERIOD_OF_REPORT": filed, "DOCUMENT_TYPE": form,
                   "ISSUERCIK": [f"{owner % ISSUERS + 1:010d}" for owner in owners],
                   "AFF10B5ONE": ["0" if year > 2022 else ""] * count}  # fmt: skip
    people = {"ACCESSION_NUMBER": names, "RPTOWNERCIK": [f"{owner + 5_000_000:010d}" for owner in owners],
              "RPTOWNER_RELATIONSHIP": random.choice(["Officer", "Director", "Director,Officer"], count)}  # fmt: skip
    at = np.sort(random.integers(0, count, int(count * 1.7)))
    size = len(at)
    code = random.choice(list("PSMAFG"), size, p=[0.05, 0.2, 0.2, 0.3, 0.2, 0.05])
    lines = {
        "ACCESSION_NUMBER": [names[i] for i in at], "NONDERIV_TRANS_SK": np.arange(size),
        "SECURITY_TITLE": ["Common"] * size,
        "TRANS_DATE": [f"{days[i]:02d}-{MONTHS[months[i] - 1]}-{year}" for i in at], "TRANS_FORM_TYPE": ["4"] * size,
        "TRANS_CODE": code, "EQUITY_SWAP_INVOLVED": ["0"] * size, "EQUITY_SWAP_TRANS_CD_FN": ["F1"] * size,
        "TRANS_SHARES": random.integers(1, 9999, size), "TRANS_PRICEPERSHARE": random.integers(1, 300, size) / 2,
        "TRANS_ACQUIRED_DISP_CD": np.where(np.isin(code, ["P", "M", "A"]), "A", "D"),
        "SHRS_OWND_FOLWNG_TRANS": random.integers(1, 99999, size),
    }  # fmt: skip
    texts = ["Under a Rule 10b5-1 plan. " * 4, "A weighted average price. " * 8]
    notes = {"ACCESSION_NUMBER": names, "FOOTNOTE_ID": ["F1"] * count, "FOOTNOTE_TXT": random.choice(texts, count)}
    tables = {"SUBMISSION": ((*SUBMISSION, "AFF10B5ONE"), submissions), "REPORTINGOWNER": (OWNER, people),
              "NONDERIV_TRANS": (LINE, lines), "FOOTNOTES": (NOTE, notes)}  # fmt: skip
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, (columns, table) in tables.items():
            archive.writestr(f"{name}.tsv", written(columns, table))
    return out.getvalue()


def written(columns, table):
    held = pl.DataFrame(table)
    empty = [pl.lit("").alias(name) for name in columns if name not in held.columns]
    return held.with_columns(empty).select(columns).write_csv(separator="\t", quote_style="never")


def test_ten_years_of_headers_and_insider_sets(tmp_path):
    random = np.random.default_rng(1)
    store, size = DocumentStore(tmp_path / "documents"), Counter()
    sys.stdout.write("\n")

    def make():
        for year, quarter in QUARTERS:
            for kind, id, body in (
                ("index", f"index/{year}Q{quarter}", index(random, year, quarter)),
                ("insider-set", f"{year}q{quarter}", insider_set(random, year, quarter)),
            ):
                store.append([Document("edgar", id, kind, SEEN, body, kind)])
                size[kind] += len(body)
        store.seal()

    timed("make and store the documents", make)
    disk = sum(path.stat().st_size for path in tmp_path.rglob("*.parquet"))
    sys.stdout.write(f"{size['index'] / 1e6:,.0f} MB of indexes, {size['insider-set'] / 1e6:,.0f} MB of sets; "
                     f"{disk / 1e6:,.0f} MB stored\n")  # fmt: skip
    names = [(cik, "stock", f"S{cik}", "", None, None) for cik in range(1, ISSUERS + 1)]
    companies, cache = pl.DataFrame(names, schema=COMPANIES, orient="row"), tmp_path / "cache"
    for words in ("first time", "again"):
        for read in (insider_trades, filings):
            found = timed(f"{read.__name__}, {words}", lambda read=read: read(store, companies, cache))
            sys.stdout.write(f"  {found.height:,} facts, {found.estimated_size() / 1e6:,.0f} MB\n")
    kept = sum(path.stat().st_size for path in cache.rglob("*.parquet"))
    sys.stdout.write(f"{kept / 1e6:,.0f} MB of what was read\n")


def figures(random, cik):
    """Facts of one company over ten years, in the tags that are read; those of a real one are ten times as many."""
    rows = []
    for n in range(40):
        year, end = 2014 + n // 4, ("03-31", "06-30", "09-30", "12-31")[n % 4]
        filing = (f"{cik:010d}-{year % 100}-{n:06d}", "10-K" if n % 4 == 3 else "10-Q", f"{year + (n % 4 == 3)}-02-15")
        for tag in ("Revenues", "CostOfRevenue", "NetIncomeLoss", "NetCashProvidedByUsedInOperatingActivities"):
            for first in (year, year - 1):
                rows.append((tag, f"{first}-01-01", f"{first}-{end}", int(random.integers(1e6, 2e6)), *filing))
        for tag in ("Assets", "StockholdersEquity", "EntityCommonStockSharesOutstanding"):
            rows.append((tag, None, f"{year}-{end}", int(random.integers(1e6, 2e6)), *filing))
    return company_facts(rows, cik=cik).encode()


def test_single_documents(tmp_path):
    random = np.random.default_rng(2)
    sys.stdout.write("\n")
    body = form4([{"code": "S", "price": 10, "note": "F1"}] * 4, notes={"F1": "A weighted average price."}).encode()
    timed("2,000 Forms 4 of 4 lines", lambda: [trades(body) for _ in range(2_000)], 2_000)
    words = random.choice([f"word{n}" for n in range(5_000)], 50_000)
    texts = [" ".join(words[random.random(50_000) < 0.9]) for _ in range(20)]
    counts = timed("words of 20 reports of 45,000 words", lambda: [word_counts(text) for text in texts], 20)
    timed("similarity of 19 pairs", lambda: [similarity(*pair) for pair in pairwise(counts)], 19)
    store, many = DocumentStore(tmp_path / "documents"), 500
    for cik in range(1, many + 1):
        facts = figures(random, cik)
        store.append([Document("edgar", f"companyfacts/CIK{cik:010d}", "companyfacts", SEEN, facts, "fundamentals")])
    store.seal()
    names = [(cik, "stock", f"S{cik}", "", None, None) for cik in range(1, many + 1)]
    companies = pl.DataFrame(names, schema=COMPANIES, orient="row")
    for words in ("first time", "again"):
        found = timed(
            f"statements of {many} companies, {words}", lambda: statements(store, companies, tmp_path / "c"), many
        )
    sys.stdout.write(f"  {found.height:,} facts\n")
