"""Fits on expanding windows that share their bins: what a model may depend on, and what it must not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import psutil
import pytest
import xgboost as xgb
from sklearn.metrics import roc_auc_score

from src.models import xgboost as extreme
from src.models.quantiles import quantiles
from src.models.registry import FAMILIES, PARAMS, family, windowed_family

NAMES = [f"feature_{i}" for i in range(8)]
WINDOWED = [name for name in FAMILIES if windowed_family(name)]
FIRST, ENDS = 300, (300, 410, 410, 560)
Change = Callable[[np.ndarray], None]


def sample(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels that follow the first column and hardly the second."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 8)).astype(np.float32)
    y = (x[:, 0] + 0.3 * x[:, 1] + rng.normal(size=rows) > 0).astype(np.float64)
    x[rng.random(rows) < 0.1, 1] = np.nan
    return x, y


def unchanged(x: np.ndarray) -> None:
    """Leave the rows as they are."""


def missing_later(x: np.ndarray) -> None:
    x[350::3, 0] = np.nan


def missing_at_first(x: np.ndarray) -> None:
    x[:FIRST, 0] = np.nan


def constant_at_first(x: np.ndarray) -> None:
    x[:FIRST, 0] = 1.5


def of_few_values(x: np.ndarray) -> None:
    x[:, 0] = np.sign(x[:, 0])


CHANGES = (unchanged, missing_later, missing_at_first, constant_at_first, of_few_values)


def fits(name: str, x: Any, y: Any, ends: Any, bins: int = FIRST, **settings: Any) -> list[Any]:
    library = windowed_family(name)
    assert library is not None
    return list(library.fit_windows(x, y, ends, PARAMS[name](**settings), 7, NAMES, bins=bins))


def test_the_boosted_libraries_share_their_bins() -> None:
    assert WINDOWED == ["catboost", "lightgbm", "xgboost"]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", WINDOWED)
def test_a_model_depends_on_the_first_rows_and_its_window_alone(name: str, change: Change) -> None:
    library, (x, y) = family(name), sample(700, 1)
    change(x)
    found = [library.to_bytes(model) for model in fits(name, x, y, ENDS)]
    assert found[1] == found[2] != found[0]
    for end, content in zip(ENDS, found, strict=True):
        own, label = x[:end].copy(), y[:end]
        assert library.to_bytes(fits(name, own, label, [end])[0]) == content
    x[ENDS[1] :], y[ENDS[1] :] = np.nan, 1.0 - y[ENDS[1] :]
    assert [library.to_bytes(model) for model in fits(name, x, y, ENDS[:2])] == found[:2]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", WINDOWED)
def test_rows_are_predicted_as_they_were_binned(name: str, change: Change) -> None:
    x, y = sample(700, 2)
    change(x)
    model = fits(name, x, y, [700])[0]
    assert np.allclose(family(name).predict(model, x), binned_prediction(name, model, x, y), rtol=0, atol=1e-6)


def binned_prediction(name: str, model: Any, x: np.ndarray, y: np.ndarray) -> Any:
    """Probabilities as the library computes them while it fits."""
    if name == "lightgbm":
        return model._Booster__inner_predict(data_idx=0)
    if name == "xgboost":
        values = xgb.QuantileDMatrix(quantiles(x[:FIRST], 32), np.zeros(32), max_bin=32)
        model.feature_names = None
        return model.predict(xgb.QuantileDMatrix(x, max_bin=32, ref=values))
    import catboost as cb

    from src.models import catboost as family_module

    data = cb.Pool(x, y, feature_names=NAMES)
    with family_module._borders_file(family_module._borders_between(quantiles(x[:FIRST], 31))) as path:
        data.quantize(input_borders=str(path))
    return model.predict(data, prediction_type="Probability")[:, 1]


@pytest.mark.parametrize("name", WINDOWED)
def test_windows_leave_no_memory_behind(name: str) -> None:
    library, (x, y) = family(name), sample(2300, 6)
    x = np.tile(x, 130 // x.shape[1] + 1)[:, :130].copy()
    names = [f"column_{number}" for number in range(130)]

    def windows() -> int:
        for model in library.fit_windows(x, y, [500, 1100, 1700, 2300], PARAMS[name](rounds=2), 7, names, bins=500):
            library.predict(model, x[:10])
        return psutil.Process().memory_info().rss

    before = [windows() for _ in range(3)][-1]  # what a library keeps for itself
    grown = [windows() for _ in range(20)][-1] - before
    assert grown < 20 * x.nbytes / 10, f"{grown / 2**20:.1f} MiB for 20 instruments of {x.nbytes / 2**20:.1f} MiB"


@pytest.mark.parametrize("name", WINDOWED)
def test_the_relation_is_found_as_by_fits_of_their_own(name: str) -> None:
    library, (x, y), (later, truth) = family(name), sample(1500, 3), sample(3000, 4)
    shared = fits(name, x, y, [1500], bins=500)[0]
    alone = library.fit(x, y, PARAMS[name](), 7, NAMES)
    found, expected = (roc_auc_score(truth, library.predict(model, later)) for model in (shared, alone))
    assert expected > 0.7
    assert found == pytest.approx(expected, abs=0.01)
    read = library.from_bytes(library.to_bytes(shared))
    assert np.array_equal(library.predict(read, later), library.predict(shared, later))
    assert library.importance(shared, NAMES).argmax() == 0


@pytest.mark.parametrize("name", WINDOWED)
def test_a_column_without_values_in_the_first_rows_is_not_used(name: str) -> None:
    x, y = sample(900, 5)
    x[:FIRST, 0] = np.nan
    assert family(name).importance(fits(name, x, y, [900])[0], NAMES)[0] == 0.0
    x[FIRST // 2 :, 0] = sample(900, 5)[0][FIRST // 2 :, 0]
    assert family(name).importance(fits(name, x, y, [900])[0], NAMES).argmax() == 0


@pytest.mark.parametrize("name", WINDOWED)
def test_values_that_go_missing_later_are_distinguished_from_the_others(name: str) -> None:
    x, y = sample(900, 6)
    x[:, 0] = np.exp(np.random.default_rng(1).normal(size=900))  # no zero, as which LightGBM may read NaN
    x[FIRST:, 0][y[FIRST:] == 1.0] = np.nan
    model = fits(name, x, y, [900])[0]
    assert roc_auc_score(y[FIRST:], family(name).predict(model, x[FIRST:])) > 0.95
    lowest, missing = x.copy(), x.copy()
    lowest[:, 0], missing[:, 0] = 1e-3, np.nan
    assert (family(name).predict(model, missing) > family(name).predict(model, lowest) + 0.1).all()


@pytest.mark.parametrize("name", WINDOWED)
def test_few_rows_and_the_coarsest_bins_are_fitted(name: str) -> None:
    x, y = sample(12, 7)
    assert np.isfinite(family(name).predict(fits(name, x, y, [12], bins=12)[0], x)).all()
    bins = "border_count" if name == "catboost" else "max_bin"
    x, y = sample(900, 8)
    probability = family(name).predict(fits(name, x, y, [900], **{bins: 2})[0], x)
    assert roc_auc_score(y, probability) > 0.6


@pytest.mark.parametrize("settings", [{}, {"subsample": 1.0, "min_child_weight": 0.0}, {"subsample": 0.5, "rounds": 5}])
def test_rows_without_weight_leave_the_booster_of_a_matrix_without_them(settings: dict[str, Any]) -> None:
    (x, y), params = sample(700, 9), PARAMS["xgboost"](**settings)
    values = xgb.QuantileDMatrix(quantiles(x[:FIRST], 32), np.zeros(32), max_bin=32)
    for end, model in zip(ENDS, fits("xgboost", x, y, ENDS, **settings), strict=True):
        own = xgb.QuantileDMatrix(x[:end], y[:end], max_bin=32, ref=values)
        expected = xgb.train(extreme._settings(params, 7), own, num_boost_round=params.rounds)
        expected.feature_names = NAMES
        assert model.save_raw("ubj") == expected.save_raw("ubj")
