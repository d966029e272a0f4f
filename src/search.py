"""Search the collected documents by words.

python -m src.search "accounting probe"                           newest first
python -m src.search "share buyback" symbol=AAPL research=edgar   of one instrument, of one source
python -m src.search "going concern" since=2024-01-01 limit=50
"""

from __future__ import annotations

from src.runtime.command import run_command


def search(arguments: list[str]) -> int:
    """Print what matches and return the exit status.

    Parameters
    ----------
    arguments : list of str
        The words, and settings as shown above.
    """
    raise NotImplementedError


if __name__ == "__main__":
    run_command(search)
