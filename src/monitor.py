"""Compare what the journal says with what came: ``python -m src.monitor``.

::

    python -m src.monitor universe=quick                              all champions and the book
    python -m src.monitor universe=quick monitor.action=demote        and take down the flagged
    python -m src.monitor acknowledge=stock.AAPL why="delisted"       look no more at the days up to now

Each champion is judged by the band of its own out-of-sample record, faults, drift and gross reversal; loss of edge is
tested on the book and over all champions together. Tables go to ``data/monitor/<dataset>/``. The exit status is 1 while
an alarm is raised that was not acknowledged.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

from src.runtime.command import main

if TYPE_CHECKING:
    from src.config.schema import Config

KEYS = ("acknowledge", "why")


def monitor(config: Config, request: Mapping[str, str]) -> str:
    """Look at all champions and the book, or acknowledge an alarm.

    Parameters
    ----------
    config : Config
    request : mapping
        ``acknowledge`` and ``why``, where they were typed.

    Returns
    -------
    str
        The closing line.
    """
    from src.config.commands import command
    from src.core.errors import ConfigError, Incomplete
    from src.market.choices import settled
    from src.monitoring.alarms import acknowledge
    from src.monitoring.closing import closing_line, is_flagged, table_lines
    from src.monitoring.review import MonitorRequest, review
    from src.runtime.terminal import answer
    from src.signals.journal import Journal

    config = settled("monitor", config)
    if "acknowledge" in request:
        return f"monitor: {acknowledge(config.paths.monitor, request['acknowledge'], request.get('why', ''))}"
    if "why" in request:
        raise ConfigError("why=... belongs to acknowledge=<name>: name the champion, book or champions")
    if not Journal.of(config.paths).entries():
        hint = f"{command('promote', stored=config.dataset)}, then {command('predict', stored=config.dataset)}"
        return f"monitor: the journal of {config.dataset} is empty, so there is nothing to compare yet: {hint}"
    found = review(MonitorRequest.of(config))
    for line in (*table_lines(found), *found.done):
        answer(line)
    if is_flagged(found):
        raise Incomplete(closing_line(found))
    return closing_line(found)


if __name__ == "__main__":
    from src.runtime.arguments import split_arguments

    asked, sys.argv[1:] = split_arguments(sys.argv[1:], KEYS.__contains__)
    main("monitor", functools.partial(monitor, request=asked))
