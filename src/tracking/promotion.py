"""What a person may decide in the registry: set champions, withdraw one, clear a suspicious run."""

from __future__ import annotations

import datetime as dt
import getpass
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from src.core.errors import ConfigError, StageError
from src.evaluation.grade import grade
from src.tracking.champions import Champions
from src.tracking.settings import TrackedDataset
from src.tracking.store import open_store

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
        Arguments by key, see `is_request_key`; empty to promote the best version of every instrument.
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
        champions = Champions(store, demands)
        before = dict(champions.current)
        for line in _steps(champions, request):
            show(line)
        failing = list(champions.no_longer_clear())
        for line in failing:
            show(line)
        if not champions.names:
            name = settings.dataset
            return (
                f"no version of {name} is registered: none passed, or it is not trained "
                f"(python -m src.train universe={name}), or MLflow's store is new ({settings.sync_command})"
            )
        changed = sum(before.get(name) != champions.current.get(name) for name in before | champions.current)
        counts = f"{len(champions.names):,} instruments with versions, {len(champions.current):,} champions"
        return f"{counts}, {changed:,} changed, {len(failing):,} no longer clear"


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


def _steps(champions: Champions, request: Mapping[str, str]) -> Iterator[str]:
    if "withdraw" in request:
        yield champions.withdraw(request["withdraw"])
    elif "version" in request:
        yield champions.promote(champions.version(request["name"], int(request["version"])))
    else:
        yield from _promote_best(champions, [request["name"]] if "name" in request else champions.names)


def _promote_best(champions: Champions, names: Iterable[str]) -> Iterator[str]:
    for name in names:
        if name not in champions.names:
            raise ConfigError(f"name must be a registered model of the dataset, got {name}")
        best = champions.best(name)
        if best is not None:
            yield champions.promote(best)
        else:
            kept = f"version {champions.current[name]} stays" if name in champions.current else "no champion"
            yield f"{name}: no version clears for promotion; {kept}"


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
