"""Headers, whole texts, indexes, tables and times of EDGAR, in forms that real files have.

Forms after data/headers, data/sgml, data/index_files and data/MultipleFilersHeader.txt of dgunning/edgartools.
"""

from __future__ import annotations

import datetime as dt

import polars as pl
import pytest

from src.fetching.provider import Malformed
from src.research.sources.edgar import addresses
from src.research.sources.edgar.acceptance import acceptance_times
from src.research.sources.edgar.companies import companies_of, read_table
from src.research.sources.edgar.header import new_york, read_header, read_header_page
from src.research.sources.edgar.master_index import lines_left_out, read_index
from src.research.sources.edgar.quarters import Quarter, closing, last_indexed, weekdays
from src.research.sources.edgar.whole_text import read_whole_text
from tests.loopback.edgar import Edgar
from tests.loopback.edgar_texts import header_page, whole_text
from tests.research.edgar.edgar_case import NOBODY, universe

HEAD = (
    "Description:           Master Index of EDGAR Dissemination Feed\nLast Data Received:    March 1, 2024\n"
    "Comments:              webmaster@sec.gov\n \n{columns}\n" + "-" * 80 + "\n"
)
DAILY = HEAD.format(columns="CIK|Company Name|Form Type|Date Filed|File Name")
QUARTERLY = HEAD.format(columns="CIK|Company Name|Form Type|Date Filed|Filename")


@pytest.fixture(scope="module")
def edgar() -> Edgar:
    return Edgar(companies=2, first=dt.date(2026, 10, 1))


def utc(*numbers: int) -> dt.datetime:
    return dt.datetime(*numbers, tzinfo=dt.UTC)


def test_both_styles_of_a_header_say_the_same(edgar):
    form = edgar.insider(edgar.companies[0], dt.date(2026, 11, 20), edgar.insiders[1])
    words = read_whole_text(whole_text(form))[0]
    tags = read_header_page(header_page(form).decode())[0]
    assert words == tags
    assert (words.about, words.owners) == ([edgar.companies[0].cik], [edgar.insiders[1].cik])


def test_the_page_of_a_header_has_the_numbers_of_items_and_names_the_main_document(edgar):
    report = edgar.report(edgar.companies[1], dt.date(2026, 11, 20), "8-K", items=("2.02", "9.01"))
    header, listed = read_header_page(header_page(report).decode())
    assert header.items == ("2.02", "9.01")
    assert [(each.sequence, each.name) for each in listed] == [(1, report.document), (2, "ex99.htm")]
    assert read_whole_text(whole_text(report))[0].items[0] == "Results of Operations and Financial Condition"


def test_several_filers_subjects_and_the_one_who_filed():
    text = (
        "<ACCEPTANCE-DATETIME>20230609145616\nACCESSION NUMBER:\t\t0001104659-23-069855\n"
        "CONFORMED SUBMISSION TYPE:\tSC 13D/A  \n<DEPOSITOR-CIK>0001171040\nFILED AS OF DATE:\t\t20230609\n\n"
        "SUBJECT COMPANY:\t\n\n\tCOMPANY DATA:\t\n\t\tCENTRAL INDEX KEY:\t\t\t0000000011\n\n"
        "FILED BY:\n\n\tCOMPANY DATA:\n\t\tCENTRAL INDEX KEY:\t\t\t0000000022\n"
        "\tMAIL ADDRESS:\n\t\tSTREET 1:\t\tC/O X: Y, LLC\n"
    )
    header = read_header(text)
    assert (header.form, header.about, header.parties["FILED-BY"]) == ("SC 13D/A", [11], [22])
    assert header.period is None
    both = text.replace("SUBJECT COMPANY", "FILER").replace("FILED BY", "FILER")
    assert read_header(both).about == [11, 22]


def test_lines_without_text_between_them_are_read_too():
    text = "<ACCEPTANCE-DATETIME>20240313150033\n\n<PRIVATE-TO-PUBLIC>\n\nACCESSION NUMBER:\t\t0001193125-24-066744\n\n"
    header = read_header(text + "CONFORMED SUBMISSION TYPE:\t485APOS\n\nFILER:\n\n\t\tCENTRAL INDEX KEY:\t0001100663\n")
    assert (header.accepted, header.about) == (utc(2024, 3, 13, 19, 0, 33), [1100663])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("20240607181030", utc(2024, 6, 7, 22, 10, 30)),  # summer
        ("20240103181030", utc(2024, 1, 3, 23, 10, 30)),  # winter
        ("20240308215959", utc(2024, 3, 9, 2, 59, 59)),  # the last business day before clocks change: winter still
        ("20240311060000", utc(2024, 3, 11, 10)),  # the first after it
        ("20231103180000", utc(2023, 11, 3, 22)),
        ("20231106180000", utc(2023, 11, 6, 23)),
        ("2024060718103", None),
        ("20241307181030", None),
        ("", None),
    ],
)
def test_acceptance_times_of_headers_are_those_of_new_york(text, expected):
    assert new_york(text) == expected


@pytest.mark.parametrize("text", ["", "<html>File Unavailable</html>", "<SEC-HEADER>\n<TYPE>4\n</SEC-HEADER>"])
def test_what_is_no_header_is_refused(text):
    with pytest.raises(Malformed):
        read_header(text)
    with pytest.raises(Malformed):
        read_header_page(text)


def test_the_main_document_is_taken_out_of_its_wrapper(edgar):
    form = edgar.insider(edgar.companies[0], dt.date(2026, 11, 20), edgar.insiders[1])
    _, name, body = read_whole_text(whole_text(form))
    assert (name, body) == ("form4.xml", form.body)
    report = edgar.report(edgar.companies[0], dt.date(2026, 11, 20), "10-Q")
    assert read_whole_text(whole_text(report))[2].strip() == report.body


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_whole_text_that_was_cut_is_refused(edgar, share):
    whole = whole_text(edgar.filings[0])
    with pytest.raises(Malformed):
        read_whole_text(whole[: int(len(whole) * share)])


def test_both_kinds_of_index_are_read_alike():
    row = "1750|AAR CORP|{form}|{date}|edgar/data/1750/0001127602-24-001055.txt\n"
    daily = read_index((DAILY + row.format(form="4", date="20240301")).encode())
    quarterly = read_index((QUARTERLY + row.format(form="4   ", date="2024-03-01")).encode())
    assert daily.equals(quarterly)
    assert daily.row(0) == (
        1750, "AAR CORP", "4", dt.date(2024, 3, 1), "0001127602-24-001055", "edgar/data/1750/0001127602-24-001055.txt",
    )  # fmt: skip


def test_names_in_latin_1_with_quotes_and_in_utf_8_survive():
    rows = '1|SOCI\xc9T\xc9 "X" INC|8-K|20240301|edgar/data/1/0000000001-24-000001.txt\n'
    for encoding in ("latin-1", "utf-8"):
        assert read_index((DAILY + rows).encode(encoding))["name"].to_list() == ['SOCI\xc9T\xc9 "X" INC']


def test_a_name_with_a_bar_is_a_name():
    """EDGAR has such a filer: tests/cassettes of dgunning/edgartools, CIK 350001."""
    rows = "350001|Company `!#$(),:;=.-;\\|@/{}&'\\WA\\|8-K|20240301|edgar/data/350001/0000000001-24-000001.txt\n"
    assert read_index((DAILY + rows).encode()).row(0)[1:3] == ("Company `!#$(),:;=.-;\\|@/{}&'\\WA\\", "8-K")


def test_a_few_lines_of_another_form_are_left_out_and_counted():
    good = "".join(f"1|A|4|20240301|edgar/data/1/0000000001-24-{n:06d}.txt\n" for n in range(200))
    body = (DAILY + "a line of another form\n" + good).encode()
    rows = read_index(body)
    assert (rows.height, lines_left_out(body, rows)) == (200, 1)


def test_a_day_without_filings_is_an_empty_index():
    assert read_index(DAILY.encode()).height == 0


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html></html>",
        (DAILY + "1|A|4|20240301|edgar/data/1/0000000001-24-0000").encode(),
        (DAILY + "1|A|4|20240301|edgar/data/1/0000000001-24-000001.txt\n2|B|4|20240").encode(),
        (DAILY + "1|A|4|2024|edgar/data/1/0000000001-24-000001.txt\n").encode(),
        (DAILY + "x|A|4|20240301|edgar/data/1/0000000001-24-000001.txt\n").encode(),
    ],
)
def test_what_is_no_whole_index_is_refused(body):
    with pytest.raises(Malformed):
        read_index(body)


def test_a_table_of_tickers_needs_its_fields_and_rows():
    assert read_table(b'{"fields":["name","cik","exchange","ticker"],"data":[["A",1,null,"AA"]]}')[0].cik == 1
    for body in (
        b"",
        b"{}",
        b'{"fields":["cik"],"data":[]}',
        b'{"fields":["cik","name","ticker","exchange"],"data":[]}',
    ):
        with pytest.raises(Malformed):
            read_table(body)


def test_a_symbol_that_went_over_to_another_company_has_both():
    table = read_table(b'{"fields":["cik","name","ticker","exchange"],"data":[[2,"B","X","N"],[3,"C","Y-A","N"]]}')
    assert companies_of(universe("X", "Y.A"), table, {"X": [1], "Z": [9]}) == {"X": [1, 2], "Y-A": [3]}
    assert companies_of(NOBODY, table, {"Z": [9]}) == {"X": [2], "Y-A": [3], "Z": [9]}
    assert companies_of(universe("X", kind="crypto"), table, {}) == {}


@pytest.mark.parametrize("local", [True, False])
def test_the_clock_of_submissions_is_that_which_fits_the_hours_of_edgar(local):
    """A company's year: reports after the close, insiders' forms in the evening, one filing before the market opens."""
    true = [
        ("2025-05-01", "16:32", "10-Q"), ("2025-05-02", "18:11", "4"), ("2025-06-03", "07:05", "8-K"),
        ("2025-12-01", "12:00", "8-K"), ("2025-12-02", "18:30", "4/A"),
    ]  # fmt: skip
    stamps = [new_york(f"{day}{clock}00".replace("-", "").replace(":", "")) for day, clock, _ in true]
    if local:
        served = [f"{day}T{clock}:00.000Z" for day, clock, _ in true]
    else:
        served = [f"{stamp:%Y-%m-%dT%H:%M:%S}.000Z" for stamp in stamps]
    assert acceptance_times(served, [day for day, _, _ in true], [form for _, _, form in true]) == stamps


def test_times_that_say_nothing_are_read_as_the_later_one_and_midnight_as_none():
    assert acceptance_times(["2025-05-01T15:00:00.000Z"], ["2025-05-01"], ["8-K"]) == [utc(2025, 5, 1, 19)]
    assert acceptance_times(["2001-05-11T00:00:00.000Z", ""], ["2001-05-11"] * 2, ["10-Q"] * 2) == [None, None]


def test_quarters_and_the_close_of_a_day():
    assert [str(each) for each in Quarter(2025, 4).until(Quarter(2026, 3))] == ["2025Q4", "2026Q1", "2026Q2"]
    assert (Quarter.of(dt.date(2024, 2, 29)), Quarter(2024, 4).last) == (Quarter(2024, 1), dt.date(2024, 12, 31))
    assert closing(dt.date(2024, 7, 1)) == utc(2024, 7, 2, 2)
    assert [last_indexed(utc(2024, 7, 2, 2, m)) for m in (14, 15)] == [dt.date(2024, 6, 30), dt.date(2024, 7, 1)]
    assert [day.day for day in weekdays(dt.date(2024, 6, 28), dt.date(2024, 7, 2))] == [28, 1, 2]


def test_insider_sets_lie_in_another_folder_since_the_second_quarter_of_2026():
    from src.config.research_sections import EdgarSection

    urls = [addresses.insider_set(EdgarSection(), Quarter(2026, n)) for n in (1, 2)]
    assert ["structureddata" in url for url in urls] == [True, False]
    assert addresses.insider_set(EdgarSection(), Quarter(2026, 2), other=True).endswith("2026q2_form345.zip")
    assert pl.Series(urls).str.contains("insider-transactions-data-sets").all()
