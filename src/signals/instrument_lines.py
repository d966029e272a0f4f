"""Lines of the champions of single instruments."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from src.core.errors import StageError
from src.core.instruments import Key
from src.market.bars import BarStore, bucket
from src.signals.bucket_lines import BucketLines, Shared
from src.signals.candidates import Candidate
from src.signals.days import BookDays
from src.signals.graded_settings import RecordedSettings
from src.signals.line_columns import LineColumns
from src.signals.model_threads import model_threads
from src.signals.refusals import RefusedLine

if TYPE_CHECKING:
    import polars as pl

    from src.signals.dataset import SignalDataset
    from src.tracking.crowned_versions import CrownedVersion


def instrument_lines(
    champions: Sequence[CrownedVersion], dataset: SignalDataset, days: BookDays, *, explain: bool = True
) -> pl.DataFrame:
    """Decide for each champion on each day.

    Parameters
    ----------
    champions : sequence of CrownedVersion
        Of scope=instrument.
    dataset : SignalDataset
    days : BookDays
    explain : bool
        Whether the features that moved each score are found.

    Returns
    -------
    DataFrame
        Columns of `src.signals.tables.LINES`, sorted by book_date and name: one row a champion and book, refused
        lines included. Books whose decision would be on a bar that the model was trained on have no line.
    """
    lines, store = LineColumns(), BarStore(dataset.paths.bars)
    if champions and store.exists():
        settings = RecordedSettings(dataset, champions)
        candidates = _candidates(champions, settings, dataset)
        with model_threads(each.settings.family for each in candidates if each.settings) as threads:
            shared = Shared.of(dataset, store, _graded_days(champions, store, days), threads, explain=explain)
            if shared.books.size:
                _add(lines, candidates, shared)
    return lines.frame().sort("book_date", "name", maintain_order=True)


def _add(lines: LineColumns, candidates: list[Candidate], shared: Shared) -> None:
    """Add the lines of all candidates, a bucket at a time."""
    by_bucket: dict[int, list[Candidate]] = defaultdict(list)
    for each in candidates:
        by_bucket[bucket(*each.key, shared.store.manifest.buckets)].append(each)
    for number, members in sorted(by_bucket.items()):
        BucketLines(number, shared).add(members, lines)


def _candidates(
    champions: Sequence[CrownedVersion], settings: RecordedSettings, dataset: SignalDataset
) -> list[Candidate]:
    """Champions with the settings that they were graded by, or with the reason against them."""
    found = []
    for version in champions:
        chosen, reason = None, "; ".join(version.objections) or None
        try:
            chosen = settings.of(version)
        except (RefusedLine, StageError) as error:
            reason = reason or str(error)
        run = settings.runs.get(version.record_id, version.grade)
        key = (run["asset_class"], run["symbol"]) if run else _named(version.name, dataset.interval)
        found.append(Candidate(version, key, chosen, settings.until(version), reason))
    return found


def _named(name: str, interval: str) -> Key:
    """Instrument that a registered model of which nothing else is known is named after."""
    asset_class, _, symbol = name.partition(".")
    return asset_class, symbol if interval == "1d" else symbol.removesuffix(f"-{interval}")


def _graded_days(champions: Sequence[CrownedVersion], store: BarStore, days: BookDays) -> BookDays:
    """Days that any champion may have lines of: those after its grade, and the last that there are bars of."""
    graded = [each.grade.get("last_oos") for each in champions]
    known = [day for day in graded if isinstance(day, dt.date)]
    latest = store.instruments()["last"].max()
    last = min(days.last, latest) if isinstance(latest, dt.date) else days.last
    return BookDays(max(days.first, min(known, default=last)), last)
