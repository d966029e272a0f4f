"""The registered versions of a dataset, and which of them is each instrument's, or each portfolio's, champion.

The best version is the one with the strongest evidence of skill: the highest z of the AUC against shifted directions,
then the highest Sharpe ratio. Evidence is read from what training stored, never from MLflow's metrics, which any client
may log. MLflow is not imported here; the registry is reached through the opened store, and applies its own gate.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from src.core.errors import StageError
from src.core.instruments import Key
from src.tracking.clearing import names_who_and_why
from src.tracking.demands import EvidenceDemands
from src.tracking.registry_gate import CHAMPION
from src.tracking.search import aliased_versions, all_versions
from src.tracking.verdict import PLACEBO, Objection, Standing, Use, is_superseded
from src.tracking.vetting import Vetting

if TYPE_CHECKING:
    from src.tracking.store import MlflowStore


@dataclass(frozen=True)
class RegisteredVersion:
    """A registered version, with params and tags of the run behind it, and what training stored of it.

    Attributes
    ----------
    name : str
        Of the registered model.
    number : int
    run_id : str
    standing : Standing
        What MLflow says of it.
    evidence : dict
        Numbers of its grade by name, as training stored them.
    params, tags : dict
        Of the run.
    """

    name: str
    number: int
    run_id: str
    standing: Standing
    evidence: dict[str, float]
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def key(self) -> Key:
        """Record and strategy of the run."""
        return self.tags.get("alpha.record_id", ""), self.tags.get("alpha.strategy_key", "")

    @property
    def rank(self) -> tuple[float, float, int]:
        """Sort key of the versions of one instrument; the newer version wins a tie."""
        worst = float("-inf")
        return self.evidence.get("z", worst), self.evidence.get("sharpe", worst), self.number

    @property
    def is_superseded(self) -> bool:
        """Whether MLflow says that a later run of the same model replaces it."""
        return self.standing.is_superseded

    def __str__(self) -> str:
        shown = [f"{name} {self.evidence[name]:.3f}" for name in ("auc", "sharpe", "z") if name in self.evidence]
        family = self.params.get("family", "unknown family")
        return f"version {self.number} ({family}{'; ' if shown else ''}{', '.join(shown)})"


class Champions:
    """The registered models of one dataset, and their champions.

    Parameters
    ----------
    store : MlflowStore
        The opened store.
    demands : EvidenceDemands, optional
        Evidence that a version must show to be the best one. Default: none.

    Attributes
    ----------
    current : dict
        Version number of each champion, by the name of the registered model; the version may be gone.
    demands : EvidenceDemands
    """

    def __init__(self, store: MlflowStore, demands: EvidenceDemands | None = None) -> None:
        self._store = store
        self.demands = demands or EvidenceDemands()
        self._versions: dict[str, list[RegisteredVersion]] = defaultdict(list)
        for version in self._read():
            self._versions[version.name].append(version)
        self.current = dict(self._read_champions())

    @cached_property
    def vetting(self) -> Vetting:
        """What can be asked about a version."""
        return Vetting(self._store)

    @property
    def names(self) -> list[str]:
        """Names of the registered models of the dataset."""
        return sorted(self._versions)

    def versions(self) -> Iterator[RegisteredVersion]:
        """Yield all versions of the dataset, by name."""
        for name in self.names:
            yield from self._versions[name]

    def candidates(self, name: str) -> list[RegisteredVersion]:
        """Return the versions of an instrument that are not superseded, the best first.

        Parameters
        ----------
        name : str
            Of the registered model.
        """
        records = self.vetting.records
        versions = [each for each in self._versions[name] if not is_superseded(each.standing, records)]
        return sorted(versions, key=lambda version: version.rank, reverse=True)

    def best(self, name: str) -> RegisteredVersion | None:
        """Find the best version of an instrument by the facts at hand.

        Parameters
        ----------
        name : str
            Of the registered model.

        Returns
        -------
        RegisteredVersion or None
            None if no version clears the thresholds for promotion and shows the evidence demanded.
        """
        return next((version for version in self.candidates(name) if not self.objections(version)), None)

    def champion(self, name: str) -> RegisteredVersion | None:
        """Return the version that is champion; None if there is none, or it is gone.

        Parameters
        ----------
        name : str
            Of the registered model.
        """
        number = self.current.get(name)
        return next((version for version in self._versions.get(name, []) if version.number == number), None)

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
            known = ", ".join(map(str, sorted(versions, reverse=True))) or "none"
            raise StageError(f"{name} has no version {number} (it has: {known})")
        return versions[number]

    def objections(self, version: RegisteredVersion) -> tuple[Objection, ...]:
        """Reasons against crowning a version by the facts at hand, demands included.

        Parameters
        ----------
        version : RegisteredVersion
        """
        found = self.vetting.objections(version, Use.PROMOTE)
        known = {str(each) for each in found}
        unmet = (reason for reason in self.demands.unmet(version.name, version.evidence) if reason not in known)
        return (*found, *map(Objection, unmet))

    def no_longer_clear(self, deep: Mapping[tuple[str, int], tuple[Objection, ...]]) -> Iterator[tuple[str, str, bool]]:
        """Yield the name of each champion that would not be crowned now, one line, and whether it is damaged.

        Parameters
        ----------
        deep : mapping
            What was found against versions beyond the facts at hand, by name and number.
        """
        for name, number in sorted(self.current.items()):
            version = self.champion(name)
            if version is None:
                yield name, f"{name}: champion version {number} is gone ({self._store.settings.sync_command})", True
                continue
            objections = self.vetting.objections(version, Use.KEEP) or deep.get((name, number), ())
            if objections:
                reasons = f"champion {version} no longer clears: {'; '.join(map(str, objections))}"
                damaged = any(each.is_damage for each in objections)
                yield name, f"{name}: {reasons} (withdraw={name} removes it)", damaged

    def no_longer_meet(self, not_cleared: Collection[str]) -> Iterator[str]:
        """Yield a line for each champion that misses a demand of evidence now; it stays unless it is withdrawn.

        Parameters
        ----------
        not_cleared : collection of str
            Names that `no_longer_clear` gives, which are left out.
        """
        for name in sorted(self.current.keys() - set(not_cleared)):
            version = self.champion(name)
            if version is not None and (unmet := self.demands.unmet(name, version.evidence)):
                yield (
                    f"{name}: champion {version} no longer meets the demands: {'; '.join(unmet)} "
                    f"(withdraw={name} removes it)"
                )

    def superseded(self) -> Iterator[RegisteredVersion]:
        """Yield the versions that a later run replaces and that are not champion."""
        for name in self.names:
            for version in self._versions[name]:
                if version.is_superseded and self.current.get(name) != version.number:
                    yield version

    def _read_champions(self) -> Iterator[tuple[str, int]]:
        """Name and version of each champion of the dataset, by one search of the registry."""
        aliased = aliased_versions(self._store.client, CHAMPION) if self._versions else {}
        for name, number in aliased.items():
            if name in self._versions:
                yield name, number

    def _read(self) -> Iterator[RegisteredVersion]:
        """Versions of the dataset's instruments; their runs are read a few hundred at a time."""
        versions = all_versions(self._store.client)
        ids = (str(version.run_id) for version in versions if version.run_id)
        runs = self._store.runs_by_id(ids, with_deleted=True)
        for version in versions:
            run = runs.get(str(version.run_id))
            if run is None or version.name != run.data.params.get("registered_name"):
                continue
            if run.data.tags.get("alpha.dataset") == self._store.settings.dataset:
                yield self._registered(version, run)

    def _registered(self, version: Any, run: Any) -> RegisteredVersion:
        tags = dict(run.data.tags)
        evidence = self.vetting.evidence.figures(tags.get("alpha.record_id"), tags.get("alpha.strategy_key"))
        return RegisteredVersion(
            version.name, int(version.version), run.info.run_id, _standing(version, run), evidence,
            dict(run.data.params), tags,
        )  # fmt: skip


def _standing(version: Any, run: Any) -> Standing:
    """What MLflow's client says of a version."""
    params, tags = run.data.params, run.data.tags
    is_finished = (run.info.status, run.info.lifecycle_stage) == ("FINISHED", "active")
    cleared = names_who_and_why(tags.get("alpha.cleared"))
    return Standing(
        name=version.name,
        run_id=run.info.run_id,
        record_id=tags.get("alpha.record_id"),
        own_name=params.get("registered_name"),
        metrics=dict(run.data.metrics),
        model_sha256=params.get("model_sha256"),
        suspicious=None if cleared else params.get("suspicious"),
        is_cleared=cleared,
        is_superseded=bool(tags.get("alpha.superseded")),
        arm=PLACEBO if PLACEBO in (params.get("arm"), tags.get("arm")) else None,
        broken=None if is_finished else f"run {run.info.run_id} is unfinished or deleted",
    )
