"""What moved the scores of a pooled champion, by a ridge member whose contributions are known by hand."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from src.signals import pooled_moves
from src.signals.pooled_moves import contributions, moved_by

COLUMNS = ("a", "b", "c", "d", "category.weekday")
COEFFICIENT = np.array([0.5, -2.0, 1.0, 0.0])
RANKS = np.array([[0, 0, 254, 9, 3], [254, 254, 0, 9, 3], [127, 191, 127, 9, 3], [255, 255, 255, 9, 3]], dtype=np.uint8)
SYMBOLS = pl.Series(["W", "X", "Y", "Z"])


def champion(coefficient=COEFFICIENT):
    return SimpleNamespace(columns=COLUMNS, members={"ridge": {"coefficient": coefficient, "intercept": 0.25}})


def naive(coefficient):
    """Coefficient times rank, over the standard deviation of the sums; a missing rank adds nothing."""
    added = [
        [c * (0 if r == 255 else (int(r) - 127) / 254) for c, r in zip(coefficient, row, strict=False)] for row in RANKS
    ]
    return np.array(added) / np.std([sum(row) for row in added])


def test_contributions_are_in_deviations_of_the_scores_of_the_day() -> None:
    found = contributions(champion(), RANKS, np.array([1, 2]))
    assert found[:, :4] == pytest.approx(naive(COEFFICIENT)[[1, 2]], rel=1e-6)
    assert not found[:, 4].any()


def test_the_largest_positions_are_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pooled_moves, "EXPLAINED", 2)
    lines = pl.DataFrame({"symbol": ["V", "W", "X", "Y", "Z"], "position": [9.0, 0.1, -0.3, 0.2, 0.0]})
    found = moved_by(lines, champion(), SYMBOLS, RANKS)
    assert found["symbol"].to_list() == lines["symbol"].to_list()
    assert [text is not None for text in found["moved_by"]] == [False, False, True, True, False]
    a, b, c, _ = naive(COEFFICIENT)[1]
    assert found["moved_by"][2] == f"b {b:+.3g}; c {c:+.3g}; a {a:+.3g}"
    assert found["moved_by"][3] == f"b {naive(COEFFICIENT)[2][1]:+.3g}"


def test_scores_that_do_not_differ_are_not_explained() -> None:
    assert contributions(champion(np.zeros(4)), RANKS, np.array([0])) is None
    found = moved_by(pl.DataFrame({"symbol": ["W"], "position": [0.1]}), champion(np.zeros(4)), SYMBOLS, RANKS)
    assert found["moved_by"].to_list() == [None]
