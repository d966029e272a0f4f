"""Linear models with a squared penalty: logistic regression of one instrument, least squares or logistic on ranks.

Hoerl and Kennard 1970; le Cessie and van Houwelingen 1992. A missing value counts as the column's mean.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from src.core.field_rules import ranged
from src.models import arrays_file
from src.models.library import LazyModule, Library, shares
from src.models.normal_equations import least_squares, logistic
from src.models.pooled_columns import ranked
from src.models.search_space import Bounds

if TYPE_CHECKING:
    import numpy as np

    from src.core.arrays import Bytes, Matrix, Scores, Vector
else:
    np = LazyModule("numpy")

LIBRARY = Library("scikit-learn", "sklearn.linear_model")
FILE = "model.npz"


@dataclass
class RidgeParams:
    """Settings of ridge: `l2` multiplies half the sum of squared coefficients of standardised columns."""

    l2: float = ranged(1000.0, low=0, high=1e9, above=True)


PARAMS = RidgeParams
SPACE = {"l2": Bounds(10.0, 100_000.0, log=True)}


def cost(params: Mapping[str, Any]) -> float:  # noqa: ARG001 (one solution for every penalty)
    """Estimate the milliseconds of one fit; see `src.models.library.Family`."""
    return 12.0


def fit(x: Matrix, y: Vector, params: RidgeParams, seed: int, names: list[str], device: str = "cpu") -> dict[str, Any]:
    """Fit a logistic regression on one thread; see `src.models.library.Family`.

    Columns are standardised by their means and standard deviations in `x`. Nothing is random: the seed is not used.

    Returns
    -------
    dict of arrays
        Names, means, scales (1 for a constant column), coefficients of the standardised columns, and the intercept.

    Raises
    ------
    ValueError
        If the device is not the CPU.
    """
    del seed
    if device != "cpu":
        raise ValueError("scikit-learn fits on the CPU alone")
    from sklearn.linear_model import LogisticRegression

    with np.errstate(invalid="ignore"):
        values = np.asarray(x, dtype=np.float64)
        known = ~np.isnan(values)
        count = np.maximum(known.sum(axis=0), 1)
        mean = np.where(known, values, 0.0).sum(axis=0) / count
        centred = np.where(known, values - mean, 0.0)
    spread = np.sqrt((centred**2).sum(axis=0) / count)
    scale = np.where(spread > 0.0, spread, 1.0)
    regression = LogisticRegression(C=1.0 / params.l2, solver="newton-cholesky", tol=1e-8, max_iter=200)
    with _threads().limit(limits=1):
        regression.fit(centred / scale, y)
    return {
        "names": np.array(names, dtype=np.str_),
        "mean": mean,
        "scale": scale,
        "coefficient": regression.coef_[0].astype(np.float64),
        "intercept": np.array(float(regression.intercept_[0])),
    }


@cache
def _threads() -> Any:
    """Return what limits the threads of linear algebra and of scikit-learn; finding them takes 30 ms."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def fit_pooled(
    x: Bytes, y: Scores, params: RidgeParams, seed: int, names: list[str],
    *, objective: str, categories: Sequence[int] = (), device: str = "cpu",
) -> dict[str, Any]:  # fmt: skip
    """Fit ranks by normal equations on one thread; see `src.models.library.PooledFamily`.

    A rank r counts as r / 254 - 1/2. The penalty is that of scikit-learn's `Ridge`: `l2` times the sum of squared
    coefficients is added to the sum of squared errors (half of it to the logistic loss). Categories are left out.

    Returns
    -------
    dict of arrays
        Names, coefficients of the ranks, and the intercept.

    Raises
    ------
    ValueError
        If the device is not the CPU.
    """
    del seed
    if device != "cpu":
        raise ValueError("ridge fits on the CPU alone")
    columns = ranked(names, categories)
    solve = {"regression": least_squares, "classification": logistic}[objective]
    with _threads().limit(limits=1):
        coefficient, intercept = solve(x[:, :columns], y, params.l2)
    return {
        "names": np.array(names[:columns], dtype=np.str_),
        "coefficient": coefficient,
        "intercept": np.array(intercept),
    }


def score(model: dict[str, Any], x: Bytes) -> Scores:
    """Return the score of each row of ranks; see `src.models.library.PooledFamily`.

    Returns
    -------
    float32, shape (rows,)
        The log odds of a classification. Columns are added one after another, so that a row's score does not depend on
        the rows beside it.
    """
    found = np.empty(len(x), dtype=np.float32)
    values = (np.arange(256) - 127.0) / 254.0
    values[255] = 0.0
    for start in range(0, len(x), 8192):
        block = np.ascontiguousarray(x[start : start + 8192].T)
        total = np.full(block.shape[1], float(model["intercept"]))
        for weight, ranks in zip(model["coefficient"], block, strict=False):
            total += (weight * values)[ranks]
        found[start : start + 8192] = total
    return found


def predict(model: dict[str, Any], x: Matrix) -> Vector:
    """Return P(up) of each row; see `src.models.library.Family`.

    Parameters
    ----------
    model : dict of arrays
        What `fit` or `from_bytes` returned.
    x : float32, shape (rows, features)
        NaN where a value is missing: it counts as the mean of the fit.

    Returns
    -------
    float64, shape (rows,)
        Columns are added one after another, so that a row's probability does not depend on the rows beside it.
    """
    from scipy.special import expit

    total = np.full(len(x), float(model["intercept"]))
    for j, weight in enumerate(model["coefficient"]):
        value = (np.asarray(x[:, j], dtype=np.float64) - model["mean"][j]) / model["scale"][j]
        total += np.where(np.isnan(value), 0.0, weight * value)
    return np.asarray(expit(total), dtype=np.float64)


def contributions(model: dict[str, Any], x: Matrix | Bytes) -> Vector:
    """Return coefficient times standardised value, or times rank; see `src.models.library.ExplainedFamily`.

    Returns
    -------
    float64, shape (rows, features)
        0 where a value is missing.
    """
    used = len(model["coefficient"])
    found = np.zeros(x.shape, dtype=np.float64)
    if "mean" in model:
        values = (np.asarray(x[:, :used], dtype=np.float64) - model["mean"]) / model["scale"]
    else:
        values = np.where(x[:, :used] == 255, np.nan, (x[:, :used] - 127.0) / 254.0)
    found[:, :used] = np.where(np.isnan(values), 0.0, model["coefficient"] * values)
    return found


def importance(model: dict[str, Any], names: list[str]) -> Vector:
    """Return each column's share of the sum of squared coefficients; see `src.models.library.Family`.

    Returns
    -------
    float64, shape (features,)
        Its share in the variance of the score, were the columns independent; 0 for those that are left out.
    """
    squares = np.zeros(len(names))
    squares[: len(model["names"])] = model["coefficient"] ** 2
    assert model["names"].tolist() == names[: len(model["names"])]
    return shares(squares)


def to_bytes(model: dict[str, Any]) -> bytes:
    """Return the arrays in NumPy's zipped format; see `src.models.library.Family`."""
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
