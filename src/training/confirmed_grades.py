"""Grades that were repeated and confirmed before: what they were computed from decides whether they are repeated again.

A repeated grade follows from the stored row, the files of the run's record and bars, the settings that its session
recorded, those of the command, and the code. One digest of all that, by content and never by a file's time, stands for
computing it again. Only confirmed grades are kept: one that differs, or can't be checked, is looked at each time. The
file is written last, and it is a cache.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from src.core.file_digest import files_digest, source_digest
from src.core.hashing import json_digest
from src.market.bars import BarStore, bucket
from src.storage import atomic, partitions
from src.training import run_files
from src.training.grade_basis import GradeBasis
from src.training.regrading import CHECKED, GradeCheck, Regrader

if TYPE_CHECKING:
    from src.config.paths import DatasetPaths
    from src.config.schema import GradeConfig, StrategyConfig

_FORMAT = 1
_LIBRARIES = ("numpy", "polars", "scipy")
_ROW = ("asset_class", "symbol", "record_id", "strategy_key", "graded_by", "grade_key", "n_trials", *CHECKED)
"""Columns of a stored row that a check reads."""


class ConfirmedGrades:
    """Repeats the grades of one dataset as `Regrader` does, but for those that were confirmed from the same content.

    Parameters
    ----------
    paths : DatasetPaths
    strategy : StrategyConfig
    grade : GradeConfig
    until : str, optional
        As `Regrader` takes them.
    keeps : bool
        Whether what is confirmed is kept for the next time.
    """

    def __init__(
        self,
        paths: DatasetPaths,
        strategy: StrategyConfig,
        grade: GradeConfig,
        until: str | None = None,
        *,
        keeps: bool = True,
    ) -> None:
        self._paths = paths
        self._regrader = Regrader(paths, strategy, grade, until)
        self._settings = repr((strategy, grade, until))
        self._path = paths.settled / "confirmed.json"
        self._keeps = keeps

    def check(self, graded: pl.DataFrame) -> Iterator[GradeCheck]:
        """Grade runs again and compare, see `Regrader.check`.

        Parameters
        ----------
        graded : DataFrame
            Rows of grades, as stored.

        Yields
        ------
        GradeCheck
            One a row, in any order.
        """
        if not graded.height:
            return
        entries, content = self._read(), _Content(self._paths, self._settings)
        rows = {(row["record_id"], row["strategy_key"]): row for row in graded.select(_known(graded)).to_dicts()}
        kept = {}
        for key, row in rows.items():
            entry = entries.get(" ".join(key))
            if entry and entry["digest"] == content.digest(row, GradeBasis(**entry["basis"])):
                kept[key] = GradeCheck(*key, is_current=entry["is_current"])
        yield from kept.values()
        left = [key not in kept for key in graded.select("record_id", "strategy_key").iter_rows()]
        others = graded.filter(pl.Series(left, dtype=pl.Boolean))
        if others.height:
            for row in others.select(_known(others)).iter_rows(named=True):
                content.remember(row)
            checks = list(self._regrader.check(others))
            yield from checks
            if self._keeps:
                self._keep(entries, rows, checks, content)

    def _keep(
        self,
        entries: dict[str, Any],
        rows: Mapping[tuple[str, str], Mapping[str, Any]],
        checks: Iterable[GradeCheck],
        before: _Content,
    ) -> None:
        """Add what was confirmed, if its files are those that were read; forget records that are no longer stored."""
        after = _Content(self._paths, self._settings)
        for check in checks:
            key = check.record_id, check.strategy_key
            entries.pop(" ".join(key), None)
            if check.objection is None and check.basis is not None:
                digest = before.digest(rows[key], check.basis, remembered=True)
                if digest is not None and digest == after.digest(rows[key], check.basis):
                    basis = asdict(check.basis)
                    entries[" ".join(key)] = {"digest": digest, "is_current": check.is_current, "basis": basis}
        held = {key: entry for key, entry in sorted(entries.items()) if key.partition(" ")[0] in after.holding}
        atomic.write_json({"format": _FORMAT, "confirmed": held}, self._path, durable=False)

    def _read(self) -> dict[str, Any]:
        """Entries by record and strategy; empty without a file, or with one that is damaged or of another release."""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            content = atomic.read_json(self._path)
            if content["format"] == _FORMAT:
                return dict(content["confirmed"])
        return {}


@dataclass
class _Content:
    """What the files of a dataset hold, each hashed when it is first asked for.

    Attributes
    ----------
    paths : DatasetPaths
    settings : str
        Of the command.
    """

    paths: DatasetPaths
    settings: str

    def __post_init__(self) -> None:
        self._bars = BarStore(self.paths.bars)
        self._count = self._bars.manifest.buckets if self._bars.exists() else 0
        self._buckets: dict[int, dict[int, Path]] = {}
        self._hashes: dict[Path, str] = {}
        versions = [version(name) for name in _LIBRARIES]
        self._basis = [_FORMAT, source_digest(), versions, self.settings]

    @cached_property
    def holding(self) -> dict[str, list[Path]]:
        """Files of the run store that hold each record."""
        found: dict[str, list[Path]] = defaultdict(list)
        kinds = ("b*.runs.parquet", "pending/b*/*.runs.parquet", "pending/b*.runs.log")
        for path in (path for kind in kinds for path in sorted(self.paths.runs.glob(kind))):
            with contextlib.suppress(FileNotFoundError), atomic.read_errors(path, "move it away and train again"):
                for record_id in run_files.identities(path)["record_id"]:
                    found[record_id].append(path)
        return dict(found)

    def digest(self, row: Mapping[str, Any], basis: GradeBasis, *, remembered: bool = False) -> str | None:
        """Hash all that the grade of a row follows from; None where a file of it is gone.

        Parameters
        ----------
        row : mapping
            Of grades, as stored.
        basis : GradeBasis
        remembered : bool
            Whether only files that were hashed before count.
        """
        try:
            files = [self._hash(path, remembered) for path in self._files(row, basis)]
        except (OSError, KeyError):
            return None
        stored = {name: row.get(name) for name in _ROW}
        return json_digest([*self._basis, stored, asdict(basis), files]) if files else None

    def remember(self, row: Mapping[str, Any]) -> None:
        """Hash all files that the grade of a row may follow from, before they are read."""
        with contextlib.suppress(OSError):
            any_year = GradeBasis((), 9999, is_relative=False)
            sessions = sorted(self.paths.runs.glob("session-*.json"))
            for path in (*self._files(row, any_year), *sessions):
                self._hash(path, False)

    def _files(self, row: Mapping[str, Any], basis: GradeBasis) -> list[Path]:
        """Files of a run's record, of its bars up to the last one, of what they are compared with, and of settings."""
        records = self.holding.get(row["record_id"], [])
        bars = [path for year, path in self._years(row).items() if year <= basis.last_year]
        if not records or not bars:
            return []
        sessions = {self.paths.runs / f"session-{key[:8]}.json" for key in basis.sessions}
        others = sorted(self._bars.root.glob("*.parquet")) if basis.is_relative else []
        panel = [self._bars.root / "panel.json"] if basis.is_relative else []
        return [*records, *bars, *others, *panel, *(path for path in sorted(sessions) if path.is_file())]

    def _years(self, row: Mapping[str, Any]) -> dict[int, Path]:
        """Files of the bucket of an instrument's bars, by year; none where any is missing."""
        if not self._count:
            return {}
        number = bucket(row["asset_class"], row["symbol"], self._count)
        if number not in self._buckets:
            self._buckets[number] = partitions.paths(self._bars.root, number) if self._bars.intact(number) else {}
        return self._buckets[number]

    def _hash(self, path: Path, remembered: bool) -> str:
        if not remembered and path not in self._hashes:
            self._hashes[path] = files_digest([path], path.parent)
        return self._hashes[path]


def _known(graded: pl.DataFrame) -> list[str]:
    return [name for name in _ROW if name in graded.columns]
