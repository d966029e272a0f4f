"""SQL triggers that keep a graded run as it was graded, and leave no alias without a model behind it.

A run is graded once its model is tied to it by the param ``model_id``. From then on its counted metrics, its params and
the location of its model can neither be changed nor removed, and no second value of a counted metric is taken: it would
make the gate refuse the run. A run or model behind an alias can't be deleted until the alias is removed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from src.tracking.gate_sql import GateTrigger
from src.tracking.registry_gate import DELETED, GATED, MARK, READY

_KEPT = "alpha-loop gate: metrics, params and model files of a run that has a model stay as they were graded"
_BEHIND = "alpha-loop gate: an alias such as champion points to the model of this run: remove the alias first"
_PLACE = "alpha-loop gate: the artifact location overlaps a folder of models: leave it out, or choose one beside it"
_PARAMS = ("model_id", "model_digest", "model_sha256", "registered_name", "suspicious", "arm")
"""Params that the gate reads. The trigger on new rows is for these alone: it costs time with each row."""


def lock_triggers(dialect: str) -> Iterator[GateTrigger]:
    """Yield the triggers.

    Parameters
    ----------
    dialect : str
        ``sqlite`` or ``postgresql``.

    Yields
    ------
    GateTrigger
    """
    differs = "IS NOT" if dialect == "sqlite" else "IS DISTINCT FROM"
    yield from _metrics(differs)
    yield from _params(differs)
    yield from _models(differs)
    yield from _runs(differs)
    yield from _aliases()
    yield from _places(differs)


def _metrics(differs: str) -> Iterator[GateTrigger]:
    for table, short in (("metrics", "metric"), ("latest_metrics", "latest")):
        old, new = (f"{_is_one_of(f'{row}.key', GATED)} AND {_has_model(f'{row}.run_uuid')}" for row in ("OLD", "NEW"))
        values = ("value", "timestamp", "step", "is_nan")
        other = " OR ".join(f"m.{column} {differs} NEW.{column}" for column in values)
        earlier = f"EXISTS (SELECT 1 FROM {table} m WHERE m.run_uuid = NEW.run_uuid AND m.key = NEW.key AND ({other}))"
        yield GateTrigger(f"{MARK}_{short}_again", "INSERT", table, f"{new} AND {earlier}", _KEPT)
        yield GateTrigger(f"{MARK}_{short}_changed", "UPDATE", table, f"({old}) OR ({new})", _KEPT)
        yield GateTrigger(f"{MARK}_{short}_removed", "DELETE", table, f"{old} AND {_is_active('OLD.run_uuid')}", _KEPT)


def _params(differs: str) -> Iterator[GateTrigger]:
    earlier = (
        f"{_is_one_of('NEW.key', _PARAMS)} AND EXISTS "
        "(SELECT 1 FROM params e WHERE e.run_uuid = NEW.run_uuid AND e.key = NEW.key "
        f"AND e.value {differs} NEW.value) AND {_has_model('NEW.run_uuid')}"
    )
    removed = f"{_has_model('OLD.run_uuid')} AND {_is_active('OLD.run_uuid')}"
    yield GateTrigger(f"{MARK}_param_again", "INSERT", "params", earlier, _KEPT)
    yield GateTrigger(f"{MARK}_param_changed", "UPDATE", "params", _has_model("OLD.run_uuid"), _KEPT)
    yield GateTrigger(f"{MARK}_param_removed", "DELETE", "params", removed, _KEPT)


def _models(differs: str) -> Iterator[GateTrigger]:
    bound = ("model_id", "experiment_id", "source_run_id", "artifact_location", "status")
    moved = " OR ".join(f"NEW.{column} {differs} OLD.{column}" for column in bound)
    tied = f"OLD.status = {READY} AND ({moved}) AND {_is_tied('OLD')}"
    again = "EXISTS (SELECT 1 FROM logged_models lm WHERE lm.model_id = NEW.model_id)"
    aliased = _is_aliased("lm.model_id = OLD.model_id")
    yield GateTrigger(f"{MARK}_model_again", "INSERT", "logged_models", again, _KEPT)
    yield GateTrigger(f"{MARK}_model_changed", f"UPDATE OF {', '.join(bound)}", "logged_models", tied, _KEPT)
    hidden = f"NEW.lifecycle_stage <> 'active' AND {aliased}"
    yield GateTrigger(f"{MARK}_model_deleted", "UPDATE OF lifecycle_stage", "logged_models", hidden, _BEHIND)
    yield GateTrigger(f"{MARK}_model_removed", "DELETE", "logged_models", aliased, _BEHIND)


def _runs(differs: str) -> Iterator[GateTrigger]:
    aliased = _is_aliased("lm.source_run_id = OLD.run_uuid")
    reopened = f"(NEW.lifecycle_stage <> 'active' OR NEW.status <> 'FINISHED') AND {aliased}"
    moved = f"(NEW.run_uuid {differs} OLD.run_uuid OR NEW.artifact_uri {differs} OLD.artifact_uri)"
    again = f"EXISTS (SELECT 1 FROM runs r WHERE r.run_uuid = NEW.run_uuid) AND {_has_model('NEW.run_uuid')}"
    yield GateTrigger(f"{MARK}_run_again", "INSERT", "runs", again, _KEPT)
    yield GateTrigger(
        f"{MARK}_run_moved",
        "UPDATE OF run_uuid, artifact_uri",
        "runs",
        f"{moved} AND {_has_model('OLD.run_uuid')}",
        _KEPT,
    )
    yield GateTrigger(f"{MARK}_run_deleted", "UPDATE OF lifecycle_stage, status", "runs", reopened, _BEHIND)
    yield GateTrigger(f"{MARK}_run_removed", "DELETE", "runs", aliased, _BEHIND)


def _aliases() -> Iterator[GateTrigger]:
    """An alias goes with its version and with its registered model, however they are deleted."""
    remove = "DELETE FROM registered_model_aliases WHERE workspace = OLD.workspace AND name = OLD.name"
    hidden = f"NEW.current_stage = '{DELETED}'"
    of_version = f"{remove} AND version = OLD.version"
    yield GateTrigger(f"{MARK}_gone", "UPDATE OF current_stage", "model_versions", hidden, follow_up=of_version)
    yield GateTrigger(f"{MARK}_erased", "DELETE", "model_versions", "1 = 1", follow_up=of_version)
    yield GateTrigger(f"{MARK}_dissolved", "DELETE", "registered_models", "1 = 1", follow_up=remove)


def _places(differs: str) -> Iterator[GateTrigger]:
    """No experiment keeps artifacts in or around the folder of another one's models: the plain spellings of it.

    `src.tracking.tracking_store` resolves every spelling. MLflow gives a location of its own after it has inserted the
    row without one, which is no change.
    """
    new, old = _plain("NEW.artifact_location"), _plain("e.artifact_location")
    inside = f"substr({new} || '/', 1, length({old}) + 1) = {old} || '/'"
    around = f"substr({old} || '/', 1, length({new}) + 1) = {new} || '/'"
    overlaps = (
        "EXISTS (SELECT 1 FROM experiments e JOIN logged_models l ON l.experiment_id = e.experiment_id "
        f"WHERE {new} <> {old} AND ({inside} OR {around}))"
    )
    signs = ("/../", "^%2e", "^%2f", "^%5c")
    veiled = " OR ".join(f"lower(NEW.artifact_location) LIKE '%{sign}%' ESCAPE '^'" for sign in signs)
    moved = f"coalesce(OLD.artifact_location, '') <> '' AND NEW.artifact_location {differs} OLD.artifact_location"
    has_models = "EXISTS (SELECT 1 FROM logged_models l WHERE l.experiment_id = OLD.experiment_id)"
    refused = f"{overlaps} OR {veiled}"
    table = "experiments"
    yield GateTrigger(
        f"{MARK}_place", "INSERT", table, f"coalesce(NEW.artifact_location, '') <> '' AND ({refused})", _PLACE
    )
    yield GateTrigger(
        f"{MARK}_place_moved", "UPDATE OF artifact_location", table, f"{moved} AND ({has_models} OR {refused})", _PLACE
    )


def _plain(location: str) -> str:
    """SQL expression: a location without ``file://``, doubled slashes and a slash at its end, in lower case."""
    stripped = f"replace(replace(lower({location}), 'file://localhost/', '/'), 'file://', '')"
    return f"rtrim(replace({stripped}, '//', '/'), '/')"


def _has_model(run: str) -> str:
    """SQL condition: the run has a logged model of its own that its param names."""
    return (
        "EXISTS (SELECT 1 FROM params p JOIN logged_models l ON l.model_id = p.value "
        f"WHERE p.run_uuid = {run} AND p.key = 'model_id' AND l.source_run_id = p.run_uuid)"
    )


def _is_one_of(column: str, names: Iterable[str]) -> str:
    """SQL condition; sqlite would build a table for IN with each row."""
    return "(" + " OR ".join(f"{column} = '{name}'" for name in names) + ")"


def _is_tied(row: str) -> str:
    return (
        f"EXISTS (SELECT 1 FROM params p WHERE p.run_uuid = {row}.source_run_id AND p.key = 'model_id' "
        f"AND p.value = {row}.model_id)"
    )


def _is_active(run: str) -> str:
    """SQL condition: the run is not deleted; ``mlflow gc`` removes the rows of deleted runs."""
    return f"EXISTS (SELECT 1 FROM runs r WHERE r.run_uuid = {run} AND r.lifecycle_stage = 'active')"


def _is_aliased(model: str) -> str:
    return (
        "EXISTS (SELECT 1 FROM logged_models lm JOIN model_versions v ON v.storage_location = lm.artifact_location "
        "JOIN registered_model_aliases a ON a.workspace = v.workspace AND a.name = v.name AND a.version = v.version "
        f"WHERE {model} AND v.current_stage <> '{DELETED}')"
    )
