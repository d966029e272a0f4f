"""Two runs of one record: which one stays, and what becomes of the other.

A request that a server carried out and whose answer was lost is sent again, and two machines may write one dataset into
one store by mistake. A registered version's run is never removed, as predictions may come from it: it is tagged.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from src.tracking.registry_gate import CHAMPION
from src.tracking.search import versions_by_run
from src.tracking.writer_tag import WRITER, is_alive

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

SUPERSEDED = "alpha.superseded"
DOUBLED = "doubled"
"""What `SUPERSEDED` says of a run whose record another run shows: it is promoted no more, and `clean` offers it."""


def settle(client: MlflowClient, doubled: Iterable[Sequence[Run]]) -> list[Run]:
    """Keep one run of each record: a champion's, else the one registered first; returns those kept.

    Of the others, those without a version are removed once their writer has ended; until then, and for good where they
    have one, a tag says what they are.
    """
    groups = [runs for runs in doubled if runs]
    held = versions_by_run(client, (run.info.run_id for runs in groups for run in runs))
    names = {version.name for versions in held.values() for version in versions}
    aliases = {name: client.get_registered_model(name).aliases for name in names}
    kept = []
    for runs in groups:
        first, *others = sorted(runs, key=lambda run: _rank(run, held.get(run.info.run_id, []), aliases))
        kept.append(first)
        if first.data.tags.get(SUPERSEDED) == DOUBLED:  # a person has chosen it since
            client.set_tag(first.info.run_id, SUPERSEDED, "")
            first.data.tags[SUPERSEDED] = ""
        for run in others:
            has_ended = WRITER not in run.data.tags or not is_alive(run.data.tags[WRITER])
            if has_ended and run.info.run_id not in held:
                client.delete_run(run.info.run_id)
            elif not run.data.tags.get(SUPERSEDED):
                client.set_tag(run.info.run_id, SUPERSEDED, DOUBLED)
    return kept


def _rank(run: Run, versions: Sequence[Any], aliases: Mapping[str, Mapping[str, str]]) -> tuple[Any, ...]:
    """Sorts the run that stays first; every command that looks comes to the same answer."""
    held = {(each.name, str(each.version)) for each in versions}
    named = {alias for name, own in aliases.items() for alias, number in own.items() if (name, str(number)) in held}
    registered = min((each.creation_timestamp for each in versions), default=math.inf)
    return CHAMPION not in named, not named, registered, "model_id" not in run.data.params, run.info.run_id
