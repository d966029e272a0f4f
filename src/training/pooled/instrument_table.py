"""The pooled scores on each instrument beside its own models, stored a class at a time and as one table."""

from __future__ import annotations

from dataclasses import asdict
from functools import cached_property
from typing import TYPE_CHECKING

import polars as pl

from src.config.commands import command
from src.core.code_hash import code_digest
from src.core.hashing import json_digest
from src.evaluation.pooled.by_instrument import SCHEMA, by_instrument
from src.storage import atomic
from src.training.pooled.own_runs import own_runs
from src.training.run_store import RunStore

if TYPE_CHECKING:
    from src.evaluation.pooled.graded_days import PooledRun
    from src.training.pooled.settings import PooledSettings

_OF_OWN = ("asset_class", "symbol", "family", "record_id")


class InstrumentTable:
    """Tables of one dataset: ``data/portfolios/<dataset>/instruments/<class>.parquet``, and all of them together.

    Parameters
    ----------
    settings : PooledSettings
    """

    def __init__(self, settings: PooledSettings) -> None:
        self._settings, self._paths = settings, settings.training.paths
        self._folder = self._paths.portfolios / "instruments"

    def is_current(self, asset_class: str, run_key: str) -> bool:
        """Whether a class's table is of this run and of the instruments' own models as they are now."""
        note = self._folder / f"{asset_class}.json"
        whole = note.is_file() and (self._folder / f"{asset_class}.parquet").is_file()
        return whole and bool(atomic.read_json(note).get("made_from") == self._made_from(asset_class, run_key))

    def add(self, run: PooledRun, run_key: str) -> None:
        """Make and store the table of a class.

        Parameters
        ----------
        run : PooledRun
            The class's scores; of several runs the first.
        run_key : str
        """
        training, asset_class = self._settings.training, run.section.asset_class
        own = own_runs(RunStore(self._paths.runs), self._own, asset_class)
        least = self._settings.eligibility.delisting_return
        table = by_instrument(run, own, training.strategy, training.grade, least)
        note = self._folder / f"{asset_class}.json"
        note.unlink(missing_ok=True)  # it would vouch for a table of other runs if this were interrupted
        atomic.write_parquet(table, self._folder / f"{asset_class}.parquet")
        atomic.write_json({"made_from": self._made_from(asset_class, run_key)}, note)

    def finish(self, classes: list[str]) -> None:
        """Write the table of all classes."""
        tables = [pl.DataFrame(schema=SCHEMA)]
        for asset_class in classes:
            path = self._folder / f"{asset_class}.parquet"
            with atomic.read_errors(path, f"run `{command('train', 'scope=pooled')}`, which makes it again"):
                tables.append(pl.read_parquet(path, glob=False))
        atomic.write_parquet(pl.concat(tables), self._paths.portfolios / "by_instrument.parquet")

    @cached_property
    def _own(self) -> pl.DataFrame:
        """Runs of the instrument scope that are graded; none where that scope was not trained."""
        if not self._paths.grades.is_file():
            return pl.DataFrame(schema=dict.fromkeys(_OF_OWN, pl.String()))
        with atomic.read_errors(self._paths.grades, f"run `{command('train')}`, which writes it"):
            return pl.read_parquet(self._paths.grades, columns=list(_OF_OWN), glob=False)

    def _made_from(self, asset_class: str, run_key: str) -> str:
        own = sorted(self._own.filter(pl.col("asset_class") == asset_class)["record_id"])
        training = self._settings.training
        sections = [asdict(training.strategy), asdict(training.grade), asdict(self._settings.eligibility)]
        return json_digest([own, run_key, sections, code_digest(by_instrument)])
