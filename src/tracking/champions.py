"""The registered versions of a dataset, and which of them is each instrument's champion.

The best version is the one with the strongest evidence of skill: the highest z of the AUC against shifted directions,
then the highest Sharpe ratio. MLflow is not imported here; the registry is reached through the opened store, and
applies its own gate.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from src.core.errors import StageError
from src.evaluation.grade import grade
from src.tracking.registry_gate import CHAMPION
from src.tracking.search import all_pages

if TYPE_CHECKING:
    from src.tracking.store import MlflowStore


@dataclass(frozen=True)
class RegisteredVersion:
    """A registered version, with metrics, params and tags of the run behind it."""

    name: str
    number: int
    run_id: str
    metrics: dict[str, float]
    params: dict[str, str]
    tags: dict[str, str]

    @property
    def rank(self) -> tuple[float, float, int]:
        """Sort key of the versions of one instrument; the newer version wins a tie."""
        worst = float("-inf")
        return self.metrics.get("z", worst), self.metrics.get("sharpe", worst), self.number

    @property
    def is_superseded(self) -> bool:
        """Whether a later run of the same model replaces it."""
        return bool(self.tags.get("alpha.superseded"))

    def __str__(self) -> str:
        shown = ", ".join(f"{name} {self.metrics[name]:.3f}" for name in ("auc", "sharpe", "z") if name in self.metrics)
        return f"version {self.number} ({self.params.get('family', 'unknown family')}; {shown})"


class Champions:
    """The registered models of one dataset, and their champions.

    Parameters
    ----------
    store : MlflowStore
        The opened store.
    demands : mapping
        Evidence that a version must show to be the best one: ``max_q_value``, ``min_deflated_sharpe``, or any ``min_``
        or ``max_`` of a metric; an undefined metric fails.

    Attributes
    ----------
    current : dict
        Version number of each champion, by the name of the registered model.
    """

    def __init__(self, store: MlflowStore, demands: Mapping[str, float] | None = None) -> None:
        self._store = store
        self._demands = dict(demands or {})
        self._versions: dict[str, list[RegisteredVersion]] = defaultdict(list)
        for version in self._read():
            self._versions[version.name].append(version)
        self.current = dict(self._read_champions())

    @property
    def names(self) -> list[str]:
        """Names of the registered models of the dataset."""
        return sorted(self._versions)

    def best(self, name: str) -> RegisteredVersion | None:
        """Find the best version of an instrument.

        Parameters
        ----------
        name : str
            Of the registered model.

        Returns
        -------
        RegisteredVersion or None
            None if no version clears the thresholds for promotion and shows the evidence demanded.
        """
        candidates = [
            version
            for version in self._versions[name]
            if not version.is_superseded and not self.objections(version) and not self._unmet_demands(version)
        ]
        return max(candidates, key=lambda version: version.rank, default=None)

    def version(self, name: str, number: int) -> RegisteredVersion:
        """Find a version by its number.

        Parameters
        ----------
        name : str
            Of the registered model.
        number : int

        Raises
        ------
        StageError
            If there is no such version.
        """
        versions = {version.number: version for version in self._versions.get(name, [])}
        if number not in versions:
            raise StageError(f"{name} has no version {number} (it has: {', '.join(map(str, versions)) or 'none'})")
        return versions[number]

    def objections(self, version: RegisteredVersion) -> tuple[str, ...]:
        """Reasons against promoting a version under the current thresholds.

        Parameters
        ----------
        version : RegisteredVersion
        """
        suspicion = None if version.tags.get("alpha.cleared") else version.params.get("suspicious")
        return grade(version.metrics, self._store.thresholds, suspicion).against_promotion

    def promote(self, version: RegisteredVersion) -> str:
        """Make a version its instrument's champion.

        Parameters
        ----------
        version : RegisteredVersion

        Returns
        -------
        str
            One line that says what was done.

        Raises
        ------
        StageError
            If the version is superseded, or the registry refuses.
        """
        before = self.current.get(version.name)
        if before == version.number:
            return f"{version.name}: {version} stays champion"
        if version.is_superseded:
            raise StageError(
                f"{version.name}: {version} is superseded by a later run of the same model (fresh=true, or code that "
                "was corrected since): choose another version"
            )
        with self._store.refusals():
            self._store.client.set_registered_model_alias(version.name, CHAMPION, str(version.number))
        self.current[version.name] = version.number
        return f"{version.name}: {version} is champion" + (f", was version {before}" if before is not None else "")

    def withdraw(self, name: str) -> str:
        """Remove an instrument's champion, so that it gets no predictions any more.

        Parameters
        ----------
        name : str
            Of the registered model.

        Returns
        -------
        str
            One line that says what was done.

        Raises
        ------
        StageError
            If it has no champion.
        """
        if name not in self.current:
            raise StageError(f"{name} has no champion to withdraw")
        self._store.client.delete_registered_model_alias(name, CHAMPION)
        return f"{name}: version {self.current.pop(name)} is no longer champion"

    def no_longer_clear(self) -> Iterator[str]:
        """Yield one line for each champion that the current thresholds would not promote."""
        for name, number in sorted(self.current.items()):
            version = next((version for version in self._versions[name] if version.number == number), None)
            if version is not None and (objections := self.objections(version)):
                reasons = f"champion {version} no longer clears: {'; '.join(objections)}"
                yield f"{name}: {reasons} (withdraw={name} removes it)"

    def superseded(self) -> Iterator[RegisteredVersion]:
        """Yield the versions that a later run replaces and that are not champion."""
        for name in self.names:
            for version in self._versions[name]:
                if version.is_superseded and self.current.get(name) != version.number:
                    yield version

    def _unmet_demands(self, version: RegisteredVersion) -> list[str]:
        unmet = []
        for demand, limit in self._demands.items():
            side, _, metric = demand.partition("_")
            value = version.metrics.get(metric)
            if value is None or (value > limit if side == "max" else value < limit):
                unmet.append(demand)
        return unmet

    def _read_champions(self) -> Iterator[tuple[str, int]]:
        """Name and version of each champion of the dataset, by one search of the registry."""
        search = self._store.client.search_registered_models
        models = all_pages(lambda token: search(max_results=1000, page_token=token)) if self._versions else ()
        for model in models:
            if model.name in self._versions and CHAMPION in model.aliases:
                yield model.name, int(model.aliases[CHAMPION])

    def _read(self) -> Iterator[RegisteredVersion]:
        """Versions of the dataset's instruments; their runs are read a few hundred at a time."""
        client = self._store.client
        versions = list(all_pages(lambda token: client.search_model_versions(page_token=token)))
        runs = self._store.runs_by_id(str(version.run_id) for version in versions if version.run_id)
        for version in versions:
            run = runs.get(str(version.run_id))
            if run is None or version.name != run.data.params.get("registered_name"):
                continue
            if run.data.tags.get("alpha.dataset") == self._store.settings.dataset:
                data = run.data
                number = int(version.version)
                yield RegisteredVersion(version.name, number, run.info.run_id, data.metrics, data.params, data.tags)
