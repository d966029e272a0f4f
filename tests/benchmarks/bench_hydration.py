"""Hydration as a whole against local servers, no pace prescribed: what the client itself can do. ``make bench``."""

from __future__ import annotations

import sys

from tests.live.hydration_case import Size, hydration
from tests.live.hydration_checks import rows

SIZE = Size(symbols=900, faults=0.0, kills=0, start="2014-01-01", buckets=16, ceiling=1000, seconds=280)


def test_symbols_a_second(tmp_path):
    with hydration(SIZE, tmp_path) as case:
        done = case.run("bench")
        assert done.code == 0, done.error
        seen = case.loopback.ask("counts")["providers"]["yahoo"]
        bars = sum(rows(path) for path in case.bars("bench").glob("b*.parquet"))
        sys.stdout.write(
            f"\nhydrating {SIZE.symbols} symbols since {SIZE.start}: {seen['requests'] / seen['seconds']:.1f} symbols/s"
            f" while asking (budget 30), {done.seconds:.0f} s in all, {bars:,} bars, {max(done.memory):,.0f} MiB\n"
        )
