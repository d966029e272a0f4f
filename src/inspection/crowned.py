"""The champions of a dataset, and what stands against each, read by plain SQL: MLflow is not imported."""

from __future__ import annotations

from typing import Any

from src.core.errors import StageError
from src.tracking import registry_sql
from src.tracking.crowned_versions import in_database
from src.tracking.location import store_location
from src.tracking.registry_gate import GateRefusal
from src.tracking.settings import TrackedDataset
from src.tracking.verdict import changed_files

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
            found = in_database(query, tracked, registry_sql.dialect(location), changed_files)
    except (StageError, GateRefusal, OSError) as error:
        return {"count": 0, "objections": [{"name": "registry", "version": None, "reason": str(error)}]}
    against = [
        {"name": each.name, "version": each.version, "reason": "; ".join(each.objections)}
        for each in found
        if each.objections
    ]
    return {"count": len(found), "objections": against}
