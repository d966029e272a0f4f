"""Ridge against scikit-learn: logistic regression of one instrument, and normal equations on ranks."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge

from src.models import normal_equations
from src.models import ridge as family
from src.models.pooled_columns import MISSING
from src.models.ridge import RidgeParams

NAMES = [f"feature_{i}" for i in range(8)]


def sample(rows: int, seed: int) -> tuple[Any, Any]:
    random = np.random.default_rng(seed)
    x = (random.normal(size=(rows, 8)) * 10.0 ** np.arange(-3, 5)).astype(np.float32)
    y = (x[:, 0] * 1000 + x[:, 4] / 30 + random.normal(size=rows) > 0.3).astype(np.float64)
    x[random.random(x.shape) < 0.15] = np.nan
    x[:, 5], x[:, 6] = np.nan, 4.0
    return x, y


def ranks(rows: int, seed: int) -> tuple[Any, Any, Any]:
    """Ranks, the numbers that they stand for, and outcomes."""
    random = np.random.default_rng(seed)
    x = random.integers(0, 255, size=(rows, 8), dtype=np.uint8)
    x[:, 1] = x[:, 0] // 2 + x[:, 1] // 2  # correlated
    x[random.random(x.shape) < 0.1] = MISSING
    x[:, 6] = MISSING
    values = np.where(x == MISSING, 0.0, x / 254.0 - 0.5)
    y = (values @ np.arange(8.0) + 0.7 + random.normal(size=rows)).astype(np.float32)
    return x, values, y


@pytest.mark.parametrize("l2", [0.1, 10.0, 1000.0])
def test_the_probabilities_are_those_of_scikit_learn_on_standardised_columns(l2: float) -> None:
    x, y = sample(700, 1)
    mean = np.nan_to_num(np.nanmean(np.where(np.isnan(x).all(axis=0), 0.0, x.astype(np.float64)), axis=0))
    filled = np.where(np.isnan(x), mean, x.astype(np.float64))
    known = np.maximum((~np.isnan(x)).sum(axis=0), 1)
    spread = np.sqrt(((filled - mean) ** 2).sum(axis=0) / known)
    spread[spread == 0.0] = 1.0
    expected = LogisticRegression(C=1.0 / l2, tol=1e-10, max_iter=10_000).fit((filled - mean) / spread, y)
    model = family.from_bytes(family.to_bytes(family.fit(x, y, RidgeParams(l2), 7, NAMES)))
    rows, _ = sample(900, 2)
    probability = expected.predict_proba((np.where(np.isnan(rows), mean, rows) - mean) / spread)[:, 1]
    np.testing.assert_allclose(family.predict(model, rows), probability, rtol=0, atol=2e-5)


def test_a_row_has_the_same_probability_whatever_stands_beside_it() -> None:
    model = family.fit(*sample(700, 1), RidgeParams(), 7, NAMES)
    rows, _ = sample(300, 2)
    every = family.predict(model, rows)
    assert np.array_equal(every[17:19], family.predict(model, rows[17:19]))


@pytest.mark.parametrize("rows", [300, 5000])
@pytest.mark.parametrize("l2", [0.5, 1000.0])
def test_least_squares_are_those_of_scikit_learn(l2: float, rows: int) -> None:
    x, values, y = ranks(rows, 3)
    expected = Ridge(alpha=l2).fit(values, y)
    model = family.fit_pooled(x, y, RidgeParams(l2), 7, NAMES, objective="regression")
    np.testing.assert_allclose(model["coefficient"], expected.coef_, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(family.score(model, x), expected.predict(values), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("l2", [0.5, 100.0])
def test_the_log_odds_are_those_of_scikit_learn(l2: float) -> None:
    x, values, y = ranks(3000, 4)
    up = (y > 1.0).astype(np.float32)
    expected = LogisticRegression(C=1.0 / l2, tol=1e-10, max_iter=10_000).fit(values, up)
    model = family.fit_pooled(x, up, RidgeParams(l2), 7, NAMES, objective="classification")
    np.testing.assert_allclose(model["coefficient"], expected.coef_[0], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(family.score(model, x), expected.decision_function(values), rtol=1e-4, atol=1e-4)


def test_products_of_ranks_are_exact_so_that_no_order_of_sums_counts() -> None:
    x, _, y = ranks(5000, 5)
    x[:, 2] = np.where(x[:, 2] > 127, 254, 0)  # the largest products
    centred = np.where(x == MISSING, 0, x.astype(np.int64) - 127)
    products = sum((block.T @ block).astype(np.float64) for block, _ in normal_equations._blocks(x, y))
    assert np.array_equal(products, centred.T @ centred)


def test_a_regression_that_does_not_settle_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(normal_equations, "_STEPS", 1)
    x, _, y = ranks(300, 4)
    with pytest.raises(ArithmeticError, match=r"did not settle in 1 steps: raise model.pooled.l2=0.5"):
        normal_equations.logistic(x, (y > 0).astype(np.float32), 0.5)


def test_a_device_other_than_the_cpu_is_refused() -> None:
    with pytest.raises(ValueError, match="^scikit-learn fits on the CPU alone$"):
        family.fit(*sample(100, 1), RidgeParams(), 7, NAMES, "cuda")
    x, _, y = ranks(100, 1)
    with pytest.raises(ValueError, match="^ridge fits on the CPU alone$"):
        family.fit_pooled(x, y, RidgeParams(), 7, NAMES, objective="regression", device="cuda")


def test_a_pickled_array_in_the_file_is_refused() -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive, archive.open("mean.npy", "w") as entry:
        np.save(entry, np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="allow_pickle=False"):
        family.from_bytes(stream.getvalue())
