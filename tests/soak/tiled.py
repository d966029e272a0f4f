"""A universe as large as the full one, made of the bars of a smaller one laid out in tiles.

Each tile holds every instrument of the base once, under a symbol of its own and without its first bars, more of them
in each tile: no two instruments have the same history, training windows or features, and all have the faults, gaps and
calendars of the base. What a session of this size costs in time, memory and disk is then what real bars cost; what
passes is another matter, for the copies of one instrument are lucky together.

    python -m tests.soak.tiled <folder> [--instruments 10000] [--years 11]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import polars as pl

from src.config.schema import SimulatedSource, SourceConfig
from src.sources import simulated
from src.sources.declaration import Selection
from tests.market_case import MARKET

KEY = ["asset_class", "symbol"]
CUT = 5  # first bars that each further tile lacks
INVENTED = {"stock": 500, "etf": 200, "crypto": 24}  # where the market file is absent: as many as it has


def base(years: float | None = None) -> pl.DataFrame:
    """Bars of the shared market file, or invented ones where it is absent; of the last `years` alone where given."""
    path = MARKET / "bars.parquet"
    bars = pl.read_parquet(path) if path.exists() else _invented()
    if years is not None:
        bars = bars.filter(pl.col("date") > pl.col("date").max() - pl.duration(days=round(365.25 * years)))
    return bars.sort(*KEY, "date")


def write(folder: Path, instruments: int, years: float | None = None) -> int:
    """Write as many instruments as asked for, one Parquet file a tile; return the number of bars."""
    bars = base(years)
    keys = bars.select(KEY).unique().sort(KEY)
    folder.mkdir(parents=True, exist_ok=True)
    rows = 0
    for number, start in enumerate(range(0, instruments, keys.height)):
        # Spread over the base, so that a last tile that is not whole has every asset class.
        taken = keys.sample(min(keys.height, instruments - start), seed=number)
        made = tile(bars.join(taken, on=KEY, how="semi", maintain_order="left"), number)
        made.write_parquet(folder / f"tile{number:02d}.parquet")
        rows += made.height
    return rows


def tile(bars: pl.DataFrame, number: int) -> pl.DataFrame:
    """The base under other symbols, without its first bars; at least one bar of each instrument stays."""
    if number == 0:
        return bars
    row, length = pl.int_range(pl.len()).over(KEY), pl.len().over(KEY)
    left = bars.filter((row >= CUT * number) | (row == length - 1))
    return left.with_columns(pl.format("{}-T{}", "symbol", pl.lit(f"{number:02d}")).alias("symbol"))


def _invented() -> pl.DataFrame:
    source = SourceConfig(kind="simulated", simulated=SimulatedSource(**INVENTED))
    wanted = simulated.listing(source).with_columns(bucket=pl.lit(0))
    return pl.concat(batch.bars for batch in simulated.bars(source, Selection(wanted), Path()))


def main() -> None:
    """Write the tiles from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--instruments", type=int, default=10_000)
    parser.add_argument("--years", type=float)
    chosen = parser.parse_args()
    rows = write(chosen.folder, chosen.instruments, chosen.years)
    print(f"{chosen.instruments:,} instruments, {rows:,} bars in {chosen.folder}")  # noqa: T201 (its answer)


if __name__ == "__main__":
    main()
