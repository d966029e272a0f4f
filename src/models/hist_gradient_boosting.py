"""Scikit-learn's gradient boosting on histograms, after LightGBM's. Missing values go their own way in a split.

A fitted model is taken apart into arrays of its nodes: they can be stored without pickle, and the same function
predicts from a model that was just fitted and from one that was read back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from src.core.field_rules import ranged
from src.models import arrays_file
from src.models.library import LazyModule, Library, shares
from src.models.search_space import Bounds, TreeCost

if TYPE_CHECKING:
    import numpy as np

    from src.core.arrays import Matrix, Vector
else:
    np = LazyModule("numpy")

LIBRARY = Library("scikit-learn", "sklearn.ensemble")
FILE = "model.npz"


@dataclass
class HistGradientBoostingParams:
    """Settings of HistGradientBoostingClassifier, named as scikit-learn names them except for `rounds` and `l2`."""

    rounds: int = ranged(30, low=1, high=100_000, unit="trees")
    learning_rate: float = ranged(0.1, low=0, high=1, above=True)
    max_leaf_nodes: int = ranged(4, low=2, high=131_072, unit="leaves")
    max_depth: int = ranged(2, low=1, high=64, unit="levels")
    min_samples_leaf: int = ranged(40, low=1, high=1_000_000, unit="bars")
    max_features: float = ranged(0.7, low=0, high=1, above=True)  # share of the features that a split may choose from
    max_bins: int = ranged(31, low=2, high=255, unit="bins")
    l2: float = ranged(1.0, low=0, high=1e6)


PARAMS = HistGradientBoostingParams
SPACE = {
    "rounds": Bounds(10, 150, log=True),
    "learning_rate": Bounds(0.01, 0.2, log=True),
    "max_leaf_nodes": Bounds(3, 31, log=True),
    "max_depth": Bounds(1, 6),
    "min_samples_leaf": Bounds(10, 150, log=True),
    "max_features": Bounds(0.2, 1.0),
    "max_bins": Bounds(15, 63, log=True),
    "l2": Bounds(0.1, 100.0, log=True),
}
_COST = TreeCost(40.9, 0.140, 0.260, 0.0, 0.0, 0.00068)


def cost(params: Mapping[str, Any]) -> float:
    """Estimate the milliseconds of one fit; see `src.models.library.Family`."""
    leaves = min(2.0 ** params["max_depth"], params["max_leaf_nodes"])
    return _COST.milliseconds(params["rounds"], leaves, params["max_features"], params["max_bins"])


def fit(
    x: Matrix, y: Vector, params: HistGradientBoostingParams, seed: int, names: list[str], device: str = "cpu"
) -> dict[str, Any]:
    """Fit one model on one thread; see `src.models.library.Family`.

    Returns
    -------
    dict of arrays
        Names, baseline, roots and depth of the trees, and the attributes of their nodes end to end.

    Raises
    ------
    ValueError
        If the device is not the CPU.
    """
    if device != "cpu":
        raise ValueError("scikit-learn fits on the CPU alone")
    from sklearn.ensemble import HistGradientBoostingClassifier

    classifier = HistGradientBoostingClassifier(**_settings(params, seed))
    with _threads().limit(limits=1, user_api="openmp"):
        classifier.fit(_with_a_value_in_each_column(x), y)
    return _arrays(classifier, names)


def _with_a_value_in_each_column(x: Matrix) -> Matrix:
    """Replace columns that have no value at all by zeros, which no split uses: scikit-learn 1.9 finds no bins there."""
    empty = np.isnan(x).all(axis=0)
    return np.where(empty, np.float32(0.0), x) if empty.any() else x


def _settings(params: HistGradientBoostingParams, seed: int) -> dict[str, Any]:
    return {
        "max_iter": params.rounds,
        "learning_rate": params.learning_rate,
        "max_leaf_nodes": params.max_leaf_nodes,
        "max_depth": params.max_depth,
        "min_samples_leaf": params.min_samples_leaf,
        "max_features": params.max_features,
        "max_bins": params.max_bins,
        "l2_regularization": params.l2,
        "early_stopping": False,
        "random_state": seed,
    }


@cache
def _threads() -> Any:
    """Return what limits OpenMP's threads, which scikit-learn has no setting for; finding it takes 30 ms."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def _arrays(classifier: Any, names: list[str]) -> dict[str, Any]:
    """Take a fitted classifier apart: the nodes of all trees end to end, and where each tree begins.

    A leaf's children are the leaf itself, so that every row can take as many steps as the deepest tree has levels.
    """
    trees = [tree.nodes for (tree,) in classifier._predictors]
    roots = np.cumsum([0, *(tree.size for tree in trees)], dtype=np.int64)[:-1]
    nodes = np.concatenate(trees)
    itself, offset = np.arange(nodes.size), np.repeat(roots, [tree.size for tree in trees])
    is_leaf = nodes["is_leaf"].astype(bool)
    return {
        "names": np.array(names, dtype=np.str_),
        "baseline": np.array(float(classifier._baseline_prediction.item())),
        "roots": roots,
        "depth": np.array(int(nodes["depth"].max())),
        "feature": np.where(is_leaf, 0, nodes["feature_idx"]).astype(np.int64),
        "threshold": nodes["num_threshold"].astype(np.float64),
        "missing_left": nodes["missing_go_to_left"].astype(bool),
        "left": np.where(is_leaf, itself, nodes["left"] + offset).astype(np.int64),
        "right": np.where(is_leaf, itself, nodes["right"] + offset).astype(np.int64),
        "value": nodes["value"].astype(np.float64),
        "gain": np.where(is_leaf, 0.0, nodes["gain"]).astype(np.float64),
    }


def predict(model: dict[str, Any], x: Matrix) -> Vector:
    """Return P(up) of each row; see `src.models.library.Family`.

    Parameters
    ----------
    model : dict of arrays
        What `fit` or `from_bytes` returned.
    x : float32, shape (rows, features)
        NaN where a value is missing: it follows the side that its split gives to missing values.

    Returns
    -------
    float64, shape (rows,)
        Scikit-learn's own predict_proba to the last bit: the trees are added in the same order.
    """
    from scipy.special import expit

    values, rows = np.asarray(x, dtype=np.float64), np.arange(len(x))
    node = np.repeat(model["roots"][:, np.newaxis], len(x), axis=1)
    for _ in range(int(model["depth"])):
        value = values[rows, model["feature"][node]]
        goes_left = np.where(np.isnan(value), model["missing_left"][node], value <= model["threshold"][node])
        node = np.where(goes_left, model["left"][node], model["right"][node])
    score = np.full(len(x), float(model["baseline"]))
    for leaf_values in model["value"][node]:
        score += leaf_values
    return np.asarray(expit(score), dtype=np.float64)


def contributions(model: dict[str, Any], x: Matrix) -> Vector:
    """Return what the splits on each feature add to the log odds; see `src.models.library.ExplainedFamily`.

    A split adds the change of the node's value from the parent to the child that the row goes to; the value of a node
    is the mean of the leaves below it, each counted once, since the stored model knows no numbers of rows.

    Returns
    -------
    float64, shape (rows, features)

    Source
    ------
    Saabas, "Interpreting random forests" (2014); there the mean is over the training rows of the node.
    """
    values, rows = np.asarray(x, dtype=np.float64), np.arange(len(x))
    node_value = _mean_of_leaves(model)
    found = np.zeros(x.shape, dtype=np.float64)
    for root in model["roots"]:
        node: Any = np.full(len(x), root)
        for _ in range(int(model["depth"])):
            feature = model["feature"][node]
            value = values[rows, feature]
            goes_left = np.where(np.isnan(value), model["missing_left"][node], value <= model["threshold"][node])
            child = np.where(goes_left, model["left"][node], model["right"][node])
            found[rows, feature] += node_value[child] - node_value[node]
            node = child
    return found


def _mean_of_leaves(model: dict[str, Any]) -> Vector:
    """Mean value of the leaves below each node; of a leaf its own."""
    left, right = model["left"], model["right"]
    is_leaf = left == np.arange(left.size)
    sums: Vector = np.where(is_leaf, model["value"], 0.0)
    counts: Vector = np.where(is_leaf, 1.0, 0.0)
    for _ in range(int(model["depth"])):  # a level more each time, from the leaves up
        sums = np.where(is_leaf, sums, sums[left] + sums[right])
        counts = np.where(is_leaf, counts, counts[left] + counts[right])
    return np.asarray(sums / counts, dtype=np.float64)


def importance(model: dict[str, Any], names: list[str]) -> Vector:
    """Return each feature's share of the total gain of its splits; see `src.models.library.Family`.

    Returns
    -------
    float64, shape (features,)
        Sums to 1, or is all zero where no tree has a split.
    """
    assert model["names"].tolist() == names
    gains = np.bincount(model["feature"], weights=model["gain"], minlength=len(names))
    return shares(gains.astype(np.float64))


def to_bytes(model: dict[str, Any]) -> bytes:
    """Return the arrays in NumPy's zipped format; see `src.models.library.Family`.

    Returns
    -------
    bytes
        The same for the same model: `numpy.savez` would add the time of day.
    """
    return arrays_file.content(model)


def from_bytes(content: bytes) -> dict[str, Any]:
    """Read the arrays; see `src.models.library.Family`.

    Returns
    -------
    dict of arrays

    Raises
    ------
    ValueError
        If an array is pickled.
    """
    import io

    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}
