"""Rows of the grades: what a worker found of a run, with the run's identity and the keys of what graded it."""

from __future__ import annotations

from typing import Any

import polars as pl

from src.core.hashing import json_digest, table_digest
from src.training import run_key
from src.training.settings import TrainingSettings
from src.training.walk_forward import InstrumentTask, RunPlan


class GradeRows:
    """Makes the rows that a session adds to the grades.

    Parameters
    ----------
    settings : TrainingSettings
        Strategy and grade of the session.
    session_key : str
        Key of the session.

    Attributes
    ----------
    grade_key : str
        Key of what grades every run: strategy, thresholds, evidence and the code of all.
    """

    def __init__(self, settings: TrainingSettings, session_key: str) -> None:
        self._session_key = session_key
        self._strategy_key = run_key.strategy_key(settings.strategy)
        self.grade_key = run_key.grade_key(settings.strategy, settings.grade)

    def key(self, bars: pl.DataFrame) -> str:
        """Return the key of what grades an instrument's runs.

        Parameters
        ----------
        bars : DataFrame
            Bars of the instrument: costs look at the split history, doubts at the marks of repairs.

        Returns
        -------
        str
            Hexadecimal digits.
        """
        return json_digest([self.grade_key, table_digest(bars.select("split", "repaired"))])

    def row(
        self,
        task: InstrumentTask,
        plan: RunPlan,
        found: dict[str, Any],
        seconds: float | None,
        grade_key: str,
        *,
        planted: bool,
    ) -> dict[str, Any]:
        """Make the row of one run.

        Parameters
        ----------
        task : InstrumentTask
            The instrument.
        plan : RunPlan
            The run.
        found : dict
            Columns that the worker computed.
        seconds : float, optional
            CPU seconds of the fits; None where stored predictions were graded again.
        grade_key : str
            Key of what graded it: that of the instrument's bars, see `key`.
        planted : bool
            Whether the instrument is simulated with a known edge.

        Returns
        -------
        dict
            Columns of `src.training.run_tables.GRADE_SCHEMA` by name.
        """
        # A run keeps the session that trained it, unless another strategy makes other returns of it.
        same = plan.identity["strategy_key"] == self._strategy_key
        return {
            "asset_class": task.asset_class,
            "symbol": task.symbol,
            "family": plan.model.family,
            "run_key": plan.identity["run_key"],
            "fit_seconds": plan.identity.get("fit_seconds") if seconds is None else seconds,
            "tuning_trials": plan.identity.get("tuning_trials"),
            "session_key": plan.identity["session_key"] if same else self._session_key,
            **found,
            "strategy_key": self._strategy_key,
            "grade_key": grade_key,
            "graded_by": self._session_key,
            "planted": planted,
        }
