"""Instruments are found in a table of bars, however few they are."""

import polars as pl

from src.features.compute import instruments


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
