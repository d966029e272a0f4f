"""Bring a universe's bars from the configured source, validated, into data/bars: ``python -m src.hydrate``."""

from __future__ import annotations

from src.config import Config
from src.stage import main


def hydrate(config: Config) -> str:
    """Hydrate the configured universe, doing only what is not done yet, and say the counts.

    Raises
    ------
    ConfigError
        Where the configuration can't be followed: an unknown symbol, another source than the dataset's, no such path.
    StageError
        Where the source can't be used at all, a provider can't be reached for hours, or the disk is too small.
    """
    from src import intake, sources

    plan = intake.intake(config)
    if config.source.kind in sources.LIVE:
        from src.live import collect

        return f"hydrate: {collect.run(plan)}"
    if intake.up_to_date(plan):
        return f"hydrate: nothing to do; {intake.summary(plan)}"
    intake.run(plan)
    return f"hydrate: {intake.summary(plan)}"


if __name__ == "__main__":
    main("hydrate", hydrate)
