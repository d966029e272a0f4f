"""Decisions on consecutive bars, against a loop that knows no arrays; and how what moved a score is written."""

from __future__ import annotations

import hashlib
import struct

import numpy as np
import polars as pl
import pytest

from src.config.schema import LabelConfig, StrategyConfig
from src.evaluation import labels
from src.models.registry import family
from src.signals.decided import decide, inputs_digest, moved_by, rows_needed, strongest
from tests.market_case import series


def bars(n: int = 300) -> pl.DataFrame:
    made = series("AAA", n=n).drop("adj_close")
    return made.with_columns(factor=pl.lit(1.0), split=pl.lit(1.0), repaired=pl.lit(False))


@pytest.mark.parametrize("horizon", [1, 4])
@pytest.mark.parametrize("short", [False, True])
@pytest.mark.parametrize(("first", "last"), [(0, 3), (2, 40), (150, 150), (200, 299)])
def test_decisions_are_those_of_a_loop(horizon: int, short: bool, first: int, last: int) -> None:
    choice = StrategyConfig(short=short, threshold=0.55)
    table = bars()
    decisions = labels.decisions(table, LabelConfig(horizon=horizon))
    probability = np.random.default_rng(1).random(table.height)
    x = np.arange(table.height, dtype=np.float32)[:, np.newaxis]
    start = rows_needed(first, horizon)
    found = decide(
        lambda rows: probability[rows[:, 0].astype(int)], x[start : last + 1], decisions, first, last, choice
    )
    closes = table["close"].to_list()

    def direction(k: int) -> float:
        if k < start:
            return 0.0
        return float(probability[k] > 0.55) - float(short and probability[k] < 0.45)

    def position(k: int) -> float:
        exposure = sum(direction(k - lag) for lag in range(horizon)) / horizon
        window = [closes[i] / closes[i - 1] - 1.0 for i in range(max(k - 62, 1), k + 1)]
        if k < 63:
            return 0.0
        mean = sum(window) / len(window)
        volatility = (sum((each - mean) ** 2 for each in window) / (len(window) - 1)) ** 0.5 * 252**0.5
        return exposure * min(0.10 / volatility, 1.0)

    for place, k in enumerate(range(first, last + 1)):
        assert found.probability[place] == probability[k]
        assert found.position[place] == pytest.approx(position(k), rel=1e-12)
        if k == 0:
            assert np.isnan(found.before[place])
        else:
            assert found.before[place] == pytest.approx(position(k - 1), rel=1e-12)
        assert found.x[place, 0] == k
        assert found.cost_rate[place] >= 0.0005
    assert found.hedge is None


def test_the_strongest_three_are_named_in_order_without_zeros() -> None:
    contributions = np.array([[0.1, -0.5, 0.0, 0.25, 0.5], [0.0, 0.0, 0.0, -0.00123, 0.0], [0.0] * 5])
    assert strongest(contributions, ["a", "b", "c", "d", "e"]) == ["b -0.5; e +0.5; d +0.25", "d -0.00123", None]


def test_a_family_that_does_not_say_names_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(family("ridge"), "contributions")
    assert moved_by("ridge", {}, np.zeros((2, 3), dtype=np.float32), ["a", "b", "c"]) == [None, None]


def test_the_digest_is_over_the_little_endian_bytes_of_row_date_and_prices() -> None:
    row, prices = np.array([1.5, np.nan], dtype=np.float32), np.array([1.0, 2.0, 0.5, 1.5, 1.1])
    expected = struct.pack("<ff", 1.5, float("nan")) + struct.pack("<q", 1_700_000_000_000_000)
    expected += struct.pack("<5d", *prices)
    assert inputs_digest(row, (1_700_000_000_000_000, prices)) == hashlib.sha256(expected).hexdigest()
    swapped = row.astype(row.dtype.newbyteorder(">"))
    assert inputs_digest(swapped, (1_700_000_000_000_000, prices)) == hashlib.sha256(expected).hexdigest()
