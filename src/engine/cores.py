"""The number of worker processes, and the environment variables that keep each of them to one thread."""

from __future__ import annotations

import os

from src.config.schema import EngineConfig

ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS")
"""Environment variables that keep the libraries of a worker to one thread when they are set to 1."""


def worker_count(config: EngineConfig) -> int:
    """Return the number of worker processes to run at once.

    Parameters
    ----------
    config : EngineConfig
        The section ``engine``.

    Returns
    -------
    int
        ``config.workers`` if it is set, else the number of cores that this process may use.
    """
    if config.workers:
        return config.workers
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    return max(1, len(cores))
