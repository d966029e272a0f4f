"""No column of a set is a copy or a linear twin of another, and none is constant."""

import numpy as np
import polars as pl
import pytest

from src.core.project import ROOT
from src.features.compute import compute
from src.features.panel_members import joined, member_values
from src.features.registry import Feature
from src.market.panel import member_returns, table_of
from tests.features.series import lively, market
from tests.features.sets import ON_BARS

FED = [item for item in ON_BARS if item.scale == "none" and not item.intraday]
SHARED = ROOT.parent / "shared" / "market" / "bars.parquet"
KEY = ["asset_class", "symbol"]


def twins(table: pl.DataFrame, features: list[Feature]) -> list[tuple[str, str]]:
    """Pairs whose linear correlation, over the rows on which all columns have a value, is beyond 0.999."""
    names = [item.name for item in features]
    related = np.abs(np.corrcoef(table.select(names).drop_nulls().cast(pl.Float64).to_numpy(), rowvar=False))
    pairs = zip(*np.where(np.triu(related, 1) > 0.999), strict=True)
    return [(names[a], names[b]) for a, b in pairs]


def simulated(features: list[Feature]) -> pl.DataFrame:
    bars = pl.concat(lively(700, seed, symbol=f"S{seed}") for seed in range(6))
    return compute(bars, features, market())


def test_no_two_columns_are_twins_on_invented_bars():
    assert twins(simulated(FED), FED) == []


def test_a_twin_is_caught():
    """Williams %R at the stochastic's own window is that stochastic less 100."""

    def williams_r_14(stochastic_14):
        return 100 * stochastic_14 - 100

    more = [*FED, Feature("planted", "momentum", williams_r_14, None, 14, "none", 0.0, "this test")]
    assert twins(simulated(more), more) == [("stochastic_14", "planted")]


@pytest.mark.skipif(not SHARED.exists(), reason="the shared market file is not beside this checkout")
def test_no_two_columns_are_twins_on_real_bars():
    bars = pl.read_parquet(SHARED).with_columns(pl.col(pl.Float32).cast(pl.Float64)).drop_nans()
    clean = (pl.min_horizontal("open", "high", "low", "close") > 0).all() & (pl.len() > 2500)
    keys = bars.group_by(KEY).agg(clean.alias("clean")).filter("clean").sort(KEY).group_by(KEY[0]).head(12).select(KEY)
    rows = bars.join(keys, on=KEY, how="semi").unique([*KEY, "date"]).sort(*KEY, "date")
    rows = rows.with_columns(
        factor=(pl.col("adj_close") / pl.col("close")).fill_null(1.0), split=pl.lit(None, pl.Float64)
    )
    table = compute(rows, FED, joined(table_of(member_returns(rows)), member_values(rows)))
    assert twins(table, FED) == []
    assert min(table[item.name].n_unique() for item in FED) > 2
