"""Training in rounds while hydration goes on: when a round begins, what a failure means, and how all of it ends."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from src.config.paths import DatasetPaths
from src.config.schema import Config
from src.core.errors import ConfigError, StageError
from src.runtime import command, heartbeat, lock
from src.runtime.stage_process import StageEnd
from src.training import follow
from src.training.follow import Followed, Hydration

A, B = (0, "aa"), (1, "bb")


class World:
    """A hydration that takes one scripted step at each wait, and stages that end as scripted."""

    def __init__(self, *steps: Hydration) -> None:
        self.steps = list(steps)
        self.seconds = 0.0
        self.calls: list[tuple[str, list[str]]] = []
        self.said: list[str] = []
        self.ends: dict[tuple[int, str], int] = {}  # round and stage: exit status
        self.after: dict[tuple[int, str], Hydration] = {}  # what hydration did while that stage ran

    def hydration(self, _paths: DatasetPaths) -> Hydration:
        return self.steps[0]

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        if len(self.steps) > 1:
            self.steps.pop(0)

    def monotonic(self) -> float:
        return self.seconds

    def run(self, verb: str, arguments: Sequence[str]) -> StageEnd:
        number = sum(each == "featurize" for each, _ in self.calls) + (verb == "featurize")
        self.calls.append((verb, list(arguments)))
        if (number, verb) in self.after:
            self.steps = [self.after[number, verb]]
        return StageEnd(self.ends.get((number, verb), 0), f"{verb}: line {number}")

    def follow(self, *, fresh: bool = False) -> str:
        followed = Followed(Config().paths, Config().hydrate_command, fresh)
        return follow.follow(followed, self.said.append, self.run)

    @property
    def verbs(self) -> list[str]:
        return [verb for verb, _ in self.calls]


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    made = World()
    monkeypatch.setattr(follow, "hydration", made.hydration)
    monkeypatch.setattr(follow, "time", made)
    monkeypatch.setattr(sys, "argv", ["src/train.py", "universe=quick", "model=all", "follow=true"])
    return made


ROUND = ["featurize", "train", "report"]


def test_a_complete_dataset_takes_one_round_and_no_waiting(world: World) -> None:
    world.steps = [Hydration((A, B), running=False, complete=True)]
    assert world.follow() == "follow: 1 round, nothing is pending; report: line 1"
    assert world.verbs == ROUND
    assert world.seconds == 0
    assert world.said == ["round 1, 2 buckets hydrated; train: line 1"]


def test_every_stage_gets_the_words_that_were_typed_and_does_not_follow_itself(world: World) -> None:
    world.steps = [Hydration((A,), running=False, complete=True)]
    world.follow()
    words = ["universe=quick", "model=all", "follow=true", "follow=false", "fresh=false"]
    assert [arguments for _, arguments in world.calls] == [words] * 3


def test_a_round_begins_whenever_something_new_is_published_until_hydration_has_ended(world: World) -> None:
    world.steps = [
        Hydration((), running=True, complete=False),
        Hydration((A,), running=True, complete=False),
        Hydration((A,), running=True, complete=False),
        Hydration((A, B), running=True, complete=False),
        Hydration((A, B), running=False, complete=True),
    ]
    assert world.follow() == "follow: 2 rounds, nothing is pending; report: line 2"
    assert world.verbs == ROUND * 2
    wait = "waiting for hydration to publish more"
    rounds = ["round 1, 1 buckets hydrated; train: line 1", "round 2, 2 buckets hydrated; train: line 2"]
    assert world.said == [wait, rounds[0], wait, rounds[1], wait]


def test_what_hydration_publishes_just_before_its_end_is_not_missed(world: World) -> None:
    world.steps = [Hydration((A,), running=True, complete=False)]
    world.after[1, "report"] = Hydration((A, B), running=False, complete=True)
    assert world.follow().startswith("follow: 2 rounds, nothing is pending")


def test_fresh_is_meant_once(world: World) -> None:
    world.steps = [Hydration((A,), running=True, complete=False), Hydration((A, B), running=False, complete=True)]
    world.follow(fresh=True)
    assert [arguments[-1] for verb, arguments in world.calls if verb == "train"] == ["fresh=true", "fresh=false"]


def test_fresh_is_still_meant_after_a_round_that_did_not_train(world: World) -> None:
    world.steps = [Hydration((A,), running=True, complete=False), Hydration((A, B), running=False, complete=True)]
    world.ends[1, "train"] = 1
    world.follow(fresh=True)
    assert [arguments[-1] for verb, arguments in world.calls if verb == "train"] == ["fresh=true", "fresh=true"]


def test_a_stage_that_fails_because_bars_changed_under_it_is_tried_again(world: World) -> None:
    world.steps = [Hydration((A,), running=True, complete=False)]
    world.ends[1, "train"] = 1
    world.after[1, "train"] = Hydration(((0, "changed"),), running=False, complete=True)
    assert world.follow() == "follow: 2 rounds, nothing is pending; report: line 2"
    assert world.said[0] == "round 1, 1 buckets hydrated; train failed; its bars changed meanwhile: once more"
    assert world.verbs == ["featurize", "train", *ROUND]


def test_a_failed_stage_waits_while_hydration_runs_and_raises_once_it_has_ended(world: World) -> None:
    world.steps = [
        *[Hydration((A,), running=True, complete=False)] * 3,
        Hydration((A,), running=False, complete=True),
    ]
    world.ends[1, "featurize"] = 1
    with pytest.raises(StageError, match="follow: featurize failed in round 1: see its line above and its log"):
        world.follow()
    assert world.verbs == ["featurize"]
    assert world.said[0] == "round 1, 1 buckets hydrated; featurize failed; again when hydration publishes more"


def test_settings_that_a_stage_refuses_end_it_at_once(world: World) -> None:
    world.steps = [Hydration((A,), running=True, complete=False)]
    world.ends[1, "featurize"] = 2
    with pytest.raises(ConfigError, match="featurize refused the settings"):
        world.follow()


def test_a_stage_that_was_interrupted_interrupts_the_rounds(world: World) -> None:
    world.steps = [Hydration((A,), running=True, complete=False)]
    world.ends[1, "train"] = 130
    with pytest.raises(KeyboardInterrupt):
        world.follow()


def test_a_hydration_may_be_started_a_little_later(world: World) -> None:
    world.steps = [
        *[Hydration((), running=False, complete=False)] * 20,
        Hydration((A,), running=True, complete=False),
        Hydration((A,), running=False, complete=True),
    ]
    assert world.follow().startswith("follow: 1 round, nothing is pending")


def test_without_bars_and_without_a_hydration_it_says_what_to_start(world: World) -> None:
    world.steps = [Hydration((), running=False, complete=False)]
    with pytest.raises(StageError, match="no bars for universe=demo and no hydration runs: start `python -m src.hydr"):
        world.follow()
    assert world.seconds == 120


def test_the_line_says_that_hydration_stopped_early(world: World) -> None:
    world.steps = [Hydration((A,), running=True, complete=False), Hydration((A,), running=False, complete=False)]
    line = world.follow()
    assert line.startswith("follow: 1 round, hydration stopped before its end: start it and this again; report: line 1")
    assert world.seconds >= 120


def test_waiting_is_said_when_it_begins_and_every_five_minutes(world: World) -> None:
    steps = [Hydration((), running=True, complete=False, progress=f"{n} of 720 asked so far") for n in range(200)]
    world.steps = [*steps, Hydration((A,), running=False, complete=True)]
    world.follow()
    waits = [line for line in world.said if line.startswith("waiting")]
    assert waits == [f"waiting for hydration to publish more: {n} of 720 asked so far" for n in (0, 60, 120, 180)]


def test_an_interrupted_hydration_is_reported_at_once_with_the_command_to_resume(world: World) -> None:
    ended = Hydration((A,), running=False, complete=False, progress="hydration was interrupted; to go on: this command")
    world.steps = [Hydration((A,), running=True, complete=False, progress="214 of 720 asked so far"), ended]
    world.follow()
    assert world.said == [
        "round 1, 1 buckets hydrated; train: line 1",
        "waiting for hydration to publish more: 214 of 720 asked so far",
        "hydration was interrupted; to go on: this command (in another terminal; waited for 2 minutes)",
    ]


def test_the_words_on_a_hydration_are_those_of_its_heartbeat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    config = Config()
    config.data.root = str(tmp_path / "data")
    typed = "python -m src.hydrate universe=demo"
    with heartbeat.beating("hydrate", "demo", Path(config.data.root), typed) as beat:
        assert follow.hydration(config.paths).progress == "it has begun"
        beat.update(phase="working", done=214, total=720)
        assert follow.hydration(config.paths).progress == "214 of 720 asked so far"
        beat.update(done=3, total=9, unit="underlying")
        assert follow.hydration(config.paths).progress == "3 of 9 underlyings asked so far"
        beat.update(ended="interrupted", message="hydrate interrupted")
    found = follow.hydration(config.paths)
    assert (found.running, found.progress) == (False, f"hydration was interrupted; to go on: {typed}")


def test_several_choices_at_once_are_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["src/train.py", "-m", "model=lightgbm,xgboost", "follow=true"])
    with pytest.raises(ConfigError, match="can't be combined with --multirun"):
        world.follow()


def test_hydration_is_seen_by_its_heartbeat_and_its_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    config = Config()
    config.data.root = str(tmp_path / "data")
    assert follow.hydration(config.paths) == Hydration((), running=False, complete=False)
    with heartbeat.beating("hydrate", "demo", Path(config.data.root), ""):
        assert follow.hydration(config.paths).running
    with heartbeat.beating("hydrate", "full", Path(config.data.root), ""):
        assert not follow.hydration(config.paths).running


def test_the_rounds_hold_no_lock_that_a_stage_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.setenv("DVC_STAGE", "train")
    monkeypatch.setattr(sys, "argv", ["src/train.py", f"data.logs='{(tmp_path / 'logs').as_posix()}'", "follow=true"])

    def refuse(words: str) -> None:
        raise AssertionError(words)

    def task(config: Config) -> str:
        for verb in follow.STAGES:
            with lock.dataset_lock(verb, config.dataset, refuse):
                pass
        assert [beat.verb for beat in heartbeat.beats()] == ["follow"]
        return "follow: done"

    assert command.run_verb("train", task) == 0
    assert (tmp_path / "logs" / "follow.log").exists()
