"""How much of the book's own record is the choice of its champions.

Two figures say it, from all graded runs of single instruments, without a fit:

*Books without skill.* Each run stores whether its decisions, displaced in time, would have passed the four thresholds,
at displacements that are common to all runs, and the z-score of its AUC there. At each displacement the champions are
chosen again: of each instrument the run with the highest z that passes, and of these as many as there are champions. A
book of them is chosen from records without skill as ours was from the real ones. The share of such books that reach
our Sharpe ratio is its p-value; the share that clears all thresholds is the luck rate.

*Held out.* On each half of the days champions are chosen by the same rule from that half alone and traded on the
other. No day is traded by a book that it helped to choose. Half the days choose worse than all of them, so the figure
is a cautious one; it is of the procedure, not of today's champions.

Both books hold each run as its grade does, at equal shares, each weight cut at ``max_weight``; runs of different
instruments are not netted and the other caps are left out. Pooled champions are few and were chosen among few: in the
books without skill they are their own returns less their mean before costs, displaced alike; held out, they are traded
on a half where the other clears the thresholds of Sharpe ratio and drawdown.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from src.core.arrays import BoolArray, DateArray, FloatArray, IntArray
from src.core.instruments import KEY, POOLED, Key
from src.evaluation import metrics
from src.evaluation.grade import GATE_METRICS, Outcomes, Thresholds
from src.evaluation.pooled.day_ranks import LEVELS, RankTally
from src.evaluation.shift_test import common_shifts
from src.evaluation.strategy import TradingConditions, exposures, net_returns
from src.signals.own_book import BookRecord
from src.signals.own_decisions import OwnRun, OwnRuns
from src.signals.own_inputs import OwnInputs
from src.storage import atomic
from src.training.run_tables import remedy

if TYPE_CHECKING:
    from src.config.paths import DatasetPaths
    from src.config.schema import BookConfig, GradeConfig

HIGH = 0.95  # quantile of the Sharpe ratios of books without skill that is shown


@dataclass(frozen=True)
class Luck:
    """What the record owes to the choice of the champions; None where it is not known.

    Attributes
    ----------
    null_books : int
        Books without skill.
    null_champions : float
        Their champions, on average.
    null_sharpe, null_sharpe_high : float
        Median of their Sharpe ratios, and the value that one in twenty exceeds.
    sharpe_p_value : float
        Share of them, ours counted, that reach our Sharpe ratio.
    luck_rate : float
        Share of them that clear the four thresholds.
    held_out_sharpe, held_out_drawdown : float
        Of books chosen on one half of the days and traded on the other.
    held_out_champions : float
        Champions of a half, on average.
    """

    null_books: int = 0
    null_champions: float | None = None
    null_sharpe: float | None = None
    null_sharpe_high: float | None = None
    sharpe_p_value: float | None = None
    luck_rate: float | None = None
    held_out_sharpe: float | None = None
    held_out_drawdown: float | None = None
    held_out_champions: float | None = None

    def figures(self) -> dict[str, Any]:
        """Return all of it by name."""
        return asdict(self)


def luck(
    found: OwnInputs,
    paths: DatasetPaths,
    choice: BookConfig,
    gate: GradeConfig,
    record: BookRecord,
    bars_per_year: float,
    null_books: int,
) -> Luck:
    """Choose champions again, without skill and on half of the days, and trade them.

    Parameters
    ----------
    found : OwnInputs
        Of today's champions.
    paths : DatasetPaths
        The grades of all runs, their predictions and bars.
    choice : BookConfig
    gate : GradeConfig
    record : BookRecord
        Of today's champions.
    bars_per_year : float
    null_books : int
        At most as many as runs store displacements.

    Returns
    -------
    Luck
        Nothing without champions of single instruments, whose choice is what is repeated, or without grades.
    """
    wanted = sum(stake.scope != POOLED for stake in found.stakes)
    if not wanted or not paths.grades.is_file():
        return Luck()
    with atomic.read_errors(paths.grades, remedy()):
        graded = pl.read_parquet(
            paths.grades, columns=["record_id", *KEY, "graded_by", "shift_passes", "shift_z"], glob=False
        ).filter(pl.col("shift_passes").is_not_null())
    rule = _Rule(record, choice, Thresholds.of(gate), wanted, _pooled_share(found, choice), bars_per_year)
    nulls = _NullBooks.of(graded, rule, null_books)
    halves = _Halves(rule)
    for runs in OwnRuns(paths).read(graded):
        for run in runs:
            halves.consider(run)
            nulls.add(run)
    return Luck(**nulls.figures(found), **halves.figures(found))


@dataclass(frozen=True)
class _Rule:
    """What all books chosen here share."""

    record: BookRecord
    choice: BookConfig
    limits: Thresholds
    wanted: int
    pooled_share: float
    bars_per_year: float

    def net(self, exposure: FloatArray, conditions: TradingConditions, champions: int) -> FloatArray:
        """Net returns of one of several champions, as fractions of the book's capital."""
        share = (1.0 - self.pooled_share) / champions
        weight = np.clip(share * exposure * conditions.size, -self.choice.max_weight, self.choice.max_weight)
        return net_returns(weight, conditions)

    def add(self, out: FloatArray, stamps: DateArray, net: FloatArray) -> None:
        """Book returns on the record's days: what is complete between two of them counts on the later one."""
        at = np.searchsorted(self.record.dates, stamps.astype(self.record.dates.dtype))
        known = at < out.size
        known &= stamps >= self.record.dates[0]
        out += np.bincount(at[known], net[known], minlength=out.size)

    def sharpe(self, net: FloatArray) -> float:
        """Sharpe ratio, 0 where it is undefined."""
        return metrics.sharpe(net, self.bars_per_year) or 0.0


def _pooled_share(found: OwnInputs, choice: BookConfig) -> float:
    return choice.pooled_share if found.pooled_net else 0.0


# without skill ----------------------------------------------------------------------------------------------------


@dataclass
class _NullBooks:
    """Books of champions chosen at each displacement."""

    rule: _Rule
    chosen: dict[str, list[int]]
    champions: IntArray
    net: FloatArray
    ups: IntArray
    downs: IntArray
    right: IntArray

    @classmethod
    def of(cls, graded: pl.DataFrame, rule: _Rule, most: int) -> _NullBooks:
        """Choose the champions of each displacement from what the grades store."""
        passes, z = _stored_shifts(graded)
        count = min(most, passes.shape[1])
        instruments = graded.select(pl.struct(KEY).rank("dense")).to_series().to_numpy()
        ids, chosen = graded["record_id"].to_list(), defaultdict(list)
        champions = np.zeros(count, dtype=np.int64)
        for book in range(count):
            for run in best(passes[:, book], z[:, book], instruments, rule.wanted):
                chosen[ids[run]].append(book)
                champions[book] += 1
        ups, downs = (np.zeros((count, LEVELS), dtype=np.int64) for _ in range(2))
        net, right = np.zeros((count, rule.record.dates.size)), np.zeros(count, dtype=np.int64)
        return cls(rule, dict(chosen), champions, net, ups, downs, right)

    def add(self, run: OwnRun) -> None:
        """Add a run to the books that it was chosen for, each with the run's decisions displaced."""
        books = self.chosen.get(run.record_id, [])
        if not books:
            return
        n, label = run.positions.size, run.outcome
        admissible = n - 1 - min(run.gate.exclude_lags, n // 4)
        shifts = common_shifts(-(-run.gate.common_shifts // 8) * 8, admissible, run.decisions.bars_per_year)
        stamps, direction, known = run.decisions.stamps[run.positions], run.direction, np.isfinite(label)
        for book in books:
            exposure = exposures(np.roll(direction, shifts[book]), run.decisions.horizon)
            net = self.rule.net(exposure, run.conditions, int(self.champions[book]))
            self.rule.add(self.net[book], stamps, net)
            score, up = np.roll(run.probability, shifts[book])[known], label[known] == 1.0
            codes = np.minimum((score * LEVELS).astype(np.int64), LEVELS - 1)
            np.add.at(self.ups[book], codes[up], 1)
            np.add.at(self.downs[book], codes[~up], 1)
            self.right[book] += np.count_nonzero((score > 0.5) == up)

    def figures(self, found: OwnInputs) -> dict[str, Any]:
        """Compare our record with them."""
        count = self.champions.size
        if not count:
            return {}
        self._add_pooled(found)
        ratios = np.array([self.rule.sharpe(net) for net in self.net])
        own = self.rule.sharpe(self.rule.record.net)
        return {
            "null_books": count,
            "null_champions": float(self.champions.mean()),
            "null_sharpe": float(np.median(ratios)),
            "null_sharpe_high": float(np.quantile(ratios, HIGH)),
            "sharpe_p_value": (1 + np.count_nonzero(ratios >= own)) / (1 + count),
            "luck_rate": float(np.mean([self._passes(book) for book in range(count)])),
        }

    def _passes(self, book: int) -> bool:
        """Whether a book clears the four thresholds."""
        counted = int(self.ups[book].sum() + self.downs[book].sum())
        share = self.rule.pooled_share
        values: dict[str, float | None] = {
            "sharpe": metrics.sharpe(self.net[book], self.rule.bars_per_year),
            "max_drawdown": metrics.max_drawdown(self.net[book]),
        }
        if counted:
            tally = RankTally(self.ups[book], self.downs[book]).auc()
            values["auc"] = 0.5 * share + (tally or 0.5) * (1.0 - share)
            values["accuracy"] = 0.5 * share + self.right[book] / counted * (1.0 - share)
        return counted > 0 and self.rule.limits.cleared_by(values)

    def _add_pooled(self, found: OwnInputs) -> None:
        """Add the pooled champions without their mean, displaced."""
        days = self.rule.record.dates.size
        shifts = common_shifts(self.champions.size, max(days - 1, 1), self.rule.bars_per_year)
        for daily in found.pooled_net.values():
            net = np.zeros(days)
            without = (daily["net"] - daily["gross"].mean()).to_numpy() * self.rule.pooled_share / len(found.pooled_net)
            self.rule.add(net, daily["stamp"].to_numpy().astype("datetime64[us]"), without)
            for book, shift in enumerate(shifts):
                self.net[book] += np.roll(net, shift)


def best(passes: BoolArray, z: FloatArray, instruments: IntArray, wanted: int) -> IntArray:
    """Choose champions: of each instrument the passing run with the highest z, and of these the highest.

    Parameters
    ----------
    passes : bool, shape (n,)
        Whether each run clears the thresholds.
    z : float, shape (n,)
        By which they are ranked; ties go to the run that stands first.
    instruments : int, shape (n,)
    wanted : int
        At most so many.

    Returns
    -------
    int64, shape (at most wanted,)
        Positions, the highest z first.

    Examples
    --------
    >>> best(np.array([True, True, False, True]), np.array([1.0, 2.0, 9.0, 3.0]), np.array([1, 1, 2, 3]), 5).tolist()
    [3, 1]
    """
    runs = np.flatnonzero(passes)
    runs = runs[np.argsort(-z[runs], kind="stable")]
    _, first = np.unique(instruments[runs], return_index=True)
    return runs[np.sort(first)][:wanted].astype(np.int64)


def _stored_shifts(graded: pl.DataFrame) -> tuple[BoolArray, FloatArray]:
    """Pass bits and z-scores of every run at the displacements that all of them store."""
    bits = [np.unpackbits(np.frombuffer(each, dtype=np.uint8)).astype(np.bool_) for each in graded["shift_passes"]]
    scores = [np.frombuffer(each or b"", dtype="<f2").astype(np.float64) for each in graded["shift_z"]]
    count = min((min(bit.size, score.size) for bit, score in zip(bits, scores, strict=True)), default=0)
    shape = (len(bits), count)
    passes, z = (np.array([row[:count] for row in rows]).reshape(shape) for rows in (bits, scores))
    return passes.astype(np.bool_), np.nan_to_num(z.astype(np.float64))


# held out ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Candidate:
    """A run that passes on one half, with what trading it on the other meets."""

    z: float
    exposure: FloatArray
    conditions: TradingConditions
    stamps: DateArray


@dataclass
class _Halves:
    """Champions chosen on each half of the days, to be traded on the other."""

    rule: _Rule
    found: tuple[dict[Key, _Candidate], dict[Key, _Candidate]] = field(default_factory=lambda: ({}, {}))

    @property
    def middle(self) -> np.datetime64:
        """First day of the second half."""
        books = self.rule.record.books
        day: np.datetime64 = books[books.size // 2]
        return day

    def consider(self, run: OwnRun) -> None:
        """Keep a run for the half that it was not chosen on, where it is the best of its instrument."""
        exposure, dates = exposures(run.direction, run.decisions.horizon), run.decisions.dates[run.positions]
        net = net_returns(exposure * run.conditions.size, run.conditions)
        edge = int(np.searchsorted(dates.astype("datetime64[us]"), self.middle))
        parts = slice(0, edge), slice(edge, net.size)
        for half, (seen, other) in enumerate((parts, parts[::-1])):
            z = self._z(run, net, seen)
            kept = self.found[half].get(run.key)
            if z is not None and (kept is None or z > kept.z):
                met = TradingConditions(
                    *(getattr(run.conditions, name)[other].copy() for name in ("size", "cost", "change"))
                )
                stamps = run.decisions.stamps[run.positions][other].copy()
                self.found[half][run.key] = _Candidate(z, exposure[other].copy(), met, stamps)

    def figures(self, found: OwnInputs) -> dict[str, Any]:
        """Trade the champions of each half on the other."""
        net, champions = np.zeros(self.rule.record.dates.size), []
        for half in range(2):
            ranked = sorted(self.found[half].items(), key=lambda item: (-item[1].z, item[0]))[: self.rule.wanted]
            champions.append(len(ranked))
            for _, each in ranked:
                if each.stamps.size:
                    self.rule.add(net, each.stamps, self.rule.net(each.exposure, each.conditions, len(ranked)))
            for stamps, values in self._pooled(found, half):
                self.rule.add(net, stamps, values)
        return {
            "held_out_sharpe": metrics.sharpe(net, self.rule.bars_per_year),
            "held_out_drawdown": metrics.max_drawdown(net),
            "held_out_champions": float(np.mean(champions)),
        }

    def _z(self, run: OwnRun, net: FloatArray, seen: slice) -> float | None:
        """z-score of the AUC on some days; None where not all thresholds are cleared there."""
        label, score = run.outcome[seen], run.probability[seen]
        ups, downs = np.count_nonzero(label == 1.0), np.count_nonzero(label == 0.0)
        if 2 * label.size < self.rule.limits.min_oos or not ups or not downs:
            return None
        outcomes = Outcomes(label, score, net[seen], run.decisions.bars_per_year)
        for metric in reversed(GATE_METRICS):  # the AUC, which sorts, last
            if not metric.clears(metric.compute(outcomes), self.rule.limits.limit(metric)):
                return None
        area = metrics.auc(label, score) or 0.0
        return float((area - 0.5) / np.sqrt((ups + downs + 1) / (12.0 * ups * downs)))

    def _pooled(self, found: OwnInputs, half: int) -> Iterator[tuple[DateArray, FloatArray]]:
        """Yield the pooled champions that clear on one half, with their returns of the other."""
        for daily in found.pooled_net.values():
            before = daily["date"].to_numpy().astype("datetime64[us]") < self.middle
            seen, net = before if half == 0 else ~before, daily["net"].to_numpy()
            values = {
                "sharpe": metrics.sharpe(net[seen], self.rule.bars_per_year),
                "max_drawdown": metrics.max_drawdown(net[seen]),
            }
            if self.rule.limits.cleared_by(values):
                share = self.rule.pooled_share / len(found.pooled_net)
                yield daily["stamp"].to_numpy()[~seen].astype("datetime64[us]"), net[~seen] * share
