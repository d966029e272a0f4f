"""What a command says of itself while it works, and what is left of it when it ends, however it ends."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from src.config.schema import Config
from src.core.errors import StageError
from src.core.project import ROOT
from src.runtime import command as command_module
from src.runtime import heartbeat
from src.runtime.progress import Progress
from tests.process_case import begin, until

WORKER = """
import sys
from pathlib import Path
from src.runtime import heartbeat
from src.runtime.progress import Progress
from tests.process_case import hang

with heartbeat.beating("hydrate", "demo", Path(sys.argv[1]), "python -m src.hydrate") as beat:
    beat.update(phase="working")
    with Progress("hydrate", 40) as progress:
        progress.advance(10)
        print("working", flush=True)
        hang()
"""


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    return tmp_path


class Clock:
    """Seconds that are turned by hand."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    hand = Clock()
    monkeypatch.setattr(heartbeat, "time", hand)
    return hand


def seen() -> heartbeat.Beat:
    (beat,) = heartbeat.beats()
    return beat


def test_a_command_is_seen_while_it_works_and_leaves_nothing_when_done(home: Path, clock: Clock) -> None:
    with heartbeat.beating("train", "demo", home / "data", "python -m src.train") as beat:
        assert (seen().state, seen().alive, seen().command) == ("waiting", True, "python -m src.train")
        beat.update(phase="working")
        with Progress("train", 100, unit="run", before=20) as progress:
            clock.now += 10
            progress.advance(5, note="3 passes")
            found = seen()
    assert (found.state, found.done, found.total, found.unit, found.note) == ("running", 25, 100, "run", "3 passes")
    assert found.rate == pytest.approx(0.5)
    assert found.left_seconds == pytest.approx(150)
    assert heartbeat.beats() == []
    assert list((home / "data" / ".progress").iterdir()) == []


def test_it_is_written_at_most_every_two_seconds(home: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[Path] = []
    monkeypatch.setattr(heartbeat, "write_json", lambda _value, path, **_how: written.append(path))
    with heartbeat.beating("train", "demo", home, ""), Progress("train", 10_000) as progress:
        before = len(written)
        for _ in range(1000):
            clock.now += 0.01
            progress.advance()
        assert len(written) - before == 4  # ten seconds


def test_the_rate_is_of_the_last_ten_minutes(home: Path, clock: Clock) -> None:
    with heartbeat.beating("hydrate", "demo", home, ""), Progress("hydrate", 10_000) as progress:
        for pace in (10, 1):
            for _ in range(100):
                clock.now += 10
                progress.advance(pace)
        assert seen().rate == pytest.approx(0.1)


def test_units_finished_before_do_not_count_for_the_rate_whenever_they_are_found(home: Path, clock: Clock) -> None:
    with heartbeat.beating("train", "demo", home, ""), Progress("train", 10_000) as progress:
        for _ in range(10):
            clock.now += 10
            progress.reuse(400)
            progress.advance(5)
        found = seen()
    assert found.done == 4050
    assert found.rate == pytest.approx(0.5)
    assert found.left_seconds == pytest.approx(5950 / 0.5)


def test_a_copy_of_the_project_and_another_machine_show_the_same(
    home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    far = tmp_path_factory.mktemp("far")
    with heartbeat.beating("train", "demo", home / "data", ""), heartbeat.beating("hydrate", "demo", far, ""):
        shutil.copytree(home / "data", far / "copy" / "data")
        assert [beat.verb for beat in heartbeat.beats("demo", home / "data")] == ["train"]
        assert [beat.verb for beat in heartbeat.beats("demo", far)] == ["hydrate"]
        monkeypatch.setenv("DVC_ROOT", str(far / "copy"))
        assert [beat.verb for beat in heartbeat.beats("demo", far / "copy" / "data")] == ["train"]
        monkeypatch.setattr(heartbeat, "host_tag", lambda: "another")
        found = heartbeat.beats("demo", far / "copy" / "data")
        assert {(beat.verb, beat.state) for beat in found} == {("train", "elsewhere"), ("hydrate", "elsewhere")}
        monkeypatch.setenv("DVC_ROOT", str(home))


def test_facts_are_asked_for_and_kept(home: Path, clock: Clock) -> None:
    facts = {"states": {"stock": Counter(done=3)}, "runs": {"lightgbm": Counter(runs=3, passed=1)}}
    with heartbeat.beating("train", "demo", home, "") as beat, Progress("train", 5, facts=lambda: facts) as progress:
        clock.now += 3
        progress.advance(3)
        assert seen().facts == {"states": {"stock": {"done": 3}}, "runs": {"lightgbm": {"runs": 3, "passed": 1}}}
        beat.update(ended="failed", message="train: disk full")
    assert (seen().state, seen().message, seen().done) == ("failed", "train: disk full", 3)


def test_the_note_of_a_pause_is_seen_though_nothing_is_finished(home: Path, clock: Clock) -> None:
    with heartbeat.beating("hydrate", "demo", home, ""), Progress("hydrate", 5) as progress:
        clock.now += 3
        progress.set_note("yahoo refuses: asking again in 60 s")
        assert seen().note == "yahoo refuses: asking again in 60 s"


def test_a_note_is_seen_at_once_because_it_may_stay_the_latest_for_hours(home: Path, clock: Clock) -> None:
    with heartbeat.beating("hydrate", "demo", home, ""), Progress("hydrate", 5) as progress:
        clock.now += 3
        progress.advance(1)
        clock.now += 0.5
        progress.set_note("network absent since 14:03 UTC")
        assert seen().note == "network absent since 14:03 UTC"


def test_a_killed_command_is_seen_to_have_died_and_its_successor_tidies_up(home: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    arguments = [sys.executable, "-c", WORKER, str(home)]
    process = begin(arguments, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "working\n"
    assert (seen().state, seen().pid) == ("running", process.pid)
    process.kill()
    until(lambda: seen().state == "died")
    assert (seen().state, seen().alive) == ("died", False)  # not reaped yet: a zombie is dead
    process.communicate()
    assert seen().state == "died"
    with heartbeat.beating("featurize", "demo", home, ""):
        assert [beat.verb for beat in heartbeat.beats() if beat.state == "died"] == ["hydrate"]
    with heartbeat.beating("hydrate", "demo", home, ""):
        assert [beat.state for beat in heartbeat.beats()] == ["waiting"]
    assert heartbeat.beats() == []


def test_a_reused_process_id_does_not_revive_a_dead_command(home: Path) -> None:
    with heartbeat.beating("train", "demo", home, "") as beat:
        beat.update(process_start=seen().process_start - 1000)
        assert seen().state == "died"


def test_another_machine_on_a_shared_disk_is_not_judged(home: Path) -> None:
    with heartbeat.beating("train", "demo", home, "") as beat:
        beat.update(machine="ffffff", host="other", process_start=1)
        assert (seen().state, seen().alive) == ("elsewhere", True)


def test_beats_are_filtered_by_dataset_and_folder(home: Path) -> None:
    with heartbeat.beating("train", "demo", home / "a", ""), heartbeat.beating("hydrate", "full", home / "b", ""):
        assert [beat.verb for beat in heartbeat.beats("full")] == ["hydrate"]
        assert heartbeat.beats("full", home / "a") == []
        assert [beat.verb for beat in heartbeat.beats(root=home / "a")] == ["train"]


def test_a_damaged_file_hides_none_of_the_others(home: Path) -> None:
    with heartbeat.beating("train", "demo", home, ""):
        for name, text in {"a": "{", "b": "[]", "c": "{}"}.items():
            (home / "data" / ".progress" / f"{name}.json").write_text(text, encoding="utf-8")
        assert [beat.verb for beat in heartbeat.beats()] == ["train"]
        path = next((home / "data" / ".progress").glob("train-*"))
        path.write_text(json.dumps({**dataclasses.asdict(seen()), "unheard_of": 1}), encoding="utf-8")
        assert [beat.verb for beat in heartbeat.beats()] == ["train"]


def test_a_disk_that_refuses_the_file_does_not_stop_the_work(home: Path) -> None:
    (home / "data").write_text("a file where the folder should be", encoding="utf-8")
    with heartbeat.beating("train", "demo", home, ""), Progress("train", 1) as progress:
        progress.advance()
    assert heartbeat.beats() == []


def command(home: Path, task: object, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["src/toy.py", f"data.logs='{(home / 'logs').as_posix()}'"])
    monkeypatch.setenv("DVC_STAGE", "toy")
    return command_module.run_verb("toy", task)  # type: ignore[arg-type]


def test_every_end_of_a_command_is_recorded(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_config: Config) -> str:
        raise StageError("nothing to work on")

    def interrupt(_config: Config) -> str:
        signal.raise_signal(signal.SIGINT)
        return "not reached"

    def work(_config: Config) -> str:
        assert (seen().state, seen().verb, seen().dataset) == ("running", "toy", "demo")
        return "toy: done"

    assert command(home, fail, monkeypatch) == 1
    assert (seen().state, seen().message) == ("failed", "toy: nothing to work on")
    assert command(home, interrupt, monkeypatch) == 130
    assert seen().state == "interrupted"
    assert seen().message == "toy interrupted; finished work is saved, run the same command to continue"
    assert command(home, work, monkeypatch) == 0
    assert heartbeat.beats() == []
