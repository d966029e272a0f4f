"""Two MLflow runs of one record: which one stays, and what happens to the other.

A request whose answer was lost is sent again, and two machines may write one dataset into one store by mistake. The run
of a registered version is never removed, because predictions may come from it; it is tagged instead.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from src.tracking.registry_gate import CHAMPION
from src.tracking.search import versions_by_run
from src.tracking.writer_tag import WRITER, is_writer_alive

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

SUPERSEDED = "alpha.superseded"
DOUBLED = "doubled"
"""Value of `SUPERSEDED` for a run whose record has another run: it is not promoted any more, and `clean` offers it."""


def resolve_duplicates(client: MlflowClient, duplicates: Iterable[Sequence[Run]]) -> list[Run]:
    """Keep one run of each record: a champion's, else the one that was registered first.

    The others are removed if they have no version and their writer has ended; else they are tagged.

    Parameters
    ----------
    client : MlflowClient
    duplicates : iterable of sequence of Run
        The runs of each record.

    Returns
    -------
    list of Run
        The runs that are kept, one a record.
    """
    groups = [runs for runs in duplicates if runs]
    versions = versions_by_run(client, (run.info.run_id for runs in groups for run in runs))
    names = {version.name for group in versions.values() for version in group}
    aliases = {name: client.get_registered_model(name).aliases for name in names}
    kept = []
    for runs in groups:
        first, *rest = sorted(runs, key=lambda run: _rank(run, versions.get(run.info.run_id, []), aliases))
        kept.append(first)
        if first.data.tags.get(SUPERSEDED) == DOUBLED:  # promoted or registered by a person since
            client.set_tag(first.info.run_id, SUPERSEDED, "")
            first.data.tags[SUPERSEDED] = ""
        for run in rest:
            has_ended = WRITER not in run.data.tags or not is_writer_alive(run.data.tags[WRITER])
            if has_ended and run.info.run_id not in versions:
                client.delete_run(run.info.run_id)
            elif not run.data.tags.get(SUPERSEDED):
                client.set_tag(run.info.run_id, SUPERSEDED, DOUBLED)
    return kept


def _rank(run: Run, versions: Sequence[Any], aliases: Mapping[str, Mapping[str, str]]) -> tuple[Any, ...]:
    """Sort key that puts the run to keep first; every command that looks comes to the same answer."""
    own = {(version.name, str(version.version)) for version in versions}
    named = {alias for name, of in aliases.items() for alias, number in of.items() if (name, str(number)) in own}
    registered = min((version.creation_timestamp for version in versions), default=math.inf)
    return CHAMPION not in named, not named, registered, "model_id" not in run.data.params, run.info.run_id
