"""Train what is hydrated while hydration goes on: featurize, train and report in rounds, until nothing is pending.

Each round runs the three stages as commands of their own, with the same settings, so that every one takes its turn,
keeps its log and goes on after an interruption as when typed by hand. A round begins when hydration has published
something new. A stage that finds bars changing under it ends; the next round does what it left.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from src.config.schema import Config
from src.core.errors import ConfigError, StageError
from src.core.project import ROOT
from src.market.bars import BarStore
from src.runtime import heartbeat
from src.runtime.heartbeat import Beat

log = logging.getLogger(__name__)
STAGES = ("featurize", "train", "report")
_POLL = 5.0  # seconds between two looks at hydration
_AGAIN = 300.0  # seconds between two lines on what is waited for
_GRACE = 120.0  # seconds that a hydration may take to start, or to start again
_ENDING = 2.0  # seconds after which a stage that did not hear the interruption is told
_INTERRUPTED, _MISUSED = 130, 2
_ENDS = {"interrupted": "was interrupted", "died": "was killed", "failed": "failed"}


@dataclass(frozen=True)
class Hydration:
    """What hydration has published (buckets and their contents), whether it runs, whether all is there.

    Attributes
    ----------
    words
        How far it is while it runs; how it ended, and how to go on, where that was badly. Empty where nobody says.
    """

    published: tuple[tuple[int, str], ...]
    running: bool
    complete: bool
    words: str = field(default="", compare=False)


@dataclass(frozen=True)
class Ended:
    """How a stage's command ended: its exit status and its last line."""

    status: int
    line: str


Run = Callable[[str, Sequence[str]], Ended]


def follow(config: Config, say: Callable[[str], None], run: Run | None = None) -> str:
    """Do rounds until hydration has ended and all that it published is trained; return the closing line.

    Parameters
    ----------
    config
        With `fresh`, the first round that comes to its end trains everything anew; the later ones add to it.
    say
        Shows a line to the person: one for each round, and what is waited for, when that begins and now and then.
    run
        Starts a stage and waits for it; by default as a process.

    Raises
    ------
    StageError
        Where a stage fails and hydration has nothing new to offer it, or there is nothing to train.
    ConfigError
        With ``--multirun``, or where a stage refuses the settings.
    """
    if {"-m", "--multirun"} & set(sys.argv[1:]):
        raise ConfigError("follow=true can't be combined with --multirun: start one command for each choice")
    rounds = _Rounds(config, run or _run)
    quiet_since = time.monotonic()
    waiting = _Waiting(say)
    while True:
        found = hydration(config)
        if found.published and found.published != rounds.tried:
            waiting.over()
            say(rounds.next(found))
            quiet_since = time.monotonic()
        elif found.running:
            quiet_since = time.monotonic()
            far = f": {found.words}" if found.words else ""
            waiting.on("running", f"waiting for hydration to publish more{far}")
        elif (found.complete and found.published) or time.monotonic() - quiet_since >= _GRACE:
            return rounds.closing(found)
        else:
            how = found.words or f"no hydration runs; to start one: {config.hydrate_command}"
            waiting.on("ended", f"{how} (in another terminal; waited for {_GRACE / 60:.0f} minutes)")


def hydration(config: Config) -> Hydration:
    """Look at hydration; whether it runs is asked first, so that what it published before its end is not missed."""
    root = Path(config.data.root)
    mine = [beat for beat in heartbeat.beats(config.dataset, root) if beat.verb == "hydrate"]
    running = any(beat.alive for beat in mine)
    store = BarStore(root / "bars" / config.dataset)
    published = tuple((b, store.digest(b)) for b in store.buckets())
    words = next((_told(beat) for beat in reversed(mine) if beat.alive or not running), "")
    return Hydration(published, running, store.exists() and store.manifest.complete, words)


def _told(beat: Beat) -> str:
    """How far a hydration is, or how it ended and how to go on."""
    if not beat.alive:
        return f"hydration {_ENDS.get(beat.state, beat.state)}; to go on: {beat.command}"
    if not beat.total:
        return "it has begun"
    return f"{beat.done:,} of {beat.total:,} {'' if beat.unit == 'instrument' else f'{beat.unit}s '}asked so far"


class _Waiting:
    """Says what is waited for: to whoever looks at once, to the person when it begins and every few minutes."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._what, self._said = "", 0.0

    def on(self, what: str, words: str) -> None:
        """Wait a moment for `what`, in `words` that may change meanwhile."""
        now = time.monotonic()
        if what != self._what or now - self._said >= _AGAIN:
            self._what, self._said = what, now
            self._say(words)
        _note(words)
        time.sleep(_POLL)

    def over(self) -> None:
        """Nothing is waited for now."""
        self._what = ""


class _Rounds:
    """The rounds done so far, and what they were tried on."""

    def __init__(self, config: Config, run: Run) -> None:
        self.config, self._run = config, run
        self.count = 0
        self.tried: tuple[tuple[int, str], ...] | None = None
        self.failure = ""
        self._fresh = config.fresh
        self._last = ""

    def next(self, found: Hydration) -> str:
        """Do one round on what is published now, and say in a line what came of it."""
        self.count += 1
        self.tried, self.failure = found.published, ""
        lines: dict[str, str] = {}
        for stage in STAGES:
            _note(f"round {self.count}: {stage}")
            ended = self._run(stage, self._arguments())
            if ended.status == _INTERRUPTED:
                raise KeyboardInterrupt
            if ended.status == _MISUSED:
                raise ConfigError(f"{stage} refused the settings: see the line above")
            if ended.status:
                self.failure = stage
                break
            lines[stage] = ended.line
        if "train" in lines:
            self._fresh, self._last = False, lines.get("report", lines["train"])
        return self._said(lines)

    def closing(self, found: Hydration) -> str:
        """The closing line, or the failure that the last round ended with."""
        if self.failure:
            raise StageError(f"follow: {self.failure} failed in round {self.count}: see its line above and its log")
        if not self.count:
            ended = f" ({found.words})" if found.words else ""
            raise StageError(
                f"follow: no bars for universe={self.config.dataset} and no hydration runs{ended}: start"
                f" `{self.config.hydrate_command}`, then the same command"
            )
        left = "nothing is pending" if found.complete else "hydration stopped before its end: start it and this again"
        return f"follow: {self.count} round{'s' if self.count > 1 else ''}, {left}; {self._last}"

    def _arguments(self) -> list[str]:
        """What was typed, without following; the last word on a setting counts."""
        return [*sys.argv[1:], "follow=false", f"fresh={str(self._fresh).lower()}"]

    def _said(self, lines: dict[str, str]) -> str:
        buckets = f"round {self.count}, {len(self.tried or ())} buckets hydrated"
        if not self.failure:
            return f"{buckets}; {lines['train']}"
        now = hydration(self.config)
        changed = now.published != self.tried
        then = "its bars changed meanwhile: once more" if changed else "again when hydration publishes more"
        return f"{buckets}; {self.failure} failed; {then if changed or now.running else 'hydration has ended'}"


def _run(stage: str, arguments: Sequence[str]) -> Ended:
    """Run a stage as a command; its progress goes to the terminal, its closing line comes back."""
    # DVC_STAGE: a hint to commit would come too early, after every stage of every round
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8", "DVC_STAGE": stage}
    process = subprocess.Popen(
        [sys.executable, "-m", f"src.{stage}", *arguments], cwd=ROOT, env=environment,
        stdout=subprocess.PIPE, text=True, encoding="utf-8", errors="replace",
    )  # fmt: skip
    try:
        out, _ = process.communicate()
    except BaseException:
        _let_end(process)
        raise
    lines = out.strip().splitlines()
    return Ended(process.returncode, lines[-1] if lines else "")


def _let_end(process: subprocess.Popen[str]) -> None:
    """Wait while a stage saves and stops. Ctrl+C reached it as well; a polite kill of ours alone did not."""
    try:
        process.communicate(timeout=_ENDING)
    except subprocess.TimeoutExpired:
        if os.name != "nt":  # there, to terminate is to kill
            process.terminate()
        process.communicate()


def _note(words: str) -> None:
    beat = heartbeat.current()
    if beat is not None:
        beat.update(note=words)
