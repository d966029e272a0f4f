"""What holds of a universe that grew day by day: `make test` looks at six days, `make soak` at 250."""

from __future__ import annotations

import numpy as np
import polars as pl

from tests.signals.daily_case import Daily, bars, features

KEY = ["book_date", "asset_class", "symbol", "family"]
DECIDED = ("score", "exposure", "size", "position", "before", "trade_on", "decided_on", "moved_by")
"""Columns that a later split changes nothing of; prices as stored and what costs a share in cents are its own."""


def check(found: Daily) -> None:
    """Bars, features and lines of both are the same to the last bit, and so is what was said on each day."""
    assert bars(found.grown).equals(bars(found.whole))
    assert features(found.grown).equals(features(found.whole))
    replayed = found.whole.lines(found.days[0], found.days[-1])
    assert replayed.equals(found.grown.lines(found.days[0], found.days[-1]))
    said = found.said.sort(KEY)
    assert said["state"].unique().to_list() == ["said"]
    assert said.height == replayed.height == len(found.days) * replayed.select("symbol", "family").n_unique()
    later = replayed.sort(KEY)
    exact = pl.col("symbol") != "CCC"
    for name in (*KEY, *DECIDED):
        before, now = said.filter(exact)[name], later.filter(exact)[name]
        assert not before.ne_missing(now).any(), name
    for name in ("score", "size"):  # the provider rounds prices again after a split by ten
        before, now = (each.filter(~exact)[name].to_numpy() for each in (said, later))
        assert np.abs(now / before - 1.0).max() < 1e-5, name
    split = said.filter(said["close"] != later["close"])["symbol"].unique().sort().to_list()
    assert split == ["BBB", "CCC"], "splits restated the prices of these"
    paid = said.filter(pl.col("symbol").is_in(["BBB", "EEE", "FFF"]))
    assert all(len(own["factor"].unique()) > 1 for own in paid.partition_by("symbol"))
