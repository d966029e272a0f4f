"""The day in one command: hydrate, ingest research, featurize, refit where one is due, predict, monitor, report.

Every step is the verb itself, run as a command; each does only what is not done yet, so a day that was interrupted or
killed is finished by the same command, and a day that is done is not said twice.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from src.config.paths import DatasetPaths
from src.core.errors import ConfigError, Incomplete, StageError
from src.core.instruments import ASSET_CLASSES
from src.core.project import ROOT
from src.research.registry import enabled
from src.runtime.progress import duration
from src.scheduling import news, waiting
from src.scheduling.challengers import Challengers, last_bar
from src.scheduling.steps import Steps, World
from src.signals.journal import Journal
from src.sources import registry
from src.storage import atomic
from src.storage.day_record import DayRecord, moment, read_record

if TYPE_CHECKING:
    from pathlib import Path

    from src.config.schema import Config, DailyConfig


@dataclass(frozen=True)
class DayJob:
    """What a day is asked to do.

    Attributes
    ----------
    paths : DatasetPaths
    classes : list of str
        Asset classes of the dataset.
    choice : DailyConfig
    refit : str or None
        Period, see `src.scheduling.refit`.
    pinned : str or None
        Last bar that training may use, as the settings say.
    live : bool
        Whether the clock brings new bars: not those of files, of a simulation, or up to a chosen day.
    typed : list of str
        Settings of the command line.
    params : Path
        The file that holds ``split_until``.
    research : bool
        Whether sources of research are chosen, or facts were derived before.
    """

    paths: DatasetPaths
    classes: list[str]
    choice: DailyConfig
    refit: str | None
    pinned: str | None
    live: bool
    typed: list[str]
    params: Path = ROOT / "params.yaml"
    research: bool = False

    @classmethod
    def of(cls, config: Config, typed: list[str]) -> DayJob:
        """Take what a day needs from the configuration of a command."""
        live = registry.is_live(config.source.kind) and config.data.until is None
        limits = [kind for kind in ASSET_CLASSES if getattr(config.universe, kind) != 0]
        named = {name.partition(":")[0] for name in config.universe.symbols if ":" in name}
        classes = [kind for kind in limits if not named or kind in named]
        research = bool(enabled(config.research)) or config.paths.facts.is_dir()
        return cls(
            config.paths, classes, config.daily, config.refit, config.split.until, live, typed, research=research
        )

    @property
    def delay(self) -> dt.timedelta:
        """Time after a close before its bars are fetched."""
        return dt.timedelta(minutes=self.choice.delay_minutes)


class Day:
    """One day's work.

    Parameters
    ----------
    job : DayJob
    world : World
    """

    def __init__(self, job: DayJob, world: World) -> None:
        self._job, self._world = job, world
        self._record = read_record(job.paths.daily) or DayRecord()
        self._steps = Steps(job.paths, job.typed, self._record, world)
        self._stale = 0
        self._refused = False

    def carry_out(self) -> str:
        """Wait where that is due, run the steps, record and notify.

        Returns
        -------
        str
            The closing line.

        Raises
        ------
        Incomplete
            If the monitor found something: the message is the closing line.
        StageError
            If a step failed.
        """
        begin = self._begin()
        self._steps.note(live=self._job.live, every_hours=self._job.choice.heartbeat_hours)
        if begin.idle:
            self._steps.note(good=moment(self._world.clock()))
            self._world.ping(True)
            return f"daily: nothing to do; {begin.idle}"
        if begin.at is not None:
            waiting.wait_until(begin.at, self._world.clock, self._world.sleep)
        started = self._world.clock()
        self._steps.note(started=moment(started), ended=None, status=None, steps=[])
        before = self._book_date()
        try:
            flagged = self._work(begin)
        except KeyboardInterrupt:
            self._end(started, 130, begin)
            raise
        except (StageError, ConfigError, OSError) as error:
            self._end(started, 2 if isinstance(error, ConfigError) else 1, begin)
            self._tell(1, None, [], str(error))
            raise
        self._end(started, int(flagged), begin, good=True)
        return self._closing(started, before, flagged)

    def _begin(self) -> waiting.Begin:
        """When to begin: bars that no clock brings are taken as they are, at once."""
        if not self._job.live:
            return waiting.Begin({})
        states = self._states()
        held = None if states is None else states.filter(state="done")["asset_class"].unique().to_list()
        exists = self._record.book is None or self._record.book == self._book_date()
        done = self._record.sessions if exists else {}
        days = {kind: dt.date.fromisoformat(day) for kind, day in done.items()}
        classes = held or self._job.classes
        return waiting.begin(classes, days, self._world.clock(), self._job.delay, wait=self._job.choice.wait)

    def _work(self, begin: waiting.Begin) -> bool:
        """Run the steps; return whether the monitor found something, or promote refused some versions."""
        self._hydrate(begin)
        if self._job.research:
            minutes = f"research.minutes={self._job.choice.research_minutes:g}"
            words = [] if any(word.startswith("research.minutes=") for word in self._job.typed) else [minutes]
            self._steps.run("ingest", *words, tolerated=True)  # without news there is a book, too
        self._steps.run("featurize")
        job, states = self._job, self._states()
        challengers = Challengers(job.paths, job.refit, job.pinned, job.params)
        self._refused = challengers.train(self._steps, self._world, last_bar(states))
        self._steps.run("predict")
        monitor = self._steps.run("monitor", tolerated=True)
        reason = str(self._steps.record.steps[-1]["line"])
        self._steps.run("report")
        if monitor.status and not monitor.line:  # no closing line: it failed, it did not find something
            raise StageError(reason)
        return monitor.status != 0 or self._refused

    def _hydrate(self, begin: waiting.Begin) -> None:
        """Hydrate, and again while the provider lacks the session, until patience ends."""
        end = self._world.clock() + dt.timedelta(hours=self._job.choice.patience_hours)
        self._steps.run("hydrate")
        tries = 1
        while (found := self._arrived(begin)) is not None and found.late:
            seconds = waiting.pause(tries)
            if self._world.clock() + dt.timedelta(seconds=seconds) > end:
                break
            kinds = " and ".join(f"{kind} of {begin.sessions[kind]}" for kind in found.late)
            self._world.show(f"daily: most bars are not there yet ({kinds}); again in {duration(seconds)}")
            waiting.wait_until(
                self._world.clock() + dt.timedelta(seconds=seconds), self._world.clock, self._world.sleep
            )
            self._steps.run("hydrate", "retry=all")
            tries += 1
        self._stale = 0 if found is None else found.stale
        if found is not None and found.late:
            self._world.show(f"daily: goes on without the bars of {found.stale:,} instruments, which are not there yet")

    def _arrived(self, begin: waiting.Begin) -> waiting.Arrival | None:
        states = self._states()
        return None if states is None or not begin.sessions else waiting.arrival(states, begin.sessions)

    def _end(self, started: dt.datetime, status: int, begin: waiting.Begin, *, good: bool = False) -> None:
        """Record how the day ended; a good one is not done again."""
        now, book = self._world.clock(), self._book_date()
        facts = {"seconds": round((now - started).total_seconds(), 1), "status": status, "book": book}
        sessions = {kind: day.isoformat() for kind, day in begin.sessions.items()}
        runs = [*self._steps.record.runs, {"started": moment(started), **facts, "sessions": sessions}]
        done = {"good": moment(now), "sessions": sessions, "book": book} if good else {}
        self._steps.note(ended=moment(now), status=status, runs=runs, **done)
        if status != 130:  # a person who interrupts it knows
            self._world.ping(good)

    def _closing(self, started: dt.datetime, before: str | None, flagged: bool) -> str:
        book = self._book_date()
        changed = self._changed(book) if book != before else []
        self._tell(int(flagged), book, changed, "")
        took = duration((self._world.clock() - started).total_seconds())
        stale = f", {self._stale:,} instruments without the session's bar" if self._stale else ""
        said = "no book yet" if book is None else f"book of {book}{', as before' if book == before else ''}"
        line = f"daily: {said}{stale}, in {took}"
        if flagged:
            what = "promote refused versions" if self._refused else "the monitor found something"
            raise Incomplete(f"{line}; {what}: see its line above")
        return line

    def _tell(self, status: int, book: str | None, changed: list[str], trouble: str) -> None:
        if news.is_due(self._job.choice.notify, status, changed):
            text = news.body(self._steps.record, changed, trouble)
            self._world.notify(news.title(self._job.paths.dataset, status, book), text)

    def _changed(self, book: str | None) -> list[str]:
        if book is None:
            return []
        date = dt.date.fromisoformat(book)
        return news.changes(Journal(self._job.paths.journal).books(date), date)

    def _book_date(self) -> str | None:
        """Date of the last book of the journal."""
        days = [
            entry.last for entry in Journal(self._job.paths.journal).entries() if entry.kind == "book" and entry.last
        ]
        return max(days).isoformat() if days else None

    def _states(self) -> pl.DataFrame | None:
        path = self._job.paths.states("hydrate")
        if not path.is_file():
            return None
        with atomic.read_errors(path, "remove it, and hydrate writes it again"):
            return pl.read_parquet(path, glob=False)
