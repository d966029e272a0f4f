"""Runs of the source EDGAR over an invented one: what is stored, what is asked a second time, what is dated how."""

from __future__ import annotations

import dataclasses
import datetime as dt
import itertools
import json
from types import SimpleNamespace

import polars as pl
import pytest

from src.documents.document import known_time
from src.research.source import Reply
from src.research.sources.edgar.company_reading import read_bulk, read_submissions
from src.research.sources.edgar.state import EdgarRun
from tests.loopback.edgar import NEW_YORK, Edgar
from tests.research.edgar.edgar_case import Desk, Killed, universe

DAILY = "https://www.sec.gov/Archives/edgar/daily-index/2026/QTR4/master.{}.idx"


@pytest.fixture
def edgar() -> Edgar:
    return Edgar(companies=6)


@pytest.fixture
def desk(tmp_path, edgar) -> Desk:
    return Desk(tmp_path, edgar)


def next_day(edgar: Edgar) -> dt.date:
    """The Monday after, late in the evening."""
    edgar.now = dt.datetime(2026, 11, 30, 23, tzinfo=NEW_YORK)
    return edgar.now.date()


def test_first_run_stores_a_document_of_each_kind_and_a_rerun_asks_nothing(desk, edgar):
    desk.run()
    asked = desk.asked.total()
    kinds = {"index", "submissions", "companyfacts", "insider-set", "tickers", "4", "8-K", "10-K", "10-Q"}
    assert set(desk.documents()["kind"]) == kinds
    reports = {each.accession for each in edgar.filings if not each.owners}
    recent = {each.accession for each in edgar.filings if each.owners and each.filed >= dt.date(2026, 10, 1)}
    assert set(desk.documents("4", "8-K", "10-K", "10-Q")["id"]) == reports | recent
    desk.run()
    assert desk.asked.total() == asked
    assert max(desk.asked.values()) == 1


def test_the_texts_of_a_company_come_before_the_next_company(desk, edgar):
    desk.run()
    urls = [url for url in desk.asked if "/submissions/" in url or url.endswith(".htm")]
    names = [
        url.split("/data/")[1].split("/")[0] if url.endswith(".htm") else url.split("CIK")[1][6:10] for url in urls
    ]
    assert [name for name, _ in itertools.groupby(names)] == [str(each.cik) for each in reversed(edgar.companies)]


def test_a_fund_without_facts_is_complete_and_asked_again_after_a_report(desk, edgar):
    fund, answer = edgar.companies[0], edgar.answer
    url = f"https://data.sec.gov/api/xbrl/companyfacts/CIK{fund.cik:010d}.json"
    edgar.answer = lambda path, headers: answer("/nothing" if path in url else path, headers)
    desk.run()
    assert "fundamentals" in set(desk.store.coverage("edgar")["stream"])
    edgar.answer = answer
    edgar.report(fund, next_day(edgar), "10-K")
    desk.run()
    assert desk.asked[url] == 2
    assert desk.documents("companyfacts").filter(pl.col("id").str.ends_with(str(fund.cik))).height == 1


def test_an_insider_set_is_looked_for_in_both_folders_and_again_the_next_day(desk, edgar):
    answer = edgar.answer
    edgar.answer = lambda path, headers: answer("/nothing" if "2026q3_form345" in path else path, headers)
    desk.run()
    sets = [url for url in desk.asked if "2026q3_form345" in url]
    assert ["datastandardsinnovation" in url for url in sets] == [True, False]
    edgar.answer = lambda path, headers: answer(path.replace("datastandardsinnovation", "structureddata"), headers)
    edgar.now += dt.timedelta(days=1)
    desk.run()
    assert "2026q3" in set(desk.documents("insider-set")["id"])
    asked = desk.asked.total()
    edgar.now += dt.timedelta(hours=1)
    desk.run()
    assert desk.asked.total() == asked


def test_all_streams_are_complete_since_the_first_day_of_the_first_quarter(desk):
    desk.run()
    covered = desk.store.coverage("edgar")
    first = dt.datetime(2025, 10, 1, tzinfo=dt.UTC)
    assert dict(zip(covered["stream"], covered["since"], strict=True)) == {
        "index": first,
        "insider-sets": first,
        "fundamentals": dt.datetime(2025, 12, 1, tzinfo=dt.UTC),
    }


def test_an_index_that_is_not_read_leaves_the_stream_open(desk, edgar):
    answer = edgar.answer
    edgar.answer = lambda path, headers: answer("/nothing" if "2026/QTR2" in path else path, headers)
    run = desk.run()
    assert "index" not in set(desk.store.coverage("edgar")["stream"])
    assert run.remarks >= 1
    edgar.answer = answer
    edgar.now += dt.timedelta(hours=2)
    desk.run()
    assert "index" in set(desk.store.coverage("edgar")["stream"])


def test_a_new_day_asks_its_index_its_filings_and_the_facts_of_a_new_report(desk, edgar):
    desk.run()
    before = set(desk.asked)
    day = next_day(edgar)
    company = edgar.companies[2]
    form = edgar.insider(company, day, edgar.insiders[0])
    report = edgar.report(company, day, "10-K")
    desk.run()
    new = sorted(url.rsplit("/", 1)[-1] for url in set(desk.asked) - before)
    names = [report.document, f"{report.accession}-index-headers.html", f"{form.accession}.txt"]
    assert new == sorted([*names, "master.20261130.idx"])
    assert desk.asked[f"https://data.sec.gov/api/xbrl/companyfacts/CIK{company.cik:010d}.json"] == 2
    facts = desk.documents("companyfacts").filter(pl.col("id").str.ends_with(str(company.cik)))
    assert facts["revision"].to_list() == [0, 1]


def test_a_filing_that_comes_while_its_stream_is_watched_is_known_when_seen(desk, edgar):
    desk.run()
    form = edgar.insider(edgar.companies[1], next_day(edgar), edgar.insiders[0])
    desk.run()
    row = desk.fields(form.accession)
    assert row["known"] == row["first_seen"]
    assert not row["backfilled"]
    assert row["accepted"] == form.accepted.replace(tzinfo=NEW_YORK).astimezone(dt.UTC)


def test_what_is_filed_on_the_day_of_the_first_run_after_it_is_not_missed(desk, edgar):
    edgar.now = dt.datetime(2026, 11, 30, 12, tzinfo=NEW_YORK)
    desk.run()
    report = edgar.report(edgar.companies[0], next_day(edgar), "8-K", items=("2.02",), hour=16)
    desk.run()
    assert report.accession in set(desk.documents("8-K")["id"])


def test_what_is_filed_after_an_archive_was_made_is_not_missed(desk, edgar):
    archive = SimpleNamespace(context={"kind": "submissions"}, unit="bulk/submissions")
    reply = Reply(b"", edgar.now, {"x-archive": "/a.zip", "last-modified": "Thu, 26 Nov 2026 04:00:00 GMT"})
    pages = read_bulk(archive, reply, desk.context, EdgarRun(frozenset((1000,)))).pages
    assert [page.context["as_of"] for page in pages] == ["2026-11-25"]
    read = read_submissions(pages[0], desk.reply(pages[0]), desk.context, EdgarRun())
    assert read.notes["asked"] == "2026-11-25"


def test_history_is_known_a_day_after_its_acceptance(desk, edgar):
    desk.run()
    old = next(each for each in edgar.filings if each.form == "8-K")
    row = desk.fields(old.accession)
    stamp = old.accepted.replace(tzinfo=NEW_YORK).astimezone(dt.UTC)
    assert (row["known"], row["backfilled"]) == known_time(stamp, row["first_seen"], 0, None, dt.timedelta(hours=24))


def test_acceptance_is_right_whether_submissions_have_the_clock_of_new_york_or_utc(desk, edgar):
    """As measured in theOGognf/finagg #64 and dgunning/edgartools #557: a fifth of the companies have New York's."""
    desk.run()
    said = {row["id"]: row["accepted"] for row in desk.documents("8-K", "10-K", "10-Q").to_dicts()}
    true = {each.accession: each.accepted.replace(tzinfo=NEW_YORK).astimezone(dt.UTC) for each in edgar.filings}
    assert {each.local_clock for each in edgar.companies} == {True, False}
    assert said == {accession: true[accession] for accession in said}


def test_a_form_is_about_its_issuer_though_the_index_lists_it_under_its_owner_too(tmp_path, edgar):
    holder, held = edgar.companies[0], edgar.companies[1]
    desk = Desk(tmp_path, edgar, universe("T00"))
    desk.run()
    form = edgar.insider(held, next_day(edgar), owner=holder)
    desk.run()
    row = desk.fields(form.accession)
    assert (row["entity"], row["owners"], row["filers"]) == (f"CIK:{held.cik:010d}", [holder.cik], [held.cik])
    assert sum(form.accession in url for url in desk.asked) == 1


def test_a_filing_that_the_index_lists_twice_is_asked_once(desk, edgar):
    desk.run()
    form = edgar.insider(edgar.companies[1], next_day(edgar), owner=edgar.companies[0])
    desk.run()
    assert sum(n for url, n in desk.asked.items() if form.accession in url) == 1
    assert desk.fields(form.accession)["entity"] == f"CIK:{edgar.companies[1].cik:010d}"


def test_a_filing_is_asked_at_its_path_which_may_have_the_cik_of_another_filer(desk, edgar):
    desk.run()
    owner, company = edgar.insiders[0], edgar.companies[1]
    form = edgar.insider(company, next_day(edgar), owner)
    report = edgar.report(company, next_day(edgar), "8-K", items=("2.02",))
    report.owners = [owner]
    answer = edgar.answer

    def moved(path, headers):
        reply = answer(path, {})
        body = reply.body.replace(f"edgar/data/{company.cik}/".encode(), f"edgar/data/{owner.cik}/".encode())
        return dataclasses.replace(reply, body=body) if path.endswith("20261130.idx") else reply

    edgar.answer = moved
    desk.run()
    assert {form.accession, report.accession} <= set(desk.documents()["id"])
    names = (form.accession, report.accession, report.accession.replace("-", ""))
    asked = [url for url in desk.asked if any(name in url for name in names)]
    assert len(asked) == 3
    assert all(f"/data/{owner.cik}/" in url for url in asked)


def test_an_amendment_is_a_filing_of_its_own(desk, edgar):
    desk.run()
    day = next_day(edgar)
    first = edgar.insider(edgar.companies[0], day, edgar.insiders[0])
    second = edgar.insider(edgar.companies[0], day, edgar.insiders[0], form="4/A", hour=19)
    desk.run()
    assert desk.documents("4/A")["id"].to_list() == [second.accession]
    assert [url for url in desk.asked if second.accession in url] == [
        f"https://www.sec.gov/Archives/edgar/data/{edgar.companies[0].cik}/{second.accession}.txt"
    ]
    assert first.accession in set(desk.documents("4")["id"])


def test_a_filing_of_the_evening_has_the_next_business_day_as_its_date_and_is_found_there(desk, edgar):
    desk.run()
    day = next_day(edgar)
    late = edgar.report(edgar.companies[0], day, "8-K", items=("5.02",), hour=18)
    same = edgar.insider(edgar.companies[0], day, edgar.insiders[0], hour=21)
    assert (late.filed, same.filed) == (dt.date(2026, 12, 1), day)
    desk.run()
    ids = set(desk.documents()["id"])
    assert same.accession in ids
    assert late.accession not in ids
    edgar.now += dt.timedelta(days=1)
    desk.run()
    row = desk.fields(late.accession)
    assert row["accepted"] == late.accepted.replace(tzinfo=NEW_YORK).astimezone(dt.UTC)
    assert row["items"] == ["5.02"]


def test_a_filing_that_was_taken_back_and_one_on_paper_are_counted_and_asked_once(desk, edgar):
    desk.run()
    day = next_day(edgar)
    gone, paper = edgar.report(edgar.companies[0], day, "8-K"), edgar.report(edgar.companies[1], day, "10-Q")
    gone.gone, paper.paper = True, True
    run = desk.run()
    assert (run.remarks, run.failed) == (2, 0)
    assert desk.fields(paper.accession)["size"] == 0
    assert gone.accession not in set(desk.documents()["id"])
    edgar.now += dt.timedelta(hours=6)
    desk.run()
    assert max(n for url, n in desk.asked.items() if gone.accession in url or paper.accession in url) == 1


def test_a_corrected_index_is_a_revision_and_brings_what_it_lacked(desk, edgar):
    desk.run()
    day = next_day(edgar)
    edgar.insider(edgar.companies[0], day, edgar.insiders[0])
    desk.run()
    forgotten = edgar.insider(edgar.companies[1], day, edgar.insiders[3])
    edgar.now += dt.timedelta(days=2)
    desk.run()
    assert forgotten.accession not in set(desk.documents()["id"])
    edgar.now += dt.timedelta(days=2)
    desk.run()
    assert desk.documents("index").filter(pl.col("id") == f"index/{day}")["revision"].to_list() == [0, 1]
    assert forgotten.accession in set(desk.documents()["id"])
    edgar.now += dt.timedelta(days=20)
    desk.run()
    assert desk.asked[DAILY.format(f"{day:%Y%m%d}")] == 2


def test_the_day_under_way_weekends_and_holidays(desk, edgar):
    desk.run()
    edgar.now = dt.datetime(2026, 11, 30, 21, 59, tzinfo=NEW_YORK)
    desk.run()
    assert desk.asked[DAILY.format("20261130")] == 0
    assert desk.asked[DAILY.format("20261126")] == 1
    assert not any(desk.asked[DAILY.format(day)] for day in ("20261128", "20261129"))


def test_a_year_that_begins_mid_quarter_takes_the_whole_quarter_and_the_texts_from_its_day(tmp_path, edgar):
    desk = Desk(tmp_path, edgar, start="2026-02-15")
    desk.run()
    assert "index/2026Q1" in set(desk.documents("index")["id"])
    filed = [json.loads(text)["filed"] for text in desk.documents("8-K")["fields"]]
    assert min(filed) >= "2026-02-15"


def test_headers_alone_where_texts_are_not_wanted(tmp_path, edgar):
    desk = Desk(tmp_path, edgar, texts=False)
    desk.run()
    assert not desk.documents("8-K", "10-K", "10-Q").height
    report = edgar.report(edgar.companies[0], next_day(edgar), "8-K", items=("2.02",))
    desk.run()
    row = desk.fields(report.accession)
    assert (row["items"], row["size"]) == (["2.02"], 0)
    assert not any(report.document in url for url in desk.asked)


def test_texts_that_are_wanted_later_come_later(tmp_path, edgar):
    desk = Desk(tmp_path, edgar, texts=False)
    desk.run()
    desk.settings.edgar.texts = True
    desk.run()
    assert set(desk.documents("8-K")["id"]) == {each.accession for each in edgar.filings if each.form == "8-K"}


def test_universe_symbols_find_their_companies_and_coins_none(tmp_path, edgar):
    instruments = pl.concat([universe("BR.4", "T03B"), universe("T00", kind="crypto"), universe("T05", kind="etf")])
    desk = Desk(tmp_path, edgar, instruments)
    desk.run()
    assert set(desk.documents("submissions")["entity"]) == {f"CIK:{cik:010d}" for cik in (1003, 1004, 1005)}


def test_a_symbol_that_leaves_the_table_keeps_its_company(tmp_path, edgar):
    desk = Desk(tmp_path, edgar, universe("T00", "T01"))
    desk.run()
    renamed = edgar.companies[0]
    edgar.companies[0] = type(renamed)(renamed.cik, renamed.name, ("NEWNAME",))
    form = edgar.insider(renamed, next_day(edgar), edgar.insiders[0])
    desk.run()
    assert form.accession in set(desk.documents("4")["id"])
    assert desk.documents("tickers")["revision"].to_list() == [0, 1]


def test_a_table_in_another_order_is_no_revision(desk, edgar):
    desk.run()
    edgar.companies.reverse()
    next_day(edgar)
    desk.run()
    assert desk.documents("tickers")["revision"].to_list() == [0]


@pytest.mark.parametrize("most", [2, 61, 110])
def test_a_kill_loses_nothing_and_asks_again_only_what_was_not_stored(tmp_path, most):
    edgar = Edgar(companies=5)
    whole, killed = Desk(tmp_path / "whole", edgar), Desk(tmp_path / "killed", edgar)
    whole.run()
    with pytest.raises(Killed):
        killed.run(most)
    killed.run()
    columns = ["id", "revision", "content_hash", "accepted", "entity"]
    assert killed.documents().sort("id").select(columns).equals(whole.documents().sort("id").select(columns))
    assert killed.store.coverage("edgar").equals(whole.store.coverage("edgar"))
    assert set(killed.asked) == set(whole.asked)
    assert max(killed.asked.values()) <= 2
