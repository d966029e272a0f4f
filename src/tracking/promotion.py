"""What a person may decide in the registry: set champions, withdraw one, clear a suspicious run."""

from __future__ import annotations

import datetime as dt
import getpass
import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any

from src.config.commands import command
from src.core.errors import ConfigError, Incomplete, StageError
from src.core.instruments import POOLED
from src.evaluation.grade import grade
from src.tracking.champions import Champions, RegisteredVersion, withdraw
from src.tracking.settings import TrackedDataset
from src.tracking.store import open_store
from src.tracking.verdict import Objection, Use, is_superseded
from src.tracking.withheld import withheld

if TYPE_CHECKING:
    from src.tracking.store import MlflowStore

_REQUEST_KEYS = ("name", "version", "withdraw", "clear", "why")
_DEMAND = re.compile(r"(min|max)_[a-z0-9_]+")


def is_request_key(key: str) -> bool:
    """Whether an argument belongs to a promotion request, not to the configuration.

    Parameters
    ----------
    key : str
        ``name``, ``version``, ``withdraw``, ``clear``, ``why``, or a demand such as ``max_q_value``.
    """
    return key in _REQUEST_KEYS or _DEMAND.fullmatch(key) is not None


def carry_out(settings: TrackedDataset, request: Mapping[str, str], show: Callable[[str], None]) -> str:
    """Carry out a promotion request.

    Parameters
    ----------
    settings : TrackedDataset
    request : mapping
        Arguments by key, see `is_request_key`; empty to promote the best version of every instrument and portfolio.
    show : callable
        Takes one line for each step.

    Returns
    -------
    str
        The closing line.

    Raises
    ------
    ConfigError
        If the request makes no sense.
    StageError
        If the registry refuses, or something named in the request does not exist.
    """
    demands = _checked_demands(request)
    with open_store(settings) as store:
        if "clear" in request:
            return clear_suspicion(store, request["clear"], request["why"])
        withdrawn = [withdraw(store, request["withdraw"])] if "withdraw" in request else []
        champions = Champions(store, demands)
        promotion = _Promotion(champions, dict(champions.current))
        for line in chain(withdrawn, promotion.steps(request)):
            show(line)
        for line in promotion.failing():
            show(line)
        counts = _not_registered(settings)
        if champions.names:
            counts = promotion.counts(len(withdrawn))
        if not {"version", "withdraw"} & request.keys():
            others = withheld(store, request.get("name"))
            for line in others.lines():
                show(line)
            counts += others.clause(store.thresholds.min_oos)
        if promotion.damaged:
            raise Incomplete(f"promote: {counts}, {len(promotion.damaged):,} refused")
        return counts


def _not_registered(settings: TrackedDataset) -> str:
    train = command("train", stored=settings.dataset)
    return (
        f"no version of {settings.dataset} is registered: none passed, or it is not trained ({train}), or MLflow's "
        f"store is new ({settings.sync_command})"
    )


def clear_suspicion(store: MlflowStore, run: str, why: str) -> str:
    """Record that a person has checked a run that looked too good to be true, and register its model.

    Parameters
    ----------
    store : MlflowStore
    run : str
        MLflow's run id, or a record id or run key of training.
    why : str
        The reason, which is kept with the person's name and the time.

    Returns
    -------
    str
        One line that says what was done.

    Raises
    ------
    StageError
        If there is no such run, it is not suspicious, or the registry refuses.
    """
    match = _find_run(store, run)
    run_id, params = match.info.run_id, match.data.params
    if "suspicious" not in params:
        raise StageError(f"run {run_id} is not suspicious: there is nothing to clear")
    clearing = {"why": why, "who": getpass.getuser(), "when": dt.datetime.now(dt.UTC).isoformat(timespec="seconds")}
    store.client.set_tag(run_id, "alpha.cleared", json.dumps(clearing))
    subject = f"{params['registered_name']} ({params['family']}) of being suspicious ({params['suspicious']})"
    reasons = grade(match.data.metrics, store.thresholds).against_registration
    if reasons or "model_id" not in params:
        return f"cleared run {run_id} of {subject}; not registered: {'; '.join(reasons) or 'it has no model'}"
    with store.refusals():
        number = store.register(run_id, params["model_id"], params["registered_name"])
    return f"cleared run {run_id} of {subject}; registered as version {number}"


@dataclass
class _Promotion:
    """One pass over the instruments: one refusal never stops the others.

    Attributes
    ----------
    champions : Champions
    before : dict
        The champions at the start.
    damaged : set of (str, int)
        Versions that are not as training left them.
    """

    champions: Champions
    before: dict[str, int]
    damaged: set[tuple[str, int]] = field(default_factory=set)
    _deep: dict[tuple[str, int], tuple[Objection, ...]] = field(default_factory=dict)
    _failing: int = 0

    def steps(self, request: Mapping[str, str]) -> Iterator[str]:
        """Crown what the request asks for, and yield a line for each instrument."""
        if "version" in request:
            yield self._named(request["name"], int(request["version"]))
        elif "withdraw" not in request:
            names = [request["name"]] if "name" in request else self.champions.names
            for name in names:
                if name not in self.champions.names:
                    raise ConfigError(f"name must be a registered model of the dataset, got {name}")
            best = [version for name in names if (version := self.champions.best(name)) is not None]
            self.champions.vetting.repeat_grades(best)
            for name in names:
                yield self._best(name)

    def failing(self) -> Iterator[str]:
        """Yield a line for each champion that no longer clears."""
        for name, line, is_damaged in self.champions.no_longer_clear(self._deep):
            self._failing += 1
            if is_damaged:
                self.damaged.add((name, self.champions.current[name]))
            yield line

    def counts(self, withdrawn: int) -> str:
        """The closing line, without what was refused."""
        current = self.champions.current
        changed = withdrawn + sum(self.before.get(name) != current.get(name) for name in self.before | current)
        pooled = sum(name.lower().startswith(f"{POOLED}.") for name in self.champions.names)
        named = f"{len(self.champions.names) - pooled:,} instruments" + (
            f" and {pooled:,} portfolio{'' if pooled == 1 else 's'}" if pooled else ""
        )
        counts = f"{named} with versions, {len(current):,} champions"
        return f"{counts}, {changed:,} changed, {self._failing:,} no longer clear"

    def _named(self, name: str, number: int) -> str:
        """Crown the version that a person named, or raise what stands against it."""
        version = self.champions.version(name, number)
        vetting = self.champions.vetting
        if is_superseded(version.standing, vetting.records):
            raise StageError(
                f"{name}: {version} is superseded by a later run of the same model (fresh=true, or code that was "
                "corrected since): choose another version"
            )
        found = vetting.objections(version, Use.PROMOTE) or vetting.deep_objections(
            version, is_champion=self.before.get(name) == number
        )
        if found:
            raise StageError(f"{name}: {version} is refused: {'; '.join(map(str, found))}")
        return f"{name}: {self.champions.crown(version)}"

    def _best(self, name: str) -> str:
        """Crown the best version that nothing stands against."""
        refusals: list[str] = []
        for version in self.champions.candidates(name):
            found = self.champions.objections(version) or self._deeper(version)
            if not found:
                try:
                    done = self.champions.crown(version)
                except StageError as error:
                    found = (Objection(str(error), is_damage=True),)
                else:
                    return f"{name}: {'; '.join([*refusals, done])}"
            if self._is_worth_a_line(version, found):
                refusals.append(f"version {version.number} is refused: {'; '.join(map(str, found))}")
        kept = f"version {self.before[name]} stays" if name in self.before else "no champion"
        return f"{name}: {'; '.join([*refusals, f'no version clears for promotion; {kept}'])}"

    def _deeper(self, version: RegisteredVersion) -> tuple[Objection, ...]:
        is_champion = self.before.get(version.name) == version.number
        found = self.champions.vetting.deep_objections(version, is_champion=is_champion)
        if found and is_champion:
            self._deep[version.name, version.number] = found
        return found

    def _is_worth_a_line(self, version: RegisteredVersion, found: tuple[Objection, ...]) -> bool:
        """Whether a version that is not crowned is damaged, which counts, or can't be confirmed."""
        is_damaged = any(each.is_damage for each in found)
        if is_damaged:
            self.damaged.add((version.name, version.number))
        return is_damaged or version.key in self.champions.vetting.unconfirmed


def _checked_demands(request: Mapping[str, str]) -> dict[str, float]:
    """The evidence demanded, as numbers.

    Raises
    ------
    ConfigError
        If the request makes no sense.
    """
    if "clear" in request and not request.get("why", "").strip():
        raise ConfigError(f'clear={request["clear"]} needs why="...": the reason is kept with your name and the time')
    if "version" in request and ("name" not in request or not request["version"].isdigit()):
        raise ConfigError(f"version must be a number beside name=<registered model>, got {request['version']}")
    demands = {}
    for key in request.keys() - set(_REQUEST_KEYS):
        try:
            demands[key] = float(request[key])
        except ValueError:
            raise ConfigError(f"{key} must be a number, got {request[key]}") from None
    return demands


def _find_run(store: MlflowStore, run: str) -> Any:
    for key in ("attributes.run_id", "tags.`alpha.record_id`", "tags.`alpha.run_key`"):
        query = f"attributes.status = 'FINISHED' AND {key} = '{run}'"
        runs = store.client.search_runs([store.experiment], query, order_by=["start_time DESC"], max_results=1)
        if runs:
            return runs[0]
    raise StageError(f"there is no run {run} of {store.settings.dataset} in MLflow: give its run id or record id")
