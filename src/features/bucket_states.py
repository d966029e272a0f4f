"""States of the instruments of a bucket after featurize, as they follow from those after hydrate."""

from __future__ import annotations

import polars as pl

from src.core.instruments import KEY

INSTRUMENT = pl.format("{}:{}", "asset_class", "symbol")


def after_hydrate(hydrated: pl.DataFrame, failed: dict[str, str]) -> pl.DataFrame:
    """States of a bucket: what hydrate left out is skipped here, what is in `failed` failed, the rest is done.

    Parameters
    ----------
    hydrated : DataFrame
        States that hydrate left.
    failed : dict of str to str
        Reason by ``class:symbol``.
    """
    done = pl.col("state") == "done"
    reason = (
        INSTRUMENT.replace_strict(failed, default=None, return_dtype=pl.String) if failed else pl.lit(None, pl.String)
    )
    before = pl.format("{} by hydrate: {}", "state", pl.col("reason").fill_null("no reason given"))
    return hydrated.select(
        *KEY,
        pl.when(done & reason.is_null()).then(pl.lit("done")).when(done).then(pl.lit("failed")).otherwise(
            pl.lit("skipped")
        ).alias("state"),
        pl.when(done).then(reason).otherwise(before).alias("reason"),
        "rows",
        "first",
        "last",
    )  # fmt: skip
