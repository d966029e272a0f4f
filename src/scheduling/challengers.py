"""Carry out a refit: pin the date, train each scope, promote by the same demands, keep it in the journal."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from src.config.paths import DatasetPaths
from src.core.errors import ConfigError, StageError
from src.scheduling.refit import due_refit, pin, with_done
from src.scheduling.steps import Steps, World
from src.signals.journal import Journal
from src.storage.day_record import Refit, moment
from src.training.session_choices import last_until


@dataclass(frozen=True)
class Challengers:
    """The refits of one dataset.

    Attributes
    ----------
    paths : DatasetPaths
    period : str or None
        See `src.scheduling.refit`; None refits never.
    pinned : str or None
        Last bar that training may use, as the settings say.
    params : Path
        The file that holds ``split_until``.
    """

    paths: DatasetPaths
    period: str | None
    pinned: str | None
    params: Path

    def train(self, steps: Steps, world: World, last_bar: dt.date | None) -> bool:
        """Move ``split_until``, train and promote, where that is due or was begun.

        Parameters
        ----------
        steps : Steps
        world : World
        last_bar : date or None
            Of the dataset; None without bars.

        Returns
        -------
        bool
            Whether promote refused versions, such as one whose files were changed; the others are promoted.

        Raises
        ------
        ConfigError
            If ``split_until`` is null.
        StageError
            If a step failed, or params.yaml can't be changed.
        """
        due = self._due(steps.record.refit, last_bar)
        if due is None:
            return False
        refused = False
        if "pinned" not in due.done:
            steps.note(refit=due)
            pin(self.params, due.until)
            due = _did(steps, due, "pinned")
            world.show(f"daily: split_until moves from {due.before} to {due.until} in {self.params.name}")
        for scope in self._trained(None):
            if scope not in due.done:
                steps.run("train", f"scope={scope}")
                due = _did(steps, due, scope)
        if "promoted" not in due.done:
            end = steps.run("promote", f"why={self.period} refit up to {due.until}", tolerated=True)
            refused = end.status != 0
            if refused and not end.line.startswith("promote: "):  # no closing line: it failed
                raise StageError(str(steps.record.steps[-1]["line"]))
            due = _did(steps, due, "promoted")
        self._keep(due)
        steps.note(refit=Refit(due.until, due.before, due.done, moment(world.clock())))
        return refused

    def _due(self, record: Refit | None, last_bar: dt.date | None) -> Refit | None:
        if self.period is None or last_bar is None:
            return None
        if self.pinned is None:
            raise ConfigError("refit moves split_until, which is null: write a date in params.yaml")
        return due_refit(self.period, last_bar, self.pinned, self._trained(record), record)

    def _trained(self, record: Refit | None) -> dict[str, str | None]:
        """Last date that each scope was trained with, of scopes that were trained.

        The record of the last refit counts too: sessions of earlier releases keep the date that they began with.
        """
        paths = self.paths
        stores = {"instrument": (paths.runs, paths.grades), "pooled": (paths.portfolios, paths.portfolio_grades)}
        refitted = {} if record is None else dict.fromkeys(record.done, record.until)
        return {
            scope: max([each for each in (last_until(store), refitted.get(scope)) if each], default=None)
            for scope, (store, grades) in stores.items()
            if grades.is_file()
        }

    def _keep(self, refit: Refit) -> None:
        """Add the refit to the journal, once."""
        note = {"event": "refit", "split_until": refit.until, "before": refit.before, "period": self.period}
        journal = Journal.of(self.paths)
        if not any(dict(entry.note) == note for entry in journal.entries()):
            journal.record_event(note)


def last_bar(states: pl.DataFrame | None) -> dt.date | None:
    """Return the last bar of a dataset.

    Parameters
    ----------
    states : DataFrame or None
        As hydration leaves it: state, last; None before it ran.
    """
    last = None if states is None else states.filter(state="done")["last"].max()
    return last if isinstance(last, dt.date) else None


def _did(steps: Steps, due: Refit, part: str) -> Refit:
    done = with_done(due, part)
    steps.note(refit=done)
    return done
