"""What a session of the pooled scope knows of one asset class: its cross-section, and what is predicted of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from src.config.commands import command
from src.core.arrays import BoolArray, Matrix
from src.core.errors import StageError
from src.core.hashing import json_digest, table_digest
from src.core.instruments import KEY
from src.evaluation.pooled.eligibility import eligible
from src.evaluation.pooled.styles import Styles, styles
from src.evaluation.pooled.targets import Targets, targets
from src.market.bars import BarStore, content_hash
from src.market.cross_section import CrossSection, cross_section
from src.storage import atomic

if TYPE_CHECKING:
    from src.config.schema import EligibilityConfig, LabelConfig

Keys = frozenset[tuple[str, str]]


@dataclass(frozen=True)
class ClassBars:
    """The stored bars of one asset class.

    Attributes
    ----------
    store : BarStore
    asset_class : str
    until : date, optional
        Last day that counts.
    names : frozenset of (asset_class, symbol)
        Instruments that count: those that are featurized.
    """

    store: BarStore
    asset_class: str
    until: dt.date | None
    names: Keys

    def parts(self) -> Iterator[pl.DataFrame]:
        """Yield the bars of each bucket, sorted by symbol and date.

        Raises
        ------
        StageError
            If a bucket can't be read.
        """
        for bucket in self.store.buckets():
            keys = [key for key in sorted(self.names) if key[0] == self.asset_class]
            bars = self.store.read_bucket(bucket, symbols=keys)
            if self.until is not None:
                bars = bars.filter(pl.col("date").cast(pl.Date) <= self.until)
            if bars.height:
                yield bars

    def digest(self, note: Path) -> str:
        """Hash the bars: what a fit takes from them.

        Parameters
        ----------
        note : Path
            Where the hash is kept beside what it was computed from, so that bars that did not change are not read.
        """
        made_from = json_digest(
            [
                [self.store.digest(b) for b in self.store.buckets()],
                str(self.until),
                self.asset_class,
                sorted(self.names),
            ]
        )
        if note.is_file() and (stored := atomic.read_json(note)).get("made_from") == made_from:
            return str(stored["bars"])
        hashed = json_digest(sorted(self._hashes()))
        atomic.write_json({"made_from": made_from, "bars": hashed}, note)
        return hashed

    def _hashes(self) -> Iterator[str]:
        """A hash an instrument, so that the number of buckets changes nothing."""
        for bars in self.parts():
            for key, own in bars.group_by(KEY, maintain_order=True):
                yield json_digest([list(key), content_hash(own), table_digest(own.select("split"))])


@dataclass(frozen=True)
class ClassData:
    """One asset class on its calendar: built once, read by fits and grades.

    Attributes
    ----------
    bars : ClassBars
    eligibility : EligibilityConfig
    label : LabelConfig
    """

    bars: ClassBars
    eligibility: EligibilityConfig
    label: LabelConfig

    @cached_property
    def section(self) -> CrossSection:
        """The instruments on the class's calendar."""
        return cross_section(self.bars.parts(), self.bars.asset_class, self.bars.until)

    @cached_property
    def eligible(self) -> BoolArray:
        """Which of them are ranked on which day, shape (T, N)."""
        return eligible(self.section, self.eligibility)

    @cached_property
    def styles(self) -> Styles:
        """What explains returns without skill."""
        return styles(self.section, self.eligible, self.eligibility)

    @cached_property
    def targets(self) -> Targets:
        """What is predicted."""
        return targets(self.section, self.eligible, self.styles, self.label, self.eligibility)

    def rows(self, table: Matrix) -> Matrix:
        """Take the eligible names of each day out of a table, day by day: the rows of the ranks."""
        return np.ascontiguousarray(table[self.eligible])


def require_featurized(bars: BarStore, buckets: list[int], dataset: str) -> None:
    """Make sure that every bucket has its features: a cross-section that lacks names ranks the others wrongly.

    Raises
    ------
    StageError
        Names the number of buckets that wait.
    """
    waiting = len(set(bars.buckets()) - set(buckets))
    if waiting:
        raise StageError(
            f"features of {waiting} of {len(bars.buckets())} buckets of {dataset} are not those of its bars, and a "
            f"cross-section needs all: run `{command('featurize', stored=dataset)}` first"
        )
