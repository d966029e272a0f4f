"""Load a registered pooled model anywhere: MLflow's pyfunc loader for models over the cross-section of an asset class.

A copy of this file travels inside every logged pooled model, so it stands alone: no import of this project, no pickle.
The folder it reads holds ``pooled.zip`` with the members' own native files, and ``model.json``: the columns in their
order, which of them are categories, the seed of the order of ties, the SHA-256 of the zip, and the names of the modules
that travel too: one ranks a day's names, and each member's reads and asks its native file.
"""

from __future__ import annotations

import hashlib
import importlib
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np


class Scores:
    """A score of each name, from its features' ranks among the names of the same day.

    Parameters
    ----------
    about : dict
        What ``model.json`` says: ``features``, the positions of those that are ``categories``, and ``seed``.
    members : list of (model, module)
        Native models, and the modules whose ``score(model, ranks)`` asks them.
    ranks : module
        Its ``day_ranks`` ranks one day, as training did.
    """

    def __init__(self, about: dict[str, Any], members: list[tuple[Any, Any]], ranks: Any) -> None:
        self.features: list[str] = list(about["features"])
        self._categories: list[int] = list(about["categories"])
        self._seed = int(about["seed"])
        self._members = members
        self._ranks = ranks

    def predict(self, model_input: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Return a score for each row, the higher the better: that of the one member, or the mean of several ranks.

        Parameters
        ----------
        model_input : pandas.DataFrame
            The features of all eligible names of a day, a row a name, indexed by symbol; or of several days, indexed by
            date and symbol. Symbol and date decide the order of ties as in training; without dates any one day is as
            good as another. Missing values are NaN. Categories are numbers, 0 where not known.

        Returns
        -------
        float64, shape (rows,)
            NaN nowhere. Of several members: the mean of (rank - 1/2) / names of the day.

        Raises
        ------
        ValueError
            If it is no frame, or lacks a column.
        """
        if not hasattr(model_input, "columns"):
            raise ValueError("a pooled model takes a frame, indexed by symbol: it ranks the names of a day")
        missing = [name for name in self.features if name not in model_input.columns]
        if missing:
            raise ValueError(f"{len(missing)} of the model's columns are missing, the first is {missing[0]!r}")
        values = model_input[self.features].to_numpy(dtype=np.float32, na_value=np.nan)
        dates, symbols = _index(model_input.index)
        scores = np.zeros(len(values))
        for date in np.unique(dates):
            rows = np.flatnonzero(dates == date)
            scores[rows] = self._scores(values[rows], symbols[rows], date)
        return scores

    def _scores(self, values: Any, symbols: Any, date: Any) -> Any:
        x = np.empty(values.shape, dtype=np.uint8)
        ranked = [place for place in range(values.shape[1]) if place not in self._categories]
        if ranked:
            names = self._ranks.codes([self.features[place] for place in ranked])
            by_feature = np.ascontiguousarray(values[:, ranked].T)
            ranks = self._ranks.day_ranks(by_feature, self._ranks.codes(symbols), date, names, self._seed)
            x[:, ranked] = ranks.T
        x[:, self._categories] = np.nan_to_num(values[:, self._categories], nan=0.0).astype(np.uint8)
        found = [np.asarray(functions.score(model, x), dtype=np.float32) for model, functions in self._members]
        if len(found) == 1:
            return found[0].astype(np.float64)
        mean = np.mean([(_mean_ranks(each) - 0.5) / len(each) for each in found], axis=0)
        return mean.astype(np.float32).astype(np.float64)  # as training keeps scores


def _index(index: Any) -> tuple[Any, Any]:
    """Date and symbol of each row; rows without dates are of one day, rows without names are named by their place."""
    if getattr(index, "nlevels", 1) == 2:
        dates = np.asarray(index.get_level_values(0), dtype="datetime64[D]")
        return dates, np.array([str(each) for each in index.get_level_values(1)], dtype=object)
    return np.zeros(len(index), dtype="datetime64[D]"), np.array([str(each) for each in index], dtype=object)


def _mean_ranks(values: Any) -> Any:
    """Ranks from 1 on, ties by their mean rank."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2.0)[places.reshape(-1)]


def _load_pyfunc(path: str) -> Scores:
    """Read ``model.json`` and the zip beside it: the entry that MLflow calls.

    Raises
    ------
    ValueError
        If the zip is not the one that was graded.
    """
    folder = Path(path)
    about = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    content = (folder / about["file"]).read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    if sha256 != about["sha256"]:
        expected = about["sha256"]
        raise ValueError(f"{about['file']} was changed since it was graded: sha256 {sha256}, expected {expected}")
    members = []
    with zipfile.ZipFile(io.BytesIO(content)) as packed:
        for member in about["members"]:
            functions = importlib.import_module(member["functions"])
            members.append((functions.from_bytes(packed.read(member["file"])), functions))
    return Scores(about, members, importlib.import_module(about["ranks"]))
