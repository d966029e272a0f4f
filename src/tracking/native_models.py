"""Native models of runs that passed: logged once, mended or replaced where MLflow lost them."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from src.config.commands import command
from src.config.paths import is_pooled
from src.core.instruments import Key
from src.tracking.model_package import ModelFolder
from src.tracking.run_record import RunContent
from src.tracking.search import finished_models
from src.tracking.sqlite_runs import RecordedRun

if TYPE_CHECKING:
    import polars as pl

    from src.tracking.repair import Repairs
    from src.training.run_store import RunStore

_MODEL_NOTES = {"graded": "the walk-forward procedure", "model": "a refit on all data up to the run's last bar"}


@dataclass
class NativeModels:
    """Logs the native models of runs that passed, and replaces runs whose model can't be mended.

    Attributes
    ----------
    target : MlflowStore
    store : RunStore
    runs : DataFrame
        Rows of the run store, at least those that passed.
    repairs : Repairs or None
        Mends; None while training, which logs and mends nothing.
    write_again : callable
        Writes a run as a new one.
    bucket : int or None
        Bucket of all the runs.
    aliases : dict
        Aliases that pointed to versions of replaced runs, by the key of the run.
    """

    target: Any
    store: RunStore
    runs: pl.DataFrame
    repairs: Repairs | None
    write_again: Callable[[RunContent], None]
    bucket: int | None = None
    aliases: dict[Key, dict[str, str]] = field(default_factory=dict)

    @cached_property
    def _features(self) -> dict[str, str]:
        return dict(self.runs.select("record_id", "features").iter_rows())

    @cached_property
    def _recorded(self) -> dict[str, set[str]]:
        return self.store.recorded_models(self.bucket)

    @cached_property
    def _logged(self) -> dict[str, Any]:
        return dict(finished_models(self.target.client, self.target.experiment))

    def bring(self, content: RunContent, recorded: dict[Key, RecordedRun]) -> None:
        """Log the model of a run that has none, and mend one that is not as it was logged.

        Parameters
        ----------
        content : RunContent
        recorded : dict
            The runs that MLflow has; changed where a run is replaced.
        """
        run = recorded[content.key]
        folder = self._folder(content)
        if folder is None:
            return
        if run.model_id is not None and self.repairs is not None:
            if not self.repairs.mend(self.target, self._logged, folder, content, run):
                return
            self.aliases[content.key] = self.repairs.discard(self.target, content, run)
            self.write_again(content)
        run = recorded[content.key]
        if run.model_id is None:
            name = "".join(letter if letter.isalnum() or letter in "-_" else "-" for letter in content.name)
            run.model_id = self.target.log_model(folder, name, content.record_id, run.run_id)

    def _folder(self, content: RunContent) -> ModelFolder | None:
        """What the folder of a run's model holds; None where the native model is gone or was changed."""
        native = self.store.model_path(content.record_id)
        sha256 = self.store.model_sha256(content.record_id)
        if native is None or sha256 not in self._recorded.get(content.record_id, {sha256}):
            if self.repairs is not None:
                what = "is missing" if native is None else "was changed (SHA-256)"
                pooled = is_pooled(self.store.root)
                train = command("train", *(["experiment=pooled"] if pooled else []))
                place = "data/portfolios" if pooled else "data/runs"
                self.repairs.refuse(content, f"its native model in {place} {what}: run `{train}`")
            return None
        params = content.params
        metadata = {"run_key": params["run_key"], "registered_name": params["registered_name"], **_MODEL_NOTES}
        features = json.loads(self._features[content.record_id])
        created = dt.datetime.fromtimestamp(content.end / 1000, dt.UTC)
        seed = int(params.get("seed", 0))
        return ModelFolder(native, params["family"], features, params["library_version"], metadata, created, seed)
