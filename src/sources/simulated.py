"""Generated bars that behave like real ones, with two known edges: the offline default.

Returns have fat tails (Student t), clustered volatility (GARCH) and a common factor, and consist of an overnight gap
and a session; coins trade every day and hardly gap. Volume follows volatility. The first of every three instruments of
a class has an edge of its own: after its close has moved away from its average of ten bars (coins: forty), the next
open-to-open return tends back. The others are a martingale with drift. Four stocks are faulty or thin on purpose.

The second edge lies across stocks (``pooled_edge``): a stock draws an interest that lasts for weeks, raises its volume
and lifts its price a little each day. One stock's history is too short to learn that from; the cross-section is not.

Every instrument has its own stream of random numbers, seeded by its key: bars are the same in any order, process and
selection, and the past is the same for any last date.
"""

from __future__ import annotations

import datetime as dt
import functools
import hashlib
import itertools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from src.config.schema import SimulatedSource, SourceConfig
from src.core.instruments import KEY
from src.market import calendar
from src.sources.declaration import Batch, FileSource, Selection

LAST = "2025-12-31"  # last date unless data.until says otherwise
_WINDOW = {"stock": 10, "etf": 10, "crypto": 40}  # bars of the average that the edge tends back to
_FREEDOM = 4.0  # of Student's t
_ALPHA, _BETA = 0.06, 0.92  # GARCH(1,1)
_OVERNIGHT = {"stock": 0.25, "etf": 0.25, "crypto": 0.002}  # share of the variance before the open
_DAILY = {"stock": (0.013, 0.024), "etf": (0.007, 0.013), "crypto": (0.03, 0.045)}  # range of daily volatility
_SHARED = {"stock": 0.3, "etf": 0.5, "crypto": 0.4}  # share of the variance that the common factor explains
_DRIFT = {"stock": 0.06, "etf": 0.05, "crypto": 0.10}  # a year
_TICKERS = {"stock": "SIM{:02d}", "etf": "SIMF{:02d}", "crypto": "SIMC{:02d}-USD"}
_HALF_LIFE = 60  # sessions, of the interest in a stock
_ATTENTION = 0.6  # log volume that a standard deviation of interest adds
_QUIRKS = {-1: "scales", -2: "thin", -4: "short", -5: "faults"}  # of the stocks, counted from the last
_LISTED = dt.date(2023, 10, 20)  # first bar of the short one
_UNFORESEEN = (  # closures at short notice, on which this market is open, so that a new one changes no generated bar
    *("2001-09-11", "2001-09-12", "2001-09-13", "2001-09-14", "2004-06-11", "2007-01-02"),
    *("2012-10-29", "2012-10-30", "2018-12-05", "2025-01-09"),
)
_QUIRKY_FROM = 12  # stocks; fewer have no quirks
Array = np.ndarray[Any, np.dtype[Any]]


def listing(source: SourceConfig) -> pl.DataFrame:
    """List the generated instruments.

    Parameters
    ----------
    source : SourceConfig
        Its number of instruments by class.

    Returns
    -------
    DataFrame
        asset_class, symbol; sorted.
    """
    return pl.DataFrame(_keys(source.simulated), schema=dict.fromkeys(KEY, pl.String()), orient="row").sort(KEY)


def planted(source: SourceConfig) -> list[tuple[str, str]]:
    """List the instruments with an edge of their own: the first of every three of each class.

    Parameters
    ----------
    source : SourceConfig
        Its number of instruments by class.

    Returns
    -------
    list of (str, str)
        asset_class, symbol.
    """
    settings = source.simulated
    counts = {"stock": settings.stock, "etf": settings.etf, "crypto": settings.crypto}
    return [(kind, _TICKERS[kind].format(i + 1)) for kind, n in counts.items() for i in range(0, n, 3)]


def bars(source: SourceConfig, selection: Selection, scratch: Path) -> Iterator[Batch]:  # noqa: ARG001 (not needed)
    """Generate the rows of the selected instruments bucket by bucket.

    Parameters
    ----------
    source : SourceConfig
        Its section ``simulated``.
    selection : Selection
        Instruments and last date.
    scratch : Path
        Not used.

    Yields
    ------
    Batch
        Of each bucket of the selection, ascending.
    """
    with_edge = set(planted(source))
    quirks = {("stock", _TICKERS["stock"].format(source.simulated.stock + 1 + i)): what for i, what in _QUIRKS.items()}
    for (b,), wanted in sorted(selection.wanted.partition_by("bucket", as_dict=True).items()):
        frames = []
        for key in wanted.select(KEY).rows():
            frame = instrument(
                source.simulated, key, selection.until or LAST, source.simulated.edge * (key in with_edge)
            )
            faulty = quirks.get(key) if source.simulated.stock >= _QUIRKY_FROM else None
            frames.append(_quirk(frame, faulty, _stream(source.simulated.seed, *key, "quirk")) if faulty else frame)
        yield Batch(int(str(b)), pl.concat(frames))


def instrument(settings: SimulatedSource, key: tuple[str, str], last: str, edge: float) -> pl.DataFrame:
    """Generate the bars of one instrument.

    Parameters
    ----------
    settings : SimulatedSource
        First date, seed, and strength of the edge across stocks.
    key : (str, str)
        asset_class, symbol.
    last : str
        Last date, YYYY-MM-DD.
    edge : float
        Share of one bar's volatility that the planted signal predicts; 0 for none.

    Returns
    -------
    DataFrame
        asset_class, symbol, date, open, high, low, close, volume, adj_close (null except for stocks), split (null).
    """
    kind, seed = key[0], settings.seed
    dates = sessions(kind, settings.first, last)
    n = len(dates)
    draw = {name: _stream(seed, *key, name) for name in ("fixed", "shock", "night", "high", "low", "volume")}
    low, high = _DAILY[kind]
    daily, share = draw["fixed"].uniform(low, high), _SHARED[kind] * draw["fixed"].uniform(0.6, 1.4)
    own = draw["shock"].standard_t(_FREEDOM, n) * np.sqrt((_FREEDOM - 2) / _FREEDOM)
    shock = np.sqrt(share) * _common(seed, kind, settings.first, last) + np.sqrt(1 - share) * own
    night = draw["night"].standard_normal(n)
    yearly = _DRIFT[kind] / (365 if kind == "crypto" else 252)
    pooled_edge = settings.pooled_edge if kind == "stock" else 0.0
    drawn = interest(seed, key[1], n) if pooled_edge else np.zeros(n)
    closes, opens, sigma = _path(shock, night, pooled_edge * drawn, daily, yearly, kind, edge)
    start = draw["fixed"].uniform(20, 150)
    closes, opens = start * np.exp(closes), start * np.exp(opens)
    session = np.log(closes / opens)
    spread = 2 * (sigma**2) * (1 - _OVERNIGHT[kind]) * 0.5
    up = 0.5 * (session + np.sqrt(session**2 - 2 * spread * np.log(draw["high"].uniform(size=n))))
    down = 0.5 * (session - np.sqrt(session**2 - 2 * spread * np.log(draw["low"].uniform(size=n))))
    busy = 0.9 * np.log(sigma / daily) + 0.25 * np.abs(shock) + 0.35 * draw["volume"].standard_normal(n)
    volume = np.round(np.exp(busy + _ATTENTION * drawn) * draw["fixed"].uniform(2e5, 5e6))
    frame = pl.DataFrame({"date": dates, "open": opens, "high": opens * np.exp(up), "low": opens * np.exp(down),
                          "close": closes, "volume": volume})  # fmt: skip
    adjusted = _with_dividends(dates, closes, quarterly=0.004) if kind == "stock" else np.full(n, np.nan)
    frame = frame.with_columns(adj_close=pl.Series(adjusted).fill_nan(None), split=pl.lit(None, pl.Float64))
    return frame.select(pl.lit(kind).alias("asset_class"), pl.lit(key[1]).alias("symbol"), pl.all())


def interest(seed: int, symbol: str, n: int) -> Array:
    """Draw the interest in a stock, which its volume shows and its price follows.

    Parameters
    ----------
    seed : int
        Of the simulated universe.
    symbol : str
        The stock.
    n : int
        Sessions from the first.

    Returns
    -------
    float64, shape (n,)
        A first-order autoregression of mean 0, standard deviation 1 and a half-life of 60 sessions.
    """
    shocks = _stream(seed, "stock", symbol, "interest").standard_normal(n)
    kept = 0.5 ** (1 / _HALF_LIFE)
    shocks[1:] *= math.sqrt(1 - kept**2)
    return np.array(list(itertools.accumulate(shocks.tolist(), lambda before, shock: kept * before + shock)))


def sessions(asset_class: str, first: str, last: str) -> Array:
    """Days with a bar: the sessions of the class, and the closures at short notice.

    Parameters
    ----------
    asset_class : str
        Coins have a bar every day.
    first, last : str
        YYYY-MM-DD, both included.

    Returns
    -------
    ndarray of datetime64[D]
        Ascending.
    """
    extra = [] if asset_class == "crypto" else [day for day in _UNFORESEEN if first <= day <= last]
    return np.union1d(calendar.sessions(asset_class, first, last), np.array(extra, "datetime64[D]"))


def _path(
    shock: Array, night: Array, lift: Array, daily: float, drift: float, kind: str, edge: float
) -> tuple[Array, Array, Array]:
    """Log closes, log opens and volatility, one bar after the other, since each depends on the bars before."""
    overnight, window = _OVERNIGHT[kind], _WINDOW[kind]
    by_night, by_day = math.sqrt(overnight) * night, math.sqrt(1 - overnight) * shock
    closes, opens, sigmas = [0.0] * len(shock), [0.0] * len(shock), [0.0] * len(shock)
    variance, before, signal, lifted = daily**2, 0.0, 0.0, 0.0  # what an edge adds is known the evening before
    steps = zip(by_night.tolist(), by_day.tolist(), lift.tolist(), strict=True)
    for k, (gap, session, lifts) in enumerate(steps):
        sigmas[k] = sigma = math.sqrt(variance)
        opens[k] = before + sigma * gap
        closes[k] = before = opens[k] + sigma * (session + edge * signal + lifted) + drift - 0.5 * variance
        variance = (1 - _ALPHA - _BETA) * daily**2 + variance * (_ALPHA * (gap + session) ** 2 + _BETA)
        recent = closes[max(0, k - window + 1) : k + 1]
        signal, lifted = -math.tanh((before - sum(recent) / len(recent)) / (1.2 * sigma)), lifts
    return np.array(closes), np.array(opens), np.array(sigmas)


@functools.lru_cache(maxsize=8)
def _common(seed: int, kind: str, first: str, last: str) -> Array:
    """The shocks that all instruments of a class share, one for each session."""
    n = len(sessions(kind, first, last))
    return np.asarray(_stream(seed, kind, "", "market").standard_t(_FREEDOM, n) * np.sqrt((_FREEDOM - 2) / _FREEDOM))


def _with_dividends(dates: Array, closes: Array, quarterly: float) -> Array:
    """Closes adjusted for a dividend each quarter, as in a vendor's adj_close: the last bar is unadjusted."""
    quarter = dates.astype("datetime64[M]").astype(int) // 3
    paid = np.concatenate([[False], quarter[1:] != quarter[:-1]])
    factor = np.cumprod(np.where(paid, 1 / (1 - quarterly), 1.0))
    return np.asarray(np.round(closes * factor / factor[-1], 6))


def _quirk(frame: pl.DataFrame, what: str, random: np.random.Generator) -> pl.DataFrame:
    """Damage a series as real ones are damaged."""
    n = frame.height
    if what == "short":
        return frame.filter(pl.col("date") >= _LISTED)
    chance = pl.Series(random.uniform(size=n))
    if what == "thin":
        return frame.with_columns(volume=pl.when(chance < 0.45).then(0.0).otherwise("volume"))
    values = ["open", "high", "low", "close", "adj_close"]
    if what == "scales":
        wrong = (chance < 0.01) & (pl.Series(np.arange(n)) > 300)
        return frame.with_columns(pl.when(wrong).then(pl.col(v) / 10).otherwise(v).alias(v) for v in values)
    row, bar = pl.int_range(pl.len()), pl.col("close")
    frame = frame.with_columns(
        close=pl.when(row == 700)
        .then(0.0)
        .when(row == 1100)
        .then(-bar)
        .when(row == 1600)
        .then(bar * 1000)
        .otherwise(bar),
        high=pl.when(row == 900).then(pl.col("low") * 0.9).otherwise("high"),
        volume=pl.when(row == 1300).then(None).otherwise("volume"),
    )
    return pl.concat([frame.head(500), frame.slice(499, 1), frame.slice(500)])


def _keys(settings: SimulatedSource) -> list[tuple[str, str]]:
    counts = {"stock": settings.stock, "etf": settings.etf, "crypto": settings.crypto}
    return [(kind, _TICKERS[kind].format(i + 1)) for kind, n in counts.items() for i in range(n)]


def _stream(seed: int, *names: str) -> np.random.Generator:
    """Random numbers that depend on the names alone."""
    digest = hashlib.blake2b(":".join([str(seed), *names]).encode(), digest_size=16).digest()
    return np.random.default_rng(int.from_bytes(digest, "big"))


SOURCE = FileSource("simulated", listing, bars, planted=planted, simulated=True)
