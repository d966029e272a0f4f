"""In which state each instrument ended each stage, and why."""

from __future__ import annotations

from typing import TYPE_CHECKING, overload

from src.core.errors import ConfigError
from src.core.instruments import KEY, POOLED
from src.inspection.reading.frames import Frame, Pandas, Polars, as_frame
from src.inspection.reading.names import Symbol, instrument
from src.inspection.reading.places import Folder, Place, place

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    import polars as pl

_ORDER = ("hydrate", "ingest", "featurize", "train", POOLED, "promote")


@overload
def states(
    universe: str | None = None, stage: str = "train", *, frame: Polars = "polars", root: Folder = None
) -> pl.DataFrame: ...
@overload
def states(
    universe: str | None = None, stage: str = "train", *, frame: Pandas, root: Folder = None
) -> pd.DataFrame: ...
def states(
    universe: str | None = None, stage: str = "train", *, frame: Frame = "polars", root: Folder = None
) -> pl.DataFrame | pd.DataFrame:
    """Read how each instrument ended a stage: done, skipped, failed or quarantined, with the reason.

    Parameters
    ----------
    universe : str, optional
        Name of the dataset; by default that of ``params.yaml``.
    stage : str
        ``hydrate``, ``ingest``, ``featurize``, ``train``, ``pooled`` or ``promote``; what has not run has no states.
    frame : {'polars', 'pandas'}
    root : str or Path, optional
        Folder of the project; by default the one at or above the working directory.

    Returns
    -------
    DataFrame
        One row an instrument (of ``promote`` one a registered model): asset_class, symbol, state, reason, and what the
        stage counted.

    Raises
    ------
    ConfigError
        If the stage has stored none: names those that have.

    Examples
    --------
    >>> results.states("demo", "hydrate").filter(pl.col("state") != "done")  # doctest: +SKIP
    """
    at = place(universe, root)
    tables = _tables(at)
    if stage not in tables:
        there = ", ".join(tables) or "none"
        raise ConfigError(f"stage {stage!r} has stored no states of universe={at.dataset}: there are those of {there}")
    return as_frame(_read(tables[stage]), frame)


@overload
def reasons(
    universe: str | None = None, symbol: Symbol | None = None, *, frame: Polars = "polars", root: Folder = None
) -> pl.DataFrame: ...
@overload
def reasons(
    universe: str | None = None, symbol: Symbol | None = None, *, frame: Pandas, root: Folder = None
) -> pd.DataFrame: ...
def reasons(
    universe: str | None = None, symbol: Symbol | None = None, *, frame: Frame = "polars", root: Folder = None
) -> pl.DataFrame | pd.DataFrame:
    """Say why an instrument is where it is: its state in each stage, then what its runs miss of the thresholds.

    Parameters
    ----------
    universe, frame, root
        As `states` takes them.
    symbol : str or (asset_class, symbol)
        ``AAPL``, ``stock.AAPL`` or ``("stock", "AAPL")``.

    Returns
    -------
    DataFrame
        stage, family (of a run, else null), state, reason. Of a graded run the stage is ``grade`` and the state
        ``passed`` or ``missed``, with one row for each threshold that it misses.

    Examples
    --------
    >>> results.reasons("demo", "SIM02")  # doctest: +SKIP
    """
    import polars as pl

    at = place(universe, root)
    key = instrument(at, symbol)
    is_own = (pl.col("asset_class") == key[0]) & (pl.col("symbol") == key[1])
    parts = [pl.DataFrame(schema=dict.fromkeys(("stage", "family", "state", "reason"), pl.String()))]
    for stage, path in _tables(at).items():
        own = _read(path).filter(is_own)
        family = pl.col("family") if "family" in own.columns else pl.lit(None, pl.String)
        parts.append(own.select(pl.lit(stage).alias("stage"), family.alias("family"), "state", "reason"))
        if stage == "train" and at.paths.grades.is_file():
            parts.append(_graded(_read(at.paths.grades).filter(is_own)))
    return as_frame(pl.concat(parts), frame)


def _graded(own: pl.DataFrame) -> pl.DataFrame:
    """A row for each threshold that a run misses, and one for a run that passes."""
    import polars as pl

    state = pl.when(pl.col("passed")).then(pl.lit("passed")).otherwise(pl.lit("missed"))
    why = pl.when(pl.col("reasons").list.len() > 0).then(pl.col("reasons")).otherwise(pl.lit([None]))
    rows = own.sort("family").select(
        pl.lit("grade").alias("stage"), "family", state.alias("state"), why.alias("reason")
    )
    return rows.explode("reason").with_columns(pl.col("reason").cast(pl.String))


def _tables(at: Place) -> dict[str, Path]:
    """The stored states tables by stage, in the order of the stages."""
    stored = {path.stem: path for path in at.paths.states_folder.glob("*.parquet")}
    if at.paths.portfolio_states.is_file():
        stored[POOLED] = at.paths.portfolio_states
    return {stage: stored[stage] for stage in (*_ORDER, *sorted(stored.keys() - set(_ORDER))) if stage in stored}


def _read(path: Path) -> pl.DataFrame:
    import polars as pl

    from src.storage.atomic import read_errors

    with read_errors(path, "the stage that writes it writes it again"):
        table = pl.read_parquet(path, glob=False)
    return table.sort(*KEY, maintain_order=True)
