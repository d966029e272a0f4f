"""What the report says of facts of research that features looked at: since when they count as known."""

from __future__ import annotations

import polars as pl

from src.config.paths import DatasetPaths
from src.documents.fact_store import FactStore
from src.documents.kept_lags import KeptLags
from src.documents.segments import sources
from src.features.catalog import declared, kinds_of

_GROUP = "research"


def research_sentence(paths: DatasetPaths, importance: pl.DataFrame) -> str:
    """Say how many features look at facts of research, and how much of these is history that was fetched later.

    Parameters
    ----------
    paths : DatasetPaths
    importance : DataFrame
        A row for each feature of the runs, as `src.reporting.loading.read_importance` gives it.

    Returns
    -------
    str
        Empty where no feature of the runs looks at such facts.
    """
    names = importance["feature"].to_list() if importance.height else []
    every = declared()
    used = [name for name in names if name in every and every[name].group == _GROUP]
    if not used:
        return ""
    store = FactStore(paths.facts)
    kinds = kinds_of(every[name] for name in used)
    marks = [store.read(b, kind)["backfilled"] for b in store.ledger.units() for kind in kinds]
    flags = pl.concat([pl.Series("backfilled", [], pl.Boolean), *marks])
    text = f"{len(used)} of {len(names)} features look at filings, texts or option chains"
    if not flags.len():
        return f"{text}; nothing of that kind is stored, so they are missing everywhere."
    share = float(flags.mean() or 0.0)  # type: ignore[arg-type]
    return (
        f"{text}. Of their {flags.len():,} facts, {share:.0%} are history that was fetched later: they count as known "
        f"at the publisher's time plus a lag ({_lags(paths)}), which is an assumption; the others since they were "
        "first seen. Companies that left the market before their filings were fetched may be missing among them."
    )


def _lags(paths: DatasetPaths) -> str:
    """Lags by which the stored documents were dated, by source."""
    kept = KeptLags(paths.documents, {})
    hours = {source: kept.hours(source).total_seconds() / 3600 for source in sources(paths.documents)}
    shown = ", ".join(f"{source} {value:g}" for source, value in hours.items())
    return f"{shown} hours" if shown else "whose hours lie with the documents, on another machine"
