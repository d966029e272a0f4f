"""The readers of EDGAR's documents on the store that they are made for."""

import datetime as dt

from src.documents.document import Ask, Document
from src.documents.document_store import DocumentStore
from src.research.filings import filings
from src.research.insiders import insider_trades
from src.research.links import companies
from src.research.statements import statements
from tests.loopback.edgar import NEW_YORK, Edgar
from tests.research.edgar.edgar_case import Desk, universe
from tests.research.reading_case import (
    COMPANY,
    LAG,
    SEEN,
    company_facts,
    form4,
    insider_set,
    master_index,
    ordered,
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


def collected(desk, cache):
    """Facts after a collection, by kind."""
    symbols = [symbol for company in desk.edgar.companies for symbol in company.tickers]
    known = companies(desk.store, universe(*symbols))
    readers = {"filings": filings, "insider_trades": insider_trades, "statements": statements}
    return {kind: ordered(read(desk.store, known, cache), kind) for kind, read in readers.items()}


def test_what_the_source_collects_becomes_facts_and_a_later_day_changes_none(tmp_path):
    edgar = Edgar(companies=5)
    desk = Desk(tmp_path, edgar)
    desk.run()
    first = collected(desk, tmp_path / "cache")
    tickers = {each.cik: each.tickers for each in edgar.companies}
    forms = [each for each in edgar.filings for _ in tickers[each.filers[0].cik] if each.owners]
    reports = [each for each in edgar.filings for _ in tickers[each.filers[0].cik] if not each.owners]
    assert first["insider_trades"].height == len(forms) and first["insider_trades"]["backfilled"].all()
    assert first["filings"].height == len(reports) and first["filings"]["length"].null_count() == 0
    assert first["filings"]["earnings"].sum() == sum(each.form == "8-K" for each in reports)
    assert first["statements"].height == sum(each.form != "8-K" for each in reports)
    stamps = sorted(each.accepted.replace(tzinfo=NEW_YORK) + LAG for each in reports)
    assert first["filings"]["known"].sort().to_list() == stamps
    monday = dt.date(2026, 11, 30)
    live = [edgar.report(edgar.companies[0], monday, "8-K", items=("5.02",)),
            edgar.report(edgar.companies[1], monday, "10-Q"),
            edgar.insider(edgar.companies[2], monday, edgar.insiders[0])]  # fmt: skip
    edgar.now = dt.datetime(2026, 11, 30, 23, tzinfo=NEW_YORK)
    desk.run()
    second = collected(desk, tmp_path / "cache")
    new = {
        kind: table.join(first[kind], on=table.columns, how="anti", nulls_equal=True) for kind, table in second.items()
    }
    assert {kind: second[kind].height - new[kind].height for kind in second} == {k: t.height for k, t in first.items()}
    assert new["filings"]["document"].sort().to_list() == sorted(f"edgar:{each.accession}:0" for each in live[:2])
    assert new["insider_trades"]["document"].to_list() == [f"edgar:{live[2].accession}:0"]
    assert new["statements"].height == 1
    assert {each for table in new.values() for each in table["known"]} == {edgar.now}
