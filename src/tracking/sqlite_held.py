"""What MLflow's sqlite database holds of an experiment, read as a whole: for comparisons with what it held before.

As `src.tracking.sqlite_runs`, it is used only if the schema has a tested revision.
"""

from __future__ import annotations

import hashlib
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


def models_of_runs(runs: BulkRuns) -> dict[str, str]:
    """Read the id of the model that each run names as its own, by run id; deleted runs are left out.

    Parameters
    ----------
    runs : BulkRuns
        Of the experiment.
    """
    with reading(runs.database) as connection:
        return dict(connection.execute(_MODELS, (runs.experiment,)).fetchall())
