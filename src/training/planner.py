"""Which runs of a configuration exist, which are to be trained, graded again or given their model.

A run exists where the store holds its key; `fresh=true` asks for a further attempt of every key, and a marker file
remembers since when, so that an interrupted fresh session goes on instead of starting over once more.
"""

from __future__ import annotations

import datetime as dt
import difflib
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import polars as pl

from src.config.schema import Config, ModelConfig
from src.core import git
from src.core.errors import ConfigError
from src.core.hashing import json_digest
from src.core.instruments import Key
from src.evaluation.splits import first_boundary
from src.market.bars import tradable
from src.models.registry import family
from src.storage import atomic
from src.training import code_keys
from src.training import run_key as run_key_module
from src.training.run_store import RunStore
from src.training.walk_forward import Plan


@dataclass(frozen=True)
class Known:
    """The latest attempt of a run key in the store."""

    record_id: str
    attempt: int
    created_at: dt.datetime
    session_key: str
    strategy_key: str
    fit_seconds: float
    tuning_trials: int | None


def require_known(config: Config, instruments: pl.DataFrame) -> None:
    """Refuse symbols in `only` that the universe does not have: a slip would pass for a session with nothing to do.

    Raises
    ------
    ConfigError
        Names the symbol and those that are near.
    """
    known = instruments.select("asset_class", "symbol").rows()
    names = {name for kind, symbol in known for name in (symbol, f"{kind}:{symbol}")}
    for name in config.only:
        if name not in names:
            near = difflib.get_close_matches(name, sorted(names), n=2)
            hint = f"did you mean {' or '.join(near)}?" if near else "data/states lists those that there are"
            raise ConfigError(f"only={name} is no instrument of universe={config.dataset}: {hint}")


class Planner:
    """Turns an instrument's bars into the plans of its runs.

    Parameters
    ----------
    config : Config
        The resolved configuration.
    models : list of ModelConfig
        The families to train.
    procedure : identity.Procedure
        What all instruments share.
    store : RunStore
        What was trained before.
    """

    def __init__(
        self, config: Config, models: list[ModelConfig], procedure: run_key_module.Procedure, store: RunStore
    ) -> None:
        self.config = config
        self.models = models
        self.procedure = procedure
        self.store = store
        self.key = run_key_module.session_key(config, procedure, models)
        self._strategy_key = run_key_module.strategy_key(config.strategy)
        self._features = json_digest(dict(procedure.features))
        self._libraries = {model.family: family(model.family).LIBRARY.version for model in models}
        self._code = {model.family: code_keys.fit_code(model.family, config.label.kind) for model in models}
        self._known: dict[str, Known] = {}
        self._trials: dict[Key, set[str]] = defaultdict(set)
        self._read_store()
        self._fresh_since = self._fresh_marker() if config.fresh else None
        self._graded: dict[str, dict[str, Any]] = {}

    def open(self, bucket: int) -> None:
        """Read the grades that this session gave to a bucket: the one that is asked about from now on."""
        rows = self.store.grades(self.key, bucket)
        self._graded = {row["record_id"]: row for row in rows.iter_rows(named=True)}

    def plans(self, key: Key, bars_hash: str, planted: bool, *, again: bool = True) -> list[Plan]:
        """Plan the runs of one instrument, one for each family, in order; `again`: ``fresh=true`` is meant for it."""
        since = self._fresh_since if again else None
        mine = [model for model in self.models if not model.classes or key[0] in model.classes]
        return [self._plan(key, model, bars_hash, planted, since) for model in mine]

    def left_out(self, instrument: Mapping[str, Any]) -> str | None:
        """Say why no model is for an instrument: all that were chosen name other asset classes."""
        kind, meant = instrument["asset_class"], {name for model in self.models for name in model.classes}
        if not meant or any(not model.classes or kind in model.classes for model in self.models):
            return None
        return f"the chosen model is for class {' and '.join(sorted(meant))}: model.classes=[] trains all with it"

    def n_trials(self, key: Key, plans: list[Plan], bars: pl.DataFrame) -> int:
        """Distinct run keys ever graded on the instrument, these included.

        Tuning trials count where they looked at days on which the instrument is graded: they chose the settings there.
        """
        graded = len(self._trials[key] | {plan.identity["run_key"] for plan in plans})
        return graded + sum(plan.model.trials for plan in plans if self._looked(plan.model, bars))

    def _looked(self, model: ModelConfig, bars: pl.DataFrame) -> bool:
        """Whether the tuning of a model's settings read bars from the instrument's first out-of-sample date on."""
        if not model.trials:
            return False
        if model.tuned_before is None:
            return True
        dates = bars.filter(tradable(bars))["date"].to_numpy()
        first = first_boundary(dates, self.config.split, self.config.label.horizon)
        return first is not None and first < dt.date.fromisoformat(model.tuned_before)

    def is_done(self, plan: Plan, n_trials: int, grade_key: str) -> dict[str, Any] | None:
        """Return the grade of a run that needs nothing: trained, graded under this key, model kept if passed."""
        row = self._graded.get(plan.record_id)
        if plan.is_new or row is None or (row["grade_key"], row["n_trials"]) != (grade_key, n_trials):
            return None
        if row["passed"] and not plan.has_model:
            return None
        return row | {"tuning_trials": max(row.get("tuning_trials") or 0, plan.identity["tuning_trials"])}

    def with_stored(self, bucket: int, plans: list[Plan]) -> list[Plan]:
        """Attach the stored predictions to those plans that have some."""
        wanted = {plan.record_id for plan in plans if not plan.is_new}
        rows = self.store.predictions(bucket, wanted)
        if left := wanted.difference(rows["record_id"]):  # stored when the universe had another number of buckets
            rows = pl.concat([rows, self.store.predictions(None, left)])
        stored = {row["record_id"]: row for row in rows.iter_rows(named=True)}
        return [plan if plan.is_new else replace(plan, stored=stored[plan.record_id]) for plan in plans]

    def finish(self) -> None:
        """Forget that a fresh start was asked for: it is done."""
        self._marker.unlink(missing_ok=True)

    def _plan(self, key: Key, model: ModelConfig, bars_hash: str, planted: bool, since: dt.datetime | None) -> Plan:
        parts = run_key_module.run_parts(
            self.procedure,
            key[0],
            self._features,
            model,
            bars_hash,
            self._libraries[model.family],
            self._code[model.family],
        )
        run_key = run_key_module.run_key(*key, parts)
        known = self._known.get(run_key)
        if known and not (since and known.created_at < since):
            has_model = self.store.model_path(known.record_id) is not None
            row = {name: getattr(known, name) for name in ("session_key", "strategy_key", "fit_seconds")}
            row |= {"run_key": run_key, "tuning_trials": max(known.tuning_trials or 0, model.trials)}
            return Plan(known.record_id, model, row, is_new=False, has_model=has_model)
        attempt = known.attempt + 1 if known else 0
        record_id = f"{run_key}.{attempt}"
        row = {
            "record_id": record_id,
            "run_key": run_key,
            "attempt": attempt,
            "session_key": self.key,
            "strategy_key": self._strategy_key,
            "asset_class": key[0],
            "symbol": key[1],
            "family": model.family,
            "params": asdict(model.params),
            "features": list(self.procedure.features),
            "parts": parts,
            "library_version": self._libraries[model.family],
            "git_commit": git.git_commit(),
            "created_at": dt.datetime.now(dt.UTC),
            "planted": planted,
            "tuning_trials": model.trials,
        }
        return Plan(record_id, model, row)

    def _read_store(self) -> None:
        columns = (*Known.__dataclass_fields__, "run_key", "asset_class", "symbol")
        for row in self.store.runs(columns).iter_rows(named=True):
            self._trials[(row["asset_class"], row["symbol"])].add(row["run_key"])
            if not row["superseded"]:
                known = Known(*(row[name] for name in Known.__dataclass_fields__))
                self._known[row["run_key"]] = known

    @property
    def _marker(self) -> Any:
        return self.store.root / f"fresh-{self.key[:8]}.json"

    def _fresh_marker(self) -> dt.datetime:
        if not self._marker.exists():
            atomic.write_json({"since": dt.datetime.now(dt.UTC).isoformat()}, self._marker)
        return dt.datetime.fromisoformat(atomic.read_json(self._marker)["since"])
