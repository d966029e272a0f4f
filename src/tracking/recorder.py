"""Writes finished buckets into MLflow beside the training: one thread, in order, never in the way of the work.

What is stored under ``data/runs`` is the truth: a projection that fails costs a later ``python -m src.sync``.
"""

from __future__ import annotations

import logging
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import polars as pl

from src.config.schema import Config
from src.core.errors import StageError
from src.runtime.redaction import masked
from src.tracking import location
from src.tracking.location import sync_command

if TYPE_CHECKING:
    from src.training.run_store import RunStore

log = logging.getLogger(__name__)


class Recorder:
    """Projects the grades of closed buckets into MLflow in the background.

    A store that goes away meanwhile stops no training: what it lacks is tried once more at the end.

    Parameters
    ----------
    config : Config
        With ``tracking.enabled`` false nothing is written and nothing imported.

    Raises
    ------
    TrackingError
        Where the store could not be written: of a kind that has no gate, a library missing, a server without it,
        another command that writes the dataset.
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="mlflow")
        self._has_failed = False
        if config.tracking.enabled and location.home(config.tracking).database is None:
            _require_gate(config)

    def put(self, store: RunStore, grades: pl.DataFrame, session: dict[str, Any]) -> Future[pl.DataFrame]:
        """Queue a bucket's grades; once MLflow could not be written, the rest waits for the end."""
        queued = self._thread.submit(self._write, store, grades, session)
        queued.add_done_callback(_tell)
        return queued

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
        self._thread.shutdown()
        return _project(self.config, store, grades, session)

    def _write(self, store: RunStore, grades: pl.DataFrame, session: dict[str, Any]) -> pl.DataFrame:
        """Project in turn; what was queued behind a failure is not tried, as each try may wait for half a minute."""
        if self._has_failed:
            return _nothing()
        try:
            return _project(self.config, store, grades, session)
        except BaseException:
            self._has_failed = True
            raise

    def abandon(self) -> None:
        """Drop what is queued; a later session or sync writes it."""
        self._thread.shutdown(wait=True, cancel_futures=True)


def _require_gate(config: Config) -> None:
    """Look at a store that is not a file of ours before any work; one that does not answer may do so later."""
    from src.tracking.store import open_store

    try:
        with open_store(config, writes=True):
            pass
    except location.Unreachable as error:
        log.warning("%s; training goes on without MLflow meanwhile", error)


def _tell(done: Future[pl.DataFrame]) -> None:
    if not done.cancelled() and (error := done.exception()):
        log.warning("%s; training goes on", error)


def _project(config: Config, store: RunStore, grades: pl.DataFrame, session: dict[str, Any]) -> pl.DataFrame:
    if not config.tracking.enabled:
        return _nothing()
    from src.tracking.store import project

    try:
        return project(config, store, grades, session)
    except location.Unreachable as error:
        raise location.Unreachable(f"{error}; runs and grades are stored: then run `{sync_command(config)}`") from error
    except StageError:
        raise
    except Exception as error:
        log.error("MLflow could not be written", exc_info=error)
        cause = masked(f"{type(error).__name__}: {error}"[:500])
        raise StageError(
            f"runs and grades are stored, but MLflow could not be written ({cause}): run `{sync_command(config)}` "
            "once the cause is gone"
        ) from error


def _nothing() -> pl.DataFrame:
    return pl.DataFrame(schema={"record_id": pl.String, "mlflow_run_id": pl.String})
