"""Writes finished buckets into MLflow beside the training: one thread, in order, never in the way of the work.

What is stored under ``data/runs`` is the truth: a projection that fails costs a later ``python -m src.sync``.
"""

from __future__ import annotations

import logging
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import polars as pl

from src.config import Config
from src.errors import StageError

if TYPE_CHECKING:
    from src.runs import RunStore

log = logging.getLogger(__name__)


class Recorder:
    """Projects the grades of closed buckets into MLflow in the background.

    Parameters
    ----------
    config : Config
        With ``tracking.enabled`` false nothing is written and nothing imported.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="mlflow")
        self._written: list[Future[pl.DataFrame]] = []

    def put(self, store: RunStore, grades: pl.DataFrame, session: dict[str, Any]) -> None:
        """Queue a bucket's grades."""
        self._written.append(self._thread.submit(_project, self.config, store, grades, session))

    def close(self, store: RunStore, grades: pl.DataFrame, session: dict[str, Any]) -> pl.DataFrame:
        """Wait for the queue, bring MLflow up to date with all grades and the session's own figures.

        Returns
        -------
        DataFrame
            record_id, mlflow_run_id.

        Raises
        ------
        StageError
            Where MLflow can't be written; runs and grades are stored all the same.
        """
        for done in self._written:
            if error := done.exception():
                log.info("a bucket could not be written to MLflow at first: %s", error)
        try:
            return _project(self.config, store, grades, session)
        finally:
            self._thread.shutdown()

    def abandon(self) -> None:
        """Drop what is queued; a later session or sync writes it."""
        self._thread.shutdown(wait=True, cancel_futures=True)


def _project(config: Config, store: RunStore, grades: pl.DataFrame, session: dict[str, Any]) -> pl.DataFrame:
    if not config.tracking.enabled:
        return pl.DataFrame(schema={"record_id": pl.String, "mlflow_run_id": pl.String})
    from src.tracking import project

    try:
        return project(config, store, grades, session)
    except StageError:
        raise
    except Exception as error:
        log.error("MLflow could not be written", exc_info=error)
        raise StageError(
            f"runs and grades are stored, but MLflow could not be written ({type(error).__name__}: {error}): "
            f"run `python -m src.sync universe={config.dataset}` once the cause is gone"
        ) from error
