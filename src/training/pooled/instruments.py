"""Which instruments of a dataset the pooled scope looks at, by asset class, and how many fits they make."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from src.core.end_state import EndState
from src.core.instruments import KEY
from src.evaluation.splits import InsufficientData
from src.market import calendar
from src.storage import atomic
from src.training.inputs import Inputs
from src.training.pooled.class_data import Keys
from src.training.pooled.folds import PooledFold, pooled_folds

if TYPE_CHECKING:
    from src.training.pooled.settings import PooledSettings


class PooledInstruments:
    """Instruments of a dataset by asset class.

    Parameters
    ----------
    settings : PooledSettings
    inputs : Inputs
        Of the dataset.
    """

    def __init__(self, settings: PooledSettings, inputs: Inputs) -> None:
        self._settings, self._inputs = settings, inputs

    @cached_property
    def by_class(self) -> dict[str, Keys]:
        """Featurized instruments of each class, the classes sorted."""
        done = self._inputs.instruments.filter(pl.col("state") == "done").select(KEY)
        classes = sorted(done["asset_class"].unique().to_list())
        return {kind: frozenset(done.filter(pl.col("asset_class") == kind).iter_rows()) for kind in classes}

    def left(self) -> list[EndState]:
        """Instruments that never came here, with their first reason."""
        rows = self._inputs.instruments.filter(pl.col("state") != "done").select(*KEY, "state", "reason").iter_rows()
        return [
            EndState(kind, symbol, "skipped", reason if state == "skipped" else f"{state} by featurize: {reason}")
            for kind, symbol, state, reason in rows
        ]

    def fits(self) -> int:
        """Number of fits of the whole session, by the classes' calendars."""
        return sum(len(self._folds(kind)) * len(self._settings.models(kind)) for kind in self.by_class)

    def bytes_needed(self) -> int:
        """Estimate the disk space of ranks and scores: a byte a feature, four a family."""
        a_row = len(self._inputs.feature_names) + 4 * len(self._settings.training.models)
        return int(self._featurized["rows"].sum()) * a_row

    def carried(self, asset_class: str, path: Path) -> list[EndState] | None:
        """States of a class as an earlier session with the same settings stored them; None where a name has none."""
        if not path.is_file():
            return None
        with atomic.read_errors(path, "remove it: the next training writes it"):
            rows = pl.read_parquet(path, glob=False).filter(pl.col("asset_class") == asset_class)
        states = {(row["asset_class"], row["symbol"]): EndState(**row) for row in rows.iter_rows(named=True)}
        names = self.by_class[asset_class]
        return [states[key] for key in sorted(names)] if names <= states.keys() else None

    @cached_property
    def _featurized(self) -> pl.DataFrame:
        states = pl.read_parquet(self._settings.training.paths.states("featurize"), glob=False)
        return states.filter(pl.col("state") == "done")

    def _folds(self, kind: str) -> list[PooledFold]:
        settings = self._settings
        rows = self._featurized.filter(pl.col("asset_class") == kind).select(pl.col("first", "last").cast(pl.Date))
        first, last = str(rows["first"].min()), str(rows["last"].max())
        until = settings.training.split.until
        dates = calendar.sessions(kind, first, min(last, until or last))
        every, horizon = settings.scope.train_every, settings.label.horizon
        try:
            return pooled_folds(dates, kind, settings.training.split, horizon, every)
        except InsufficientData:
            return []
