"""Load a registered model anywhere: MLflow's pyfunc loader for all families, returning P(up).

A copy of this file travels inside every logged model, so it stands alone: no import of this project, no pickle. The
folder it reads holds the library's own model file and ``model.json`` with the family, the names of the features in
their order, and the SHA-256 of the model file.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np


class Probability:
    """P(up) of each row, from a native model of one of the three families.

    Parameters
    ----------
    family : str
        ``lightgbm``, ``xgboost`` or ``catboost``.
    features : list of str
        Names of the columns, in the order the model was trained on.
    model : object
        The library's own model.
    """

    def __init__(self, family: str, features: list[str], model: Any) -> None:
        self.family = family
        self.features = features
        self._model = model

    def predict(self, model_input: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
        """P(up), float64 in [0, 1], one for each row.

        Parameters
        ----------
        model_input : pandas.DataFrame or array of shape (rows, features)
            A frame may have its columns in any order, and further ones; missing values are NaN or None.

        Raises
        ------
        ValueError
            If a column is missing or an array has another number of columns.
        """
        rows = np.asarray(self._columns(model_input), dtype=np.float32)
        if rows.ndim != 2 or rows.shape[1] != len(self.features):
            raise ValueError(f"the model takes {len(self.features)} columns, got an array of shape {rows.shape}")
        return np.asarray(self._predict(np.ascontiguousarray(rows)), dtype=np.float64).reshape(-1)

    def _columns(self, model_input: Any) -> Any:
        if not hasattr(model_input, "columns"):
            return model_input
        missing = [name for name in self.features if name not in model_input.columns]
        if missing:
            raise ValueError(f"{len(missing)} of the model's columns are missing, the first is {missing[0]!r}")
        return model_input[self.features].to_numpy(dtype=np.float32, na_value=np.nan)

    def _predict(self, rows: Any) -> Any:
        if self.family == "lightgbm":
            return self._model.predict(rows, num_threads=1)
        if self.family == "xgboost":
            return self._model.inplace_predict(rows, validate_features=False)
        return self._model.predict(rows, prediction_type="Probability", thread_count=1)[:, 1]


def _load_pyfunc(path: str) -> Probability:
    """Read ``model.json`` and the model file beside it: the entry that MLflow calls.

    Raises
    ------
    ValueError
        If the model file is not the one that was graded, or of an unknown family.
    """
    folder = Path(path)
    about = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    content = (folder / about["file"]).read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != about["sha256"]:
        raise ValueError(f"{about['file']} was changed since it was graded: sha256 {found}, expected {about['sha256']}")
    return Probability(about["family"], list(about["features"]), _native(about["family"], content))


def _native(family: str, content: bytes) -> Any:
    if family == "lightgbm":
        import lightgbm

        return lightgbm.Booster(model_str=content.decode("utf-8"))
    if family == "xgboost":
        import xgboost

        booster = xgboost.Booster({"nthread": 1})
        booster.load_model(bytearray(content))
        return booster
    if family == "catboost":
        import catboost

        model = catboost.CatBoost()
        model.load_model(blob=content)
        return model
    raise ValueError(f"no loader for the model family {family!r}")
