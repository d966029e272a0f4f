"""As-traded prices of the last close, which orders are reckoned by."""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable

import polars as pl

from src.core.instruments import KEY, Key
from src.market.bars import BarStore, bucket, tradable


def last_prices(store: BarStore, instruments: Iterable[Key], date: dt.date) -> dict[Key, float]:
    """Look up what instruments traded at.

    Parameters
    ----------
    store : BarStore
    instruments : iterable of (asset_class, symbol)
    date : date
        Bars after it are left out.

    Returns
    -------
    dict
        Close of the last tradable bar, as traded then: stored prices are adjusted for the splits that came since, and
        `split` takes them back (it counts as 1 where the split history is unknown). Instruments without a bar are
        missing.
    """
    if not store.exists():
        return {}
    count, wanted = store.manifest.buckets, defaultdict(list)
    for key in sorted(set(instruments)):
        wanted[bucket(*key, count)].append(key)
    out: dict[Key, float] = {}
    columns = [*KEY, "date", "open", "close", "volume", "split"]
    for number in sorted(set(wanted) & set(store.buckets())):
        bars = store.read_bucket(number, columns, wanted[number])
        known = bars.filter(tradable(bars) & (pl.col("date").cast(pl.Date) <= date))
        split = pl.col("split").fill_nan(None).fill_null(1.0)
        last = known.group_by(KEY, maintain_order=True).agg((pl.col("close") * split).last().alias("price"))
        out |= {(asset_class, symbol): price for asset_class, symbol, price in last.iter_rows()}
    return out
