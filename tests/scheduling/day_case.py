"""A day in a made-up world: a clock that is turned by hand, and steps that end as scripted."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import polars as pl

from src.config.paths import DatasetPaths
from src.config.schema import DailyConfig
from src.core.instruments import Key
from src.runtime.stage_process import StageEnd
from src.scheduling.day import Day, DayJob
from src.scheduling.steps import World
from src.signals.journal import Journal
from src.signals.tables import book_frame, lines_frame
from src.storage.atomic import write_parquet
from src.storage.day_record import DayRecord, read_record

FRIDAY = dt.date(2026, 11, 20)
CLOSE = dt.datetime(2026, 11, 20, 21, tzinfo=dt.UTC)  # 16:00 in New York
STEPS = ["hydrate", "featurize", "predict", "monitor", "report"]
Act = Callable[[Sequence[str]], StageEnd | None]


@dataclass
class Made:
    """What stands in for the steps, the clock and the addresses."""

    root: Path
    now: dt.datetime = CLOSE + dt.timedelta(hours=2)
    instruments: dict[Key, dt.date] = field(default_factory=lambda: {("stock", "AAPL"): FRIDAY, ("etf", "SPY"): FRIDAY})
    weights: dict[str, float] = field(default_factory=lambda: {"AAPL": 0.05})
    acts: dict[str, Act] = field(default_factory=dict)
    called: list[str] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)
    sent: list[tuple[str, str]] = field(default_factory=list)
    pings: list[bool] = field(default_factory=list)
    choice: DailyConfig = field(default_factory=DailyConfig)
    live: bool = True
    research: bool = False
    refit: str | None = None
    pinned: str | None = "2024-12-31"
    typed: list[str] = field(default_factory=lambda: ["universe=quick", "source=auto"])

    @property
    def paths(self) -> DatasetPaths:
        return DatasetPaths(self.root / "data", "quick", self.root / "reports")

    @property
    def params(self) -> Path:
        return self.root / "params.yaml"

    @property
    def record(self) -> DayRecord:
        record = read_record(self.paths.daily)
        assert record is not None
        return record

    def run(self, verb: str, words: Sequence[str]) -> StageEnd:
        own = [word for word in words if word not in self.typed and not word.startswith("why=")]
        self.called.append(" ".join([verb, *own]))
        self.now += dt.timedelta(seconds=10)
        if verb in self.acts and (end := self.acts[verb](words)) is not None:
            return end
        {"hydrate": self.hydrate, "predict": self.predict}.get(verb, lambda: None)()
        return StageEnd(0, f"{verb}: done")

    def hydrate(self) -> None:
        rows = [(*key, "done", last) for key, last in self.instruments.items()]
        names = {"asset_class": pl.String, "symbol": pl.String, "state": pl.String, "last": pl.Date}
        write_parquet(pl.DataFrame(rows, schema=names, orient="row"), self.paths.states("hydrate"))

    def predict(self) -> None:
        """Say the book of the last bar, once."""
        day = max(self.instruments.values())
        journal = Journal(self.paths.journal)
        books = journal.books()
        if day in books["book_date"].to_list():
            return
        old = {row["symbol"]: row["weight"] for row in books.filter(book_date=books["book_date"].max()).to_dicts()}
        rows: list[dict[str, Any]] = [
            {"book_date": day, "asset_class": "stock", "symbol": name, "weight": weight, "before": old.get(name, 0.0)}
            for name, weight in self.weights.items()
        ]
        journal.append("book", lines_frame([]), book_frame(rows), {})

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += dt.timedelta(seconds=seconds)

    def day(self) -> str:
        job = DayJob(
            self.paths, ["stock", "etf"], self.choice, self.refit, self.pinned, self.live, self.typed, self.params,
            self.research,
        )  # fmt: skip
        send = lambda title, body: self.sent.append((title, body))  # noqa: E731
        world = World(self.run, lambda: self.now, self.sleep, self.shown.append, send, self.pings.append)
        self.called.clear()
        self.slept.clear()
        return Day(job, world).carry_out()

    def choose(self, **changes: Any) -> None:
        self.choice = replace(self.choice, **changes)
