"""What the stages left on disk, as the report needs it: grades, states, facts about the bars, equity, luck."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import polars as pl

from src.core.errors import StageError
from src.evaluation.multiple_testing import session_evidence
from src.market.bars import BarStore
from src.reporting.session_data import STAGES, Luck, matching_equity, tidy_equity, tidy_grades, tidy_states
from src.runtime import heartbeat
from src.sources import registry
from src.storage import atomic
from src.training.run_store import RunStore


def graded(root: Path, dataset: str) -> pl.DataFrame:
    """Read the grades of a dataset.

    Raises
    ------
    StageError
        Where training has left none (names the missing command), or the file can't be read.
    """
    path = root / "grades" / f"{dataset}.parquet"
    if not path.exists():
        raise StageError(f"no grades for universe={dataset}: {_remedy(root, dataset)}")
    return tidy_grades(_read(path))


def _remedy(root: Path, dataset: str) -> str:
    """What to run where there are no grades: training, or the one that was interrupted once more."""
    begun = RunStore(root / "runs" / dataset).runs(("record_id",)).height
    told = [beat for beat in heartbeat.beats(dataset, root) if beat.verb in ("train", "follow")]
    command = told[-1].command if told else f"python -m src.train universe={dataset}"
    if told and told[-1].alive:
        return f"training works on them ({begun:,} runs are stored so far); run this once it has ended"
    if begun:
        return f"training has not come to its end ({begun:,} runs are stored): `{command}` goes on, then run this"
    return f"run `{command}` first"


def states(root: Path, dataset: str) -> dict[str, pl.DataFrame]:
    """Read the states of every stage that has left some."""
    paths = {stage: root / "states" / dataset / f"{stage}.parquet" for stage in STAGES}
    return {stage: tidy_states(_read(path), stage) for stage, path in paths.items() if path.exists()}


def bars(root: Path, dataset: str) -> tuple[dict[str, str], frozenset[tuple[str, str]] | None, bool]:
    """Read what the bars' manifest tells: facts in words, planted instruments, whether the bars are simulated."""
    store = BarStore(root / "bars" / dataset)
    if not store.exists():
        return {}, None, False
    manifest = store.manifest
    facts = {
        "bars": manifest.source,
        "interval": manifest.interval,
        "adjustment": manifest.basis,
        "bars until": manifest.until or "all that the source has",
    }
    if not manifest.complete:
        facts["hydration"] = "not complete yet: instruments still missing are not in these figures"
    planted = frozenset((kind, symbol) for kind, symbol in manifest.planted)
    return facts, planted or None, registry.is_simulated(manifest.source)


def equity(root: Path, dataset: str, best: pl.DataFrame) -> pl.DataFrame:
    """Read the net equity of runs; the curve of a reused run stands with the session that graded it."""
    store = RunStore(root / "runs" / dataset)
    sessions = best.filter(pl.col("graded_by").is_not_null()).group_by("graded_by", maintain_order=True)
    found = [store.equity(runs["record_id"].to_list(), str(key)) for (key,), runs in sessions]
    curves = [tidy_equity(curve.rename({"always_long": "always_long_equity"}, strict=False)) for curve in found]
    return matching_equity(pl.concat([tidy_equity(pl.DataFrame()), *curves]), best)


def importance(root: Path, dataset: str, grades: pl.DataFrame) -> pl.DataFrame:
    """Average the importance of each feature over the graded runs.

    Returns
    -------
    DataFrame
        feature, group (its family; "own" where it is no longer declared), a column for each model family with its mean
        share of the gain, and "all runs"; empty where no run carries any.
    """
    from src.features.catalog import declared

    runs = RunStore(root / "runs" / dataset).runs(("family", "features", "importance"))
    runs = runs.filter(pl.col("record_id").is_in(grades["record_id"].to_list()))
    if runs.is_empty():
        return pl.DataFrame()
    sums: dict[str, pl.DataFrame] = {}
    every = [("all runs", runs), *((str(name), part) for (name,), part in runs.group_by("family"))]
    for name, part in sorted(every, key=lambda each: each[0]):
        found = [
            pl.DataFrame({"feature": json.loads(names), name: np.sum(rows["importance"].to_list(), axis=0)})
            for (names,), rows in part.group_by("features", maintain_order=True)
        ]
        total = pl.concat(found).group_by("feature").agg(pl.col(name).sum())
        sums[name] = total.with_columns(pl.col(name) / part.height)
    table = sums.pop("all runs")
    for other in sums.values():
        table = table.join(other, on="feature", how="left").fill_null(0.0)
    families = {name: item.family for name, item in declared().items()}
    groups = [families.get(name, "own") for name in table["feature"]]
    return table.with_columns(group=pl.Series(groups, dtype=pl.String)).sort("feature")


def luck_of(grades: pl.DataFrame) -> Luck:
    """Measure a set of runs against luck, by the evidence that they carry; what they lack stays unclaimed."""
    found = session_evidence(grades)
    seen = found.passes, found.instruments
    if grades.height and grades["luck_rate"].is_null().all():
        return Luck(*seen, None, None, None)
    if grades.height and grades["shift_passes"].is_null().all():  # 0 to 0 would read as a range
        return Luck(*seen, found.expected, None, None)
    by_instrument = (found.expected_instruments, found.low_instruments, found.high_instruments)
    return Luck(*seen, found.expected, found.low, found.high, found.sentence(), by_instrument)


def _read(path: Path) -> pl.DataFrame:
    with atomic.read_errors(path, "make it again"):
        return pl.read_parquet(path)
