"""What the report says of facts of research."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import polars as pl

from src.config.paths import DatasetPaths
from src.documents.fact_store import FactStore
from src.documents.facts import COVERAGE, FACTS, schema
from src.documents.kept_lags import KeptLags
from src.features.catalog import declared
from src.reporting.methodology import limits_in_full
from src.reporting.research_sentence import research_sentence
from tests.reporting.synthetic import report_data

KNOWN = dt.datetime(2024, 3, 1, 21, tzinfo=dt.UTC)
OF_RESEARCH = next(name for name, item in declared().items() if item.family == "insiders")
OF_BARS = next(name for name, item in declared().items() if item.group != "research")


def facts(*backfilled: bool) -> pl.DataFrame:
    row = {"asset_class": "stock", "symbol": "A", "known": KNOWN, "document": "edgar:1:0"}
    rows = [{**row, "backfilled": each, **dict.fromkeys(FACTS["insider_trades"], 1.0)} for each in backfilled]
    return pl.DataFrame(rows, schema=schema("insider_trades"))


def importance(*names: str) -> pl.DataFrame:
    return pl.DataFrame({"feature": list(names)})


def test_it_counts_history_that_was_fetched_later(tmp_path: Path) -> None:
    paths = DatasetPaths(tmp_path / "data", "quick")
    FactStore(paths.facts).write(0, {"insider_trades": facts(True, True, True, False)}, pl.DataFrame(schema=COVERAGE))
    shown = research_sentence(paths, importance(OF_BARS, OF_RESEARCH))
    assert shown.startswith(
        "1 of 2 features look at filings, texts or option chains. Of their 4 facts, 75% are history"
    )
    assert "on another machine" in shown
    for source, hours in (("edgar", 24.0), ("simulated", 0.0)):
        KeptLags(paths.documents, {source: hours}).keep(source)
    assert "(edgar 24, simulated 0 hours)" in research_sentence(paths, importance(OF_BARS, OF_RESEARCH))
    assert "75% are history that was fetched later" in limits_in_full(report_data(research=shown))


def test_without_such_features_it_says_nothing(tmp_path: Path) -> None:
    paths = DatasetPaths(tmp_path / "data", "quick")
    assert research_sentence(paths, importance(OF_BARS)) == ""
    assert research_sentence(paths, pl.DataFrame()) == ""
    FactStore(paths.facts).write(0, {"filings": pl.DataFrame(schema=schema("filings"))}, pl.DataFrame(schema=COVERAGE))
    assert "missing everywhere" in research_sentence(paths, importance(OF_RESEARCH))
