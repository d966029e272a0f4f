"""What a book of a pooled champion costs beside its scores: ``python -m tests.benchmarks.bench_live FILE --copies 4``.

FILE is a Parquet table of bars (asset_class, symbol, date, prices, adj_close, volume), such as the shared market file;
its stocks are repeated under other names. Seconds are of CPU, memory is the process's most so far.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import psutil

from src.config.schema import EligibilityConfig, PortfolioConfig
from src.evaluation.pooled.eligibility import eligible
from src.evaluation.pooled.live_weights import live_weights
from src.evaluation.pooled.styles import styles
from src.market.cross_section import cross_section

PARTS = 32
PRICES = ("open", "high", "low", "close")


def parts(file: Path, copies: int) -> Iterator[pl.DataFrame]:
    """Bars of the stocks of a file, in parts, each repeated under other names."""
    bars = pl.scan_parquet(file).filter(pl.col("asset_class") == "stock", *(pl.col(name) > 0 for name in PRICES))
    symbols = sorted(bars.select(pl.col("symbol").unique()).collect()["symbol"])
    for first in range(PARTS):
        own = bars.filter(pl.col("symbol").is_in(symbols[first::PARTS])).unique(["symbol", "date"], keep="first")
        factor = (pl.col("adj_close") / pl.col("close")).fill_null(1.0).cast(pl.Float64)
        numbers = [pl.col(name).cast(pl.Float64) for name in (*PRICES, "volume")]
        part = own.with_columns(*numbers, factor=factor, split=pl.lit(1.0)).sort("symbol", "date").collect()
        for copy in range(copies):
            yield part.with_columns(symbol=pl.col("symbol") + f".{copy}")


def timed(what: str, work: Callable[[], Any]) -> Any:
    began = time.process_time()
    found = work()
    seconds, memory = time.process_time() - began, psutil.Process().memory_info().rss >> 20
    sys.stdout.write(f"{what:<32}{seconds:8.1f} s {memory:8,d} MiB\n")
    sys.stdout.flush()
    return found


def main(file: Path, copies: int, first_day: str) -> None:
    rule, choice = EligibilityConfig(), PortfolioConfig()
    section = timed("cross-section", lambda: cross_section(parts(file, copies), "stock"))
    ranked = timed("eligibility", lambda: eligible(section, rule))
    known = timed("styles", lambda: styles(section, ranked, rule))
    first = int(np.searchsorted(section.dates, np.datetime64(first_day)))
    days = (len(section.dates) - first, section.shape[1])
    random = np.random.default_rng(0).random(days, dtype=np.float32)
    scores = np.where(ranked[first:], random, np.float32(np.nan))
    for every in (5, 1):
        traded = PortfolioConfig(trade_every=every, signal_every=every)
        timed(
            f"weights, trades every {every} days",
            partial(live_weights, scores, first, section, ranked, known, traded, rule.delisting_return),
        )
    rows = f"{section.shape[1]:,} names, {section.shape[0]:,} sessions, {np.count_nonzero(ranked):,} eligible pairs"
    sys.stdout.write(f"{rows}; trades as in portfolio={choice.name}\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--copies", type=int, default=1)
    parser.add_argument("--first", default="2017-01-03", help="first graded day")
    asked = parser.parse_args()
    main(asked.file, asked.copies, asked.first)
