"""The loader that travels with a model: alike for all families, and alone."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from src.models import loader
from tests.tracking.tracking_case import FEATURES, NATIVE, native, training_rows

FAMILIES = tuple(NATIVE)


def folder(tmp_path: Path, family: str) -> Path:
    content = native(family)
    (tmp_path / NATIVE[family]).write_bytes(content)
    sha256 = hashlib.sha256(content).hexdigest()
    about = {"family": family, "file": NATIVE[family], "sha256": sha256, "features": FEATURES}
    (tmp_path / "model.json").write_text(json.dumps(about), encoding="utf-8")
    return tmp_path


def by_library(path: Path, family: str, rows: np.ndarray) -> np.ndarray:
    """P(up) by the library's own scikit-learn face, as an oracle."""
    if family == "lightgbm":
        import lightgbm

        return np.asarray(lightgbm.Booster(model_file=str(path)).predict(rows))
    if family == "xgboost":
        import xgboost

        model = xgboost.XGBClassifier()
        model.load_model(path)
        return np.asarray(model.predict_proba(rows)[:, 1])
    import catboost

    model = catboost.CatBoostClassifier()
    model.load_model(str(path))
    return np.asarray(model.predict_proba(rows)[:, 1])


@pytest.mark.parametrize("family", FAMILIES)
def test_it_returns_the_librarys_probability_of_up(tmp_path: Path, family: str) -> None:
    rows, _ = training_rows()
    found = loader._load_pyfunc(str(folder(tmp_path, family))).predict(rows)
    assert found.shape == (400,)
    np.testing.assert_allclose(found, by_library(tmp_path / NATIVE[family], family, rows), atol=1e-6)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_frame_may_have_its_columns_in_any_order(tmp_path: Path, family: str) -> None:
    import pandas as pd

    rows, _ = training_rows()
    model = loader._load_pyfunc(str(folder(tmp_path, family)))
    frame = pd.DataFrame(rows.astype(float), columns=FEATURES)
    shuffled = frame[FEATURES[::-1]].assign(other="text")
    np.testing.assert_array_equal(model.predict(shuffled), model.predict(rows))


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    import pandas as pd

    model = loader._load_pyfunc(str(folder(tmp_path, "lightgbm")))
    with pytest.raises(ValueError, match="the first is 'volatility_63'"):
        model.predict(pd.DataFrame({"momentum_21": [0.1]}))
    with pytest.raises(ValueError, match=r"takes 3 columns, got an array of shape \(1, 2\)"):
        model.predict(np.zeros((1, 2)))


def test_a_changed_model_file_is_refused(tmp_path: Path) -> None:
    with (folder(tmp_path, "lightgbm") / "model.txt").open("ab") as stream:
        stream.write(b"\n")
    with pytest.raises(ValueError, match="was changed since it was graded"):
        loader._load_pyfunc(str(tmp_path))


def test_it_stands_alone(tmp_path: Path) -> None:
    where = folder(tmp_path, "xgboost")
    (where / "alone.py").write_bytes(Path(loader.__file__).read_bytes())
    code = "import alone, sys, numpy; print(alone._load_pyfunc('.').predict(numpy.zeros((2, 3))), 'src' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=where, capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("False")
