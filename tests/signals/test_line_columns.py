"""Columns of lines that grow: constants, arrays and texts, and tables that are closed on the way."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from src.signals import line_columns
from src.signals.line_columns import GRADED, LineColumns, of_version
from src.signals.tables import LINES
from src.tracking.crowned_versions import CrownedVersion

DAYS = np.array(["2025-01-02", "2025-01-03"], dtype="datetime64[D]")


@pytest.mark.parametrize("most", [1, 3, 1000])
def test_what_is_added_in_parts_is_one_table(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    monkeypatch.setattr(line_columns, "_MOST", most)
    lines = LineColumns()
    for score in (0.25, 0.75):
        values = {"book_date": DAYS, "symbol": "AAA", "score": np.array([score, np.nan]), "reason": [None, "old"]}
        lines.add(2, values | {"trade_on": [dt.date(2025, 1, 3)] * 2, "bar_age": np.array([0, 1])})
    table = lines.frame()
    assert dict(table.schema) == LINES
    assert table["score"].to_list() == [0.25, None, 0.75, None], "an undefined number is null"
    assert table["book_date"].to_list() == DAYS.tolist() * 2
    assert table["symbol"].to_list() == ["AAA"] * 4 and table["reason"].to_list() == [None, "old"] * 2
    assert table["bar_age"].to_list() == [0, 1] * 2 and table["name"].null_count() == 4


def test_without_lines_the_table_has_its_columns() -> None:
    assert dict(LineColumns().frame().schema) == LINES


def test_a_champion_brings_its_grade() -> None:
    grade = {name: number for number, name in enumerate(GRADED)} | {"family": "ridge", "turnover": 3.0}
    about = of_version(CrownedVersion("stock.AAA", 2, "run", "record", "strategy", "sha", grade), "instrument")
    assert about["name"] == "stock.AAA" and about["family"] == "ridge" and "turnover" not in about
    assert {name: about[name] for name in GRADED} == {name: grade[name] for name in GRADED}
    assert set(about) <= set(LINES)
