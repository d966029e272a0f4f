"""Instruments are found in a table of bars, however few they are and in whichever order they stand."""

import polars as pl

from src.features.catalog import declared
from src.features.compute import compute, instruments
from tests.features.series import lively


def test_each_instrument_has_its_rows() -> None:
    keys = [("etf", "A"), ("etf", "A"), ("stock", "A"), ("stock", "B"), ("stock", "B")]
    table = pl.DataFrame(keys, schema=["asset_class", "symbol"], orient="row")
    assert instruments(table) == [
        (("etf", "A"), slice(0, 2)),
        (("stock", "A"), slice(2, 3)),
        (("stock", "B"), slice(3, 5)),
    ]


def test_a_table_without_bars_has_no_instruments() -> None:
    assert instruments(pl.DataFrame(schema={"asset_class": pl.String, "symbol": pl.String})) == []


def test_bars_in_any_order_have_the_columns_of_sorted_ones() -> None:
    names = ("return_1", "rsi_14")
    chosen, series = [declared()[name] for name in names], [lively(60, seed, f"S{seed}") for seed in range(3)]
    torn = [series[0][:30], *series[1:], series[0][30:]]
    for table in map(pl.concat, (series, series[::-1], [*series[:2], series[2][::-1]], torn)):
        keys = ["asset_class", "symbol", "date"]
        columns = compute(table, chosen)
        assert columns.select(keys).equals(table.select(keys))
        for own in series:
            alone = compute(own, chosen)
            assert alone.equals(columns.join(own.select(keys), on=keys, how="semi").sort(keys))
