"""Take a snapshot of option chains now: from the files at options.path where that is set, else from the live source.

python -m src.quote universe=full                       the most traded underlyings, once a session
python -m src.quote universe=full only=[SPY,AAPL]       these alone
python -m src.quote universe=full options.path=chains/  files of your own (CSV or Parquet)
"""

from __future__ import annotations

from src.config.schema import Config
from src.runtime.command import main


def quote(config: Config) -> str:
    """Take it, and say what was taken."""
    from src.options.snapshot import import_files

    if config.options.path is not None:
        return import_files(config)
    from src.options.live import snapshot_live

    return snapshot_live(config)


if __name__ == "__main__":
    main("quote", quote)
