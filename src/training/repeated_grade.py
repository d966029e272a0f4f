"""A stored run graded once more, with all that grading it gives: returns of each day beside the figures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from src.config.commands import command
from src.core.errors import StageError
from src.training import run_key
from src.training.regrading import Regrader

if TYPE_CHECKING:
    from src.evaluation.assessment import Assessment


class RepeatedGrades(Regrader):
    """Grades runs of one dataset again, one at a time, for readers; `Regrader.check` compares many."""

    def assessment(self, row: Mapping[str, Any]) -> Assessment:
        """Grade a run from its stored predictions and the bars, as its session did.

        Parameters
        ----------
        row : mapping
            Of grades, as stored: record_id, strategy_key, graded_by and n_trials count.

        Returns
        -------
        Assessment

        Raises
        ------
        StageError
            If its record, its predictions or its bars are gone, or its session's settings are not recorded.
        """
        record_id, again = row["record_id"], f"run `{command('train', stored=self._store.root.name)}`"
        runs = self._store.runs(record_ids=[record_id]).to_dicts()
        predicted = self._store.predictions(None, [record_id]).to_dicts()
        if not runs or not predicted:
            raise StageError(f"training stores no record {record_id}: {again}")
        run, own = runs[0], self._settings(row["graded_by"])
        settings = [each for each in own if run_key.strategy_key(each.strategy) == row["strategy_key"]]
        if not settings:
            raise StageError(f"{run['symbol']} was graded by a strategy of other code or settings: {again}")
        self._read_bars({(run["asset_class"], run["symbol"])})
        parts = json.loads(run["parts"])
        bars = self._bars_of(run, parts, predicted[0])
        if bars is None:
            raise StageError(f"the bars of {run['symbol']} are gone or were restated since its grade: {again}")
        return self._graded(run, parts, predicted[0], bars, settings[0], row["n_trials"] or 1)
