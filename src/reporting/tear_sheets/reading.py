"""Read the sheets of passing runs, champions and portfolios from what training stored."""

from __future__ import annotations

import logging
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import polars as pl

from src.config.commands import command
from src.core.code_hash import code_digest
from src.core.errors import StageError
from src.core.hashing import json_digest, text_digest
from src.core.instruments import KEY, POOLED, Key
from src.market.bars import BarStore, bucket
from src.reporting.tear_sheets.benchmarks import Benchmarks, stored_markets
from src.reporting.tear_sheets.explained import ExplainedRuns, FittedRun
from src.reporting.tear_sheets.instrument_sheets import SheetIdentity, TradedRun, instrument_sheet
from src.reporting.tear_sheets.portfolio_sheets import PortfolioSheets
from src.reporting.tear_sheets.sheet import TearSheet
from src.signals.own_decisions import GradedRun, GradedRuns
from src.storage import atomic
from src.tracking.run_record import registered_name
from src.training.run_store import RunStore

if TYPE_CHECKING:
    from src.config.paths import DatasetPaths

__all__ = ["read_sheets", "runs_with_sheets", "sheet_name"]

log = logging.getLogger(__name__)
RUNS = {
    "record_id": pl.String, "asset_class": pl.String, "symbol": pl.String, "family": pl.String,
    "mlflow_run_id": pl.String, "passed": pl.Boolean, "champion": pl.Boolean, "sheet": pl.String, "digest": pl.String,
}  # fmt: skip
"""Columns of `runs_with_sheets`, with their types."""
_SAFE = re.compile(
    r"(?:(?:stock|etf|crypto)\.[A-Z0-9][A-Z0-9.-]{0,79}|pooled\.[a-z0-9_]{1,40}\.[a-z0-9_]{1,40})(?:-[0-9]+[mhdw])?"
)
_CHECKED = ("auc", "accuracy", "sharpe", "max_drawdown")
_TOLERANCE = 1e-9
_UNSHOWN = ("shift_passes", "shift_z", "stamp", "net", "equity", "always_long", "fit_seconds")


def runs_with_sheets(paths: DatasetPaths) -> pl.DataFrame:
    """Give the runs that have a sheet: those that pass, those whose version is champion, and every portfolio.

    Parameters
    ----------
    paths : DatasetPaths

    Returns
    -------
    DataFrame
        Columns of `RUNS`: ``sheet`` is a file name, see `sheet_name`; ``digest`` is of everything that the sheet shows,
        without computing it.
    """
    versions, interval = _champions(paths), _interval(paths)
    shared = [interval, code_digest(instrument_sheet, PortfolioSheets), stored_markets(BarStore(paths.bars))]
    store, rows = RunStore(paths.runs), []
    for row in _graded(paths, versions).iter_rows(named=True):
        name = registered_name(row["asset_class"], row["symbol"], interval)
        version = versions.get(row["record_id"])
        shown = {key: str(value) for key, value in row.items() if key not in _UNSHOWN and value is not None}
        rows.append({
            **{key: row[key] for key in ("record_id", *KEY, "family", "mlflow_run_id", "passed")},
            "champion": version is not None,
            "sheet": sheet_name(name, row["family"]),
            "digest": json_digest([shown, version, store.model_path(row["record_id"]) is not None, *shared]),
        })  # fmt: skip
    return _with_names_of_their_own(pl.DataFrame(rows, schema=RUNS, orient="row"))


def read_sheets(paths: DatasetPaths, record_ids: list[str]) -> Iterator[TearSheet]:
    """Read and compute the sheets of some runs.

    Parameters
    ----------
    paths : DatasetPaths
    record_ids : list of str
        Of `runs_with_sheets`.

    Yields
    ------
    TearSheet
        In any order. A run whose grade its predictions do not give is left out with a warning that names it.
    """
    versions, interval = _champions(paths), _interval(paths)
    graded = _graded(paths, versions).filter(pl.col("record_id").is_in(record_ids))
    identities = {}
    for row in graded.iter_rows(named=True):
        name = registered_name(row["asset_class"], row["symbol"], interval)
        identities[row["record_id"]] = SheetIdentity(row, name, versions.get(row["record_id"]))
    pooled = pl.col("asset_class") == POOLED
    yield from _instruments(paths, graded.filter(~pooled), identities)
    yield from _portfolios(paths, [identities[key] for key in graded.filter(pooled)["record_id"]])


def sheet_name(registered_name: str, family: str) -> str:
    """Name of a sheet's file in ``reports/<dataset>/sheets``, such as ``stock.AAPL.lightgbm.html``.

    Parameters
    ----------
    registered_name, family : str

    Returns
    -------
    str
        One that every file system holds: no two runs share one, also where letter case is ignored. Names with other
        characters than capitals, digits, dots and hyphens end in a digest.
    """
    if _SAFE.fullmatch(registered_name):
        return f"{registered_name}.{family}.html"
    readable = re.sub(r"[^A-Za-z0-9.-]", "_", registered_name)[:60]
    return f"{readable}~{text_digest(registered_name)[:8]}.{family}.html"


def _with_names_of_their_own(runs: pl.DataFrame) -> pl.DataFrame:
    """Tell apart the runs of one instrument and family, which differ in settings or seeds."""
    several = Counter(runs["sheet"])
    names = [
        f"{name.removesuffix('.html')}~{text_digest(record_id)[:8]}.html" if several[name] > 1 else name
        for name, record_id in runs.select("sheet", "record_id").iter_rows()
    ]
    return runs.with_columns(sheet=pl.Series(names, dtype=pl.String))


# what is stored ---------------------------------------------------------------------------------------------------


def _graded(paths: DatasetPaths, versions: Mapping[str, int]) -> pl.DataFrame:
    """Rows of the grades of the runs that have a sheet, without those that were trained again since."""
    own, pooled = (_grades(path) for path in (paths.grades, paths.portfolio_grades))
    own = own.filter(pl.col("passed") | pl.col("record_id").is_in(list(versions))) if own.height else own
    found = pl.concat([own, pooled], how="diagonal_relaxed")
    if found.is_empty():
        return pl.DataFrame(schema={name: RUNS.get(name, pl.String) for name in (*RUNS, "graded_by")})
    stores = [RunStore(folder) for folder in (paths.runs, paths.portfolios) if folder.is_dir()]
    former = [store.runs(()).filter("superseded")["record_id"] for store in stores]
    for gone in former:
        found = found.filter(~pl.col("record_id").is_in(gone.implode()))
    if "mlflow_run_id" not in found.columns:
        found = found.with_columns(mlflow_run_id=pl.lit(None, dtype=pl.String))
    return found.sort(*KEY, "family", "record_id")


def _grades(path: Any) -> pl.DataFrame:
    if not path.is_file():
        return pl.DataFrame()
    with atomic.read_errors(path, "make it again"):
        return pl.read_parquet(path, glob=False).drop(_UNSHOWN, strict=False)


def _champions(paths: DatasetPaths) -> dict[str, int]:
    """Version that is champion, by the record id of its run, as promotion left them."""
    path = paths.states("promote")
    if not path.is_file():
        return {}
    with atomic.read_errors(path, f"run `{command('promote', stored=paths.dataset)}`, which writes it again"):
        rows = pl.read_parquet(path, columns=["record_id", "version", "state"], glob=False)
    return dict(rows.filter(state="champion").drop_nulls().select("record_id", "version").iter_rows())


def _interval(paths: DatasetPaths) -> str:
    store = BarStore(paths.bars)
    return store.manifest.interval if store.exists() else "1d"


# sheets -----------------------------------------------------------------------------------------------------------


def _instruments(
    paths: DatasetPaths, graded: pl.DataFrame, identities: Mapping[str, SheetIdentity]
) -> Iterator[TearSheet]:
    if graded.is_empty() or not BarStore(paths.bars).exists():
        for record_id in graded["record_id"] if graded.height else ():
            _leave_out(identities[record_id], "its bars are gone", paths)
        return
    runs, stored = GradedRuns(paths), _stored(paths, graded)
    explained, benchmarks = ExplainedRuns(paths, stored), Benchmarks(runs.bars)
    of_bucket, count, current = defaultdict(list), runs.bars.manifest.buckets, -1
    for record_id, kind, symbol in graded.select("record_id", *KEY).iter_rows():
        of_bucket[bucket(kind, symbol, count)].append((record_id, (kind, symbol)))
    for own in runs.read(graded):
        number = bucket(*own[0].key, count)
        if number != current:
            keys: list[Key] = sorted({key for _, key in of_bucket[number]})
            explained.read(number, keys, [stored[each] for each, _ in of_bucket[number] if each in stored])
            current = number
        for run in own:
            sheet = _sheet(run, identities[run.record_id], stored[run.record_id], benchmarks, explained, paths)
            if sheet is not None:
                yield sheet
    for record_id, reason in runs.left_out.items():
        _leave_out(identities[record_id], reason, paths)


def _stored(paths: DatasetPaths, graded: pl.DataFrame) -> dict[str, FittedRun]:
    sha256 = dict(graded.select("record_id", "model_sha256").iter_rows())
    columns = ("family", "features", "importance", "parts")
    rows = RunStore(paths.runs).runs(columns, graded["record_id"]).iter_rows(named=True)
    return {row["record_id"]: FittedRun.of(row, sha256[row["record_id"]]) for row in rows}


def _sheet(
    run: GradedRun,
    identity: SheetIdentity,
    stored: FittedRun,
    benchmarks: Benchmarks,
    explained: ExplainedRuns,
    paths: DatasetPaths,
) -> TearSheet | None:
    name, returns = benchmarks.of(run)
    traded = TradedRun.of(run, returns)
    if unlike := _unlike(identity.grade, traded.grade()):
        _leave_out(identity, unlike, paths)
        return None
    return instrument_sheet(traded, identity, stored, name, explained.explained(run))


def _portfolios(paths: DatasetPaths, identities: list[SheetIdentity]) -> Iterator[TearSheet]:
    sheets = PortfolioSheets(paths)
    for identity in identities:
        try:
            sheet, figures = sheets.compute(identity)
        except (StageError, ValueError) as error:
            _leave_out(identity, str(error), paths)
            continue
        if unlike := _unlike(identity.grade, figures):
            _leave_out(identity, unlike, paths)
        else:
            yield sheet


def _unlike(stored: Mapping[str, Any], found: Mapping[str, float | None]) -> str:
    """Where figures differ from the stored ones; empty where they do not."""
    different = []
    for name in _CHECKED:
        left, right = stored.get(name), found[name]
        same = left is None if right is None else left is not None and abs(left - right) <= _TOLERANCE
        if not same:
            different.append(f"{name} {right} instead of {left}")
    return f"its predictions give another grade than is stored: {', '.join(different)}" if different else ""


def _leave_out(identity: SheetIdentity, reason: str, paths: DatasetPaths) -> None:
    row, train = identity.grade, command("train", stored=paths.dataset)
    run = f"{row['asset_class']} {row['symbol']} {row['family']} ({row['record_id']})"
    log.warning("no tear sheet of %s: %s; `%s` grades it again", run, reason.rstrip("."), train)
