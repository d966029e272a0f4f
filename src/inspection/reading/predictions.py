"""Out-of-sample predictions of runs, and the equity that trading them gives."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

from src.core.errors import StageError
from src.core.instruments import Key
from src.inspection.reading.frames import Frame, Pandas, Polars, as_frame
from src.inspection.reading.grades import grades_of
from src.inspection.reading.names import Symbol, instrument, unknown_family
from src.inspection.reading.places import Folder, Place, place

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

    from src.signals.own_decisions import GradedRun

RUN = ("record_id", "asset_class", "symbol", "family")
_GRADED = (*RUN, "graded_by", "sharpe", "max_drawdown")


@overload
def predictions(
    universe: str | None = None, symbol: Symbol | None = None, family: str | None = None,
    *, session: str | None = None, frame: Polars = "polars", root: Folder = None,
) -> pl.DataFrame: ...  # fmt: skip
@overload
def predictions(
    universe: str | None = None, symbol: Symbol | None = None, family: str | None = None,
    *, session: str | None = None, frame: Pandas, root: Folder = None,
) -> pd.DataFrame: ...  # fmt: skip
def predictions(
    universe: str | None = None,
    symbol: Symbol | None = None,
    family: str | None = None,
    *,
    session: str | None = None,
    frame: Frame = "polars",
    root: Folder = None,
) -> pl.DataFrame | pd.DataFrame:
    """Read the out-of-sample predictions of an instrument's graded runs.

    Parameters
    ----------
    universe, session, frame, root
        As `grades` takes them.
    symbol : str or (asset_class, symbol)
        ``AAPL``, ``stock.AAPL`` or ``("stock", "AAPL")``.
    family : str, optional
        Model family; all that are graded by default.

    Returns
    -------
    DataFrame
        record_id, asset_class, symbol, family, date (of the bar at whose close the decision is made), stamp (day on
        which its profit is booked), fold, probability (of a rise), label (1 rise, 0 fall, null without a direction),
        bar_return: one row a prediction, sorted by family and date.

    Raises
    ------
    ConfigError
        For an unknown name, family or session: the message says what there is.
    StageError
        If nothing is graded, or a file can't be read.

    Examples
    --------
    >>> results.predictions("demo", "SIM01", "lightgbm").tail(5)  # doctest: +SKIP
    """
    import polars as pl

    at = place(universe, root)
    key = instrument(at, symbol)
    graded = graded_runs(at, key, family, session)
    stored = at.runs("instrument").predictions(_bucket(at, key), graded["record_id"].to_list())
    rows = _long(stored.lazy()).collect().with_columns(pl.col("label", "bar_return").fill_nan(None))
    found = graded.select(RUN).join(rows, on="record_id").sort("family", "record_id", "date")
    return as_frame(_as_dates(found), frame)


def scan_predictions(universe: str | None = None, *, root: Folder = None) -> pl.LazyFrame:
    """Scan the predictions of every run of single instruments that was ever trained: nothing is read at first.

    Parameters
    ----------
    universe, root
        As `grades` takes them.

    Returns
    -------
    LazyFrame
        Columns of `predictions`; dates are times without a zone, in UTC. Join it with ``grades(...)`` on record_id to
        keep the graded runs.

    Raises
    ------
    StageError
        If nothing is trained.

    Examples
    --------
    >>> results.scan_predictions("demo").filter(symbol="SIM01").collect()  # doctest: +SKIP
    """
    import polars as pl

    at = place(universe, root)
    files = sorted(at.paths.runs.glob("b*.runs.parquet"))
    if not files:
        raise StageError(f"universe={at.dataset} has no runs: run `{at.command('train')}`")
    table = pl.scan_parquet(files, glob=False, missing_columns="insert", extra_columns="ignore")
    return _long(table.select(*RUN, pl.col("^oos_.*$")))


@overload
def equity(
    universe: str | None = None, symbol: Symbol | None = None, family: str | None = None,
    *, session: str | None = None, frame: Polars = "polars", root: Folder = None,
) -> pl.DataFrame: ...  # fmt: skip
@overload
def equity(
    universe: str | None = None, symbol: Symbol | None = None, family: str | None = None,
    *, session: str | None = None, frame: Pandas, root: Folder = None,
) -> pd.DataFrame: ...  # fmt: skip
def equity(
    universe: str | None = None,
    symbol: Symbol | None = None,
    family: str | None = None,
    *,
    session: str | None = None,
    frame: Frame = "polars",
    root: Folder = None,
) -> pl.DataFrame | pd.DataFrame:
    """Give the out-of-sample equity of an instrument's graded runs, net of costs, from 1.

    Training stores the curves of the runs that pass. Those of the others are computed from their predictions by the
    code that graded them.

    Parameters
    ----------
    universe, symbol, family, session, frame, root
        As `predictions` takes them.

    Returns
    -------
    DataFrame
        record_id, asset_class, symbol, family, stamp, net (return of the day), equity, always_long (equity of holding
        always, with the same sizing and costs): one row a day, sorted by family and day.

    Raises
    ------
    ConfigError
        For an unknown name, family or session: the message says what there is.
    StageError
        If a run can't be traded again as it was graded, because its bars are gone or were restated.

    Examples
    --------
    >>> results.equity("demo", "SIM01", "lightgbm").select("stamp", "equity", "always_long")  # doctest: +SKIP
    """
    import polars as pl

    at = place(universe, root)
    graded = graded_runs(at, instrument(at, symbol), family, session)
    store = at.runs("instrument")
    curves = [store.equity(part["record_id"].to_list(), key) for (key,), part in graded.group_by("graded_by")]
    stored = pl.concat([each.with_columns(pl.col("stamp").cast(pl.Datetime("us"))) for each in curves])
    missing = graded.join(stored, on="record_id", how="anti")
    rows = pl.concat([stored, *_curves_again(at, missing)])
    found = graded.select(RUN).join(rows, on="record_id").sort("family", "record_id", "stamp")
    return as_frame(_as_dates(found), frame)


def graded_runs(at: Place, key: Key, family: str | None, session: str | None) -> pl.DataFrame:
    """Grades of an instrument's runs.

    Parameters
    ----------
    at : Place
    key : (asset_class, symbol)
    family : str or None
    session : str or None

    Returns
    -------
    DataFrame
        Identity and keys of each run; not empty.

    Raises
    ------
    ConfigError
        If there is none: names the families that there are.
    """
    import polars as pl

    own = grades_of(at, "instrument", session, _GRADED)
    own = own.filter((pl.col("asset_class") == key[0]) & (pl.col("symbol") == key[1]))
    found = own if family is None else own.filter(pl.col("family") == family)
    if found.is_empty():
        raise unknown_family(at, key, family, own["family"])
    return found


def _long(table: pl.LazyFrame) -> pl.LazyFrame:
    """One row a prediction."""
    import polars as pl

    from src.training.run_tables import OOS_SCHEMA

    long = table.explode(list(OOS_SCHEMA))
    return long.rename({name: name.removeprefix("oos_") for name in OOS_SCHEMA}).filter(pl.col("date").is_not_null())


def _curves_again(at: Place, graded: pl.DataFrame) -> list[pl.DataFrame]:
    """Equity of runs whose curve is not stored, by trading their predictions again."""
    from src.signals.own_decisions import GradedRuns

    if graded.is_empty():
        return []
    rows = {row["record_id"]: row for row in graded.iter_rows(named=True)}
    reader = GradedRuns(at.paths)
    curves = [_curve(run, rows[run.record_id], at) for runs in reader.read(graded) for run in runs]
    for record_id, reason in reader.left_out.items():
        raise _not_again(at, rows[record_id], reason)
    return curves


def _curve(run: GradedRun, row: dict[str, Any], at: Place) -> pl.DataFrame:
    """Equity of a run, where trading it gives the figures that are stored."""
    import numpy as np
    import polars as pl

    from src.evaluation import metrics
    from src.evaluation.strategy import exposures, performance

    net = performance(exposures(run.direction, run.decisions.horizon), run.conditions).net
    always = performance(np.ones(run.positions.size), run.conditions).net
    again = {"sharpe": metrics.sharpe(net, run.decisions.bars_per_year), "max_drawdown": metrics.max_drawdown(net)}
    for name, value in again.items():
        stored = row[name]
        if (value is None) != (stored is None) or abs((value or 0.0) - (stored or 0.0)) > 1e-9:
            raise _not_again(at, row, f"{name} {stored} is stored, and its predictions give {value}")
    return pl.DataFrame({
        "record_id": run.record_id,
        "stamp": run.decisions.stamps[run.positions].astype("datetime64[us]"),
        "net": net,
        "equity": metrics.equity(net),
        "always_long": metrics.equity(always),
    })  # fmt: skip


def _not_again(at: Place, row: dict[str, Any], reason: str) -> StageError:
    run = f"{row['asset_class']}.{row['symbol']} {row['family']}"
    return StageError(f"{run} can't be traded again ({reason}): run `{at.command('train')}`, which grades again")


def _bucket(at: Place, key: Key) -> int | None:
    from src.market.bars import BarStore, bucket

    store = BarStore(Path(at.paths.bars))
    return bucket(*key, store.manifest.buckets) if store.exists() else None


def _as_dates(rows: pl.DataFrame) -> pl.DataFrame:
    """Dates in place of times where all are at midnight, else times in UTC, as bars have them."""
    import polars as pl

    times = [name for name in ("date", "stamp") if name in rows.columns]
    if all((rows[name] == rows[name].dt.truncate("1d")).all() for name in times):
        return rows.with_columns(pl.col(times).cast(pl.Date))
    return rows.with_columns(pl.col(times).dt.replace_time_zone("UTC"))
