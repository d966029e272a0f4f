"""What came of a pooled champion's weights, against a loop over days and names."""

from __future__ import annotations

import datetime as dt
from typing import Any

import numpy as np
import polars as pl
import pytest

from src.config.schema import EligibilityConfig, LabelConfig, PortfolioConfig, StrategyConfig
from src.market.bars import BarStore
from src.market.calendar import next_session, sessions
from src.monitoring.outcomes import LINES
from src.monitoring.pooled_outcomes import PooledOutcomes, pooled_outcomes
from src.signals.recorded_runs import ChampionRun
from src.signals.tables import lines_frame
from src.storage import atomic
from src.storage.ledger import SCHEMA as STATES
from src.training.pooled.class_data import ClassBars, ClassData
from tests.monitoring.monitor_case import LAST, Watched

KEYS = tuple(("stock", f"N{each}") for each in range(8))
FIRST = dt.date(2024, 11, 1)
NAME = "pooled.stock.neutral"
ELIGIBLE = EligibilityConfig(
    min_dollar_volume={"stock": 0.0}, window=5, history=10, untraded_window=5, min_names=5, delisting_return=-0.3
)
RUN = ChampionRun(
    "p.0", ("pooled", "stock.neutral"), "ensemble", LabelConfig(kind="relative", horizon=2), StrategyConfig(),
    PortfolioConfig(borrow_bps=200.0), ELIGIBLE, dt.date(2024, 10, 31), (), (),
)  # fmt: skip


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Watched:
    made = Watched(tmp_path_factory.mktemp("pooled"), keys=KEYS).with_bars()
    rows = [dict.fromkeys(STATES) | {"asset_class": key[0], "symbol": key[1], "state": "done"} for key in KEYS]
    atomic.write_parquet(pl.DataFrame(rows, schema=STATES), made.paths.states("featurize"))
    return made


def lines(days: list[dt.date]) -> list[dict[str, Any]]:
    """Weights and ranks of each name on each day, at random."""
    random = np.random.default_rng(4)
    rows = []
    for day in days:
        ranks = (random.permutation(len(KEYS)) + 0.5) / len(KEYS)
        for place, key in enumerate(KEYS):
            named = {"name": NAME, "version": 1, "scope": "pooled", "record_id": "p.0", "state": "said"}
            about = {"asset_class": "stock", "symbol": key[1], "book_date": day, "trade_on": next_session("stock", day)}
            said = {"score": ranks[place], "position": ranks[place] - 0.5, "cost_rate": 0.0005 * (1 + place)}
            rows.append(named | about | said | {"decided_on": dt.datetime.combine(day, dt.time())})
    return rows


def outcomes(case: Watched, rows: list[dict[str, Any]]) -> PooledOutcomes:
    at = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
    table = lines_frame(rows).with_columns(kind=pl.lit("replay"), said_at=pl.lit(at)).select(LINES)
    return pooled_outcomes(table, {"p.0": RUN}, case.paths)[NAME, 1]


def test_returns_are_those_of_a_loop_over_days_and_names(case: Watched) -> None:
    days = sessions("stock", FIRST, LAST).tolist()
    found = outcomes(case, lines(days))
    table = {key[1]: case.bars(key) for key in KEYS}
    price = {name: (bars["open"] * bars["factor"]).to_list() for name, bars in table.items()}
    at = {day: place for place, day in enumerate(table["N0"]["date"].to_list())}
    held = dict.fromkeys(table, 0.0)
    rows = {(row["decided_on"].date(), row["symbol"]): row for row in lines(days)}
    for row in found.days.iter_rows(named=True):
        k = at[row["decided_on"].date()]
        if k + 2 >= len(at):
            assert row["net"] is None
            continue
        gross = cost = short = 0.0
        for name in table:
            line = rows[row["decided_on"].date(), name]
            gross += line["position"] * (price[name][k + 2] / price[name][k + 1] - 1.0)
            cost += abs(line["position"] - held[name]) * line["cost_rate"]
            short += max(-line["position"], 0.0)
            held[name] = line["position"]
        cost += short * 0.02 / 252.0
        assert row["gross"] == pytest.approx(gross, abs=1e-7)  # training's returns are float32
        assert row["net"] == pytest.approx(gross - cost, abs=1e-7)
    assert found.days.height == len(days)
    assert found.days["net"].null_count() == 2


def test_labels_are_those_of_training_on_all_bars(case: Watched) -> None:
    days = sessions("stock", FIRST, LAST).tolist()
    found = outcomes(case, lines(days))
    data = ClassData(ClassBars(BarStore(case.paths.bars), "stock", None, frozenset(KEYS)), ELIGIBLE, RUN.label)
    rows = np.searchsorted(data.section.dates, np.array(days[:-2], dtype="datetime64[D]"))
    up = data.targets.up[rows]
    score = np.array([row["score"] for row in lines(days)]).reshape(len(days), len(KEYS))[:-2]
    known = np.isfinite(up)
    np.testing.assert_array_equal(found.label, up[known])
    np.testing.assert_array_equal(found.score, score[known])
    assert not found.live.any()


def test_days_without_lines_earn_nothing(case: Watched) -> None:
    days = sessions("stock", FIRST, LAST).tolist()
    kept = days[:10] + days[15:]
    found = outcomes(case, lines(kept))
    assert found.days["decided_on"].dt.date().to_list() == kept
    assert found.days["net"].null_count() == 2
