"""Threads that load and ask native models, each model on one thread."""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from src.models import registry

_THREADS = min(os.cpu_count() or 1, 4)


def model_threads(families: Iterable[str]) -> ThreadPoolExecutor:
    """Start threads in which the libraries' own parallel loops take one thread.

    A booster of a few trees is read in a quarter of a millisecond, and in several while idle threads of OpenMP wait for
    work beside it.

    Parameters
    ----------
    families : iterable of str
        Model families whose libraries are used.
    """
    from threadpoolctl import ThreadpoolController

    for name in sorted(set(families)):
        registry.load(name)
    controller = ThreadpoolController()

    def one_thread() -> None:
        controller.limit(limits=1, user_api="openmp")  # holds for the thread that asks

    return ThreadPoolExecutor(_THREADS, initializer=one_thread)
