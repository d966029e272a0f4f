"""Which registered version an instrument's predictions come from: the best that clears, or the one that a person names.

Best is the strongest evidence of skill: the highest z of the AUC against shifted directions, then the Sharpe ratio. No
MLflow here: the registry is reached through the store that `src.tracking.store` opened, and refuses for itself.
"""

from __future__ import annotations

import datetime as dt
import getpass
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from src.core.errors import StageError
from src.evaluation.grade import Grade, grade
from src.tracking.registry_gate import CHAMPION
from src.tracking.search import all_pages

if TYPE_CHECKING:
    from src.tracking.store import Tracking


@dataclass(frozen=True)
class Version:
    """A registered version and the run behind it."""

    name: str
    number: int
    run_id: str
    metrics: dict[str, float]
    params: dict[str, str]
    tags: dict[str, str]

    @property
    def rank(self) -> tuple[float, float, int]:
        """What orders versions of one instrument; the newer wins a tie."""
        worst = float("-inf")
        return self.metrics.get("z", worst), self.metrics.get("sharpe", worst), self.number

    @property
    def is_superseded(self) -> bool:
        """Whether a later run of the same model stands in its place."""
        return bool(self.tags.get("alpha.superseded"))

    def __str__(self) -> str:
        shown = ", ".join(f"{name} {self.metrics[name]:.3f}" for name in ("auc", "sharpe", "z") if name in self.metrics)
        return f"version {self.number} ({self.params.get('family', 'unknown family')}; {shown})"


class Champions:
    """The registered models of one dataset, and their champions.

    Parameters
    ----------
    target : Tracking
        The opened store.
    demands : mapping
        Evidence that a best version must show: ``max_q_value``, ``min_deflated_sharpe``, any ``min_`` or ``max_`` of a
        metric; an undefined metric fails.
    """

    def __init__(self, target: Tracking, demands: Mapping[str, float] | None = None) -> None:
        self._target = target
        self._demands = dict(demands or {})
        self._versions: dict[str, list[Version]] = defaultdict(list)
        for version in self._read():
            self._versions[version.name].append(version)
        self.current = dict(self._champions())

    @property
    def names(self) -> list[str]:
        """Registered models of the dataset."""
        return sorted(self._versions)

    def best(self, name: str) -> Version | None:
        """The best version that clears for promotion and shows the evidence demanded; null where none does."""
        fit = [each for each in self._versions[name] if not self.against(each) and not self._undemonstrated(each)]
        return max((each for each in fit if not each.is_superseded), key=lambda each: each.rank, default=None)

    def of(self, name: str, number: int) -> Version:
        """A version by its number.

        Raises
        ------
        StageError
            Where there is none.
        """
        found = [each for each in self._versions.get(name, []) if each.number == number]
        if not found:
            known = ", ".join(str(each.number) for each in self._versions.get(name, [])) or "none"
            raise StageError(f"{name} has no version {number} (it has: {known})")
        return found[0]

    def against(self, version: Version) -> tuple[str, ...]:
        """What stands against the version's promotion under the thresholds of now."""
        return self._verdict(version).against_promotion

    def crown(self, version: Version) -> str:
        """Make a version its instrument's champion; returns what was done, in words.

        Raises
        ------
        StageError
            Where the registry refuses: its words.
        """
        before = self.current.get(version.name)
        if before == version.number:
            return f"{version.name}: {version} stays champion"
        if version.is_superseded:
            raise StageError(
                f"{version.name}: {version} is superseded by a later run of the same model (fresh=true, or its figures "
                "come from code that was mended since): choose another version"
            )
        with self._target.refusals():
            self._target.client.set_registered_model_alias(version.name, CHAMPION, str(version.number))
        self.current[version.name] = version.number
        return f"{version.name}: {version} is champion" + (f", was version {before}" if before is not None else "")

    def withdraw(self, name: str) -> str:
        """Take the alias away; predictions of the instrument stop."""
        if name not in self.current:
            raise StageError(f"{name} has no champion to withdraw")
        self._target.client.delete_registered_model_alias(name, CHAMPION)
        return f"{name}: version {self.current.pop(name)} is no longer champion"

    def no_longer_clear(self) -> Iterator[str]:
        """Champions that the thresholds of now would not promote, one line each."""
        for name, number in sorted(self.current.items()):
            version = next((each for each in self._versions[name] if each.number == number), None)
            if version is not None and (missed := self.against(version)):
                words = f"champion {version} no longer clears: {'; '.join(missed)}"
                yield f"{name}: {words} (withdraw={name} takes it back)"

    def superseded(self) -> Iterator[Version]:
        """Versions that another run stands in place of and that are no champion."""
        for name in self.names:
            for each in self._versions[name]:
                if each.is_superseded and self.current.get(name) != each.number:
                    yield each

    def _verdict(self, version: Version) -> Grade:
        doubt = None if version.tags.get("alpha.cleared") else version.params.get("suspicious")
        return grade(version.metrics, self._target.thresholds, doubt)

    def _undemonstrated(self, version: Version) -> list[str]:
        missed = []
        for demand, limit in self._demands.items():
            side, _, metric = demand.partition("_")
            value = version.metrics.get(metric)
            if value is None or (value > limit if side == "max" else value < limit):
                missed.append(demand)
        return missed

    def _champions(self) -> Iterator[tuple[str, int]]:
        """Name and version of each champion of the dataset, by one search of the registry."""
        search = self._target.client.search_registered_models
        for each in all_pages(lambda token: search(max_results=1000, page_token=token)) if self._versions else ():
            if each.name in self._versions and CHAMPION in each.aliases:
                yield each.name, int(each.aliases[CHAMPION])

    def _read(self) -> Iterator[Version]:
        """Versions of the dataset's instruments, their runs asked for a few hundred at a time."""
        client, dataset = self._target.client, self._target.config.dataset
        found = list(all_pages(lambda token: client.search_model_versions(page_token=token)))
        runs = self._target.runs_by_id(str(each.run_id) for each in found if each.run_id)
        for each in found:
            run = runs.get(str(each.run_id))
            if run is None or each.name != run.data.params.get("registered_name"):
                continue
            if run.data.tags.get("alpha.dataset") == dataset:
                data = run.data
                yield Version(each.name, int(each.version), run.info.run_id, data.metrics, data.params, data.tags)


def clear(target: Tracking, run: str, why: str) -> str:
    """Record that a person looked at a run that seemed too good to be true, and register its model.

    Parameters
    ----------
    target : Tracking
    run : str
        MLflow's run id, or a record id or run key of training.
    why : str
        The reason, which is kept with the person's name and the time.

    Raises
    ------
    StageError
        Where there is no such run, nothing to clear, or the registry refuses.
    """
    found = _find(target, run)
    run_id, params = found.info.run_id, found.data.params
    if "suspicious" not in params:
        raise StageError(f"run {run_id} is not flagged: there is nothing to clear")
    said = {"why": why, "who": getpass.getuser(), "when": dt.datetime.now(dt.UTC).isoformat(timespec="seconds")}
    target.client.set_tag(run_id, "alpha.cleared", json.dumps(said))
    of = f"{params['registered_name']} ({params['family']}) of being suspicious ({params['suspicious']})"
    missed = grade(found.data.metrics, target.thresholds).against_registration
    if missed or "model_id" not in params:
        return f"cleared run {run_id} of {of}; not registered: {'; '.join(missed) or 'it carries no model'}"
    with target.refusals():
        number = target.register(run_id, params["model_id"], params["registered_name"])
    return f"cleared run {run_id} of {of}; registered as version {number}"


def _find(target: Tracking, run: str) -> Any:
    query = "attributes.status = 'FINISHED' AND "
    keys = (f"attributes.run_id = '{run}'", f"tags.`alpha.record_id` = '{run}'", f"tags.`alpha.run_key` = '{run}'")
    for key in keys:
        found = target.client.search_runs([target.experiment], query + key, order_by=["start_time DESC"], max_results=1)
        if found:
            return found[0]
    raise StageError(f"there is no run {run} of {target.config.dataset} in MLflow: give its run id or record id")
