"""Write finished buckets into MLflow while training goes on: one thread, in order.

The files under ``data/runs`` are the source. If projecting them fails, a later ``python -m src.sync`` catches up.
"""

from __future__ import annotations

import logging
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import polars as pl

from src.core.errors import StageError
from src.runtime.redaction import masked
from src.tracking.errors import StoreUnreachable
from src.tracking.gate_mark import tightest
from src.tracking.location import store_location
from src.tracking.settings import TrackedDataset

if TYPE_CHECKING:
    from src.evaluation.grade import Thresholds
    from src.training.run_store import RunStore

log = logging.getLogger(__name__)


class Recorder:
    """Projects the grades of closed buckets into MLflow in the background.

    A store that becomes unreachable stops no training: what it lacks is tried once more at the end.

    Parameters
    ----------
    settings : TrackedDataset
        If tracking is off, nothing is written and MLflow is not imported.

    Raises
    ------
    TrackingError
        If the store could not be written: its kind has no gate, a library is missing, the server has no gate, or
        another command writes the dataset.
    """

    def __init__(self, settings: TrackedDataset) -> None:
        self.settings = settings
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="mlflow")
        self._has_failed = False
        if settings.tracking.enabled and store_location(settings.tracking).database is None:
            _check_store(settings)

    def put(
        self, store: RunStore, grades: pl.DataFrame, session: dict[str, Any], bucket: int | None = None
    ) -> Future[pl.DataFrame]:
        """Queue a bucket's grades; after a failure the rest waits for `close`.

        Parameters
        ----------
        store : RunStore
        grades : DataFrame
            Rows of grades.
        session : dict
            See `src.tracking.projection.project`.
        bucket : int, optional
            Bucket of all the grades.

        Returns
        -------
        Future of DataFrame
            record_id, mlflow_run_id; empty after a failure.
        """
        queued = self._thread.submit(self._write, store, grades, session, bucket)
        queued.add_done_callback(_warn_of_failure)
        return queued

    def close(self, store: RunStore, grades: pl.DataFrame, session: dict[str, Any]) -> pl.DataFrame:
        """Wait for the queue, then bring MLflow up to date with all grades and the session's own figures.

        Parameters
        ----------
        store : RunStore
        grades : DataFrame
            Rows of grades of the whole session.
        session : dict
            See `src.tracking.projection.project`.

        Returns
        -------
        DataFrame
            record_id, mlflow_run_id.

        Raises
        ------
        StageError
            If MLflow can't be written; runs and grades are stored nevertheless.
        """
        self._thread.shutdown()
        return _project(self.settings, store, grades, session, whole=True)

    def demanded(self) -> Thresholds:
        """Thresholds that the registry will demand when the session is written.

        Returns
        -------
        Thresholds
            The tighter ones of the registry and the configuration; the configuration's if the registry can't be read.
        """
        own = self.settings.thresholds
        if not self.settings.tracking.enabled:
            return own
        from src.tracking.connection import demanded_thresholds

        try:
            stored = demanded_thresholds(store_location(self.settings.tracking))
        except StageError:  # `close` reports it
            return own
        return own if stored is None else tightest(own, stored)

    def abandon(self) -> None:
        """Drop what is queued; a later session or sync writes it."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    def _write(
        self, store: RunStore, grades: pl.DataFrame, session: dict[str, Any], bucket: int | None
    ) -> pl.DataFrame:
        """Project one bucket. After a failure nothing more is tried, because each try may wait for half a minute."""
        if self._has_failed:
            return _no_ids()
        try:
            return _project(self.settings, store, grades, session, bucket=bucket)
        except BaseException:
            self._has_failed = True
            raise


def _check_store(settings: TrackedDataset) -> None:
    """Open a server or PostgreSQL before any work; one that does not answer may do so later."""
    from src.tracking.store import open_store

    try:
        with open_store(settings, writes=True):
            pass
    except StoreUnreachable as error:
        log.warning("%s; training continues without MLflow", error)


def _warn_of_failure(done: Future[pl.DataFrame]) -> None:
    if not done.cancelled() and (error := done.exception()):
        log.warning("%s; training continues", error)


def _project(
    settings: TrackedDataset,
    store: RunStore,
    grades: pl.DataFrame,
    session: dict[str, Any],
    *,
    whole: bool = False,
    bucket: int | None = None,
) -> pl.DataFrame:
    if not settings.tracking.enabled:
        return _no_ids()
    from src.tracking import projection

    try:
        return projection.project(settings, store, grades, session, whole=whole, bucket=bucket)
    except StoreUnreachable as error:
        raise StoreUnreachable(f"{error}; runs and grades are stored: then run `{settings.sync_command}`") from error
    except StageError:
        raise
    except Exception as error:
        log.error("MLflow could not be written", exc_info=error)
        cause = masked(f"{type(error).__name__}: {error}"[:500])
        raise StageError(
            f"runs and grades are stored, but MLflow could not be written ({cause}): run `{settings.sync_command}` "
            "once the cause is removed"
        ) from error


def _no_ids() -> pl.DataFrame:
    return pl.DataFrame(schema={"record_id": pl.String, "mlflow_run_id": pl.String})
