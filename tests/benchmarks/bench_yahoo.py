"""What a symbol of Yahoo's costs this machine, so that politeness alone sets the pace: ``make bench``."""

from __future__ import annotations

import datetime as dt
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import psutil
import pytest

from src.config.schema import LiveSource
from src.fetching.provider import BarRequest
from src.sources.yahoo import source
from tests.loopback.process import running
from tests.loopback.world import World

SYMBOLS = 300
START = dt.date(2014, 1, 1)


class Open:
    """A gate that lets everybody pass."""

    def enter(self) -> None: ...

    def answered(self) -> None: ...

    def refused(self, retry_after: float | None) -> None: ...


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[source.Yahoo, list[BarRequest]]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DVC_ROOT", str(tmp_path_factory.mktemp("main")))
        with running("--symbols", str(SYMBOLS), seconds=300) as loopback:
            world = World(7, SYMBOLS, dt.datetime.fromisoformat(loopback.now))
            living = [each for each in world.instruments.values() if world.named_now(each) == each]
            provider = source.connect("yahoo", LiveSource(proxy=loopback.proxy, ca_file=loopback.ca_file), Open())
            wanted = [BarRequest(each.asset_class, each.symbol, START, name=each.yahoo) for each in living]
            for each in wanted:  # the server renders each series once
                provider.fetch(each)
            yield provider, wanted
            provider.close()


def say(words: str) -> None:
    sys.stdout.write(f"\n{words}\n")


@pytest.mark.parametrize("threads", [1, 6])
def test_symbols_a_second(asked: tuple[source.Yahoo, list[BarRequest]], threads: int) -> None:
    provider, wanted = asked
    cpu, wall = time.process_time(), time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        rows = sum(pool.map(lambda each: len(provider.fetch(each).bars), wanted))
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    pace, cost, bars = len(wanted) / wall, cpu / len(wanted) * 1e3, rows / len(wanted)
    say(
        f"Yahoo, {threads} threads: {pace:.0f} symbols/s (budget 30), {cost:.1f} ms of CPU a symbol (budget 25), "
        f"{bars:,.0f} bars each"
    )


def test_memory(asked: tuple[source.Yahoo, list[BarRequest]]) -> None:
    provider, wanted = asked
    process = psutil.Process()
    sizes = []
    for _ in range(4):
        for each in wanted:
            provider.fetch(each)
        sizes.append(process.memory_info().rss / 2**20)
    say(f"memory after each of four rounds of {len(wanted)} symbols: {', '.join(f'{size:.0f}' for size in sizes)} MiB")
