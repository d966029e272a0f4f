"""Every family with a pooled fit: learns from ranks, is deterministic, and scores a row alike wherever it stands."""

from __future__ import annotations

import types
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from src.core.errors import ConfigError
from src.models import registry
from src.models.pooled_columns import MISSING, ranked
from src.models.registry import FAMILIES, PARAMS, POOLED, family, pooled_family

NAMES = [f"feature_{i}" for i in range(8)]
WITH_CATEGORY = [*NAMES, "category.weekday"]
QUICK: dict[str, dict[str, Any]] = {
    "lightgbm": {"rounds": 30, "num_leaves": 8, "max_depth": 6, "min_child_samples": 50, "max_bin": 256},
    "xgboost": {"rounds": 30, "max_bin": 256},
    "catboost": {"rounds": 30, "border_count": 255},
    "ridge": {"l2": 10.0},
}


def sample(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Outcomes that follow the first column; a fifth of its values is missing."""
    random = np.random.default_rng(seed)
    x = random.integers(0, 255, size=(rows, 8), dtype=np.uint8)
    y = ((x[:, 0] / 254.0 - 0.5) * 2.0 + random.normal(size=rows)).astype(np.float32)
    x[random.random(rows) < 0.2, 0] = MISSING
    return x, y


def fitted(
    name: str, x: np.ndarray, y: np.ndarray, *, seed: int = 7, objective: str = "regression", **more: Any
) -> Any:
    names = NAMES if x.shape[1] == 8 else WITH_CATEGORY
    params = PARAMS[name](**QUICK[name])
    outcome = y if objective == "regression" else (y > 0).astype(np.float32)
    return pooled_family(name).fit_pooled(x, outcome, params, 7, names, objective=objective, **more)


@pytest.mark.parametrize("objective", ["regression", "classification"])
@pytest.mark.parametrize("name", POOLED)
def test_a_family_finds_a_planted_relation_out_of_sample(name: str, objective: str) -> None:
    model = fitted(name, *sample(4000, 1), objective=objective)
    x, y = sample(4000, 2)
    found = pooled_family(name).score(model, x)
    assert found.dtype == np.float32
    assert found.shape == (4000,)
    assert np.isfinite(found).all()
    assert roc_auc_score(y > 0, found) > 0.64


@pytest.mark.parametrize("name", POOLED)
def test_the_same_fit_gives_the_same_file_and_it_scores_alike_to_the_last_bit(name: str) -> None:
    library, (x, y) = pooled_family(name), sample(3000, 3)
    first, second = fitted(name, x, y), fitted(name, x, y)
    assert library.to_bytes(first) == library.to_bytes(second)
    read = library.from_bytes(library.to_bytes(first))
    rows, _ = sample(3000, 4)
    assert np.array_equal(library.score(read, rows), library.score(first, rows))


@pytest.mark.parametrize("name", POOLED)
def test_a_row_has_the_same_score_whatever_stands_beside_it(name: str) -> None:
    library, model = pooled_family(name), fitted(name, *sample(3000, 3))
    rows, _ = sample(9001, 5)
    every = library.score(model, rows)
    for part in (slice(0, 1), slice(1, 18), slice(8999, 9001), slice(100, 8900, 7)):
        assert np.array_equal(library.score(model, rows[part]), every[part])
    assert library.score(model, rows[:0]).shape == (0,)


@pytest.mark.parametrize("name", POOLED)
def test_importance_finds_the_column_that_matters(name: str) -> None:
    share = family(name).importance(fitted(name, *sample(3000, 6)), NAMES)
    assert share.shape == (8,)
    assert share.sum() == pytest.approx(1.0)
    assert share[0] > 0.5


@pytest.mark.parametrize("name", [name for name in POOLED if name != "catboost"])
def test_a_family_other_than_catboost_leaves_categories_out(name: str) -> None:
    library, (x, y) = pooled_family(name), sample(2000, 7)
    category = np.random.default_rng(1).integers(0, 5, size=(2000, 1), dtype=np.uint8)
    wide = np.hstack([x, category])
    model = fitted(name, wide, y + 3 * category[:, 0], categories=[8])
    other = fitted(name, x, y + 3 * category[:, 0])
    assert library.to_bytes(model) == library.to_bytes(other)
    assert np.array_equal(library.score(model, wide), library.score(other, x))
    assert library.importance(model, WITH_CATEGORY).tolist() == [*library.importance(other, NAMES), 0.0]


def test_categories_before_ranks_are_refused() -> None:
    assert ranked(NAMES, []) == 8
    with pytest.raises(ValueError, match=r"categories must be the last of 8 columns, got \[0\]: move them"):
        ranked(NAMES, [0])


def test_a_family_without_a_pooled_fit_is_refused_with_those_that_have_one() -> None:
    assert "hist_gradient_boosting" in set(FAMILIES) - set(POOLED)
    with pytest.raises(
        ConfigError, match=f"model=hist_gradient_boosting: the family has no pooled fit: choose {', '.join(POOLED)}"
    ):
        pooled_family("hist_gradient_boosting")


def test_half_a_pooled_fit_is_refused() -> None:
    module = types.ModuleType("toy")
    vars(module).update(vars(registry.family("lightgbm")))
    del module.score
    with pytest.raises(TypeError, match=r"src/models/toy.py lacks score: a pooled fit needs both fit_pooled and score"):
        registry._checked("toy", module)


def test_catboost_takes_a_category_as_such() -> None:
    library, (x, y) = pooled_family("catboost"), sample(4000, 8)
    category = np.random.default_rng(2).integers(0, 5, size=(4000, 1), dtype=np.uint8)
    wide, outcome = np.hstack([x, category]), y + 3 * np.isin(category[:, 0], [1, 3]).astype(np.float32)
    model = fitted("catboost", wide, outcome, categories=[8])
    assert library.importance(model, WITH_CATEGORY)[8] > 0.5
    assert model.get_cat_feature_indices() == [8]
    read = library.from_bytes(library.to_bytes(model))
    assert np.array_equal(library.score(read, wide), library.score(model, wide))


def test_a_category_that_is_always_the_same_changes_no_score_of_catboost() -> None:
    """So a listing that comes after a fold's last training day does not change what the fold fits."""
    library, (x, y) = pooled_family("catboost"), sample(3000, 9)
    same = np.zeros((3000, 1), dtype=np.uint8)
    alone, wide = fitted("catboost", x, y), np.hstack([x, same])
    model = fitted("catboost", wide, y, categories=[8])
    assert np.array_equal(library.score(model, wide), library.score(alone, x))
    assert library.importance(model, WITH_CATEGORY).tolist() == [*library.importance(alone, NAMES), 0.0]


@pytest.mark.parametrize(
    ("count", "borders"), [(255, [0.5, 1.5, 2.5]), (3, [63.5, 127.5, 191.5]), (65_535, [0.5, 1.5])]
)
def test_borders_of_catboost_lie_between_ranks(count: int, borders: list[float]) -> None:
    from src.models.catboost import _borders

    lines = [line.split("\t") for line in _borders(2, count).splitlines()]
    assert [float(border) for column, border in lines if column == "1"][: len(borders)] == borders
    assert len(lines) == 2 * min(count, 255)


@pytest.mark.parametrize("name", ["lightgbm", "xgboost", "catboost"])
def test_a_tree_can_split_between_any_two_ranks_however_few_rows_hold_them(name: str) -> None:
    library, (x, _) = pooled_family(name), sample(3000, 10)
    least = {"lightgbm": {"min_child_samples": 1}, "xgboost": {"min_child_weight": 0.0}}.get(name, {})
    for cut in (1, 100, 254, 255):
        y = (x[:, 0] >= cut).astype(np.float32)
        params = PARAMS[name](**(QUICK[name] | least | {"rounds": 60}))
        found = library.fit_pooled(x, y, params, 7, NAMES, objective="regression")
        grid = np.full((256, 8), 100, dtype=np.uint8)
        grid[:, 0] = np.arange(256)
        steps = np.abs(np.diff(library.score(found, grid).astype(np.float64)))
        assert steps.argmax() == cut - 1
