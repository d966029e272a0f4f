"""Ranking by traded volume: of bars before any prediction, and of what providers say today."""

import datetime as dt

import polars as pl
import pytest

from src.config.schema import SplitConfig
from src.core.errors import ConfigError, StageError
from src.fetching.provider import Answer, Refusal, Unavailable, Unreachable
from src.hydration import files
from src.hydration.job import HydrationJob
from src.listings.pinned import COLUMNS
from src.listings.ranking import by_bars, by_recent_bars, by_screener, ranked
from src.market.bars import BarStore
from tests.market_case import config, series, write

TODAY = dt.date(2025, 3, 10)


def volumes(**dollars: float) -> pl.DataFrame:
    rows = [(*name.split("_"), value) for name, value in dollars.items()]
    return pl.DataFrame(rows, schema=["asset_class", "symbol", "dollar_volume"], orient="row")


def test_the_most_traded_come_first_and_followers_take_no_rank():
    found = ranked(
        volumes(stock_A=1.0, stock_B=9.0, crypto_USDT=99.0, crypto_BTC=5.0, stock_C=0.0), {"stock": 5, "crypto": 1}
    )
    assert found.schema == pl.Schema(COLUMNS)
    assert found.rows() == [("stock", "B", 1, 9.0), ("stock", "A", 2, 1.0), ("crypto", "BTC", 1, 5.0)]


def test_a_dataset_is_ranked_by_what_was_traded_before_the_first_prediction(tmp_path):
    """WIN trades most today and little then; its late volume must buy no rank."""
    parts = [series("OLD", 1500), series("WIN", 1500), series("LOW", 1500), series("BAD", 1500, close=-1.0)]
    before = pl.col("date") < dt.date(2018, 1, 1)
    for n, (then, later) in enumerate([(1e6, 1e6), (1e5, 1e9), (1e4, 1e4), (1e9, 1e9)]):
        parts[n] = parts[n].with_columns(volume=pl.when(before).then(then).otherwise(later))
    write(pl.concat(parts), tmp_path / "source" / "bars.parquet")
    job = HydrationJob.of(config(tmp_path))
    files.run(job)
    found = by_bars(BarStore(job.paths.bars), SplitConfig(), {"stock": 2, "etf": 1})
    assert found["symbol"].to_list() == ["OLD", "WIN"] and found["rank"].to_list() == [1, 2]


def test_a_dataset_without_bars_or_not_of_days_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="holds no bars: hydrate it first"):
        by_bars(BarStore(tmp_path), SplitConfig(), {"stock": 1})


def test_a_screener_is_asked_again_after_a_refusal_and_given_up_after_faults():
    answers = [Refusal("429"), Refusal("429"), Refusal("429"), Refusal("429"), Unavailable("503"), None]

    def most_traded(kind, count):
        error = answers.pop(0)
        if error:
            raise error
        return pl.DataFrame({"symbol": ["B", "A", "A"], "dollar_volume": [1.0, 2.0, 2.0]})

    assert by_screener(most_traded, ["etf"], {"etf": 5})["symbol"].to_list() == ["A", "B"]
    answers += [Unavailable("503")] * 3
    with pytest.raises(StageError, match="no good answer for class stock"):
        by_screener(most_traded, ["stock"], {"stock": 5})


class Exchange:
    """Serves the same price with each coin's volume; silent about some."""

    def __init__(self, **volumes):
        self.volumes = volumes

    def fetch(self, wanted):
        coin = wanted.symbol.split("-")[0]
        if coin not in self.volumes:
            raise Unavailable("503")
        assert wanted.start == TODAY - dt.timedelta(days=30)
        bars = pl.DataFrame({"close": [2.0, 2.0, 2.0], "volume": [1e12, self.volumes[coin], self.volumes[coin]]})
        return Answer(bars, pl.DataFrame())


def test_coins_are_ranked_by_the_median_of_their_last_days():
    ticks = []
    coins = ["A-USD", "B-USD", "C-USD", "D-USD", "E-USD"]
    exchange = Exchange(A=1.0, B=3.0, C=2.0, D=0.0)
    found = by_recent_bars(exchange, coins, {"crypto": 2}, TODAY, lambda: ticks.append(1))
    assert found.select("symbol", "dollar_volume").rows() == [("B-USD", 6.0), ("C-USD", 4.0)] and len(ticks) == 5
    with pytest.raises(StageError, match="2 of 6 coins got no answer, 0 have no recent bars: the former list stays"):
        by_recent_bars(exchange, [*coins, "F-USD"], {"crypto": 2}, TODAY, lambda: None)
    with pytest.raises(StageError, match="0 of 0 coins got no answer"):
        by_recent_bars(exchange, [], {"crypto": 2}, TODAY, lambda: None)


def test_without_a_network_nothing_is_ranked_and_the_doctor_is_named_after_three_tries():
    asked = []

    class Absent:
        name = "kraken"

        def fetch(self, wanted):
            asked.append(wanted)
            raise Unreachable("api.kraken.com can't be reached: Could not resolve host", "name", "api.kraken.com")

    coins = [f"C{n}-USD" for n in range(50)]
    words = r"repair its DNS.*`python -m src.doctor source=auto` looks at each host. The former list stays"
    with pytest.raises(StageError, match=words):
        by_recent_bars(Absent(), coins, {"crypto": 5}, dt.date(2026, 11, 27), lambda: None)
    assert len(asked) == 3
    with pytest.raises(StageError, match=words):
        by_screener(lambda *_: Absent().fetch(None), ["stock"], {"stock": 5})
