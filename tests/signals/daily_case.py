"""A universe that is hydrated, featurized and decided day by day through the loopback provider, and once at the end."""

from __future__ import annotations

import datetime as dt
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import polars as pl

from src.config.schema import Config, LiveSource
from src.features.build import FeatureJob, build
from src.features.store import FeatureStore
from src.hydration.job import HydrationJob
from src.hydration.live import collection
from src.market.bars import BarStore
from tests.loopback.process import Loopback, running
from tests.loopback.world import Operation
from tests.signals.trained_case import Trained, configured, in_folder, train

NAMED = tuple(("stock", name) for name in ("BBB", "CCC", "EEE", "FFF", "III"))
"""BBB pays dividends and splits, CCC splits back and forth, EEE and FFF pay; III is left as it is."""
FAMILIES = ("lightgbm", "xgboost", "catboost")
RATE = 1000.0


@dataclass
class Daily:
    """What the days left, and the same hydrated at once.

    Attributes
    ----------
    days : list of date
        Sessions that were hydrated one after the other.
    said : DataFrame
        Lines of each day, decided on that day.
    grown, whole : Trained
        The dataset that grew day by day, and the one that was hydrated at the end.
    """

    days: list[dt.date]
    said: pl.DataFrame
    grown: Trained
    whole: Trained


@contextmanager
def world(folder: Path) -> Iterator[Loopback]:
    """The loopback world with the named instruments."""
    folder.mkdir(parents=True, exist_ok=True)
    listed = folder / "named.csv"
    pl.DataFrame(NAMED, schema=["asset_class", "symbol"], orient="row").write_csv(listed)
    with running("--symbols", "0", "--seed", "3", "--named", str(listed)) as loopback:
        yield loopback


def live(folder: Path, loopback: Loopback, start: str) -> Config:
    """A configuration that hydrates from the world."""
    config = configured(folder, source__kind="auto", universe__buckets=2, data__until=None)
    config.universe.symbols = [":".join(key) for key in NAMED]
    config.source.live = LiveSource(
        chain={"stock": ["yahoo"]}, rates={"yahoo": RATE}, ceilings={"yahoo": RATE}, start=start,
        workers=2, pause=0.05, max_pause=0.2, timeout=8, contact="tests@example.org",
        proxy=loopback.proxy, ca_file=loopback.ca_file,
    )  # fmt: skip
    return config


def day_of(config: Config, loopback: Loopback, day: dt.date) -> None:
    """Move the world to the evening of a day, hydrate and featurize."""
    loopback.ask("now", at=dt.datetime.combine(day, dt.time(23)).isoformat())
    collection.run(HydrationJob.of(replace(config, retry="all")))
    build(FeatureJob.of(config))


def grown(folder: Path, count: int, first: dt.date, start: str, *names: str) -> Daily:
    """Hydrate, featurize and decide on `count` sessions, with splits and dividends in between."""
    dates = (first + dt.timedelta(days=number) for number in range(2 * count + 10))
    days = [day for day in dates if day.weekday() < 5][: count + 1]  # the world trades on holidays too
    with world(folder / "world") as loopback:
        config = live(folder / "grown", loopback, start)
        config.features.names = list(names)
        config.split.until = str(days[0])
        for each in events(days):
            loopback.ask("apply", as_json(each))
        day_of(config, loopback, days[0])
        case = train(config, *FAMILIES)
        case.champions()  # stores the models of runs that did not pass
        said = []
        for day in days[1:]:
            day_of(config, loopback, day)
            said.append(case.lines(day))
        at_once = live(folder / "whole", loopback, start)
        at_once.features.names = list(names)
        at_once.split.until = config.split.until
        day_of(at_once, loopback, days[-1])
    runs = in_folder(config, folder / "whole").paths.runs
    shutil.copytree(config.paths.runs, runs)
    return Daily(days[1:], pl.concat(said), case, Trained(at_once, case.tasks))


def events(days: list[dt.date]) -> list[Operation]:
    """A dividend each second session and splits on two of every five, of one instrument or another."""
    found = []
    for place, day in enumerate(days[1:], 1):
        if place % 2 == 0:
            found.append(Operation("dividend", ("BBB", "EEE", "FFF")[(place // 2 - 1) % 3], day, 0.3 + place / 100))
        if place % 5 == 3:
            found.append(Operation("split", "BBB", day, 2.0 if place // 5 % 2 == 0 else 0.5))
        if place % 5 == 0:
            found.append(Operation("split", "CCC", day, 0.1 if place // 5 % 2 == 0 else 10.0))
    return found


def as_json(operation: Operation) -> dict[str, Any]:
    """An operation as JSON."""
    return json.loads(json.dumps({k: v for k, v in asdict(operation).items() if v is not None}, default=str))


def bars(case: Trained) -> pl.DataFrame:
    """All bars of a dataset."""
    store = BarStore(case.config.paths.bars)
    return pl.concat([store.read_bucket(b) for b in store.buckets()])


def features(case: Trained) -> pl.DataFrame:
    """All features of a dataset."""
    store = FeatureStore(case.config.paths.features)
    return pl.concat([store.read_bucket(b) for b in store.buckets()])
