"""Record that a person has checked a run that looked too good to be true."""

from __future__ import annotations

import datetime as dt
import json
from typing import TYPE_CHECKING, Any

from src.core.errors import StageError
from src.evaluation.grade import grade
from src.tracking.promotion_history import person

if TYPE_CHECKING:
    from src.tracking.store import MlflowStore


def clear_suspicion(store: MlflowStore, run: str, why: str, *, dry_run: bool = False) -> str:
    """Record that a person has checked a run that looked too good to be true, and register its model.

    Parameters
    ----------
    store : MlflowStore
    run : str
        MLflow's run id, or a record id or run key of training.
    why : str
        The reason, which is kept with the person's name and the time.
    dry_run : bool
        Whether nothing is changed.

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
    clearing = {"why": why, "who": person(), "when": dt.datetime.now(dt.UTC).isoformat(timespec="seconds")}
    subject = f"{params['registered_name']} ({params['family']}) of being suspicious ({params['suspicious']})"
    reasons = grade(match.data.metrics, store.thresholds).against_registration
    if dry_run:
        return f"dry run, nothing is changed: would clear run {run_id} of {subject}"
    store.client.set_tag(run_id, "alpha.cleared", json.dumps(clearing))
    if reasons or "model_id" not in params:
        return f"cleared run {run_id} of {subject}; not registered: {'; '.join(reasons) or 'it has no model'}"
    with store.refusals():
        number = store.register(run_id, params["model_id"], params["registered_name"])
    return f"cleared run {run_id} of {subject}; registered as version {number}"


def _find_run(store: MlflowStore, run: str) -> Any:
    for key in ("attributes.run_id", "tags.`alpha.record_id`", "tags.`alpha.run_key`"):
        query = f"attributes.status = 'FINISHED' AND {key} = '{run}'"
        runs = store.client.search_runs([store.experiment], query, order_by=["start_time DESC"], max_results=1)
        if runs:
            return runs[0]
    raise StageError(f"there is no run {run} of {store.settings.dataset} in MLflow: give its run id or record id")
