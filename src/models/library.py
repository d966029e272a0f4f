"""What a model family offers, and the library behind it."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Any, Protocol

from src.models.search_space import Bounds

if TYPE_CHECKING:
    from src.core.arrays import Bytes, Matrix, Scores, Vector


class LazyModule:
    """A module that is imported when something is first taken from it: settings and help name families, and use none.

    Parameters
    ----------
    name : str
        Name under which it is imported.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(importlib.import_module(self._name), attribute)

    def code(self) -> Mapping[str, str]:
        """Return the name, which is all that a hash of code sees of the module."""
        return {"module": self._name}


@dataclass(frozen=True)
class Library:
    """The distribution that a family computes with. Families import it inside their functions, when they need it.

    Attributes
    ----------
    distribution : str
        Name under which it is installed. It is pinned with every logged model, and its release is part of a run's key.
    module : str
        Name under which it is imported, where that is not the distribution's name.
    """

    distribution: str
    module: str = ""

    @property
    def version(self) -> str:
        """Name and release, such as ``lightgbm 4.6.0``."""
        return f"{self.distribution} {self.release}"

    @property
    def release(self) -> str:
        """Release, found without importing the library where it is installed under its usual name."""
        try:
            return metadata.version(self.distribution)
        except metadata.PackageNotFoundError:  # built under another name, as xgboost-cpu is
            top_level = (self.module or self.distribution).split(".")[0]
            return str(importlib.import_module(top_level).__version__)

    def load(self) -> None:
        """Import the library: a second or two that should not count as part of a fit."""
        importlib.import_module(self.module or self.distribution)


class Family(Protocol):
    """What a module of this package defines to be a model family.

    The registry finds such modules and checks that nothing is missing. `from_bytes` and `predict` also travel inside
    every logged model, where this project is not installed: they may use `np`, builtins, and what they import
    themselves, and nothing else of their module.
    """

    LIBRARY: Library
    """The library, for the key of a run and for the requirements of a logged model."""

    FILE: str
    """Name of the native model file."""

    PARAMS: type
    """Dataclass of the settings; each field carries its range (`src.core.field_rules.ranged`)."""

    SPACE: Mapping[str, Bounds]
    """Settings that tuning may search, by name."""

    def cost(self, params: Mapping[str, Any]) -> float:
        """Estimate the CPU time of one fit, which limits what tuning may try.

        Parameters
        ----------
        params : mapping
            Settings by name.

        Returns
        -------
        float
            Milliseconds, for 1,500 rows and 110 features on one core; only ratios matter.
        """

    def fit(self, x: Matrix, y: Vector, params: Any, seed: int, names: list[str], device: str = "cpu") -> Any:
        """Fit one model on one thread, deterministically for a seed.

        Parameters
        ----------
        x : float32, shape (rows, features)
            NaN where a value is missing.
        y : float64, shape (rows,)
            0 or 1, both present.
        params : PARAMS
            Settings.
        seed : int
            Seed of everything random.
        names : list of str
            Names of the columns of `x`, kept with the model.
        device : {'cpu', 'cuda'}
            Where to fit.

        Returns
        -------
        object
            The model, as `predict`, `importance` and `to_bytes` take it.

        Raises
        ------
        Exception
            Where the library can't fit on the device; the first line of the message is shown to the user.
        """

    def predict(self, model: Any, x: Matrix) -> Vector:
        """Return P(up) of each row.

        Parameters
        ----------
        model : object
            What `fit` or `from_bytes` returned: both give the same probabilities to the last bit.
        x : float32, shape (rows, features)
            NaN where a value is missing.

        Returns
        -------
        float64, shape (rows,)
            In [0, 1], never NaN.
        """

    def importance(self, model: Any, names: list[str]) -> Vector:
        """Return each feature's share of what the model's splits gained.

        Parameters
        ----------
        model : object
            What `fit` returned.
        names : list of str
            Names of the features, in the order of the fit.

        Returns
        -------
        float64, shape (features,)
            Sums to 1, or is all zero where the model has no split.
        """

    def to_bytes(self, model: Any) -> bytes:
        """Return the content of the native model file: no pickle.

        Parameters
        ----------
        model : object
            What `fit` returned.

        Returns
        -------
        bytes
        """

    def from_bytes(self, content: bytes) -> Any:
        """Read the native model file.

        Parameters
        ----------
        content : bytes
            What `to_bytes` returned.

        Returns
        -------
        object
            The model, as `predict` takes it.
        """


class WindowedFamily(Family, Protocol):
    """What a family defines besides, to share the bins of its features among expanding windows; optional."""

    def fit_windows(
        self, x: Matrix, y: Vector, ends: Sequence[int], params: Any, seed: int, names: list[str], *, bins: int
    ) -> Iterator[Any]:
        """Fit one model on the rows before each end, on the CPU and one thread.

        The bins of every model are those of the first `bins` rows, so a model depends on these and on its own window
        alone, to the last bit. A column without any value in the first `bins` rows is not used; one that is constant
        there tells its missing values from the others and nothing more.

        Parameters
        ----------
        x : float32, shape (rows, features), C-contiguous
            Rows of all windows; NaN where a value is missing.
        y : float64, shape (rows,)
            0 or 1, both present in each window.
        ends : sequence of int
            Number of rows of each window, all from the first row.
        params : PARAMS
            Settings.
        seed : int
            Seed of everything random, the same for each window.
        names : list of str
            Names of the columns of `x`, kept with the model.
        bins : int
            Number of first rows whose values decide the bins, at most the least of `ends`.

        Yields
        ------
        object
            A model as `fit` returns it, in the order of `ends`.
        """


class PooledFamily(Family, Protocol):
    """What a family defines besides, to be fitted to the cross-section of a class (scope=pooled).

    Both functions are optional: a family without them has no pooled fit. `score` travels inside logged models under
    the same conditions as `predict`.
    """

    def fit_pooled(
        self, x: Bytes, y: Scores, params: Any, seed: int, names: list[str],
        *, objective: str, categories: Sequence[int] = (), device: str = "cpu",
    ) -> Any:  # fmt: skip
        """Fit one model to ranks on one thread, deterministically for a seed.

        Parameters
        ----------
        x : uint8, shape (rows, columns), C-contiguous
            Ranks of a day's names, 0 to 254; 255 where a value is missing (`src.models.pooled_columns`). In the columns
            of `categories`, the number of a category.
        y : float32, shape (rows,)
            Any number for a regression; 0 or 1, both present, for a classification.
        params : PARAMS
            Settings.
        seed : int
            Seed of everything random.
        names : list of str
            Names of the columns of `x`, kept with the model.
        objective : {'regression', 'classification'}
            Squared error, or logistic loss.
        categories : sequence of int
            Columns that hold categories, the last ones. A family may leave them out.
        device : {'cpu', 'cuda'}
            Where to fit.

        Returns
        -------
        object
            The model, as `score`, `importance` and `to_bytes` take it.
        """

    def score(self, model: Any, x: Bytes) -> Scores:
        """Return the score of each row: the higher, the better the outcome that the model expects.

        Parameters
        ----------
        model : object
            What `fit_pooled` or `from_bytes` returned: both give the same scores to the last bit.
        x : uint8, shape (rows, columns)
            With the columns of the fit.

        Returns
        -------
        float32, shape (rows,)
            Never NaN. A row's score does not depend on the rows beside it.
        """


class ExplainedFamily(Family, Protocol):
    """What a family defines besides, to say which features moved a score; optional."""

    def contributions(self, model: Any, x: Matrix | Bytes) -> Vector:
        """Return what each feature adds to the raw score of each row.

        Parameters
        ----------
        model : object
            What `fit`, `fit_pooled` or `from_bytes` returned.
        x : float32 or uint8, shape (rows, features)
            As `predict` takes it, or as `score` does for a pooled fit.

        Returns
        -------
        float64, shape (rows, features)
            Units of the raw score: log odds, or the target of a regression. A row's sum differs from its raw score by
            the same amount in all rows, the score of a model that sees no feature. 0 in columns that the fit left out.
        """


def shares(gains: Vector) -> Vector:
    """Return gains as shares of their sum.

    Parameters
    ----------
    gains : float64, shape (features,)
        Not negative.

    Returns
    -------
    float64, shape (features,)
        Sums to 1, or is all zero where the gains are.
    """
    total = gains.sum()
    return gains / total if total > 0.0 else 0.0 * gains
