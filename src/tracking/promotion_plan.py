"""What a promotion would change, decided before anything is changed: one refusal never stops the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from src.core.errors import ConfigError, StageError
from src.core.instruments import Key
from src.tracking.champions import Champions, RegisteredVersion
from src.tracking.crowning import champions_now
from src.tracking.demands import is_portfolio
from src.tracking.promotion_history import Change
from src.tracking.registry_gate import ASSET_PREFIXES
from src.tracking.store import MlflowStore
from src.tracking.verdict import Objection, Use, is_superseded


@dataclass(frozen=True)
class Decision:
    """What is decided about one registered model.

    Attributes
    ----------
    name : str
    before : int or None
        Version of its champion.
    version : RegisteredVersion or None
        That is to be champion; None where no version clears, and the champion stays.
    refusals : tuple of str
        Better versions that are damaged or can't be confirmed, and why.
    why : str
        The demands of evidence that the version meets.
    """

    name: str
    before: int | None
    version: RegisteredVersion | None
    refusals: tuple[str, ...] = ()
    why: str = ""

    @property
    def change(self) -> Change | None:
        """The change of the champion; None where it stays."""
        if self.version is None or self.version.number == self.before:
            return None
        return Change(self.name, self.before, self.version.number)

    def line(self, *, would: bool, refusal: str | None = None) -> str:
        """Say what was done, or would be.

        Parameters
        ----------
        would : bool
            Whether nothing is done.
        refusal : str, optional
            Of the registry.
        """
        return f"{self.name}: {'; '.join([*self.refusals, self._outcome(would, refusal)])}"

    def _outcome(self, would: bool, refusal: str | None) -> str:
        if self.version is None:
            kept = "no champion" if self.before is None else f"version {self.before} stays"
            return f"no version clears for promotion; {kept}"
        if self.version.number == self.before:
            return f"{self.version} stays champion"
        if refusal is not None:
            return f"version {self.version.number} is refused: {refusal}"
        was = f", was version {self.before}" if self.before is not None else ""
        why = f": {self.why}" if self.why else ""
        return f"{self.version} {'would be' if would else 'is'} champion{was}{why}"


@dataclass
class PromotionPlan:
    """Decides about the registered models of a dataset.

    Attributes
    ----------
    champions : Champions
    damaged : set of (str, int)
        Versions that are not as training left them.
    deep : dict
        What was found against champions beyond the facts at hand, by name and number.
    demoted : mapping
        Versions that were taken down, and why, by name and number: they come back where a person names them, and not
        by the evidence that had made them champion.
    """

    champions: Champions
    damaged: set[tuple[str, int]] = field(default_factory=set)
    deep: dict[tuple[str, int], tuple[Objection, ...]] = field(default_factory=dict)
    demoted: Mapping[tuple[str, int], str] = field(default_factory=dict)

    def decisions(self, request: Mapping[str, str]) -> list[Decision]:
        """Decide about all models, about the one that the request names, or about the version that it names.

        Parameters
        ----------
        request : mapping

        Raises
        ------
        ConfigError
            If no such model is registered.
        StageError
            If something stands against the version that was named.
        """
        if "version" in request:
            return [self._named(request["name"], int(request["version"]))]
        if "withdraw" in request:
            return []
        names = [request["name"]] if "name" in request else self.champions.names
        for name in names:
            if name not in self.champions.names:
                raise ConfigError(f"name must be a registered model of the dataset, got {name}")
        clearing = {name: self._clearing(name) for name in names}
        best = [versions[0] for versions in clearing.values() if versions]
        alone = [version for version in best if len(clearing[version.name]) == 1 and self._is_champion(version)]
        self.champions.vetting.repeat_grades(best, alone)
        return [self._best(name) for name in names]

    def no_longer_clear(self) -> Iterator[tuple[str, str]]:
        """Yield name and line of each champion that no longer clears the gate."""
        for name, line, is_damaged in self.champions.no_longer_clear(self.deep):
            if is_damaged:
                self.damaged.add((name, self.champions.current[name]))
            yield name, line

    def named_counts(self) -> str:
        """How many instruments and portfolios have versions."""
        pooled = sum(map(is_portfolio, self.champions.names))
        portfolios = f" and {pooled:,} portfolio{'' if pooled == 1 else 's'}" if pooled else ""
        return f"{len(self.champions.names) - pooled:,} instruments{portfolios} with versions"

    def _named(self, name: str, number: int) -> Decision:
        """Choose the version that a person named, or raise what stands against it."""
        version = self.champions.version(name, number)
        vetting = self.champions.vetting
        if is_superseded(version.standing, vetting.records):
            raise StageError(
                f"{name}: {version} is superseded by a later run of the same model (fresh=true, or code that was "
                "corrected since): choose another version"
            )
        found = vetting.objections(version, Use.PROMOTE) or vetting.deep_objections(version)
        if found:
            raise StageError(f"{name}: {version} is refused: {'; '.join(map(str, found))}")
        if unmet := self.champions.demands.unmet(name, version.evidence):
            raise StageError(
                f"{name}: {version} is refused: {'; '.join(unmet)} (promotion=thresholds demands no evidence)"
            )
        return self._chosen(version, ())

    def _best(self, name: str) -> Decision:
        """Choose the best version that nothing stands against."""
        refusals: list[str] = []
        for version in self.champions.candidates(name):
            against = self._taken_down(version)
            found = self.champions.objections(version) or against or self._deeper(version)
            if not found:
                return self._chosen(version, tuple(refusals))
            if found == against or self._is_worth_a_line(version, found):
                refusals.append(f"version {version.number} is refused: {'; '.join(map(str, found))}")
        return Decision(name, self.champions.current.get(name), None, tuple(refusals))

    def _clearing(self, name: str) -> list[RegisteredVersion]:
        """Versions that nothing stands against by the facts at hand, the best first."""
        versions = self.champions.candidates(name)
        return [each for each in versions if not self.champions.objections(each) and not self._taken_down(each)]

    @cached_property
    def _demoted_runs(self) -> dict[tuple[str, Key], str]:
        """Why the runs behind the demoted versions were taken down: another version of the same run is no news."""
        versions = self.champions.versions() if self.demoted else ()
        reasons = ((each, self.demoted.get((each.name, each.number))) for each in versions)
        return {(each.name, each.key): why for each, why in reasons if why is not None}

    def _taken_down(self, version: RegisteredVersion) -> tuple[Objection, ...]:
        """Say that a version, or another one of the same run, was demoted; empty where none was."""
        why = self._demoted_runs.get((version.name, version.key))
        if why is None or self._is_champion(version):
            return ()
        again = f"name={version.name} version={version.number} promotes it all the same"
        return (Objection(f"demoted on {why} ({again})"),)

    def _is_champion(self, version: RegisteredVersion) -> bool:
        return self.champions.current.get(version.name) == version.number

    def _chosen(self, version: RegisteredVersion, refusals: tuple[str, ...]) -> Decision:
        why = self.champions.demands.met(version.name, version.evidence)
        return Decision(version.name, self.champions.current.get(version.name), version, refusals, why)

    def _deeper(self, version: RegisteredVersion) -> tuple[Objection, ...]:
        found = self.champions.vetting.deep_objections(version)
        if found and self._is_champion(version):
            self.deep[version.name, version.number] = found
        return found

    def _is_worth_a_line(self, version: RegisteredVersion, found: tuple[Objection, ...]) -> bool:
        """Whether a version that is not chosen is damaged, which counts, or can't be confirmed."""
        is_damaged = any(each.is_damage for each in found)
        if is_damaged:
            self.damaged.add((version.name, version.number))
        return is_damaged or version.key in self.champions.vetting.unconfirmed


def withdrawal(store: MlflowStore, name: str) -> Change:
    """The change that leaves a model without a champion, whatever became of the version, its run and its model.

    Parameters
    ----------
    store : MlflowStore
    name : str
        Of the registered model, in any dataset of the project.

    Returns
    -------
    Change

    Raises
    ------
    ConfigError
        If the name is not that of an instrument or a portfolio.
    StageError
        If it has no champion.
    """
    if not name.lower().startswith(ASSET_PREFIXES):
        raise ConfigError(
            f"withdraw must name an instrument's model, such as stock.AAPL, or pooled.<class>.<portfolio>, got {name}"
        )
    current = champions_now(store).get(name)
    if current is None:
        raise StageError(f"{name} has no champion to withdraw")
    return Change(name, current, None)
