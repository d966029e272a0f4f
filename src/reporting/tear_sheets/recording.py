"""Log tear sheets and the report to MLflow, where they are found beside the runs that they show."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from src.config.commands import command
from src.core.hashing import json_digest
from src.reporting.tear_sheets.data_files import data_files
from src.reporting.tear_sheets.plan import PlannedSheet
from src.reporting.tear_sheets.reading import read_sheets
from src.reporting.tear_sheets.sheet import TearSheet
from src.reporting.tear_sheets.writing import Written, standalone
from src.runtime.redaction import masked
from src.tracking.location import StoreLocation, store_location
from src.tracking.run_artifacts import Files, record_artifacts, session_run_ids

if TYPE_CHECKING:
    from src.config.paths import DatasetPaths
    from src.config.schema import TrackingConfig

log = logging.getLogger(__name__)
SHEET_FILE = "tear_sheet.html"
_BATCH = 16  # sheets that are read together
_TO_FILES = re.compile(r'<a [^>]*?href="(?!#|https?:)[^"]*"[^>]*>(.*?)</a>', re.DOTALL)
_OF_TABLES = re.compile(r'"link":"(?:sheet|bars_page)"')  # columns whose rows lead to files
_OF_SESSION = ("index.html", "quality.html", "metrics.json", "summary.svg")  # of the report


def record_sheets(paths: DatasetPaths, tracking: TrackingConfig, written: Written, session: str | None) -> int:
    """Log each sheet with its tables to its run, and the report to the run of its session.

    Parameters
    ----------
    paths : DatasetPaths
    tracking : TrackingConfig
    written : Written
        The sheets that are there, and those that are new.
    session : str, optional
        Key of the session that the report is of.

    Returns
    -------
    int
        Runs that were written; a run that carries the same files is left alone. A store that does not answer costs a
        warning.
    """
    if not tracking.enabled:
        return 0
    sheets = _Sheets(paths, written)
    files = {plan.mlflow_run_id: (plan.shown, partial(sheets.files, plan)) for plan in written.plans}
    wanted = {run_id: each for run_id, each in files.items() if run_id is not None}
    try:
        location = store_location(tracking)
        return record_artifacts(location, paths.dataset, wanted | _report_files(paths, location, session))
    except Exception as error:  # noqa: BLE001 - whatever a store or its client raises, the report is there
        again = command("report", stored=paths.dataset)
        log.warning(
            "the tear sheets are not in MLflow (%s): when the store answers, run `%s`", masked(str(error)), again
        )
        return 0


class _Sheets:
    """Computes sheets as they are asked for: those that are new some at a time, because their bars lie together."""

    def __init__(self, paths: DatasetPaths, written: Written) -> None:
        self._paths = paths
        self._ahead: dict[str, TearSheet] = {}
        new = [plan.record_id for plan in written.plans if plan.record_id in written.made]
        self._batch_of = {each: new[i - i % _BATCH : i - i % _BATCH + _BATCH] for i, each in enumerate(new)}

    def files(self, plan: PlannedSheet) -> Files:
        """Give the page and the tables of a sheet; nothing where it can't be computed any more."""
        key = plan.record_id
        if key not in self._ahead:
            batch = self._batch_of.get(key, [key])
            self._ahead = {sheet.record_id: sheet for sheet in read_sheets(self._paths, batch)}
        sheet = self._ahead.pop(key, None)
        if sheet is None:  # its bars changed since the page was written; `read_sheets` said so
            return {}
        tables = {f"data/{name}": content for name, content in data_files(sheet).items()}
        return {SHEET_FILE: standalone(sheet, plan.around).encode("utf-8"), **tables}


def _report_files(
    paths: DatasetPaths, location: StoreLocation, session: str | None
) -> dict[str, tuple[str, Callable[[], Files]]]:
    run_id = session_run_ids(location, paths.dataset).get(session) if session else None
    if run_id is None:
        return {}
    files = {path.name: _alone(path) for path in _existing(paths.reports)}
    digest = json_digest(sorted((name, hashlib.sha256(content).hexdigest()) for name, content in files.items()))
    return {run_id: (digest, lambda: files)}


def _alone(path: Path) -> bytes:
    """Content of a file of the report as it stands beside a run."""
    content = path.read_bytes()
    return unlinked(content.decode("utf-8")).encode("utf-8") if path.suffix == ".html" else content


def unlinked(page: str) -> str:
    """Give a page whose links to other files are plain text: in MLflow's frame they lead nowhere.

    Parameters
    ----------
    page : str
        HTML.

    Returns
    -------
    str
        Links inside the page stay.
    """
    return _TO_FILES.sub(r"<span>\1</span>", _OF_TABLES.sub('"link":""', page))


def _existing(folder: Path) -> list[Path]:
    return [path for name in _OF_SESSION if (path := folder / name).is_file()]
