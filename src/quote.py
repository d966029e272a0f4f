"""Take a snapshot of option chains: from the files at options.path if it is set, else from the live source.

python -m src.quote universe=full                       the most traded underlyings, once a session
python -m src.quote universe=full only=[SPY,AAPL]       these alone
python -m src.quote universe=full options.path=chains/  files of your own (CSV or Parquet)
"""

from __future__ import annotations

from src.config.schema import Config
from src.runtime.command import main


def quote(config: Config) -> str:
    """Take the snapshot and return the counts in one sentence.

    Parameters
    ----------
    config : Config
        The whole resolved configuration.

    Returns
    -------
    str
        The stage's closing line.

    Raises
    ------
    ConfigError
        If there is nothing at ``options.path``.
    StageError
        If the source quotes no options, no file could be read, or every underlying failed.
    """
    from src.market.choices import settled
    from src.options.job import QuoteJob

    job = QuoteJob.of(settled("quote", config))
    if job.options.path is not None:
        from src.options.file_import import import_files

        return import_files(job)
    from src.options.live import snapshot_live

    return snapshot_live(job)


if __name__ == "__main__":
    main("quote", quote)
