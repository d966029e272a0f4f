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
