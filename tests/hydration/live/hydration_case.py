"""The real command against the loopback world, in child processes that are killed: one case at two sizes.

`make test` runs it on 160 symbols with scaled clocks (`test_hydration_end_to_end.py`), `make soak` on 11,000
(`tests/soak/test_hydration.py`). The assertions are in `hydration_checks.py`.
"""

from __future__ import annotations

import datetime as dt
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from src.core.project import ROOT
from tests.loopback.faults import Faults
from tests.loopback.names import Instrument
from tests.loopback.process import Loopback, running
from tests.loopback.world import World
from tests.moment_case import OPEN, clock_set_to
from tests.process_case import HANG, Command, begin, pause, until

VENUES = ("coinbaseexchange", "kraken", "binanceus")  # the chain of coins, in its order
WORKERS = 6


@dataclass(frozen=True)
class Size:
    """Size of the world, rates of the providers, and share of faulty symbols."""

    symbols: int
    faults: float  # share of the symbols
    kills: int
    start: str  # first date wanted
    buckets: int
    ceiling: float  # requests per second that a provider allows
    seconds: float  # limit of one command
    seed: int = 11


SMALL = Size(symbols=160, faults=0.2, kills=3, start="2023-01-01", buckets=6, ceiling=30, seconds=HANG)
FULL = Size(symbols=11_000, faults=0.05, kills=8, start="2014-01-01", buckets=64, ceiling=30, seconds=3000)


@dataclass
class Done:
    """How a command ended."""

    code: int
    seconds: float
    out: str
    error: str
    memory: list[float] = field(default_factory=list)  # MiB, every half second

    @property
    def last(self) -> str:
        """The closing line."""
        return next(line for line in self.out.splitlines() if line.startswith("hydrate:"))


@dataclass
class Case:
    """A world in another process, a copy of it here as an oracle, and folders of stores; all have the clock set."""

    size: Size
    folder: Path
    loopback: Loopback
    world: World
    faults: Faults
    moment: dt.datetime  # from which the clock of each command goes on

    def wanted(self) -> list[Instrument]:
        """The instruments of this world in ``universe=full``: with over-the-counter names, without warrants."""
        kinds = ("common", "adr", "etf", "coin", "otc")
        return [each for each in self.world.instruments.values() if each.kind in kinds]

    def provider(self, instrument: Instrument) -> str:
        """The provider of an instrument: the first of the chain that has it."""
        return next((venue for venue in VENUES if venue in instrument.venues), "yahoo")

    def data(self, store: str) -> Path:
        """Data folder of a store."""
        return self.folder / store / "data"

    def bars(self, store: str) -> Path:
        """Bars folder of a store."""
        return self.data(store) / "bars" / "loop"

    def command(self, store: str, *overrides: str) -> list[str]:
        """The command line; time limits are scaled, other settings are the defaults."""
        rates = ", ".join(f"{name}: {self.size.ceiling:g}" for name in ("yahoo", *VENUES))
        return [
            sys.executable, "-m", "src.hydrate", "universe=full", "universe.name=loop", "source=auto",
            f"universe.buckets={self.size.buckets}", "universe.options=0", f"source.live.start={self.size.start}",
            f"source.live.workers={WORKERS}", f"source.live.rates={{{rates}}}", f"source.live.ceilings={{{rates}}}",
            "source.live.pause=0.4", "source.live.max_pause=3", "source.live.timeout=8",
            "source.live.contact=tests@example.org", *self.loopback.overrides(),
            f"data.root='{self.data(store)}'", f"data.logs='{self.folder / store / 'logs'}'",
            f"data.reports='{self.folder / store / 'reports'}'", *overrides,
        ]  # fmt: skip

    def begin(self, store: str, *overrides: str) -> Command:
        """Start the command; its output goes to files, because a pipe could fill up."""
        (self.folder / store).mkdir(exist_ok=True, parents=True)
        environment = {**os.environ, **clock_set_to(self.moment)}
        environment |= {"DVC_STAGE": "test", "DVC_ROOT": str(self.folder / store)}
        said = [tempfile(self.folder / store, kind).open("w", encoding="utf-8") for kind in ("out", "err")]
        try:
            return begin(self.command(store, *overrides), cwd=ROOT, env=environment, stdout=said[0], stderr=said[1])
        finally:
            for stream in said:
                stream.close()

    def finish(self, store: str, process: Command) -> Done:
        """Wait for a command and record its memory meanwhile."""
        memory: list[float] = []
        watcher = threading.Thread(target=watch, args=(process.pid, memory), daemon=True)
        watcher.start()
        try:
            code = process.wait(self.size.seconds)
        finally:
            process.end_group()
            watcher.join(HANG)
        words = [latest(self.folder / store, kind).read_text(encoding="utf-8") for kind in ("out", "err")]
        return Done(code, process.seconds(), *words, memory)

    def run(self, store: str, *overrides: str) -> Done:
        """Run the command to its end."""
        return self.finish(store, self.begin(store, *overrides))

    def requests(self) -> int:
        """Number of requests that Yahoo has received."""
        return int(self.loopback.ask("counts")["providers"].get("yahoo", {}).get("requests", 0))

    def killed(self, store: str) -> list[str]:
        """Run the command and kill it repeatedly, at moments that the seed chooses; return those moments."""
        draw = random.Random(self.size.seed)
        marks = sorted(draw.uniform(0.02, 0.85) * self.size.symbols for _ in range(self.size.kills))
        begun, said = self.requests(), []
        for mark in marks:
            process = self.begin(store)
            until(lambda mark=mark, process=process: self.requests() - begun >= mark or process.poll() is not None)
            pause(draw.uniform(0, 0.3))
            ended = process.poll()
            process.kill()
            process.end_group()
            said.append(f"after {self.requests() - begun} requests" if ended is None else f"ended by itself: {ended}")
        return said

    def interrupted(self, store: str) -> Done:
        """Start the command, and press Ctrl+C once it sends requests."""
        process, begun = self.begin(store), self.requests()
        until(lambda: self.requests() >= begun + 5, process)
        process.send_signal(signal.SIGINT)
        return self.finish(store, process)


@contextmanager
def hydration(size: Size, folder: Path, moment: dt.datetime = OPEN) -> Iterator[Case]:
    """A case with its world running, at a moment."""
    n = size.symbols
    storms = [f"yahoo:{round(0.2 * n)}:6", f"yahoo:{round(0.6 * n)}:4:1"] if size.faults else []
    arguments = ["--symbols", str(n), "--seed", str(size.seed), "--faults", str(size.faults)]
    arguments += [part for storm in storms for part in ("--storm", storm)]
    with running(*arguments, seconds=size.seconds * 6, env={**os.environ, **clock_set_to(moment)}) as loopback:
        world = World(size.seed, n, dt.datetime.fromisoformat(loopback.now))
        yield Case(size, folder, loopback, world, Faults(world, size.faults), moment)


def watch(pid: int, memory: list[float]) -> None:
    """Record the resident memory of a process and its children until it ends."""
    try:
        process = psutil.Process(pid)
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            family = [process, *process.children(recursive=True)]
            memory.append(sum(each.memory_info().rss for each in family) / 2**20)
            time.sleep(0.5)
    except psutil.Error:
        return


def tempfile(folder: Path, kind: str) -> Path:
    """The next file for the output of a command."""
    return folder / f"{kind}-{len(list(folder.glob(f'{kind}-*.txt'))):03d}.txt"


def latest(folder: Path, kind: str) -> Path:
    """The last such file."""
    return max(folder.glob(f"{kind}-*.txt"))
