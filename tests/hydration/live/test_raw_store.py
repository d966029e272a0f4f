"""The raw store: the same bytes whatever the order of folds and wherever a kill comes; the ledger is never believed."""

import json
import os
import random
import shutil

import polars as pl
import pytest

from src.fetching.provider import EVENTS, RAW, Answer
from src.hydration.live.raw_bucket import ENTRY
from src.hydration.live.raw_store import RawStore
from src.storage import atomic
from tests.hydration.live.raw_case import NOW, answer, content, killed_at, since

SYMBOLS = ("AAA", "BBB", "CCC")


def store(root, interval="1d", buckets=1):
    return RawStore(root / "raw", interval, buckets)


def keep(made, given, **settings):
    key = (given.bars["asset_class"][0], given.bars["symbol"][0])
    made.append(key, "yahoo", "fetched", NOW, answer=given, **settings)
    return key


def filled(root, symbols=SYMBOLS):
    made = store(root)
    for symbol in symbols:
        keep(made, answer(symbol))
    made.merge_logged(0)
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
    made.append(
        ("stock", "ZZZ"), "yahoo", "failed", NOW, tries=2, next_attempt=NOW, error_class="unavailable", reason="502"
    )
    assert made.merge_logged(0) == [key, ("stock", "ZZZ")]
    frame = made.entries()
    assert frame.schema == pl.Schema(ENTRY) and frame.equals(made.entries(0))
    good, bad = made.entry(key), made.entry(("stock", "ZZZ"))
    bars = answer("AAA").bars
    expected = {"provider": "yahoo", "name": "AAA.X", "state": "fetched", "tries": 0, "rows": 300, "checked": NOW,
                "first": bars["date"].min(), "last": bars["date"].max()}  # fmt: skip
    assert {name: good[name] for name in expected} == expected
    assert good["facts"] == {"currency": "USD", "type": "EQUITY"} and len(good["content_hash"]) == 32
    assert (bad["state"], bad["tries"], bad["next_attempt"], bad["error_class"], bad["reason"], bad["rows"]) == (
        "failed", 2, NOW, "unavailable", "502", 0)  # fmt: skip
    assert bad["checked"] is None and bad["content_hash"] == "" and made.entry(("stock", "QQQ")) is None


def test_a_kill_between_any_two_file_operations_of_a_merge_changes_nothing_in_the_end(tmp_path):
    """First fetch, a refresh of one, a refetch of another and a failure, all pending at once."""
    start = filled(tmp_path / "start").root
    before = answer("BBB", seed=9)

    def work(made):
        grown = answer("AAA", 330)
        keep(made, since(grown, 45), replace=False)
        keep(made, before)
        keep(made, answer("DDD"))
        made.append(("stock", "CCC"), "yahoo", "failed", NOW, tries=1, error_class="unavailable", reason="reset")
        keep(made, Answer(before.bars.tail(5), before.events.tail(0)), replace=False)

    shutil.copytree(start, tmp_path / "calm" / "raw")
    calm = store(tmp_path / "calm")
    work(calm)
    with killed_at(-1) as steps:
        calm.merge_logged(0)
    expected = content(calm.root)
    assert len(steps) >= 10
    for step, again in [(i, again) for i in range(len(steps)) for again in (None, i % 5)]:
        root = tmp_path / f"k{step}-{again}"
        shutil.copytree(start, root / "raw")
        made = store(root)
        work(made)
        with killed_at(step):
            made.merge_logged(0)
        if again is not None:  # and once more, in the midst of the replay
            with killed_at(again):
                store(root).merge_logged(0)
        atomic.remove_temporaries(root)
        made = store(root)
        for b in made.pending():
            made.merge_logged(b)
        shutil.rmtree(made.root / "pending")
        left = {name: data for name, data in content(made.root).items() if ".tmp-" not in name}
        assert left == expected, f"killed before step {step} ({steps[step]}), then {again}"


def test_answers_that_come_after_a_kill_are_merged_after_those_of_the_killed_merge(tmp_path):
    start = filled(tmp_path / "start").root

    def first(made):
        keep(made, since(answer("AAA", 330), 45), replace=False)
        keep(made, answer("DDD"))

    def then(made):
        keep(made, answer("EEE"))
        keep(made, since(answer("AAA", 340), 15), replace=False)

    shutil.copytree(start, tmp_path / "calm" / "raw")
    calm = store(tmp_path / "calm")
    first(calm)
    with killed_at(-1) as steps:
        calm.merge_logged(0)
    then(calm)
    calm.merge_logged(0)
    for step, again in [(i, again) for i in range(2, len(steps), 2) for again in (1, 2)]:
        root = tmp_path / f"k{step}-{again}"
        shutil.copytree(start, root / "raw")
        first(store(root))
        with killed_at(step):
            store(root).merge_logged(0)
        then(store(root))
        with killed_at(again):
            store(root).merge_logged(0)
        made = store(root)
        made.merge_logged(0)
        left = {name: data for name, data in content(made.root).items() if ".tmp-" not in name}
        assert left == content(calm.root), f"killed before step {step} ({steps[step]}), then {again}"


def test_the_order_of_answers_and_folds_of_different_instruments_leaves_no_trace(tmp_path):
    answers = [answer(symbol) for symbol in "ABCDEF"]
    results = set()
    for order in range(4):
        made = store(tmp_path / str(order))
        shuffled = random.Random(order).sample(answers, len(answers))
        for i, given in enumerate(shuffled):
            keep(made, given)
            if i % (order + 1) == 0:
                made.merge_logged(0)
        made.merge_logged(0)
        results.add(json.dumps({name: data.hex() for name, data in content(made.root).items()}))
    assert len(results) == 1


def keyed(made, key=("stock", "AAA")):
    return made.entry(key)


def test_a_daily_refresh_rewrites_the_current_year_the_events_and_the_ledger_and_no_other_file(tmp_path):
    made = filled(tmp_path)
    for path in made.root.glob("*.*"):
        os.utime(path, (1, 1))
    digest = made.digest(0)
    for symbol in SYMBOLS:
        grown = answer(symbol, 301)
        keep(made, since(grown, 11), replace=False)
    made.merge_logged(0)
    touched = {path.name for path in made.root.glob("*.*") if path.stat().st_mtime != 1}
    assert touched == {"b000-2023.parquet", "b000.json"} and made.digest(0) != digest
    for path in made.root.glob("*.*"):
        os.utime(path, (1, 1))
    paid = since(answer("AAA", 301), 11)
    row = pl.DataFrame([("stock", "AAA", paid.bars["date"][-1], "dividend", 1.0, "yahoo")], EVENTS, orient="row")
    keep(made, Answer(paid.bars, row), replace=False)
    made.merge_logged(0)
    assert {path.name for path in made.root.glob("*.*") if path.stat().st_mtime != 1} == {"e000.parquet", "b000.json"}


def test_a_refresh_without_news_changes_the_time_of_its_check_alone(tmp_path):
    made = filled(tmp_path)
    before, digest = made.entries(), made.digest(0)
    later = NOW.replace(day=12)
    tail = since(answer("AAA"), 10)
    made.append(("stock", "AAA"), "yahoo", "fetched", later, answer=tail, replace=False)
    made.merge_logged(0)
    after = made.entries()
    assert after.drop("checked").equals(before.drop("checked")) and made.digest(0) == digest
    assert after["checked"].to_list() == [later, NOW, NOW]


def test_a_failed_refresh_leaves_bars_facts_and_the_time_of_the_last_good_answer(tmp_path):
    made = filled(tmp_path)
    before, digest = keyed(made), made.digest(0)
    made.append(
        ("stock", "AAA"), "yahoo", "unknown", NOW.replace(day=12), tries=2, error_class="unknown", reason="gone"
    )
    made.merge_logged(0)
    after = keyed(made)
    same = ("first", "last", "rows", "content_hash", "checked", "facts")
    assert [after[name] for name in same] == [before[name] for name in same]
    assert (after["state"], after["tries"], after["error_class"], after["reason"]) == ("unknown", 2, "unknown", "gone")
    assert made.digest(0) != digest  # what is published says so


def test_adj_close_that_disagrees_with_the_events_is_said_in_the_ledger_until_a_whole_answer_agrees(tmp_path):
    made, good = store(tmp_path), answer("AAA")
    wrong = Answer(good.bars.with_columns(adj_close=pl.col("close")), good.events, good.facts)
    keep(made, wrong)
    made.merge_logged(0)
    assert keyed(made)["facts"]["adjustment"].startswith("5 steps of the provider's adj_close disagree with its events")
    keep(made, since(good, 10), replace=False)
    made.merge_logged(0)
    assert "adjustment" in keyed(made)["facts"]
    keep(made, good)
    made.merge_logged(0)
    assert keyed(made)["facts"] == {"currency": "USD"}


@pytest.mark.parametrize("fault", ["removed", "restored", "edited", "unreadable", "events", "stray"])
def test_an_entry_that_is_not_what_is_on_disk_counts_as_absent(tmp_path, caplog, fault):
    made = filled(tmp_path)
    shard, events = made.root / "b000-2022.parquet", made.root / "e000.parquet"
    if fault == "removed":
        shard.unlink()
    elif fault == "restored":  # an older copy of the file, whole in itself
        old = shard.read_bytes()
        keep(made, answer("BBB", seed=3))
        made.merge_logged(0)
        shard.write_bytes(old)
    elif fault == "edited":
        frame = pl.read_parquet(shard)
        here = (pl.col("symbol") == "BBB") & (pl.int_range(pl.len()) == pl.col("symbol").search_sorted("BBB"))
        frame.with_columns(pl.when(here).then(1.0).otherwise("close").alias("close")).write_parquet(shard)
    elif fault == "unreadable":
        shard.write_bytes(shard.read_bytes()[:-40])
    elif fault == "events":
        pl.read_parquet(events).filter(pl.col("symbol") != "BBB").write_parquet(events)
    else:
        answer("BBB", 5, first="2019-06-03").bars.write_parquet(made.root / "b000-2019.parquet")
    lost = set(SYMBOLS) if fault in ("removed", "unreadable") else {"BBB"}
    assert set(made.entries()["symbol"]) == set(SYMBOLS) - lost
    assert set(made.read(0).bars["symbol"]) == set(SYMBOLS) - lost
    assert f"the bars of {len(lost)} of 3 instruments are not what the ledger says (stock:" in caplog.text
    keep(made, since(answer("BBB"), 10), replace=False)  # a refresh of what is lost is no good
    made.merge_logged(0)
    assert keyed(made, ("stock", "BBB")) is None and "the bars before it are lost" in caplog.text
    for symbol in sorted(lost):
        keep(made, answer(symbol))
    made.merge_logged(0)
    assert content(made.root) == content(filled(tmp_path / "calm").root)


def test_a_bit_that_flipped_inside_a_file_is_found_by_the_next_fold(tmp_path):
    made = filled(tmp_path)
    shard = made.root / "b000-2022.parquet"
    mark = pl.read_parquet_metadata(shard)["content"]
    flipped = pl.col("close") + pl.when(pl.col("symbol") == "BBB").then(1e-9).otherwise(0)
    frame = pl.read_parquet(shard).with_columns(close=flipped)
    frame.write_parquet(shard, metadata={"content": mark})
    keep(made, answer("DDD"))
    made.merge_logged(0)
    assert made.entries()["symbol"].to_list() == ["AAA", "CCC", "DDD"]


def test_a_damaged_file_of_the_log_is_set_aside_with_a_warning(tmp_path, caplog):
    made = filled(tmp_path)
    for symbol in ("DDD", "EEE", "FFF"):
        keep(made, answer(symbol))
    paths = made.log.paths(0)
    paths[0].write_bytes(paths[0].read_bytes()[:1000])
    pl.DataFrame({"a": [1]}).write_parquet(paths[2])
    assert made.merge_logged(0) == [("stock", "EEE")]
    assert sorted(path.name for path in (made.root / "pending").iterdir()) == [
        "b000-00000000000000000003.damaged", "b000-00000000000000000005.damaged"]  # fmt: skip
    assert caplog.text.count("set aside as") == 2 and made.pending() == []
    keep(made, answer("DDD"))
    assert made.merge_logged(0) == [("stock", "DDD")]


def test_a_second_store_of_the_same_folder_overwrites_nothing_that_is_kept(tmp_path):
    one, two = store(tmp_path), store(tmp_path)
    keep(one, answer("AAA"))
    keep(two, answer("BBB"))
    keep(one, answer("CCC"))
    assert store(tmp_path).merge_logged(0) == [("stock", symbol) for symbol in SYMBOLS]


def bulk(symbol, n=300, **columns):
    return answer(symbol, n).bars.with_columns(close=pl.col("close") * 2, **columns).drop("adj_close", "source")


def test_bulk_rows_stand_beside_live_ones_and_are_replaced_by_the_next_archive_alone(tmp_path):
    made = store(tmp_path)
    made.load_archive(0, pl.concat([bulk("AAA"), bulk("BBB")]), "stooq", "first")
    entry = keyed(made)
    assert (made.archive_mark(0, "stooq"), made.archive_mark(0, "folder")) == ("first", "")
    assert (entry["provider"], entry["state"], entry["rows"]) == ("stooq", "fetched", 300)
    assert entry["checked"] is None and entry["facts"] == {}
    keep(made, since(answer("AAA", 310), 20))
    made.merge_logged(0)
    held = made.read(0, [("stock", "AAA")]).bars
    assert held["source"].value_counts().sort("source").rows() == [("stooq", 300), ("yahoo", 20)]
    keep(made, since(answer("AAA", 311), 5), replace=False)
    made.load_archive(0, bulk("AAA", 305), "stooq", "second")
    assert made.read(0).bars["source"].value_counts().sort("source").rows() == [("stooq", 305), ("yahoo", 21)]
    assert made.archive_mark(0, "stooq") == "second" and made.entries()["symbol"].to_list() == ["AAA"]
    assert keyed(made)["provider"] == "yahoo" and keyed(made)["checked"] == NOW and keyed(made)["rows"] == 326
    (made.root / "b000-2022.parquet").unlink()
    keep(made, answer("CCC"))
    made.merge_logged(0)
    assert made.archive_mark(0, "stooq") == ""  # bulk rows were lost: to be loaded again


def test_a_kill_while_bulk_rows_are_loaded_changes_nothing_in_the_end(tmp_path):
    start = filled(tmp_path / "start").root
    shutil.copytree(start, tmp_path / "calm" / "raw")
    calm = store(tmp_path / "calm")
    rows = pl.concat([bulk("AAA"), bulk("DDD")])
    with killed_at(-1) as steps:
        calm.load_archive(0, rows, "stooq", "mark")
    for step in range(len(steps)):
        root = tmp_path / f"k{step}"
        shutil.copytree(start, root / "raw")
        with killed_at(step):
            store(root).load_archive(0, rows, "stooq", "mark")
        made = store(root)
        for b in made.pending():
            made.merge_logged(b)
        if made.archive_mark(0, "stooq") != "mark":
            made.load_archive(0, rows, "stooq", "mark")
        left = {name: data for name, data in content(made.root).items() if ".tmp-" not in name}
        assert left == content(calm.root), f"killed before step {step}: {steps[step]}"


def test_intraday_bars_keep_their_times(tmp_path):
    made = store(tmp_path, "1h")
    whole = answer("AAA", 500, interval="1h", first="2025-12-25")
    key = keep(made, Answer(whole.bars.head(480), whole.events.head(8)))
    made.merge_logged(0)
    keep(made, Answer(whole.bars.tail(30), whole.events), replace=False)
    made.merge_logged(0)
    assert made.read(0).bars.equals(whole.bars) and made.read(0).events.equals(whole.events)
    assert (made.entry(key)["first"], made.entry(key)["last"]) == (whole.bars["date"][0], whole.bars["date"][-1])
    assert sorted(path.name for path in made.root.glob("b*.parquet")) == ["b000-2025.parquet", "b000-2026.parquet"]


def test_rows_repeated_disordered_and_undated_are_stored_as_they_came(tmp_path):
    made, given = store(tmp_path), answer("AAA", 20)
    odd = pl.concat([given.bars.head(5), given.bars.reverse(), given.bars.head(2).with_columns(date=None)])
    odd = odd.with_columns(close=pl.when(pl.col("volume") == 1003).then(float("nan")).otherwise("close"))
    odd = odd.with_columns(open=pl.when(pl.col("volume") == 1004).then(None).otherwise("open"))
    keep(made, Answer(odd, given.events))
    made.merge_logged(0)
    assert made.read(0).bars.equals(pl.concat([odd.tail(2), odd.head(25)])) and keyed(made)["rows"] == 27
    assert (made.root / "b000-0000.parquet").is_file()


def test_a_state_that_there_is_not_and_a_source_that_is_no_archive_are_refused(tmp_path):
    with pytest.raises(ValueError, match="state must be one of fetched, failed, unknown, unfit, got done"):
        store(tmp_path).append(("stock", "AAA"), "yahoo", "done", NOW)
    with pytest.raises(ValueError, match="source must be one of folder, stooq, got yahoo"):
        store(tmp_path).load_archive(0, bulk("AAA"), source="yahoo")


def test_buckets_stand_beside_each_other(tmp_path):
    made = store(tmp_path, buckets=4)
    keys = [keep(made, answer(f"S{i}", 20)) for i in range(12)]
    assert made.pending() == sorted({made.bucket(key) for key in keys})
    for b in made.pending():
        made.merge_logged(b)
    assert made.entries()["symbol"].to_list() == sorted(symbol for _, symbol in keys)
    assert sum(made.entries(b).height for b in range(4)) == 12 and made.digest(0) != made.digest(1)
    assert RawStore(tmp_path / "none", "1d", 4).entries().schema == pl.Schema(ENTRY) and made.digest(9) == ""
