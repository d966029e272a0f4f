"""What the book's own record is made of, where a champion is one of a cross-section."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from src.config.paths import DatasetPaths
from src.config.schema import BookConfig, GradeConfig
from src.market.bars import SCHEMA
from src.market.calendar import sessions
from src.signals.own_inputs import OwnInputs, own_inputs, with_bars
from src.signals.own_record import own_record
from src.storage import atomic
from src.tracking.crowned_versions import CrownedVersion
from tests.signals.netting_case import stored_bars

DAYS = sessions("stock", "2024-01-02", "2024-02-15")
WIDE = BookConfig(max_weight=1.0, max_class_weight={"stock": 9.0}, max_gross=20.0, max_turnover=40.0)
GRADE = {"asset_class": "pooled", "symbol": "stock.neutral", "grade_key": "key", "graded_by": "s"}
CHAMPION = CrownedVersion(
    "pooled.stock.neutral", 1, "", "record", "strategy", grade={**GRADE, "auc": 0.53, "accuracy": 0.52}
)


@pytest.fixture
def paths(tmp_path: Path) -> DatasetPaths:
    """Three names, one of them delisted, and a portfolio that trades every fifth session."""
    paths, rng, frames = DatasetPaths(tmp_path / "data", "d"), np.random.default_rng(0), []
    for symbol, last in (("A", DAYS.size), ("B", DAYS.size), ("C", 15)):
        price = 50.0 * np.exp(np.cumsum(rng.normal(0.0, 0.02, (last, 2)).ravel())).reshape(last, 2)
        frame = {"asset_class": "stock", "symbol": symbol, "date": DAYS[:last], "open": price[:, 0]}
        frame |= {"high": price.max(axis=1), "low": price.min(axis=1), "close": price[:, 1], "volume": 1e6}
        frames.append(pl.DataFrame(frame | {"factor": 1.0, "split": 1.0, "repaired": False}).cast(SCHEMA))  # type: ignore[arg-type]
    stored_bars(pl.concat(frames).select(list(SCHEMA)), paths.bars)
    folder = paths.portfolios / "record"
    trades = DAYS[[2, 7, 12, 17]].tolist()
    rows = [(trades[k], symbol, weight) for k, held in enumerate(HELD) for symbol, weight in held.items()]
    weights = pl.DataFrame(rows, schema={"date": pl.Date, "symbol": pl.String, "weight": pl.Float32}, orient="row")
    exposure = [0.0, 0.0, *(sum(map(abs, HELD[k // 5].values())) for k in range(20))]
    daily = pl.DataFrame({"date": DAYS[:22], "stamp": DAYS[2:24], "gross_exposure": exposure, "gross": 0.0, "net": 0.0})
    for name, table in (("weights", weights), ("daily", daily), ("by_year", daily), ("decay", daily)):
        atomic.write_parquet(table, folder / f"{name}.parquet")
    atomic.write_json({"grade_key": "key"}, folder / "tables.json")
    return paths


HELD = [{"A": 0.5, "B": -0.5}, {}, {"A": 0.25, "C": 0.25}, {"B": 1.0}]


def test_weights_of_trade_days_hold_until_the_next_and_days_without_any_are_flat(paths: DatasetPaths) -> None:
    (stake,) = own_inputs([CHAMPION], paths).stakes
    assert stake.keys == (("stock", "A"), ("stock", "B"), ("stock", "C"))
    assert stake.days.astype("datetime64[D]").tolist() == DAYS[:22].tolist()
    row = np.searchsorted(stake.dates, DAYS[:24].astype("datetime64[us]"), side="right") - 1
    found = stake.positions[row]
    for day in range(24):
        held = HELD[(day - 2) // 5] if 2 <= day < 22 else {}
        assert found[day].tolist() == [held.get(symbol, 0.0) for symbol in "ABC"]


def test_the_record_of_a_portfolio_is_what_its_weights_earn(paths: DatasetPaths) -> None:
    found = own_record([CHAMPION], paths, WIDE, GradeConfig(), null_books=0)
    bars = pl.read_parquet(paths.bars / "b000-2024.parquet")
    table = {name: own.sort("date") for (name,), own in bars.group_by("symbol")}
    gross = np.zeros(22)
    for day in range(2, 22):
        for symbol, weight in HELD[(day - 2) // 5].items():
            opens = table[symbol]["open"].to_list()
            if day + 2 < len(opens):
                gross[day] += weight * (opens[day + 2] / opens[day + 1] - 1.0)
            elif day + 2 == len(opens):  # delisted: its last close, and 30% less for who is long
                left = table[symbol]["close"][-1] / opens[-1]
                gross[day] += weight * (left * 0.7 - 1.0)
    assert found.daily["date"].to_list() == DAYS[2:24].tolist()
    np.testing.assert_allclose(found.daily["gross"].to_numpy(), gross, rtol=0.0, atol=1e-7)
    short = np.array([0.5 if 2 <= day < 7 else 0.0 for day in range(22)])
    np.testing.assert_allclose(found.daily["borrow"].to_numpy(), short * 50 / 1e4 / 252, rtol=0.0, atol=1e-12)
    assert (found.figures["auc"], found.figures["accuracy"]) == (0.53, 0.52)
    assert found.figures["null_books"] == 0


def test_tables_of_other_settings_are_left_out(paths: DatasetPaths) -> None:
    other = CrownedVersion("pooled.stock.neutral", 1, "", "record", "strategy", grade={**GRADE, "grade_key": "other"})
    found = own_inputs([other], paths)
    assert not found.stakes
    assert found.left_out == {"pooled.stock.neutral": "the tables of its portfolio are gone, or of other settings"}


def test_instruments_whose_bars_are_gone_earn_nothing(paths: DatasetPaths) -> None:
    found = OwnInputs()
    with_bars(found, [("stock", "A"), ("stock", "GONE")], paths)
    assert found.bars["stock", "GONE"].change.size == 0
    assert found.bars["stock", "A"].change.size == DAYS.size - 2
    assert dt.date(2024, 1, 2) == found.bars["stock", "A"].dates[0].astype("datetime64[D]").item()
