"""MLflow's runs of a session as its last projection left them: where nothing differs, nothing is compared again.

The mark is made of digests. That of what the projection writes (grades, stored runs, settings, code) and of what MLflow
holds (state, tags, metrics and model of every run of the experiment that training wrote) stand for the runs that did
not pass. Passes need those of their models and versions too: the registry, the native models in the run store, and for
`src.sync`, which mends them, each file of each logged model. A run that was deleted, a database that was lost or
replaced, a tag, a version or a file that was changed: a digest differs, and all is compared. The mark is a cache,
written last.
"""

from __future__ import annotations

import contextlib
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from src.config.paths import is_pooled
from src.core.file_digest import files_digest, source_digest
from src.core.hashing import json_digest, text_digest
from src.storage import atomic
from src.tracking.card_writing import SESSION_FIGURES
from src.tracking.location import local_folder
from src.tracking.sqlite_held import HeldRuns, held_registry, held_runs, model_places, registered_runs
from src.tracking.sqlite_runs import BulkRuns

if TYPE_CHECKING:
    from src.tracking.repair import Repairs
    from src.tracking.store import MlflowStore
    from src.training.run_store import RunStore

_FORMAT = 2
_RUN = ("record_id", "strategy_key")


@dataclass(frozen=True)
class SettledRun:
    """A run that needs nothing: its id, and the session that trained it."""

    run_id: str
    session_key: str


class SettledRuns:
    """The mark of one session's projection.

    Parameters
    ----------
    target : MlflowStore
    store : RunStore
    grades : DataFrame
        All rows of grades that are projected.
    session : mapping
        ``key``, and what the cards of versions show of the session.
    repairs : Repairs, optional
        Of `src.sync`, whose settings are its own.
    """

    def __init__(
        self,
        target: MlflowStore,
        store: RunStore,
        grades: pl.DataFrame,
        session: Mapping[str, Any],
        repairs: Repairs | None = None,
    ) -> None:
        self._runs = target.runs if isinstance(target.runs, BulkRuns) and not is_pooled(store.root) else None
        name = f"mlflow-{session['key'][:8]}{'' if repairs is None else '-sync'}.json"
        self._path = target.settings.paths.settled / name
        self._target, self._store, self._grades = target, store, grades
        self._session, self._repairs = session, repairs
        self._wanted = self._projected() if self._runs is not None else ""

    def unchanged(self) -> dict[str, SettledRun]:
        """Return the runs that need nothing, by record id: all, those that did not pass, or none."""
        if self._runs is None or not self._grades.height or self._grades["record_id"].is_duplicated().any():
            return {}
        stored: Any = None
        with contextlib.suppress(OSError, ValueError):
            stored = atomic.read_json(self._path)
        held = held_runs(self._runs)
        same = {"format": _FORMAT, "projected": self._wanted, "held": held.digest}
        if not isinstance(stored, dict) or {name: stored.get(name) for name in same} != same:
            return {}
        failed = self._found(held, self._grades.filter(~pl.col("passed")))
        passed = self._found(held, self._grades.filter("passed")) if failed is not None else None
        if failed is None or passed is None or not self._are_settled(passed, stored.get("passes")):
            return failed or {}
        return failed | passed

    def write(self) -> None:
        """Mark what MLflow holds now."""
        if self._runs is None or not self._grades.height:
            return
        mark = {"format": _FORMAT, "projected": self._wanted, "held": held_runs(self._runs).digest}
        is_quiet = self._repairs is None or self._repairs.is_quiet
        mark |= {"passes": self._passes(self._runs)} if is_quiet else {}
        atomic.write_json(mark, self._path, durable=False)

    def _found(self, held: HeldRuns, grades: pl.DataFrame) -> dict[str, SettledRun] | None:
        """MLflow's runs of some grades, by record id; None where it lacks any of them."""
        found = {key: held.runs.get(key) for key in grades.select(_RUN).iter_rows()}
        settled = {record_id: SettledRun(*run) for (record_id, _), run in found.items() if run is not None}
        return settled if len(settled) == len(found) else None

    def _are_settled(self, passed: Mapping[str, SettledRun], mark: str | None) -> bool:
        """Whether models and versions are as they were marked; `src.sync` grades again what has no version."""
        if self._runs is None or mark is None or self._passes(self._runs) != mark:
            return False
        if self._repairs is None:
            return True
        registered = registered_runs(self._runs)
        lacking = [record_id for record_id, run in passed.items() if run.run_id not in registered]
        graded = self._grades.filter(pl.col("passed"), pl.col("record_id").is_in(lacking))
        return self._repairs.confirms(graded)

    def _projected(self) -> str:
        nested = [name for name, kind in self._grades.schema.items() if kind.is_nested() or kind == pl.Binary]
        reasons = pl.col("reasons").list.join("; ").alias("_reasons")
        shown = self._grades.sort("record_id").with_columns(reasons).drop(nested)
        root = self._store.root
        kinds = ("b*.runs.parquet", "pending/b*/*.runs.parquet", "pending/b*.runs.log")
        files = files_digest([path for kind in kinds for path in root.glob(kind)], root)
        target = self._target
        others = [repr(target.settings), repr(target.thresholds), target.experiment, self._session["key"]]
        return json_digest([source_digest(), *others, files, text_digest(shown.write_csv())])

    def _passes(self, runs: BulkRuns) -> str | None:
        """Hash of the registry and of the models of passes; None where `src.sync` can't read their files here."""
        said = {name: self._session.get(name) for name in ("name", *SESSION_FIGURES)}
        registry, root = held_registry(runs, self._session["key"], SESSION_FIGURES), self._store.root
        try:
            native = files_digest([*root.glob("models/*/*"), *root.glob("b*.grades.parquet")], root)
            logged = [] if self._repairs is None else [_folder_digest(local_folder(at)) for at in model_places(runs)]
        except OSError:
            return None
        return None if None in logged else json_digest([said, registry, native, logged])


def _folder_digest(folder: Path | None) -> str | None:
    """Hash of names, kinds and content of all that lies in a folder; None where it is not on this machine."""
    if folder is None:
        return None
    found = list(_entries(folder))
    content = files_digest((path for *_, path in found if path.is_file()), folder)
    return json_digest([[entry[:2] for entry in found], content])


def _entries(folder: Path) -> Iterator[tuple[str, int, Path]]:
    for path in (folder, *sorted(folder.rglob("*"))):
        yield path.relative_to(folder).as_posix(), stat.S_IFMT(path.lstat().st_mode), path
