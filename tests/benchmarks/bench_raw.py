"""Speed of the raw store, printed and not asserted: `make bench`."""

import sys
import time

import polars as pl

from src.fetching.provider import Answer
from src.hydration.live.corporate_actions import derived
from src.hydration.live.raw_store import RawStore
from src.hydration.live.refresh import compare
from tests.hydration.live.raw_case import NOW, answer, since

INSTRUMENTS, ROWS = 200, 2500


def timed(words, work, per=1, unit="s"):
    """Print wall and CPU time of `work`, divided by `per`."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    scale = (1000 if unit == "ms" else 1) / per
    spent = (time.perf_counter() - wall) * scale, (time.process_time() - cpu) * scale
    sys.stdout.write(f"{words}: {spent[0]:.2f} {unit}, CPU {spent[1]:.2f}\n")
    return result


def test_keep_fold_and_derive_a_bucket(tmp_path):
    store = RawStore(tmp_path / "raw", "1d", 1)
    full = [answer(f"S{i}", ROWS, first="2014-01-01") for i in range(INSTRUMENTS)]
    full = [Answer(each.bars.with_columns(adj_close=derived(each.bars, each.events).bars["adj_close"]), each.events)
            for each in full]  # fmt: skip

    def keep(answers, replace):
        for i, each in enumerate(answers):
            store.append(("stock", f"S{i}"), "yahoo", "fetched", NOW, answer=each, replace=replace)

    early = [Answer(each.bars.head(ROWS - 2), each.events) for each in full]
    latest = [since(each, 12) for each in full]
    sys.stdout.write("\n")
    timed("keep, an answer of 2,500 bars", lambda: keep(early, True), INSTRUMENTS, "ms")
    timed("fold 200 x 2,500 bars", lambda: store.merge_logged(0))
    timed("entries, read and checked against the files", store.entries)
    held = timed("read a bucket of 500,000 bars", lambda: store.read(0))
    parts = held.bars.partition_by("symbol", as_dict=True)
    pairs = [(parts[each.bars["symbol"][0],], each) for each in latest]
    none = held.events.head(0)
    timed("compare 12 bars", lambda: [compare(old, none, new) for old, new in pairs], INSTRUMENTS, "ms")
    timed("keep, an answer of 12 bars", lambda: keep(latest, False), INSTRUMENTS, "ms")
    timed("fold 200 refreshes", lambda: store.merge_logged(0))
    made = timed("derive a bucket", lambda: derived(held.bars, held.events))
    assert made.bars.height == INSTRUMENTS * (ROWS - 2) and isinstance(made.bars, pl.DataFrame)
