"""Do the day's work: ``python -m src.daily``.

::

    python -m src.daily universe=quick source=auto                  hydrate, featurize, predict, monitor, report
    python -m src.daily universe=quick source=auto refit=quarterly  and train challengers once a quarter
    python -m src.daily universe=quick source=auto daily.wait=false without waiting for the session's close

It waits for the close of the session by the exchange's calendar, runs each step as a command of its own, and stops at
the first that fails. The same command goes on after an interruption, and has nothing to do where the book exists.
docs/daily.md says how to run it every day.
"""

from __future__ import annotations

import datetime as dt
import sys
import time
from typing import TYPE_CHECKING

from src.core.errors import ConfigError
from src.runtime.command import main

if TYPE_CHECKING:
    from src.config.schema import Config


def daily(config: Config) -> str:
    """Do the day's work on a dataset.

    Parameters
    ----------
    config : Config

    Returns
    -------
    str
        The closing line.
    """
    from src.config.commands import typed_keys, typed_words
    from src.runtime.stage_process import run_stage
    from src.runtime.terminal import answer
    from src.scheduling.day import Day, DayJob
    from src.scheduling.notifying import ping, send
    from src.scheduling.steps import World

    if config.date is not None:
        raise ConfigError("date is for predict, daily takes the latest bars: leave it out")
    if config.refit and {"split.until", "split_until"} & set(typed_keys()):
        raise ConfigError(
            "refit moves split_until in params.yaml, and split.until would hide that: leave one of them out"
        )
    world = World(run_stage, lambda: dt.datetime.now(dt.UTC), time.sleep, answer, send, ping)
    return Day(DayJob.of(config, typed_words(sys.argv[1:])), world).carry_out()


if __name__ == "__main__":
    main("daily", daily)
