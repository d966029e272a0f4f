"""Hydration end to end: states, resuming, doing nothing twice, and losing nothing that is there."""

import dataclasses
import logging
import os
from pathlib import Path

import polars as pl
import pytest

from src.core.errors import ConfigError, StageError
from src.core.project import ROOT
from src.hydrate import hydrate
from src.hydration.job import HydrationJob
from src.hydration.validation import validate
from src.market.bars import BarStore, bucket
from src.runtime import disk_space
from src.sources import folder, registry
from tests import warm_case
from tests.market_case import MARKET, config, scale, series, write

NAMES = ["AAA", "BBB", "CCC", "NA", "TRUE", "NEAR", "BAD", "LATE"]


def source(tmp_path: Path, n: int = 600, extra: str = "") -> Path:
    """One table of ten instruments, one of them bad, one ticker in two classes, and a file that can't be read."""
    frames = [series(name, n=n) for name in NAMES[:-2]] + [series("NEAR", n=n, asset_class="crypto")]
    frames += [scale(series("BAD", n=n), slice(300, n), 5000.0), series("LATE", n=n).tail(30)]
    frames += [series(extra, n=n)] if extra else []
    write(pl.concat(frames), tmp_path / "source" / "all.parquet")
    (tmp_path / "source" / "stocks").mkdir(exist_ok=True)
    (tmp_path / "source" / "stocks" / "TORN.parquet").write_bytes(b"PAR1...")
    return tmp_path / "source"


def content(tmp_path: Path) -> dict[str, bytes]:
    """Every file of the dataset and of its states."""
    data = tmp_path / "data"
    found = [p for part in ("bars", "states") for p in (data / part).rglob("*") if p.is_file()]
    return {p.relative_to(data).as_posix(): p.read_bytes() for p in found}


def store(tmp_path: Path) -> BarStore:
    return BarStore(tmp_path / "data" / "bars" / "mine")


COUNTS = "10 instruments of mine from folder: 8 done (0 repaired), 1 failed, 1 quarantined"
LINE = f"{COUNTS}; 4,230 bars, 2015-01-01 to 2017-04-19"


def test_every_instrument_ends_in_one_state_and_the_counts_add_up(tmp_path):
    source(tmp_path)
    assert hydrate(config(tmp_path)) == f"hydrate: {LINE}"
    states = pl.read_parquet(tmp_path / "data" / "states" / "mine" / "hydrate.parquet")
    assert states.columns == ["asset_class", "symbol", "state", "reason", "rows", "first", "last"]
    said = {f"{r['asset_class']}:{r['symbol']}": r for r in states.iter_rows(named=True)}
    assert len(said) == states.height == 10
    assert said["stock:TORN"]["state"] == "failed" and "truncated" in said["stock:TORN"]["reason"]
    assert said["stock:BAD"]["state"] == "quarantined" and "mixes price scales" in said["stock:BAD"]["reason"]
    assert said["stock:LATE"]["rows"] == 30 and said["stock:NA"]["state"] == said["stock:TRUE"]["state"] == "done"


def test_the_store_holds_what_validation_gives_and_keeps_a_ticker_of_two_classes_apart(tmp_path):
    source(tmp_path)
    hydrate(config(tmp_path))
    made = store(tmp_path)
    got = pl.concat([made.read_bucket(b) for b in made.buckets()]).sort("asset_class", "symbol", "date")
    expected, _ = validate(pl.read_parquet(tmp_path / "source" / "all.parquet"))
    assert got.equals(expected)
    assert got.filter(pl.col("symbol") == "NEAR").group_by("asset_class").len()["len"].to_list() == [600, 600]
    assert all(
        bucket(k, s, 4) == b
        for b in made.buckets()
        for k, s in made.read_bucket(b).select("asset_class", "symbol").unique().rows()
    )
    assert made.manifest.complete and made.manifest.source == "folder" and made.manifest.basis == "auto"
    assert made.instruments().filter(pl.col("symbol") == "AAA")["basis"].to_list() == ["split_adjusted"]
    assert made.panel()[:1][0][0] == "stock" and len(made.panel()) == 4
    assert len({made.digest(b) for b in made.buckets()}) == len(made.buckets())


def test_a_second_run_does_nothing(tmp_path, monkeypatch):
    source(tmp_path)
    hydrate(config(tmp_path))
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "data").rglob("*") if p.is_file()}
    unread = dataclasses.replace(folder.SOURCE, listing=lambda _: pytest.fail("the source was read"))
    monkeypatch.setattr(registry, "file_source", lambda _kind: unread)
    assert hydrate(config(tmp_path)) == f"hydrate: nothing to do; {LINE}"
    assert before == {p: p.stat().st_mtime_ns for p in (tmp_path / "data").rglob("*") if p.is_file()}


def test_a_touched_file_is_no_change_and_a_changed_one_rewrites_only_what_changed(tmp_path):
    path = source(tmp_path) / "all.parquet"
    hydrate(config(tmp_path))
    os.utime(path, (1, 1))
    assert "nothing to do" in hydrate(config(tmp_path))
    for shard in (tmp_path / "data" / "bars" / "mine").glob("*.parquet"):
        os.utime(shard, (1, 1))
    frame = pl.read_parquet(path)
    write(pl.concat([frame, series("AAA", n=601).tail(1)]), path)
    assert "4,231 bars" in hydrate(config(tmp_path))
    changed = [p.name for p in (tmp_path / "data" / "bars" / "mine").glob("b*.parquet") if p.stat().st_mtime > 1]
    assert changed == [f"b{bucket('stock', 'AAA', 4):03d}-2017.parquet"]


KILLED = """
import os, sys
from pathlib import Path
from src.storage import atomic as files
from tests.market_case import config
left = [int(sys.argv[2])]
whole = files.write_atomic
def dying(path, write, **how):
    if path.parent.name in ("mine", ".mine-fresh"):
        left[0] -= 1
        if left[0] == 0:
            os._exit(9)
    whole(path, write, **how)
files.write_atomic = dying
from src.hydrate import hydrate
settings = {"fresh": True} if "fresh" in sys.argv else {}
print(hydrate(config(Path(sys.argv[1]), **settings)))
"""


def killed(tmp_path: Path, after: int, *flags: str) -> int:
    """Hydrate in a process that dies, as by kill -9, at the n-th file it writes into the dataset."""
    return warm_case.run(["-c", KILLED, str(tmp_path), str(after), *flags], ROOT).returncode


def test_a_killed_hydration_goes_on_and_ends_like_an_uninterrupted_one(tmp_path):
    whole, torn = tmp_path / "whole", tmp_path / "torn"
    source(whole)
    source(torn)
    expected = hydrate(config(whole))
    for after in (1, 2, 3, 5, 4):
        assert killed(torn, after) == 9
    assert not store(torn).manifest.complete and 0 < len(store(torn).buckets()) < 3
    assert hydrate(config(torn)) == expected
    mine, other = content(torn), content(whole)
    path = "bars/mine/manifest.json"
    assert mine.pop(path) == other.pop(path).replace(str(whole).encode(), str(torn).encode())
    assert mine == other
    assert "nothing to do" in hydrate(config(torn))


def test_only_the_buckets_that_were_not_done_are_done_again(tmp_path, monkeypatch):
    source(tmp_path)
    assert killed(tmp_path, 9) == 9
    done = store(tmp_path).buckets()
    asked = []

    def noted(source, selection, scratch):
        asked.extend(selection.wanted["bucket"].unique())
        return folder.bars(source, selection, scratch)

    counted = dataclasses.replace(folder.SOURCE, bars=noted)
    monkeypatch.setattr(registry, "file_source", lambda _kind: counted)
    hydrate(config(tmp_path))
    assert done and not set(done) & set(asked) and sorted([*done, *asked]) == [0, 1, 3]


def test_fresh_starts_over_beside_the_old_dataset_and_a_kill_leaves_the_old_one_whole(tmp_path):
    source(tmp_path)
    hydrate(config(tmp_path))
    before = content(tmp_path)
    assert killed(tmp_path, 5, "fresh") == 9
    left = {k: v for k, v in content(tmp_path).items() if ".mine-fresh" not in k}
    assert left == before
    assert "nothing to do" in hydrate(config(tmp_path))
    assert hydrate(config(tmp_path, fresh=True)) == f"hydrate: {LINE}"
    assert content(tmp_path) == before


def test_a_kill_between_the_two_renames_of_fresh_is_made_good(tmp_path):
    source(tmp_path)
    hydrate(config(tmp_path))
    before = content(tmp_path)
    root = tmp_path / "data" / "bars"
    (root / "mine").rename(root / ".mine-old")
    assert "nothing to do" in hydrate(config(tmp_path)) and content(tmp_path) == before


def test_another_source_replaces_the_dataset_only_with_fresh(tmp_path):
    source(tmp_path)
    hydrate(config(tmp_path))
    before = content(tmp_path)
    other = {"source__kind": "simulated", "universe__allow_simulated": True, "source__simulated__stock": 2}
    with pytest.raises(
        ConfigError, match=r"dataset mine holds bars from source=folder, not simulated: name source=folder"
    ):
        hydrate(config(tmp_path, **other))
    with pytest.raises(ConfigError, match=r"with source.basis=auto, not total_return"):
        hydrate(config(tmp_path, source__basis="total_return"))
    write(series("AAA"), tmp_path / "elsewhere" / "all.parquet")
    with pytest.raises(ConfigError, match=r"holds bars from source=folder source.path=.*elsewhere"):
        hydrate(config(tmp_path, source__path=str(tmp_path / "elsewhere")))
    assert content(tmp_path) == before
    assert "from simulated: 16 done" in hydrate(config(tmp_path, fresh=True, **other))
    assert store(tmp_path).manifest.planted == [
        ["stock", "SIM01"],
        *([["etf", f"SIMF0{i}"] for i in (1, 4, 7)]),
        ["crypto", "SIMC01-USD"],
        ["crypto", "SIMC04-USD"],
    ]


def test_a_fresh_hydration_that_can_not_begin_destroys_nothing(tmp_path):
    source(tmp_path)
    hydrate(config(tmp_path))
    before = content(tmp_path)
    for settings in ({"source__path": str(tmp_path / "none")}, {"universe__symbols": ["NOPE"]}):
        with pytest.raises(ConfigError):
            hydrate(config(tmp_path, fresh=True, **settings))
    assert content(tmp_path) == before


def test_invented_bars_are_refused_for_a_universe_of_real_ones(tmp_path):
    with pytest.raises(
        ConfigError,
        match=r"makes invented bars, and universe=mine is for real ones: name source=auto ",
    ):
        hydrate(config(tmp_path, source__kind="simulated"))
    with pytest.raises(ConfigError, match=r"source.kind must be one of .*, got stoq; did you mean stooq\?"):
        hydrate(config(tmp_path, source__kind="stoq"))


def test_a_selection_or_a_last_date_that_would_drop_bars_is_refused(tmp_path):
    source(tmp_path)
    hydrate(config(tmp_path))
    with pytest.raises(ConfigError, match=r"holds 7 instruments that this selection leaves out .*only=\[\.\.\.\]"):
        hydrate(config(tmp_path, universe__symbols=["AAA"]))
    with pytest.raises(ConfigError, match=r"data.until=2016-01-29: dataset mine holds bars to 2017-04-19"):
        hydrate(config(tmp_path, data__until="2016-01-29"))


def test_a_later_last_date_ends_like_hydrating_to_it_at_once(tmp_path):
    once, twice = tmp_path / "once", tmp_path / "twice"
    source(once)
    source(twice)
    assert "to 2015-12-31" in hydrate(config(twice, data__until="2015-12-31"))
    hydrate(config(twice, data__until="2016-06-30"))
    hydrate(config(once, data__until="2016-06-30"))
    skip = "bars/mine/manifest.json"
    assert {k: v for k, v in content(twice).items() if k not in (skip, "bars/mine/panel.json")} == {
        k: v for k, v in content(once).items() if k not in (skip, "bars/mine/panel.json")
    }
    assert store(once).instruments().filter(pl.col("symbol") == "LATE").row(0)[2:4] == (
        "skipped",
        "the source has no bars up to 2016-06-30",
    )


def test_new_instruments_join_and_the_panel_stays_pinned(tmp_path):
    source(tmp_path)
    hydrate(config(tmp_path))
    panel = store(tmp_path).panel()
    source(tmp_path, extra="AAAA")
    assert hydrate(config(tmp_path)).startswith("hydrate: 11 instruments of mine from folder: 9 done")
    assert store(tmp_path).panel() == panel


def test_only_updates_the_named_instruments_and_leaves_the_others(tmp_path):
    path = source(tmp_path) / "all.parquet"
    hydrate(config(tmp_path))
    frame = pl.read_parquet(path)
    write(frame.with_columns(volume=pl.col("volume") + 1), path)
    hydrate(config(tmp_path, only=["stock:NEAR"]))
    made = store(tmp_path)
    got = pl.concat([made.read_bucket(b) for b in made.buckets()])
    plus = got.join(frame.select("asset_class", "symbol", "date", old="volume"), on=["asset_class", "symbol", "date"])
    renewed = plus.filter(pl.col("volume") != pl.col("old")).select("asset_class", "symbol").unique()
    assert renewed.rows() == [("stock", "NEAR")] and made.instruments().height == 10
    with pytest.raises(ConfigError, match=r"only: among 10 instruments there is no AAB \(close: "):
        hydrate(config(tmp_path, only=["AAB"]))
    assert "nothing to do" not in hydrate(config(tmp_path))


def test_only_on_an_empty_dataset_begins_it(tmp_path):
    source(tmp_path)
    assert "1 instrument of mine" in hydrate(config(tmp_path, only=["AAA"]))
    assert hydrate(config(tmp_path)) == f"hydrate: {LINE}"


def test_a_ranked_universe_looks_at_the_bars_and_gives_everyone_a_reason(tmp_path):
    source(tmp_path)
    line = hydrate(config(tmp_path, universe__stock=3, universe__crypto=0))
    assert line.startswith("hydrate: 3 instruments of mine from folder: 3 done")
    chosen = pl.read_parquet(tmp_path / "data" / "bars" / "mine" / "universe.parquet")
    assert chosen.height == 10 and chosen["reason"].null_count() == 0 and chosen["included"].sum() == 3


def test_findings_go_to_the_log_and_ambiguity_to_the_person(tmp_path, caplog):
    source(tmp_path)
    with caplog.at_level(logging.INFO, logger="src"):
        hydrate(config(tmp_path, universe__symbols=["NEAR", "BAD", "AAA"]))
    assert any(
        r.levelno == logging.WARNING and "NEAR is listed as crypto:NEAR and stock:NEAR" in r.message
        for r in caplog.records
    )
    assert any("stock:BAD quarantined: " in r.message for r in caplog.records)
    assert any("stock:CCC left out: not named" in r.message for r in caplog.records)


def test_where_no_instrument_can_be_used_the_stage_fails_with_a_reason(tmp_path):
    write(scale(series("BAD"), slice(300, 800), 5000.0), tmp_path / "source" / "all.parquet")
    with pytest.raises(StageError, match=r"none of 1 instruments could be used: .*mixes price scales"):
        hydrate(config(tmp_path))


def test_a_full_disk_is_said_before_any_work(tmp_path, monkeypatch):
    source(tmp_path)
    monkeypatch.setattr(disk_space, "free_bytes", lambda _: 10)
    with pytest.raises(StageError, match="hydrating 10 instruments needs"):
        hydrate(config(tmp_path))
    assert not (tmp_path / "data" / "bars").exists()


def test_the_key_of_the_job_knows_what_decides_the_content(tmp_path):
    source(tmp_path)

    def key(**settings):
        return HydrationJob.of(config(tmp_path, **settings)).key

    assert key() == key(engine__workers=7, seed=3, universe__panel=9)
    changes = [
        {"data__until": "2016-01-01"},
        {"universe__stock": 5},
        {"universe__symbols": ["AAA"]},
        {"source__basis": "total_return"},
        {"source__columns": {"close": "open"}},
    ]
    assert len({key(), *(key(**change) for change in changes)}) == 6


def test_hydrating_the_simulated_universe_is_the_same_each_time(tmp_path):
    settings = {"source__kind": "simulated", "universe__allow_simulated": True, "source__path": "nowhere"}
    first = hydrate(config(tmp_path / "a", **settings))
    assert hydrate(config(tmp_path / "b", **settings)) == first
    assert content(tmp_path / "a") == content(tmp_path / "b")
    assert first.startswith(
        "hydrate: 32 instruments of mine from simulated: 31 done (1 repaired), 0 failed, 1 quarantined"
    )


@pytest.mark.skipif(not (MARKET / "bars.parquet").is_file(), reason="the shared market file is not at hand")
def test_a_sixth_of_the_shared_market_file_is_hydrated_as_it_is(tmp_path):
    """All of it takes ten seconds: `tests/soak/test_market_file.py`."""
    place = pl.struct("asset_class", "symbol").rank("dense")
    path = write(pl.read_parquet(MARKET / "bars.parquet").filter(place % 6 == 0), tmp_path / "real.parquet")
    assert hydrate(config(tmp_path, source__path=str(path))) == (
        "hydrate: 120 instruments of mine from folder: 117 done (6 repaired), 0 failed, 3 quarantined;"
        " 269,039 bars, 2014-01-02 to 2024-12-07"
    )
