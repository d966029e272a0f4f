"""The ledger: a unit is done under a key, or it is not."""

import datetime as dt

import polars as pl
import pytest

from src.storage.ledger import SCHEMA, Ledger


def states(*rows: tuple) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


DONE = ("stock", "NA", "done", "", 5, dt.date(2020, 1, 2), dt.date(2020, 1, 8))
BAD = ("etf", "TRUE", "quarantined", 'one, "two"; three', 0, None, None)


def test_what_is_recorded_comes_back_and_symbols_stay_text(tmp_path):
    ledger = Ledger(tmp_path)
    ledger.record(7, "key", states(DONE, BAD), digest="d")
    assert ledger.states().rows() == [BAD, DONE]
    assert ledger.units() == [7] and ledger.fact(7, "digest") == "d"


def test_a_unit_is_done_for_its_own_key_only(tmp_path):
    ledger = Ledger(tmp_path)
    assert not ledger.done(1, "key")
    ledger.record(1, "key", states(DONE))
    assert ledger.done(1, "key") and not ledger.done(1, "other")
    ledger.forget(1)
    assert not ledger.done(1, "key")


def test_a_damaged_record_counts_as_not_done(tmp_path):
    ledger = Ledger(tmp_path)
    ledger.record(1, "key", states(DONE))
    (tmp_path / "b001.json").write_text('{"key": "ke', encoding="utf-8")
    assert not ledger.done(1, "key") and ledger.states().is_empty()


def test_an_instrument_with_two_states_or_an_unknown_state_is_refused(tmp_path):
    with pytest.raises(ValueError, match="two states"):
        Ledger(tmp_path).record(1, "key", states(DONE, DONE))
    with pytest.raises(ValueError, match="got fine"):
        Ledger(tmp_path).record(1, "key", states((*DONE[:2], "fine", *DONE[3:])))


def test_an_intent_says_what_a_unit_was_about_to_become_until_its_record_is_written(tmp_path):
    ledger = Ledger(tmp_path)
    ledger.record(3, "old", states(DONE))
    ledger.begin(3, "new", states(DONE, BAD), files={"a": "1"})
    assert ledger.done(3, "old") and ledger.begun() == [3] and ledger.units() == [3]
    intent = ledger.intent(3)
    assert intent is not None and (intent.key, intent.facts, len(intent.states)) == ("new", {"files": {"a": "1"}}, 2)
    ledger.record(3, "new", states(DONE, BAD))
    assert ledger.intent(3) is None and ledger.begun() == [] and ledger.done(3, "new")


def test_units_may_have_names_and_ledgers_of_other_kinds_stand_in_the_same_folder(tmp_path):
    named, skips = Ledger(tmp_path / "named"), Ledger(tmp_path / "named", kind="skips")
    for name in ("etf.SPY", "stock.BRK.B", "index.^SPX"):
        named.record(name, "key", rows=[name])
    assert named.names() == ["etf.SPY", "index.^SPX", "stock.BRK.B"] and named.units() == []
    assert named.fact("stock.BRK.B", "rows") == ["stock.BRK.B"]
    skips.record("b007-1a2b3c4d", "key", durable=False, reasons={"a": "short"})
    skips.record(7, "key")
    assert skips.names("b*-1a2b3c4d") == ["b007-1a2b3c4d"] and skips.units() == [7]
    assert named.read("b007") is None and named.units() == []


def test_rows_of_a_schema_of_ones_own_come_back_with_their_types(tmp_path):
    stamp = pl.Datetime("us", "UTC")
    schema = {"asset_class": pl.String(), "symbol": pl.String(), "state": pl.String(), "at": stamp}
    ledger = Ledger(tmp_path, schema, states=("asked",))
    moment = dt.datetime(2026, 1, 5, 12, 30, 0, 250, tzinfo=dt.UTC)
    rows = [("etf", "B", "asked", None), ("etf", "A", "asked", moment)]
    ledger.record(1, "key", (dict(zip(schema, row, strict=True)) for row in rows))
    assert ledger.states(1).schema == pl.Schema(schema)
    assert ledger.states().rows() == rows[::-1]
    with pytest.raises(ValueError, match="states must be of asked, got done"):
        ledger.record(1, "key", [{**dict.fromkeys(schema, ""), "state": "done"}])
