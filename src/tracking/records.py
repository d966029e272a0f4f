"""The records of training in ``data/runs`` and ``data/portfolios``, which vouch for the runs that MLflow shows.

A run counts only if training stored it: a record with these predictions, a grade with these figures, and this native
model. MLflow is not imported here, and Polars only when the first record is looked up, because the registry's plugin
asks this module inside MLflow. Files that changed since the last question are read again, and no other.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from src.config.commands import command
from src.config.paths import is_pooled
from src.evaluation.grade import GATE_METRICS

if TYPE_CHECKING:
    from src.config.paths import DatasetPaths

FIGURES = (*(metric.name for metric in GATE_METRICS), "n_oos")
"""Figures of a grade that a run in MLflow must share."""

NOT_STORED = "training stored no such run"
_TOLERANCE = 1e-12  # relative
_GRADED = ("record_id", "run_key", "strategy_key", "graded_by", "passed", "suspicious", "model_sha256", *FIGURES)

_FOLDERS: dict[tuple[Path, ...], Records] = {}
_LOCK = threading.Lock()


@dataclass(frozen=True)
class RecordedGrade:
    """What the store says of one graded run.

    Attributes
    ----------
    record_id, run_key, strategy_key, graded_by : str
        Identity of the run, of the strategy that was graded, and of the session that graded it.
    figures : dict
        `FIGURES` by name; an undefined one is None.
    passed : bool
        Whether it cleared the thresholds of its session.
    suspicious : str or None
        Why it looks too good to be true.
    model_sha256 : str or None
        Of the native model as training stored it; None where no model was stored, or by an earlier release.
    """

    record_id: str
    run_key: str
    strategy_key: str
    graded_by: str
    figures: dict[str, float | None]
    passed: bool
    suspicious: str | None
    model_sha256: str | None


class Records:
    """The runs, grades and native models that training stored for one dataset.

    Parameters
    ----------
    *folders : Path
        ``data/runs/<dataset>``, ``data/portfolios/<dataset>`` or both; the first is named where a record is missing.
    """

    def __init__(self, *folders: Path) -> None:
        self.folder = folders[0]
        self._folders = folders
        self._places: dict[str, Path] = {}
        self._files: dict[Path, tuple[tuple[int, int], list[Any]]] = {}
        self._attempts: dict[str, tuple[str, int]] = {}
        self._latest: dict[str, int] = {}
        self._grades: dict[str, list[RecordedGrade]] = {}

    @classmethod
    def at(cls, *folders: Path) -> Records:
        """Return the records of folders as their files are now; what was read before is kept.

        Parameters
        ----------
        *folders : Path
            ``data/runs/<dataset>`` and others; they need not exist.
        """
        with _LOCK:
            places = tuple(folder.absolute() for folder in folders)
            records = _FOLDERS.setdefault(places, cls(*places))
            records._refresh()
            return records

    @classmethod
    def of(cls, paths: DatasetPaths) -> Records:
        """Return the records of a dataset, of both scopes, as their files are now.

        Parameters
        ----------
        paths : DatasetPaths
        """
        return cls.at(paths.runs, paths.portfolios)

    def __contains__(self, record_id: object) -> bool:
        return record_id in self._attempts

    def __iter__(self) -> Iterator[str]:
        return iter(self._attempts)

    def place(self, record_id: str) -> Path:
        """Folder of the run store that holds a record; the first folder for one that is not stored.

        Parameters
        ----------
        record_id : str
        """
        return self._places.get(record_id, self.folder)

    def grades(self, record_id: str) -> list[RecordedGrade]:
        """Return the grades of a record, the latest last.

        Parameters
        ----------
        record_id : str
        """
        return self._grades.get(record_id, [])

    def latest_grades(self) -> Iterator[RecordedGrade]:
        """Yield the latest grade of each record and strategy."""
        for grades in self._grades.values():
            yield from {grade.strategy_key: grade for grade in grades}.values()

    def is_superseded(self, record_id: str) -> bool:
        """Whether a later attempt of the same run key replaces the record.

        Parameters
        ----------
        record_id : str
        """
        run_key, attempt = self._attempts.get(record_id, ("", 0))
        return attempt < self._latest.get(run_key, attempt)

    def objections(
        self, record_id: str | None, metrics: Mapping[str, float | None], model_sha256: str | None
    ) -> tuple[str, ...]:
        """Compare a run that MLflow shows with what training stored.

        Parameters
        ----------
        record_id : str or None
            Of the run, its tag ``alpha.record_id``.
        metrics : mapping
            `FIGURES` as MLflow has them; an undefined one is missing or None.
        model_sha256 : str or None
            Of the native model, the run's param of this name.

        Returns
        -------
        tuple of str
            What differs; empty if training stored this run with these figures and this model.
        """
        figures = self.figure_objections(record_id, metrics)
        if record_id is None or record_id not in self._attempts:
            return figures
        return (*figures, *self._model_objections(self.grades(record_id), record_id, model_sha256))

    def figure_objections(self, record_id: str | None, metrics: Mapping[str, float | None]) -> tuple[str, ...]:
        """Compare the figures alone, see `objections`.

        Parameters
        ----------
        record_id : str or None
        metrics : mapping
        """
        if record_id is None or record_id not in self._attempts:
            return (f"{NOT_STORED} ({record_id or 'it names no record'}) in {self.folder}",)
        if not self.grades(record_id):
            if self.is_superseded(record_id):  # its session's grades are those of the later attempt
                return ()
            return (f"training stored no grade of {record_id}: run {self._train(record_id)}",)
        differing = [_differences(grade.figures, metrics) for grade in self.grades(record_id)]
        fewest = min(differing, key=len)
        return tuple(fewest)

    def stored_rows(self) -> Iterator[str]:
        """Yield the record of every stored row; one that stands in two shards comes twice."""
        for path, (_, rows) in self._files.items():
            if path.name.endswith(".runs.parquet"):
                yield from (row[0] for row in rows)

    def _model_objections(self, grades: list[RecordedGrade], record_id: str, sha256: str | None) -> Iterator[str]:
        recorded = {grade.model_sha256 for grade in grades if grade.model_sha256}
        stored, models = self.stored_sha256(record_id), self.place(record_id) / "models"
        if recorded and sha256 not in recorded:
            yield "its model is not the one that training recorded (SHA-256)"
        elif stored is None and not recorded and not self.is_superseded(record_id):  # `clean` removes superseded models
            yield f"the native model of {record_id} is missing in {models}: run {self._train(record_id)}"
        elif stored is not None and stored not in (recorded or {sha256 or ""}):
            yield (
                f"the native model of {record_id} in {models} was changed (SHA-256): run "
                f"{self._train(record_id)}, which makes it again"
            )

    def _train(self, record_id: str) -> str:
        return command("train", *(["experiment=pooled"] if is_pooled(self.place(record_id)) else []))

    def stored_sha256(self, record_id: str) -> str | None:
        """SHA-256 of the native model file as it is now.

        Parameters
        ----------
        record_id : str

        Returns
        -------
        str or None
            None where no model is stored.
        """
        from src.training.run_store import RunStore

        return RunStore(self.place(record_id)).model_sha256(record_id)

    def _refresh(self) -> None:
        """Read the files that are new or changed, and build the index again if there are any."""
        kinds = ("b*.runs.parquet", "pending/b*/*.runs.parquet", "pending/b*.runs.log", "b*-*.grades.parquet")
        files = [path for kind in kinds for folder in self._folders for path in folder.glob(kind)]
        stamps = {path: stamp for path in files if (stamp := _stamp(path)) is not None}
        if stamps == {path: stamp for path, (stamp, _) in self._files.items()}:
            return
        before, self._files = self._files, {}
        for path, stamp in stamps.items():
            kept = before.get(path)
            rows = kept[1] if kept is not None and kept[0] == stamp else _rows(path)
            if rows is not None:
                self._files[path] = (stamp, rows)
        self._index()

    def _index(self) -> None:
        self._attempts, self._latest, self._grades, self._places = {}, {}, {}, {}
        for path, (_, rows) in self._files.items():
            if not path.name.endswith(".grades.parquet"):
                folder = next(each for each in self._folders if path.is_relative_to(each))
                for record_id, run_key, attempt in rows:
                    self._places[record_id] = folder
                    self._attempts[record_id] = (run_key, attempt)
                    self._latest[run_key] = max(attempt, self._latest.get(run_key, 0))
        shards = [(stamp, rows) for path, (stamp, rows) in self._files.items() if path.name.endswith(".grades.parquet")]
        begun: dict[str, int] = {}
        for (written, _), rows in shards:
            for grade in rows:
                begun[grade.graded_by] = min(written, begun.get(grade.graded_by, written))
        graded = [grade for _, rows in shards for grade in rows]
        for grade in sorted(graded, key=lambda grade: (begun[grade.graded_by], grade.graded_by)):
            self._grades.setdefault(grade.record_id, []).append(grade)


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        about = path.stat()
    except FileNotFoundError:  # a pending file that was merged into its shard meanwhile
        return None
    return about.st_mtime_ns, about.st_size


def _rows(path: Path) -> list[Any] | None:
    """Rows of a shard as tuples or grades; None where the file vanished meanwhile."""
    import polars as pl

    from src.storage.atomic import read_errors
    from src.training.run_files import identities

    is_grades = path.name.endswith(".grades.parquet")
    try:
        with read_errors(path, f"move it away and run `{command('train')}`, which makes what is missing"):
            if not is_grades:
                return identities(path).rows()
            table = pl.scan_parquet(path, glob=False).select(pl.col(f"^({'|'.join(_GRADED)})$")).collect()
    except FileNotFoundError:
        return None
    return [_grade(row) for row in table.iter_rows(named=True)]


def _grade(row: dict[str, Any]) -> RecordedGrade:
    figures = {name: None if row.get(name) is None else float(row[name]) for name in FIGURES}
    return RecordedGrade(
        row["record_id"],
        row["run_key"],
        row["strategy_key"],
        row["graded_by"],
        figures,
        bool(row["passed"]),
        row.get("suspicious"),
        row.get("model_sha256"),
    )


def _differences(stored: Mapping[str, float | None], metrics: Mapping[str, float | None]) -> list[str]:
    return [
        f"{name} {_shown(metrics.get(name))} is not the {_shown(value)} that training stored"
        for name, value in stored.items()
        if not _same(value, metrics.get(name))
    ]


def _same(stored: float | None, value: float | None) -> bool:
    if stored is None or value is None:
        return stored is value
    return abs(stored - value) <= _TOLERANCE * max(1.0, abs(stored))


def _shown(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.6g}"
