"""Load a registered model anywhere: MLflow's pyfunc loader for all families, returning P(up).

A copy of this file travels inside every logged model, so it stands alone: no import of this project, no pickle. The
folder it reads holds the library's own model file and ``model.json`` with the names of the features in their order, the
SHA-256 of the model file, and the name of a second module that travels too: the family's `from_bytes` and `predict`.
"""

from __future__ import annotations

import hashlib
import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np


class Probability:
    """P(up) of each row, from a native model.

    Parameters
    ----------
    features : list of str
        Names of the columns, in the order the model was trained on.
    model : object
        The model, as `functions` read it.
    functions : module
        The family's functions for its models: ``predict(model, rows)`` returns P(up) of float32 rows.
    """

    def __init__(self, features: list[str], model: Any, functions: Any) -> None:
        self.features = features
        self._model = model
        self._functions = functions

    def predict(self, model_input: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Return P(up), float64 in [0, 1], one for each row.

        Parameters
        ----------
        model_input : pandas.DataFrame or array of shape (rows, features)
            A frame may have its columns in any order, and further ones; missing values are NaN or None.

        Returns
        -------
        float64, shape (rows,)

        Raises
        ------
        ValueError
            If a column is missing or an array has another number of columns.
        """
        rows = np.asarray(self._columns(model_input), dtype=np.float32)
        if rows.ndim != 2 or rows.shape[1] != len(self.features):
            raise ValueError(f"the model takes {len(self.features)} columns, got an array of shape {rows.shape}")
        probability = self._functions.predict(self._model, np.ascontiguousarray(rows))
        return np.asarray(probability, dtype=np.float64).reshape(-1)

    def _columns(self, model_input: Any) -> Any:
        if not hasattr(model_input, "columns"):
            return model_input
        missing = [name for name in self.features if name not in model_input.columns]
        if missing:
            raise ValueError(f"{len(missing)} of the model's columns are missing, the first is {missing[0]!r}")
        return model_input[self.features].to_numpy(dtype=np.float32, na_value=np.nan)


def _load_pyfunc(path: str) -> Probability:
    """Read ``model.json`` and the model file beside it: the entry that MLflow calls.

    Raises
    ------
    ValueError
        If the model file is not the one that was graded.
    """
    folder = Path(path)
    about = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    content = (folder / about["file"]).read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    if sha256 != about["sha256"]:
        expected = about["sha256"]
        raise ValueError(f"{about['file']} was changed since it was graded: sha256 {sha256}, expected {expected}")
    functions = importlib.import_module(about["functions"])
    return Probability(list(about["features"]), functions.from_bytes(content), functions)
