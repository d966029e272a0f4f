"""Settings that were tried on one instrument are compared on their common days, from stored predictions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from src.config.schema import StrategyConfig
from src.evaluation.overfitting import backtest_overfitting
from src.reporting import several_settings
from src.reporting.several_settings import overfitting
from src.training.run_store import RunStore, shard_name
from tests.training.test_run_store import row

DAYS = 400


@pytest.fixture
def store(tmp_path: Path) -> RunStore:
    return RunStore(tmp_path / "runs")


def run(key: str, symbol: str, settings: str, *, bars: str = "x", days: int = DAYS, seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(sum(symbol.encode()))
    returns = rng.normal(0.0, 0.01, DAYS)[:days]
    score = np.random.default_rng(seed).random(DAYS)[:days]
    made = row(symbol, key, n=days) | {"parts": {"bars": bars, "panel": None, "model": settings}}
    return made | {"oos_label": np.ones(days), "oos_bar_return": returns, "oos_probability": score}


def test_runs_of_one_instrument_are_compared_by_the_returns_of_their_directions(store: RunStore) -> None:
    runs = [run("a", "AAA", "one", seed=1), run("b", "AAA", "two", seed=2, days=360), run("c", "BBB", "one", seed=3)]
    store.add(shard_name(0, "s" * 24), runs)
    found = overfitting(store, StrategyConfig(), 1, store.root.parent / "cache")
    held = [np.where(each["oos_probability"] > 0.5, each["oos_bar_return"], 0.0)[:360] for each in runs[:2]]
    assert found is not None
    assert found.median == found.mean == pytest.approx(backtest_overfitting(np.column_stack(held)))
    assert (found.instruments, found.total, found.settings) == (1, 1, 2.0)


def test_longer_bars_of_one_setting_are_no_second_setting(store: RunStore) -> None:
    runs = [run("a", "AAA", "one", bars="x", days=300), run("b", "AAA", "one", bars="y")]
    store.add(shard_name(0, "s" * 24), runs)
    assert overfitting(store, StrategyConfig(), 1, store.root.parent / "cache") is None


def test_no_further_bucket_is_read_once_the_sample_is_large_enough(
    store: RunStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for bucket in range(4):
        runs = [run(f"{bucket}{name}", f"S{bucket}", name, seed=ord(name) + bucket) for name in "ab"]
        store.add(shard_name(bucket, "s" * 24), runs)
    monkeypatch.setattr(several_settings, "INSTRUMENTS", 2)
    found = overfitting(store, StrategyConfig(), 1, store.root.parent / "cache")
    assert found is not None
    assert (found.instruments, found.total) == (2, 4)


def test_an_empty_store_has_none(store: RunStore) -> None:
    assert overfitting(store, StrategyConfig(), 1, store.root.parent / "cache") is None
