"""The tables of docs/settings.md, from the cells of the settings study."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from src.core.arrays import BoolArray, FloatArray
from src.evaluation import metrics
from src.evaluation.grade import Thresholds, grade
from src.evaluation.strategy import TradingConditions, directions, performance, trading_conditions
from tests.benchmarks.candidates import FAMILIES, FORMER, ORIGINAL, SHAPES, SLOW, Shape
from tests.benchmarks.paired import (
    BLOCKS,
    auc_influence,
    block_sums,
    interval,
    rank_correlation,
    rank_correlation_influence,
    replicates,
    sharpe_influence,
    sharpe_or_zero,
)
from tests.benchmarks.study_cells import Dataset, Instrument, cell, config, members, read

AUC, SHARPE, IC = 0, 1, 2
KEPT, LEAST = 0.95, 0.85  # share of the slow reference's rank IC: itself, and the lower end of its interval
ERRORS = 2.0  # standard errors by which AUC and Sharpe ratio may be below the slow reference's


@dataclass(frozen=True)
class Outcome:
    """One setting on one instrument: AUC, Sharpe ratio, rank IC; their influences by block; the verdict."""

    figures: FloatArray
    sums: FloatArray
    passed: bool


@dataclass(frozen=True)
class Pooled:
    """One setting in the pool: mean daily rank IC at each horizon (NaN: not fitted), and influences by block."""

    means: FloatArray
    sums: FloatArray

    def over(self, horizons: BoolArray) -> tuple[float, FloatArray]:
        """Mean over some horizons, and its influences."""
        return float(self.means[horizons].mean()), np.asarray(self.sums[:, horizons].mean(axis=1))


Outcomes = dict[str, dict[str, Outcome]]  # by setting, then instrument


# pooled -----------------------------------------------------------------------------------------------------------


def pooled(folder: Path, family: str, horizons: list[int]) -> dict[str, Pooled]:
    """Every setting of a family that was fitted on every fold at one horizon at least."""
    found = {}
    for shape in (s for s in SHAPES if s.family == family):
        series = [_daily(folder, shape, horizon) for horizon in horizons]
        for row, setting in enumerate(shape.settings if any(series) else ()):
            means, sums = np.full(len(horizons), np.nan), np.zeros((BLOCKS, len(horizons)))
            for column, each in enumerate(series):
                if each is not None:
                    day, ic = each[0], each[1][row]
                    means[column] = ic.mean()
                    sums[:, column] = block_sums(day, (ic - ic.mean()) / ic.size)
            found[setting] = Pooled(means, sums)
    return found


def _daily(folder: Path, shape: Shape, horizon: int) -> tuple[FloatArray, FloatArray] | None:
    """Days and their rank ICs over all folds, one row for each number of rounds; None where a fold is missing."""
    folds = [path.name for path in (folder / "pool").iterdir() if path.is_dir()]
    paths = [cell(folder, f"pooled-{horizon}", shape, fold) for fold in sorted(folds)]
    if not all(path.is_file() for path in paths):
        return None
    cells = [read(path) for path in paths]
    rows = [[each["rounds"].tolist().index(n) for n in shape.rounds] for each in cells]
    ic = np.concatenate([each["ic"][row] for each, row in zip(cells, rows, strict=True)], axis=1)
    return np.concatenate([each["day"] for each in cells]), ic


def bar(found: dict[str, Pooled]) -> str:
    """The setting of the highest rank IC among the slow ones and the one in use."""
    here = np.isfinite(found[FORMER].means)
    slow = [name for name in (*SLOW, ORIGINAL, FORMER) if name in found and np.isfinite(found[name].means[here]).all()]
    return max(slow, key=lambda name: found[name].over(here)[0])


def seconds(folder: Path, family: str) -> dict[str, float]:
    """Seconds of CPU that a setting's walk-forward takes on an instrument, a fit of its own for each setting."""
    found = {}
    for shape in (s for s in SHAPES if s.family == family):
        for setting, n in zip(shape.settings, shape.rounds, strict=True):
            paths = (folder / "cells" / f"seconds-{n}" / shape.id).glob("*.npz")
            spent = [float(read(path)["seconds"]) for path in sorted(paths)]
            if spent:
                found[setting] = float(np.median(spent))  # the first one also pays for imports
    return found


def pooled_table(found: dict[str, Pooled], spent: dict[str, float], horizons: list[int]) -> Iterator[str]:
    best = found[bar(found)]
    ics = [f"rank IC, {h} bar{'s' * (h > 1)} (t)" for h in horizons]
    yield from _head(["setting", "CPU s", *ics, "mean", "of the bar (90%)", "keeps"])
    for name, each in found.items():
        errors = replicates(each.sums).std(axis=0)
        known = np.isfinite(each.means)
        cells = [f"{m:+.4f} ({m / e:.1f})" if k else "" for m, e, k in zip(each.means, errors, known, strict=True)]
        ratio, low, high = ratio_of(*each.over(known), *best.over(known))
        shown = f"{ratio:.0%} ({low:.0%} to {high:.0%})" if each is not best else "the bar"
        mean = f"{each.over(known)[0]:+.4f}" if known.all() else ""
        cost = f"{spent[name]:.2f}" if name in spent else ""
        yield _row(
            [
                name,
                cost,
                *cells,
                mean,
                shown,
                _yes(ratio >= KEPT and low >= LEAST),
            ]
        )


def ratio_of(one: float, sums: FloatArray, other: float, others: FloatArray) -> tuple[float, float, float]:
    """Ratio of two figures with its 90% interval, paired by calendar block."""
    moved = replicates(np.stack([sums, others], axis=1))
    low, high = interval((one + moved[:, 0]) / (other + moved[:, 1]))
    return one / other, low, high


# one instrument at a time -----------------------------------------------------------------------------------------


def outcomes(folder: Path, part: str, dataset: Dataset, family: str) -> Outcomes:
    """What every setting of a family made of every instrument on which it was fitted."""
    shapes = [s for s in SHAPES if s.family == family and (folder / "cells" / part / s.id).is_dir()]
    have = {path.stem for s in shapes for path in (folder / "cells" / part / s.id).glob("*.npz")}
    found: Outcomes = {}
    for bucket in dataset.bars.buckets():
        keys = set(dataset.bars.ledger.states(bucket).select("asset_class", "symbol").rows())
        wanted = {key for key in keys if ".".join(key) in have}
        for instrument in members(dataset, bucket, wanted, []) if wanted else ():
            conditions = trading_conditions(instrument.test, instrument.chosen, config().strategy)
            for shape in shapes:
                path = cell(folder, part, shape, instrument.name)
                if path.is_file():
                    stored = read(path)
                    for n, row in zip(stored["rounds"].tolist(), stored["probability"], strict=True):
                        setting = shape.name if shape.name == ORIGINAL else f"{shape.name}-{n}"
                        outcome = outcome_of(instrument, row.astype(np.float64), conditions)
                        found.setdefault(setting, {})[f"{part}:{instrument.name}"] = outcome
    return found


def outcome_of(instrument: Instrument, probability: FloatArray, conditions: TradingConditions) -> Outcome:
    """The figures of one setting's predictions, as the grade computes them, and their influences."""
    chosen, test, yearly = instrument.chosen, instrument.test, instrument.chosen.bars_per_year
    label, change = chosen.label[test], chosen.bar_return[test]
    net = performance(directions(probability, config().strategy), conditions).net
    four = {
        "auc": metrics.auc(label, probability),
        "accuracy": metrics.accuracy(label, probability),
        "sharpe": metrics.sharpe(net, yearly),
        "max_drawdown": metrics.max_drawdown(net),
    }
    area = 0.5 if four["auc"] is None else four["auc"]
    figures = np.array([area, sharpe_or_zero(net, yearly), rank_correlation(probability, change)])
    influences = (
        auc_influence(label, probability),
        sharpe_influence(net, yearly),
        rank_correlation_influence(probability, change),
    )  # fmt: skip
    day = chosen.dates[test].astype("datetime64[D]").astype(np.int64)
    sums = np.stack([block_sums(day, each / test.size) for each in influences], axis=1)
    return Outcome(figures, sums, grade(four, Thresholds.of(config().grade)).passed)


@dataclass(frozen=True)
class Pair:
    """A setting beside the reference, on the instruments that both have: columns AUC, Sharpe ratio, rank IC."""

    n: int
    figures: FloatArray
    reference: FloatArray
    sums: FloatArray
    reference_sums: FloatArray
    passes: int
    more_passes: float
    passes_error: float

    @property
    def errors(self) -> FloatArray:
        """Standard errors of the differences."""
        return np.asarray(replicates(self.sums - self.reference_sums).std(axis=0))


def pair(one: dict[str, Outcome], other: dict[str, Outcome]) -> Pair:
    names = sorted(one.keys() & other.keys())
    passed = np.array([[one[name].passed, other[name].passed] for name in names], dtype=float)
    more = passed[:, 0] - passed[:, 1]
    return Pair(
        len(names),
        np.mean([one[name].figures for name in names], axis=0),
        np.mean([other[name].figures for name in names], axis=0),
        np.mean([one[name].sums for name in names], axis=0),
        np.mean([other[name].sums for name in names], axis=0),
        int(passed[:, 0].sum()),
        float(more.sum()),
        float(more.std() * np.sqrt(more.size)),
    )


def planted_table(found: Outcomes, reference: str) -> Iterator[str]:
    yield from _head(
        ["setting", "instruments", "AUC", "rank IC", "of the reference (90%)", "detected", "more", "keeps"]
    )
    for name, each in found.items():
        p = pair(each, found[reference])
        ratio, low, high = ratio_of(p.figures[IC], p.sums[:, IC], p.reference[IC], p.reference_sums[:, IC])
        shown = f"{ratio:.0%} ({low:.0%} to {high:.0%})" if name != reference else "the reference"
        keeps = ratio >= KEPT and p.more_passes >= -p.passes_error
        more = f"{p.more_passes:+.0f} ± {p.passes_error:.1f}"
        cells = [f"{p.figures[AUC]:.4f}", f"{p.figures[IC]:+.4f}", shown, f"{p.passes / p.n:.0%}", more, _yes(keeps)]
        yield _row([name, str(p.n), *cells])


def real_table(found: Outcomes, reference: str) -> Iterator[str]:
    yield from _head(["setting", "instruments", "AUC", "difference", "Sharpe", "difference", "passed", "more", "keeps"])
    for name, each in found.items():
        p = pair(each, found[reference])
        away = p.figures - p.reference
        keeps = bool((away[:2] >= -ERRORS * p.errors[:2]).all())
        yield _row(
            [
                name, str(p.n), f"{p.figures[AUC]:.4f}", f"{away[AUC]:+.4f} ± {p.errors[AUC]:.4f}",
                f"{p.figures[SHARPE]:+.3f}", f"{away[SHARPE]:+.3f} ± {p.errors[SHARPE]:.3f}",
                str(p.passes), f"{p.more_passes:+.0f} ± {p.passes_error:.1f}", _yes(keeps),
            ]
        )  # fmt: skip


def tables(folder: Path, real: Dataset, planted: dict[str, Dataset], horizons: list[int]) -> Iterator[str]:
    """All tables, family by family; what has no cells yet is left out."""
    for family in FAMILIES:
        pool = pooled(folder, family, horizons)
        if not pool:
            continue
        yield from (
            f"### {family}",
            "",
            "Pooled, real bars:",
            "",
            *pooled_table(pool, seconds(folder, family), horizons),
            "",
        )
        together: Outcomes = {}
        for part, dataset in planted.items():
            for setting, each in outcomes(folder, part, dataset, family).items():
                together.setdefault(setting, {}).update(each)
        alone = outcomes(folder, "real", real, family)
        for title, found, table in (("Planted", together, planted_table), ("Real", alone, real_table)):
            if reference := reference_of(together, found):
                yield from (
                    f"{title}, one instrument at a time, against {reference}:",
                    "",
                    *table(found, reference),
                    "",
                )


def reference_of(planted: Outcomes, found: Outcomes) -> str | None:
    """The setting of the highest rank IC on planted edges among the slow ones and the one in use, if it is there."""
    slow = [name for name in (*SLOW, FORMER) if name in planted]
    ic = {name: pair(planted[name], planted[FORMER]) for name in slow}
    best = max(slow, key=lambda name: ic[name].figures[IC] - ic[name].reference[IC]) if slow else FORMER
    return best if best in found else None


def _head(names: Iterable[str]) -> list[str]:
    names = list(names)
    return [_row(names), _row(["---"] * len(names))]


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _yes(keeps: bool) -> str:
    return "yes" if keeps else "no"
