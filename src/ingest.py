"""Collect documents of research and derive facts about the universe's instruments from them.

python -m src.ingest research=edgar,news universe=quick   ask the sources for what is new, then derive
python -m src.ingest universe=quick                       derive from what is stored, and ask nothing
"""

from __future__ import annotations

from src.config.schema import Config
from src.runtime.command import main


def ingest(config: Config) -> str:
    """Collect, derive, and return the counts in one sentence.

    Parameters
    ----------
    config : Config
        The whole resolved configuration.

    Returns
    -------
    str
        The command's closing line.

    Raises
    ------
    ConfigError
        If ``research.watch`` names what the universe lacks, or a source does not fit the universe.
    StageError
        If none of the sources could be asked, or the disk is too small.
    """
    from src.market.bars import BarStore
    from src.research.collection import collect
    from src.research.derive import derive
    from src.research.ingest_record import record_ingest
    from src.research.job import ResearchJob
    from src.research.registry import enabled

    job = ResearchJob.of(config)
    collected = collect(job) if enabled(job.research) else ""
    if not BarStore(job.paths.bars).exists():
        derived = f"facts are derived where the bars are: run `{config.hydrate_command}` there"
    else:
        derived = str(derive(job))
    record_ingest(job.paths.ingest, collected, derived)
    return f"ingest: {'; '.join(filter(None, (collected, derived)))}"


if __name__ == "__main__":
    main("ingest", ingest)
