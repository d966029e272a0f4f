"""Invented facts of every kind about one instrument, at odd moments, as `src.documents.facts` lays them out."""

import datetime as dt
from collections.abc import Callable

import numpy as np
import polars as pl

from src.config.paths import DatasetPaths
from src.documents.fact_store import FactStore
from src.documents.facts import COVERAGE, FACTS, schema
from src.features.fact_lookup import FactLookup, closes
from src.market.bars import BarStore, bucket

DATES = {"period": 40, "accepted": 0, "traded": 2, "published": 0}  # days before a fact is known
CODES = {"form": 9, "channel": 6, "owner": 5, "items": 4}
FLAGS = {"amended": 0.1, "earnings": 0.3, "departure": 0.1, "distress": 0.1, "officer": 0.5, "director": 0.5,
         "owner_of_ten_percent": 0.2, "planned": 0.4, "routine": 0.5, "annual": 0.25, "correction": 0.1}  # fmt: skip
SHARES_OUT = {("statements", "shares"), ("statements", "shares_before")}
SIGNED = ("shares", "value", "skew", "term_slope", "net_income", "operating_cash", "late")
GAPS = {"insider_trades": 9.0, "text_scores": 3.0, "filings": 12.0, "statements": 60.0, "chain_summaries": 2.0}  # days
Change = Callable[[dict[str, pl.DataFrame]], dict[str, pl.DataFrame]]
FIRST, LAST = dt.datetime(2011, 1, 3, tzinfo=dt.UTC), dt.datetime(2018, 6, 1, tzinfo=dt.UTC)


def facts(key=("stock", "AAA"), seed: int = 1, moments=None, span=(FIRST, LAST)) -> dict[str, pl.DataFrame]:
    """Facts of an instrument: an eighth of the values is missing, some moments stand a minute beside a close."""
    random = np.random.default_rng(seed)
    return {kind: one_kind(kind, key, random, moments, span) for kind in FACTS}


def one_kind(kind: str, key, random: np.random.Generator, moments, span) -> pl.DataFrame:
    first, last = (np.datetime64(day.replace(tzinfo=None), "us").astype(np.int64) for day in span)
    count = int((last - first) / 86_400e6 / GAPS[kind])
    known = np.sort(random.integers(first, last, count))
    if moments is not None:
        at = random.integers(0, count, count // 3)
        known[at] = random.choice(moments, len(at)) + random.choice([-60_000_000, 0, 1, 60_000_000], len(at))
        known = np.sort(known)
    day = known / 86_400e6
    columns = {name: values(kind, name, day, random) for name in FACTS[kind]}
    if kind == "insider_trades":  # of one sign
        columns["value"] = np.copysign(columns["value"], columns["shares"])
    return pl.DataFrame(
        {
            "asset_class": [key[0]] * count,
            "symbol": [key[1]] * count,
            "known": known,
            "document": [f"test:{number}:0" for number in range(count)],
            "backfilled": [False] * count,
            **columns,
        },
    ).with_columns(pl.col("known").cast(pl.Datetime("us", "UTC")), pl.col(*FACTS[kind]).fill_nan(None)).cast(
        pl.Schema(schema(kind))
    )  # fmt: skip


def values(kind: str, name: str, day: np.ndarray, random: np.random.Generator) -> np.ndarray:
    count = len(day)
    if name in DATES:  # some are on an older period than what is known already
        years = random.binomial(2, 0.1, count) if name == "period" else 0
        return np.floor(day) - DATES[name] - 365 * years
    if name in CODES:
        return random.integers(0 if name == "form" else 1, CODES[name], count).astype(float)
    if name in FLAGS:
        return np.where(random.random(count) < 0.1, np.nan, random.random(count) < FLAGS[name])
    if name == "tone":
        return np.tanh(random.standard_normal(count))
    if name in ("similarity", "confidence"):
        return random.uniform(0.3, 1, count)
    size = np.exp(0.5 * random.standard_normal(count)) * (1e6 if name in ("value", "shares") else 1e3)
    if name in SIGNED and (kind, name) not in SHARES_OUT:
        size *= random.choice([-1, 1], count)
    return np.where(random.random(count) < 0.125, np.nan, size)


def coverage(key=("stock", "AAA"), since=FIRST, until=LAST) -> pl.DataFrame:
    rows = [(*key, kind, since, until) for kind in FACTS]
    return pl.DataFrame(rows, schema=COVERAGE, orient="row")


def lookup(bars: pl.DataFrame, seed: int = 1, interval: str = "1d") -> FactLookup:
    """Facts of every instrument of a table of bars."""
    keys = bars.select("asset_class", "symbol").unique(maintain_order=True).rows()
    tables = [facts(key, seed + at) for at, key in enumerate(keys)]
    return FactLookup(
        {kind: pl.concat(table[kind] for table in tables) for kind in FACTS},
        pl.concat(coverage(key) for key in keys),
        interval,
    )


def moments_of(bars: pl.DataFrame, interval: str = "1d") -> np.ndarray:
    """When the bars of one instrument end."""
    return closes(bars.item(0, "asset_class"), bars["date"], interval)


def unchanged(tables: dict[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    return tables


def store_facts(paths: DatasetPaths, span, change: Change = unchanged, until: dt.datetime | None = None) -> None:
    """Facts of every instrument of a dataset, as `ingest` leaves them."""
    bars, store = BarStore(paths.bars), FactStore(paths.facts)
    keys = bars.instruments().select("asset_class", "symbol").rows()
    for b in bars.buckets():
        own = [key for key in keys if bucket(*key, bars.manifest.buckets) == b]
        tables = [facts(key, seed=5, span=span) for key in own]
        joined = {kind: pl.concat(table[kind] for table in tables) for kind in FACTS}
        store.write(b, change(joined), pl.concat(coverage(key, span[0], until or span[1]) for key in own))


def after(close: dt.datetime, wait: dt.timedelta) -> Change:
    """A change of what became known after a close: one more fact of each kind and instrument, and the rest gone."""

    def change(tables: dict[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
        changed = {}
        for kind, table in tables.items():
            kept = table.filter(pl.col("known") <= close)
            last = kept.unique(["asset_class", "symbol"], keep="last").with_columns(known=close + wait)
            changed[kind] = pl.concat([kept, last.with_columns(document=pl.lit("test:more:0"))])
        return changed

    return change
