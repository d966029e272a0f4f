"""Stored runs of the pooled scope beside those of instruments, as the pooled session lays them out."""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from src.models import pooled_file, registry
from src.tracking.model_package import ModelFolder
from src.training.run_store import RunStore, shard_name
from tests.tracking.tracking_case import GOOD, Case, believe_grades, case, local

NAME = "pooled.stock.neutral"
SESSION = "8" * 24
PORTFOLIO_KEY = "d" * 24
COLUMNS = ["momentum_21", "volatility_63", "volume_ratio_5", "category.weekday"]
CATEGORIES = [3]
MEMBERS = ("lightgbm", "ridge")


@functools.cache
def member(family: str) -> bytes:
    """A tiny model over ranks in the family's own format."""
    x, y = training_ranks()
    library: Any = registry.pooled_family(family)
    params = registry.PARAMS[family](**({} if family == "ridge" else {"rounds": 5}))
    model = library.fit_pooled(x, y, params, 7, COLUMNS, objective="regression", categories=CATEGORIES, device="cpu")
    return bytes(library.to_bytes(model))


def training_ranks() -> tuple[Any, Any]:
    """Ranks of three features and the number of a day of the week, and what they say of a value."""
    generator = np.random.default_rng(3)
    x = generator.integers(0, 255, size=(4000, len(COLUMNS))).astype(np.uint8)
    x[::17, 1] = 255
    x[:, 3] = generator.integers(0, 5, size=4000)
    return x, (x[:, 0] / 127.0 - 1.0 + 0.3 * generator.normal(size=4000)).astype(np.float32)


def packed(families: tuple[str, ...]) -> bytes:
    """The native file of a run over some families."""
    meta = {"asset_class": "stock", "families": list(families), "features": COLUMNS, "categories": CATEGORIES}
    return pooled_file.pack({family: member(family) for family in families}, meta)


class PooledCase:
    """A project with both scopes; pooled runs are added by `add`, those of instruments by the `Case` of the project."""

    def __init__(self, made: Case) -> None:
        self.made = made
        self.store = RunStore(made.root / "data" / "portfolios" / "demo")
        self.session = {"key": SESSION, "name": "demo pooled ensemble neutral_20 neutral", "config_yaml": "seed: 7\n"}
        self.trained: list[dict[str, Any]] = []
        self.graded: list[dict[str, Any]] = []

    def add(
        self,
        kind: str = "stock",
        families: tuple[str, ...] = MEMBERS,
        metrics: dict[str, Any] | None = None,
        suspicious: str | None = None,
        attempt: int = 0,
        model: bool = True,
        session: str = SESSION,
        portfolio: str = "neutral",
        strategy_key: str = PORTFOLIO_KEY,
    ) -> str:
        """Store one run with its grade and, where it passed, its model; returns the record's id."""
        from src.evaluation.grade import Thresholds, grade

        metrics = GOOD if metrics is None else metrics
        verdict = grade(metrics, Thresholds.of(self.made.config.grade), suspicious)
        family = "ensemble" if len(families) > 1 else families[0]
        symbol = f"{kind}.{portfolio}"
        run_key = hashlib.blake2b(f"{symbol}.{families}".encode(), digest_size=12).hexdigest()
        record = f"{run_key}.{attempt}"
        named = {"record_id": record, "run_key": run_key, "session_key": session, "strategy_key": strategy_key}
        named |= {"asset_class": "pooled", "symbol": symbol, "family": family, "planted": False, "fit_seconds": 12.5}
        self.trained.append(named | _trained(families, attempt))
        self.graded.append(
            named
            | {"grade_key": "g" * 24, "graded_by": session}
            | {"passed": verdict.passed, "reasons": list(verdict.reasons), "suspicious": suspicious}
            | {"first_oos": dt.date(2020, 1, 1), "last_oos": dt.date(2025, 1, 1)}
            | {"luck_rate": 0.01, "p_value": 0.02, "z": 3.1, "turnover": 11.0, "n_trials": 66}
            | {"ic": 0.021, "names": 400.0}
            | metrics
            | (_curve() if verdict.passed else {})
        )
        if verdict.passed and model:
            self.store.write_model(record, pooled_file.FILE, packed(families))
            self.graded[-1]["model_sha256"] = self.store.model_sha256(record)
        self.save()
        return record

    def save(self) -> None:
        """Write runs, grades, the session's description and the grades table where training keeps them."""
        from src.storage import atomic
        from src.training.run_tables import OOS_SCHEMA, RUN_SCHEMA

        for session in {row["session_key"] for row in self.trained}:
            mine = [row for row in self.trained if row["session_key"] == session]
            schema = {**RUN_SCHEMA, **OOS_SCHEMA}
            runs = pl.DataFrame([{**dict.fromkeys(schema), **row} for row in mine], schema=schema)
            atomic.write_parquet(runs, self.store.root / f"{shard_name(0, session)}.runs.parquet")
            self.store.write_grades(shard_name(0, session), self.grades(session))
        atomic.write_json(self.session, self.store.root / f"session-{SESSION[:8]}.json")
        atomic.write_parquet(self.grades(), self.made.config.paths.portfolio_grades)

    def grades(self, session: str = SESSION) -> pl.DataFrame:
        """The grades of a session: the columns of every grade, and two that pooled grades have beside them."""
        from src.training.run_tables import grade_table

        rows = [row for row in self.graded if row["graded_by"] == session]
        table = grade_table(rows)
        return table.with_columns(
            pl.Series(name, [row[name] for row in rows], dtype=pl.Float64) for name in ("ic", "names")
        )

    def project(self) -> dict[str, str]:
        """Project as the pooled session does; returns MLflow's run id of each record."""
        from src.tracking.recorder import Recorder

        recorder = Recorder(self.made.tracked)
        recorder.put(self.store, self.grades(), self.session)
        return dict(recorder.close(self.store, self.grades(), self.session).iter_rows())  # type: ignore[arg-type]

    def project_of(self, record: str) -> str:
        """Project, and return MLflow's run id of one record."""
        return self.project()[record]

    def folder(self, record: str) -> ModelFolder:
        """The content of a run's model folder, as projection writes it."""
        path = self.store.model_path(record)
        assert path is not None
        row = next(each for each in self.trained if each["record_id"] == record)
        return ModelFolder(path, row["family"], COLUMNS, row["library_version"], {"registered_name": "x"}, seed=7)

    def forged(self, **metrics: float) -> tuple[str, str]:
        """A model of a run made by hand that carries the name of the first portfolio: run and model."""
        from mlflow.entities import Metric, Param

        client = self.made.client()
        source = client.get_run(client.get_model_version(NAME, "1").run_id)
        record = source.data.tags["alpha.record_id"]
        run = client.create_run(source.info.experiment_id, tags={"alpha.record_id": record})
        model = client.create_logged_model(source.info.experiment_id, "made-by-hand", run.info.run_id)
        params = self.folder(record).write(local(model.artifact_location), model.model_id, run.info.run_id)
        params |= {"model_id": model.model_id, "registered_name": NAME}
        client.log_batch(run.info.run_id, [Metric(name, value, 0, 0) for name, value in (GOOD | metrics).items()])
        client.log_batch(run.info.run_id, params=[Param(name, value) for name, value in params.items()])
        client.finalize_logged_model(model.model_id, "READY")
        client.set_terminated(run.info.run_id)
        return run.info.run_id, model.model_id


def _trained(families: tuple[str, ...], attempt: int) -> dict[str, Any]:
    parts = {
        "bars": "b" * 24, "panel": None, "features": "f" * 24, "code": "e" * 24, "seed": 7,
        "label": {"kind": "neutral", "horizon": 20, "tolerance": 1e-6, "params": {"clip": 0.5}},
        "split": {"anchor": "2000-07-01", "fold_months": 18}, "scope": {"objective": "regression", "train_every": 10},
        "eligibility": {"window": 63, "min_dollar_volume": {"stock": 1e6}},
        "model": {name: {"family": name, "params": {"rounds": 5}} for name in families},
        "fits": {name: hashlib.blake2b(name.encode(), digest_size=12).hexdigest() for name in families},
    }  # fmt: skip
    return {
        "attempt": attempt, "params": json.dumps({name: {"rounds": 5} for name in families}),
        "features": json.dumps(COLUMNS), "parts": json.dumps(parts), "git_commit": "c" * 40, "n_train": 90_000,
        "library_version": ", ".join(registry.family(name).LIBRARY.version for name in families), "n_folds": 5,
        "created_at": dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC),
    }  # fmt: skip


def _curve() -> dict[str, Any]:
    days = [dt.datetime(2020, 1, 1) + dt.timedelta(days=day) for day in range(106)]
    equity = [1.001**day for day in range(1, 107)]
    return {"stamp": days, "net": [0.001] * 106, "equity": equity, "always_long": equity}


def pooled_case(folder: Path, monkeypatch: pytest.MonkeyPatch, uri: str | None = None) -> PooledCase:
    """A fresh project with both scopes, whose stored grades count as repeated."""
    from src.training.pooled.regrading import PooledRegrader

    made = PooledCase(case(folder, monkeypatch, uri))
    believe_grades(monkeypatch, PooledRegrader)
    return made
