"""The quality of a dataset is counted once: every instrument in one outcome, no semicolon means anything."""

from pathlib import Path

import polars as pl

from src.core.finding import BarFinding
from src.hydration.quality import OUTCOMES, by_class, counts, quality, reason_rows, sentence
from src.market.bar_findings import FACT
from src.market.bars import BarStore
from src.storage.state_counts import reason_groups
from tests.quality_case import NASTY, STATES, state, stored_dataset


def test_every_instrument_has_one_outcome_and_they_add_up(tmp_path: Path):
    found = quality(stored_dataset(tmp_path))
    outcomes = dict(found.instruments.select("symbol", "outcome").iter_rows())
    assert outcomes == {
        "CLEAN": "as it came", "NOTED": "as it came", "FIXED": "repaired", "CUT": "rows dropped", "BAD": "quarantined",
        "A;B": "failed", "GONE": "skipped", "COIN-USD": "as it came",
    }  # fmt: skip
    counted = found.counts()
    names = [name.replace("it", "they").replace(" ", "_") for name in OUTCOMES]
    assert sum(counted[name] for name in names) == counted["instruments"] == 8
    assert (counted["used"], counted["noted"], counted["repaired_bars"], counted["bars"]) == (5, 1, 7, 1000)
    assert sum(part["instruments"] for part in by_class(found.instruments).values()) == 8


def test_the_sentence_says_every_outcome_that_occurs(tmp_path: Path):
    assert sentence(quality(stored_dataset(tmp_path)).counts()) == (
        "3 of 8 instruments used as they came, 1 repaired (7 of 1,000 bars, 0.7%), 1 with rows dropped, 1 quarantined,"
        " 1 failed, 1 skipped"
    )


def test_reasons_count_by_rule_and_a_semicolon_splits_none(tmp_path: Path):
    store = stored_dataset(tmp_path)
    found = quality(store)
    groups = reason_groups(reason_rows(store.instruments(), found.findings))
    assert [(g.state, g.kind, g.symbols, g.reason) for g in groups] == [
        ("failed", "unreadable", ("A;B",), NASTY),
        ("quarantined", "price_scales", ("BAD",), "x; y"),
        ("skipped", "no_bars", ("GONE",), "the source has no bars"),
        ("done", "leading", ("CUT",), "2 rows before the first valid close dropped"),
        ("done", "repeat", ("FIXED",), "3 bars repeating the last ones in every field (no trade)"),
        ("done", "no_open", ("FIXED",), "4 bars without a possible open (no trade)"),
        ("done", "stale", ("NOTED",), NASTY),
    ]


def test_a_dataset_older_than_findings_counts_its_reasons_whole(tmp_path: Path):
    store = stored_dataset(tmp_path)
    states = store.instruments()
    store.record(0, "job", states, "digest")  # without the column of findings
    found = quality(store)
    assert not found.complete and FACT not in states.columns
    assert counts(found.instruments)["repaired"] == 1
    groups = reason_groups(reason_rows(states, found.findings))
    assert {g.reason for g in groups} == set(states["reason"]) - {""}
    assert NASTY in {g.reason for g in groups}


def test_an_empty_store_has_no_instruments(tmp_path: Path):
    found = quality(BarStore(tmp_path))
    assert found.counts()["instruments"] == 0 and found.complete
    assert sentence(found.counts()) == "no instrument has been hydrated"
    assert isinstance(found.findings, pl.DataFrame) and BarFinding("a", "noted", "b").n == 0


def test_what_an_event_repaired_counts_as_repaired_though_no_bar_is_marked(tmp_path: Path):
    store = BarStore(tmp_path)
    split = BarFinding("split_applied", "repaired", "a 2:1 split on 2020-01-02 applied")
    store.record(0, "job", pl.DataFrame([state("A", "done", split)], schema=STATES, orient="row"), "digest")
    assert quality(store).counts()["repaired"] == 1
