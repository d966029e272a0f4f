"""What MLflow's sqlite database holds of an experiment, read as a whole: for comparisons with what it held before.

As `src.tracking.sqlite_runs`, it is used only if the schema has a tested revision.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from src.tracking.run_record import NOTE
from src.tracking.sqlite_runs import FINISHED, BulkRuns, reading

_TRAINED = (
    "(SELECT r.run_uuid FROM runs r JOIN tags t ON t.run_uuid = r.run_uuid AND t.key = 'alpha.record_id' "
    "WHERE r.experiment_id = ?)"
)
_HELD = (
    f"SELECT run_uuid, lifecycle_stage, status FROM runs WHERE run_uuid IN {_TRAINED} ORDER BY run_uuid",
    "SELECT run_uuid, group_concat(key || char(31) || ifnull(value, ''), char(30)) FROM tags "
    f"WHERE run_uuid IN {_TRAINED} AND (key LIKE 'alpha.%' OR key = '{NOTE}') GROUP BY run_uuid",
    "SELECT run_uuid, group_concat(key || char(31) || quote(value) || is_nan, char(30)) FROM latest_metrics "
    f"WHERE run_uuid IN {_TRAINED} GROUP BY run_uuid",
    f"SELECT run_uuid, value FROM params WHERE run_uuid IN {_TRAINED} AND key = 'model_id' ORDER BY run_uuid",
)
_MODELS = (
    "SELECT r.run_uuid, p.value FROM runs r JOIN params p ON p.run_uuid = r.run_uuid AND p.key = 'model_id' "
    "WHERE r.experiment_id = ? AND r.lifecycle_stage = 'active'"
)
_REGISTRY = (
    "SELECT name, description, workspace FROM registered_models ORDER BY 1, 3",
    "SELECT name, version, run_id, source, status, current_stage, description, workspace FROM model_versions "
    "ORDER BY 1, 2, 8",
    "SELECT name, version, key, value, workspace FROM model_version_tags ORDER BY 1, 2, 3, 5",
    "SELECT model_id, status, lifecycle_stage, source_run_id, artifact_location FROM logged_models ORDER BY 1",
)
_SESSION = (
    "SELECT r.run_uuid, r.name, m.key, quote(m.value) FROM runs r JOIN tags t ON t.run_uuid = r.run_uuid "
    "LEFT JOIN latest_metrics m ON m.run_uuid = r.run_uuid AND m.key IN ({}) "
    "WHERE r.experiment_id = ? AND r.lifecycle_stage = 'active' AND t.key = 'alpha.session' AND t.value = ? "
    "ORDER BY 1, 3"
)


@dataclass(frozen=True)
class HeldRuns:
    """What MLflow holds of an experiment's runs of training.

    Attributes
    ----------
    digest : str
        Hash of state, tags, latest metrics and model of every run, deleted ones included.
    runs : dict
        Run id and session key of each finished run that is not deleted, by (record id, strategy key).
    """

    digest: str
    runs: dict[tuple[str, str], tuple[str, str]]


def held_runs(runs: BulkRuns) -> HeldRuns:
    """Read what `BulkRuns.recorded` would give of every run, as one digest: sqlite joins the values of a run itself.

    Parameters
    ----------
    runs : BulkRuns
        Of the experiment.
    """
    state = hashlib.sha256()
    with reading(runs.database) as connection:
        for statement in _HELD:
            for row in connection.execute(statement, (runs.experiment,)):
                state.update("\x1d".join(map(str, row)).encode())
        rows = connection.execute(FINISHED, (runs.experiment,)).fetchall()
    return HeldRuns(state.hexdigest(), {(record, strategy): (run_id, own) for record, strategy, run_id, own in rows})


def held_registry(runs: BulkRuns, session_key: str, figures: Sequence[str]) -> str:
    """Hash the registry and the logged models as MLflow holds them, and what the cards of a session's versions show.

    Parameters
    ----------
    runs : BulkRuns
        Of the experiment.
    session_key : str
    figures : sequence of str
        Metrics of the session's own run.
    """
    state = hashlib.sha256()
    session = _SESSION.format(", ".join("?" * len(figures)))
    asked = [*((statement, ()) for statement in _REGISTRY), (session, (*figures, runs.experiment, session_key))]
    with reading(runs.database) as connection:
        for statement, values in asked:
            for row in connection.execute(statement, values):
                state.update(repr(row).encode())
    return state.hexdigest()


def registered_runs(runs: BulkRuns) -> set[str]:
    """Read the ids of the runs that any registered version comes from.

    Parameters
    ----------
    runs : BulkRuns
        Of an experiment of the same database.
    """
    with reading(runs.database) as connection:
        return {run_id for (run_id,) in connection.execute("SELECT run_id FROM model_versions")}


def model_places(runs: BulkRuns) -> list[str]:
    """Read where the files of an experiment's logged models lie.

    Parameters
    ----------
    runs : BulkRuns
        Of the experiment.
    """
    asked = "SELECT artifact_location FROM logged_models WHERE experiment_id = ? AND lifecycle_stage = 'active'"
    with reading(runs.database) as connection:
        return [place for (place,) in connection.execute(f"{asked} ORDER BY 1", (runs.experiment,))]


def models_of_runs(runs: BulkRuns) -> dict[str, str]:
    """Read the id of the model that each run names as its own, by run id; deleted runs are left out.

    Parameters
    ----------
    runs : BulkRuns
        Of the experiment.
    """
    with reading(runs.database) as connection:
        return dict(connection.execute(_MODELS, (runs.experiment,)).fetchall())
