"""Everything that can be asked about a version before it is crowned or kept: verdict, repeated grade, registry.

The verdict on facts at hand is cheap and is asked of every version. The grade is repeated, and the registry asked for
the files, only for versions that are to be champion.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from src.core.errors import StageError
from src.core.instruments import Key
from src.tracking import registry_gate, registry_sql, verdict
from src.tracking.evidence import StoredEvidence
from src.tracking.location import local_folder
from src.tracking.records import Records
from src.tracking.registry_gate import GateRefusal
from src.tracking.scopes import GradeRepeater, regrader_of
from src.tracking.verdict import Objection, Use
from src.training.regrading import GradeCheck, drop_grades
from src.training.run_store import RunStore

if TYPE_CHECKING:
    from src.tracking.champions import RegisteredVersion
    from src.tracking.store import MlflowStore


class Vetting:
    """Asks about versions of one dataset; what was found once is kept.

    Parameters
    ----------
    store : MlflowStore
        The opened store.
    """

    def __init__(self, store: MlflowStore) -> None:
        tracked = store.settings
        self._store = store
        self.records = Records.of(tracked.paths)
        stores = RunStore(tracked.paths.runs), RunStore(tracked.paths.portfolios)
        self.evidence = StoredEvidence(*stores)
        self._stores = {each.root.absolute(): each for each in stores}
        self._regraders: dict[Path, GradeRepeater] = {}
        self.unconfirmed: set[Key] = set()
        self._checks: dict[Key, GradeCheck] = {}
        self._loads: dict[tuple[str, int], str | None] = {}
        self._objections: dict[tuple[str, int, Use], tuple[Objection, ...]] = {}

    def objections(self, version: RegisteredVersion, use: Use) -> tuple[Objection, ...]:
        """What stands against a version by the facts at hand.

        Parameters
        ----------
        version : RegisteredVersion
        use : Use
        """
        asked = version.name, version.number, use
        if asked not in self._objections:  # they read the native model, and are asked several times in a promotion
            standing, thresholds = version.standing, self._store.thresholds
            self._objections[asked] = verdict.objections(standing, thresholds, self.records, use)
        return self._objections[asked]

    def repeat_grades(
        self, versions: Iterable[RegisteredVersion], unrivalled: Iterable[RegisteredVersion] = ()
    ) -> None:
        """Repeat the grades of several versions at once, which reads each bucket of bars once.

        Parameters
        ----------
        versions : iterable of RegisteredVersion
        unrivalled : iterable of RegisteredVersion
            Those of them that are champions and that no other version could replace: their evidence decides nothing,
            and the figures of the gate are enough.
        """
        keys = {version.key for version in versions} - self._checks.keys()
        by_gate = [version.key[0] for version in unrivalled]
        for folder, store in self._stores.items():
            own = sorted(key for key in keys if self.records.place(key[0]) == folder)
            if not own:
                continue
            if folder not in self._regraders:
                self._regraders[folder] = regrader_of(self._store.settings, store)
            graded = self.evidence.rows(own).with_columns(gate_alone=pl.col("record_id").is_in(by_gate))
            for check in self._regraders[folder].check(graded):
                self._checks[check.record_id, check.strategy_key] = check

    def deep_objections(self, version: RegisteredVersion) -> tuple[Objection, ...]:
        """What stands against a version once its grade is repeated and its files are looked at.

        Parameters
        ----------
        version : RegisteredVersion
            One that has no objections by the facts at hand.
        """
        self.repeat_grades([version])
        check = self._checks.get(version.key)
        if check is None:
            return (Objection("training stored no grade of it", is_damage=True),)
        if check.objection:
            self.unconfirmed.add(version.key)
            if check.differing and check.is_current:
                drop_grades(self._stores[self.records.place(version.key[0])], [version.key])
            return (Objection(check.objection, is_damage=check.is_damage),)
        refusal = self._refusal_to_load(version)
        return (Objection(refusal, is_damage=True),) if refusal else ()

    def _refusal_to_load(self, version: RegisteredVersion) -> str | None:
        """Why the files of a version are not those that were graded; the registry is asked where they lie elsewhere."""
        place = version.name, version.number
        if place not in self._loads and (found := self._local_files(version)) is not None:
            self._loads[place] = found[0]
        if place not in self._loads:
            try:
                with self._store.refusals():
                    self._store.client.get_model_version_download_uri(version.name, str(version.number))
                self._loads[place] = None
            except StageError as error:
                self._loads[place] = str(error)
        return self._loads[place]

    def _local_files(self, version: RegisteredVersion) -> tuple[str | None] | None:
        """What the database and a folder of this machine say; None where a server or a bucket keeps the files."""
        with registry_sql.registry_query(self._store.location) as query:
            if query is None:
                return None
            try:
                candidate = registry_gate.registered_candidate(query, version.name, version.number)
                if candidate is None or local_folder(candidate.location) is None:
                    return None
                standing = verdict.standing_in_database(query, candidate, version.name)
            except GateRefusal as refusal:
                return (str(refusal),)
        found = verdict.objections(standing, self._store.thresholds, None, Use.KEEP)
        return ("; ".join(map(str, found)) or None,)
