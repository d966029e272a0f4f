"""Named splits on real series: what becomes of those that are right, and of each way to get one wrong.

    python -m tests.benchmarks.study_declared_splits [--market ../shared/market] [--every 1]

Each real stock and fund of the market file gets one named split at a day drawn by its own seed, in prices that are
right, as traded, divided twice, and so on, and goes through validation. The table counts series: repaired (the closes
are those of the right series again), quarantined, and passed with wrong prices; wrong volume alone counts as passed.
Then its real dividends: the factor by the events against that of the provider's adj_close.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import polars as pl

from src.hydration.validation import validate
from tests.market_case import MARKET

RATIOS = (2.0, 1.5, 3.0, 4.0, 10.0, 0.1)
VARIANTS = ("right", "not applied", "applied twice", "day +1", "day +2", "day +3", "day -1", "day -2", "day -3",
            "upside down", "named twice", "volume as traded")  # fmt: skip
PRICES = ("open", "high", "low", "close")


def say(what: str) -> None:
    """Print a line at once."""
    print(what, flush=True)  # noqa: T201 (a study prints its result)


def planted(frame: pl.DataFrame, variant: str, ratio: float) -> pl.DataFrame:
    """Series of the frame, each with a split named for the row `day`, and its prices wrong in one way."""
    row, day = pl.int_range(pl.len()).over("symbol"), pl.col("day")
    price, volume = pl.lit(1.0), None
    named = pl.when(row == day).then(1 / ratio if variant == "upside down" else ratio).otherwise(0.0)
    if variant == "not applied":
        price = pl.when(row < day).then(ratio).otherwise(1.0)
    elif variant == "applied twice":
        price = pl.when(row < day).then(1 / ratio).otherwise(1.0)
    elif variant == "upside down":
        price = pl.when(row < day).then(ratio * ratio).otherwise(1.0)
    elif variant == "named twice":
        named = pl.when((row == day) | (row == day + 1)).then(ratio).otherwise(0.0)
    elif variant == "volume as traded":
        volume = pl.when(row < day).then(1 / ratio).otherwise(1.0)
    elif variant.startswith("day"):
        true = day + int(variant[4:])
        late = pl.when((row >= day) & (row < true)).then(ratio)
        price = late.when((row >= true) & (row < day)).then(1 / ratio).otherwise(1.0)
    shares = 1 / price if volume is None else volume
    return frame.with_columns(*(pl.col(name) * price for name in PRICES), volume=pl.col("volume") * shares, split=named)


def outcome(frame: pl.DataFrame, variant: str, ratio: float) -> dict[str, float]:
    """Shares of series by what became of them."""
    bars, states = validate(planted(frame, variant, ratio).drop("day", "true"))
    same = (
        bars.join(frame.select("symbol", "date", "true"), on=["symbol", "date"])
        .group_by("symbol")
        .agg(
            ((pl.col("close") / pl.col("true")).log() - (pl.col("close") / pl.col("true")).log().last())
            .abs()
            .max()
            .alias("off")
        )
    )
    quarantined = states.filter(state="quarantined").height
    right = same.filter(pl.col("off") < 1e-6).height
    n = states.height
    return {"repaired": right / n, "quarantined": quarantined / n, "passed": (n - right - quarantined) / n}


def series(market: Path, every: int) -> pl.DataFrame:
    """Real series of stocks and funds that validation passes without a remark, each with a day for its split."""
    bars = pl.read_parquet(market / "bars.parquet").filter(pl.col("asset_class") != "crypto").sort("symbol", "date")
    names = bars.group_by("asset_class", "symbol").len().filter(pl.col("len") > 700).sort("symbol")
    names = names.gather_every(every).unique("symbol", keep="first", maintain_order=True)
    bars = bars.join(names.select("asset_class", "symbol"), on=["asset_class", "symbol"], how="semi")
    columns = [*PRICES, "volume"]
    bars = bars.select("asset_class", "symbol", "date", *(pl.col(name).cast(pl.Float64) for name in columns))
    _, states = validate(bars)
    fit = states.filter((pl.col("state") == "done") & (pl.col("reason") == "")).select("symbol")
    bars = bars.join(fit, on="symbol", how="semi")
    rows = bars.group_by("symbol", maintain_order=True).len()
    days = [int(np.random.default_rng([7, *s.encode()]).integers(400, n - 60)) for s, n in rows.rows()]
    return bars.join(rows.select("symbol", day=pl.Series(days)), on="symbol").with_columns(true="close")


def dividends(market: Path) -> str:
    """How far the factor by named dividends is from that of adj_close, over the real stocks that have both."""
    actions = pl.read_parquet(market / "corporate_actions.parquet")
    bars = pl.read_parquet(market / "bars.parquet").filter(pl.col("asset_class") == "stock")
    bars = bars.join(actions.select("symbol").unique(), on="symbol", how="semi")
    bars = bars.with_columns(pl.col(pl.Float32).cast(pl.Float64)).sort("symbol", "date")
    paid = actions.select("symbol", "date", dividend="dividends", split="splits")
    bars = bars.join(paid, on=["symbol", "date"], how="left")
    bars = bars.with_columns(pl.col("dividend", "split").fill_null(0.0))
    theirs, ours = (validate(frame)[0] for frame in (bars.drop("dividend"), bars.drop("adj_close")))
    last = [f.group_by("symbol").agg(pl.col("factor").last()) for f in (theirs, ours)]
    both = last[0].join(last[1], on="symbol").with_columns(off=(pl.col("factor_right") / pl.col("factor") - 1).abs())
    odd = both.filter(pl.col("off") > 1e-3).sort("symbol")
    names = ", ".join(f"{s} {off:.2%}" for s, off in odd.select("symbol", "off").rows())
    return (
        f"{both.height} stocks: the median difference over the whole history is {both['off'].median():.1e},"
        f" {odd.height} beyond 0.1% ({names})"
    )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--market", type=Path, default=MARKET)
    parser.add_argument("--every", type=int, default=1, help="take each n-th series")
    given = parser.parse_args()
    frame = series(given.market, given.every)
    say(f"{frame['symbol'].n_unique()} series")
    say(f"{'variant':18}{'ratio':>6}{'right closes':>19}{'quarantined':>13}{'passed wrong':>14}")
    for variant in VARIANTS:
        for ratio in RATIOS:
            got = outcome(frame, variant, ratio)
            say(f"{variant:18}{ratio:6.3g}{got['repaired']:19.2%}{got['quarantined']:13.2%}{got['passed']:14.2%}")
    say(dividends(given.market))


if __name__ == "__main__":
    main()
