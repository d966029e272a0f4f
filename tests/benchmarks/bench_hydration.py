"""What hydration itself can do, no pace prescribed and the servers on this machine: ``make bench``.

Figures depend on what else the machine does, so its load and the CPU time stand beside them; no time is asserted.
"""

from __future__ import annotations

import datetime as dt
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from src.config.compose import compose
from src.config.schema import LiveSource
from src.core.project import ROOT
from src.fetching.provider import EVENTS, Answer, BarRequest, RequestGate, raw_schema
from src.hydrate import hydrate
from src.hydration.live import sessions
from src.hydration.live.raw_store import RawStore
from src.sources import registry
from src.sources.yahoo import source
from tests.hydration.live.hydration_case import Size, hydration, watch
from tests.hydration.live.hydration_checks import rows
from tests.loopback.process import running
from tests.loopback.world import World

TEN_YEARS = "2016-11-01"
FILES, FILE_DAYS, INSTRUMENTS = 7_000, 2_500, 11_000
STOOQ = "<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>,<OPENINT>\n"


@dataclass
class Run:
    """A command that ended well."""

    seconds: float
    cpu: float
    memory: float  # MiB at most
    line: str


def say(words: str) -> None:
    """A line with the load of the machine."""
    load = f"{os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else "?"
    sys.stdout.write(f"\n{words} [load {load} on {os.cpu_count()} cores]\n")


def timed(folder: Path, *overrides: str) -> Run:
    """Run ``python -m src.hydrate`` with its data under `folder`."""
    folder.mkdir(exist_ok=True)
    places = [f"data.{name}='{folder / name}'" for name in ("logs", "reports")] + [f"data.root='{folder / 'data'}'"]
    command = [sys.executable, "-m", "src.hydrate", *places, *overrides]
    environment = {**os.environ, "DVC_STAGE": "bench", "DVC_ROOT": str(folder)}
    memory: list[float] = []
    before, began = os.times(), time.perf_counter()
    with (folder / "said.txt").open("w", encoding="utf-8") as said:
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=said, stderr=subprocess.STDOUT)
        watcher = threading.Thread(target=watch, args=(process.pid, memory), daemon=True)
        watcher.start()
        code = process.wait(280)
    seconds, after = time.perf_counter() - began, os.times()
    watcher.join(2)
    words = (folder / "said.txt").read_text(encoding="utf-8").strip()
    assert code == 0, words
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Run(seconds, cpu, max(memory, default=0.0), words.splitlines()[-1])


class Open:
    """A gate that lets everybody pass."""

    def enter(self) -> None: ...

    def answered(self) -> None: ...

    def refused(self, retry_after: float | None) -> None: ...


def test_fetch_and_keep_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    with running("--symbols", "300", seconds=280) as loopback:
        world = World(7, 300, dt.datetime.fromisoformat(loopback.now))
        living = [each for each in world.instruments.values() if world.named_now(each) == each]
        start, now = dt.date.fromisoformat(TEN_YEARS), dt.datetime.now(dt.UTC)
        wanted = [BarRequest(each.asset_class, each.symbol, start, name=each.yahoo) for each in living]
        provider = source.connect("yahoo", LiveSource(proxy=loopback.proxy, ca_file=loopback.ca_file), Open())
        store, spent = RawStore(tmp_path / "raw", "1d", 64), []
        for _ in range(3):
            began = time.perf_counter(), time.process_time()
            with ThreadPoolExecutor(6) as pool:
                for each, answer in zip(wanted, pool.map(provider.fetch, wanted), strict=True):
                    store.append((each.asset_class, each.symbol), "yahoo", "fetched", now, answer=answer)
            spent.append((time.perf_counter() - began[0], time.process_time() - began[1]))
        provider.close()
    wall, cpu = (min(each) / len(wanted) for each in zip(*spent, strict=True))
    say(f"fetch and keep alone: {1 / wall:.0f} symbols/s (budget 30), {cpu * 1e3:.1f} ms of CPU a symbol of 10 years")


@pytest.mark.parametrize("buckets", [8, 64])
def test_a_hydration_of_ten_years(tmp_path: Path, buckets: int) -> None:
    small = whole(tmp_path / "small", 250, buckets // 4)  # memory goes with the size of a bucket
    large = whole(tmp_path / "large", 1000, buckets)
    say(f"memory for four times the symbols in four times the buckets: {small:,.0f} MiB, x{large / small:.2f}")


def whole(folder: Path, symbols: int, buckets: int) -> float:
    """Hydrate this number of symbols, print the speed, and return the memory that it took in MiB."""
    size = Size(symbols=symbols, faults=0.0, kills=0, start=TEN_YEARS, buckets=buckets, ceiling=5000, seconds=280)
    folder.mkdir()
    with hydration(size, folder) as case:
        settings = [each for each in case.command("bench")[3:] if not each.startswith("data.")]
        done = timed(folder / "bench", *settings)
        seen = case.loopback.ask("counts")["providers"]["yahoo"]
        count = len(case.wanted())
    bars = sum(rows(path) for path in case.bars("bench").glob("b*.parquet"))
    say(
        f"hydrating {count:,} symbols of 10 years into {buckets} buckets: {count / done.seconds:.1f} symbols/s from"
        f" start to end (budget 30), {seen['requests'] / seen['seconds']:.1f} while asking; {done.seconds:.1f} s,"
        f" {done.cpu / count * 1e3:.0f} ms of CPU a symbol, {bars:,} bars, {done.memory:,.0f} MiB"
    )
    return done.memory


def test_stooqs_archive(tmp_path: Path) -> None:
    memory = []
    for files, buckets in ((FILES // 4, 16), (FILES, 64)):
        folder = tmp_path / f"{files}"
        archive(folder / "in", files)
        settings = ["universe=full", f"universe.buckets={buckets}", "universe.options=0", "source=stooq"]
        done = timed(folder, *settings, f"source.path='{folder / 'in'}'")
        assert f"{files:,} done" in done.line, done.line
        memory.append(done.memory)
        say(
            f"{files:,} of Stooq's files of {FILE_DAYS:,} days: {done.seconds:.0f} s (budget 120 for {FILES:,}),"
            f" {done.cpu / files * 1e3:.1f} ms of CPU a file, {done.memory:,.0f} MiB"
        )
    say(f"memory for four times the files in four times the buckets: x{memory[1] / memory[0]:.2f}")


def archive(folder: Path, files: int) -> None:
    """Write this number of files in Stooq's layout."""
    random = np.random.default_rng(3)
    days = pl.date_range(dt.date(2008, 1, 1), dt.date(2026, 1, 1), eager=True)
    days = days.filter(days.dt.weekday() < 6).tail(FILE_DAYS).dt.strftime("%Y%m%d")
    path = folder / "data" / "daily" / "us" / "nasdaq stocks" / "1"
    path.mkdir(parents=True)
    for n in range(files):
        close = (50 * np.exp(np.cumsum(0.01 * random.standard_normal(len(days))))).round(4)
        frame = pl.DataFrame({"day": days, "open": close, "high": close * 1.01, "low": close * 0.99, "close": close})
        rest = pl.lit(f"T{n}.US").alias("ticker"), pl.lit("D").alias("per"), "day", pl.lit("000000").alias("time")
        prices = ("open", "high", "low", "close", pl.lit(1e6 + n).alias("volume"), pl.lit(0).alias("interest"))
        text = frame.select(*rest, *prices).write_csv(include_header=False, float_precision=4)
        (path / f"t{n}.us.txt").write_text(STOOQ + text, encoding="utf-8")


class Short:
    """A provider in this process that serves three weeks of anything."""

    def __init__(self, name: str) -> None:
        self.name = name

    def fetch(self, wanted: BarRequest) -> Answer:
        end = sessions.last_complete(wanted.asset_class, "1d", dt.datetime.now(dt.UTC))
        days = pl.date_range(end - dt.timedelta(days=20), end, eager=True)
        days = days if wanted.asset_class == "crypto" else days.filter(days.dt.weekday() < 6)
        prices = {name: pl.lit(50.0) + pl.int_range(pl.len()) for name in ("open", "high", "low", "close")}
        given = {"asset_class": pl.lit(wanted.asset_class), "symbol": pl.lit(wanted.symbol), "volume": pl.lit(1e6)}
        frame = pl.DataFrame({"date": days}).with_columns(**prices, **given, source=pl.lit(self.name), adj_close=None)
        return Answer(
            frame.select(pl.col(name).cast(kind) for name, kind in raw_schema("1d").items()),
            pl.DataFrame(schema=EVENTS),
        )

    def close(self) -> None: ...


def short(name: str, _settings: LiveSource, _gate: RequestGate) -> Short:
    """Connect to it."""
    return Short(name)


def test_nothing_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.setattr(registry, "connect", short)
    with running("--symbols", str(INSTRUMENTS), seconds=280) as loopback:
        settings = ["universe=full", "universe.options=0", "source=auto", *loopback.overrides()]
        settings += ["source.live.contact=tests@example.org"]
        began = time.perf_counter()
        line = hydrate(compose([*settings, f"data.root='{tmp_path / 'data'}'"]))
        say(f"filling, three weeks each: {time.perf_counter() - began:.0f} s; {line}")
        runs = [timed(tmp_path, *settings) for _ in range(3)]
    best = min(runs, key=lambda run: run.seconds)
    say(f"nothing due: {best.seconds:.1f} s, {best.cpu:.1f} s of CPU, {best.memory:,.0f} MiB; {best.line}")
