"""What ranks, filters and crowns versions: the latest grades that training stored, never MLflow's latest metrics."""

from __future__ import annotations

from typing import Any

import polars as pl

from src.core.instruments import Key
from src.evaluation.multiple_testing import with_q_values
from src.tracking.projection import stored_sessions
from src.training.run_store import RunStore
from src.training.run_tables import CURVE_SCHEMA

_NOT_READ = (*CURVE_SCHEMA, "shift_passes", "shift_z")


class StoredEvidence:
    """The latest grade of each record and strategy of a dataset, with its session's q-values.

    Parameters
    ----------
    *stores : RunStore
        Those of instruments and of pooled models; no record stands in both.
    """

    def __init__(self, *stores: RunStore) -> None:
        parts = [_session(store, session["key"]) for store in stores for session in stored_sessions(store)]
        parts = [part for part in parts if part.height]
        table = pl.concat(parts, how="diagonal_relaxed") if parts else pl.DataFrame(schema=_EMPTY)
        self.table = table.unique(["record_id", "strategy_key"], keep="last", maintain_order=True)
        self._numbers = {key: number for number, key in enumerate(self.table.select(list(_EMPTY)).iter_rows())}

    def figures(self, record_id: str | None, strategy_key: str | None) -> dict[str, float]:
        """Return the numbers of a grade by name; undefined ones are left out.

        Parameters
        ----------
        record_id, strategy_key : str or None
            Of the run.

        Returns
        -------
        dict
            Empty if training stored no such grade.
        """
        row = self.row(record_id or "", strategy_key or "")
        numbers = {name: value for name, value in row.items() if isinstance(value, int | float)}
        return {name: float(value) for name, value in numbers.items() if not isinstance(value, bool)}

    def row(self, record_id: str, strategy_key: str) -> dict[str, Any]:
        """Return a grade as training stored it, with its q-value; empty if training stored no such grade.

        Parameters
        ----------
        record_id, strategy_key : str
            Of the run.
        """
        number = self._numbers.get((record_id, strategy_key))
        return {} if number is None else self.table.row(number, named=True)

    def rows(self, keys: list[Key]) -> pl.DataFrame:
        """Return the rows of some grades, as `src.training.regrading.Regrader.check` takes them.

        Parameters
        ----------
        keys : list of (record_id, strategy_key)
        """
        wanted = pl.DataFrame(keys, schema=_EMPTY, orient="row")
        return self.table.join(wanted, on=list(_EMPTY), how="semi")


_EMPTY = {"record_id": pl.String, "strategy_key": pl.String}


def _session(store: RunStore, key: str) -> pl.DataFrame:
    grades = store.grades(key)
    grades = grades.drop(_NOT_READ, strict=False)
    needed = {"asset_class", "symbol", "p_value", "n_trials"}
    if not grades.height or not needed <= set(grades.columns):
        return grades
    return with_q_values(grades.with_columns(pl.col("n_trials").fill_null(1)))
