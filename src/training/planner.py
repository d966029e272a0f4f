"""Decide which runs of a session are to be fitted, graded again or given their model.

A run exists where the store holds its key. ``fresh=true`` asks for a further attempt of every key, and a marker file
says since when, so that an interrupted session goes on instead of starting over once more. The marker is no ledger: it
is one date for the whole session, and the attempts that are done are the runs in the store that are younger than it.
"""

from __future__ import annotations

import datetime as dt
import difflib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from src.config.schema import ModelConfig
from src.core import git
from src.core.errors import ConfigError
from src.core.hashing import json_digest
from src.core.instruments import KEY, Key
from src.evaluation.splits import first_boundary
from src.market.bars import tradable
from src.models.registry import family
from src.storage import atomic
from src.training import code_keys
from src.training import run_key as keys
from src.training.run_key import SessionParts
from src.training.run_store import RunStore
from src.training.run_tables import stored_predictions
from src.training.settings import TrainingSettings
from src.training.walk_forward import RunPlan


@dataclass(frozen=True)
class StoredRun:
    """The latest attempt of a run key in the store; the fields are columns of the run store."""

    record_id: str
    attempt: int
    created_at: dt.datetime
    session_key: str
    strategy_key: str
    fit_seconds: float
    tuning_trials: int | None


def require_symbols(only: Sequence[str], instruments: pl.DataFrame, dataset: str) -> None:
    """Refuse symbols that the universe does not have: a typing error would look like a session with nothing to do.

    Parameters
    ----------
    only : sequence of str
        Symbols, or ``class:symbol``.
    instruments : DataFrame
        asset_class, symbol of the universe.
    dataset : str
        Name of the dataset, for the message.

    Raises
    ------
    ConfigError
        Names the symbol and similar ones.
    """
    names = {name for kind, symbol in instruments.select(KEY).rows() for name in (symbol, f"{kind}:{symbol}")}
    for name in only:
        if name not in names:
            similar = difflib.get_close_matches(name, sorted(names), n=2)
            hint = f"did you mean {' or '.join(similar)}?" if similar else "data/states lists those that there are"
            raise ConfigError(f"only={name} is no instrument of universe={dataset}: {hint}")


class Planner:
    """Turns an instrument's bars into the plans of its runs.

    Parameters
    ----------
    settings : TrainingSettings
        Models, label, split, strategy, seed, and whether every run is to be trained again.
    shared : SessionParts
        Parts of the run keys that all instruments share.
    store : RunStore
        What was trained before.
    arm : mapping, optional
        Further parts of the run keys, where the runs are not those of the real arm.

    Attributes
    ----------
    key : str
        Key of the session.
    stored_keys : set of str
        Keys of all runs that the store holds.
    """

    def __init__(
        self,
        settings: TrainingSettings,
        shared: SessionParts,
        store: RunStore,
        arm: Mapping[str, Any] | None = None,
    ) -> None:
        self.settings = settings
        self.models = settings.models
        self.shared = shared
        self.store = store
        self._arm = dict(arm or {})
        self.key = keys.session_key(settings.dataset, self.models, settings.strategy, shared)
        self._strategy_key = keys.strategy_key(settings.strategy)
        self._features = json_digest(dict(shared.features))
        self._libraries = {model.family: family(model.family).LIBRARY.version for model in self.models}
        self._code = {model.family: code_keys.fit_code(model.family, settings.label.kind) for model in self.models}
        self._stored: dict[str, StoredRun] = {}
        self._recorded_models = store.recorded_models()
        self.stored_keys: set[str] = set()
        self._settings_keys: dict[str, str] = {}
        self._read_store()
        self._fresh_since = self._read_fresh_marker() if settings.fresh else None
        self._grades: dict[str, dict[str, Any]] = {}

    def read_grades(self, bucket: int) -> None:
        """Read the grades that this session gave to a bucket: `stored_grade` looks among them from now on."""
        rows = self.store.grades(self.key, bucket)
        self._grades = {row["record_id"]: row for row in rows.iter_rows(named=True)}

    def plans(
        self, key: Key, bars_hash: str, planted: bool, *, again: bool = True, facts: str | None = None
    ) -> list[RunPlan]:
        """Plan the runs of one instrument.

        Parameters
        ----------
        key : (asset_class, symbol)
        bars_hash : str
            Hash of what a fit takes from the bars.
        planted : bool
            Whether the instrument is simulated with a known edge.
        again : bool
            Whether ``fresh=true`` is meant for this instrument.
        facts : str, optional
            Hash of what a fit takes from the facts; None where no feature looks at any.

        Returns
        -------
        list of RunPlan
            One for each family that is for the instrument's class, in the order of the models.
        """
        since = self._fresh_since if again else None
        return [self._plan(key, model, (bars_hash, facts), planted, since) for model in self.models_of(key[0])]

    def models_of(self, asset_class: str) -> list[ModelConfig]:
        """Return the models that are for a class."""
        return [model for model in self.models if not model.classes or asset_class in model.classes]

    def basis(self) -> dict[str, Any]:
        """Return all that plans of a session's runs depend on, but for the instruments and the store."""
        return {
            "session": self.key,
            "strategy": self._strategy_key,
            "shared": asdict(self.shared),
            "until": self.settings.split.until,
            "models": [asdict(model) for model in self.models],
            "libraries": self._libraries,
            "code": self._code,
            "arm": self._arm,
        }

    def unmodelled(self, asset_class: str) -> str | None:
        """Return why no model is for a class.

        Parameters
        ----------
        asset_class : str
            Class of an instrument.

        Returns
        -------
        str or None
            The reason; None where a model is for the class.
        """
        classes = {name for model in self.models for name in model.classes}
        if not classes or any(not model.classes or asset_class in model.classes for model in self.models):
            return None
        named = " and ".join(sorted(classes))
        return f'the chosen model is for class {named}: "model.classes=[]" trains all with it'

    def tuning_trials(self, plans: list[RunPlan], bars: pl.DataFrame) -> int:
        """Count the tuning trials that read days on which an instrument is graded: they chose the settings there.

        Parameters
        ----------
        plans : list of RunPlan
            Plans of the instrument's runs.
        bars : DataFrame
            The instrument's bars up to ``split.until``.

        Returns
        -------
        int
        """
        return sum(plan.model.trials for plan in plans if self._was_tuned_out_of_sample(plan.model, bars))

    def stored_grade(self, plan: RunPlan, n_trials: int, grade_key: str) -> dict[str, Any] | None:
        """Return the grade of a run that needs nothing.

        Parameters
        ----------
        plan : RunPlan
            The run.
        n_trials : int
            Trials that the evidence has to allow for.
        grade_key : str
            Key of what grades the run.

        Returns
        -------
        dict or None
            Row of the grades; None where the run has to be fitted, graded again or given its model.
        """
        row = self._grades.get(plan.record_id)
        if plan.is_new or row is None or (row["grade_key"], row["n_trials"]) != (grade_key, n_trials):
            return None
        if row["passed"] and plan.needs_model and not plan.has_model:
            return None
        trials = max(row.get("tuning_trials") or 0, plan.identity["tuning_trials"])
        return row | {"tuning_trials": trials, "model_sha256": plan.model_sha256}

    def with_predictions(self, bucket: int, plans: list[RunPlan]) -> list[RunPlan]:
        """Attach the stored predictions to the plans of runs that were fitted before.

        Parameters
        ----------
        bucket : int
            Bucket of the instruments.
        plans : list of RunPlan
            Plans of any instruments of the bucket.

        Returns
        -------
        list of RunPlan
            The same plans in the same order.
        """
        wanted = {plan.record_id for plan in plans if not plan.is_new}
        rows = self.store.predictions(bucket, wanted)
        if left := wanted.difference(rows["record_id"]):  # stored when the universe had another number of buckets
            rows = pl.concat([rows, self.store.predictions(None, left)])
        stored = dict(stored_predictions(rows))
        return [plan if plan.is_new else replace(plan, stored=stored[plan.record_id]) for plan in plans]

    def finish(self) -> None:
        """Remove the marker of ``fresh=true``: every run was trained again."""
        self._marker.unlink(missing_ok=True)

    def _was_tuned_out_of_sample(self, model: ModelConfig, bars: pl.DataFrame) -> bool:
        """Whether the tuning of a model's settings read bars from the instrument's first out-of-sample date on."""
        if not model.trials:
            return False
        if model.tuned_before is None:
            return True
        dates = bars.filter(tradable(bars))["date"].to_numpy()
        first = first_boundary(dates, self.settings.split, self.settings.label.horizon)
        return first is not None and first < dt.date.fromisoformat(model.tuned_before)

    def _plan(
        self, key: Key, model: ModelConfig, hashes: tuple[str, str | None], planted: bool, since: dt.datetime | None
    ) -> RunPlan:
        bars, facts = hashes
        library, code = self._libraries[model.family], self._code[model.family]
        parts = keys.run_parts(self.shared, key[0], self._features, model, bars, library, code, facts)
        parts |= self._arm
        run_key = keys.run_key(*key, parts)
        if model.family not in self._settings_keys:
            self._settings_keys[model.family] = keys.settings_key(parts)
        stored = self._stored.get(run_key)
        if stored and not (since and stored.created_at < since):
            return self._planned_before(run_key, stored, model)
        attempt = stored.attempt + 1 if stored else 0
        record_id = f"{run_key}.{attempt}"
        identity = {
            "record_id": record_id,
            "run_key": run_key,
            "attempt": attempt,
            "settings_key": self._settings_keys[model.family],
            "session_key": self.key,
            "strategy_key": self._strategy_key,
            "asset_class": key[0],
            "symbol": key[1],
            "family": model.family,
            "params": asdict(model.params),
            "features": list(self.shared.features),
            "parts": parts,
            "library_version": library,
            "git_commit": git.git_commit(),
            "created_at": dt.datetime.now(dt.UTC),
            "planted": planted,
            "tuning_trials": model.trials,
        }
        return RunPlan(record_id, model, identity)

    def _planned_before(self, run_key: str, stored: StoredRun, model: ModelConfig) -> RunPlan:
        """Plan of a run that the store holds."""
        sha256 = self.store.model_sha256(stored.record_id)
        if sha256 not in self._recorded_models.get(stored.record_id, {sha256}):
            sha256 = None  # the file was changed since: the model is made again
        identity = {
            "run_key": run_key,
            "settings_key": self._settings_keys[model.family],
            "session_key": stored.session_key,
            "strategy_key": stored.strategy_key,
            "fit_seconds": stored.fit_seconds,
            "tuning_trials": max(stored.tuning_trials or 0, model.trials),
        }
        return RunPlan(stored.record_id, model, identity, is_new=False, model_sha256=sha256)

    def _read_store(self) -> None:
        columns = (*StoredRun.__dataclass_fields__, "run_key", *KEY)
        for row in self.store.runs(columns).iter_rows(named=True):
            self.stored_keys.add(row["run_key"])
            if not row["superseded"]:
                self._stored[row["run_key"]] = StoredRun(*(row[name] for name in StoredRun.__dataclass_fields__))

    @property
    def _marker(self) -> Path:
        return self.store.root / f"fresh-{self.key[:8]}.json"

    def _read_fresh_marker(self) -> dt.datetime:
        if not self._marker.exists():
            atomic.write_json({"since": dt.datetime.now(dt.UTC).isoformat()}, self._marker)
        since: str = atomic.read_json(self._marker)["since"]
        return dt.datetime.fromisoformat(since)
