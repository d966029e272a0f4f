"""Portfolios of pooled models: their grades, what each day earned, and what they held."""

from __future__ import annotations

from typing import TYPE_CHECKING, overload

from src.core.errors import ConfigError, StageError
from src.core.instruments import POOLED
from src.inspection.reading.frames import Frame, Pandas, Polars, as_frame
from src.inspection.reading.grades import grades_of
from src.inspection.reading.places import Folder, Place, place

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl


@overload
def portfolios(universe: str | None = None, *, frame: Polars = "polars", root: Folder = None) -> pl.DataFrame: ...
@overload
def portfolios(universe: str | None = None, *, frame: Pandas, root: Folder = None) -> pd.DataFrame: ...
def portfolios(
    universe: str | None = None, *, frame: Frame = "polars", root: Folder = None
) -> pl.DataFrame | pd.DataFrame:
    """Read the grades of the portfolios of pooled models: the same as ``grades(scope="pooled")``.

    Parameters
    ----------
    universe, frame, root
        As `grades` takes them.

    Returns
    -------
    DataFrame
        One row a portfolio. Beside the columns of `grades`: ic and net_t with their p-values, costs and break-even,
        capacity, exposures, the number of names, and weak: whether the number of recipes that were tried explains it.

    Examples
    --------
    >>> results.portfolios("demo").select("symbol", "sharpe", "ic", "cost_a_year", "weak")  # doctest: +SKIP
    """
    return as_frame(grades_of(place(universe, root), "pooled", None), frame)


@overload
def returns(
    universe: str | None = None, portfolio: str | None = None, family: str | None = None,
    *, frame: Polars = "polars", root: Folder = None,
) -> pl.DataFrame: ...  # fmt: skip
@overload
def returns(
    universe: str | None = None, portfolio: str | None = None, family: str | None = None,
    *, frame: Pandas, root: Folder = None,
) -> pd.DataFrame: ...  # fmt: skip
def returns(
    universe: str | None = None,
    portfolio: str | None = None,
    family: str | None = None,
    *,
    frame: Frame = "polars",
    root: Folder = None,
) -> pl.DataFrame | pd.DataFrame:
    """Read what a portfolio earned on each out-of-sample day.

    Parameters
    ----------
    universe, frame, root
        As `grades` takes them.
    portfolio : str, optional
        Such as ``stock.neutral`` or ``pooled.stock.neutral``; it may be left out where there is one.
    family : str, optional
        ``ensemble`` or a model family, where a portfolio was graded with several.

    Returns
    -------
    DataFrame
        date (of the decision), stamp (day on which it is booked), ic (rank correlation of scores and outcomes), gross,
        cost, borrow, net, equity, turnover, gross_exposure, net_exposure, beta, volatility_exposure, size_exposure,
        names.

    Raises
    ------
    ConfigError
        If no portfolio has the name, or several fit: the message names them.
    StageError
        If no pooled model is trained, or its tables are gone.

    Examples
    --------
    >>> results.returns("demo", "stock.neutral").select("stamp", "net", "equity")  # doctest: +SKIP
    """
    return as_frame(_table(place(universe, root), portfolio, family, "daily"), frame)


@overload
def weights(
    universe: str | None = None, portfolio: str | None = None, family: str | None = None,
    *, frame: Polars = "polars", root: Folder = None,
) -> pl.DataFrame: ...  # fmt: skip
@overload
def weights(
    universe: str | None = None, portfolio: str | None = None, family: str | None = None,
    *, frame: Pandas, root: Folder = None,
) -> pd.DataFrame: ...  # fmt: skip
def weights(
    universe: str | None = None,
    portfolio: str | None = None,
    family: str | None = None,
    *,
    frame: Frame = "polars",
    root: Folder = None,
) -> pl.DataFrame | pd.DataFrame:
    """Read what a portfolio held after each out-of-sample rebalancing.

    Parameters
    ----------
    universe, portfolio, family, frame, root
        As `returns` takes them.

    Returns
    -------
    DataFrame
        date (of the decision), symbol, weight (fraction of the capital, negative where it is sold short). Names without
        a position have no row.

    Raises
    ------
    ConfigError, StageError
        As `returns`.

    Examples
    --------
    >>> results.weights("demo").filter(pl.col("date") == pl.col("date").max())  # doctest: +SKIP
    """
    return as_frame(_table(place(universe, root), portfolio, family, "weights"), frame)


def _table(at: Place, portfolio: str | None, family: str | None, name: str) -> pl.DataFrame:
    import polars as pl

    from src.storage.atomic import read_errors

    path = at.paths.portfolios / _record(at, portfolio, family) / f"{name}.parquet"
    if not path.is_file():
        raise StageError(f"{path.as_posix()} is gone: run `{at.command('train', 'experiment=pooled')}`")
    with read_errors(path, f"run `{at.command('train', 'experiment=pooled')}`, which writes it again"):
        return pl.read_parquet(path, glob=False)


def _record(at: Place, portfolio: str | None, family: str | None) -> str:
    """Record of the one portfolio that is meant."""
    import polars as pl

    graded = grades_of(at, "pooled", None, ("record_id", "symbol", "family"))
    found = graded
    if portfolio is not None:
        found = found.filter(pl.col("symbol") == portfolio.removeprefix(f"{POOLED}."))
    if family is not None:
        found = found.filter(pl.col("family") == family)
    if found.height == 1:
        return str(found.item(0, "record_id"))
    there = ", ".join(f"{name} by {kind}" for name, kind in graded.select("symbol", "family").sort("symbol").rows())
    asked = " ".join(f"{name}={value}" for name, value in (("portfolio", portfolio), ("family", family)) if value)
    what = f"{asked or 'this'} means {found.height} of its portfolios" if found.height else f"{asked} is none of them"
    raise ConfigError(f"universe={at.dataset}: {what}: say one of {there}")
