"""The steps of a day: verbs that run as commands of their own, one line each, recorded as they end."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from src.config.paths import DatasetPaths
from src.core.errors import ConfigError, StageError
from src.runtime import heartbeat
from src.runtime.progress import duration
from src.runtime.stage_process import INTERRUPTED, MISUSED, StageEnd
from src.storage.day_record import DayRecord, moment, write_record

Run = Callable[[str, Sequence[str]], StageEnd]
Clock = Callable[[], dt.datetime]
_OWN = ("daily", "refit")  # settings that are not for the steps
_OF_TRAINING = ("scope", "experiment")  # what each training of a refit chooses itself


@dataclass(frozen=True)
class World:
    """What a day does to the world and asks of it; tests replace it.

    Attributes
    ----------
    run : callable
        Runs a verb with settings to its end.
    clock : callable
        Gives the time, with a time zone.
    sleep : callable
        Takes seconds.
    show : callable
        Shows a line.
    notify : callable
        Takes a title and a body, and sends them.
    ping : callable
        Takes whether the run ended well, and tells the dead man's switch.
    """

    run: Run
    clock: Clock
    sleep: Callable[[float], None]
    show: Callable[[str], None]
    notify: Callable[[str, str], None]
    ping: Callable[[bool], None]


def settings_of(step: str, typed: Iterable[str]) -> list[str]:
    """Choose what a step is given of the settings that were typed for the day.

    Parameters
    ----------
    step : str
        Name of the verb.
    typed : iterable of str
        As typed, ``key=value``.

    Returns
    -------
    list of str
        Without those of the day itself.

    Examples
    --------
    >>> settings_of("train", ["universe=quick", "scope=pooled", "daily.wait=false", "refit=monthly"])
    ['universe=quick']
    """
    left_out = (*_OWN, *_OF_TRAINING) if step == "train" else _OWN
    return [word for word in typed if word.partition("=")[0].lstrip("+~").partition(".")[0] not in left_out]


class Steps:
    """Runs the steps of one day, shows a line for each, and keeps the record.

    Parameters
    ----------
    paths : DatasetPaths
    typed : list of str
        Settings of the command line.
    record : DayRecord
        As read; it is replaced and written as steps end.
    world : World
    """

    def __init__(self, paths: DatasetPaths, typed: list[str], record: DayRecord, world: World) -> None:
        self.record = record
        self._paths, self._typed, self._world = paths, typed, world

    def note(self, **changes: Any) -> None:
        """Change the record and write it.

        Parameters
        ----------
        **changes
            Fields of `DayRecord`.
        """
        self.record = dataclasses.replace(self.record, **changes)
        write_record(self.record, self._paths.daily)

    def run(self, step: str, *words: str, tolerated: bool = False) -> StageEnd:
        """Run a step to its end.

        Parameters
        ----------
        step : str
            Name of the verb.
        words : str
            Further settings.
        tolerated : bool
            Whether the day goes on where the step's exit status is 1.

        Returns
        -------
        StageEnd

        Raises
        ------
        KeyboardInterrupt
            If the step was interrupted.
        ConfigError
            If it refused the settings.
        StageError
            If it failed.
        """
        if (beat := heartbeat.current()) is not None:
            beat.update(note=" ".join([step, *words]))
        began = self._world.clock()
        end = self._world.run(step, [*settings_of(step, self._typed), *words])
        seconds = max((self._world.clock() - began).total_seconds(), 0.0)
        line = end.line if end.status == 0 or (tolerated and end.line) else self._reason(step, end)
        row = {"step": " ".join([step, *words]), "started": moment(began), "seconds": round(seconds, 1)}
        self.note(steps=[*self.record.steps, {**row, "status": end.status, "line": line}])
        if end.status == INTERRUPTED:
            raise KeyboardInterrupt
        if end.status == MISUSED:
            raise ConfigError(line)
        if end.status and not (tolerated and end.status == 1):
            raise StageError(line)
        self._world.show(f"{line or step} ({duration(seconds)})")
        return end

    def _reason(self, step: str, end: StageEnd) -> str:
        """Say why a step ended, from the heartbeat that it left."""
        beats = [beat for beat in heartbeat.beats(self._paths.dataset, self._paths.root) if beat.verb == step]
        why = next((beat.message for beat in reversed(beats) if beat.ended and beat.message), "") or end.line
        if not why:
            how = f"was ended by signal {-end.status}" if end.status < 0 else f"ended with status {end.status}"
            why = f"{step} {how}; what it wrote stands above, and in its log"
        return why
