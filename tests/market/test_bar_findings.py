"""Findings in the ledger: what is read is what was recorded, and older records lose no reason."""

import datetime as dt

import polars as pl
from polars.testing import assert_frame_equal

from src.core.finding import BarFinding
from src.market.bar_findings import COLUMN, FACT, WHOLE, stored, table, values, with_findings
from src.market.bars import STATE_COLUMNS, BarStore
from src.storage.ledger import SCHEMA

DAY = dt.date(2024, 2, 29)
STATES = SCHEMA | STATE_COLUMNS
NASTY = "file a;b.csv: x; y: 'z', \u20ac"


def states(*rows: tuple[str, str, str, list[BarFinding]]) -> pl.DataFrame:
    whole = [
        {**dict.fromkeys(STATES), "asset_class": "stock", "symbol": s, "state": state, "reason": why, FACT: values(f)}
        for s, state, why, f in rows
    ]
    return pl.DataFrame(whole, schema=STATES | {FACT: COLUMN}, orient="row")


def test_what_is_recorded_is_read_again(tmp_path):
    store = BarStore(tmp_path)
    findings = [
        BarFinding("jump", "repaired", NASTY, 3, 800, DAY, DAY, "stooq", 7.5, (1.0, None, 2.5), 1),
        BarFinding("gap", "noted", "b"),
    ]
    written = states(("A", "done", f"{NASTY}; b", findings), ("B", "done", "", []))
    store.record(0, "job", written, "digest")
    _, read, complete = stored(store.ledger)
    assert_frame_equal(read, table(written))
    assert complete and read["text"].to_list() == [NASTY, "b"]
    assert_frame_equal(with_findings(store.ledger, 0), written)


def test_a_record_older_than_findings_gives_each_reason_whole(tmp_path):
    store = BarStore(tmp_path)
    written = states(("A", "done", NASTY, []), ("B", "failed", "c; d", []), ("C", "done", "", []))
    store.record(0, "job", written.drop(FACT), "digest")
    _, read, complete = stored(store.ledger)
    assert not complete
    assert read.select("symbol", "rule", "effect", "text").rows() == [
        ("A", WHOLE, "noted", NASTY),
        ("B", WHOLE, "failed", "c; d"),
    ]


def test_a_store_without_records_has_no_findings(tmp_path):
    _, read, complete = stored(BarStore(tmp_path).ledger)
    assert read.is_empty() and complete


def test_a_record_that_was_renewed_in_part_is_not_complete(tmp_path):
    store = BarStore(tmp_path)
    store.record(0, "job", states(("A", "done", NASTY, [])).drop(FACT), "digest")
    again = states(("B", "failed", "x", [BarFinding("unreadable", "failed", "x")]))
    store.record(0, "job", pl.concat([with_findings(store.ledger, 0), again]), "digest")
    _, read, complete = stored(store.ledger)
    assert not complete and dict(read.select("symbol", "rule").iter_rows()) == {"A": WHOLE, "B": "unreadable"}
