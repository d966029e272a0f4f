"""The day in one command: the order of its steps, what ends it, when it has nothing to do, what it records and says."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from src.core.errors import ConfigError, Incomplete, StageError
from src.runtime.stage_process import StageEnd
from tests.scheduling.day_case import CLOSE, FRIDAY, STEPS, Made


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    return Made(tmp_path)


def test_the_steps_run_in_order_with_the_settings_that_were_typed(made: Made) -> None:
    given: list[list[str]] = []
    made.acts = {step: lambda words: given.append(list(words)) for step in STEPS}  # type: ignore[misc]
    made.typed = ["universe=quick", "source=auto", "refit=yearly", "daily.patience_hours=1", "data.root=/x"]
    assert made.day() == "daily: book of 2026-11-20, in 1 min"
    assert [call.split()[0] for call in made.called] == STEPS
    assert given == [["universe=quick", "source=auto", "data.root=/x"]] * len(STEPS)


def test_documents_of_research_come_between_bars_and_features_and_may_fail(made: Made) -> None:
    made.research = True
    made.acts = {"ingest": lambda _words: StageEnd(1, "")}
    made.day()
    assert made.called == ["hydrate", "ingest research.minutes=30", *STEPS[1:]]
    made.typed.append("research.minutes=5")
    made.instruments = {key: day + dt.timedelta(days=3) for key, day in made.instruments.items()}
    made.now += dt.timedelta(days=3)
    made.day()
    assert made.called[1] == "ingest"


def test_each_step_shows_its_closing_line_and_its_seconds(made: Made) -> None:
    made.day()
    assert made.shown == [f"{step}: done (10 s)" for step in STEPS]


def test_a_day_that_is_done_is_not_done_again(made: Made) -> None:
    made.day()
    made.now += dt.timedelta(hours=1)
    line = made.day()
    assert made.called == []
    assert line.startswith(
        "daily: nothing to do; the book of the last session, 2026-11-20, exists; the next one begins"
    )
    assert made.record.good == (CLOSE + dt.timedelta(hours=3, seconds=50)).isoformat()


def test_a_day_whose_book_is_gone_is_done_again(made: Made) -> None:
    made.day()
    for path in made.paths.journal.rglob("*"):
        path.unlink()
    made.paths.journal.with_name("quick.head.json").unlink(missing_ok=True)
    made.day()
    assert [call.split()[0] for call in made.called] == STEPS


def test_a_missed_session_is_done_at_once_and_the_next_one_is_waited_for(made: Made) -> None:
    made.now = CLOSE + dt.timedelta(hours=15)  # Saturday morning, after a night without the machine
    made.day()
    assert (made.slept, len(made.called)) == ([], 5)
    made.now = dt.datetime(2026, 11, 23, 18, tzinfo=dt.UTC)  # Monday, 13:00 in New York
    made.instruments = dict.fromkeys(made.instruments, dt.date(2026, 11, 23))
    assert "book of 2026-11-23" in made.day()
    assert sum(made.slept) == pytest.approx(4 * 3600)
    assert made.record.sessions == {"etf": "2026-11-23", "stock": "2026-11-23"}


def test_without_waiting_it_begins_at_once_whatever_was_done(made: Made) -> None:
    made.day()
    made.choose(wait=False)
    assert made.day() == "daily: book of 2026-11-20, as before, in 1 min"
    assert len(made.called) == 5


def test_bars_that_no_clock_brings_are_taken_as_they_are(made: Made) -> None:
    made.live = False
    made.day()
    made.now += dt.timedelta(days=400)
    made.day()
    assert (len(made.called), made.slept, made.record.sessions) == (5, [], {})


@pytest.mark.parametrize(
    ("status", "error"), [(1, StageError), (2, ConfigError), (-9, StageError), (130, KeyboardInterrupt)]
)
def test_it_stops_at_the_first_step_that_failed(made: Made, status: int, error: type[BaseException]) -> None:
    made.acts["featurize"] = lambda _words: StageEnd(status, "")
    with pytest.raises(error):
        made.day()
    assert made.called == ["hydrate", "featurize"]
    assert made.record.good is None
    assert made.record.status == {-9: 1}.get(status, status)
    assert made.record.steps[-1]["status"] == status
    assert made.pings == ([] if status == 130 else [False])
    made.acts.clear()
    made.day()
    assert len(made.called) == 5


def test_a_step_that_was_killed_is_named(made: Made) -> None:
    made.acts["predict"] = lambda _words: StageEnd(-9, "")
    with pytest.raises(StageError, match="predict was ended by signal 9; what it wrote stands above"):
        made.day()


def test_what_the_monitor_finds_does_not_stop_the_report_and_is_the_exit_status(made: Made) -> None:
    made.acts["monitor"] = lambda _words: StageEnd(1, "monitor: 2 champions flagged")
    with pytest.raises(Incomplete, match="book of 2026-11-20, in 1 min; the monitor found something"):
        made.day()
    assert made.called[-1] == "report"
    assert "monitor: 2 champions flagged (10 s)" in made.shown
    assert (made.record.status, made.record.good is not None, made.pings) == (1, True, [True])
    assert made.sent[0][0] == "Alpha Loop quick: look at the monitor"


def test_a_monitor_that_failed_fails_the_day_after_the_report(made: Made) -> None:
    made.acts["monitor"] = lambda _words: StageEnd(1, "")
    with pytest.raises(StageError, match="monitor ended with status 1"):
        made.day()
    assert (made.called[-1], made.record.good) == ("report", None)


def test_a_late_provider_is_asked_again_until_the_bars_are_there(made: Made) -> None:
    made.instruments = dict.fromkeys(made.instruments, FRIDAY - dt.timedelta(days=1))
    calls: list[int] = []

    def arrives(_words: object) -> None:
        calls.append(1)
        if len(calls) == 3:
            made.instruments = dict.fromkeys(made.instruments, FRIDAY)

    made.acts["hydrate"] = arrives
    assert made.day() == "daily: book of 2026-11-20, in 46 min"
    assert made.called[:4] == ["hydrate", "hydrate retry=all", "hydrate retry=all", "featurize"]
    assert sum(made.slept) == pytest.approx(45 * 60)
    assert made.shown[1] == (
        "daily: most bars are not there yet (etf of 2026-11-20 and stock of 2026-11-20); again in 15 min"
    )


def test_after_its_patience_it_goes_on_and_counts_what_is_stale(made: Made) -> None:
    made.instruments = dict.fromkeys(made.instruments, FRIDAY - dt.timedelta(days=1))
    made.choose(patience_hours=2.0)
    assert ", 2 instruments without the session's bar, in" in made.day()
    assert made.called.count("hydrate retry=all") == 3
    assert sum(made.slept) <= 2 * 3600


def test_a_notification_names_the_largest_changes_and_the_steps(made: Made) -> None:
    made.weights = {"AAPL": 0.05, "MSFT": -0.101, "IBM": 0.0}
    made.day()
    ((title, body),) = made.sent
    assert title == "Alpha Loop quick: book of 2026-11-20"
    moved, steps = body.split("\n\n")
    assert moved.splitlines() == ["stock MSFT 0.0% to -10.1%", "stock AAPL 0.0% to 5.0%"]
    assert steps.splitlines() == [f"{step}: done" for step in STEPS]


@pytest.mark.parametrize(("choice", "sent"), [("always", 3), ("changes", 2), ("failures", 1), ("never", 0)])
def test_notifications_come_when_they_are_asked_for(made: Made, choice: str, sent: int) -> None:
    made.choose(notify=choice, wait=False)
    made.day()
    made.day()  # the same book
    made.acts["report"] = lambda _words: StageEnd(1, "")
    with pytest.raises(StageError):
        made.day()
    assert len(made.sent) == sent


def test_a_damaged_record_is_named_with_the_remedy(made: Made) -> None:
    made.paths.daily.parent.mkdir(parents=True)
    made.paths.daily.write_text('{"refit": 7}', encoding="utf-8")
    with pytest.raises(
        StageError, match=r"daily.json can't be read \(TypeError.*remove it, and daily begins a new one"
    ):
        made.day()
