"""The thresholds of a store's registry beside those of the configuration, and the one way to loosen them."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING

from src.config.commands import command
from src.evaluation.grade import Thresholds
from src.runtime.redaction import masked_address
from src.tracking import database
from src.tracking.connection import demanded_thresholds, gate_command
from src.tracking.errors import TrackingError
from src.tracking.gate_mark import Loosening, looser
from src.tracking.location import StoreLocation, store_location
from src.tracking.registry_gate import HISTORY, MARKED
from src.tracking.registry_sql import dialect, registry_query
from src.tracking.settings import registry_grade

if TYPE_CHECKING:
    from src.config.schema import TrackingConfig


def shown(tracking: TrackingConfig) -> list[str]:
    """Compare the thresholds of a store with those of the configuration.

    Parameters
    ----------
    tracking : TrackingConfig
        The store.

    Returns
    -------
    list of str
        One line for each threshold, the decisions that loosened any, and a closing line.

    Raises
    ------
    TrackingError
        If the store can't be read.
    """
    location = store_location(tracking)
    stored, conf = demanded_thresholds(location), Thresholds.of(registry_grade())
    name = masked_address(location.uri)
    if stored is None:
        return [
            f"gate: {name} carries no thresholds yet: the first {command('sync')} writes those of the configuration"
        ]
    demanded = stored.by_name()
    lines = [f"{'':16} {'registry':>9} {'conf':>9}"]
    for threshold, value in conf.by_name().items():
        note = _note(threshold, demanded[threshold], value)
        lines.append(f"{threshold:16} {demanded[threshold]:>9g} {value:>9g}  {note}".rstrip())
    lines += _decisions(location)
    tighter = [each for each, value in conf.by_name().items() if looser(each, value, demanded[each])]
    remedy = f'; {gate_command(location)} loosen why="..." takes those of the configuration' if tighter else ""
    count = "1 threshold" if len(tighter) == 1 else f"{len(tighter)} thresholds"
    return [*lines, f"gate: {name} is tighter than conf/grade/default.yaml in {count}{remedy}"]


def loosened(tracking: TrackingConfig, why: str) -> list[str]:
    """Give a store the thresholds of the configuration, also where they demand less.

    Parameters
    ----------
    tracking : TrackingConfig
        The store.
    why : str
        The reason, which the database keeps with the person's name and the time.

    Returns
    -------
    list of str
        The closing line.

    Raises
    ------
    TrackingError
        If the store is behind a server, does not exist, or this role may not change it.
    """
    location = store_location(tracking)
    name = masked_address(location.uri)
    if location.is_server:
        raise TrackingError(
            f"{name} is a tracking server, and thresholds are changed in its database alone: run python -m src.gate "
            "loosen tracking.uri=<its database> where that is"
        )
    if demanded_thresholds(location) is None:
        raise TrackingError(f"{name} carries no thresholds that could be loosened: run {command('sync')} first")
    decision, conf = Loosening(why, getpass.getuser()), Thresholds.of(registry_grade())
    if location.database is not None:
        update = database.mark_database(location.database, conf, decision)
    else:
        from src.tracking import postgresql

        update = postgresql.mark(location.uri, conf, decision)
    if not update.changed:
        return [f"gate: {name} demands what conf/grade/default.yaml demands: nothing to loosen"]
    return [f"gate: {', '.join(update.changed)} in {name}, by {decision.who}: {why}"]


def _note(name: str, demanded: float, conf: float) -> str:
    if looser(name, conf, demanded):
        return "tighter than conf"
    return "" if demanded == conf else "the next command tightens it"


def _decisions(location: StoreLocation) -> list[str]:
    """Past changes of the thresholds, oldest first."""
    with registry_query(location) as query:
        if query is None or not query(MARKED[dialect(location)], (HISTORY,)):
            return []
        rows = query(f"SELECT changed_at, name, earlier, value, who, why FROM {HISTORY} ORDER BY changed_at", ())
    return [f"{when}  {name} {earlier} -> {value:g}  {who}: {why}" for when, name, earlier, value, who, why in rows]
