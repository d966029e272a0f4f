"""What a champion should have said and did not: counts against what was left out on purpose."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

from src.market.calendar import session_open
from src.monitoring.gathered import gathered
from tests.monitoring.monitor_case import KEYS, Watched, watched

AAA = KEYS[0]


def row(case: Watched, crowned: bool = True, name: str = "stock.AAA") -> dict[str, Any]:
    found = gathered(case.paths, case.champions() if crowned else [])
    return found.champions.filter(name=name).row(0, named=True)


def test_a_whole_journal_lacks_nothing(tmp_path: Path) -> None:
    found = row(watched(tmp_path).replayed())
    assert {name: found[name] for name in ("pending", "missing", "refused", "late", "restated", "silent")} == {
        "pending": 2, "missing": 0, "refused": 0, "late": 0, "restated": 0, "silent": 0,
    }  # fmt: skip
    assert (found["first"], found["last"], found["standing"]) == (
        dt.date(2024, 1, 2),
        dt.date(2024, 12, 31),
        "champion",
    )


def test_days_without_a_line_are_missing_and_the_last_of_them_silent(tmp_path: Path) -> None:
    case = watched(tmp_path)
    lines = case.lines(AAA)
    case.say(lines[:100] + lines[103:-5])
    found = row(case)
    assert (found["missing"], found["silent"]) == (3 + 5, 5)


def test_refused_lines_are_counted_with_the_latest_reason(tmp_path: Path) -> None:
    case = watched(tmp_path)
    lines = case.lines(AAA)
    refused = {"state": "refused", "reason": "its model changed", "decided_on": None, "position": None, "score": None}
    case.say(lines[:-4] + [line | refused for line in lines[-4:]])
    found = row(case)
    assert (found["refused"], found["silent"], found["refusal"]) == (4, 4, "its model changed")


def test_late_decisions_do_not_end_a_silence(tmp_path: Path) -> None:
    case = watched(tmp_path)
    lines = case.lines(AAA)
    case.say(lines[:-6])
    case.say(lines[-6:-5], "book", session_open("stock", lines[-6]["trade_on"]))
    for line in lines[-5:]:
        case.say([line], "book", session_open("stock", line["trade_on"]) + dt.timedelta(hours=1))
    found = row(case)
    assert (found["late"], found["silent"], found["missing"]) == (5, 5, 0)


def test_a_former_champion_is_looked_at_to_its_last_book(tmp_path: Path) -> None:
    case = watched(tmp_path)
    case.say(case.lines(AAA, last=dt.date(2024, 6, 28)))
    found = row(case, crowned=False)
    assert (found["standing"], found["missing"], found["silent"]) == ("withdrawn", 0, 0)


def test_a_replaced_version_is_kept_apart_from_the_one_after_it(tmp_path: Path) -> None:
    case = watched(tmp_path)
    lines = case.lines(AAA)
    case.say([line | {"version": 2} for line in lines[:60]] + lines[60:])
    table = gathered(case.paths, case.champions()).champions.filter(name="stock.AAA")
    assert table.select("version", "standing", "missing").rows() == [(1, "champion", 0), (2, "replaced", 0)]


def test_a_champion_of_no_book_yet_is_listed(tmp_path: Path) -> None:
    case = watched(tmp_path)
    case.say(case.lines(AAA))
    found = row(case, name="stock.BBB")
    assert (found["standing"], found["missing"], found["silent"], found["first"]) == ("champion", 0, 0, None)
