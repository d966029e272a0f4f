"""Answers of an invented provider, and a store in which kills can be planted."""

import contextlib
import datetime as dt
import shutil
from pathlib import Path

import numpy as np
import polars as pl

from src.fetching.provider import EVENTS, Answer, raw_schema
from src.storage import atomic

NOW = dt.datetime(2026, 2, 11, 21, 30, tzinfo=dt.UTC)


def answer(symbol: str = "AAA", n: int = 300, first: str = "2022-06-01", asset_class: str = "stock", seed: int = 0,
           source: str = "yahoo", interval: str = "1d") -> Answer:  # fmt: skip
    """Bars of `n` weekdays (or hours, if intraday) with a dividend every 60 bars."""
    random = np.random.default_rng([seed, *symbol.encode()])
    begin = dt.date.fromisoformat(first)
    if interval == "1d":
        dates = pl.date_range(begin, begin + dt.timedelta(days=2 * n + 7), eager=True)
        dates = (dates if asset_class == "crypto" else dates.filter(dates.dt.weekday() < 6)).head(n)
    else:
        start = dt.datetime.combine(begin, dt.time(), dt.UTC)
        dates = pl.datetime_range(start, start + dt.timedelta(hours=n - 1), "1h", time_unit="us", eager=True)
    close = np.float32(50 * np.exp(np.cumsum(0.01 * random.standard_normal(n)))).astype(float)
    prices = {"open": close * 0.999, "high": close * 1.01, "low": close * 0.99, "close": close, "adj_close": None}
    frame = pl.DataFrame({"date": dates}).with_columns(
        **{name: pl.lit(None) if value is None else pl.Series(value) for name, value in prices.items()},
        volume=pl.Series(1000.0 + np.arange(n)),
        asset_class=pl.lit(asset_class),
        symbol=pl.lit(symbol),
        source=pl.lit(source),
    )
    frame = frame.select(pl.col(name).cast(kind) for name, kind in raw_schema(interval).items())
    days = frame["date"].cast(pl.Date)
    paid = [(asset_class, symbol, days[i], "dividend", 0.25, source) for i in range(40, n, 60)]
    return Answer(frame, pl.DataFrame(paid, schema=EVENTS, orient="row"), {"currency": "USD"})


def since(whole: Answer, bars: int) -> Answer:
    """What the same provider would serve from the bar `bars` before the end on."""
    tail = whole.bars.tail(bars)
    first = tail["date"].cast(pl.Date).min()
    return Answer(tail, whole.events.filter(pl.col("date") >= first), whole.facts)


def until(whole: Answer, last: dt.date) -> Answer:
    """What the same provider served on an earlier day."""
    day = pl.col("date").cast(pl.Date)
    return Answer(whole.bars.filter(day <= last), whole.events.filter(day <= last), whole.facts)


def content(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, except those of the journal."""
    found = [path for path in sorted(folder.rglob("*")) if path.is_file() and "pending" not in path.parts]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


class Killed(BaseException):
    """The simulated end of the process."""


@contextlib.contextmanager
def killed_at(step: int):
    """Die before the file operation of this number (renames and removals, which make lasting changes).

    As after a real kill, temporary files stay behind. Yields a list of the operations done.
    """
    done: list[str] = []
    replace, unlink, rmtree = Path.replace, Path.unlink, shutil.rmtree

    def counted(operation):
        def run(path, *args, **kwargs):
            if len(done) == step:
                raise Killed
            done.append(f"{operation.__name__} {path.name}")
            return operation(path, *args, **kwargs)

        return run

    def left_behind(*args, **kwargs):
        if len(done) != step:
            rmtree(*args, **kwargs)

    Path.replace, Path.unlink, atomic.shutil.rmtree = counted(replace), counted(unlink), left_behind
    try:
        with contextlib.suppress(Killed):
            yield done
    finally:
        Path.replace, Path.unlink, atomic.shutil.rmtree = replace, unlink, rmtree
