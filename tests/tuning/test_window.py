"""What tuning may read, by hand: boundaries from 2000-07-01 every 18 months, of them 2015-07-01 and 2017-01-01."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from src.config.schema import Config, SplitConfig
from src.evaluation.splits import first_boundary, walk_forward
from src.features.store import FeatureStore
from src.market.bars import BarStore, Manifest
from src.tuning.sample import draw
from src.tuning.settings import TuningSettings
from src.tuning.window import EligibleInstrument, usable_bars, windows
from tests.features.series import lively


def days(first: str, last: str) -> np.ndarray:
    dates = np.arange(np.datetime64(first), np.datetime64(last))
    return dates[np.is_busday(dates)]


def dataset(root: Path, starts: dict[tuple[str, str], str], last: str = "2019-06-01") -> Config:
    """Instruments with bars from their starts on, every weekday (coins: every day)."""
    store, features = BarStore(root / "data" / "bars" / "mine"), FeatureStore(root / "data" / "features" / "mine")
    store.root.mkdir(parents=True)
    features.root.mkdir(parents=True)
    frames = []
    for seed, ((kind, symbol), start) in enumerate(starts.items()):
        dates = days(start, last) if kind != "crypto" else np.arange(np.datetime64(start), np.datetime64(last))
        bars = lively(dates.size, seed, symbol=symbol, asset_class=kind)
        frames.append(bars.with_columns(date=pl.Series(dates), volume=pl.col("volume") + 1.0))
    rows = pl.concat(frames)
    store.write_manifest(Manifest("mine", "1d", "folder", "", "auto", 1, None, "", "", True))
    keys = [("asset_class", pl.String), ("symbol", pl.String)]
    states = pl.DataFrame(list(starts), schema=keys, orient="row").with_columns(
        state=pl.lit("done"), reason=pl.lit(""), rows=pl.lit(0), first=pl.lit(dt.date(2014, 1, 1)),
        last=pl.lit(dt.date.fromisoformat(last)), repaired=pl.lit(0), basis=pl.lit(""), origin=pl.lit(""),
        liquidity=pl.lit(0.0), dollar_volume=pl.lit(0.0),
    )  # fmt: skip
    store.record(0, "job", states, digest=store.write_bucket(0, rows))
    features.ledger.record(0, "", states.select("asset_class", "symbol", "state", "reason", "rows", "first", "last"))
    config = Config()
    config.universe.name, config.data.root = "mine", str(root / "data")
    return config


def test_a_class_is_read_up_to_the_first_day_on_which_any_of_it_is_graded(tmp_path: Path) -> None:
    config = dataset(
        tmp_path,
        {("stock", "OLD"): "2014-01-02", ("stock", "YOUNG"): "2015-05-01", ("etf", "E"): "2015-03-02",
         ("crypto", "C"): "2014-01-02", ("stock", "TINY"): "2019-01-01"},
    )  # fmt: skip
    found = {window.scope: window for window in windows(TuningSettings.of(config))}
    assert found["stock"].before == dt.date(2017, 1, 1), "OLD has 506 bars by 2017, not by July 2015"
    assert found["etf"].before == dt.date(2018, 7, 1), "479 bars by 2017"
    assert found["crypto"].before == dt.date(2015, 7, 1), "every day counts"
    assert [each.key[1] for each in found["stock"].eligible] == ["OLD", "YOUNG"]
    config.tune.by = "all"
    (one,) = windows(TuningSettings.of(config))
    assert (one.scope, one.before, one.classes) == ("all", dt.date(2015, 7, 1), ("stock", "etf", "crypto"))
    config.tune.by, config.tune.before = "class", "2016-01-01"
    assert {window.before for window in windows(TuningSettings.of(config))} == {dt.date(2016, 1, 1)}


def test_who_ends_early_counts_all_the_same() -> None:
    """Its bars after a boundary must not decide whether the boundary is one."""
    split = SplitConfig()
    dates = days("2014-01-02", "2016-12-20")
    assert first_boundary(dates, split, 1) is None
    assert first_boundary(np.append(dates, np.datetime64("2018-01-01")), split, 1) == dt.date(2017, 1, 1)


@pytest.mark.parametrize(("start", "horizon"), [("2014-01-02", 1), ("2013-01-02", 20), ("2011-05-05", 5)])
def test_the_first_boundary_is_that_of_the_walk_forward(start: str, horizon: int) -> None:
    dates = days(start, "2019-01-01")
    assert (
        first_boundary(dates, SplitConfig(), horizon) == walk_forward(dates, "stock", SplitConfig(), horizon)[0].first
    )


def test_the_embargo_comes_off_the_end() -> None:
    dates = days("2016-12-01", "2017-02-01")
    usable = dates[: usable_bars(dates, dt.date(2017, 1, 1), 5)]
    assert usable[-1] == np.datetime64("2016-12-23")
    assert usable_bars(dates[:3], dt.date(2017, 1, 1), 5) == 0


def test_each_half_has_every_level_of_liquidity_and_no_instrument_is_in_both() -> None:
    candidates = tuple(EligibleInstrument(("stock", f"S{n:03d}"), float(n), 0) for n in range(400))
    halves = draw(candidates, 10, seed=7)
    for half in halves:
        assert sorted(int(each.liquidity) // 40 for each in half) == list(range(10))
    assert not {each.key for each in halves[0]} & {each.key for each in halves[1]}
    assert draw(candidates, 10, seed=7) == halves
    assert draw(candidates, 10, seed=8) != halves
    few = draw(candidates[:7], 10, seed=7)
    assert [len(half) for half in few] == [3, 3]
