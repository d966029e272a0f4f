"""Whether features and scores of recent days still come from where those of training came from.

For each single champion the features that its model uses most are compared with the last five years of its training.
The test makes years without drift like that reference; with thousands of champions it is made for those whose scores
moved most, which only makes false alarms rarer, and features are read of these alone. Pooled champions are compared by
the daily medians of their class's pinned panel, because ranks within a day never drift.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from src.core.arrays import FloatArray, Matrix
from src.core.instruments import KEY, POOLED, Key
from src.features.store import FeatureStore
from src.market.bars import BARS_PER_YEAR, BarStore, bucket
from src.monitoring.drift_tests import LEAST_WINDOWS, DriftResult, feature_drift, score_drift
from src.monitoring.kept_results import KeptResults
from src.monitoring.psi import Cuts, counts, psi
from src.monitoring.verdicts import DriftFinding

if TYPE_CHECKING:
    from src.config.paths import DatasetPaths
    from src.config.schema import MonitorConfig
    from src.signals.recorded_runs import ChampionRun

FILE = "drift_tests.parquet"
"""Where the tests are kept until what they compare changes."""
FEATURES = 20
"""Of a model, the most important first."""
REFERENCE_ROWS = 1260
MOST_TESTED = 100
"""Champions for which the test is made: those whose scores moved most."""
_PANEL = 100  # instruments of a class whose daily medians are compared
_SHOWN = 5  # features of a champion in the table
Champion = tuple[str, int]


@dataclass(frozen=True)
class DriftCase:
    """One champion whose inputs are looked at.

    Attributes
    ----------
    champion : (name, version)
    run : ChampionRun
    scores : float64, shape (n,)
        Out of sample.
    recent_scores : float64, shape (m,)
        Said since, the latest last.
    judged_from : date or None
        Rows up to this day do not count as recent.
    """

    champion: Champion
    run: ChampionRun
    scores: FloatArray
    recent_scores: FloatArray
    judged_from: dt.date | None = None


@dataclass(frozen=True)
class Drift:
    """What was found.

    Attributes
    ----------
    findings : dict
        By name and version; a champion without enough rows has none.
    rows : list of dict
        Rows of `src.monitoring.tables.DRIFT`.
    tested : int
        Champions for which the test was made.
    """

    findings: dict[Champion, DriftFinding] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)
    tested: int = 0


@dataclass(frozen=True)
class _Rows:
    """Rows of features of one champion: of its training, and recent ones."""

    case: DriftCase
    names: tuple[str, ...]
    reference: Matrix
    recent: Matrix


def drift_of(cases: Sequence[DriftCase], paths: DatasetPaths, choice: MonitorConfig, seed: int) -> Drift:
    """Compare recent features and scores of champions with those of their training.

    Parameters
    ----------
    cases : sequence of DriftCase
        Present champions.
    paths : DatasetPaths
    choice : MonitorConfig
    seed : int

    Returns
    -------
    Drift
        Empty where no feature is stored.
    """
    store = FeatureStore(paths.features)
    if not store.buckets():
        return Drift()
    single = [case for case in cases if case.run.key[0] != POOLED]
    if len(single) > MOST_TESTED:
        single = sorted(single, key=lambda each: (-moved(each, choice), each.champion))[:MOST_TESTED]
    rows = [*_single_rows(single, store, BarStore(paths.bars), choice)]
    rows += _pooled_rows([case for case in cases if case.run.key[0] == POOLED], store, BarStore(paths.bars), choice)
    found = Drift(tested=len(rows))
    kept = KeptResults(paths.monitor / FILE, _tested)
    for each in rows:
        case = each.case
        data = [each.names, each.reference, each.recent, case.scores, case.recent_scores]
        parts = [data, case.run.key, case.run.asset_class, choice, seed]
        finding, shown = kept.of(parts, functools.partial(_tested_as_json, each, choice, seed))
        found.findings[case.champion] = DriftFinding(**finding)
        found.rows.extend(shown)
    kept.write()
    return found


def moved(case: DriftCase, choice: MonitorConfig) -> float:
    """Population stability index of a champion's recent scores against those out of sample; 0 where they are few."""
    recent = case.recent_scores[-choice.drift_window :].astype(np.float32)[:, None]
    if recent.size < choice.drift_window or not case.scores.size:
        return 0.0
    before = case.scores[-REFERENCE_ROWS:].astype(np.float32)[:, None]
    cuts = Cuts.of(before)
    return float(psi(counts(cuts.cells(before)), counts(cuts.cells(recent)))[0])


def _tested_as_json(rows: _Rows, choice: MonitorConfig, seed: int) -> list[Any]:
    finding, shown = _tested(rows, choice, seed)
    return [dataclasses.asdict(finding), shown]


def _tested(rows: _Rows, choice: MonitorConfig, seed: int) -> tuple[DriftFinding, list[dict[str, Any]]]:
    """Make the tests of one champion; half of its false alarms is for its features and half for its scores."""
    case = rows.case
    looks = BARS_PER_YEAR[case.run.asset_class]
    settings: dict[str, Any] = {
        "looks": looks,
        "alarms": choice.drift_alarms / 2.0,
        "seed": seed,
    }
    features = feature_drift(rows.reference, rows.recent, rows.names, **settings)
    scores = _score_drift(case, choice, settings)
    most = features.most(1)[0]
    at = features.names.index(most)
    columns: dict[str, Any] = {"feature": most, "feature_psi": float(features.psi[at]), "drift_p": features.year_p}
    if scores is not None:
        columns |= {"score_psi": float(scores.psi[0]), "score_psi_p": scores.year_p}
    sentences = []
    if features.alarm:
        sentences.append(f"its features are not those of its training any more, {_most_moved(features)}")
    if scores is not None and scores.alarm:
        sentences.append(f"its scores are spread otherwise than out of sample (PSI {scores.psi[0]:.2f})")
    finding = DriftFinding(columns, bool(sentences), " and ".join(sentences))
    return finding, list(_table_rows(rows, features, scores))


def _score_drift(case: DriftCase, choice: MonitorConfig, settings: Mapping[str, Any]) -> DriftResult | None:
    recent = case.recent_scores[-choice.drift_window :]
    if recent.size < choice.drift_window or case.scores.size < LEAST_WINDOWS * recent.size:
        return None
    return score_drift(case.scores[-REFERENCE_ROWS:], recent, **settings)


def _most_moved(found: DriftResult) -> str:
    named = [f"{name} (PSI {found.psi[found.names.index(name)]:.2f})" for name in found.most(3)]
    return f"{', '.join(named)} most"


def _table_rows(rows: _Rows, features: DriftResult, scores: DriftResult | None) -> Iterator[dict[str, Any]]:
    case = rows.case
    pooled = case.run.key[0] == POOLED
    key = {"asset_class": case.run.asset_class, "symbol": None if pooled else case.run.key[1]}
    for name in features.most(FEATURES if pooled else _SHOWN):
        at = features.names.index(name)
        before, after = rows.reference[:, at], rows.recent[:, at]
        yield {
            **key, "feature": name, "psi": float(features.psi[at]), "p": float(features.p[at]),
            **_sides(before, after),
        }  # fmt: skip
    if scores is not None:
        yield {
            **key, "feature": "score", "psi": float(scores.psi[0]), "p": float(scores.p[0]),
            **_sides(case.scores, case.recent_scores),
        }  # fmt: skip


def _sides(before: Matrix | FloatArray, after: Matrix | FloatArray) -> dict[str, Any]:
    medians = [float(np.nanmedian(each)) if np.isfinite(each).any() else None for each in (before, after)]
    return {
        "reference_days": int(before.size), "recent_days": int(after.size), "reference_median": medians[0],
        "recent_median": medians[1],
    }  # fmt: skip


def used_most(run: ChampionRun) -> tuple[str, ...]:
    """Features of a run, the most important first, and not more than `FEATURES` of them."""
    if len(run.importance) != len(run.features):
        return run.features[:FEATURES]
    order = np.argsort(-np.array(run.importance), kind="stable")
    return tuple(run.features[at] for at in order[:FEATURES])


def _single_rows(
    cases: Sequence[DriftCase], store: FeatureStore, bars: BarStore, choice: MonitorConfig
) -> Iterator[_Rows]:
    """Read the rows of the champions of single instruments, a bucket at a time."""
    count, wanted = bars.manifest.buckets, defaultdict(list)
    for case in cases:
        wanted[bucket(*case.run.key, count)].append(case)
    for number in sorted(set(wanted) & set(store.buckets())):
        own = wanted[number]
        names = sorted({name for case in own for name in used_most(case.run)})
        table = _read(store, number, names, [case.run.key for case in own])
        parts = table.partition_by(KEY, as_dict=True, maintain_order=True)
        for case in own:
            if case.run.key in parts:
                yield from _split(case, parts[case.run.key], choice)


def _pooled_rows(
    cases: Sequence[DriftCase], store: FeatureStore, bars: BarStore, choice: MonitorConfig
) -> Iterator[_Rows]:
    """Daily medians over the class's panel, of the features of each pooled champion."""
    count = bars.manifest.buckets
    for case in cases:
        members: list[Key] = [key for key in bars.panel() if key[0] == case.run.asset_class][:_PANEL]
        wanted: dict[int, list[Key]] = defaultdict(list)
        for key in members:
            wanted[bucket(*key, count)].append(key)
        names = list(used_most(case.run))
        parts = [_read(store, b, names, wanted[b]) for b in sorted(set(wanted) & set(store.buckets()))]
        if parts:
            daily = pl.concat(parts).group_by("date").agg(pl.col(names).fill_nan(None).median()).sort("date")
            yield from _split(case, daily, choice)


def _read(store: FeatureStore, number: int, names: list[str], keys: list[Key]) -> pl.DataFrame:
    stored = store.codes(number)
    known = [name for name in names if name in stored]  # one that is not declared any more can't be compared
    return store.read_bucket(number, known, keys)


def _split(case: DriftCase, table: pl.DataFrame, choice: MonitorConfig) -> Iterator[_Rows]:
    """Split rows into reference and recent ones; nothing where there are too few of either."""
    until, names = case.run.until, tuple(name for name in used_most(case.run) if name in table.columns)
    if until is None or not names:
        return
    day = pl.col("date").cast(pl.Date)
    first = max(until, case.judged_from) if case.judged_from else until
    reference = table.filter(day <= until).tail(REFERENCE_ROWS)
    recent = table.filter(day > first).tail(choice.drift_window)
    if recent.height < choice.drift_window or reference.height < LEAST_WINDOWS * recent.height:
        return
    before, after = (part.select(names).cast(pl.Float32).to_numpy() for part in (reference, recent))
    yield _Rows(case, names, np.ascontiguousarray(before), np.ascontiguousarray(after))
