"""The loader that travels with a model: alike for all families, and alone."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from src.core.project import ROOT
from src.models.registry import FAMILIES, family, standalone_module
from src.tracking import loader
from tests import process_case
from tests.tracking.tracking_case import FEATURES, native, training_rows


def folder(tmp_path: Path, name: str) -> Path:
    """What a logged model's `model` folder holds, with the functions of the family beside it."""
    content, file = native(name), family(name).FILE
    (tmp_path / file).write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    about = {"family": name, "file": file, "sha256": sha256, "features": FEATURES, "functions": f"functions_of_{name}"}
    (tmp_path / "model.json").write_text(json.dumps(about), encoding="utf-8")
    (tmp_path / f"functions_of_{name}.py").write_text(standalone_module(name), encoding="utf-8")
    return tmp_path


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder on the path of modules, as MLflow puts a logged model's code there."""
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


def by_library(path: Path, name: str, rows: np.ndarray) -> np.ndarray:
    """P(up) by the library's own scikit-learn face, as an oracle."""
    if name == "lightgbm":
        import lightgbm

        return np.asarray(lightgbm.Booster(model_file=str(path)).predict(rows))
    if name == "xgboost":
        import xgboost

        model = xgboost.XGBClassifier()
        model.load_model(path)
        return np.asarray(model.predict_proba(rows)[:, 1])
    if name == "catboost":
        import catboost

        model = catboost.CatBoostClassifier()
        model.load_model(str(path))
        return np.asarray(model.predict_proba(rows)[:, 1])
    if name == "ridge":
        return by_scikit_learn(rows)
    from sklearn.ensemble import HistGradientBoostingClassifier

    from src.models.hist_gradient_boosting import PARAMS, _settings

    model = HistGradientBoostingClassifier(**_settings(PARAMS(rounds=5, learning_rate=1.0), 7)).fit(*training_rows())
    return np.asarray(model.predict_proba(rows)[:, 1])


def by_scikit_learn(rows: np.ndarray) -> np.ndarray:
    """P(up) of a penalised logistic regression of standardised columns, missing values at their means."""
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    x, y = (each.astype(np.float64) for each in training_rows())
    scale = np.nanstd(x, axis=0)
    model = make_pipeline(SimpleImputer(), LogisticRegression(C=1e-3, solver="newton-cholesky", tol=1e-10))
    return np.asarray(model.fit(x / scale, y).predict_proba(rows.astype(np.float64) / scale)[:, 1])


@pytest.mark.parametrize("name", FAMILIES)
def test_it_returns_the_librarys_probability_of_up(path: Path, name: str) -> None:
    rows, _ = training_rows()
    probability = loader._load_pyfunc(str(folder(path, name))).predict(rows)
    assert probability.shape == (400,)
    np.testing.assert_allclose(probability, by_library(path / family(name).FILE, name, rows), atol=1e-6)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_frame_may_have_its_columns_in_any_order(path: Path, name: str) -> None:
    import pandas as pd

    rows, _ = training_rows()
    model = loader._load_pyfunc(str(folder(path, name)))
    frame = pd.DataFrame(rows.astype(float), columns=FEATURES)
    shuffled = frame[FEATURES[::-1]].assign(other="text")
    np.testing.assert_array_equal(model.predict(shuffled), model.predict(rows))


def test_a_missing_column_is_named(path: Path) -> None:
    import pandas as pd

    model = loader._load_pyfunc(str(folder(path, "lightgbm")))
    with pytest.raises(ValueError, match="the first is 'volatility_63'"):
        model.predict(pd.DataFrame({"momentum_21": [0.1]}))
    with pytest.raises(ValueError, match=r"takes 3 columns, got an array of shape \(1, 2\)"):
        model.predict(np.zeros((1, 2)))


def test_a_changed_model_file_is_refused(path: Path) -> None:
    with (folder(path, "lightgbm") / "model.txt").open("ab") as stream:
        stream.write(b"\n")
    with pytest.raises(ValueError, match="was changed since it was graded"):
        loader._load_pyfunc(str(path))


ALONE = """
import importlib.util, json
import numpy
import loader
probability = loader._load_pyfunc(".").predict(numpy.load("rows.npy"))
print(json.dumps([probability.tolist(), importlib.util.find_spec("src") is None]))
"""


@pytest.mark.parametrize("name", FAMILIES)
def test_a_process_without_this_project_predicts_the_same_to_the_last_bit(tmp_path: Path, name: str) -> None:
    rows, _ = training_rows()
    where = folder(tmp_path, name)
    shutil.copy(loader.__file__, where / "loader.py")
    np.save(where / "rows.npy", rows)
    code = f"import sys; sys.path = [each for each in sys.path if each != {str(ROOT)!r}]; sys.path.insert(0, '.')"
    code += f"; sys.meta_path = [each for each in sys.meta_path if 'editable' not in str(each)]{ALONE}"
    done = process_case.run([sys.executable, "-c", code], cwd=where, capture_output=True, text=True, check=True)
    probability, alone = json.loads(done.stdout)
    assert alone
    expected = family(name).predict(family(name).from_bytes(native(name)), rows)
    assert probability == expected.tolist()
