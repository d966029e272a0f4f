"""LightGBM: gradient boosting on histograms, leaf-wise (Ke et al. 2017). Missing values go their own way in a split."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from src.core.field_rules import ranged
from src.models.library import LazyModule, Library, shares
from src.models.pooled_columns import LEVELS, ranked
from src.models.quantiles import quantiles
from src.models.search_space import Bounds, TreeCost

if TYPE_CHECKING:
    import lightgbm as lgb
    import numpy as np

    from src.core.arrays import Bytes, Matrix, Scores, Vector
else:
    np = LazyModule("numpy")

LIBRARY = Library("lightgbm")
FILE = "model.txt"


@dataclass
class LightGBMParams:
    """Settings of LightGBM, named as the library names them except for `rounds` and `l2`."""

    rounds: int = ranged(30, low=1, high=100_000, unit="trees")
    learning_rate: float = ranged(0.1, low=0, high=1, above=True)
    num_leaves: int = ranged(4, low=2, high=131_072, unit="leaves")
    max_depth: int = ranged(2, low=1, high=64, unit="levels")
    min_child_samples: int = ranged(40, low=0, high=1_000_000, unit="bars")
    feature_fraction: float = ranged(0.7, low=0, high=1, above=True)
    bagging_fraction: float = ranged(0.8, low=0, high=1, above=True)
    max_bin: int = ranged(31, low=2, high=65_535, unit="bins")
    l2: float = ranged(1.0, low=0, high=1e6)


PARAMS = LightGBMParams
SPACE = {
    "rounds": Bounds(10, 150, log=True),
    "learning_rate": Bounds(0.01, 0.2, log=True),
    "num_leaves": Bounds(3, 31, log=True),
    "max_depth": Bounds(1, 6),
    "min_child_samples": Bounds(10, 150, log=True),
    "feature_fraction": Bounds(0.2, 1.0),
    "bagging_fraction": Bounds(0.4, 1.0),
    "max_bin": Bounds(15, 63, log=True),
    "l2": Bounds(0.1, 100.0, log=True),
}
_COST = TreeCost(5.1, 0.0125, 0.0, 0.135, 0.0, 0.001)


def cost(params: Mapping[str, Any]) -> float:
    """Estimate the milliseconds of one fit; see `src.models.library.Family`."""
    leaves = min(2.0 ** params["max_depth"], params["num_leaves"])
    return _COST.milliseconds(params["rounds"], leaves, params["feature_fraction"], params["max_bin"])


def fit(x: Matrix, y: Vector, params: LightGBMParams, seed: int, names: list[str], device: str = "cpu") -> Any:
    """Fit one booster on one thread; see `src.models.library.Family`.

    Returns
    -------
    lightgbm.Booster

    Raises
    ------
    lightgbm.basic.LightGBMError
        If this build of LightGBM can't fit on the device.
    """
    import lightgbm as lgb

    settings = _settings(params, seed, device)
    return _boost(lgb.Dataset(x, y, feature_name=names, params=settings), settings, params.rounds)


def fit_windows(
    x: Matrix, y: Vector, ends: Sequence[int], params: LightGBMParams, seed: int, names: list[str], *, bins: int
) -> Iterator[Any]:
    """Fit one booster for each expanding window; see `src.models.library.WindowedFamily`.

    All rows are binned once, and each window takes its rows from them. LightGBM takes the bins from a reference: the
    quantiles of the first `bins` rows, and a row without any value, so that each column has a bin for missing values,
    also where the first is missing in a later window.

    Yields
    ------
    lightgbm.Booster
    """
    import lightgbm as lgb

    count = max(params.max_bin - 2, 2)
    settings = _settings(params, seed) | _ONE_VALUE_A_BIN | _BY_ROW
    settings["max_bin"] = count + 2  # missing values and zero have one each
    values = quantiles(x[:bins], count)
    values = np.vstack([values, np.full((1, x.shape[1]), np.nan, dtype=np.float32)])
    reference = lgb.Dataset(values, np.zeros(len(values)), feature_name=names, params=settings)
    rows = max(ends)
    whole = lgb.Dataset(x[:rows], y[:rows], reference=reference, params=settings).construct()
    for end in ends:
        yield _boost(whole.subset(list(range(end))), settings, params.rounds)


def _boost(data: lgb.Dataset, settings: dict[str, Any], rounds: int) -> lgb.Booster:
    """Add the trees one by one: `lightgbm.train` ends with a copy of the model through its text."""
    import lightgbm as lgb

    booster = lgb.Booster(settings, data)
    for _ in range(rounds):
        booster.update()
    return booster


def _settings(params: LightGBMParams, seed: int, device: str = "cpu") -> dict[str, Any]:
    return {
        "objective": "binary",
        "num_iterations": params.rounds,
        "learning_rate": params.learning_rate,
        "num_leaves": params.num_leaves,
        "max_depth": params.max_depth,
        "min_child_samples": params.min_child_samples,
        "feature_fraction": params.feature_fraction,
        "bagging_fraction": params.bagging_fraction,
        "bagging_freq": 1,
        "lambda_l2": params.l2,
        "max_bin": params.max_bin,
        "seed": seed,
        "deterministic": True,
        "force_col_wise": True,
        "num_threads": 1,
        "device_type": device,
        "verbosity": -1,
    }


def fit_pooled(
    x: Bytes, y: Scores, params: LightGBMParams, seed: int, names: list[str],
    *, objective: str, categories: Sequence[int] = (), device: str = "cpu",
) -> Any:  # fmt: skip
    """Fit one booster to ranks on one thread; see `src.models.library.PooledFamily`.

    The bins are those of all possible ranks, which need no sample of the rows and are the same in every fold. Rows are
    pushed block by block, so that the bytes of the bins are all that is added to memory. Categories are left out.

    Returns
    -------
    lightgbm.Booster
    """
    import lightgbm as lgb

    class Blocks(lgb.Sequence):
        batch_size = 4096

        def __len__(self) -> int:
            return len(x)

        def __getitem__(self, rows: Any) -> Any:
            return x[rows, :columns].astype(np.float64)

    columns = ranked(names, categories)
    settings = _settings(params, seed, device) | _ONE_VALUE_A_BIN | {"objective": _OBJECTIVES[objective]}
    every = np.repeat(np.arange(LEVELS, dtype=np.float64)[:, np.newaxis], columns, axis=1)
    bins = lgb.Dataset(every, np.zeros(LEVELS), feature_name=names[:columns], params=settings)
    return _boost(lgb.Dataset(Blocks(), y, reference=bins, params=settings), settings, params.rounds)


_OBJECTIVES = {"regression": "regression", "classification": "binary"}
_BY_ROW = {"force_col_wise": False, "force_row_wise": True}  # the same trees; cheaper where few features are left out
_ONE_VALUE_A_BIN = {"min_data_in_bin": 1, "feature_pre_filter": False, "enable_bundle": False}


def score(model: Any, x: Bytes) -> Scores:
    """Return the score of each row of ranks; see `src.models.library.PooledFamily`.

    Returns
    -------
    float32, shape (rows,)
    """
    found = np.empty(len(x), dtype=np.float32)
    for start in range(0, len(x), 65_536):
        block = x[start : start + 65_536, : model.num_feature()]
        found[start : start + 65_536] = model.predict(block.astype(np.float32), num_threads=1)
    return found


def predict(model: Any, x: Matrix) -> Vector:
    """Return P(up) of each row; see `src.models.library.Family`.

    Returns
    -------
    float64, shape (rows,)
        A missing value follows the side that its split gives to missing values.
    """
    return np.asarray(model.predict(x, num_threads=1), dtype=np.float64)


def contributions(model: Any, x: Matrix | Bytes) -> Vector:
    """Return what each feature adds to the log odds of each row (TreeSHAP); see `src.models.library.ExplainedFamily`.

    Returns
    -------
    float64, shape (rows, features)
    """
    used = model.num_feature()
    found = np.zeros(x.shape, dtype=np.float64)
    if len(x):
        block = np.asarray(x[:, :used], dtype=np.float32)
        found[:, :used] = model.predict(block, pred_contrib=True, num_threads=1)[:, :used]
    return found


def importance(model: Any, names: list[str]) -> Vector:
    """Return each feature's share of the total gain of its splits; see `src.models.library.Family`.

    Returns
    -------
    float64, shape (features,)
        Sums to 1, or is all zero where no tree has a split.
    """
    gains = np.zeros(len(names))
    gains[: model.num_feature()] = model.feature_importance("gain")
    assert model.feature_name() == names[: model.num_feature()]
    return shares(gains)


def to_bytes(model: Any) -> bytes:
    """Return LightGBM's text format; see `src.models.library.Family`."""
    return str(model.model_to_string()).encode("utf-8")


def from_bytes(content: bytes) -> Any:
    """Read LightGBM's text format; see `src.models.library.Family`.

    Returns
    -------
    lightgbm.Booster
    """
    import lightgbm as lgb

    return lgb.Booster(model_str=content.decode("utf-8"))
