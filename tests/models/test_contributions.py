"""What each feature adds to a score: with the score of a model that sees no feature they add up to the raw score."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.special import logit

from src.models.pooled_columns import MISSING
from src.models.registry import FAMILIES, PARAMS, POOLED, explained_family, family, pooled_family
from tests.models.test_families import NAMES, sample
from tests.models.test_pooled_fits import WITH_CATEGORY
from tests.models.test_pooled_fits import fitted as fitted_to_ranks
from tests.models.test_pooled_fits import sample as ranks


def contributions(name: str, model: Any, x: np.ndarray) -> np.ndarray:
    explained = explained_family(name)
    assert explained is not None
    return explained.contributions(model, x)


def fitted(name: str) -> Any:
    return family(name).fit(*sample(1500, 1), PARAMS[name](), 7, NAMES)


@pytest.mark.parametrize("name", FAMILIES)
def test_contributions_and_one_number_add_up_to_the_log_odds(name: str) -> None:
    model, (x, _) = fitted(name), sample(300, 2)
    found = contributions(name, model, x)
    assert (found.dtype, found.shape) == (np.float64, x.shape)
    left = logit(family(name).predict(model, x)) - found.sum(axis=1)
    assert np.ptp(left) < 2e-6
    assert np.ptp(found[:, 0]) > 0.5, "the first column decides"


@pytest.mark.parametrize("objective", ["regression", "classification"])
@pytest.mark.parametrize("name", POOLED)
def test_contributions_to_a_pooled_score_add_up_to_it(name: str, objective: str) -> None:
    model, (x, _) = fitted_to_ranks(name, *ranks(3000, 1), objective=objective), ranks(300, 2)
    score = pooled_family(name).score(model, x).astype(np.float64)
    if name == "lightgbm" and objective == "classification":
        score = logit(score)
    left = score - contributions(name, model, x).sum(axis=1)
    assert np.ptp(left) < 5e-6


@pytest.mark.parametrize("name", POOLED)
def test_columns_that_a_pooled_fit_leaves_out_add_nothing_and_categories_may_add(name: str) -> None:
    x, y = ranks(3000, 1)
    days = (np.arange(len(x)) % 5).astype(np.uint8)[:, np.newaxis]
    x = np.hstack([x, days])
    model = fitted_to_ranks(name, x, y + (days[:, 0] == 2), categories=[8])
    found = contributions(name, model, x[:50])
    assert found.shape == (50, len(WITH_CATEGORY))
    assert bool(found[:, 8].any()) is (name == "catboost")
    assert np.ptp(pooled_family(name).score(model, x[:50]) - found.sum(axis=1)) < 5e-6


@pytest.mark.parametrize("name", FAMILIES)
def test_a_row_has_the_same_contributions_whatever_stands_beside_it(name: str) -> None:
    model, (x, _) = fitted(name), sample(40, 3)
    every = contributions(name, model, x)
    assert np.array_equal(contributions(name, model, x[7:8]), every[7:8])
    assert contributions(name, model, x[:0]).shape == (0, 8)


def test_ridge_multiplies_coefficients_by_standardised_values() -> None:
    model, (x, _) = fitted("ridge"), sample(20, 4)
    found = contributions("ridge", model, x)
    for row in range(20):
        for column in range(8):
            value = (float(x[row, column]) - model["mean"][column]) / model["scale"][column]
            expected = 0.0 if np.isnan(value) else model["coefficient"][column] * value
            assert found[row, column] == pytest.approx(expected, abs=1e-15)


def test_ridge_of_ranks_counts_a_missing_one_as_the_middle() -> None:
    model = fitted_to_ranks("ridge", *ranks(3000, 5))
    x = np.full((3, 8), 127, dtype=np.uint8)
    x[1, 0], x[2, 0] = MISSING, 254
    found = contributions("ridge", model, x)
    assert not found[:2].any()
    assert found[2].tolist() == [model["coefficient"][0] / 2, *[0.0] * 7]


def test_splits_of_scikit_learn_add_the_change_of_the_mean_of_the_leaves_below() -> None:
    model, (x, _) = fitted("hist_gradient_boosting"), sample(30, 6)
    found = contributions("hist_gradient_boosting", model, x)

    def leaves(node: int) -> list[float]:
        left, right = int(model["left"][node]), int(model["right"][node])
        return [float(model["value"][node])] if left == node else leaves(left) + leaves(right)

    for row in range(30):
        expected = np.zeros(8)
        for root in model["roots"]:
            node = int(root)
            while int(model["left"][node]) != node:
                feature = int(model["feature"][node])
                value = float(x[row, feature])
                left = bool(model["missing_left"][node]) if np.isnan(value) else value <= model["threshold"][node]
                child = int(model["left" if left else "right"][node])
                expected[feature] += np.mean(leaves(child)) - np.mean(leaves(node))
                node = child
        assert found[row] == pytest.approx(expected, abs=1e-12)


def test_a_family_may_leave_explanations_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(family("ridge"), "contributions")
    assert explained_family("ridge") is None
