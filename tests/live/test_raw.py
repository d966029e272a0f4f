"""The raw store: the same bytes whatever the order of folds and wherever a kill comes; the ledger is never believed."""

import itertools
import json
import random
import shutil

import polars as pl

from src import files
from src.live.raw import ENTRY, RawStore
from src.sources.provider import EVENTS, RAW, Answer
from tests.live.raw_case import NOW, answer, content, killed_at, since

SYMBOLS = ("AAA", "BBB", "CCC")


def store(root, interval="1d", buckets=1):
    return RawStore(root / "raw", interval, buckets)


def keep(made, given, **settings):
    key = (given.bars["asset_class"][0], given.bars["symbol"][0])
    made.keep(key, "yahoo", "fetched", NOW, answer=given, **settings)
    return key


def filled(root, symbols=SYMBOLS):
    made = store(root)
    for symbol in symbols:
        keep(made, answer(symbol))
    made.fold(0)
    return made


def test_what_was_served_comes_back_as_it_was_served(tmp_path):
    made = filled(tmp_path)
    held = made.read(0)
    assert held.bars.equals(pl.concat([answer(symbol).bars for symbol in SYMBOLS]))
    assert held.events.equals(pl.concat([answer(symbol).events for symbol in SYMBOLS]))
    assert held.bars.schema == pl.Schema(RAW) and held.events.schema == pl.Schema(EVENTS)
    one = made.read(0, [("stock", "BBB")])
    assert one.bars.equals(answer("BBB").bars) and one.events.equals(answer("BBB").events)
    assert made.pending() == []


def test_the_ledger_says_of_each_instrument_what_is_known(tmp_path):
    made = store(tmp_path)
    key = keep(made, answer("AAA"), name="AAA.X", facts={"type": "EQUITY"})
    made.keep(
        ("stock", "ZZZ"), "yahoo", "failed", NOW, tries=2, next_attempt=NOW, error_class="unavailable", error="502"
    )
    assert made.fold(0) == [key, ("stock", "ZZZ")]
    frame = made.entries()
    assert frame.schema == pl.Schema(ENTRY) and frame.equals(made.entries(0))
    good, bad = made.entry(key), made.entry(("stock", "ZZZ"))
    bars = answer("AAA").bars
    expected = {"provider": "yahoo", "name": "AAA.X", "state": "fetched", "tries": 0, "rows": 300, "checked": NOW,
                "first": bars["date"].min(), "last": bars["date"].max()}  # fmt: skip
    assert {name: good[name] for name in expected} == expected
    assert good["facts"] == {"currency": "USD", "type": "EQUITY"} and len(good["content_hash"]) == 32
    assert (bad["state"], bad["tries"], bad["next_attempt"], bad["error_class"], bad["error"], bad["rows"]) == (
        "failed", 2, NOW, "unavailable", "502", 0)  # fmt: skip
    assert bad["checked"] is None and bad["content_hash"] == "" and made.entry(("stock", "QQQ")) is None


def test_a_kill_between_any_two_file_operations_of_a_fold_changes_nothing_in_the_end(tmp_path):
    """First fetch, a refresh of one, a refetch of another and a failure, all pending at once."""
    start = filled(tmp_path / "start").root
    before = answer("BBB", seed=9)

    def work(made):
        grown = answer("AAA", 330)
        keep(made, since(grown, 45), replace=False)
        keep(made, before)
        keep(made, answer("DDD"))
        made.keep(("stock", "CCC"), "yahoo", "failed", NOW, tries=1, error_class="unavailable", error="reset")
        keep(made, Answer(before.bars.tail(5), before.events.tail(0)), replace=False)

    shutil.copytree(start, tmp_path / "calm" / "raw")
    calm = store(tmp_path / "calm")
    work(calm)
    with killed_at(-1) as steps:
        calm.fold(0)
    expected = content(calm.root)
    assert len(steps) >= 10
    for step, again in itertools.product(range(len(steps)), (None, 1, 4)):
        root = tmp_path / f"k{step}-{again}"
        shutil.copytree(start, root / "raw")
        made = store(root)
        work(made)
        with killed_at(step):
            made.fold(0)
        if again is not None:  # and once more, in the midst of the replay
            with killed_at(again):
                store(root).fold(0)
        files.sweep(root)
        made = store(root)
        for b in made.pending():
            made.fold(b)
        shutil.rmtree(made.root / "pending")
        left = {name: data for name, data in content(made.root).items() if ".tmp-" not in name}
        assert left == expected, f"killed before step {step} ({steps[step]}), then {again}"


def test_the_order_of_answers_and_folds_of_different_instruments_leaves_no_trace(tmp_path):
    answers = [answer(symbol) for symbol in "ABCDEF"]
    results = set()
    for order in range(4):
        made = store(tmp_path / str(order))
        shuffled = random.Random(order).sample(answers, len(answers))
        for i, given in enumerate(shuffled):
            keep(made, given)
            if i % (order + 1) == 0:
                made.fold(0)
        made.fold(0)
        results.add(json.dumps({name: data.hex() for name, data in content(made.root).items()}))
    assert len(results) == 1
