"""Scikit-learn's boosting taken apart into arrays: it predicts what scikit-learn predicts, and reads no pickle."""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier

from src.models import hist_gradient_boosting as family
from src.models.hist_gradient_boosting import HistGradientBoostingParams

NAMES = [f"feature_{i}" for i in range(8)]
SETTINGS = [
    HistGradientBoostingParams(),
    HistGradientBoostingParams(rounds=1, max_depth=1),
    HistGradientBoostingParams(rounds=60, max_depth=6, max_leaf_nodes=31, min_samples_leaf=5, max_bins=255),
    HistGradientBoostingParams(min_samples_leaf=400),  # no split
]


def sample(rows: int, seed: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 8)).astype(np.float32)
    y = (x[:, 0] * x[:, 1] + rng.normal(size=rows) > 0).astype(np.float64)
    x[rng.random(x.shape) < 0.15] = np.nan
    x[:, 5] = np.nan
    x[:, 6] = np.round(x[:, 6])
    return x, y


def by_scikit_learn(params: HistGradientBoostingParams, seed: int) -> HistGradientBoostingClassifier:
    x, y = sample(700, 1)
    x[:, 5] = 0.0  # scikit-learn itself refuses a column without any value
    return HistGradientBoostingClassifier(**family._settings(params, seed)).fit(x, y)


@pytest.mark.parametrize("params", SETTINGS, ids=["default", "stump", "deep", "no split"])
def test_the_arrays_predict_what_scikit_learn_predicts_to_the_last_bit(params: HistGradientBoostingParams) -> None:
    expected = by_scikit_learn(params, 7)
    model = family.from_bytes(family.to_bytes(family.fit(*sample(700, 1), params, 7, NAMES)))
    rows, _ = sample(900, 2)
    rows[0], rows[1], rows[2] = np.inf, -np.inf, 0.0
    assert np.array_equal(family.predict(model, rows), expected.predict_proba(rows)[:, 1])


def test_a_value_on_a_threshold_goes_where_scikit_learn_sends_it() -> None:
    expected, model = by_scikit_learn(SETTINGS[0], 7), family.fit(*sample(700, 1), SETTINGS[0], 7, NAMES)
    rows = np.zeros((model["threshold"].size, 8), dtype=np.float32)
    rows[np.arange(len(rows)), model["feature"]] = model["threshold"]
    assert np.array_equal(family.predict(model, rows), expected.predict_proba(rows)[:, 1])


def test_importance_is_the_gain_of_the_splits() -> None:
    expected, model = by_scikit_learn(SETTINGS[0], 7), family.fit(*sample(700, 1), SETTINGS[0], 7, NAMES)
    gains = np.zeros(8)
    for (tree,) in expected._predictors:
        for node in tree.nodes:
            if not node["is_leaf"]:
                gains[node["feature_idx"]] += node["gain"]
    np.testing.assert_allclose(family.importance(model, NAMES), gains / gains.sum(), rtol=1e-12)
    no_split = family.fit(*sample(700, 1), SETTINGS[3], 7, NAMES)
    assert family.importance(no_split, NAMES).tolist() == [0.0] * 8


def test_it_fits_on_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    from sklearn.utils._openmp_helpers import _openmp_effective_n_threads

    threads: list[int] = []

    class Watched(HistGradientBoostingClassifier):
        def fit(self, x: Any, y: Any) -> Any:
            threads.append(_openmp_effective_n_threads())
            return super().fit(x, y)

    monkeypatch.setattr("sklearn.ensemble.HistGradientBoostingClassifier", Watched)
    family.fit(*sample(100, 1), replace(SETTINGS[0], rounds=2), 7, NAMES)
    assert threads == [1]


def test_a_device_other_than_the_cpu_is_refused() -> None:
    with pytest.raises(ValueError, match="^scikit-learn fits on the CPU alone$"):
        family.fit(*sample(100, 1), SETTINGS[0], 7, NAMES, "cuda")


def test_the_same_fit_gives_the_same_file(monkeypatch: pytest.MonkeyPatch) -> None:
    first = family.to_bytes(family.fit(*sample(300, 1), SETTINGS[0], 7, NAMES))
    monkeypatch.setattr("time.time", lambda: 2e9)
    assert family.to_bytes(family.fit(*sample(300, 1), SETTINGS[0], 7, NAMES)) == first


def test_a_pickled_array_in_the_file_is_refused() -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive, archive.open("baseline.npy", "w") as entry:
        np.save(entry, np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match="allow_pickle=False"):
        family.from_bytes(stream.getvalue())
