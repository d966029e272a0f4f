"""Champions chosen on one half of the days and traded on the other, see `src.signals.own_selection`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from src.core.arrays import DateArray, FloatArray
from src.core.instruments import Key
from src.evaluation import metrics
from src.evaluation.grade import GATE_METRICS, Outcomes
from src.evaluation.strategy import TradingConditions, exposures, net_returns
from src.signals.own_decisions import GradedRun
from src.signals.own_inputs import OwnInputs
from src.signals.own_rule import ChoosingRule


@dataclass(frozen=True)
class _Candidate:
    """A run that passes on one half, with what trading it on the other meets."""

    z: float
    exposure: FloatArray
    conditions: TradingConditions
    stamps: DateArray


@dataclass
class HeldOutHalves:
    """Champions chosen on each half of the days, to be traded on the other."""

    rule: ChoosingRule
    found: tuple[dict[Key, _Candidate], dict[Key, _Candidate]] = field(default_factory=lambda: ({}, {}))

    @property
    def middle(self) -> np.datetime64:
        """First day of the second half."""
        books = self.rule.record.books
        day: np.datetime64 = books[books.size // 2]
        return day

    def consider(self, run: GradedRun) -> None:
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

    def _z(self, run: GradedRun, net: FloatArray, seen: slice) -> float | None:
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
