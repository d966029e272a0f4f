"""Lines of a dataset of hourly bars: decided at the last bar of the exchange's day."""

from __future__ import annotations

import datetime as dt
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl
import pytest

from src.market import calendar
from src.training import expanding_window
from tests.market_case import config as configured
from tests.market_case import write
from tests.signals.test_no_skew import assert_traded_alike, stored
from tests.signals.trained_case import Trained, decisions_of, fitted, folds_of, replayed_fold, trained

NEW_YORK = ZoneInfo("America/New_York")
UNTIL, END = dt.date(2023, 12, 29), dt.date(2024, 2, 29)


def hourly(kind: str, symbol: str, seed: int) -> pl.DataFrame:
    """A random walk of hourly bars: seven a session, or one each hour of a coin's day."""
    random = np.random.default_rng(seed)
    days = calendar.sessions(kind, dt.date(2023, 1, 3), END).tolist()
    if kind == "crypto":
        times = [dt.datetime.combine(day, dt.time(hour), dt.UTC) for day in days for hour in range(24)]
    else:
        begins = [(9, 30), (10, 30), (11, 30), (12, 30), (13, 30), (14, 30), (15, 30)]
        local = [dt.datetime.combine(day, dt.time(*begin), NEW_YORK) for day in days for begin in begins]
        times = [time.astimezone(dt.UTC) for time in local]
    close = 50 * np.exp(np.cumsum(0.004 * random.standard_normal(len(times))))
    opens = close * np.exp(0.001 * random.standard_normal(len(times)))
    high, low = np.maximum(opens, close) * 1.001, np.minimum(opens, close) * 0.999
    prices = {"open": opens, "high": high, "low": low, "close": close, "adj_close": close}
    about = {"asset_class": [kind] * len(times), "symbol": [symbol] * len(times), "date": times}
    return pl.DataFrame(about | prices | {"volume": np.round(1e5 * random.random(len(times))) + 1})


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("hourly")
    rows = pl.concat([hourly("stock", "AAA", 1), hourly("crypto", "BTC-USD", 2)])
    write(rows, folder / "source" / "bars.parquet")
    config = configured(folder, universe__interval="1h", universe__buckets=1, split__until=str(UNTIL))
    config.split.anchor, config.split.fold_months = "2023-10-01", 3
    config.features.names = ["rsi_14", "return_5", "body"]
    return trained(config, "lightgbm")


def test_the_last_bar_of_the_exchanges_day_decides(case: Trained) -> None:
    lines = case.lines("1900-01-01", "2100-01-01")
    assert lines["state"].unique().to_list() == ["said"]
    stock = lines.filter(pl.col("asset_class") == "stock")
    assert stock["book_date"].min() == dt.date(2024, 1, 2) and lines["book_date"].max() == END
    for book, decided, trade in stock.select("book_date", "decided_on", "trade_on").iter_rows():
        session = calendar.latest_session("stock", book)
        begins = dt.datetime.combine(session, dt.time(15, 30), NEW_YORK)
        assert decided == begins.astimezone(dt.UTC).replace(tzinfo=None)
        assert trade == calendar.next_session("stock", book)
    coin = lines.filter(pl.col("asset_class") == "crypto")
    assert coin["book_date"].min() == dt.date(2023, 12, 30)
    assert all(
        at == dt.datetime.combine(book, dt.time(23)) for book, at in coin.select("book_date", "decided_on").rows()
    )


def test_hourly_decisions_are_those_of_training_to_the_last_bit(case: Trained) -> None:
    for champion in case.champions():
        task = case.tasks[champion.grade["symbol"]]
        decisions, expected = decisions_of(task), stored(case, champion.record_id)
        examples = expanding_window.examples(task.features, decisions)
        fold = folds_of(task)[-1]
        model = fitted("lightgbm", task, examples, fold)
        lines = replayed_fold(case, champion, fold, model).filter(pl.col("decided_on") <= max(expected))
        assert lines.height >= 50
        assert lines["score"].to_list() == [expected[time] for time in lines["decided_on"].to_list()]
        at = decisions.positions(lines["decided_on"].to_numpy().astype("datetime64[us]"))
        assert_traded_alike(lines, at, decisions, task, consecutive=False)
