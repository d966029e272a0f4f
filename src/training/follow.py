"""Train what is hydrated while hydration goes on: featurize, train and report in rounds, until nothing is pending.

Each round runs the three stages as commands of their own with the same settings, so that each one takes its locks,
keeps its log and goes on after an interruption as if it were typed by hand. A round begins when hydration has published
something new. A stage ends if bars change while it reads them; the next round does what it left.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from src.config.paths import DatasetPaths
from src.core.errors import ConfigError, StageError
from src.market.bars import BarStore
from src.runtime import heartbeat
from src.runtime.heartbeat import Beat
from src.runtime.stage_process import INTERRUPTED, MISUSED, StageEnd, run_stage

log = logging.getLogger(__name__)
STAGES = ("featurize", "train", "report")
_POLL = 5.0  # seconds between two checks of hydration
_REPEAT = 300.0  # seconds between two messages about the same wait
_GRACE = 120.0  # seconds that a hydration may take to start, or to start again
_ENDS = {"interrupted": "was interrupted", "died": "was killed", "failed": "failed"}


@dataclass(frozen=True)
class Hydration:
    """State of the hydration of a dataset.

    Attributes
    ----------
    published : tuple of (int, str)
        Buckets that are published, with the digests of their files.
    running : bool
        Whether a hydration runs.
    complete : bool
        Whether every instrument is there.
    progress : str
        While a hydration runs, how far it is; after one that ended badly, how it ended and how to go on. Empty where
        no heartbeat says.
    """

    published: tuple[tuple[int, str], ...]
    running: bool
    complete: bool
    progress: str = field(default="", compare=False)


Run = Callable[[str, Sequence[str]], StageEnd]


@dataclass(frozen=True)
class Followed:
    """The dataset whose hydration is followed.

    Attributes
    ----------
    paths : DatasetPaths
        Where its bars lie.
    hydrate_command : str
        What to type to hydrate it.
    fresh : bool
        Whether the first round that trains has to train everything again; later rounds add to it.
    """

    paths: DatasetPaths
    hydrate_command: str
    fresh: bool = False


def follow(followed: Followed, show: Callable[[str], None], run: Run | None = None) -> str:
    """Do rounds until hydration has ended and everything that it published is trained.

    Parameters
    ----------
    followed : Followed
        The dataset.
    show : callable
        Shows a line to the user: one for each round, and what is waited for, when the wait begins and now and then.
    run : callable, optional
        Runs a stage to its end; by default as a process.

    Returns
    -------
    str
        The closing line.

    Raises
    ------
    StageError
        If a stage fails and hydration has nothing new to offer it, or if there is nothing to train.
    ConfigError
        With ``--multirun``, or if a stage refuses the settings.
    """
    if {"-m", "--multirun"} & set(sys.argv[1:]):
        raise ConfigError("follow=true can't be combined with --multirun: start one command for each choice")
    rounds = _Rounds(followed, run or run_stage)
    quiet_since = time.monotonic()
    wait = _Wait(show)
    while True:
        state = hydration(followed.paths)
        if state.published and state.published != rounds.tried:
            wait.end()
            show(rounds.next(state))
            quiet_since = time.monotonic()
        elif state.running:
            quiet_since = time.monotonic()
            progress = f": {state.progress}" if state.progress else ""
            wait.poll("running", f"waiting for hydration to publish more{progress}")
        elif (state.complete and state.published) or time.monotonic() - quiet_since >= _GRACE:
            return rounds.closing_line(state)
        else:
            reason = state.progress or f"no hydration runs; to start one: {followed.hydrate_command}"
            wait.poll("ended", f"{reason} (in another terminal; waited for {_GRACE / 60:.0f} minutes)")


def hydration(paths: DatasetPaths) -> Hydration:
    """Return the state of a dataset's hydration.

    Whether it runs is read first, so that nothing which it published before its end is missed.

    Parameters
    ----------
    paths : DatasetPaths
        Where the dataset's bars lie.
    """
    beats = [beat for beat in heartbeat.beats(paths.dataset, paths.root) if beat.verb == "hydrate"]
    running = any(beat.alive for beat in beats)
    store = BarStore(paths.bars)
    published = tuple((bucket, store.digest(bucket)) for bucket in store.buckets())
    progress = next((_progress(beat) for beat in reversed(beats) if beat.alive or not running), "")
    return Hydration(published, running, store.exists() and store.manifest.complete, progress)


def _progress(beat: Beat) -> str:
    """How far a hydration is, or how it ended and how to go on."""
    if not beat.alive:
        return f"hydration {_ENDS.get(beat.state, beat.state)}; to go on: {beat.command}"
    if not beat.total:
        return "it has begun"
    return f"{beat.done:,} of {beat.total:,} {'' if beat.unit == 'instrument' else f'{beat.unit}s '}asked so far"


class _Wait:
    """Waits for hydration; the heartbeat always says for what, the user is shown it when it begins and now and then."""

    def __init__(self, show: Callable[[str], None]) -> None:
        self._show = show
        self._event, self._shown_at = "", 0.0

    def poll(self, event: str, message: str) -> None:
        """Wait a moment for an event; the message may change while the event stays the same."""
        now = time.monotonic()
        if event != self._event or now - self._shown_at >= _REPEAT:
            self._event, self._shown_at = event, now
            self._show(message)
        _note(message)
        time.sleep(_POLL)

    def end(self) -> None:
        """End the wait: the next one is shown from its begin."""
        self._event = ""


class _Rounds:
    """The rounds done so far, and the buckets that the last one saw."""

    def __init__(self, followed: Followed, run: Run) -> None:
        self._followed, self._run = followed, run
        self.count = 0
        self.tried: tuple[tuple[int, str], ...] | None = None
        self.failed_stage = ""
        self._fresh = followed.fresh
        self._last_line = ""

    def next(self, state: Hydration) -> str:
        """Do one round on what is published now and return a line on it."""
        self.count += 1
        self.tried, self.failed_stage = state.published, ""
        lines: dict[str, str] = {}
        for stage in STAGES:
            _note(f"round {self.count}: {stage}")
            ended = self._run(stage, self._arguments())
            if ended.status == INTERRUPTED:
                raise KeyboardInterrupt
            if ended.status == MISUSED:
                raise ConfigError(f"{stage} refused the settings: see the line above")
            if ended.status:
                self.failed_stage = stage
                break
            lines[stage] = ended.line
        if "train" in lines:
            self._fresh, self._last_line = False, lines.get("report", lines["train"])
        return self._line(lines)

    def closing_line(self, state: Hydration) -> str:
        """Return the closing line, or raise the failure that the last round ended with."""
        if self.failed_stage:
            raise StageError(
                f"follow: {self.failed_stage} failed in round {self.count}: see its line above and its log"
            )
        if not self.count:
            ended = f" ({state.progress})" if state.progress else ""
            raise StageError(
                f"follow: no bars for universe={self._followed.paths.dataset} and no hydration runs{ended}: start"
                f" `{self._followed.hydrate_command}`, then the same command"
            )
        left = "nothing is pending" if state.complete else "hydration stopped before its end: start it and this again"
        return f"follow: {self.count} round{'s' if self.count > 1 else ''}, {left}; {self._last_line}"

    def _arguments(self) -> list[str]:
        """What was typed, without following: of a setting that is named twice the last value counts."""
        return [*sys.argv[1:], "follow=false", f"fresh={str(self._fresh).lower()}"]

    def _line(self, lines: dict[str, str]) -> str:
        buckets = f"round {self.count}, {len(self.tried or ())} buckets hydrated"
        if not self.failed_stage:
            return f"{buckets}; {lines['train']}"
        now = hydration(self._followed.paths)
        changed = now.published != self.tried
        then = "its bars changed meanwhile: once more" if changed else "again when hydration publishes more"
        return f"{buckets}; {self.failed_stage} failed; {then if changed or now.running else 'hydration has ended'}"


def _note(message: str) -> None:
    beat = heartbeat.current()
    if beat is not None:
        beat.update(note=message)
