"""Every model family: learns, is deterministic, handles missing values, and survives its native file."""

import types

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from src.models import registry
from src.models.registry import FAMILIES, PARAMS, family

NAMES = [f"feature_{i}" for i in range(8)]


def sample(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels that follow the first column, a fifth of whose values is missing."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 8)).astype(np.float32)
    y = (x[:, 0] + rng.normal(size=rows) > 0).astype(np.float64)
    x[rng.random(rows) < 0.2, 0] = np.nan
    return x, y


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_finds_a_planted_relation_out_of_sample(name: str) -> None:
    library = family(name)
    model = library.fit(*sample(1500, 1), PARAMS[name](), 7, NAMES)
    x, y = sample(1500, 2)
    assert roc_auc_score(y, library.predict(model, x)) > 0.7


@pytest.mark.parametrize("name", FAMILIES)
def test_the_same_seed_gives_the_same_model_and_another_seed_another(name: str) -> None:
    library, (x, y) = family(name), sample(600, 3)
    first, second, other = (library.predict(library.fit(x, y, PARAMS[name](), seed, NAMES), x) for seed in (7, 7, 8))
    assert np.array_equal(first, second)
    assert np.array_equal(first, other) == (name == "ridge"), "nothing is random in ridge"


@pytest.mark.parametrize("name", FAMILIES)
def test_the_same_fit_gives_the_same_file(name: str) -> None:
    library, (x, y) = family(name), sample(600, 3)
    first, second = (library.to_bytes(library.fit(x, y, PARAMS[name](), 7, NAMES)) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("name", FAMILIES)
def test_a_model_read_back_predicts_the_same_to_the_last_bit(name: str) -> None:
    library, (x, y) = family(name), sample(600, 4)
    model = library.fit(x, y, PARAMS[name](), 7, NAMES)
    read = library.from_bytes(library.to_bytes(model))
    assert np.array_equal(library.predict(read, x), library.predict(model, x))


@pytest.mark.parametrize("name", FAMILIES)
def test_a_model_read_back_knows_the_features_by_name(name: str) -> None:
    library, (x, y) = family(name), sample(600, 4)
    read = library.from_bytes(library.to_bytes(library.fit(x, y, PARAMS[name](), 7, NAMES)))
    assert library.importance(read, NAMES).sum() == pytest.approx(1.0)
    accessors = {
        "lightgbm": lambda model: model.feature_name(),
        "xgboost": lambda model: model.feature_names,
        "catboost": lambda model: model.feature_names_,
        "hist_gradient_boosting": lambda model: model["names"].tolist(),
        "ridge": lambda model: model["names"].tolist(),
    }
    assert accessors[name](read) == NAMES


@pytest.mark.parametrize("name", FAMILIES)
def test_a_column_that_is_always_missing_does_no_harm(name: str) -> None:
    library, (x, y) = family(name), sample(600, 5)
    x[:, 3] = np.nan
    probability = library.predict(library.fit(x, y, PARAMS[name](), 7, NAMES), x)
    assert np.isfinite(probability).all()
    assert ((probability > 0) & (probability < 1)).all()


@pytest.mark.parametrize("name", FAMILIES)
def test_importance_is_a_share_and_finds_the_column_that_matters(name: str) -> None:
    library, (x, y) = family(name), sample(1500, 6)
    share = library.importance(library.fit(x, y, PARAMS[name](), 7, NAMES), NAMES)
    assert share.shape == (8,)
    assert share.sum() == pytest.approx(1.0)
    assert share.argmax() == 0
    assert share[0] > 0.5


def test_a_model_without_a_split_has_no_importance() -> None:
    library, (x, y) = family("xgboost"), sample(600, 7)
    stump = library.fit(np.zeros_like(x), y, PARAMS["xgboost"](), 7, NAMES)
    assert library.importance(stump, NAMES).tolist() == [0.0] * 8


def test_an_unknown_family_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match=f"one of {', '.join(FAMILIES)}, got randomforest"):
        family("randomforest")


def test_a_family_that_lacks_something_is_refused_with_what_it_lacks() -> None:
    module = types.ModuleType("toy")
    module.fit = lambda: None  # type: ignore[attr-defined]
    with pytest.raises(TypeError, match=r"src/models/toy.py lacks LIBRARY, FILE, PARAMS, SPACE, cost, predict, "):
        registry._checked("toy", module)


def test_a_function_that_could_not_stand_alone_in_a_logged_model_is_refused() -> None:
    module = types.ModuleType("toy")
    vars(module).update(vars(registry.family("lightgbm")))
    code = "def scaled(x): return x\ndef predict(model, x): return [scaled(row) for row in np.asarray(x)]"
    exec(code, vars(module))
    with pytest.raises(TypeError, match=r"predict of src/models/toy.py uses scaled of its module, which a logged"):
        registry._checked("toy", module)
