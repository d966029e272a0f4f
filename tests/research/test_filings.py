"""Facts about filings, from indexes, submissions and documents."""

import datetime as dt

import numpy as np
import polars as pl
import pytest
from pandas.tseries.holiday import USFederalHolidayCalendar
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.metrics.pairwise import cosine_similarity

from src.documents.facts import FILING_FORMS, schema
from src.market.calendar import NEW_YORK
from src.research.filings import filings
from src.research.reading.deadlines import federal_holidays, filing_dates, late_days
from src.research.reading.word_counts import similarity, word_counts
from tests.research.reading_case import COMPANY, LAG, SEEN, HeldStore, master_index, ordered, submissions, utc

ACCEPTED = utc("2024-03-01 21:20")  # 16:20 in New York


def number(day: str) -> float:
    return float((dt.date.fromisoformat(day) - dt.date(1970, 1, 1)).days)


def with_document(
    store, kind, *, accepted=ACCEPTED, known=None, seen=SEEN, cik=1, id="A", body="<p>one two</p>", **fields
):
    """Add a filing that is stored itself."""
    known = known or accepted + LAG
    name = "a.htm" if "<" in body else "a.txt"
    return store.put(
        id, kind, body, known=known, seen=max(seen, known), accepted=accepted, entity=f"CIK:{cik:010d}",
        fields={"primary_document": name} | fields,
    )  # fmt: skip


def test_an_index_alone_tells_form_and_date():
    rows = [
        (1, "8-K", "2024-03-01", "0000000001-24-000001"),
        (1, "4", "2024-03-01", "0000000001-24-000002"),
        (9, "10-K", "2024-03-01", "0000000001-24-000003"),
        (2, "NT 10-K/A ", "2024-07-01", "0000000001-24-000004"),
    ]
    store = HeldStore().put("index/2024Q1", "index", master_index(rows), known=SEEN)
    table = filings(store, COMPANY).sort("symbol")
    assert table.columns == list(schema("filings")) and table["symbol"].to_list() == ["ONE", "TWO"]
    assert table["form"].to_list() == [FILING_FORMS["8-K"], FILING_FORMS["NT 10-K"]]
    assert table["amended"].to_list() == [0, 1]
    assert table["known"].to_list() == [utc("2024-03-02 03:00") + LAG, utc("2024-07-02 02:00") + LAG]
    assert table["backfilled"].all() and table["accepted"][0] == number("2024-03-02") + 3 / 24
    unknown = table.row(0, named=True)
    assert [unknown[name] for name in ("period", "late", "items", "earnings", "distress", "length")] == [None] * 6


def test_a_daily_index_that_came_live_counts_after_its_documents_had_time_to_come():
    store = HeldStore().put("index/2024-02-29", "index", master_index([], daily=True), known=utc("2024-03-01 03:10"))
    rows = [(1, "8-K", "2024-03-01", "0000000001-24-000001")]
    seen = utc("2024-03-02 03:10")
    store.put("index/2024-03-01", "index", master_index(rows, daily=True), known=seen)
    row = filings(store, COMPANY).row(0, named=True)
    assert row["known"] == seen + dt.timedelta(hours=12) and not row["backfilled"]


def test_a_live_document_comes_before_its_index_counts():
    store = HeldStore().put("index/2024-02-29", "index", master_index([], daily=True), known=utc("2024-03-01 03:10"))
    rows = [(1, "8-K", "2024-03-01", "0000000001-24-000001")]
    store.put("index/2024-03-01", "index", master_index(rows, daily=True), known=utc("2024-03-02 03:10"))
    known = utc("2024-03-02 03:25")
    with_document(store, "8-K", id=rows[0][3], known=known, seen=known, items=["2.02", "9.01"], period="2024-02-29")
    table = filings(store, COMPANY)
    assert table.select("known", "earnings", "items", "form").rows() == [(known, 1, 2, 3)]


def test_a_document_that_comes_after_the_row_of_its_index_adds_a_row_without_a_form():
    rows = [(1, "8-K", "2024-03-01", "0000000001-24-000001")]
    store = HeldStore().put("index/2024Q1", "index", master_index(rows), known=SEEN)
    with_document(store, "8-K", id=rows[0][3], known=SEEN, items=["1.03"])
    table = filings(store, COMPANY).sort("known")
    assert table.select("known", "form", "distress", "length").rows() == [
        (utc("2024-03-02 03:00") + LAG, 3, None, None), (SEEN, None, 1, 2),
    ]  # fmt: skip


def test_a_text_that_comes_later_announces_nothing_once_more():
    """The items were known from the submissions: the age of the results must not begin again."""
    entry = {"accession": "A", "form": "8-K", "filed": "2024-03-01", "accepted": "2024-03-01T21:20:00", "items": "2.02"}
    store = HeldStore().put("submissions/CIK0000000001", "submissions", submissions([entry]), known=SEEN)
    with_document(store, "8-K", known=SEEN + dt.timedelta(days=9), items=["2.02"])
    table = filings(store, COMPANY).sort("known")
    assert table["earnings"].to_list() == [1, None] and table["items"].to_list() == [1, None]
    assert table["length"].to_list() == [None, 2]


def test_submissions_add_times_periods_and_items():
    rows = [{"accession": "A", "form": "8-K", "filed": "2024-03-01", "accepted": "2024-03-01T06:05:00",
             "period": "2024-02-28", "items": "2.02,5.02,9.01"},
            {"accession": "B", "form": "4", "filed": "2024-03-01", "accepted": "2024-03-01T16:30:00"}]  # fmt: skip
    for body, id in ((submissions(rows), "submissions/CIK0000000001"),
                     (submissions(rows, older=True), "submissions/CIK0000000001-submissions-001")):  # fmt: skip
        store = HeldStore().put(id, "submissions", body, known=SEEN)
        row = filings(store, COMPANY).row(0, named=True)
        assert row["known"] == utc("2024-03-01 11:05") + LAG and row["backfilled"]
        assert (row["earnings"], row["departure"], row["distress"], row["items"]) == (1, 1, 0, 3)
        assert row["period"] == number("2024-02-28")


def test_what_several_places_say_of_a_filing_at_one_time_is_one_row():
    rows = [{"accession": "0000000001-24-000001", "form": "10-K", "filed": "2024-03-01",
             "accepted": "2024-03-01T16:20:00", "period": "2023-12-31"},
            {"accession": "B", "form": "8-K", "filed": "2024-03-01", "accepted": "2024-03-01T06:20:00"}]  # fmt: skip
    store = HeldStore().put("submissions/CIK0000000001", "submissions", submissions(rows), known=SEEN)
    listed = [(1, "10-K", "2024-03-01", "0000000001-24-000001")]
    store.put("index/2024Q1", "index", master_index(listed), known=SEEN)
    with_document(store, "10-K", id="0000000001-24-000001", body="one two three")
    table = filings(store, COMPANY).filter(form=1)
    assert table.select("document", "length", "late", "period").rows() == [
        ("edgar:0000000001-24-000001:0", 3, -31, number("2023-12-31"))
    ]


def test_titles_of_items_stand_for_their_numbers():
    store = with_document(HeldStore(), "8-K", items=["Results of Operations and Financial Condition", "Other Events"])
    assert filings(store, COMPANY).select("earnings", "items", "distress").row(0) == (1, 2, 0)


def test_a_header_without_a_text_has_no_length():
    assert filings(with_document(HeldStore(), "8-K", body=""), COMPANY)["length"].to_list() == [None]


def test_other_filings_announce_nothing():
    store = with_document(HeldStore(), "10-Q", period="2023-12-31")
    assert filings(store, COMPANY).select("earnings", "departure", "distress", "items").row(0) == (0, 0, 0, None)


@pytest.mark.parametrize(
    ("form", "period", "accepted", "late"),
    [
        ("10-K", "2023-12-31", "2024-04-01 20:00", 0),  # 90 days end on a Saturday: Monday 1 April counts
        ("10-K", "2023-12-31", "2024-04-01 21:45", 1),  # 17:45 in New York: the filing date is the next day
        ("10-K", "2023-12-31", "2024-02-20 21:45", -41),
        ("10-Q", "2024-03-31", "2024-05-15 20:00", 0),
        ("10-Q", "2024-03-31", "2024-05-17 22:00", 5),  # Friday 18:00: filed on Monday
        ("10-Q", "2023-09-30", "2023-11-14 12:00", 0),
        ("10-Q", "2019-05-31", "2019-07-15 12:00", 0),
        ("8-K", "2019-05-31", "2019-07-15 12:00", None),
        ("10-K", None, "2019-07-15 12:00", None),
    ],
)
def test_lateness_counts_from_the_legal_deadline(form, period, accepted, late):
    store = with_document(HeldStore(), form, accepted=utc(accepted), **({"period": period} if period else {}))
    assert filings(store, COMPANY)["late"].to_list() == [late]
    assert filings(with_document(HeldStore(), f"{form}/A", accepted=utc(accepted)), COMPANY)["late"].to_list() == [None]


def test_federal_holidays_equal_those_of_pandas():
    theirs = USFederalHolidayCalendar().holidays("1994-01-01", "2050-12-31")
    ours = [day for year in range(1994, 2051) for day in federal_holidays(year)]
    assert ours == [day.date() for day in theirs]


def test_the_filing_date_that_a_document_states_counts():
    store = with_document(
        HeldStore(), "10-Q", accepted=utc("2024-05-15 22:30"), period="2024-03-31", filed="2024-05-15"
    )
    assert filings(store, COMPANY)["late"].to_list() == [0]


def test_late_days_of_nothing_are_empty():
    days = pl.Series([], dtype=pl.Date)
    assert late_days(pl.Series([], dtype=pl.Float64), days, days).len() == 0
    assert filing_dates(pl.Series([], dtype=pl.Datetime("us", "UTC"))).len() == 0


TEXTS = [
    "Risk factors rose; risk remains. A 10-K of 2023.",
    "Risk factors fell, we're sure of 2024",
    "x",
    "",
    "Zürich risk",
]


def test_similarity_equals_that_of_scikit_learn():
    counts = CountVectorizer().fit_transform(TEXTS)
    expected = cosine_similarity(counts)
    for i, a in enumerate(TEXTS):
        for j, b in enumerate(TEXTS):
            found = similarity(word_counts(a), word_counts(b))
            assert found is None if not (counts[i].nnz and counts[j].nnz) else found == pytest.approx(expected[i, j])
        assert word_counts(a).total() == counts[i].sum()


def year_of_reports(store, texts, form="10-K", step=365, **columns):
    for n, text in enumerate(texts):
        accepted = utc("2020-02-03 21:00") + dt.timedelta(days=step * n)
        period = str((accepted - dt.timedelta(days=34)).date())
        with_document(store, form, accepted=accepted, id=f"{form}{n}", body=text, period=period, **columns)
    return store


def test_a_report_is_compared_with_that_of_the_year_before():
    store = year_of_reports(HeldStore(), ["alpha beta", "alpha beta", "alpha gamma"])
    found = filings(store, COMPANY).sort("known")["similarity"].to_list()
    assert found[0] is None and found[1:] == [pytest.approx(1), pytest.approx(0.5)]


def test_a_quarterly_report_is_compared_with_that_quarter_of_the_year_before():
    texts = ["one", "two", "three", "four", "one", "two"]
    found = filings(year_of_reports(HeldStore(), texts, "10-Q", 91), COMPANY).sort("known")["similarity"].to_list()
    assert found[:4] == [None] * 4 and found[4:] == [pytest.approx(1), pytest.approx(1)]


def test_a_report_is_not_compared_with_another_company_or_with_an_amendment():
    store = year_of_reports(HeldStore(), ["alpha beta"])
    with_document(
        store, "10-K", accepted=utc("2021-02-03 21:00"), id="B", cik=2, body="alpha beta", period="2020-12-31"
    )
    with_document(store, "10-K/A", accepted=utc("2021-02-03 21:00"), id="C", body="alpha beta", period="2020-12-31")
    assert filings(store, COMPANY)["similarity"].to_list() == [None] * 3


def test_a_text_that_became_known_later_is_not_what_a_report_is_compared_with():
    store = HeldStore()
    with_document(
        store, "10-K", accepted=utc("2020-02-03 21:00"), known=SEEN, id="A", body="alpha beta", period="2019-12-31"
    )
    with_document(store, "10-K", accepted=utc("2021-02-03 21:00"), id="B", body="alpha beta", period="2020-12-31")
    assert filings(store, COMPANY)["similarity"].to_list() == [None, None]


def test_a_second_reading_reads_no_text_again(tmp_path):
    store = year_of_reports(HeldStore(), ["alpha beta", "alpha gamma", "alpha delta"])
    store.put("index/2024Q1", "index", master_index([(1, "8-K", "2024-03-01", "0000000001-24-000001")]), known=SEEN)
    first = filings(store, COMPANY, tmp_path)
    asked = store.asked
    assert filings(store, COMPANY, tmp_path).equals(first) and store.asked == asked
    assert first.equals(filings(store, COMPANY))


FORMS = ["8-K", "10-K", "10-K", "10-Q", "10-Q", "NT 10-Q", "10-K/A"]


def world(random):
    """Filings of two companies over five years, each told of by some of three places at some time."""
    out = []
    for n in range(110):
        accepted = utc("2020-01-02 12:00") + dt.timedelta(
            days=int(random.integers(0, 1800)), hours=int(random.integers(3, 9))
        )
        form = str(random.choice(FORMS))
        out.append({
            "accession": f"0000000001-20-{n:06d}", "form": form, "accepted": accepted,
            "cik": int(random.integers(1, 3)),
            "period": str((accepted - dt.timedelta(days=30)).date().replace(day=1)),
            "items": ",".join(random.choice(["2.02", "5.02", "1.03", "9.01"], 2)),
            "own": random.random(), "body": " ".join(random.choice(["risk", "gain", "loss", "market"], 12)),
        })  # fmt: skip
    return out


def stored(rows, until):
    """Documents that tell what was known until a time: history from 2023 on, indexes live after it."""
    start, store = utc("2023-01-02 00:00"), HeldStore()
    back = [each for each in rows if each["accepted"] < start]
    for each in rows:
        live = start <= each["accepted"]
        known = each["accepted"] + (dt.timedelta(hours=9) if live else LAG)
        known += dt.timedelta(days=500) if each["own"] > 0.7 else dt.timedelta(0)
        if each["own"] > 0.4 and known <= until:
            with_document(store, each["form"], id=each["accession"], accepted=each["accepted"], known=known,
                          seen=max(known, start), cik=each["cik"], body=each["body"], period=each["period"],
                          items=each["items"].split(","))  # fmt: skip
    told = [each for each in back if utc(f"{filed(each)} 00:00") + dt.timedelta(hours=27) + LAG <= until]
    store.put("index/history", "index", master_index(map(listed, told)), known=start)
    for cik in (1, 2):
        held = [each | {"filed": filed(each), "accepted": new_york(each["accepted"])}
                for each in back if each["cik"] == cik and each["accepted"] + LAG <= until]  # fmt: skip
        store.put(f"submissions/CIK{cik:010d}", "submissions", submissions(held, cik=cik), known=start)
    for week in range(160):
        seen = start + dt.timedelta(days=7 * (week + 1), hours=3)
        held = [
            each
            for each in rows
            if start <= each["accepted"] < seen and each["accepted"] >= seen - dt.timedelta(days=7)
        ]
        if seen <= until and held:
            store.put(f"index/{week}", "index", master_index(map(listed, held)), known=seen)
    return store


def new_york(moment):
    return f"{moment.astimezone(NEW_YORK):%Y-%m-%dT%H:%M:%S}"


def filed(each):
    return str(each["accepted"].date())


def listed(each):
    return each["cik"], each["form"], filed(each), each["accession"]


@pytest.mark.parametrize("seed", range(4))
def test_what_becomes_known_later_changes_no_earlier_row(seed):
    random = np.random.default_rng(seed)
    rows = world(random)
    full = stored(rows, utc("2035-01-01 00:00"))
    random.shuffle(full.rows)
    every = ordered(filings(full, COMPANY), "filings")
    assert every["similarity"].drop_nulls().len() > 1 and every["form"].null_count() > 1
    for _ in range(9):
        until = utc("2020-06-01 00:00") + dt.timedelta(hours=float(random.uniform(0, 24 * 2400)))
        then = ordered(filings(stored(rows, until), COMPANY), "filings")
        assert then.filter(pl.col("known") <= until).equals(every.filter(pl.col("known") <= until))
