"""Collect documents: ask what is due of each source, store what comes, and remember what was asked."""

from __future__ import annotations

from src.research.job import ResearchJob


def collect(job: ResearchJob) -> str:
    """Ask the chosen sources for what is due.

    Parameters
    ----------
    job : ResearchJob

    Returns
    -------
    str
        One sentence with the counts of each source, and what is missing of those that could not be asked.

    Raises
    ------
    StageError
        If no source could be asked at all.
    """
    raise NotImplementedError
