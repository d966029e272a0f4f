"""Books without skill: champions chosen at each common displacement of all runs, see `src.signals.own_selection`."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from src.core.arrays import BoolArray, FloatArray, IntArray
from src.core.instruments import KEY
from src.evaluation import metrics
from src.evaluation.pooled.day_ranks import LEVELS, RankTally
from src.evaluation.shift_test import common_shifts
from src.evaluation.strategy import exposures
from src.signals.own_decisions import GradedRun
from src.signals.own_inputs import OwnInputs
from src.signals.own_rule import ChoosingRule, best

HIGH = 0.95  # quantile of the Sharpe ratios of books without skill that is shown


@dataclass
class NullBooks:
    """Books of champions chosen at each displacement."""

    rule: ChoosingRule
    chosen: dict[str, list[int]]
    champions: IntArray
    net: FloatArray
    ups: IntArray
    downs: IntArray
    right: IntArray

    @classmethod
    def of(cls, graded: pl.DataFrame, rule: ChoosingRule, most: int) -> NullBooks:
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

    def add(self, run: GradedRun) -> None:
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


def _stored_shifts(graded: pl.DataFrame) -> tuple[BoolArray, FloatArray]:
    """Pass bits and z-scores of every run at the displacements that all of them store."""
    bits = [np.unpackbits(np.frombuffer(each, dtype=np.uint8)).astype(np.bool_) for each in graded["shift_passes"]]
    scores = [np.frombuffer(each or b"", dtype="<f2").astype(np.float64) for each in graded["shift_z"]]
    count = min((min(bit.size, score.size) for bit, score in zip(bits, scores, strict=True)), default=0)
    shape = (len(bits), count)
    passes, z = (np.array([row[:count] for row in rows]).reshape(shape) for rows in (bits, scores))
    return passes.astype(np.bool_), np.nan_to_num(z.astype(np.float64))
