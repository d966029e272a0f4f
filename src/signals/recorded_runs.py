"""What training recorded of the champions' runs: their labels, strategies, features and the end of their bars."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from src.config.schema import EligibilityConfig, LabelConfig, PortfolioConfig, StrategyConfig
from src.core.hashing import json_digest
from src.core.instruments import POOLED, Key
from src.training.regrading import recorded_config, section
from src.training.run_store import RunStore

if TYPE_CHECKING:
    from src.config.paths import DatasetPaths

_COLUMNS = ("session_key", "asset_class", "symbol", "family", "parts", "features", "importance")


@dataclass(frozen=True)
class ChampionRun:
    """One run as training recorded it.

    Attributes
    ----------
    record_id : str
    key : (asset_class, symbol)
        Of a pooled run ``pooled`` and ``<class>.<portfolio>``.
    family : str
    label : LabelConfig
    strategy, portfolio, eligibility
        Settings of the session; the schema's defaults where it recorded none.
    until : date or None
        Last bar that training used.
    features : tuple of str
    importance : tuple of float
        Share of each feature; empty where none is stored.
    """

    record_id: str
    key: Key
    family: str
    label: LabelConfig
    strategy: StrategyConfig
    portfolio: PortfolioConfig
    eligibility: EligibilityConfig
    until: dt.date | None
    features: tuple[str, ...]
    importance: tuple[float, ...]

    @property
    def asset_class(self) -> str:
        """Class that the run trades."""
        return self.key[1].partition(".")[0] if self.key[0] == POOLED else self.key[0]

    @property
    def outcome_key(self) -> str:
        """Digest of what outcomes depend on: runs that share it are judged together."""
        parts = (self.label, self.strategy) if self.key[0] != POOLED else (self.label, self.eligibility, self.portfolio)
        return json_digest([self.key[0] == POOLED, *(vars(part) for part in parts)])


def recorded_runs(paths: DatasetPaths, record_ids: Iterable[str]) -> dict[str, ChampionRun]:
    """Read runs of both scopes.

    Parameters
    ----------
    paths : DatasetPaths
    record_ids : iterable of str

    Returns
    -------
    dict
        By record id; a run that the stores do not have is left out.
    """
    wanted = sorted(set(record_ids))
    runs: dict[str, ChampionRun] = {}
    for folder in (paths.runs, paths.portfolios):
        store = RunStore(folder)
        if not wanted or not folder.is_dir():
            continue
        sessions: dict[str, Mapping[str, Any]] = {}
        for row in store.runs(_COLUMNS, wanted).iter_rows(named=True):
            if row["session_key"] not in sessions:
                sessions[row["session_key"]] = recorded_config(store, row["session_key"]) or {}
            runs[row["record_id"]] = _run(row, sessions[row["session_key"]])
    return runs


def _run(row: Mapping[str, Any], session: Mapping[str, Any]) -> ChampionRun:
    parts = json.loads(row["parts"])
    until = (session.get("split") or {}).get("until")
    features = row["features"] or "[]"
    return ChampionRun(
        record_id=row["record_id"],
        key=(row["asset_class"], row["symbol"]),
        family=row["family"],
        label=section(LabelConfig, parts["label"]),
        strategy=section(StrategyConfig, session.get("strategy") or {}),
        portfolio=section(PortfolioConfig, session.get("portfolio") or {}),
        eligibility=section(EligibilityConfig, parts.get("eligibility") or session.get("eligibility") or {}),
        until=dt.date.fromisoformat(str(until)) if until else None,
        features=tuple(json.loads(features)) if features.startswith("[") else (),
        importance=tuple(row["importance"] or ()),
    )


def out_of_sample(paths: DatasetPaths, scope: str, record_ids: Iterable[str]) -> pl.DataFrame:
    """Read the stored out-of-sample predictions of runs, as lists: record_id and ``oos_`` columns, one row a run."""
    store = RunStore(paths.portfolios if scope == POOLED else paths.runs)
    return store.predictions(None, record_ids)
