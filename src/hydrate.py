"""Bring a universe's bars from the configured source, validated, into data/bars: ``python -m src.hydrate``."""

from __future__ import annotations

import logging

from src.config.schema import Config
from src.core.errors import StageError
from src.runtime.command import main

log = logging.getLogger("src.hydrate")  # as a command, the name of this module is __main__


def hydrate(config: Config) -> str:
    """Hydrate the configured universe, doing only what is not done yet.

    Parameters
    ----------
    config : Config
        Universe, source and paths.

    Returns
    -------
    str
        Closing line, with the number of instruments in each state.

    Raises
    ------
    ConfigError
        If a symbol is unknown, a path does not exist, or the dataset came from another source.
    StageError
        If the source can't be used at all, a provider can't be reached for hours, or the disk is too small.
    """
    from src.hydration import dataset, files
    from src.hydration.job import HydrationJob
    from src.sources import registry

    job = HydrationJob.of(config)
    if registry.is_live(config.source.kind):
        from src.hydration.live import collection

        return f"hydrate: {collection.run(job)}{_options(config)}"
    if files.up_to_date(job):
        return f"hydrate: nothing to do; {dataset.summary(job)}"
    files.run(job)
    return f"hydrate: {dataset.summary(job)}{files.unread(job)}"


def _options(config: Config) -> str:
    """Take the session's snapshot of option chains if the universe wants any; its failure doesn't fail the bars."""
    from src.options import live
    from src.options.job import QuoteJob
    from src.runtime.lock import dataset_lock

    if not config.universe.options or config.only or not live.quotes_options(config.source):
        return ""
    try:
        with dataset_lock("quote", config.dataset, log.warning):
            return f"; options: {live.snapshot_live(QuoteJob.of(config)).removeprefix('quote: ')}"
    except StageError as error:
        log.warning("option chains: %s", error)
        return f"; options: {error}"


if __name__ == "__main__":
    main("hydrate", hydrate)
