"""Facts about insiders' trades, from single forms and from quarterly sets."""

import datetime as dt

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from src.documents.facts import schema
from src.research.insiders import insider_trades
from src.research.reading.ownership import trades
from src.research.reading.routine import routine
from tests.research.reading_case import COMPANY, LAG, SEEN, HeldStore, form4, insider_set, ordered, utc

FILED = utc("2024-01-08 21:30")


def facts(*forms, **columns):
    """Facts of some forms, each known a day after the one before."""
    store = HeldStore()
    for number, body in enumerate(forms):
        known = FILED + dt.timedelta(days=1 + number)
        kind = "4/A" if "<documentType>4/A<" in body else "4"
        store.put(f"0000000100-24-{number:06d}", kind, body, known=known, accepted=known - LAG, **columns)
    return insider_trades(store, COMPANY).sort("known")


def test_a_purchase_becomes_a_fact_with_all_its_columns():
    table = facts(form4([{"code": "P", "shares": 250, "price": 20.5, "held": 1250}], plan=0))
    assert table.columns == list(schema("insider_trades"))
    row = table.row(0, named=True)
    assert (row["symbol"], row["document"], row["backfilled"]) == ("ONE", "edgar:0000000100-24-000000:0", False)
    assert (row["shares"], row["value"], row["price"], row["held"], row["owner"]) == (250, 5125, 20.5, 1250, 100)
    assert (row["officer"], row["director"], row["owner_of_ten_percent"], row["planned"]) == (1, 0, 0, 0)
    assert row["traded"] == (dt.date(2024, 1, 5) - dt.date(1970, 1, 1)).days and row["routine"] is None


def test_a_sale_is_negative():
    assert facts(form4([{"code": "S", "shares": 10, "price": 3}])).select("shares", "value").row(0) == (-10, -30)


def test_only_market_codes_are_facts_and_the_others_are_counted(caplog):
    caplog.set_level("INFO")
    lines = [{"code": code, "price": 1} for code in "PSAMFGD"]
    assert facts(form4(lines, derivatives=3)).height == 2
    assert "5 lines of other codes and 3 of derivatives" in caplog.text


def test_several_owners_of_one_form_are_one_fact_with_the_roles_of_all():
    row = facts(form4([{"price": 1}], owners=((7, "ten"), (8, "director")))).row(0, named=True)
    assert (row["owner"], row["director"], row["owner_of_ten_percent"], row["officer"]) == (7, 1, 1, 0)


def test_the_issuer_and_not_the_owner_decides_the_instrument():
    table = facts(form4([{"price": 1}], issuer=2, owners=((1, "ten"),)), entity="CIK:0000000001")
    assert table["symbol"].to_list() == ["TWO"]


def test_a_footnote_instead_of_a_price_leaves_price_and_value_null():
    row = facts(form4([{"note": "F1"}], notes={"F1": "Weighted average."})).row(0, named=True)
    assert row["price"] is None and row["value"] is None and row["shares"] == 100


@pytest.mark.parametrize("price", [0, -3, 3e6, "n/a"])
def test_a_price_that_is_none_leaves_price_and_value_null(price):
    assert facts(form4([{"price": price}])).select("price", "value").row(0) == (None, None)


def test_a_value_that_is_the_price_of_the_whole_line_is_no_value():
    assert facts(form4([{"price": 1_500_000, "shares": 60_000}]))["value"].to_list() == [None]


@pytest.mark.parametrize("line", [{"shares": 0}, {"shares": -5}, {"shares": "x"}, {"swap": 1}, {"side": "D"}])
def test_a_line_without_a_sound_number_of_shares_is_left_out_and_counted(line, caplog):
    assert facts(form4([{"price": 1, **line}])).height == 0
    assert "1 insider trades left out" in caplog.text


@pytest.mark.parametrize(
    ("plan", "note", "said"),
    [
        (1, "", 1), ("true", "", 1), (0, "", 0), ("false", "", 0), (None, "", None),
        (None, "Sold under a Rule 10b5-1 trading plan adopted on March 1.", 1),
        (0, "Effected pursuant to a Rule 10b5\u20111 plan.", 1),
        (None, "The sale was not made under a 10b5-1 plan.", 0),
    ],
)  # fmt: skip
def test_plans_are_known_by_the_checkbox_and_before_it_by_footnotes(plan, note, said):
    body = form4([{"price": 1, "note": "F1"}, {"price": 1}], plan=plan, notes={"F1": note})
    assert trades(body.encode())[0]["planned"] == said
    one = {"accession": "A", "filed": "2024-01-08", "lines": [{"price": 1, "note": "F1, F2"}], "notes": {"F1": note}}
    store = HeldStore().put(
        "2024q1", "insider-set", insider_set([one | {"plan": "" if plan is None else plan}]), known=SEEN
    )
    assert insider_trades(store, COMPANY)["planned"].to_list() == [said]


def test_a_trade_dated_after_its_filing_has_no_day():
    assert facts(form4([{"day": "2034-01-05", "price": 1}]))["traded"].to_list() == [None]


def test_what_is_no_ownership_document_is_counted_and_the_others_are_read(caplog):
    bomb = '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "b">]><ownershipDocument>&a;</ownershipDocument>'
    table = facts("<html>Service unavailable</html>", form4([{"price": 1}]), bomb, "<ownershipDocument>")
    assert table.height == 1 and "3 documents can't be read as ownership" in caplog.text


def test_a_whole_submission_is_read_without_its_header():
    body = f"<SEC-DOCUMENT>0001.txt\n<TEXT>\n<XML>\n{form4([{'price': 1}])}\n</XML></TEXT>"
    assert facts(body).height == 1


def test_rows_of_a_set_seen_later_are_known_the_evening_of_their_filing_plus_the_lag():
    sets = insider_set([{"accession": "A", "filed": "2024-01-08", "lines": [{"price": 1}]}], checkbox=False)
    store = HeldStore().put("2024q1", "insider-set", sets, known=SEEN)
    row = insider_trades(store, COMPANY).row(0, named=True)
    assert row["known"] == utc("2024-01-09 03:00") + LAG and row["backfilled"]
    summer = insider_set([{"accession": "A", "filed": "2024-07-08", "lines": [{"price": 1}]}])
    store = HeldStore().put("2024q3", "insider-set", summer, known=SEEN)
    assert insider_trades(store, COMPANY)["known"].to_list() == [utc("2024-07-09 02:00") + LAG]


def test_rows_of_a_set_that_came_while_sets_were_watched_are_known_when_it_was_seen():
    later, rows = SEEN + dt.timedelta(days=90), [{"accession": "A", "filed": "2027-01-08", "lines": [{"price": 1}]}]
    store = HeldStore().put("2026q3", "insider-set", insider_set([]), known=SEEN)
    store.put("2027q1", "insider-set", insider_set(rows), known=later)
    assert insider_trades(store, COMPANY).select("known", "backfilled").row(0) == (later, False)


def test_a_row_that_a_later_revision_of_a_set_adds_is_known_when_that_was_seen():
    one, two = ({"accession": each, "filed": "2024-01-08", "lines": [{"price": 1}]} for each in "AB")
    store = HeldStore().put("2024q1", "insider-set", insider_set([one]), known=SEEN)
    later = SEEN + dt.timedelta(days=3)
    store.put("2024q1", "insider-set", insider_set([one, two]), known=later, revision=1)
    assert insider_trades(store, COMPANY)["known"].to_list() == [utc("2024-01-09 03:00") + LAG, later]


def test_a_filing_that_is_stored_itself_is_not_counted_again_from_a_set():
    lines = [{"price": 2, "shares": 7}]
    sets = insider_set([{"accession": "A", "filed": "2024-01-08", "lines": lines}])
    store = HeldStore().put("2024q1", "insider-set", sets, known=SEEN)
    store.put("A", "4", form4(lines), known=FILED + LAG, seen=SEEN, accepted=FILED)
    table = insider_trades(store, COMPANY)
    assert table["document"].to_list() == ["edgar:A:0"] and table["known"].to_list() == [FILED + LAG]


def test_a_set_and_a_form_say_the_same():
    lines = [
        {"code": "P", "shares": 12.5, "price": 3.25, "held": 40, "day": "2024-01-03"},
        {"code": "S", "shares": 5, "held": 35, "day": "2024-01-04", "note": "F1"},
        {"code": "M", "shares": 5},
    ]
    owners, notes = ((9, "officer director"), (10, "ten")), {"F1": "Under a 10b5-1 plan."}
    one = {"accession": "A", "filed": "2024-01-08", "lines": lines, "owners": owners, "notes": notes}
    store = HeldStore().put("2024q1", "insider-set", insider_set([one]), known=SEEN)
    from_set = insider_trades(store, COMPANY)
    store = HeldStore().put("A", "4", form4(lines, owners=owners, notes=notes), known=SEEN, accepted=FILED)
    from_form = insider_trades(store, COMPANY)
    times = ["known", "backfilled", "document"]
    assert_frame_equal(
        ordered(from_set, "insider_trades").drop(times), ordered(from_form, "insider_trades").drop(times)
    )


LINES = [{"shares": 100, "price": 10}, {"shares": 200, "price": 11}]


@pytest.mark.parametrize(
    ("amendment", "added", "sums"),
    [
        ([], [], (300, 3200)),
        (LINES, [], (300, 3200)),
        ([LINES[0], {"shares": 250, "price": 11}], [(50, 550)], (350, 3750)),
        ([{"shares": 200, "price": 12}], [(-200, -2200), (200, 2400)], (300, 3400)),
        ([*LINES, {"shares": 5, "price": 9}], [(5, 45)], (305, 3245)),
        ([{"shares": 10, "price": 9, "day": "2024-01-04"}], [(10, 90)], (310, 3290)),
        (
            [{"shares": 90, "price": 9}, {"shares": 210, "price": 8}],
            [(-10, -190), (-200, -2200), (210, 1680)],
            (300, 2490),
        ),
    ],
)
def test_an_amendment_adds_what_it_changes(amendment, added, sums):
    table = facts(form4(LINES), form4(amendment, form="4/A"))
    first, later = table.filter(known=FILED + LAG), table.filter(pl.col("known") > FILED + LAG)
    assert first.select("shares", "value").rows() == [(100, 1000), (200, 2200)]
    assert later.select("shares", "value").rows() == added
    assert table.select(pl.col("shares", "value").sum()).row(0) == sums
    assert (first["correction"] == 0).all() and (table["shares"].sign() == table["value"].sign()).all()
    earlier = amendment and amendment[0].get("day", "2024-01-05") == "2024-01-05" and len(amendment) < 3
    assert (later["correction"] == (1 if earlier else 0)).all()


def test_an_amendment_of_an_amendment_changes_what_the_first_one_left():
    bodies = [form4(LINES[:1]), *(form4([{"shares": n, "price": 10}], form="4/A") for n in (150, 120, 120))]
    assert facts(*bodies)["shares"].to_list() == [100, 50, -30]


def test_a_form_that_is_known_after_its_amendment_counts_once():
    table = facts(form4([{"shares": 100, "price": 10}], form="4/A"), form4(LINES))
    assert table.select("shares", "value").rows() == [(100, 1000), (200, 2200)]


def by_loop(rows):
    """Cohen, Malloy and Pomorski's rule for single trades, one trade at a time."""
    out = []
    for issuer, owner, day, known in rows:
        before = [d for i, o, d, k in rows if (i, o) == (issuer, owner) and k <= known]
        years = [[d for d in before if d.year == day.year - back] for back in (1, 2, 3)]
        judged = all(years)
        out.append(float(all(any(d.month == day.month for d in year) for year in years)) if judged else None)
    return out


def test_routine_equals_the_rule_applied_trade_by_trade():
    random = np.random.default_rng(5)
    rows = []
    for _ in range(600):
        day = dt.date(2015 + int(random.integers(0, 8)), int(random.integers(1, 4)), int(random.integers(1, 28)))
        known = dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC) + dt.timedelta(
            days=float(random.exponential(90))
        )
        rows.append((1, int(random.integers(1, 8)), day, known))
    names = {"issuer": pl.Int64, "owner": pl.Int64, "traded": pl.Date, "known": pl.Datetime("us", "UTC")}
    found = routine(pl.DataFrame(rows, schema=names, orient="row")).to_list()
    assert found == by_loop(rows) and {None, 0.0, 1.0} == set(found)


def test_a_second_reading_reads_no_body_again(tmp_path):
    store = HeldStore()
    for number in range(5):
        store.put(f"A{number}", "4", form4([{"price": 1 + number}]), known=FILED, accepted=FILED)
    store.put("bad", "4", "no XML", known=FILED)
    first = insider_trades(store, COMPANY, tmp_path)
    assert store.asked == 6
    again = insider_trades(store, COMPANY, tmp_path)
    assert store.asked == 6 and again.equals(first)
    store.put("A9", "4", form4([{"price": 9}]), known=FILED, accepted=FILED)
    assert insider_trades(store, COMPANY, tmp_path).height == 6 and store.asked == 7
    next(tmp_path.rglob("1-1.parquet")).write_bytes(b"damaged")
    assert insider_trades(store, COMPANY, tmp_path).height == 6


def world(random):
    """Filings of some insiders over four years: forms, amendments, late ones, in sets or of their own."""
    filings = []
    for number in range(80):
        day = dt.date(2020, 1, 1) + dt.timedelta(days=int(random.integers(0, 1500)))
        day = day.replace(month=1 + day.month % 2, day=min(day.day, 28))
        lines = [
            {"code": "PS"[int(random.integers(0, 2))], "shares": int(random.integers(1, 4)), "price": 10,
             "day": str(day)}
            for _ in range(int(random.integers(1, 3)))
        ]  # fmt: skip
        owner, filed = int(random.integers(1, 4)), day + dt.timedelta(days=int(random.choice([1, 2, 400])))
        filings.append(
            {"accession": f"A{number:03d}", "filed": str(filed), "lines": lines, "owners": ((owner, "officer"),)}
        )
        if random.random() < 0.4:
            changed = [line | {"shares": int(random.integers(1, 5))} for line in lines]
            later = str(filed + dt.timedelta(days=int(random.integers(0, 40))))
            filings.append(
                {"accession": f"B{number:03d}", "filed": later, "form": "4/A", "lines": changed,
                 "owners": ((owner, "officer"),)}
            )  # fmt: skip
    return filings


def stored(filings, own, until):
    """The world's documents as far as they tell of what was known until a time."""
    store, history, start = HeldStore(), [], utc("2022-06-01 00:00")
    for each in filings:
        stamp = utc(f"{each['filed']} 23:00")
        known = stamp + LAG if stamp < start else stamp + dt.timedelta(hours=2)
        known = max(known, start + dt.timedelta(days=900)) if own[each["accession"]] > 0.9 else known
        if own[each["accession"]] > 0.5 and known <= until:
            body = form4(each["lines"], owners=each["owners"], form=each.get("form", "4"))
            seen = max(known, start)
            store.put(each["accession"], each.get("form", "4"), body, known=known, seen=seen, accepted=stamp)
        if stamp < start and stamp + LAG + dt.timedelta(hours=4) <= until:
            history.append(each)
    store.put("2022q1", "insider-set", insider_set(history), known=start)
    live = [each for each in filings if utc(f"{each['filed']} 23:00") >= start]
    for number, seen in enumerate((utc("2023-01-10 00:00"), utc("2024-02-10 00:00"), utc("2026-01-10 00:00"))):
        if seen <= until:
            held = [each for each in live if utc(f"{each['filed']} 23:00") < seen]
            store.put("live", "insider-set", insider_set(held), known=seen, revision=number)
    return store


@pytest.mark.parametrize("seed", range(6))
def test_what_becomes_known_later_changes_no_earlier_row(seed):
    random = np.random.default_rng(seed)
    filings = world(random)
    own = {each["accession"]: random.random() for each in filings}
    shuffled = stored(filings, own, utc("2030-01-01 00:00"))
    random.shuffle(shuffled.rows)
    every = ordered(insider_trades(shuffled, COMPANY), "insider_trades")
    assert every["routine"].drop_nulls().len() and (every["shares"] == every["shares"].floor()).all()
    for _ in range(6):
        until = utc("2020-06-01 00:00") + dt.timedelta(hours=float(random.uniform(0, 24 * 2000)))
        then = ordered(insider_trades(stored(filings, own, until), COMPANY), "insider_trades")
        assert then.filter(pl.col("known") <= until).equals(every.filter(pl.col("known") <= until))
