"""How far each feature of a fold's test window is from its training window, beside what it comes to without drift.

The index is the monitor's (`src.monitoring.psi`). What it comes to without drift is taken from two kinds of windows as
long as the test, together: those that the monitor simulates, which follow a training window with its own shares,
autocorrelations and correlations, and blocks of the training window against the rest of it, which hold its clusters of
volatility. The same noise, and the same days, move all instruments of the sample, so that the median over them strays
as far as it does where instruments move together.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import polars as pl

from src.config.paths import DatasetPaths
from src.core.arrays import Bytes, FloatArray, Matrix
from src.core.code_hash import code_digest
from src.core.instruments import KEY
from src.features.store import FeatureStore
from src.market.bars import BarStore, bucket
from src.monitoring.psi import Cuts, counts, psi, simulated_years
from src.reporting.compared import sampled
from src.reporting.kept import kept
from src.training.run_store import RunStore

INSTRUMENTS = 8
"""Instruments of the sample: the first by hash."""
DRAWS = 4
"""Windows without drift that are simulated for each fold of an instrument."""
MUCH = 0.25
"""Index from which a rule of thumb for large independent samples calls a change much (Siddiqi 2006, p. 136)."""
LEAST_TRAIN, LEAST_TEST = 250, 60
DRIFT = {
    "feature": pl.String, "group": pl.String, "psi": pl.Float64, "usual": pl.Float64, "limit": pl.Float64,
    "above": pl.Int64, "folds": pl.Int64, "much": pl.Float64, "much_usual": pl.Float64, "instruments": pl.Int64,
}  # fmt: skip
Windows = tuple[int, tuple[str, ...], Matrix, Matrix]
"""Number of the fold, names of the features, rows of training and of the test."""


def read_drift(paths: DatasetPaths, grades: pl.DataFrame, seed: int) -> pl.DataFrame:
    """Measure the drift of features between the training and the test window of each fold, on a sample.

    Parameters
    ----------
    paths : DatasetPaths
    grades : DataFrame
        Of the session.
    seed : int
        Of what is simulated.

    Returns
    -------
    DataFrame
        In `DRIFT`, a row a feature: group (its family), psi (median over instruments and folds), usual (the same
        without drift), limit (below which 95% of the folds' medians lie without drift), above (folds beyond it),
        folds, much (share of the folds' medians that are at least `MUCH`), much_usual (the same without drift),
        instruments. Empty where no feature or no run is stored.
    """
    store, bars = FeatureStore(paths.features), BarStore(paths.bars)
    if grades.is_empty() or not bars.exists() or not store.buckets():
        return pl.DataFrame(schema=DRIFT)
    chosen = sampled(grades.select(KEY).unique(), bars).head(INSTRUMENTS)
    runs = grades.join(chosen, on=KEY, how="semi").sort(*KEY, "family").unique(KEY, keep="first", maintain_order=True)
    numbers = {_bucket(row, bars) for row in runs.select(KEY).iter_rows(named=True)}
    used = sorted(numbers & set(store.buckets()))
    stored = [[store.ledger.fact(b, "bars"), store.codes(b)] for b in used]
    made_from = [runs["record_id"].to_list(), stored, seed, *map(code_digest, (measured, blocks, summarised, windows))]

    def compute() -> pl.DataFrame:
        found = pl.DataFrame(
            [row for each in _instruments(paths, runs, used, bars) for row in measured(each, seed)],
            schema={"instrument": pl.String, "fold": pl.Int64, "feature": pl.String, "psi": pl.Float64,
                    "usual": pl.List(pl.Float64)},
        )  # fmt: skip
        return summarised(found)

    return kept(paths.report_cache, "drift", made_from, compute)


def measured(of: tuple[str, list[Windows]], seed: int) -> Iterator[dict[str, object]]:
    """Measure the features of each fold of an instrument, and of windows without drift.

    Parameters
    ----------
    of : (str, list of Windows)
        Name of the instrument, and its folds.
    seed : int

    Yields
    ------
    dict
        instrument, fold, feature, psi, usual (of each window without drift).
    """
    instrument, folds = of
    for fold, names, train, test in folds:
        cuts = Cuts.of(train)
        cells = cuts.cells(train)
        index: FloatArray = psi(counts(cells), counts(cuts.cells(test)))
        simulated = simulated_years(cells, train, test.shape[0], 1, DRAWS, seed)[0]  # one look at a window
        null = np.vstack([simulated.astype(np.float64), blocks(cells, test.shape[0])])
        for j, name in enumerate(names):
            yield {"instrument": instrument, "fold": fold, "feature": name, "psi": float(index[j]),
                   "usual": null[:, j].tolist()}  # fmt: skip


def blocks(cells: Bytes, length: int) -> FloatArray:
    """Compare blocks of a training window with the rest of it.

    Parameters
    ----------
    cells : uint8, shape (n, features)
        Of the training window, in order.
    length : int
        Rows of a block; the last one ends with the window.

    Returns
    -------
    float64, shape (blocks, features)
        `DRAWS` blocks at most, the last first, as long as each leaves at least `LEAST_TRAIN` rows and is left whole.
    """
    n, whole = cells.shape[0], counts(cells)
    many = min(DRAWS, n // length) if n - length >= LEAST_TRAIN else 0
    out = np.empty((many, cells.shape[1]))
    for k in range(many):
        own = counts(cells[n - (k + 1) * length : n - k * length])
        out[k] = psi(whole - own, own)
    return out


def summarised(rows: pl.DataFrame) -> pl.DataFrame:
    """Summarise what was measured, a row a feature.

    Parameters
    ----------
    rows : DataFrame
        From `measured`.

    Returns
    -------
    DataFrame
        In `DRIFT`, those that are furthest beyond their limit first.
    """
    from src.features.catalog import declared

    if rows.is_empty():
        return pl.DataFrame(schema=DRIFT)
    number = pl.int_ranges(0, pl.col("usual").list.len())
    draws = rows.with_columns(draw=number).explode("usual", "draw")
    null = draws.group_by("feature", "fold", "draw").agg(pl.col("usual").median())
    levels = null.group_by("feature").agg(
        pl.col("usual").median(),
        pl.col("usual").quantile(0.95, "linear").alias("limit"),
        (pl.col("usual") >= MUCH).mean().alias("much_usual"),
    )
    folds = rows.group_by("feature", "fold").agg(pl.col("psi").median().alias("of_fold")).join(levels, on="feature")
    per = folds.group_by("feature").agg(
        pl.first("usual", "limit", "much_usual"),
        (pl.col("of_fold") > pl.col("limit")).sum().alias("above"),
        pl.len().alias("folds"),
        (pl.col("of_fold") >= MUCH).mean().alias("much"),
    )
    whole = rows.group_by("feature").agg(pl.col("psi").median(), pl.col("instrument").n_unique().alias("instruments"))
    families = {name: each.family for name, each in declared().items()}
    group = pl.col("feature").replace_strict(families, default="own", return_dtype=pl.String)
    out = per.join(whole, on="feature").with_columns(group=group)
    ordered = out.sort(pl.col("psi") / pl.col("limit").clip(1e-9), "feature", descending=[True, False])
    return ordered.select(pl.col(name).cast(kind) for name, kind in DRIFT.items())


def _instruments(
    paths: DatasetPaths, runs: pl.DataFrame, used: list[int], bars: BarStore
) -> Iterator[tuple[str, list[Windows]]]:
    """Each instrument of the sample with its folds."""
    store, stored = FeatureStore(paths.features), RunStore(paths.runs)
    listed = dict(stored.runs(("features",), runs["record_id"]).select("record_id", "features").iter_rows())
    for number in used:
        own = [row for row in runs.iter_rows(named=True) if _bucket(row, bars) == number and row["record_id"] in listed]
        known = store.codes(number).keys()
        names = sorted({name for row in own for name in json.loads(listed[row["record_id"]])} & known)
        keys = [(row["asset_class"], row["symbol"]) for row in own]
        tables = store.read_bucket(number, names, keys).partition_by(KEY, as_dict=True) if names else {}
        predicted = {
            row["record_id"]: row for row in stored.predictions(number, [r["record_id"] for r in own]).to_dicts()
        }
        for row, key in zip(own, keys, strict=True):
            if key in tables and row["record_id"] in predicted:
                yield ".".join(key), list(windows(tables[key], tuple(names), predicted[row["record_id"]]))


def windows(table: pl.DataFrame, names: tuple[str, ...], run: dict[str, list[object]]) -> Iterator[Windows]:
    """Split the rows of an instrument into the training and test window of each fold.

    Parameters
    ----------
    table : DataFrame
        date and the features.
    names : tuple of str
    run : dict
        oos_date and oos_fold of its predictions.

    Yields
    ------
    Windows
        Training is all before the first day of the fold's test, from the first day on which every feature is known:
        windows that fill are no drift. Folds with fewer than `LEAST_TRAIN` or `LEAST_TEST` rows
        are left out.
    """
    known = table.select(pl.col(names).is_not_null() & pl.col(names).is_not_nan())
    first = [known[name].arg_max() for name in names if known[name].any()]
    table = table.slice(max((each for each in first if each is not None), default=0))
    dates = table["date"].cast(pl.Datetime("us"))
    days = pl.DataFrame({"date": run["oos_date"], "fold": run["oos_fold"]}).group_by("fold", maintain_order=True)
    ends = days.agg(pl.col("date").min().alias("first"), pl.col("date").max().alias("last"))
    for fold, first, last in ends.iter_rows():
        parts = [table.filter(dates < first), table.filter(dates.is_between(first, last))]
        if parts[0].height >= LEAST_TRAIN and parts[1].height >= LEAST_TEST:
            train, test = (
                np.ascontiguousarray(part.select(pl.col(names).cast(pl.Float32).fill_null(float("nan"))).to_numpy())
                for part in parts
            )
            yield int(fold), names, train, test


def _bucket(row: dict[str, str], bars: BarStore) -> int:
    return bucket(row["asset_class"], row["symbol"], bars.manifest.buckets)
