"""The champions of a dataset, and what stands against each, read by plain SQL: MLflow is not imported."""

from __future__ import annotations

from typing import Any

from src.core.errors import StageError
from src.evaluation.grade import Thresholds
from src.tracking import registry_gate, registry_sql, verdict
from src.tracking.location import store_location
from src.tracking.records import Records
from src.tracking.registry_gate import CHAMPION, GateRefusal, Query
from src.tracking.settings import TrackedDataset
from src.tracking.verdict import Use

Json = dict[str, Any]


def crowned(tracked: TrackedDataset) -> Json | None:
    """List the champions of a dataset that no longer hold.

    Grades are not repeated here: `python -m src.promote` does that.

    Parameters
    ----------
    tracked : TrackedDataset

    Returns
    -------
    dict or None
        ``count`` of champions and ``objections``, a list of name, version and reason; None where there is no store yet,
        it can't be read, or a tracking server keeps the database.
    """
    if not tracked.tracking.enabled:
        return None
    try:
        location = store_location(tracked.tracking)
        with registry_sql.registry_query(location) as query:
            if query is None or not registry_sql.has_tables(query, location):
                return None
            return _crowned(query, tracked, registry_sql.dialect(location))
    except (StageError, GateRefusal, OSError) as error:
        return {"count": 0, "objections": [{"name": "registry", "version": None, "reason": str(error)}]}


def _crowned(query: Query, tracked: TrackedDataset, dialect: str) -> Json:
    thresholds = registry_gate.stored_thresholds(query, dialect) or tracked.thresholds
    records = Records.of(tracked.paths)
    rows = query(
        "SELECT a.name, a.version, e.name FROM registered_model_aliases a LEFT JOIN model_versions v "
        "ON v.name = a.name AND v.version = a.version LEFT JOIN runs r ON r.run_uuid = v.run_id "
        "LEFT JOIN experiments e ON e.experiment_id = r.experiment_id WHERE a.alias = ? ORDER BY a.name",
        (CHAMPION,),
    )
    own = [(name, int(number)) for name, number, experiment in rows if experiment in (tracked.experiment, None)]
    objections = []
    for name, number in own:
        reasons = _reasons(query, name, number, thresholds, records)
        if reasons:
            objections.append({"name": name, "version": number, "reason": "; ".join(reasons)})
    return {"count": len(own), "objections": objections}


def _reasons(query: Query, name: str, number: int, thresholds: Thresholds, records: Records) -> list[str]:
    try:
        candidate = registry_gate.registered_candidate(query, name, number)
        if candidate is None:
            return ["the version is gone"]
        standing = verdict.standing_in_database(query, candidate, name)
    except GateRefusal as refusal:
        return [str(refusal)]
    return [str(each) for each in verdict.objections(standing, thresholds, records, Use.KEEP)]
