"""A company's true history, and what a provider serves of it on a given day: the oracle for refreshes."""

import datetime as dt
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from src.fetching.provider import EVENTS, RAW, Answer

FIRST = dt.date(2023, 11, 20)
DAYS = [d for d in (FIRST + dt.timedelta(days=i) for i in range(140)) if d.weekday() < 5]


@dataclass
class ServedHistory:
    """As-traded closes by day number, dividends and splits by ex-date, and what was published late or revised.

    `paid` and `splits` hold (number of the day of the ex-date, value, number of the day from which it is served, number
    of the day from which it is not any more). `revised` holds (day of the revision, {day number: factor}).
    """

    closes: list[float]
    paid: list[tuple[int, float, int, int]] = field(default_factory=list)
    splits: list[tuple[int, float]] = field(default_factory=list)
    revised: list[tuple[int, dict[int, float]]] = field(default_factory=list)
    volumes: list[tuple[int, dict[int, float]]] = field(default_factory=list)
    absent: set[int] = field(default_factory=set)  # days without a bar
    gone: list[tuple[int, int]] = field(default_factory=list)  # (day, from when its bar is no longer served)

    def served(self, today: int, begin: dt.date = FIRST) -> Answer:
        """What is served from `begin` on at the end of day number `today`: in that day's basis, float32."""
        known = [(i, value) for i, value in self.splits if i <= today]
        gone = {i for i, when in self.gone if when <= today}
        rows, events = [], []
        for i in range(today + 1):
            if i in self.absent or i in gone or DAYS[i] < begin:
                continue
            close = self.closes[i] / np.prod([value for j, value in known if j > i])
            volume = 1000.0 + i
            for when, factors in self.revised:
                close *= factors.get(i, 1.0) if when <= today else 1.0
            for when, factors in self.volumes:
                volume *= factors.get(i, 1.0) if when <= today else 1.0
            prices = [float(np.float32(close * by)) for by in (0.99, 1.02, 0.97, 1.0)]
            rows.append(("stock", "AAA", DAYS[i], *prices, None, volume, "yahoo"))
        for i, value, since, until in self.paid:
            if i <= today and since <= today < until and DAYS[i] >= begin:
                amount = value / np.prod([by for j, by in known if j > i])
                events.append(("stock", "AAA", DAYS[i], "dividend", float(round(amount, 6)), "yahoo"))
        events += [("stock", "AAA", DAYS[i], "split", by, "yahoo") for i, by in known if DAYS[i] >= begin]
        return Answer(pl.DataFrame(rows, schema=RAW, orient="row"), pl.DataFrame(events, schema=EVENTS, orient="row"))
