"""An invented market: instruments with bars, splits and dividends that depend on a seed and a clock alone.

Bars are made once for twenty years and cut at the world's clock, so that time can be moved without changing the past.
What is served is split-adjusted at the clock's day, as Yahoo does it: a later split divides all earlier prices, and a
later dividend lowers earlier adjusted closes. Operations (dividend, split, restate, delist, rename) can be added while
the world runs.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
import hashlib
from collections import defaultdict
from dataclasses import dataclass, field
from fractions import Fraction
from zoneinfo import ZoneInfo

import numpy as np

from tests.loopback.names import Instrument, population

NEW_YORK = ZoneInfo("America/New_York")
FIRST, LAST = dt.date(2010, 1, 1), dt.date(2031, 12, 31)
OPENS, CLOSES = dt.time(9, 30), dt.time(16, 0)
FINAL = {"session": dt.time(16, 30), "coin": dt.timedelta(minutes=10)}  # when a day's bar no longer changes
DAY, HOUR = 86400, 3600  # seconds
HOURS_FROM = 2022  # first year of hourly bars
DAYS = np.arange(np.datetime64(FIRST), np.datetime64(LAST) + 1)
SESSIONS = DAYS[np.is_busday(DAYS)]


@dataclass(frozen=True)
class Operation:
    """Something that happens to one symbol: at `day`, or from `day` to `until`."""

    kind: str  # dividend | split | restate | delist | rename
    symbol: str  # as Yahoo calls it
    day: dt.date
    value: float = 0.0  # money a share, new shares per old, or the factor on prices
    until: dt.date | None = None
    name: str = ""  # new name


@dataclass(frozen=True)
class Path:
    """The whole life of an instrument, in prices as if no split had ever been."""

    first: int  # index into the calendar
    prices: np.ndarray  # (4, n): open, high, low, close
    volume: np.ndarray
    splits: list[tuple[int, float]]  # calendar index, new shares per old
    dividends: list[tuple[int, float]]  # calendar index, share of the close before
    gains: list[tuple[int, float]]


@dataclass(frozen=True)
class Event:
    """One event as served."""

    day: np.datetime64
    kind: str  # dividend | capital_gain | split
    value: float


@dataclass
class Series:
    """What is served of one instrument: float64 values that are exact float32 numbers, oldest first."""

    days: np.ndarray  # datetime64[D]
    open: np.ndarray
    high: np.ndarray
    low: np.ndarray
    close: np.ndarray
    adj_close: np.ndarray
    volume: np.ndarray
    events: list[Event] = field(default_factory=list)


class World:
    """Instruments, their bars at a moment, and what is done to them.

    Parameters
    ----------
    seed
        Decides everything but the operations.
    symbols
        How many invented instruments: stocks, ETFs and coins together.
    now
        The world's clock, aware; it stands still until it is moved.
    named
        Further instruments as (asset_class, symbol), for example those of a pinned list.
    """

    def __init__(self, seed: int, symbols: int, now: dt.datetime, named: tuple[tuple[str, str], ...] = ()) -> None:
        self.seed, self.now = seed, now
        self.instruments: dict[str, Instrument] = {each.yahoo: each for each in population(seed, symbols, named)}
        self.operations: list[Operation] = []
        self.path = functools.lru_cache(maxsize=256)(self._path)
        self.hours = functools.lru_cache(maxsize=32)(self._hours)

    def apply(self, operation: Operation) -> None:
        """Let something happen."""
        if operation.symbol not in self.instruments:
            raise KeyError(f"no {operation.symbol} in this world")
        self.operations.append(operation)

    def find(self, name: str) -> Instrument | None:
        """The instrument that goes by a name today; None where it never existed, was renamed away or delisted."""
        for each in reversed(self.operations):
            if each.kind == "rename" and each.name == name and self.day("stock") >= each.day:
                return self.instruments[each.symbol]
            if each.kind in ("rename", "delist") and each.symbol == name and self.day("stock") >= each.day:
                return None
        return self.instruments.get(name)

    def named_now(self, instrument: Instrument) -> Instrument | None:
        """The instrument under its present name; None where it is delisted."""
        for each in reversed(self.operations):
            if each.symbol == instrument.yahoo and each.day <= self.day("stock"):
                if each.kind == "delist":
                    return None
                if each.kind == "rename":
                    return dataclasses.replace(instrument, symbol=each.name, company=instrument.symbol)
        return instrument

    def day(self, asset_class: str) -> dt.date:
        """The last day whose bar is complete by the clock."""
        if asset_class == "crypto":
            return (self.now - FINAL["coin"]).date() - dt.timedelta(days=1)
        local = self.now.astimezone(NEW_YORK)
        day = local.date() if local.time() >= FINAL["session"] else local.date() - dt.timedelta(days=1)
        while day.weekday() > 4:
            day -= dt.timedelta(days=1)
        return day

    def series(self, instrument: Instrument) -> Series:
        """Complete daily bars and events of an instrument at the clock, as Yahoo serves them."""
        path, calendar = self.path(instrument), calendar_of(instrument)
        end = int(np.searchsorted(calendar, np.datetime64(self.day(instrument.asset_class)), side="right"))
        splits, dividends, gains = self._happened(instrument, path, end)
        n = max(end - path.first, 0)
        prices, before, after = self._restated(instrument, path, n), np.ones(n), np.ones(n)
        for at, ratio in splits:
            before[at - path.first :] *= ratio  # as traded, a price from the split on is this much lower
            after[: at - path.first] *= ratio  # and to be compared with today's, one before it is divided
        traded = np.maximum(np.round(prices / before, 2), 0.01)
        served = [single(row / after) for row in traded]
        volume = np.round(path.volume[:n] * before * after)
        paid = [
            Event(calendar[at], "dividend", _money(share, traded, after, at - path.first)) for at, share in dividends
        ]
        paid += [Event(calendar[at], "capital_gain", _money(s, traded, after, at - path.first)) for at, s in gains]
        split = [Event(calendar[at], "split", ratio) for at, ratio in splits]
        days = calendar[path.first : end]
        events = sorted([*paid, *split], key=lambda e: (e.day, e.kind))
        return Series(days, *served, adjusted(days, served[3], events), volume, events)

    def running(self, asset_class: str) -> dt.date | None:
        """The day whose bar is in the making at the clock, as long as it is so for the machine's clock as well.

        So that a client, who goes by the machine's clock, never takes it for complete.
        """
        local = self.now if asset_class == "crypto" else self.now.astimezone(NEW_YORK)
        if asset_class != "crypto" and not (local.weekday() < 5 and OPENS <= local.time() < CLOSES):
            return None
        end = dt.datetime.combine(local.date(), CLOSES, NEW_YORK)
        if asset_class == "crypto":
            end = dt.datetime.combine(local.date() + dt.timedelta(days=1), dt.time(), dt.UTC)
        return local.date() if dt.datetime.now(dt.UTC) < end else None

    def bars_since_birth(self, instrument: Instrument, step: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Unix starts, prices (4, n) and volume of daily or hourly bars to the end of time, splits undone."""
        if step == DAY:
            path = self.path(instrument)
            return starts(instrument.asset_class)[path.first :], path.prices, path.volume
        return self.hours(instrument)

    def hourly(self, instrument: Instrument) -> tuple[np.ndarray, np.ndarray]:
        """Hourly bars that are complete at the clock, as Yahoo serves them: unix starts; rows o, h, l, c, volume."""
        times, prices, volume = self.hours(instrument)
        n = int(np.searchsorted(times, int(self.now.timestamp()) - HOUR, side="right"))
        path, calendar = self.path(instrument), calendar_of(instrument)
        end = int(np.searchsorted(calendar, np.datetime64(self.day(instrument.asset_class)), side="right"))
        total = np.prod([ratio for _, ratio in self._happened(instrument, path, end)[0]])
        return times[:n], np.vstack([single(prices[:, :n] / total), np.round(volume[:n] * total)])

    def _hours(self, instrument: Instrument) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        random = stream(self.seed, instrument.asset_class, instrument.symbol, "hours")
        days = starts(instrument.asset_class)
        days = days[days >= dt.datetime(HOURS_FROM, 1, 1, tzinfo=dt.UTC).timestamp()]
        count = 24 if instrument.asset_class == "crypto" else 7
        times = (days[:, None] + HOUR * np.arange(count)).ravel()
        n = len(times)
        close, open_ = walk(random, n, 0.004, float(random.uniform(15, 250)))
        high, low = np.maximum(open_, close) * 1.001, np.minimum(open_, close) * 0.999
        return times, np.stack([open_, high, low, close]), np.round(random.uniform(1e3, 1e6, n))

    def _happened(self, instrument: Instrument, path: Path, end: int) -> tuple[list, list, list]:
        """Splits, dividends and capital gains with an ex-date from the second bar on and before `end`."""
        calendar = calendar_of(instrument)
        ours = [each for each in self.operations if each.symbol == instrument.yahoo]
        added = {
            kind: [(int(np.searchsorted(calendar, np.datetime64(e.day))), e.value) for e in ours if e.kind == kind]
            for kind in ("split", "dividend")
        }
        every = (path.splits + added["split"], path.dividends + [(at, -m) for at, m in added["dividend"]], path.gains)
        return tuple(sorted((at, v) for at, v in each if path.first < at < end) for each in every)

    def _restated(self, instrument: Instrument, path: Path, n: int) -> np.ndarray:
        prices = path.prices[:, :n].copy()
        days = calendar_of(instrument)[path.first : path.first + n]
        for each in self.operations:
            if each.kind == "restate" and each.symbol == instrument.yahoo:
                until = np.datetime64(each.until or LAST)
                prices[:, (days >= np.datetime64(each.day)) & (days <= until)] *= each.value
        return prices

    def _path(self, instrument: Instrument) -> Path:
        random = stream(self.seed, instrument.asset_class, instrument.symbol)
        calendar = calendar_of(instrument)
        latest = np.searchsorted(calendar, np.datetime64("2023-06-01"))
        first = int(random.integers(latest)) if random.random() < 0.25 else 0
        n = len(calendar) - first
        close, open_ = walk(random, n, float(random.uniform(0.008, 0.02)), float(random.uniform(15, 250)))
        wide = np.abs(random.standard_normal((2, n))) * 0.004
        high, low = np.maximum(open_, close) * np.exp(wide[0]), np.minimum(open_, close) * np.exp(-wide[1])
        volume = np.round(random.uniform(2e5, 2e7) * np.exp(0.4 * random.standard_normal(n)))
        return Path(first, np.stack([open_, high, low, close]), volume, *_scheduled(random, instrument, first, n))


def walk(random: np.random.Generator, n: int, volatility: float, start: float) -> tuple[np.ndarray, np.ndarray]:
    """Closes and opens of a random walk that a weak pull keeps within two orders of magnitude of its start."""
    shocks = volatility * random.standard_normal((2, n))
    level = np.cumsum(shocks[0] + 0.3 * shocks[1])
    level = 2.3 * np.tanh(level / 2.3)
    close = start * np.exp(level)
    open_ = np.concatenate([[start], close[:-1]]) * np.exp(0.3 * shocks[1])
    return close, open_


def adjusted(days: np.ndarray, close: np.ndarray, events: list[Event]) -> np.ndarray:
    """Closes lowered by what was paid later: each day's payments D take 1 - D / C of the day before."""
    factor, paid = np.ones(len(days)), defaultdict(float)
    for each in events:
        paid[each.day] += each.value if each.kind != "split" else 0.0
    for day, money in paid.items():
        at = int(np.searchsorted(days, day))
        if 0 < at < len(days):
            factor[:at] *= 1 - money / close[at - 1]
    return single(close * factor)


def single(values: np.ndarray) -> np.ndarray:
    """Rounded to what a 32-bit number can hold, as providers store prices."""
    return values.astype(np.float32).astype(np.float64)


def calendar_of(instrument: Instrument) -> np.ndarray:
    """Days on which an instrument trades."""
    return DAYS if instrument.asset_class == "crypto" else SESSIONS


def stream(*parts: object) -> np.random.Generator:
    """Random numbers of their own for whatever the parts name."""
    digest = hashlib.blake2b(":".join(map(str, parts)).encode(), digest_size=16).digest()
    return np.random.default_rng(int.from_bytes(digest, "big"))


@functools.cache
def starts(asset_class: str) -> np.ndarray:
    """Unix seconds at which the bars of the calendar start: New York's opening, or midnight UTC for coins."""
    if asset_class == "crypto":
        return DAYS.astype("datetime64[s]").astype(np.int64)
    days = [day.item() for day in SESSIONS]
    return np.array([int(dt.datetime.combine(day, OPENS, NEW_YORK).timestamp()) for day in days], dtype=np.int64)


def ratio(value: float) -> Fraction:
    """New shares per old as a fraction of small numbers."""
    return Fraction(value).limit_denominator(1000)


def _money(share: float, traded: np.ndarray, after: np.ndarray, at: int) -> float:
    """What was paid a share, in the split basis of the prices; negative `share` is the money itself, as of that day."""
    cash = -share if share < 0 else max(round(float(traded[3, at - 1]) * share, 4), 0.0001)
    return float(np.float32(cash / after[at]))


def _scheduled(random: np.random.Generator, instrument: Instrument, first: int, n: int) -> tuple[list, list, list]:
    """Splits, dividends and capital gains that the seed has in store."""
    if instrument.asset_class == "crypto":
        return [], [], []
    splits = []
    if random.random() < 0.08:
        at = sorted(random.choice(np.arange(60, n), size=int(random.integers(1, 3)), replace=False))
        splits = [(first + int(each), float(random.choice([2.0, 3.0, 4.0, 10.0, 1.5, 0.1]))) for each in at]
    dividends, gains = [], []
    if random.random() < 0.55:
        offset, share = int(random.integers(5, 63)), float(random.uniform(0.002, 0.012))
        dividends = [(first + at, share) for at in range(offset, n, 63)]
    if instrument.asset_class == "etf" and random.random() < 0.15:
        offset = int(random.integers(5, 250))
        gains = [(first + at, 0.004) for at in range(offset, n, 252)]
    return splits, dividends, gains
