"""Which sheets a dataset has, where each lies, and what it is made from."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from src.core.hashing import json_digest
from src.core.instruments import POOLED
from src.market.bars import BarStore, bucket
from src.reporting.book_data import BOOK_PAGE
from src.reporting.quality import QUALITY_PAGE
from src.reporting.quality_instruments import anchor
from src.reporting.tear_sheets.reading import runs_with_sheets
from src.reporting.tear_sheets.sheet_page import HERE, Link, Surroundings

if TYPE_CHECKING:
    from src.config.paths import DatasetPaths

FOLDER = "sheets"
_SOURCES = ("page.css", "page.js", "charts.js", "vega_theme.json", "vega.py", "formatting.py", "tables.py")


@dataclass(frozen=True)
class PlannedSheet:
    """One sheet.

    Attributes
    ----------
    record_id : str
    name : str
        Of its file.
    digest : str
        Of everything that the file is made from.
    around : Surroundings
    mlflow_run_id : str, optional
    shown : str
        Digest of what it shows of its run.
    """

    record_id: str
    name: str
    digest: str
    around: Surroundings
    mlflow_run_id: str | None = None
    shown: str = ""


@dataclass(frozen=True)
class SheetSettings:
    """What shapes all sheets of a dataset, beside their runs.

    Attributes
    ----------
    thresholds : mapping of str to float
        By metric.
    run_pages : mapping of str to str
        Addresses of runs in MLflow by ``record_id``.
    simulated : bool
        Whether the bars are simulated.
    """

    thresholds: Mapping[str, float] = field(default_factory=dict)
    run_pages: Mapping[str, str] = field(default_factory=dict)
    simulated: bool = False


def sheets_folder(paths: DatasetPaths) -> Path:
    """Folder of the sheets, beside the report's page.

    Parameters
    ----------
    paths : DatasetPaths
    """
    return paths.reports / FOLDER


def sheet_links(plans: Sequence[PlannedSheet]) -> dict[str, str]:
    """Give the address of each run's sheet relative to the report's page, written or still to be.

    Parameters
    ----------
    plans : sequence of PlannedSheet

    Returns
    -------
    dict of str to str
        By ``record_id``.
    """
    return {plan.record_id: f"{FOLDER}/{quote(plan.name)}" for plan in plans}


def planned_sheets(paths: DatasetPaths, settings: SheetSettings) -> list[PlannedSheet]:
    """Give the sheets that a dataset should have.

    Parameters
    ----------
    paths : DatasetPaths
    settings : SheetSettings

    Returns
    -------
    list of PlannedSheet
        Those whose bars lie together one after the other.
    """
    runs, store = runs_with_sheets(paths), BarStore(paths.bars)
    buckets = store.manifest.buckets if store.exists() else 1
    of_instrument: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for row in runs.iter_rows(named=True):
        of_instrument[row["asset_class"], row["symbol"]].append(row)
    keys = sorted(of_instrument, key=lambda key: (bucket(key[0], key[1], buckets), key))
    return [_planned(row, of_instrument[key], settings, paths.dataset) for key in keys for row in of_instrument[key]]


def _planned(
    row: Mapping[str, Any], siblings: Sequence[Mapping[str, Any]], settings: SheetSettings, dataset: str
) -> PlannedSheet:
    page = settings.run_pages.get(row["record_id"], "")
    pages, tracked = _pages(row, siblings, dataset), ((page, "the run"),) if page else ()
    server = page.partition("/#/")[0] if row["champion"] else ""
    around = Surroundings(dataset, settings.thresholds, pages, tracked, server, settings.simulated)
    alone = [row["digest"], sorted(settings.thresholds.items()), made_with(), settings.simulated]
    return PlannedSheet(
        row["record_id"], row["sheet"], json_digest([*alone, pages, tracked, server]), around, row["mlflow_run_id"],
        json_digest(alone),
    )  # fmt: skip


def _pages(row: Mapping[str, Any], siblings: Sequence[Mapping[str, Any]], dataset: str) -> tuple[Link, ...]:
    pages = [("../index.html", f"All runs of {dataset}")]
    if row["asset_class"] != POOLED:
        pages.append((f"../{QUALITY_PAGE}#{quote(anchor(row['asset_class'], row['symbol']))}", "Quality of its bars"))
    if row["champion"]:
        pages.append((f"../{BOOK_PAGE}", "The book"))
    families = [other["family"] for other in siblings]
    for other in siblings:
        if other["record_id"] != row["record_id"]:
            several = families.count(other["family"]) > 1
            pages.append(
                (quote(other["sheet"]), f"By {other['family']}{' ' + other['record_id'][:8] if several else ''}")
            )
    return tuple(pages)


@cache
def made_with() -> str:
    """Digest of the code, templates and styles that make a page of a sheet."""
    reporting = HERE.parent
    files = [*sorted(HERE.iterdir()), *sorted((reporting / "templates").glob("*.jinja")),
             *(reporting / name for name in _SOURCES)]  # fmt: skip
    texts = [path.read_text(encoding="utf-8") for path in files if path.is_file()]
    return json_digest([texts, version("vl-convert-python")])
