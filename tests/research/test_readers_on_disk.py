"""The readers of EDGAR's documents on the store that they are made for."""

import datetime as dt

from src.documents.document import Ask, Document
from src.documents.document_store import DocumentStore
from src.research.filings import filings
from src.research.insiders import insider_trades
from src.research.statements import statements
from tests.research.reading_case import (
    COMPANY,
    LAG,
    SEEN,
    company_facts,
    form4,
    insider_set,
    master_index,
    submissions,
    utc,
)

ACCESSION = "0000000001-24-000001"
LINES = [{"price": 10}]


def documents():
    """A first collection: history alone."""
    accepted = utc("2024-03-01 21:20")
    submitted = [{"accession": ACCESSION, "form": "10-K", "filed": "2024-03-01", "accepted": "2024-03-01T16:20:00"}]
    sets = insider_set([{"accession": "B", "filed": "2024-03-04", "lines": LINES}])
    figures = [("Assets", None, "2023-12-31", 5, ACCESSION, "10-K", "2024-03-01")]
    for stream, id, kind, body, stamp in (
        ("index", "index/2024Q1", "index", master_index([(1, "10-K", "2024-03-01", ACCESSION)]), None),
        ("index", ACCESSION, "10-K", b"<html><p>alpha beta gamma</p></html>", accepted),
        ("index", "A", "4", form4(LINES).encode(), accepted),
        ("submissions", "submissions/CIK0000000001", "submissions", submissions(submitted).encode(), None),
        ("insider-sets", "2024q1", "insider-set", sets, None),
        ("fundamentals", "companyfacts/CIK0000000001", "companyfacts", company_facts(figures).encode(), None),
    ):
        yield Document("edgar", id, kind, SEEN, body, stream, entity="CIK:0000000001", accepted=stamp)


def test_readers_read_what_the_store_keeps(tmp_path):
    store = DocumentStore(tmp_path / "documents", {"default": LAG / dt.timedelta(hours=1)})
    store.append(list(documents()), [Ask("edgar", "index", SEEN)])
    known = utc("2024-03-01 21:20") + LAG
    cache = tmp_path / "cache"
    for _ in range(2):
        assert filings(store, COMPANY, cache).select("known", "form", "length", "document").rows() == [
            (known, 1, 3, f"edgar:{ACCESSION}:0")
        ]
        trades = insider_trades(store, COMPANY, cache).sort("known")
        assert trades.select("known", "value").rows() == [(known, 1000), (utc("2024-03-05 03:00") + LAG, 1000)]
        assert statements(store, COMPANY, cache).select("known", "assets").rows() == [(known, 5)]
        store.seal()
