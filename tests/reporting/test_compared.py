"""Pairs of runs by quarter, against a loop with scikit-learn's AUC; sessions, passes gained and lost, settings."""

from __future__ import annotations

import datetime as dt
import os
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy.stats import ttest_1samp
from sklearn.metrics import roc_auc_score

from src.config.paths import DatasetPaths
from src.reporting.compared import DIFFERENCES, FEWEST, compared, differences, run_days
from src.reporting.compared_chart import difference_sentence, differences_chart
from src.reporting.sessions import GAINED, KEPT, LOST, read_sessions
from src.reporting.sessions_page import sessions_page
from src.reporting.sessions_section import compared_section
from src.storage import atomic
from src.training.run_store import RunStore
from tests.monitoring.monitor_case import SESSION as CASE_SESSION
from tests.monitoring.monitor_case import Watched
from tests.reporting.synthetic import grades, report_data

PAIRS, DAYS = 3, 361  # the last quarter has ten of them
FIRST = dt.date(2020, 1, 15)
THIS, LAST = "b" * 24, "a" * 24


def decided(seed: int = 2) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Pairs of runs, and their days: the other side lacks the first ones, and some labels count for neither."""
    rng = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    for pair in range(PAIRS):
        label = rng.integers(0, 2, DAYS).astype(float)
        label[rng.random(DAYS) < 0.1] = np.nan
        for side, first in (("base", 0), ("other", 30)):
            score = np.round(rng.random(DAYS) + 0.2 * (side == "other") * np.nan_to_num(label), 1)
            net = rng.normal(0.0, 1.0, DAYS)
            rows += [
                {"run": f"{side}{pair} s", "date": FIRST + dt.timedelta(days=k), "label": label[k], "score": score[k],
                 "net": net[k]}
                for k in range(first, DAYS)
            ]  # fmt: skip
    pairs = pl.DataFrame(
        {"kind": ["family"] * PAIRS, "base_name": ["one"] * PAIRS, "other_name": ["two"] * PAIRS,
         "asset_class": ["stock"] * PAIRS, "symbol": [f"S{k}" for k in range(PAIRS)],
         "base": [f"base{k}" for k in range(PAIRS)], "other": [f"other{k}" for k in range(PAIRS)],
         "base_by": ["s"] * PAIRS, "other_by": ["s"] * PAIRS}
    )  # fmt: skip
    return pairs, pl.DataFrame(rows)


def by_loop(days: pl.DataFrame, measure: str) -> list[float]:
    """Differences of the quarters, one by one."""
    gains = defaultdict(list)
    for pair in range(PAIRS):
        sides = [days.filter(run=f"{side}{pair} s").sort("date") for side in ("base", "other")]
        both = sides[0].join(sides[1], on="date", suffix="_other")
        quarter = both.with_columns(q=pl.col("date").dt.year() * 10 + pl.col("date").dt.quarter())
        for (q,), own in quarter.group_by("q"):
            if own.height < FEWEST:
                continue
            if measure == "net":
                gains[q].append(own["net_other"].mean() - own["net"].mean())
            else:
                known = own.filter(pl.col("label").is_finite())
                areas = [roc_auc_score(known["label"], known[name]) for name in ("score", "score_other")]
                gains[q].append(areas[1] - areas[0])
    return [float(np.mean(gains[q])) for q in sorted(gains)]


@pytest.mark.parametrize("measure", ["auc", "net"])
def test_a_difference_is_the_mean_over_quarters_of_the_mean_over_pairs(measure: str) -> None:
    pairs, days = decided()
    (row,) = [each for each in compared(pairs, days) if each["measure"] == measure]
    gains = by_loop(days, measure)
    interval = ttest_1samp(gains, 0.0).confidence_interval(0.95)
    assert (row["difference"], row["low"], row["high"]) == pytest.approx((np.mean(gains), interval.low, interval.high))
    assert (row["pairs"], row["instruments"], row["quarters"]) == (PAIRS, PAIRS, len(gains))
    assert row["other_mean"] - row["base_mean"] == pytest.approx(row["difference"])


def test_a_difference_is_said_in_plain_words_and_drawn_with_its_interval() -> None:
    row = {"kind": "family", "base": "one", "other": "<b>", "measure": "auc", "pairs": 3, "instruments": 3,
           "quarters": 9, "base_mean": 0.5, "other_mean": 0.51, "difference": 0.01, "low": -0.002,
           "high": 0.022}  # fmt: skip
    assert difference_sentence(row) == "<b> less one: AUC +0.0100 (95% \u22120.0020 to +0.0220), no difference shown"
    assert difference_sentence(row | {"low": 0.001}).endswith("higher")
    assert difference_sentence(row | {"high": -0.001}).endswith("lower")
    table = pl.DataFrame([row], schema=DIFFERENCES)
    chart = differences_chart("c", table, "auc")
    assert chart is not None and chart.tables["differences"]["clear"].to_list() == [False]
    assert differences_chart("c", table, "net") is None


def session(paths: DatasetPaths, key: str, table: pl.DataFrame, seed: int) -> pl.DataFrame:
    """Store the grades and the description of a session."""
    graded = table.with_columns(graded_by=pl.lit(key), strategy_key=pl.lit("s"))
    atomic.write_parquet(graded, paths.runs / f"b000-{key[:8]}.grades.parquet")
    config = f"seed: {seed}\nlabel: {{name: next_open}}\nengine: {{workers: {seed}}}\n"
    atomic.write_json({"name": f"session {seed}", "config_yaml": config}, paths.runs / f"session-{key[:8]}.json")
    return graded


@pytest.fixture
def both(tmp_path: Path) -> tuple[DatasetPaths, pl.DataFrame]:
    """Two sessions of the same runs, of which the last passed two and this one passes two, one of them the same."""
    paths = DatasetPaths(tmp_path, "demo")
    table = grades(4, families=("lightgbm",)).sort("symbol")
    before = table.with_columns(passed=pl.Series([True, True, False, False]))
    session(paths, LAST, before, 7)
    now = table.with_columns(passed=pl.Series([True, False, True, False]), record_id=pl.col("record_id") + "b")
    graded = session(paths, THIS, now, 8)
    os.utime(paths.runs / f"b000-{LAST[:8]}.grades.parquet", (1, 1))
    return paths, graded


def test_passes_gained_lost_and_kept_are_those_of_the_same_instrument_and_family(both: Any) -> None:
    paths, graded = both
    found = read_sessions(paths, graded)
    assert found is not None
    assert (found.this, found.last, found.same) == (THIS[:8], LAST[:8], 0)
    assert [found.count(change) for change in (GAINED, LOST, KEPT)] == [1, 1, 1]
    assert found.pairs["change"].to_list() == [GAINED, LOST, KEPT, ""]
    assert found.settings.rows() == [("seed", "7", "8")]
    assert found.sessions["session"].to_list() == [LAST[:8], THIS[:8]]


def test_runs_that_both_sessions_share_are_counted(both: Any) -> None:
    paths, graded = both
    shared = graded.with_columns(record_id=pl.col("record_id").str.strip_suffix("b"))
    found = read_sessions(paths, shared)
    assert found is not None and found.same == 4


def test_the_page_says_what_changed_and_how_to_make_a_second_session(both: Any) -> None:
    paths, graded = both
    found = read_sessions(paths, graded.with_columns(symbol=pl.lit("A<b>") + pl.col("symbol")))
    assert found is not None and found.last == "" and found.pairs.is_empty()
    alone = compared_section(report_data(sessions=found, train_commands={"second": "python -m src.train seed=9"}))
    assert "No other session graded these runs" in alone and "<code>python -m src.train seed=9</code>" in alone
    found = read_sessions(paths, graded)
    text = sessions_page(report_data(sessions=found))
    assert "1 pass gained, 1 lost, 1 kept" in text and "session 7" in text
    assert compared_section(report_data(sessions=None)) == ""


def test_decisions_of_one_day_are_no_one_decision(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two decisions of a day must not be joined crosswise."""
    stamps = np.array(["2020-01-02T10", "2020-01-02T11"], dtype="datetime64[us]")
    decisions = SimpleNamespace(stamps=stamps, bars_per_year=1638.0)
    run = SimpleNamespace(
        decisions=decisions, positions=np.arange(2), outcome=np.ones(2), probability=np.ones(2), position=np.ones(2),
        conditions=None,
    )  # fmt: skip
    monkeypatch.setattr("src.reporting.compared.net_returns", lambda *_: np.array([0.1, 0.2]))
    assert run_days(run)["date"].n_unique() == 2  # type: ignore[arg-type]


def test_runs_are_read_as_they_were_graded_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(tmp_path).with_bars().with_runs()
    current = RunStore(watched.paths.runs).grades(CASE_SESSION).with_columns(strategy_key=pl.lit("one"))
    last = current.with_columns(strategy_key=pl.lit("two"))
    found = differences(watched.paths, current, last)
    assert found["measure"].to_list() == ["auc", "net"] and found["pairs"].to_list() == [3, 3]
    assert found.select("difference", "low", "high").rows() == [(0.0, 0.0, 0.0)] * 2
    quarters = defaultdict(list)
    for key in watched.keys:
        days = watched.decisions(key)
        own = RunStore(watched.paths.runs).oos([watched.record(key)]).filter(pl.col("label").is_finite())
        stamps = dict(
            zip(days.dates.astype("datetime64[D]").tolist(), days.stamps.astype("datetime64[D]").tolist(), strict=True)
        )
        for (quarter,), rows in own.with_columns(
            q=pl.col("date").replace_strict(stamps, return_dtype=pl.Date).dt.truncate("1q")
        ).group_by("q"):
            if rows.height >= FEWEST:
                quarters[quarter].append(roc_auc_score(rows["label"], rows["probability"]))
    assert found["base_mean"][0] == pytest.approx(np.mean([np.mean(each) for each in quarters.values()]))
    monkeypatch.setattr("src.reporting.compared.GradedRuns", None)
    assert differences(watched.paths, current, last).equals(found)
