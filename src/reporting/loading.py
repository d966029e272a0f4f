"""Read what the stages stored: grades, states, facts about the bars, equity, importance, and evidence on luck."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl

from src.config.commands import command
from src.config.paths import DatasetPaths
from src.core.arrays import FloatArray
from src.core.errors import StageError
from src.core.instruments import Key
from src.evaluation.multiple_testing import session_evidence
from src.evaluation.placebo import PlaceboEvidence
from src.hydration.quality import USED, Quality, quality
from src.market.bars import BarStore, bucket
from src.reporting.quality_worst import AROUND, worst
from src.reporting.report_data import POOLED, STAGES, Luck
from src.reporting.schemas import equity_table, grades_table, matching_equity, states_table
from src.runtime import heartbeat
from src.sources import registry
from src.storage import atomic
from src.training.placebo import stored_evidence
from src.training.run_store import RunStore

ALL_RUNS = "all runs"


@dataclass(frozen=True)
class BarFacts:
    """What the manifest of the bars says.

    Attributes
    ----------
    facts : dict of str to str
        Source, interval, adjustment and last date, by their names on the page.
    planted : frozenset of (asset_class, symbol), optional
        Instruments with a planted edge; None if the source plants none.
    simulated : bool
        Whether the source simulates its bars.
    """

    facts: dict[str, str]
    planted: frozenset[tuple[str, str]] | None = None
    simulated: bool = False


def read_grades(paths: DatasetPaths) -> pl.DataFrame:
    """Read the grades of a dataset.

    Parameters
    ----------
    paths : DatasetPaths
        Of the dataset.

    Returns
    -------
    DataFrame
        In `schemas.GRADE_SCHEMA`; empty where pooled models alone were trained.

    Raises
    ------
    StageError
        If there are no grades of either scope (the message names the command to run), or the file can't be read.
    """
    if not paths.grades.exists() and paths.portfolio_grades.exists():
        return grades_table(pl.DataFrame())
    if not paths.grades.exists():
        raise StageError(f"no grades for universe={paths.dataset}: {_remedy(paths)}")
    return grades_table(_read(paths.grades))


def _remedy(paths: DatasetPaths) -> str:
    """What to run if there are no grades: training, or again the training that was interrupted."""
    stored = RunStore(paths.runs).runs(("record_id",)).height
    trainings = [beat for beat in heartbeat.beats(paths.dataset, paths.root) if beat.verb in ("train", "follow")]
    started = trainings[-1].command if trainings else command("train", stored=paths.dataset)
    if trainings and trainings[-1].alive:
        return f"training is running ({stored:,} runs are stored so far); run this again when it has ended"
    if stored:
        return f"training was interrupted ({stored:,} runs are stored): run `{started}` to continue, then this"
    return f"run `{started}` first"


def read_states(paths: DatasetPaths) -> dict[str, pl.DataFrame]:
    """Read the states tables of a dataset.

    Returns
    -------
    dict of str to DataFrame
        By stage, in `schemas.STATE_SCHEMA`; without the stages that have not stored any.

    Raises
    ------
    StageError
        If a file can't be read.
    """
    tables = {stage: paths.states(stage) for stage in STAGES} | {POOLED: paths.portfolios / "states.parquet"}
    return {stage: states_table(_read(path), stage) for stage, path in tables.items() if path.exists()}


def read_bar_facts(paths: DatasetPaths) -> BarFacts:
    """Read the manifest of the bars.

    Returns
    -------
    BarFacts
        Empty if there are no bars.
    """
    store = BarStore(paths.bars)
    if not store.exists():
        return BarFacts({})
    manifest = store.manifest
    facts = {
        "bars": manifest.source,
        "interval": manifest.interval,
        "adjustment": manifest.basis,
        "last bar": manifest.until or "the last that the source has",
    }
    if not manifest.complete:
        facts["hydration"] = "incomplete: instruments that are still missing are not in these figures"
    planted = frozenset((asset_class, symbol) for asset_class, symbol in manifest.planted)
    return BarFacts(facts, planted or None, registry.is_simulated(manifest.source))


def read_quality(paths: DatasetPaths) -> Quality | None:
    """Read what hydration found of the dataset's instruments.

    Returns
    -------
    Quality or None
        None if there are no bars.
    """
    store = BarStore(paths.bars)
    return quality(store) if store.exists() else None


def read_around(paths: DatasetPaths, found: Quality | None) -> dict[Key, pl.DataFrame]:
    """Read the stored bars around the gravest finding of each instrument to look at first.

    Returns
    -------
    dict of (asset_class, symbol) to DataFrame
        date, close, repaired; the last bars of an instrument whose findings have no date. Without those that are not
        in use.
    """
    if found is None:
        return {}
    store, pictured = BarStore(paths.bars), {}
    for row in worst(found).filter(pl.col("outcome").is_in(USED)).iter_rows(named=True):
        key = row["asset_class"], row["symbol"]
        bars = store.read_bucket(bucket(*key, store.manifest.buckets), ["date", "close", "repaired"], [key])
        day = row["at"] or row["last"]
        before = bars.filter(pl.col("date").cast(pl.Date) < day).height
        pictured[key] = bars.slice(max(0, before - AROUND), 2 * AROUND + 1)
    return pictured


def read_equity(paths: DatasetPaths, runs: pl.DataFrame) -> pl.DataFrame:
    """Read the net equity of runs, each from the session that graded it.

    Parameters
    ----------
    paths : DatasetPaths
        Of the dataset.
    runs : DataFrame
        With record_id, graded_by and max_drawdown.

    Returns
    -------
    DataFrame
        In `schemas.EQUITY_SCHEMA`, without curves whose drawdown is not the graded one.
    """
    store = RunStore(paths.runs)
    sessions = runs.filter(pl.col("graded_by").is_not_null()).group_by("graded_by", maintain_order=True)
    stored = [store.equity(part["record_id"].to_list(), str(key)) for (key,), part in sessions]
    curves = [equity_table(curve.rename({"always_long": "always_long_equity"}, strict=False)) for curve in stored]
    return matching_equity(pl.concat([equity_table(pl.DataFrame()), *curves]), runs)


def read_placebo(paths: DatasetPaths, grades: pl.DataFrame) -> PlaceboEvidence | None:
    """Read the placebo runs of the session that graded the runs, beside those of all sessions.

    Parameters
    ----------
    paths : DatasetPaths
        Of the dataset.
    grades : DataFrame
        With graded_by.

    Returns
    -------
    PlaceboEvidence or None
        None if the session has no placebo runs.
    """
    sessions = grades["graded_by"].drop_nulls().unique().to_list()
    return stored_evidence(paths, sessions[0]) if len(sessions) == 1 else None


def read_importance(paths: DatasetPaths, grades: pl.DataFrame) -> pl.DataFrame:
    """Average the importance of each feature over the graded runs.

    Parameters
    ----------
    paths : DatasetPaths
        Of the dataset.
    grades : DataFrame
        With record_id.

    Returns
    -------
    DataFrame
        feature; group (its feature family, "own" if it is no longer declared); its mean share of the gain in a column
        for each model family and in "all runs". Empty if no run has stored any.
    """
    from src.features.catalog import declared

    runs = RunStore(paths.runs).runs(("family", "features", "importance"))
    runs = runs.filter(pl.col("record_id").is_in(grades["record_id"].to_list()))
    if runs.is_empty():
        return pl.DataFrame()
    table = _mean_importance(runs, ALL_RUNS)
    for (family,), part in sorted(runs.group_by("family"), key=lambda group: str(group[0][0])):
        table = table.join(_mean_importance(part, str(family)), on="feature", how="left").fill_null(0.0)
    families = {name: feature.family for name, feature in declared().items()}
    groups = [families.get(name, "own") for name in table["feature"]]
    return table.with_columns(group=pl.Series(groups, dtype=pl.String)).sort("feature")


def _mean_importance(runs: pl.DataFrame, name: str) -> pl.DataFrame:
    """Average the runs' importance vectors, which may list different features, into a column `name`."""
    sums = [
        pl.DataFrame({"feature": json.loads(features), name: _summed(part["importance"])})
        for (features,), part in runs.group_by("features", maintain_order=True)
    ]
    return pl.concat(sums).group_by("feature").agg(pl.col(name).sum()).with_columns(pl.col(name) / runs.height)


def _summed(vectors: pl.Series) -> FloatArray:
    """Sum lists of one length, element by element."""
    total: FloatArray = vectors.explode().to_numpy().reshape(len(vectors), -1).sum(axis=0, dtype=np.float64)
    return total


def passes_against_luck(grades: pl.DataFrame) -> Luck:
    """Compare the passes of a set of runs with those that luck alone would give.

    Parameters
    ----------
    grades : DataFrame
        In `schemas.GRADE_SCHEMA`.

    Returns
    -------
    Luck
        Without expectation if no run has a luck rate, and without range if no run has common shifts.
    """
    evidence = session_evidence(grades)
    luck = Luck(evidence.passes, evidence.instruments, None, None, None)
    luck = replace(luck, registrable=evidence.registrable, session_number=evidence.session_number)
    luck = replace(luck, deflated=evidence.deflated_passes, expected_deflated=evidence.expected_deflated)
    if grades.height and grades["luck_rate"].is_null().all():
        return luck
    luck = replace(luck, expected=evidence.expected)
    if grades.height and grades["shift_passes"].is_null().all():  # 0 to 0 would read as a range
        return luck
    by_instrument = (evidence.expected_instruments, evidence.low_instruments, evidence.high_instruments)
    return replace(
        luck, low=evidence.low, high=evidence.high, sentence=evidence.sentence(), by_instrument=by_instrument
    )


def _read(path: Path) -> pl.DataFrame:
    with atomic.read_errors(path, "make it again"):
        return pl.read_parquet(path, glob=False)
