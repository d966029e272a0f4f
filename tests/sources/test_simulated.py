"""Invented bars: the same on every machine, like real ones, with an edge where it is planted and nowhere else."""

import hashlib
import sys

import numpy as np
import polars as pl
import pytest

from src.config.schema import SimulatedSource, SourceConfig
from src.core.project import ROOT
from src.hydration.validation import validate
from src.sources import simulated
from src.sources.declaration import Selection
from src.sources.simulated import instrument, sessions
from tests import process_case

SOURCE = SourceConfig()


def rows(keys=None, until=None, source=SOURCE, buckets=1):
    wanted = (
        simulated.listing(source)
        if keys is None
        else pl.DataFrame(keys, schema=["asset_class", "symbol"], orient="row")
    )
    wanted = wanted.with_columns(bucket=pl.int_range(pl.len()) % buckets)
    return pl.concat([b.bars for b in simulated.bars(source, Selection(wanted, until=until), None)]).sort(
        "asset_class", "symbol", maintain_order=True
    )


def content(frame):
    return hashlib.sha256(frame.write_csv().encode()).hexdigest()


def test_bars_are_the_same_in_any_order_selection_and_process():
    every = rows()
    assert every.equals(rows(buckets=7))
    one = rows([("crypto", "SIMC02-USD")])
    assert one.equals(every.filter(pl.col("symbol") == "SIMC02-USD"))
    code = "from tests.sources.test_simulated import *; print(content(rows([('crypto', 'SIMC02-USD')])))"
    done = process_case.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == content(one)


def test_a_later_last_date_changes_no_earlier_bar():
    keys = [("stock", "SIM14"), ("stock", "SIM15"), ("stock", "SIM18"), ("etf", "SIMF01"), ("crypto", "SIMC01-USD")]
    short, long = validate(rows(keys, until="2019-03-29"))[0], validate(rows(keys, until="2023-06-30"))[0]
    cut = long.filter(pl.col("date") <= pl.date(2019, 3, 29)).join(short, on=["asset_class", "symbol"], how="semi")
    assert short.drop("factor").equals(cut.drop("factor"))
    np.testing.assert_allclose(short["factor"], cut["factor"], rtol=1e-6)


def test_stocks_keep_the_exchange_calendar_and_coins_trade_every_day():
    days = sessions("stock", "2014-01-01", "2024-12-31")
    assert len(days) == 2768 + 1  # NYSE held 2,768 sessions: it also closed on 2018-12-05, for a day of mourning
    assert len(sessions("crypto", "2024-01-01", "2024-12-31")) == 366
    for closed in (
        "2024-01-01",
        "2024-01-15",
        "2024-02-19",
        "2024-03-29",
        "2024-05-27",
        "2024-06-19",
        "2024-07-04",
        "2024-09-02",
        "2024-11-28",
        "2024-12-25",
        "2022-06-20",
        "2021-12-24",
    ):
        assert np.datetime64(closed) not in days
    assert np.datetime64("2021-06-18") in days
    assert np.datetime64("2018-12-05") in days and sessions("etf", "2018-12-05", "2018-12-05").size == 1


def test_a_new_unforeseen_closure_changes_no_day_of_the_invented_market():
    assert (
        hashlib.sha256(sessions("stock", "1998-01-01", "2050-12-31").tobytes()).hexdigest().startswith("50f44ee1de93")
    )


def returns(frame):
    return frame.select(pl.col("close").log().diff().over("asset_class", "symbol")).to_series().drop_nulls().to_numpy()


def test_returns_have_fat_tails_and_clustered_volatility_and_move_together():
    sane = rows([("stock", f"SIM{i:02d}") for i in range(1, 13)])
    tables = [part for part in sane.partition_by("symbol")]
    moves = np.column_stack([returns(part) for part in tables])
    kurtosis = ((moves - moves.mean(0)) ** 4).mean(0) / moves.var(0) ** 2
    assert np.median(kurtosis) > 4.5
    clustering = [np.corrcoef(abs(m[1:]), abs(m[:-1]))[0, 1] for m in moves.T]
    assert np.median(clustering) > 0.05
    together = np.corrcoef(moves.T)[np.triu_indices(12, 1)]
    assert 0.1 < np.median(together) < 0.6
    volume = np.column_stack([part["volume"].to_numpy()[1:] for part in tables])
    assert min(np.corrcoef(np.log(v), abs(m))[0, 1] for v, m in zip(volume.T, moves.T, strict=True)) > 0.1
    gaps = np.log(sane["open"][1:].to_numpy() / sane["close"][:-1].to_numpy())[: len(moves)]
    assert 0.2 < gaps.std() / moves[:, 0].std() < 0.8


def test_a_named_third_carries_the_edge_and_no_faulty_one_does():
    planted = simulated.planted(SOURCE)
    assert len(planted) == 11 and ("stock", "SIM01") in planted and ("crypto", "SIMC04-USD") in planted
    assert not {("stock", f"SIM{i:02d}") for i in (14, 15, 17, 18)} & set(planted)


def skill(key, edge):
    """Correlation of the distance from the ten-bar average with the return from the next open to the one after."""
    frame = instrument(SimulatedSource(), key, simulated.LAST, edge)
    close, open_ = np.log(frame["close"].to_numpy()), np.log(frame["open"].to_numpy())
    mean = np.convolve(close, np.ones(10) / 10, "valid")
    away = (close[9:] - mean)[:-2]
    ahead = open_[11:] - open_[10:-1]
    return float(np.corrcoef(-away, ahead)[0, 1])


def test_the_edge_predicts_the_next_open_to_open_return_and_its_absence_does_not():
    keys = [("stock", f"SIM{i:02d}") for i in range(1, 13)] + [("crypto", "SIMC01-USD")]
    assert min(skill(key, 0.3) for key in keys) > 0.08
    none = [skill(key, 0.0) for key in keys]
    assert abs(np.mean(none)) < 0.02 and max(map(abs, none)) < 0.06


def test_the_demo_has_a_bad_a_thin_a_short_and_a_repaired_instrument():
    bars, states = validate(rows())
    said = {row["symbol"]: row for row in states.iter_rows(named=True)}
    assert said["SIM18"]["state"] == "quarantined" and "one-day moves beyond x3" in said["SIM18"]["reason"]
    assert said["SIM14"]["repaired"] > 0 and said["SIM14"]["state"] == "done"
    assert said["SIM15"]["rows"] == 552
    assert bars.filter(pl.col("symbol") == "SIM17")["volume"].eq(0).mean() == pytest.approx(0.45, abs=0.05)
    others = states.filter(~pl.col("symbol").is_in(["SIM14", "SIM15", "SIM17", "SIM18"]))
    assert others["state"].unique().to_list() == ["done"] and others["repaired"].sum() == 0


def pooled(stocks, strength):
    """A universe with an edge across stocks and no other."""
    return SourceConfig(simulated=SimulatedSource(stock=stocks, etf=1, crypto=1, edge=0.0, pooled_edge=strength))


def test_neither_more_stocks_nor_the_edge_across_them_change_other_bars():
    few, many, plain = (rows(source=source) for source in (pooled(15, 0.035), pooled(24, 0.035), pooled(15, 0.0)))
    both = pl.col("symbol").is_in([f"SIM{i:02d}" for i in range(1, 11)]) | (pl.col("asset_class") != "stock")
    assert few.filter(both).equals(many.filter(both))
    others = pl.col("asset_class") != "stock"
    assert few.filter(others).equals(plain.filter(others)) and not few.equals(plain)
    assert simulated.planted(pooled(15, 0.035)) == simulated.planted(pooled(15, 0.0))


def volume_and_outcome(strength):
    """Of 60 stocks a day: 21 days' volume over the year's, and the log return of 20 days from the next open on."""
    bars = rows([("stock", f"SIM{i:02d}") for i in range(1, 61)], until="2021-12-31", source=pooled(65, strength))
    rise = pl.col("volume").rolling_mean(21) / pl.col("volume").rolling_mean(252)
    shown = bars.select(rise.over("symbol")).to_series().to_numpy().reshape(60, -1)
    opens = np.log(bars["open"].to_numpy()).reshape(60, -1)
    return shown[:, 251:-21].T, (opens[:, 272:] - opens[:, 252:-20]).T


def test_the_volume_of_a_stock_shows_what_it_earns_beside_others_and_only_with_the_edge_across_stocks():
    found = {}
    for strength in (0.0, 0.035):
        places = [np.argsort(np.argsort(table, axis=1), axis=1) for table in volume_and_outcome(strength)]
        found[strength] = np.mean([np.corrcoef(*days)[0, 1] for days in zip(*places, strict=True)])
    assert found[0.035] - found[0.0] > 0.06  # of the same shocks
    assert abs(found[0.0]) < 0.055  # four standard errors of 60 names and some 88 spans of 20 days that do not overlap


def test_one_stock_s_own_history_hardly_shows_the_edge_across_stocks():
    alone = []
    for i in range(1, 25):
        key = ("stock", f"SIM{i:02d}")
        opens = np.log(instrument(pooled(30, 0.035).simulated, key, simulated.LAST, 0.0)["open"].to_numpy())
        drawn = simulated.interest(2024, key[1], opens.size)
        alone.append(np.corrcoef(drawn[:-2], np.diff(opens)[1:])[0, 1])
    assert 0.01 < np.mean(alone) < 0.05
