"""The history of promotions: what is read is what was written, whatever a kill cut off."""

from __future__ import annotations

from pathlib import Path

import pytest

from src.core.errors import StageError
from src.tracking.promotion_history import Change, PromotionHistory

FIRST, SECOND = Change("stock.AAPL", None, 1), Change("stock.AAPL", 1, 2)


@pytest.fixture
def history(tmp_path: Path) -> PromotionHistory:
    return PromotionHistory(tmp_path / "promotions" / "demo.jsonl")


def test_entries_are_read_as_they_were_written(history: PromotionHistory) -> None:
    assert history.entries() == []
    first = history.begin("promote", [FIRST], why="Überprüft", demands={"instruments": {"max_q_value": 0.1}})
    history.close(first)
    second = history.begin("promote", [SECOND, Change("etf.SPY", None, 4)])
    history.close(second, ["etf.SPY"])
    one, two = history.entries()
    assert (one.number, one.kind, one.why, one.changes, one.is_closed) == (1, "promote", "Überprüft", (FIRST,), True)
    assert one.who and one.at.endswith("+00:00")
    assert one.demands == {"instruments": {"max_q_value": 0.1}}
    assert (two.number, two.refused, two.carried_out) == (2, ("etf.SPY",), (SECOND,))
    said = [line for entry in (one, two) for line in entry.lines()]
    assert said[0].endswith(' ("Überprüft"): 1 changed')
    assert said[1:3] == ["   instruments: max_q_value 0.1", "   stock.AAPL none -> version 1"]
    assert said[-1] == "   etf.SPY none -> version 4 (refused)"


def test_a_line_that_a_kill_cut_off_is_no_entry_and_is_written_over(history: PromotionHistory) -> None:
    history.close(history.begin("promote", [FIRST]))
    whole = history.path.read_bytes()
    for cut in (1, 20, 60):
        history.path.write_bytes(whole + whole[:cut])
        assert len(history.entries()) == 1
        history.close(history.begin("withdraw", [Change("stock.AAPL", 1, None)]))
        assert [entry.kind for entry in history.entries()] == ["promote", "withdraw"]


def test_an_interrupted_entry_is_taken_up_by_the_same_command_alone(history: PromotionHistory) -> None:
    history.begin("promote", [FIRST, Change("etf.SPY", None, 4)], why="quarterly")
    open_entry = history.open_entry("promote")
    assert open_entry is not None and not open_entry.is_closed
    assert history.open_entry("undo") is None
    entry = history.begin("promote", [Change("stock.AAPL", 1, 2), Change("etf.QQQ", None, 3)])
    history.close(entry)
    (only,) = history.entries()
    assert only.why == "quarterly"
    assert set(only.changes) == {Change("stock.AAPL", None, 2), Change("etf.SPY", None, 4), Change("etf.QQQ", None, 3)}


def test_a_damaged_line_is_named(history: PromotionHistory) -> None:
    history.close(history.begin("promote", [FIRST]))
    history.path.write_bytes(b"{broken\n" + history.path.read_bytes())
    with pytest.raises(StageError, match=r"line 1 of .*demo\.jsonl can't be read .*: restore the file from a copy"):
        history.entries()
