"""Trials of the pooled scope: every distinct recipe ever graded on an asset class, whatever its dataset."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import polars as pl

from src.core.hashing import json_digest
from src.training.trials_ledger import SERIES_SCHEMA, TRIALS_SCHEMA, TrialsLedger

if TYPE_CHECKING:
    from src.config.schema import ModelConfig

POOLED = "pooled"


def tuning_trials(models: Iterable[ModelConfig], first_oos: dt.date) -> int:
    """Count the tuning trials that read out-of-sample days: they chose the settings there.

    Parameters
    ----------
    models : iterable of ModelConfig
        Those of a class.
    first_oos : date
        Its first out-of-sample day.

    Returns
    -------
    int
        Those of settings of which it is not known what tuning read count too.
    """
    return sum(
        model.trials
        for model in models
        if model.tuned_before is None or first_oos < dt.date.fromisoformat(model.tuned_before)
    )


class PooledTrials:
    """Trials on the portfolios of one session.

    A trial is the settings of the fits with those of the portfolio, on one dataset: bars that a refresh prolongs make
    no new one. All trials on a class count, of whatever dataset, whose out-of-sample dates overlap; those on generated
    bars and those on real ones are counted apart.

    Parameters
    ----------
    ledger : TrialsLedger
        Of the data folder.
    session_key : str
    portfolio : str
        Key of the portfolio's settings.
    prior : int
        Recipes tried before the ledger begins.
    simulated : bool
        Whether the dataset's bars are generated: what was tried on these says nothing of real ones, nor the reverse.
    """

    def __init__(
        self, ledger: TrialsLedger, session_key: str, portfolio: str, prior: int, *, simulated: bool = False
    ) -> None:
        ledger.merge()
        self._ledger, self._session_key, self._portfolio, self._prior = ledger, session_key, portfolio, prior
        self._series = "simulated" if simulated else ""
        same = (pl.col("asset_class") == POOLED) & (pl.col("series") == self._series)
        self._rows = ledger.trials([POOLED], "1d").filter(same)

    def trial(self, settings: str) -> str:
        """Name of the trial that a run with these settings is."""
        return json_digest([self._ledger.dataset, settings, self._portfolio])

    def count(self, asset_class: str, settings: list[str], window: tuple[dt.date, dt.date]) -> int:
        """Count the trials on a class, those of the session included.

        Parameters
        ----------
        asset_class : str
        settings : list of str
            Settings keys of the session's own runs on the class.
        window : (date, date)
            First and last out-of-sample day.

        Returns
        -------
        int
            At least the number of runs; recipes tried before the ledger began are counted too.
        """
        overlaps = (pl.col("first_oos") <= window[1]) & (pl.col("last_oos") >= window[0])
        known = self._rows.filter((pl.col("symbol") == asset_class) & overlaps)["trial"]
        return self._prior + len(set(known) | {self.trial(each) for each in settings})

    def session_number(self) -> int:
        """Which session on these classes this is, the first being 1."""
        return len(set(self._rows["session_key"]) | {self._session_key})

    def record(self, rows: list[dict[str, Any]]) -> None:
        """Add graded runs to the ledger, durable on return.

        Parameters
        ----------
        rows : list of dict
            asset_class (of the names), run_key, settings, label, family, first_oos, last_oos, bars.
        """
        seen = dt.datetime.now(dt.UTC)
        known = set(self._rows.filter(pl.col("session_key") == self._session_key)["run_key"])
        new = [row for row in rows if row["run_key"] not in known]
        trials = [
            {
                "asset_class": POOLED,
                "symbol": row["asset_class"],
                "interval": "1d",
                "dataset": self._ledger.dataset,
                "session_key": self._session_key,
                "run_key": row["run_key"],
                "trial": self.trial(row["settings"]),
                "settings": row["settings"],
                "strategy": self._portfolio,
                "label": row["label"],
                "family": row["family"],
                "first_oos": row["first_oos"],
                "last_oos": row["last_oos"],
                "bars": row["bars"],
                "last_bar": None,
                "series": self._series,
                "seen": seen,
            }
            for row in new
        ]
        table = pl.DataFrame(trials, schema=TRIALS_SCHEMA)
        self._ledger.add(self._session_key, POOLED, table, pl.DataFrame(schema=SERIES_SCHEMA))
        self._ledger.merge()
