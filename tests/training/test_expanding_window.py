"""Fits on expanding windows: each family by its own way, all windows by one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from src.config.schema import ModelConfig
from src.models.registry import FAMILIES, PARAMS, family, windowed_family
from src.training import expanding_window
from src.training.expanding_window import Examples, binned_rows, final_model, window_models

NAMES = [f"feature_{each}" for each in range(5)]
ENDS = (240, 300, 420)


def examples(rows: int = 400) -> Examples:
    """Two of three decisions have a direction."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(rows, 5)).astype(np.float32)
    y = (x[:, 0] + rng.normal(size=rows) > 0).astype(np.float64)
    return Examples(x, y, np.arange(rows, dtype=np.int64) * 3 // 2)


def model_of(name: str, **others: Any) -> ModelConfig:
    return ModelConfig(name, params=PARAMS[name](**({} if name == "ridge" else {"rounds": 3})), **others)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_window_is_fitted_on_the_decisions_before_its_end(name: str) -> None:
    library, windowed, whole, model = family(name), windowed_family(name), examples(), model_of(name)
    found = list(window_models(whole, ENDS, model, NAMES, 7))
    first = int((whole.positions < ENDS[0]).sum())
    for end, fitted in zip(ENDS, found, strict=True):
        rows = int((whole.positions < end).sum())
        x, y = whole.x[:rows].copy(), whole.y[:rows]
        if windowed:
            (expected,) = windowed.fit_windows(x, y, [rows], model.params, 7, NAMES, bins=first)
        else:
            expected = library.fit(x, y, model.params, 7, NAMES)
        assert library.to_bytes(fitted) == library.to_bytes(expected)


@pytest.mark.parametrize("name", FAMILIES)
def test_the_last_model_is_that_of_one_more_window(name: str) -> None:
    library, whole, model = family(name), examples(), model_of(name)
    *_, expected = window_models(whole, [*ENDS, int(whole.positions[-1]) + 1], model, NAMES, 7)
    found = final_model(whole, ENDS, model, NAMES, 7)
    assert library.to_bytes(found) == library.to_bytes(expected)
    short = Examples(whole.x[:300], whole.y[:300], whole.positions[:300])
    assert library.to_bytes(final_model(short, ENDS[:1], model, NAMES, 7)) != library.to_bytes(found)


@pytest.mark.parametrize("before", [np.nan, 0.0])
@pytest.mark.parametrize("name", ["lightgbm", "xgboost", "catboost"])
def test_a_column_that_comes_to_life_in_a_later_window_is_learned_from_there(name: str, before: float) -> None:
    library, whole, model = family(name), examples(), model_of(name)
    start = int((whole.positions < ENDS[0]).sum()) + 5
    x = whole.x.copy()
    x[:, 3] = np.where(np.arange(len(x)) < start, np.float32(before), np.float32(3.0) * whole.y.astype(np.float32))
    late = Examples(x, whole.y, whole.positions)
    found = [*window_models(late, ENDS, model, NAMES, 7), final_model(late, ENDS, model, NAMES, 7)]
    used = [float(library.importance(each, NAMES)[3]) for each in found]
    assert used[0] == 0.0 and min(used[2:]) > 0.1
    cut = Examples(x[:start], whole.y[:start], whole.positions[:start])
    (expected,) = window_models(cut, ENDS[:1], model, NAMES, 7)
    assert library.to_bytes(found[0]) == library.to_bytes(expected)


def test_bins_are_of_the_first_window_until_a_column_comes_to_life() -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(60, 4)).astype(np.float32)
    assert binned_rows(x, [20, 30, 40, 60]) == [20] * 4
    x[:25, 1] = np.nan  # lives in the second window
    x[:38, 2] = 7.0  # in the third
    x[:, 3] = np.nan
    x[50, 3] = 1.0  # has one value to the end
    assert binned_rows(x, [20, 30, 40, 60]) == [20, 30, 40, 40]
    for bins, end in zip(binned_rows(x, [20, 30, 40, 60]), (20, 30, 40, 60), strict=True):
        assert binned_rows(x[:end], [each for each in (20, 30, 40, 60) if each <= end])[-1] == bins


def test_a_fit_on_another_device_shares_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def fit(x: Any, y: Any, params: Any, seed: int, names: list[str], device: str) -> str:
        seen.append((len(x), len(y), device))
        return "model"

    monkeypatch.setattr(family("xgboost"), "fit", fit)
    found = list(expanding_window.window_models(examples(), ENDS, model_of("xgboost", device="cuda"), NAMES, 7))
    assert found == ["model"] * 3
    assert seen == [(160, 160, "cuda"), (200, 200, "cuda"), (280, 280, "cuda")]
