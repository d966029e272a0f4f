"""The champions of a dataset, and what one of them decides on bars that a caller gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

from src.core.errors import ConfigError, StageError
from src.core.instruments import ASSET_CLASSES, POOLED, is_pooled_name
from src.inspection.reading.frames import Frame, Pandas, Polars, as_frame
from src.inspection.reading.places import Folder, Place, place

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

    from src.inspection.reading.champion import Champion, PooledChampion
    from src.tracking.crowned_versions import CrownedVersion

FIGURES = (
    "auc", "accuracy", "sharpe", "max_drawdown", "n_oos", "z", "p_value", "q_value", "luck_rate", "deflated_sharpe",
)  # fmt: skip


@overload
def champions(universe: str | None = None, *, frame: Polars = "polars", root: Folder = None) -> pl.DataFrame: ...
@overload
def champions(universe: str | None = None, *, frame: Pandas, root: Folder = None) -> pd.DataFrame: ...
def champions(
    universe: str | None = None, *, frame: Frame = "polars", root: Folder = None
) -> pl.DataFrame | pd.DataFrame:
    """List the champions: the registered versions that the book's decisions come from.

    Parameters
    ----------
    universe : str, optional
        Name of the dataset; by default that of ``params.yaml``.
    frame : {'polars', 'pandas'}
    root : str or Path, optional
        Folder of the project; by default the one at or above the working directory.

    Returns
    -------
    DataFrame
        One row a champion: name (``stock.AAPL``, ``pooled.stock.neutral``), version, scope, asset_class, symbol,
        family, the graded figures and the evidence, last_oos, record_id, mlflow_run_id, and objections: what stands
        against using it now, null where nothing does.

    Raises
    ------
    StageError
        If the store of MLflow can't be read.

    Examples
    --------
    >>> results.champions("demo").select("name", "family", "sharpe", "q_value")  # doctest: +SKIP
    """
    import polars as pl

    schema = {
        "name": pl.String(), "version": pl.Int64(), "scope": pl.String(), "asset_class": pl.String(),
        "symbol": pl.String(), "family": pl.String(), **dict.fromkeys(FIGURES, pl.Float64()), "n_oos": pl.Int64(),
        "last_oos": pl.Date(), "record_id": pl.String(), "mlflow_run_id": pl.String(), "objections": pl.String(),
    }  # fmt: skip
    rows = [_row(each) for each in crowned(place(universe, root))]
    return as_frame(pl.DataFrame(rows, schema=schema, orient="row"), frame)


def champion(name: str, *, universe: str | None = None, root: Folder = None) -> Champion | PooledChampion:
    """Get a champion by its name, to look at it and to ask it.

    Parameters
    ----------
    name : str
        ``stock.AAPL``, or ``pooled.stock.neutral``; the ticker alone where one champion alone has it.
    universe, root
        As `champions` takes them.

    Returns
    -------
    Champion or PooledChampion

    Raises
    ------
    ConfigError
        If there is no such champion (the message gives close matches), or two have the ticker.
    StageError
        If there is no champion at all, or the store of MLflow can't be read.

    Examples
    --------
    >>> champion = results.champion("stock.SIM01", universe="demo")  # doctest: +SKIP
    >>> champion.predict(results.bars("demo", "stock.SIM01")).tail(1)  # doctest: +SKIP
    """
    from src.inspection.reading.champion import Champion, PooledChampion

    at = place(universe, root)
    version = _chosen(at, name)
    return PooledChampion(at, version) if is_pooled_name(version.name) else Champion(at, version)


def crowned(at: Place) -> list[CrownedVersion]:
    """Champions of a dataset, by name.

    Parameters
    ----------
    at : Place
    """
    from src.tracking.crowned_versions import crowned_versions
    from src.tracking.settings import TrackedDataset

    return crowned_versions(TrackedDataset.of(at.config()))


def _row(version: CrownedVersion) -> dict[str, Any]:
    grade, (kind, _, symbol) = version.grade, version.name.partition(".")
    about = {
        "name": version.name,
        "version": version.version,
        "scope": POOLED if kind == POOLED else "instrument",
        "asset_class": grade.get("asset_class", kind),
        "symbol": grade.get("symbol", symbol),
        "family": grade.get("family"),
        **{name: grade.get(name) for name in FIGURES},
        "last_oos": grade.get("last_oos"),
        "record_id": version.record_id,
        "mlflow_run_id": version.run_id or None,
        "objections": "; ".join(version.objections) or None,
    }
    return about


def _chosen(at: Place, name: str) -> CrownedVersion:
    import difflib

    versions = {each.name: each for each in crowned(at)}
    if not versions:
        raise StageError(f"universe={at.dataset} has no champion: run `{at.command('promote')}`")
    kinds = (*ASSET_CLASSES, POOLED)
    asked = name.replace(":", ".", 1) if name.partition(":")[0] in kinds else name
    found = [each for each in versions if each == asked or each.partition(".")[2] == asked]
    found = found or [each for each in versions if asked.upper() in (each.upper(), each.partition(".")[2].upper())]
    if len(found) > 1:
        raise ConfigError(f"{name} means {len(found)} champions of universe={at.dataset}: say {' or '.join(found)}")
    if not found:
        close = difflib.get_close_matches(asked, versions, n=3, cutoff=0.5)
        near = f" (close: {', '.join(close)})" if close else ""
        raise ConfigError(
            f"{name} is none of the {len(versions)} champions of universe={at.dataset}{near}: results.champions has all"
        )
    return versions[found[0]]
