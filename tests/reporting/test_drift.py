"""Drift of features between training and test: the index against a loop, its null on data with and without drift."""

from __future__ import annotations

import datetime as dt
import math
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from src.features.store import FeatureStore, Filled
from src.market.bars import BarStore
from src.monitoring.psi import CELLS, Cuts
from src.reporting.drift import DRAWS, DRIFT, LEAST_TRAIN, Windows, blocks, measured, read_drift, summarised, windows
from src.reporting.drift_section import drift_chart, drift_section, drift_sentence
from tests.features import stored_case
from tests.monitoring.monitor_case import Watched
from tests.reporting.synthetic import drift, report_data

NAMES = ("moves", "rests")


def folds(shift: float, seed: int = 5, slow: float = 0.9) -> list[tuple[str, list[Windows]]]:
    """Four instruments of two slow features, of which the first moves in the tests."""
    out = []
    for number in range(4):
        rng = np.random.default_rng([seed, number])
        noise = rng.normal(size=(2400, 2))
        rows = np.zeros_like(noise)
        for k in range(1, len(rows)):
            rows[k] = slow * rows[k - 1] + noise[k]
        rows = (rows / rows.std(axis=0)).astype(np.float32)
        own: list[Windows] = []
        for fold, start in enumerate((1200, 1600, 2000)):
            test = rows[start : start + 400].copy()
            test[:, 0] += shift
            own.append((fold, NAMES, rows[:start], test))
        out.append((f"stock.S{number}", own))
    return out


def found(shift: float) -> pl.DataFrame:
    rows = [row for each in folds(shift) for row in measured(each, seed=7)]
    return summarised(pl.DataFrame(rows))


def psi_by_loop(train: np.ndarray, test: np.ndarray) -> float:
    """Sum over the cells of one feature, a value at a time."""
    cuts = Cuts.of(train[:, None])
    held = [[0] * CELLS, [0] * CELLS]
    for side, values in enumerate((train, test)):
        for value in values:
            inner = cuts.inner[0]
            cell = sum(1 for cut in inner if value > cut)
            if value < cuts.low[0]:
                cell = CELLS - 2
            elif value > cuts.high[0]:
                cell = CELLS - 1
            held[side][cell] += 1
    q, p = ([(n + 1 / CELLS) / (sum(side) + 1) for n in side] for side in held)
    return sum((a - b) * math.log(a / b) for a, b in zip(p, q, strict=True))


def test_the_index_is_that_of_a_loop_over_values() -> None:
    instrument, own = folds(0.5)[0]
    rows = list(measured((instrument, own[:1]), seed=7))
    _, _, train, test = own[0]
    assert [row["psi"] for row in rows] == pytest.approx([psi_by_loop(train[:, j], test[:, j]) for j in range(2)])
    assert all(len(row["usual"]) == DRAWS + 3 for row in rows)  # type: ignore[arg-type]


def test_a_feature_that_moves_is_beyond_its_limit_and_one_that_rests_is_not() -> None:
    moved = {row["feature"]: row for row in found(1.5).iter_rows(named=True)}
    assert moved["moves"]["above"] == 3 and moved["moves"]["psi"] > moved["moves"]["limit"]
    assert moved["rests"]["psi"] < moved["rests"]["limit"]
    assert found(1.5)["feature"].to_list() == ["moves", "rests"]
    assert found(0.0)["above"].sum() <= 1


def test_blocks_of_the_training_window_are_compared_with_the_rest_of_it() -> None:
    cells = np.zeros((LEAST_TRAIN + 100, 1), dtype=np.uint8)
    cells[-100:] = 3
    apart = blocks(cells, 100)
    assert apart.shape == (3, 1) and apart[0, 0] > 5.0 > apart[1, 0] > 0.0
    assert blocks(cells[:-1], 100).shape == (0, 1)


def test_days_before_every_feature_is_known_are_no_training() -> None:
    days = [dt.date(2020, 1, 1) + dt.timedelta(days=k) for k in range(500)]
    table = pl.DataFrame(
        {"date": days, "a": [None] * 30 + [1.0] * 470, "b": [float("nan")] * 40 + [2.0] * 460, "c": [None] * 500}
    )
    run = {"oos_date": [dt.datetime(2020, 1, 1) + dt.timedelta(days=k) for k in range(400, 500)], "oos_fold": [0] * 100}
    ((fold, _, train, test),) = windows(table.with_columns(pl.col("c").cast(pl.Float64)), ("a", "b", "c"), run)
    assert (fold, train.shape, test.shape) == (0, (360, 3), (100, 3))
    run["oos_date"], run["oos_fold"] = run["oos_date"][:50], [0] * 50
    assert list(windows(table.with_columns(pl.col("c").cast(pl.Float64)), ("a", "b", "c"), run)) == []


def test_the_section_says_how_much_drift_there_is_without_any() -> None:
    sentence = drift_sentence(drift())
    assert "Of 2 features, 37.5% of the test windows lie beyond the limit that 5% reach without drift." in sentence
    assert "would say 25.0%, and 0.0% without drift" in sentence and "8 instruments" in sentence
    chart = drift_chart(drift())
    assert chart.tables["drift"]["beyond"].to_list() == [True, False]
    assert drift_section(report_data(drift=pl.DataFrame(schema=DRIFT))) == ""


def test_folds_of_stored_runs_are_measured_on_stored_features_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("src.reporting.drift.LEAST_TRAIN", 50)
    case = Watched(tmp_path).with_bars().with_runs()
    store, bars = FeatureStore(case.paths.features), BarStore(case.paths.bars)
    rows = bars.read_bucket(0).select("asset_class", "symbol", "date")
    later = rows.select(pl.int_range(pl.len()).over("symbol") >= 100).to_series().to_numpy()
    rng = np.random.default_rng(5)
    values = {name: rng.standard_normal(rows.height) for name in ("momentum", "range")}
    values["momentum"] += 2.0 * later
    stored_case.write(store, 0, rows.with_columns(**values))
    store.record(0, bars, Filled(rows.height, {}), "", dict.fromkeys(values, "code"))
    grades = pl.read_parquet(case.paths.grades)
    found = {row["feature"]: row for row in read_drift(case.paths, grades, 7).iter_rows(named=True)}
    assert found["momentum"]["above"] == 1 and found["momentum"]["instruments"] == 3
    assert found["range"]["psi"] < found["momentum"]["psi"] / 5
    monkeypatch.setattr("src.reporting.drift.RunStore", None)
    assert read_drift(case.paths, grades, 7).height == 2
    assert read_drift(case.paths, grades.head(0), 7).is_empty()
