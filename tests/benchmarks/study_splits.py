"""Splits that the prices don't show, planted into real stocks; and the real moves, of which none may be taken for one.

One split of each usual ratio is put into every stock on a random day: prices before it multiplied by the ratio and
rounded to the cent, share volume before it divided. Validated are the bars around that day. Printed is how many splits
are repaired (the bars equal the clean ones, to rounding), repaired wrongly, quarantined, and kept without a word. Then
all one-day moves beyond 25% of the whole files, by class and size: how many were taken for splits. Without a path the
bars are simulated.

    python -m tests.benchmarks.study_splits ../shared/market/bars.parquet ../shared/market/wide.parquet
"""

from __future__ import annotations

import argparse
import itertools
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from src.core.instruments import KEY
from src.hydration.validation import validate
from tests.hydration.split_case import RATIOS, SMALL_RATIOS, market, restored, with_split

CLASSES = {"liquid": 1e6, "ordinary": 5e4, "thin": 0.0}  # median turnover a day, in money, of the quarter before
BEFORE, AFTER = 100, 5  # bars that a planted day leaves on its sides
PAST, LATER = 320, 120  # bars around it that are validated, more than the rule looks at
LEAST_PRICE = 0.5  # as traded, over the bars before
LEAST_BARS = 400
MOVES = (1.25, 1 / 0.75, 1.5, 2.0, 3.0, math.inf)  # limits of the classes of real moves, as ratios of two closes
BATCH = 250


@dataclass(frozen=True)
class Window:
    """Bars around a day: as read, as validated, the day's row as read, its class, and the lowest close before it."""

    rows: pl.DataFrame
    clean: pl.DataFrame
    k: int
    kind: str
    lowest: float


def show(what: object) -> None:
    print(what, flush=True)  # noqa: T201 (a study prints its result)


def interval(count: int, of: int, z: float = 1.96) -> str:
    """Share and Wilson's 95% interval, in percent."""
    if not of:
        return "-"
    share, width = count / of, z * z / of
    middle = (share + width / 2) / (1 + width)
    half = z * math.sqrt(share * (1 - share) / of + width / of / 4) / (1 + width)
    return f"{share:.1%} ({max(0.0, middle - half):.1%} to {min(1.0, middle + half):.1%})"


def read(path: Path) -> pl.DataFrame:
    """Bars of a file without its adjusted closes: prices as traded come without them."""
    bars = pl.read_parquet(path).with_columns(pl.col(pl.Float32).cast(pl.Float64))
    return bars.drop("adj_close", strict=False).sort(*KEY, "date")


def simulated(count: int = 200) -> pl.DataFrame:
    return pl.concat([market(f"S{number:03d}", n=1200, seed=7, news=4).frame for number in range(count)])


def windows(bars: pl.DataFrame, seed: int) -> list[Window]:
    """A random day of each stock, with the bars around it, where validation finds nothing against them."""
    random, drawn = np.random.default_rng(seed), {}
    for rows in bars.filter(pl.col("asset_class") == "stock").partition_by(KEY, maintain_order=True):
        if rows.height < LEAST_BARS:
            continue
        day = int(random.integers(BEFORE, rows.height - AFTER))
        start = max(0, day - PAST)
        part, k = rows.slice(start, day - start + LATER), day - start
        if (part["close"] > 0).all() and part["open"][k] > 0:
            drawn[part["asset_class"][0], part["symbol"][0]] = (part, k)
    found = []
    for some in batches(list(drawn.values())):
        for key, clean in validate(pl.concat([part for part, _ in some]))[0].partition_by(KEY, as_dict=True).items():
            part, k = drawn[key[0], key[1]]
            past = part.slice(k - 63, 63)
            money = float((past["close"] * past["volume"]).median() or 0.0)
            kind = next(name for name, least in CLASSES.items() if money >= least)
            found.append(Window(part, clean, k, kind, float(past["close"].min())))
    return found


def batches(parts: list[Any]) -> Iterator[list[Any]]:
    for first in range(0, len(parts), BATCH):
        yield parts[first : first + BATCH]


def outcomes(chosen: list[Window], ratio: float) -> Iterator[tuple[str, str]]:
    """Class and outcome of one split in each window whose price as traded is not below `LEAST_PRICE`."""
    for some in batches([window for window in chosen if window.lowest * ratio >= LEAST_PRICE]):
        bars, states = validate(pl.concat([with_split(window.rows, window.k, ratio) for window in some]))
        found, said = bars.partition_by(KEY, as_dict=True), states.rows_by_key(KEY, named=True, unique=True)
        for window in some:
            key = (window.rows["asset_class"][0], window.rows["symbol"][0])
            here = int(window.clean["date"].search_sorted(window.rows["date"][window.k]))
            yield window.kind, outcome(said[key], found.get(key), window.clean, here, ratio)


def outcome(state: dict[str, Any], bars: pl.DataFrame | None, clean: pl.DataFrame, k: int, ratio: float) -> str:
    """What became of one split: quarantined, kept, repaired, or repaired wrongly."""
    if bars is None:
        return "quarantined"
    if all(each["rule"] != "unrecorded_split" for each in state["findings"]):
        return "kept"
    return "repaired" if restored(bars, clean, k, ratio) else "wrong"


def study_planted(bars: pl.DataFrame, seed: int) -> None:
    """Print the table of planted splits."""
    chosen = windows(bars, seed)
    total: dict[str, Counter[str]] = {kind: Counter() for kind in CLASSES}
    show(f"{'ratio':>7} {'splits':>7} {'repaired':>24} {'repaired or quarantined':>26} {'kept':>6} {'wrong':>6}   thin")
    for name, ratio in {**RATIOS, **SMALL_RATIOS}.items():
        found: dict[str, Counter[str]] = {kind: Counter() for kind in CLASSES}
        for kind, what in outcomes(chosen, ratio):
            found[kind][what] += 1
        if name in RATIOS:
            for kind in CLASSES:
                total[kind] += found[kind]
        _line(name, found["liquid"] + found["ordinary"], found["thin"])
    _line("usual", total["liquid"] + total["ordinary"], total["thin"])
    for kind in CLASSES:
        _line(kind, total[kind], Counter())


def _line(name: str, count: Counter[str], thin: Counter[str]) -> None:
    of, seen = count.total(), count["repaired"] + count["quarantined"]
    others = f"{thin['repaired']} + {thin['quarantined']} of {thin.total()}, wrong {thin['wrong']}" if thin else ""
    show(
        f"{name:>7} {of:>7,} {interval(count['repaired'], of):>24} {interval(seen, of):>26} {count['kept']:>6}"
        f" {count['wrong']:>6}   {others}"
    )


def moves(bars: pl.DataFrame) -> pl.DataFrame:
    """All one-day moves beyond 25%: asset_class, symbol, date, ratio of the closes (above 1), gap, size (its class)."""
    valid = bars.filter((pl.col("close") > 0) & (pl.col("open") > 0))
    before = pl.col("close").shift(1).over(KEY)
    valid = valid.with_columns(move=(pl.col("close") / before).log(), gap=(pl.col("open") / before).log())
    large = valid.with_columns(ratio=pl.col("move").abs().exp()).filter(pl.col("ratio") >= MOVES[0])
    size = pl.lit("")
    for low, high in itertools.pairwise(MOVES):
        label = f"x{low:.2f} to x{high:.2f}" if math.isfinite(high) else f"x{low:.2f} and more"
        size = pl.when(pl.col("ratio").is_between(low, high, closed="left")).then(pl.lit(label)).otherwise(size)
    ratios = [math.log(ratio) for ratio in {**RATIOS, **SMALL_RATIOS}.values()]
    near = pl.any_horizontal((pl.col("gap") + ratio).abs() < 0.01 for ratio in ratios)
    return large.select(*KEY, "date", "ratio", "move", "gap", near=near, size=size)


def study_moves(bars: pl.DataFrame) -> None:
    """Print how many real moves were taken for splits, and which."""
    _, states = validate(bars)
    found = states.select(*KEY, "state", "findings").explode("findings").unnest("findings")
    splits = found.filter(pl.col("rule") == "unrecorded_split")
    taken = splits.select(*KEY, date=pl.col("first"), effect=pl.col("effect"), text=pl.col("text"))
    apart = found.filter((pl.col("effect") == "quarantined") & (pl.col("rule") != "unrecorded_split"))
    table = moves(bars).join(apart.select(KEY).unique(), on=KEY, how="anti").join(taken, on=[*KEY, "date"], how="left")
    show(f"\nreal moves beyond 25% in {states.height:,} instruments; in those that other rules quarantine not counted")
    for names in (["asset_class"], ["size"], ["near"]):
        for label, rows in sorted(table.partition_by(names, as_dict=True).items()):
            _moves_line(f"{names[0]} {label[0]}", rows)
    _moves_line("all", table)
    show("\ntaken for splits:")
    with pl.Config(tbl_rows=60, fmt_str_lengths=90, tbl_width_chars=180, tbl_hide_dataframe_shape=True):
        show(taken.with_columns(pl.col("text").str.head(80)).sort("effect", *KEY))


def _moves_line(label: str, rows: pl.DataFrame) -> None:
    repaired, quarantined = (rows.filter(pl.col("effect") == effect).height for effect in ("repaired", "quarantined"))
    share = interval(repaired + quarantined, rows.height)
    show(f"{label:>28} {rows.height:>6,} repaired {repaired:>3} quarantined {quarantined:>3} {share}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="*", type=Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--part", choices=("both", "planted", "moves"), default="both")
    given = parser.parse_args()
    there = [path for path in given.paths if path.is_file()]
    for path in given.paths:
        show(f"{path}" if path in there else f"{path} is absent: simulated bars instead")
    for bars in [read(path) for path in there] or [simulated()]:
        if given.part != "moves":
            study_planted(bars, given.seed)
        if given.part != "planted":
            study_moves(bars)


if __name__ == "__main__":
    main()
