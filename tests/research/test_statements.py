"""Facts about companies' statements, from the SEC's companyfacts."""

import datetime as dt

import numpy as np
import polars as pl
import pytest

from src.documents.facts import schema
from src.research.statements import statements
from tests.research.reading_case import COMPANY, LAG, SEEN, HeldStore, company_facts, ordered, utc

CASH = "NetCashProvidedByUsedInOperatingActivities"
COVER = "EntityCommonStockSharesOutstanding"


def facts(entries, **columns):
    """Facts of one document that was seen long after its filings."""
    store = HeldStore().put("companyfacts/CIK0000000001", "companyfacts", company_facts(entries), known=SEEN, **columns)
    return statements(store, COMPANY).sort("known")


def flow(start, end, value, filing, tag="Revenues"):
    return (tag, start, end, value, *filing)


def moment(end, value, filing, tag="Assets"):
    return (tag, None, end, value, *filing)


Y22, Q23, Y23, Q24 = (
    ("A22", "10-K", "2023-02-10"), ("Q23", "10-Q", "2023-05-10"), ("A23", "10-K", "2024-02-09"),
    ("Q24", "10-Q", "2024-05-10"),
)  # fmt: skip
YEARS = [
    moment("2022-12-31", 900, Y22), flow("2022-01-01", "2022-12-31", 400, Y22),
    moment("2023-03-31", 920, Q23), flow("2023-01-01", "2023-03-31", 90, Q23), moment("2022-12-31", 901, Q23),
    moment("2023-12-31", 1000, Y23), flow("2023-01-01", "2023-12-31", 440, Y23), moment("2022-12-31", 905, Y23),
    flow("2022-01-01", "2022-12-31", 405, Y23),
    moment("2024-03-31", 1100, Q24), flow("2024-01-01", "2024-03-31", 130, Q24),
    flow("2023-01-01", "2023-03-31", 95, Q24), moment("2023-12-31", 1001, Q24),
]  # fmt: skip


def test_each_report_has_a_row_of_figures_as_filed_first():
    table = facts(YEARS)
    assert table.columns == list(schema("statements"))
    assert table["known"].to_list() == [utc(f"{day} 03:00") + LAG for day in ("2023-02-11",)] + [
        utc("2023-05-11 02:00") + LAG, utc("2024-02-10 03:00") + LAG, utc("2024-05-11 02:00") + LAG,
    ]  # fmt: skip
    assert table["annual"].to_list() == [1, 0, 1, 0] and table["backfilled"].all()
    assert table["assets"].to_list() == [900, 920, 1000, 1100]
    assert table["assets_before"].to_list() == [None, None, 900, 920]
    assert table["document"].unique().to_list() == ["edgar:companyfacts/CIK0000000001:0"]
    assert table["period"][0] == (dt.date(2022, 12, 31) - dt.date(1970, 1, 1)).days


def test_twelve_months_are_last_year_and_this_one_so_far_less_the_last_one_so_far():
    # 440 + 130 - 90: the 95 of the restated first quarter of 2023 and the 405 of 2022 never count.
    assert facts(YEARS)["revenue"].to_list() == [400, None, 440, 480]


def test_a_period_that_ends_after_its_filing_is_a_slip_and_stands_before_no_later_report():
    entries = [*YEARS, moment("2032-12-31", 7, Y22), flow("2032-01-01", "2032-12-31", 8, Y22)]
    assert facts(entries).drop("document").equals(facts(YEARS).drop("document"))


def test_a_fiscal_year_of_52_weeks_counts_as_a_year():
    a, q, p = ("A", "10-K", "2023-10-01"), ("Q", "10-Q", "2024-02-01"), ("P", "10-Q", "2023-02-01")
    entries = [
        flow("2022-08-28", "2022-11-26", 20, p), flow("2022-08-28", "2023-08-26", 100, a),
        flow("2023-08-27", "2023-11-25", 30, q),
    ]  # fmt: skip
    assert facts(entries).filter(annual=0)["revenue"].to_list() == [110]


def test_the_longest_flow_of_a_report_is_the_year_so_far():
    q3, p3 = ("Q", "10-Q", "2024-11-01"), ("P", "10-Q", "2023-11-01")
    entries = [
        flow("2023-07-01", "2023-09-30", 11, p3), flow("2023-01-01", "2023-09-30", 30, p3),
        flow("2023-01-01", "2023-12-31", 45, Y23), flow("2024-07-01", "2024-09-30", 14, q3),
        flow("2024-01-01", "2024-09-30", 40, q3),
    ]  # fmt: skip
    assert facts(entries)["revenue"].to_list() == [45, 55]


def test_revenue_is_found_under_a_tag_that_changed_within_the_year():
    new = "RevenueFromContractWithCustomerExcludingAssessedTax"
    entries = [*(row for row in YEARS if row[4] != "Q24"), flow("2024-01-01", "2024-03-31", 130, Q24, new),
               moment("2024-03-31", 1100, Q24)]  # fmt: skip
    assert facts(entries)["revenue"][-1] == 480


def test_gross_profit_is_stated_or_revenue_less_its_cost():
    year = ("2023-01-01", "2023-12-31")
    entries = [flow(*year, 440, Y23), flow(*year, 300, Y23, "CostOfRevenue"), moment(year[1], 1, Y23)]
    assert facts(entries)["gross_profit"].to_list() == [140]
    assert facts([*entries, flow(*year, 150, Y23, "GrossProfit")])["gross_profit"].to_list() == [150]


def test_income_cash_and_equity_are_read():
    year = ("2023-01-01", "2023-12-31")
    entries = [flow(*year, -7, Y23, "NetIncomeLoss"), flow(*year, 9, Y23, CASH),
               moment(year[1], 5, Y23, "StockholdersEquity")]  # fmt: skip
    assert facts(entries).select("net_income", "operating_cash", "equity", "assets").row(0) == (-7, 9, 5, None)


def test_shares_are_those_of_the_cover_page_and_of_the_report_a_year_before():
    entries = [*YEARS, moment("2023-02-01", 50, Y22, COVER), moment("2024-02-01", 55, Y23, COVER),
               moment("2023-03-31", 52, Q23, "CommonStockSharesOutstanding")]  # fmt: skip
    table = facts(entries)
    assert table["shares"].to_list() == [50, 52, 55, None]
    assert table["shares_before"].to_list() == [None, None, 50, 52]


def test_an_amended_report_has_no_row_and_changes_none():
    amended = ("X", "10-K/A", "2023-03-01")
    entries = [*YEARS, moment("2022-12-31", 1, amended), flow("2022-01-01", "2022-12-31", 1, amended)]
    assert facts(entries).drop("document").equals(facts(YEARS).drop("document"))


def test_figures_in_another_currency_are_left_out_and_counted(caplog):
    caplog.set_level("INFO")
    table = facts([*YEARS, (*moment("2023-12-31", 9, Y23, "StockholdersEquity"), "CAD")])
    assert table["equity"].null_count() == 4 and "1 figures in other units than USD" in caplog.text


@pytest.mark.parametrize("factor", [1e-3, 1e3, 1e6])
def test_a_value_in_another_unit_than_its_neighbours_is_refused(factor, caplog):
    wrong = [(*row[:3], row[3] * factor, *row[4:]) if row[4] == "Y" or row[4] == "A23" else row for row in YEARS]
    table = facts([*wrong, flow("2023-01-01", "2023-12-31", 7 * factor, Y23, "NetIncomeLoss")])
    assert table["assets"].to_list() == [900, 920, None, 1100] and table["net_income"].null_count() == 4
    assert "in another unit than their neighbours" in caplog.text


def test_a_level_that_stays_is_believed_the_second_time():
    levels = ((2018, 5), (2019, 6), (2020, 5500), (2021, 6000), (2022, 6500))
    entries = [moment(f"{year}-12-31", value, (f"A{year}", "10-K", f"{year + 1}-02-01")) for year, value in levels]
    assert facts(entries)["assets"].to_list() == [5, 6, None, 6000, 6500]


def test_figures_of_a_later_revision_are_known_when_it_was_seen():
    later, new = SEEN + dt.timedelta(days=80), ("Q26", "10-Q", "2027-02-10")
    store = HeldStore().put("companyfacts/CIK0000000001", "companyfacts", company_facts(YEARS), known=SEEN)
    body = company_facts([*YEARS, moment("2026-12-31", 2000, new), moment("2023-12-31", 1, new)])
    store.put("companyfacts/CIK0000000001", "companyfacts", body, known=later, revision=1)
    table = statements(store, COMPANY).sort("known")
    assert table.drop("document")[:4].equals(facts(YEARS).drop("document"))
    assert table.row(4, named=True)["known"] == later and table.row(4, named=True)["assets"] == 2000
    assert not table["backfilled"][4] and table["document"][4].endswith(":1")


def test_figures_of_a_report_that_is_stored_itself_are_known_with_it():
    store = HeldStore().put("companyfacts/CIK0000000001", "companyfacts", company_facts(YEARS), known=SEEN)
    store.put("A23", "10-K", "text", known=utc("2024-02-10 21:30"), seen=SEEN, accepted=utc("2024-02-09 21:30"))
    assert statements(store, COMPANY).sort("known")["known"][2] == utc("2024-02-10 21:30")


def test_figures_without_a_number_or_a_date_are_passed_over():
    broken = [("Assets", None, "2023-12-31", None, *Y23), ("Assets", None, "", 5, *Y23), ("Assets", None, "x", 5, *Y23)]
    assert facts([*broken, *YEARS]).drop("document").equals(facts(YEARS).drop("document"))


def test_what_is_no_table_of_facts_is_counted(caplog):
    store = HeldStore()
    for n, body in enumerate(("<html>", "{}", '{"facts": []}', company_facts(YEARS))):
        store.put(f"companyfacts/CIK{n:010d}", "companyfacts", body, known=SEEN)
    assert statements(store, COMPANY.with_columns(cik=3)).height and "can't be read" not in caplog.text
    both = pl.concat([COMPANY.with_columns(cik=pl.lit(n, pl.Int64)) for n in range(4)])
    assert statements(store, both).height and "3 documents can't be read as companyfacts" in caplog.text


def world(random, omitted=0.3):
    """Reports of 28 quarters, with figures that later filings restate, or state for the first time."""
    entries, shares = [], 1000.0
    values: dict = {}
    for n in range(28):
        year, quarter = 2018 + n // 4, n % 4
        end = dt.date(year + (quarter == 3), 1 + (3 * quarter + 3) % 12, 1) - dt.timedelta(days=1)
        filed = end + dt.timedelta(days=int(random.integers(25, 60)))
        before = end.replace(year=end.year - 1)
        filing = (f"F{n:03d}", "10-K" if quarter == 3 else "10-Q", str(filed))
        shares *= float(np.exp(random.normal(0, 0.01)))
        entries.append(moment(str(filed), round(shares), filing, COVER))
        for tag in ("Revenues", "NetIncomeLoss", CASH, "CostOfRevenue"):
            values[tag, n] = values.get((tag, n - 1), 0) * (quarter > 0) + round(float(random.normal(100, 30)))
            if random.random() >= omitted:
                entries.append(flow(f"{year}-01-01", str(end), values[tag, n], filing, tag))
            if n >= 4:
                entries.append(flow(f"{year - 1}-01-01", str(before), values[tag, n - 4] + 1, filing, tag))
        for tag in ("Assets", "StockholdersEquity"):
            values[tag, n] = round(1000 * (1.02**n) * float(np.exp(random.normal(0, 0.05)))) * (1000 if n == 9 else 1)
            if random.random() >= omitted or tag == "StockholdersEquity":
                entries.append(moment(str(end), values[tag, n], filing, tag))
            if n >= 4:
                entries.append(moment(str(before), values[tag, n - 4] + 1, filing, tag))
    return entries


def stored(entries, until):
    """One look at the past, then a revision after some of the later filings."""
    start, store, revision = utc("2022-03-01 00:00"), HeldStore(), 0
    visible = [row for row in entries if utc(f"{row[6]} 00:00") < start - dt.timedelta(hours=3)]
    past = [row for row in visible if utc(f"{row[6]} 00:00") + dt.timedelta(hours=27) + LAG <= until]
    store.put("companyfacts/CIK0000000001", "companyfacts", company_facts(past), known=start)
    for filed in sorted({row[6] for row in entries})[::2]:
        seen = utc(f"{filed} 00:00") + dt.timedelta(days=1, hours=4)
        if start < seen <= until:
            revision += 1
            held = [row for row in entries if row[6] <= filed]
            store.put("companyfacts/CIK0000000001", "companyfacts", company_facts(held), known=seen, revision=revision)
    for n in range(0, 28, 3):
        accepted = utc(f"{next(row[6] for row in entries if row[4] == f'F{n:03d}')} 15:00")
        if accepted < start and accepted + LAG <= until:
            store.put(f"F{n:03d}", "10-Q", "text", known=accepted + LAG, seen=start, accepted=accepted)
    return store


@pytest.mark.parametrize("seed", range(4))
def test_what_becomes_known_later_changes_no_earlier_row(seed):
    random = np.random.default_rng(seed)
    entries = world(random)
    full = stored(entries, utc("2035-01-01 00:00"))
    random.shuffle(full.rows)
    every = ordered(statements(full, COMPANY), "statements")
    assert every.height >= 20 and every["revenue"].drop_nulls().len() > 5 and every["assets"].null_count()
    for _ in range(8):
        until = utc("2018-06-01 00:00") + dt.timedelta(hours=float(random.uniform(0, 24 * 2800)))
        then = ordered(statements(stored(entries, until), COMPANY), "statements")
        assert then.filter(pl.col("known") <= until).equals(every.filter(pl.col("known") <= until))


def by_hand(entries, n):
    """Revenue of twelve months up to quarter n of the world: sums of what each quarter added."""
    stated = {}
    for tag, _, end, value, _, _, filed in entries:
        if tag == "Revenues" and (end not in stated or filed < stated[end][0]):
            stated[end] = filed, value
    values = [value for _, (_, value) in sorted(stated.items())]
    quarters = [value - (values[k - 1] if k % 4 else 0) for k, value in enumerate(values)]
    return sum(quarters[n - 3 : n + 1])


def test_twelve_months_equal_the_sum_of_four_quarters():
    entries = world(np.random.default_rng(9), omitted=0)
    store = HeldStore().put("companyfacts/CIK0000000001", "companyfacts", company_facts(entries), known=SEEN)
    table = statements(store, COMPANY).sort("known")
    assert table.height == 28 and table["revenue"][:3].to_list() == [None] * 3
    assert table["revenue"][3:].to_list() == [by_hand(entries, n) for n in range(3, 28)]


def test_a_second_reading_reads_no_body_again(tmp_path):
    entries = world(np.random.default_rng(1))
    store = stored(entries, utc("2035-01-01 00:00"))
    first = statements(store, COMPANY, tmp_path)
    asked = store.asked
    assert statements(store, COMPANY, tmp_path).equals(first) and store.asked == asked > 1
    assert ordered(first, "statements").equals(ordered(statements(store, COMPANY), "statements"))
