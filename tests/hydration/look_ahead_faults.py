"""Faults that let a bar show what came later, planted into one instrument's bars as a source would deliver them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl

PRICES = ("open", "high", "low", "close")
CLOSES = ("close", "adj_close")
Fault = Callable[[pl.DataFrame], pl.DataFrame]


def early(name: str) -> pl.Expr:
    """Value of the next bar."""
    return pl.col(name).shift(-1).fill_null(pl.col(name)).alias(name)


def mixed(name: str, share: float) -> pl.Expr:
    """Value averaged with that of the next bar."""
    return (pl.col(name) * (1.0 - share) + early(name) * share).alias(name)


def centred(name: str, reach: int) -> pl.Expr:
    """Centred moving average."""
    return pl.col(name).rolling_mean(2 * reach + 1, center=True, min_samples=1).alias(name)


def enclosed(frame: pl.DataFrame) -> pl.DataFrame:
    """Bars whose high and low enclose open and close, so that no single bar looks wrong."""
    return frame.with_columns(
        high=pl.max_horizontal("high", "open", "close"), low=pl.min_horizontal("low", "open", "close")
    )


def of_closes(change: Callable[[str], pl.Expr]) -> Fault:
    return lambda frame: enclosed(frame.with_columns(change(name) for name in CLOSES))


def filled_from_later(frame: pl.DataFrame, share: float = 0.3) -> pl.DataFrame:
    """Missing closes filled with the next one."""
    missing = pl.Series(np.random.default_rng(3).random(frame.height) < share)
    chosen = [pl.when(missing).then(early(name)).otherwise(name).alias(name) for name in CLOSES]
    return enclosed(frame.with_columns(chosen))


def open_of_last_close(frame: pl.DataFrame) -> pl.DataFrame:
    return enclosed(frame.with_columns(open=pl.col("close").shift(1).fill_null(pl.col("open"))))


def repeated(
    frame: pl.DataFrame,
    *,
    length: int = 250,
    start: float = 0.3,
    gap: int = 0,
    joined: bool = True,
    noisy: bool = False,
) -> pl.DataFrame:
    """A stretch of bars again on later dates; prices may be joined at the seams, and volumes made different."""
    begin = int(frame.height * start)
    again = begin + length + gap
    length = min(length, frame.height - again)
    copied, replaced, rest = frame.slice(begin, length), frame.slice(again, length), frame.slice(again + length)
    close = frame["close"]
    if joined:
        copied = _scaled(copied, close[again - 1] / close[begin - 1])
        rest = _scaled(rest, copied["close"][-1] / close[again + length - 1])
    if noisy:
        noise = np.exp(0.3 * np.random.default_rng(1).normal(size=length))
        copied = copied.with_columns(volume=pl.col("volume") * pl.Series(noise))
    return pl.concat([frame.head(again), copied.with_columns(replaced["date"]), rest], how="vertical_relaxed")


def _scaled(frame: pl.DataFrame, by: float) -> pl.DataFrame:
    return frame.with_columns(pl.col(name) * by for name in (*PRICES, "adj_close"))


FAULTS: dict[str, Fault] = {
    "the whole close column a bar early": lambda f: f.with_columns(early(name) for name in CLOSES),
    "closes a bar early, enclosed": of_closes(early),
    "adjusted close a bar early": lambda f: f.with_columns(early("adj_close")),
    "close averaged with tomorrow's": lambda f: f.with_columns(mixed(name, 0.5) for name in CLOSES),
    "close averaged with tomorrow's, enclosed": of_closes(lambda name: mixed(name, 0.5)),
    "adjusted close averaged with tomorrow's": lambda f: f.with_columns(mixed("adj_close", 0.5)),
    "all prices averaged with tomorrow's": lambda f: f.with_columns(mixed(n, 0.5) for n in (*PRICES, "adj_close")),
    "open that is the last close": open_of_last_close,
    "stretch repeated": repeated,
    "stretch repeated at its old prices": lambda f: repeated(f, joined=False),
    "stretch repeated with other volumes": lambda f: repeated(f, noisy=True),
    "stretch repeated much later": lambda f: repeated(f, length=150, gap=200),
    "short stretch repeated": lambda f: repeated(f, length=30),
    "centred average of three closes": of_closes(lambda name: centred(name, 1)),
    "centred average of five closes": of_closes(lambda name: centred(name, 2)),
    "all prices a centred average": lambda f: f.with_columns(centred(n, 1) for n in (*PRICES, "adj_close")),
    "high and low of the next bar": lambda f: enclosed(f.with_columns(early("high"), early("low"))),
}
"""Each is quarantined at hydration, apart from opens of coins, where going on at the last close is normal."""

MILD_FAULTS: dict[str, Fault] = {
    "close a quarter of tomorrow's": of_closes(lambda name: mixed(name, 0.25)),
    "three closes in ten filled from later": filled_from_later,
    "one close in ten filled from later": lambda f: filled_from_later(f, 0.1),
    "high of the next bar": lambda f: enclosed(f.with_columns(early("high"))),
    "volume a bar early": lambda f: f.with_columns(early("volume")),
    "dates a bar late": lambda f: f.with_columns(pl.col(*PRICES, "adj_close", "volume").shift(1)).slice(1),
    "prices on a coarse grid": lambda f: f.with_columns(
        (pl.col(name) / (0.03 * pl.col("close").mean())).round() * (0.03 * pl.col("close").mean()) for name in PRICES
    ).with_columns(adj_close=pl.when(pl.col("adj_close").is_not_null()).then("close")),
}
"""Fainter, or invisible in the bars of one instrument: what passes on these is left to the check of the run."""
