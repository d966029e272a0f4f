"""Everything that can be asked about a version before it is crowned or kept: verdict, repeated grade, registry.

The verdict on facts at hand is cheap and is asked of every version. The grade is repeated, and the registry asked for
the files, only for versions that are to be champion.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from src.core.errors import StageError
from src.core.instruments import Key
from src.tracking import verdict
from src.tracking.evidence import StoredEvidence
from src.tracking.records import Records
from src.tracking.verdict import Objection, Use
from src.training.regrading import GradeCheck, Regrader, drop_grades
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
        self.records = Records.at(tracked.paths.runs)
        self.evidence = StoredEvidence(RunStore(tracked.paths.runs))
        self._regrader = Regrader(tracked.paths, tracked.strategy, tracked.grade, tracked.until)
        self.unconfirmed: set[Key] = set()
        self._checks: dict[Key, GradeCheck] = {}
        self._loads: dict[tuple[str, int], str | None] = {}

    def objections(self, version: RegisteredVersion, use: Use) -> tuple[Objection, ...]:
        """What stands against a version by the facts at hand.

        Parameters
        ----------
        version : RegisteredVersion
        use : Use
        """
        return verdict.objections(version.standing, self._store.thresholds, self.records, use)

    def repeat_grades(self, versions: Iterable[RegisteredVersion]) -> None:
        """Repeat the grades of several versions at once, which reads each bucket of bars once.

        Parameters
        ----------
        versions : iterable of RegisteredVersion
        """
        keys = {version.key for version in versions} - self._checks.keys()
        if keys:
            for check in self._regrader.check(self.evidence.rows(sorted(keys))):
                self._checks[check.record_id, check.strategy_key] = check

    def deep_objections(self, version: RegisteredVersion) -> tuple[Objection, ...]:
        """What stands against a version once its grade is repeated and the registry is asked for its files.

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
                drop_grades(RunStore(self.records.folder), [version.key])
            return (Objection(check.objection, is_damage=bool(check.differing)),)
        refusal = self._refusal_to_load(version)
        return (Objection(refusal, is_damage=True),) if refusal else ()

    def _refusal_to_load(self, version: RegisteredVersion) -> str | None:
        """The registry's refusal to hand out the files of a version, if it refuses."""
        place = version.name, version.number
        if place not in self._loads:
            try:
                with self._store.refusals():
                    self._store.client.get_model_version_download_uri(version.name, str(version.number))
                self._loads[place] = None
            except StageError as error:
                self._loads[place] = str(error)
        return self._loads[place]
