"""Stored out-of-sample decisions of single instruments' runs, with what trading them met, read bucket by bucket."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from src.config.schema import GradeConfig, LabelConfig, StrategyConfig
from src.core.arrays import FloatArray, IntArray
from src.core.hashing import json_digest
from src.core.instruments import KEY, Key
from src.evaluation import labels
from src.evaluation.label_kinds.registry import label_kind
from src.evaluation.labels import Decisions, HedgedDecisions
from src.evaluation.strategy import TradingConditions, directions, exposures, trading_conditions
from src.market.bars import BarStore, bucket
from src.training.regrading import recorded_config, section
from src.training.run_store import RunStore
from src.training.walk_forward import bars_per_year

if TYPE_CHECKING:
    from src.config.paths import DatasetPaths

OUTRIGHT = LabelConfig()
_LISTS = ("oos_date", "oos_probability", "oos_fold")


@dataclass(frozen=True)
class GradedRun:
    """The graded decisions of one run.

    Attributes
    ----------
    record_id : str
    key : (asset_class, symbol)
    outright : Decisions
        Of the instrument alone: returns and costs.
    decisions : Decisions
        As the run was graded: hedged where its label hedges, else `outright`.
    positions : int64, shape (m,)
        Its decisions, consecutive.
    probability : float64, shape (m,)
    strategy : StrategyConfig
        By which it was graded.
    gate : GradeConfig
        Of the session that graded it.
    label : LabelConfig
    conditions : TradingConditions
        Of the decisions, as they were graded.
    fold : int64, shape (m,)
        Number of the fold that predicted each.
    """

    record_id: str
    key: Key
    outright: Decisions
    decisions: Decisions
    positions: IntArray
    probability: FloatArray
    strategy: StrategyConfig
    gate: GradeConfig
    label: LabelConfig
    conditions: TradingConditions
    fold: IntArray

    @property
    def direction(self) -> FloatArray:
        """Direction of each decision, in {-1, 0, 1}."""
        return directions(self.probability, self.strategy)

    @property
    def position(self) -> FloatArray:
        """Exposure times size, a fraction of the capital."""
        return exposures(self.direction, self.decisions.horizon) * self.conditions.size

    @property
    def outcome(self) -> FloatArray:
        """Label of each decision, in {0, 1, NaN}."""
        return self.decisions.label[self.positions]

    @property
    def ratio(self) -> FloatArray | None:
        """Units of the hedge sold for each unit of the position; None without a hedge."""
        if not isinstance(self.decisions, HedgedDecisions):
            return None
        ratio: FloatArray = self.decisions.hedge.ratio[self.positions]
        return ratio


@dataclass(frozen=True)
class GradingSettings:
    """What a session recorded of the settings by which it graded."""

    strategy: StrategyConfig
    gate: GradeConfig

    @classmethod
    def of(cls, store: RunStore, session_key: str) -> GradingSettings | None:
        """Read them; None where the session recorded none."""
        config = recorded_config(store, session_key)
        if config is None:
            return None
        strategy = section(StrategyConfig, config.get("strategy") or {})
        return cls(strategy, section(GradeConfig, config.get("grade") or {}))


class GradedRuns:
    """Reads runs of single instruments.

    Parameters
    ----------
    paths : DatasetPaths

    Attributes
    ----------
    left_out : dict
        Why a run could not be read, by record id.
    """

    def __init__(self, paths: DatasetPaths) -> None:
        self._runs, self.bars = RunStore(paths.runs), BarStore(paths.bars)
        self._settings: dict[str, GradingSettings | None] = {}
        self._markets: dict[str, pl.DataFrame | None] = {}
        self.left_out: dict[str, str] = {}

    def read(self, graded: pl.DataFrame) -> Iterator[list[GradedRun]]:
        """Read graded runs, the runs of an instrument together.

        Parameters
        ----------
        graded : DataFrame
            record_id, asset_class, symbol and graded_by, as grades have them.

        Yields
        ------
        list of GradedRun
            Those of one instrument, by record id. An instrument none of whose runs can be read is left out.
        """
        parts = dict(self._runs.runs(["parts"], graded["record_id"]).select("record_id", "parts").iter_rows())
        count, wanted = self.bars.manifest.buckets, defaultdict(list)
        for row in graded.sort(*KEY, "record_id").iter_rows(named=True):
            if row["record_id"] in parts:
                wanted[bucket(row["asset_class"], row["symbol"], count)].append(row)
            else:
                self.left_out[row["record_id"]] = "data/runs has no record of it"
        for number in sorted(wanted):
            yield from self._of_bucket(number, wanted[number], parts)

    def _of_bucket(
        self, number: int, rows: list[dict[str, Any]], parts: Mapping[str, str]
    ) -> Iterator[list[GradedRun]]:
        keys = sorted({(row["asset_class"], row["symbol"]) for row in rows})
        bars = self.bars.read_bucket(number, symbols=keys).partition_by(KEY, as_dict=True)
        predicted = _arrays(self._runs.predictions(number, [row["record_id"] for row in rows]))
        of_key: dict[Key, list[dict[str, Any]]] = defaultdict(list)
        for row in rows:
            of_key[row["asset_class"], row["symbol"]].append(row)
        for key in keys:
            if key in bars:
                runs = self._of_instrument(key, bars[key], of_key[key], parts, predicted)
                if runs:
                    yield runs
            else:
                self.left_out |= {row["record_id"]: "its bars are gone" for row in of_key[key]}

    def _of_instrument(
        self,
        key: Key,
        bars: pl.DataFrame,
        rows: list[dict[str, Any]],
        parts: Mapping[str, str],
        predicted: Mapping[str, dict[str, Any]],
    ) -> list[GradedRun]:
        """Runs of one instrument; what they share is computed once."""
        yearly, out = bars_per_year(bars, key[0]), []
        shared: dict[str, Decisions] = {}
        met: dict[str, TradingConditions] = {}
        for row in rows:
            record_id, settings = row["record_id"], self._settings_of(row["graded_by"])
            if settings is None or record_id not in predicted:
                self.left_out[record_id] = "the settings or predictions of its session are gone"
                continue
            label = section(LabelConfig, json.loads(parts[record_id])["label"])
            of_label = json_digest(vars(label))
            try:
                if of_label not in shared:
                    shared[of_label] = labels.decisions(bars, label, self._market(label), yearly)
                decisions, own = shared[of_label], predicted[record_id]
                positions = decisions.positions(own["oos_date"])
                if not positions.size or positions[-1] > decisions.size - 3 or (np.diff(positions) != 1).any():
                    raise ValueError("its predictions are not those of consecutive bars with a return")
            except ValueError as error:  # bars that were restated since
                self.left_out[record_id] = str(error)
                continue
            span = json_digest([of_label, vars(settings.strategy), int(positions[0]), int(positions[-1])])
            if span not in met:
                met[span] = trading_conditions(positions, decisions, settings.strategy)
            outright = _outright(decisions, bars)
            by, known, fold = settings, own["oos_probability"], own["oos_fold"].astype(np.int64)
            out.append(
                GradedRun(
                    record_id, key, outright, decisions, positions, known, by.strategy, by.gate, label, met[span], fold
                )
            )
        return out

    def _settings_of(self, session_key: str) -> GradingSettings | None:
        if session_key not in self._settings:
            self._settings[session_key] = GradingSettings.of(self._runs, session_key)
        return self._settings[session_key]

    def _market(self, label: LabelConfig) -> pl.DataFrame | None:
        """Table that a hedged label compares with, of all bars: later ones decide nothing about earlier days."""
        if label_kind(label.kind).market is None:
            return None
        key = json_digest([label.kind, label.horizon, label.params])
        if key not in self._markets:
            self._markets[key] = labels.read_market(self.bars, label, lambda bars: bars)
        return self._markets[key]


def _outright(decisions: Decisions, bars: pl.DataFrame) -> Decisions:
    """The decisions of the instrument alone; only its label depends on what it is compared with otherwise."""
    hedged = isinstance(decisions, HedgedDecisions)
    return labels.unhedged(bars, OUTRIGHT, None, decisions.bars_per_year) if hedged else decisions


def _arrays(predicted: pl.DataFrame) -> dict[str, dict[str, Any]]:
    """Dates and probabilities of each run as arrays."""
    ends = np.cumsum(predicted["oos_date"].list.len().to_numpy()) if predicted.height else np.zeros(0, dtype=np.int64)
    flat = {name: predicted[name].explode().to_numpy() for name in _LISTS}
    starts = np.concatenate(([0], ends[:-1])).astype(np.int64)
    return {
        record_id: {name: values[start:end] for name, values in flat.items()}
        for record_id, start, end in zip(predicted["record_id"], starts, ends, strict=True)
    }
