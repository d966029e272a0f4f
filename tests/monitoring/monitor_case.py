"""A hand-made dataset: bars, stored runs of a known edge, and a journal of what their champions said."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from src.config.schema import Config, LabelConfig, StrategyConfig
from src.core.arrays import FloatArray, IntArray
from src.core.instruments import Key
from src.evaluation import labels, strategy
from src.evaluation.labels import Decisions
from src.market.bars import BarStore, Manifest
from src.market.calendar import next_session, sessions
from src.signals.journal import Journal
from src.signals.tables import book_frame, lines_frame
from src.storage import atomic
from src.tracking.crowned_versions import CrownedVersion
from src.training.run_store import RunStore, shard_name
from src.training.run_tables import grade_table, run_table

FIRST, UNTIL, LAST = dt.date(2021, 1, 4), dt.date(2023, 12, 29), dt.date(2024, 12, 31)
SESSION = "1" * 24
KEYS: tuple[Key, ...] = (("stock", "AAA"), ("stock", "BBB"), ("crypto", "CCC-USD"))
Said = Callable[[FloatArray], FloatArray]


def bars_of(key: Key, last: dt.date = LAST, seed: int = 1) -> pl.DataFrame:
    """Bars of one instrument, a dividend and no split in them."""
    random = np.random.default_rng([seed, *key[1].encode()])
    days = sessions(key[0], FIRST, last)
    n = days.size
    close = 50.0 * np.exp(np.cumsum(0.01 * random.standard_normal(n)))
    opened = np.concatenate([[50.0], close[:-1]]) * np.exp(0.003 * random.standard_normal(n))
    factor = np.where(np.arange(n) > n // 2, 1.01, 1.0)
    high, low = np.maximum(opened, close) * 1.002, np.minimum(opened, close) * 0.998
    columns = {"date": days, "open": opened, "high": high, "low": low, "close": close, "volume": np.full(n, 1e6)}
    named = [pl.lit(key[0]).alias("asset_class"), pl.lit(key[1]).alias("symbol")]
    marks = {"split": pl.lit(1.0), "repaired": pl.lit(False)}
    return pl.DataFrame(columns | {"factor": factor}).select(*named, pl.all()).with_columns(**marks)


def stored_bars(frame: pl.DataFrame, root: Path) -> BarStore:
    """A store of one bucket with these bars."""
    store = BarStore(root)
    store.write_manifest(Manifest("mine", "1d", "folder", "", "auto", 1, None, "", "", complete=True))
    ends = frame.group_by("asset_class", "symbol").agg(pl.col("date").max().alias("last")).sort("symbol")
    states = [dict.fromkeys(store.ledger.schema) | row | {"state": "done"} for row in ends.to_dicts()]
    store.record(0, "job", pl.DataFrame(states, schema=store.ledger.schema), store.write_bucket(0, frame))
    store.write_panel([])
    return store


@dataclass
class Watched:
    """The dataset in a folder, with a champion for each instrument."""

    root: Path
    keys: tuple[Key, ...] = KEYS
    label: LabelConfig = field(default_factory=LabelConfig)
    config: Config = field(default_factory=Config)
    dataset: str = "mine"
    records: dict[Key, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.config.data.root = str(self.root / "data")
        self.config.universe.name = self.dataset
        self.config.monitor.draws = 200
        self.paths = self.config.paths
        self.journal = Journal(self.paths.journal)

    def with_bars(self, change: Callable[[pl.DataFrame], pl.DataFrame] | None = None) -> Watched:
        """Store the bars, changed."""
        frame = pl.concat([bars_of(key) for key in self.keys])
        stored_bars(change(frame) if change else frame, self.paths.bars)
        return self

    def record(self, key: Key) -> str:
        """Id of the run of an instrument."""
        return self.records.get(key, record_of(key))

    def bars(self, key: Key) -> pl.DataFrame:
        return BarStore(self.paths.bars).read_bucket(0, symbols=[key])

    def with_panel(self, keys: Iterable[Key]) -> Watched:
        """Pin a panel, which relative labels compare with."""
        BarStore(self.paths.bars).write_panel(keys)
        return self

    def decisions(self, key: Key) -> Decisions:
        market = labels.read_market(BarStore(self.paths.bars), self.label, lambda bars: bars)
        return labels.decisions(self.bars(key), self.label, market)

    def with_runs(self) -> Watched:
        """Store a run for each instrument: its probabilities know a little of what comes."""
        runs, grades = [], []
        for key in self.keys:
            found = self.decisions(key)
            at = np.flatnonzero((found.dates <= np.datetime64(UNTIL)) & (np.arange(found.size) >= 100))
            at = at[np.isfinite(found.bar_return[at])]
            score = probabilities(found, at, seed=2)
            run, grade = self._rows(key, found, at, score)
            runs.append(run)
            grades.append(grade)
        store = RunStore(self.paths.runs)
        atomic.write_parquet(run_table(runs), store.root / f"{shard_name(0, SESSION)}.runs.parquet")
        store.write_grades(shard_name(0, SESSION), grade_table(grades))
        atomic.write_parquet(grade_table(grades), self.paths.grades)
        config = f"split:\n  until: '{UNTIL}'\n"
        atomic.write_json({"key": SESSION, "config_yaml": config}, store.root / f"session-{SESSION[:8]}.json")
        return self

    def _rows(self, key: Key, found: Decisions, at: IntArray, score: FloatArray) -> tuple[dict[str, Any], ...]:
        earned = strategy.returns(score, at, found, StrategyConfig())
        record_id = self.record(key)
        named = {"record_id": record_id, "run_key": record_id[:-2], "attempt": 0, "session_key": SESSION}
        named |= {"strategy_key": "a" * 24, "asset_class": key[0], "symbol": key[1], "family": "lightgbm"}
        parts = {"label": {"horizon": self.label.horizon, "kind": self.label.kind, "tolerance": 1e-6, "params": {}}}
        run = dict.fromkeys(("params", "library_version", "git_commit", "n_train", "n_folds", "fit_seconds", "planted"))
        run |= {"created_at": None, "tuning_trials": 0, "parts": parts, "features": ["momentum", "range"]}
        run |= named | {"importance": np.array([0.7, 0.3])}
        run |= {"oos_date": found.dates[at], "oos_stamp": found.stamps[at], "oos_fold": np.zeros(at.size, np.int32)}
        run |= {"oos_probability": score, "oos_label": found.label[at], "oos_bar_return": found.bar_return[at]}
        figures = {"auc": 0.6, "accuracy": 0.55, "sharpe": 1.5, "max_drawdown": 0.1, "n_oos": at.size}
        stamps = list(found.stamps[at].astype("datetime64[us]").tolist())
        grade = named | figures | {"majority_accuracy": 0.51, "graded_by": SESSION, "passed": True, "stamp": stamps}
        return run, grade | {"net": earned.net.tolist(), "equity": [1.0] * at.size, "always_long": [1.0] * at.size}

    def champions(self) -> list[CrownedVersion]:
        return [CrownedVersion(name_of(key), 1, "run", self.record(key), "a" * 24, grade={}) for key in self.keys]

    def lines(
        self, key: Key, changed: Said = lambda score: score, last: dt.date = LAST, **values: Any
    ) -> list[dict[str, Any]]:
        """What the champion of an instrument says of 2024: probabilities, and positions by the strategy."""
        found = self.decisions(key)
        at = np.flatnonzero((found.dates > np.datetime64(UNTIL)) & (found.dates <= np.datetime64(last)))
        score = changed(probabilities(found, at, seed=3))
        conditions = strategy.trading_conditions(at, found, StrategyConfig())
        exposure = strategy.exposures(strategy.directions(score, StrategyConfig()), self.label.horizon)
        position = exposure * conditions.size
        before = np.concatenate([[0.0], position[:-1]])
        own = self.bars(key)[found.rows[at]]
        rows = []
        for row, k in enumerate(at):
            day = found.dates[k].astype("datetime64[D]").item()
            rows.append(
                {
                    "book_date": day, "name": name_of(key), "version": 1, "scope": "instrument", "family": "lightgbm",
                    "record_id": self.record(key), "asset_class": key[0], "symbol": key[1], "state": "said",
                    "decided_on": dt.datetime.combine(day, dt.time()), "trade_on": next_session(key[0], day),
                    "bar_age": 0, "score": score[row], "exposure": exposure[row], "size": conditions.size[row],
                    "position": position[row], "before": before[row], "cost_rate": conditions.cost[row],
                    "close": own["close"][row], "factor": own["factor"][row], "auc": 0.6, "sharpe": 1.5, "n_oos": 600,
                }
                | values
            )  # fmt: skip
        return rows

    def say(self, lines: Iterable[dict[str, Any]], kind: str = "replay", at: dt.datetime | None = None) -> None:
        """Keep lines in the journal, with the book of each day at equal shares."""
        rows = list(lines)
        self.journal.append(kind, lines_frame(rows), book_frame(list(self._weights(rows))), {}, at)

    def _weights(self, rows: list[dict[str, Any]]) -> Iterable[dict[str, Any]]:
        share = 1.0 / len(self.keys)
        before: dict[str, float] = {}
        for row in sorted((row for row in rows if row["state"] == "said"), key=lambda row: row["book_date"]):
            weight, held = share * row["position"], before.get(row["symbol"], 0.0)
            cost = abs(weight - held) * row["cost_rate"]
            named = {name: row[name] for name in ("book_date", "asset_class", "symbol", "trade_on", "close")}
            yield named | {"wanted": weight, "weight": weight, "before": held, "cost": cost, "champions": 1}
            before[row["symbol"]] = weight

    def replayed(self, **changed: Said) -> Watched:
        """A journal of replayed lines of all champions; ``AAA=...`` changes the scores of one."""
        self.say([line for key in self.keys for line in self.lines(key, changed.get(key[1][:3], lambda s: s))])
        return self


def name_of(key: Key) -> str:
    return f"{key[0]}.{key[1]}"


def record_of(key: Key) -> str:
    return f"{key[1].lower()[:3] * 8}.0"


def probabilities(found: Decisions, at: IntArray, seed: int) -> FloatArray:
    """Scores around one half that are right a little more often than not."""
    random = np.random.default_rng([seed, *found.symbol.encode()])
    up = np.where(np.isfinite(found.label[at]), found.label[at], 0.5)
    return np.clip(0.5 + 0.03 * (up - 0.5) + 0.05 * random.standard_normal(at.size), 0.01, 0.99)


def watched(folder: Path, **changes: Any) -> Watched:
    """The dataset with its runs, and no journal."""
    return replace(Watched(folder), **changes).with_bars().with_runs()
