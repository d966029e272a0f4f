"""Champions that were sound, reversed, drifted, silent or changed; alarms that stay; what is written and shown."""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from src.core.errors import ConfigError, Incomplete, StageError
from src.features.store import FeatureStore, Filled
from src.market.bars import BarStore
from src.monitor import monitor
from src.monitoring import drift as drifting
from src.monitoring import review as reviewing
from src.monitoring import tables
from src.monitoring.actions import demote_flagged, show_in_registry
from src.monitoring.alarms import Alarm, AlarmState, acknowledge
from src.monitoring.closing import SHOWN, closing_line, is_flagged, table_lines
from src.monitoring.review import MonitorRequest, Review, review
from src.tracking.crowned_versions import CrownedVersion
from tests.features import stored_case
from tests.monitoring.monitor_case import KEYS, UNTIL, Watched, watched

AAA = KEYS[0]


@pytest.fixture
def case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Watched:
    """The dataset without a journal; its champions are those of the case, and the registry takes no tags."""
    made = watched(tmp_path)
    monkeypatch.setattr(reviewing, "crowned_versions", lambda _tracked: made.champions())
    monkeypatch.setattr("src.monitoring.actions.show_findings", lambda _tracked, _findings: [])
    for name in ("feature_drift", "score_drift"):  # fewer years without drift than usual, to be quick
        monkeypatch.setattr(drifting, name, functools.partial(getattr(drifting, name), draws=60))
    return made


def look(case: Watched, **choice: Any) -> Review:
    request = MonitorRequest.of(case.config)
    return review(dataclasses.replace(request, choice=dataclasses.replace(request.choice, **choice)))


def row(found: Review, name: str = "stock.AAA") -> dict[str, Any]:
    return found.champions.filter(name=name).row(0, named=True)


def wrong(score: Any) -> Any:
    """Scores that say the contrary, and are sure of it."""
    return np.clip(1.0 - 2.0 * (score - 0.5) - 0.5, 0.01, 0.99)


def test_sound_champions_are_as_their_record_says(case: Watched) -> None:
    found = look(case.replayed())
    assert found.champions["verdict"].to_list() == ["expected"] * 3
    assert found.book["verdict"].unique().to_list() == ["expected"]
    assert not is_flagged(found)
    assert closing_line(found).startswith("monitor: 3 champions and 1 book over 252 days (252 replayed): 3 as their")
    own = row(found)
    assert own["family"] == "lightgbm"
    assert own["sharpe_low"] < own["sharpe"] < own["sharpe_high"]
    assert (own["days"], own["live_days"], own["replayed_days"]) == (250, 0, 250)
    assert 0.0 < own["null_sharpe"] < own["oos_sharpe"]


def test_a_reversed_champion_is_flagged_and_the_others_are_not(case: Watched) -> None:
    found = look(case.replayed(AAA=wrong))
    assert row(found)["causes"] == "reversal"
    assert row(found)["reason"].startswith("its returns turned: Sharpe ratio -")
    assert found.champions["name"][0] == "stock.AAA"
    assert set(found.champions["verdict"][1:]) == {"expected"}
    assert "1 flagged (reversal 1)" in closing_line(found)


def test_an_alarm_stays_raised_until_it_is_acknowledged(case: Watched) -> None:
    case.replayed(AAA=wrong)
    raised = look(case)
    assert raised.champions["causes"][0] == "reversal"
    since = row(raised)["since"]
    again = look(case, false_alarms=1e-4, draws=200)  # by itself it would not be found now
    assert (row(again)["verdict"], row(again)["since"]) == ("flagged", since)
    with pytest.raises(ConfigError, match="needs why"):
        acknowledge(case.paths.monitor, "stock.AAA", " ")
    line = acknowledge(case.paths.monitor, "stock.AAA", "known", dt.date(2025, 1, 2))
    assert line.startswith(f"acknowledged stock.AAA (reversal since {since})")
    after = look(case)
    assert row(after)["verdict"] == "expected"
    assert "2025-01-02 by" in row(after)["acknowledged"]
    with pytest.raises(StageError, match=r"no alarm is raised for stock.AAA \(raised: champions\)"):
        acknowledge(case.paths.monitor, "stock.AAA", "again")


def test_a_silent_champion_is_at_fault(case: Watched) -> None:
    case.say(case.lines(AAA)[:-5])
    found = look(case)
    assert row(found)["causes"] == "fault"
    assert row(found)["reason"].startswith(
        "no decision in time for 5 sessions (monitor.max_late=3): 5 of its bars have"
    )
    assert row(look(case, max_late=5))["verdict"] == "flagged"  # raised before
    acknowledge(case.paths.monitor, "all", "the machine was off")
    assert row(look(case))["verdict"] == "expected"  # sessions after that day count


def test_a_delisted_instrument_is_named_as_such(case: Watched) -> None:
    case.say(case.lines(AAA, last=dt.date(2024, 11, 1)))
    of_aaa = pl.col("symbol") == "AAA"
    case.with_bars(lambda bars: bars.filter(~of_aaa | (pl.col("date") <= dt.date(2024, 11, 1))))
    assert "no tradable bar after 2024-11-01 (delisted, renamed, or not hydrated)" in row(look(case))["reason"]


def test_a_changed_model_is_a_fault(case: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    against = CrownedVersion(
        "stock.AAA", 1, "run", case.champions()[0].record_id, "a" * 24, objections=("changed file",)
    )
    monkeypatch.setattr(reviewing, "crowned_versions", lambda _tracked: [against, *case.champions()[1:]])
    found = row(look(case.replayed()))
    assert (found["causes"], found["reason"]) == ("fault", "changed file (since 2024-12-31)")


def test_a_young_champion_says_nothing_of_its_returns(case: Watched) -> None:
    case.say([line for key in KEYS for line in case.lines(key, wrong, last=dt.date(2024, 1, 12))][:8])
    case.with_bars(lambda bars: bars.filter(pl.col("date") <= dt.date(2024, 1, 16)))
    found = look(case, max_late=100)
    assert row(found)["verdict"] == "young"
    assert found.book["verdict"].to_list()[0] == "young"


def test_a_champion_with_one_day_and_one_that_never_traded(case: Watched) -> None:
    case.say(case.lines(AAA)[:3])
    case.say(case.lines(KEYS[1], position=0.0))
    found = look(case, max_late=1000)
    assert row(found)["days"] == 3
    assert row(found, "stock.BBB")["sharpe"] == 0.0
    assert row(found, "stock.BBB")["hit_rate"] is None


def features(case: Watched, moved: float) -> None:
    """Store two features of each bar; in 2024 those of AAA have moved."""
    store, bars = FeatureStore(case.paths.features), BarStore(case.paths.bars)
    rows = bars.read_bucket(0).select("asset_class", "symbol", "date")
    random = np.random.default_rng(5)
    shift = rows.select((pl.col("symbol") == "AAA") & (pl.col("date") > UNTIL)).to_series().to_numpy() * moved
    named = {name: (random.standard_normal(rows.height) + shift).astype(np.float32) for name in ("momentum", "range")}
    stored_case.write(store, 0, rows.with_columns(**named))
    store.record(0, bars, Filled(rows.height, {}), "", dict.fromkeys(named, "code"))


def test_features_that_moved_raise_the_alarm_and_others_do_not(case: Watched) -> None:
    features(case.replayed(), moved=2.0)
    found = look(case)
    assert row(found)["causes"] == "drift"
    assert row(found)["reason"].startswith("its features are not those of its training any more")
    assert row(found)["feature"] in ("momentum", "range")
    assert found.champions.filter(verdict="flagged").height == 1
    drift = pl.read_parquet(case.paths.monitor / "drift.parquet")
    assert drift.filter(symbol="AAA")["feature"].to_list() == ["momentum", "range", "score"] or drift.height == 9


def test_of_many_champions_those_whose_scores_moved_most_are_tested(
    case: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("src.monitoring.drift.MOST_TESTED", 1)
    features(case.replayed(BBB=lambda score: score**3), moved=0.0)
    found = look(case)
    assert found.tested == 1
    assert row(found, "stock.BBB")["causes"].startswith("drift")
    assert "its scores are spread otherwise than out of sample" in row(found, "stock.BBB")["reason"]
    assert row(found)["drift_p"] is None


def test_tables_have_their_declared_columns(case: Watched) -> None:
    look(case.replayed())
    for name, schema in (("champions", tables.CHAMPIONS), ("book", tables.BOOK), ("book_days", tables.BOOK_DAYS)):
        stored = pl.read_parquet(case.paths.monitor / f"{name}.parquet")
        assert dict(stored.schema) == schema
        assert not any(stored[each].is_nan().any() for each in stored.columns if stored[each].dtype == pl.Float64)
    assert dict(pl.read_parquet_schema(case.paths.monitor / "drift.parquet")) == tables.DRIFT


def test_the_same_journal_gives_the_same_tables(case: Watched) -> None:
    case.replayed(AAA=wrong)
    first, second = look(case), look(case)
    assert first.champions.equals(second.champions)
    assert first.book.equals(second.book)


def test_a_flagged_champion_is_taken_down_once(case: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[tuple[Any, ...]] = []
    monkeypatch.setattr(
        "src.monitoring.actions.demote", lambda _tracked, *about: taken.append(about) or f"{about[0]} is down"
    )
    case.replayed(AAA=wrong)
    found = look(case, action="demote")
    assert [about[:2] for about in taken] == [("stock.AAA", 1)]
    assert taken[0][2].startswith("monitor: reversal since 2024-")
    assert found.done == ["stock.AAA is down"]
    assert is_flagged(found)
    (event,) = [entry for entry in case.journal.entries() if entry.kind == "event"]
    assert (event.note["name"], event.note["version"], event.note["causes"]) == ("stock.AAA", 1, ["reversal"])
    monkeypatch.setattr(reviewing, "crowned_versions", lambda _tracked: case.champions()[1:])
    after = look(case, action="demote")
    assert (row(after)["verdict"], row(after)["demoted"], after.demoted, len(taken)) == ("ended", True, 0, 1)


def test_a_champion_that_a_person_brings_back_is_not_taken_down_for_the_same_days(
    case: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("src.monitoring.actions.demote", lambda _tracked, name, *_about: f"{name} is down")
    case.replayed(AAA=wrong)
    assert look(case, action="demote").demoted == 1
    monkeypatch.setattr(reviewing, "crowned_versions", lambda _tracked: case.champions()[1:])
    look(case, action="demote")
    monkeypatch.setattr(reviewing, "crowned_versions", lambda _tracked: case.champions())
    back = look(case, action="demote")
    assert (row(back)["verdict"], row(back)["causes"], back.demoted) == ("expected", None, 0)


def test_a_second_demotion_of_a_version_is_in_the_journal_too(case: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("src.monitoring.actions.demote", lambda _tracked, name, *_about: f"{name} is down")
    tracked = MonitorRequest.of(case.config).tracked
    for since in ("2024-03-01", "2024-03-01", "2024-09-02"):
        alarm = Alarm(("reversal",), since, "it turned")
        demote_flagged({("stock.AAA", 1): alarm}, tracked, case.journal, AlarmState(), dt.date(2024, 12, 2))
    events = [entry.note["since"] for entry in case.journal.entries() if entry.kind == "event"]
    assert events == ["2024-03-01", "2024-09-02"]


def test_a_tag_that_the_registry_refused_is_written_at_the_next_look(
    case: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers, asked = [["locked"], []], []
    monkeypatch.setattr(
        "src.monitoring.actions.show_findings", lambda _tracked, tags: asked.append(dict(tags)) or answers.pop(0)
    )
    tracked, state, champion = MonitorRequest.of(case.config).tracked, AlarmState(), ("stock.AAA", 1)
    raised = {champion: Alarm(("drift",), "2024-03-01", "it drifted")}
    assert [show_in_registry(raised, [champion], tracked, state) for _ in range(2)] == [["locked"], []]
    assert asked == [{champion: "drift since 2024-03-01: it drifted"}] * 2


def test_a_refused_demotion_leaves_the_alarm(case: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_about: Any) -> str:
        raise StageError("the registry is locked")

    monkeypatch.setattr("src.monitoring.actions.demote", refuse)
    case.replayed(AAA=wrong)
    found = look(case, action="demote")
    assert found.done == ["the registry is locked"]
    assert (row(found)["verdict"], row(found)["demoted"]) == ("flagged", False)
    look(case, action="demote")
    assert len([entry for entry in case.journal.entries() if entry.kind == "event"]) == 1  # decided once


def test_the_verb_ends_with_an_error_while_an_alarm_is_raised(
    case: Watched, capsys: pytest.CaptureFixture[str]
) -> None:
    case.replayed(AAA=wrong)
    with pytest.raises(Incomplete, match=r"1 flagged \(reversal 1\).*acknowledge=stock.AAA why="):
        monitor(case.config, {})
    assert len(capsys.readouterr().out.splitlines()) <= SHOWN
    seen = monitor(case.config, {"acknowledge": "stock.AAA", "why": "seen"})
    assert seen.startswith("monitor: acknowledged stock.AAA (reversal since")
    with pytest.raises(Incomplete, match="champions flagged: the champions together have lost their edge"):
        monitor(case.config, {})
    assert monitor(case.config, {"acknowledge": "all", "why": "seen"}).startswith("monitor: acknowledged champions")
    assert monitor(case.config, {}).startswith("monitor: 3 champions and 1 book")


def test_the_table_shows_the_worst_and_counts_the_rest(case: Watched) -> None:
    found = look(case.replayed(AAA=wrong))
    many = pl.concat([found.champions, *[found.champions.tail(2)] * 20])
    lines = list(table_lines(dataclasses.replace(found, champions=many)))
    assert len(lines) == SHOWN
    assert lines[2].startswith("stock.AAA 1             flagged")
    assert lines[-1] == "and 26 more: 26 as their record says"


@pytest.mark.parametrize("fault", ["journal", "bars", "state"])
def test_what_is_missing_or_broken_is_named(case: Watched, fault: str) -> None:
    if fault == "journal":
        with pytest.raises(StageError, match=r"the journal of mine is empty.*src\.predict"):
            look(case)
        return
    case.replayed()
    if fault == "bars":
        (case.paths.bars / "manifest.json").unlink()
        with pytest.raises(StageError, match="mine has no bars"):
            look(case)
    else:
        look(case)
        (case.paths.monitor / "state.json").write_text("{", encoding="utf-8")
        with pytest.raises(StageError, match=r"state\.json can't be read"):
            look(case)


def test_a_changed_journal_is_refused(case: Watched) -> None:
    case.replayed()
    path = next(case.paths.journal.glob("*lines.parquet"))
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(StageError, match=path.name):
        look(case)


def test_why_alone_is_refused(case: Watched) -> None:
    with pytest.raises(ConfigError, match="belongs to acknowledge"):
        monitor(case.config, {"why": "no name"})


def test_the_state_is_written_only_where_it_changed(tmp_path: Path) -> None:
    state = AlarmState(judged_to="2024-01-02")
    state.write(tmp_path)
    before = (tmp_path / "state.json").stat().st_mtime_ns
    state.write(tmp_path)
    assert (tmp_path / "state.json").stat().st_mtime_ns == before
