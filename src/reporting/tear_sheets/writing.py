"""Write the sheets of a dataset: those whose inputs changed alone."""

from __future__ import annotations

import dataclasses
import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from src.config.schema import EngineConfig
from src.core.failure import Failure
from src.engine import dispatch
from src.engine.cores import worker_count
from src.reporting.tear_sheets import sheet_scripts
from src.reporting.tear_sheets.plan import PlannedSheet, made_with, sheets_folder
from src.reporting.tear_sheets.reading import read_sheets
from src.reporting.tear_sheets.sheet import TearSheet
from src.reporting.tear_sheets.sheet_page import Surroundings, sheet_page
from src.runtime.progress import Progress
from src.storage import atomic

if TYPE_CHECKING:
    from src.config.paths import DatasetPaths

log = logging.getLogger(__name__)
IN_PROCESS = 24  # sheets that this process makes itself: starting workers takes as long
_BATCH = 16  # sheets of one item of work
_DIGEST = re.compile(r'<meta name="digest" content="([^"]*)">')
_HEAD = 4096  # bytes of a page in which its digest stands


@dataclass(frozen=True)
class Written:
    """What `write_sheets` did.

    Attributes
    ----------
    plans : tuple of PlannedSheet
        Sheets that are there now.
    made : frozenset of str
        Record ids of those that this command wrote.
    missing : tuple of str
        Record ids of runs whose sheet can't be made.
    """

    plans: tuple[PlannedSheet, ...] = ()
    made: frozenset[str] = frozenset()
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class SheetBatch:
    """Sheets that are written one after the other."""

    paths: DatasetPaths
    plans: tuple[PlannedSheet, ...]


class _Heard(logging.Handler):
    """Keeps the warnings of a worker process, which has no log of its own."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


def write_sheets(paths: DatasetPaths, plans: Sequence[PlannedSheet], engine: EngineConfig | None = None) -> Written:
    """Write ``reports/<dataset>/sheets/*.html`` and remove those of runs that have none any more.

    Parameters
    ----------
    paths : DatasetPaths
    plans : sequence of PlannedSheet
        All that the dataset has, see `src.reporting.tear_sheets.plan.planned_sheets`.
    engine : EngineConfig, optional
        How many worker processes make many sheets; one for each core by default.

    Returns
    -------
    Written
        A sheet that can't be made costs itself alone, with a warning.
    """
    folder = sheets_folder(paths)
    folder.mkdir(parents=True, exist_ok=True)
    atomic.remove_temporaries(folder)
    _remove_stale(folder, {plan.name for plan in plans})
    if plans:
        _write_script(folder / sheet_scripts.SCRIPT_FILE)
    due = [plan for plan in plans if _stored_digest(folder / plan.name) != plan.digest]
    with Progress("report", len(due), "tear sheet") as progress:
        for batch, warnings in _outcomes(paths, due, engine or EngineConfig()):
            for warning in warnings:
                log.warning("%s", warning)
            for plan in batch.plans:
                if _stored_digest(folder / plan.name) != plan.digest:  # a page of former data, or none
                    atomic.remove(folder / plan.name)
            progress.advance(len(batch.plans))
    if not any(folder.glob("*.html")):
        atomic.remove(folder / sheet_scripts.SCRIPT_FILE)
    there = tuple(plan for plan in plans if (folder / plan.name).is_file())
    missing = tuple(plan.record_id for plan in plans if plan not in there)
    return Written(there, frozenset(plan.record_id for plan in due if plan in there), missing)


def _outcomes(
    paths: DatasetPaths, due: Sequence[PlannedSheet], engine: EngineConfig
) -> Iterator[tuple[SheetBatch, list[str]]]:
    """Batches that are done, with their warnings."""
    batches = [SheetBatch(paths, tuple(due[start : start + _BATCH])) for start in range(0, len(due), _BATCH)]
    if len(due) < IN_PROCESS or worker_count(engine) == 1:
        for batch in batches:
            write_batch(batch)
            yield batch, []
        return
    local = dataclasses.replace(engine, kind="local", batch_size=2 * worker_count(engine))
    for outcome in dispatch.run(heard_batch, batches, local):
        result = outcome.result
        failed = f"{len(outcome.item.plans)} tear sheets can't be written"
        yield outcome.item, [f"{failed}: {result.reason}"] if isinstance(result, Failure) else result


def heard_batch(batch: SheetBatch) -> list[str]:
    """Write sheets in a worker process and return its warnings.

    Parameters
    ----------
    batch : SheetBatch

    Returns
    -------
    list of str
    """
    heard = _Heard()
    logger = logging.getLogger("src")
    logger.addHandler(heard)
    try:
        write_batch(batch)
    finally:
        logger.removeHandler(heard)
    return heard.messages


def write_batch(batch: SheetBatch) -> None:
    """Write some sheets; where one can't be made, a warning says so and the others are written.

    Parameters
    ----------
    batch : SheetBatch
    """
    folder, plans = sheets_folder(batch.paths), {plan.record_id: plan for plan in batch.plans}
    try:
        for sheet in read_sheets(batch.paths, list(plans)):
            plan = plans[sheet.record_id]
            page = sheet_page(sheet, plan.around, sheet_scripts.beside(), plan.digest)
            atomic.write_text(page, folder / plan.name, durable=False)
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever one sheet raises costs that sheet alone
        if len(plans) > 1:
            for plan in batch.plans:
                write_batch(SheetBatch(batch.paths, (plan,)))
            return
        log.warning("the tear sheet %s can't be made (%s: %s)", batch.plans[0].name, type(error).__name__, error)


def standalone(sheet: TearSheet, around: Surroundings | None = None) -> str:
    """Give a sheet as one HTML file with everything in it, as MLflow shows it among a run's artifacts.

    Parameters
    ----------
    sheet : TearSheet
    around : Surroundings, optional
        Without its links, which lead nowhere from there.

    Returns
    -------
    str
        HTML.
    """
    kept = Surroundings(around.dataset, around.thresholds, simulated=around.simulated) if around else Surroundings()
    return sheet_page(sheet, kept, sheet_scripts.inside())


def _remove_stale(folder: Path, names: set[str]) -> None:
    for path in sorted(folder.glob("*.html")):
        if path.name not in names:
            atomic.remove(path)


def _stored_digest(page: Path) -> str | None:
    """Digest in the head of a page; None where there is no page."""
    if not page.is_file():
        return None
    with page.open("rb") as stream:
        found = _DIGEST.search(stream.read(_HEAD).decode("utf-8", "replace"))
    return found[1] if found else None


def _write_script(path: Path) -> None:
    if not sheet_scripts.is_marked(path, made_with()):
        atomic.write_text(sheet_scripts.marked_script(made_with()), path)
