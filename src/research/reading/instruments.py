"""From companies to the instruments that stood for them when a row was known."""

from __future__ import annotations

import polars as pl


def of_instruments(rows: pl.DataFrame, companies: pl.DataFrame) -> pl.DataFrame:
    """Add the instrument of each row; rows of companies without one fall away.

    Parameters
    ----------
    rows : DataFrame
        With ``cik`` and ``known``.
    companies : DataFrame
        Columns of `src.research.links.COMPANIES`; a company with several share classes has several rows.

    Returns
    -------
    DataFrame
        The rows with asset_class and symbol, one for each instrument.
    """
    spans = companies.select("cik", "asset_class", "symbol", "since", "until").unique()
    inside = (pl.col("since").is_null() | (pl.col("since") <= pl.col("known"))) & (
        pl.col("until").is_null() | (pl.col("known") < pl.col("until"))
    )
    return (
        rows.with_row_index("nth")
        .join(spans, on="cik", how="inner", maintain_order="left")
        .filter(inside)
        .unique(["nth", "asset_class", "symbol"], keep="first", maintain_order=True)
        .drop("nth", "since", "until")
    )
