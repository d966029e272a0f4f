"""The panel members' measures of each day, and an instrument's rank among them."""

import datetime as dt

import numpy as np
import polars as pl
import pytest

from src.features.catalog import declared
from src.features.compute import PanelLookup, compute
from src.features.panel_lookup import Members, share_below
from src.features.panel_members import POINTS, joined, member_values, sorted_by_day, with_standings
from src.features.registry import MEMBERS, Feature
from src.market.bars import tradable
from src.market.panel import panel_hash, panel_table
from tests.features import properties
from tests.features.series import lively
from tests.test_featurize import hydrated

PANEL = [*(("stock", f"S{k}") for k in range(7)), *(("etf", f"E{k}") for k in range(3))]
RANKS = [item for item in declared().values() if "_rank_" in item.name and item.family == "crowd"]


def universe(n: int = 320) -> pl.DataFrame:
    rows = [lively(n, seed, symbol=symbol, asset_class=kind) for seed, (kind, symbol) in enumerate(PANEL)]
    return pl.concat(rows).sort("asset_class", "symbol", "date")


@pytest.fixture
def store(tmp_path):
    return hydrated(tmp_path, universe(), panel=PANEL)


@pytest.fixture
def table(store):
    return with_standings(panel_table(store), store)


def naive(name: str, symbol: str, day: dt.date) -> float | None:
    """A member's measure on a day; None where it didn't trade."""
    rows = universe().filter(asset_class="stock", symbol=symbol).filter(pl.col("date") <= day)
    if rows["date"][-1] != day or not rows.select(tradable()).to_series()[-1]:
        return None
    close = (rows["close"] * rows["factor"]).to_numpy()
    money = (rows["close"] * rows["volume"]).to_numpy()
    return {
        "members_return_21": np.log(close[-1] / close[-22]),
        "members_momentum_12_1": np.log(close[-22] / close[-253]),
        "members_volatility_21": np.std(np.diff(np.log(close[-22:])), ddof=1),
        "members_dollar_volume_growth": np.log(money[-21:].mean() / money[-126:].mean()),
    }[name]


@pytest.mark.parametrize("name", MEMBERS)
def test_a_day_holds_its_members_measures_in_order(table, name):
    stocks = table.filter(asset_class="stock")
    for row in (260, 301, 318):
        expected = sorted(value for k in range(7) if (value := naive(name, f"S{k}", stocks["date"][row])) is not None)
        got = stocks[name].to_numpy()[row]
        assert np.allclose(got[: len(expected)], expected, rtol=1e-5)
        assert np.isnan(got[len(expected) :]).all()


def test_fewer_than_five_members_give_null_ranks(table):
    funds = lively(320, 40, asset_class="etf")
    ranks = compute(funds, RANKS, table)
    assert all(ranks[item.name].null_count() == 320 for item in RANKS)
    stock = compute(lively(320, 41), RANKS, table)
    assert all(stock[item.name][-1] is not None for item in RANKS)


def test_the_best_of_the_panel_has_all_the_others_below(table):
    full = universe().filter(tradable()).group_by("asset_class", "date").len().filter(len=7)
    ranks = compute(universe(), RANKS, table).join(full, on=["asset_class", "date"], how="semi").drop_nulls()
    top = ranks.group_by("date").agg(pl.col("return_rank_21").max())["return_rank_21"]
    assert top.to_list() == pytest.approx([6 / 7] * len(top))
    assert ranks["return_rank_21"].min() == 0


def test_later_bars_change_no_earlier_day_and_one_more_instrument_none(tmp_path, table):
    day = table["date"].sort()[-100]
    cut = hydrated(tmp_path / "cut", universe().filter(pl.col("date") <= day), panel=PANEL)
    assert with_standings(panel_table(cut), cut).equals(table.filter(pl.col("date") <= day), null_equal=True)
    more = hydrated(tmp_path / "more", pl.concat([universe(), lively(320, 77, symbol="ZZZ")]), panel=PANEL)
    assert panel_hash(with_standings(panel_table(more), more)) == panel_hash(table)


def test_the_hash_covers_the_measures(table):
    name = MEMBERS[0]
    values = table[name].to_numpy().copy()
    values[-1, 0] += 1
    assert panel_hash(table.with_columns(pl.Series(name, values, dtype=table.schema[name]))) != panel_hash(table)


def test_the_order_of_members_changes_nothing():
    values = member_values(universe())
    days = values.select("asset_class", "date").unique().sort("asset_class", "date")
    shuffled = values.sample(fraction=1.0, shuffle=True, seed=3)
    assert joined(days, values).equals(joined(days, shuffled))


def test_of_more_members_than_are_kept_quantiles_stand_for_all():
    values = np.random.default_rng(1).standard_normal(1000).astype(np.float32)
    kept = sorted_by_day(np.zeros(1000, dtype=np.uint32), values, 2)
    assert kept.shape == (2, POINTS)
    own = np.linspace(-2, 2, 50)
    share = share_below(own, Members(np.zeros(50, dtype=np.int64), kept))
    assert np.allclose(share, [np.mean(values < each) for each in own], atol=1 / POINTS)
    assert np.isnan(kept[1]).all()


def test_share_below_is_the_plain_count():
    random = np.random.default_rng(2)
    for count in (5, 6, 64, 126, 127):
        kept = sorted_by_day(np.zeros(count, dtype=np.uint32), random.integers(0, 40, count).astype(np.float32), 1)
        own = np.arange(-1.0, 42.0)
        share = share_below(own, Members(np.zeros(len(own), dtype=np.int64), kept))
        assert share.tolist() == [(kept[0] < each).sum() / count for each in own], count


def test_no_panel_and_an_unknown_value_give_null():
    unknown = Members(np.array([-1, 0]), np.full((1, POINTS), np.nan, dtype=np.float32))
    assert np.isnan(share_below(np.array([1.0, 1.0]), unknown)).all()
    assert np.isnan(share_below(np.array([1.0]), Members(np.array([-1]), np.empty((0, 0), dtype=np.float32)))).all()
    some = Members(np.array([0]), np.arange(POINTS, dtype=np.float32)[None])
    assert np.isnan(share_below(np.array([np.nan]), some)).all()


def test_a_rank_among_tomorrows_members_is_caught():
    def early(return_21, members_return_21):
        return share_below(return_21, Members(np.roll(members_return_21.row, -1), members_return_21.values))

    planted = [Feature("planted", "crowd", early, None, 22, "none", 0.0, "this test")]
    assert properties.seeing_the_future(planted) == {"planted"}


def test_an_older_table_without_measures_gives_null_ranks(table):
    old = compute(lively(320, 41), RANKS, table.drop(MEMBERS))
    assert all(old[item.name].null_count() == 320 for item in RANKS)
    assert PanelLookup(None).at("stock", np.array([1.0]))[MEMBERS[0]].row.tolist() == [-1]
