"""One dataset with nasty reasons: doctor, status, data, report, metrics and the closing line say the same counts."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path

import polars as pl
import pytest

from src.config.paths import DatasetPaths
from src.config.schema import Config, DataConfig, UniverseConfig
from src.hydration.quality import quality, sentence
from src.inspection import dataset_counts, dossier_view, status_view
from src.inspection.instrument import dossier
from src.inspection.overview import overview
from src.market.bars import BarStore
from src.reporting.page import page, quality_page
from src.reporting.quality import quality_figures
from src.reporting.schemas import states_table
from src.storage.atomic import write_parquet
from tests.quality_case import NASTY, stored_dataset
from tests.reporting.synthetic import report_data

NOW = dt.datetime(2026, 11, 20, tzinfo=dt.UTC)
SAID = (
    "3 of 8 instruments used as they came, 1 repaired (7 of 1,000 bars, 0.7%), 1 with rows dropped, 1 quarantined,"
    " 1 failed, 1 skipped"
)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    made = Config(data=DataConfig(root=str(tmp_path / "data")), universe=UniverseConfig(name="nasty"))
    stored_dataset(made.paths.bars)
    return made


def test_all_say_the_same_counts(config: Config) -> None:
    paths = config.paths
    found = quality(BarStore(paths.bars))
    states = {"hydrate": states_table(BarStore(paths.bars).instruments(), "hydrate")}
    data = report_data(dataset="nasty", quality=found, states=states)
    seen = overview(paths, config.universe, config.source, NOW)
    assert sentence(found.counts()) == SAID
    assert SAID in dataset_counts.bars(config).message
    assert SAID in status_view.text(seen)
    assert SAID in quality_page(data)
    counted = {name: seen["quality"][name] for name in found.counts()}
    assert counted == {name: quality_figures(found)[name] for name in counted}
    hydrate = next(stage for stage in seen["stages"] if stage["stage"] == "hydrate")["all"]
    assert hydrate["done"] == counted["used"]
    assert all(hydrate[state] == counted[state] for state in ("quarantined", "failed", "skipped"))


def test_a_nasty_reason_is_one_reason_in_status_and_report(config: Config) -> None:
    found = quality(BarStore(config.paths.bars))
    seen = overview(config.paths, config.universe, config.source, NOW)
    reasons = next(stage for stage in seen["stages"] if stage["stage"] == "hydrate")["reasons"]
    assert {(r["state"], r["count"], r["reason"]) for r in reasons} == {
        ("failed", 1, NASTY), ("quarantined", 1, "x; y"), ("skipped", 1, "the source has no bars"),
    }  # fmt: skip
    states = {"hydrate": states_table(BarStore(config.paths.bars).instruments(), "hydrate")}
    html = page(report_data(dataset="nasty", quality=found, states=states))
    assert re.search(r"hydrate: 7 reasons", html)


def test_data_lists_the_findings_one_line_a_rule(config: Config) -> None:
    lines = list(dossier_view.lines(dossier(config.paths, ("stock", "FIXED"), 0)))
    start = next(k for k, line in enumerate(lines) if line.startswith("  findings"))
    assert [line.split(maxsplit=2)[:2] for line in lines[start + 1 : start + 3]] == [
        ["repaired", "no_open"],
        ["repaired", "repeat"],
    ]
    assert lines[start] == "  findings    2:" and "no trade" not in lines[start - 3]
    nasty = dossier(config.paths, ("stock", "A;B"), 0)
    assert [row["text"] for row in nasty["findings"]] == [NASTY]


def test_the_doctor_says_what_to_type_before_bars_and_for_older_ones(tmp_path: Path, config: Config) -> None:
    none = Config(data=DataConfig(root=str(tmp_path / "elsewhere")), universe=UniverseConfig(name="nasty"))
    assert dataset_counts.bars(none).message == f"none of nasty yet: {none.hydrate_command}"
    store = BarStore(config.paths.bars)
    store.record(0, "job", store.instruments(), "digest")
    assert config.hydrate_command in dataset_counts.bars(config).message


def test_the_doctor_counts_runs_as_the_grades_do(config: Config) -> None:
    assert dataset_counts.runs(config).message == "none of nasty yet"
    write_parquet(pl.DataFrame({"passed": [True, False, None]}), config.paths.grades)
    assert dataset_counts.runs(config).message == "nasty: 1 of 3 runs passed"
    assert isinstance(config.paths, DatasetPaths)
