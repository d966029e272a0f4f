"""Alarms that stay raised until a person acknowledges them: ``state.json`` of the monitor.

A person who looks on one quiet day after a bad month must still see that there was an alarm. Acknowledging one lets its
tests begin again with the decisions after that day.
"""

from __future__ import annotations

import datetime as dt
import getpass
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from src.config.commands import command
from src.core.errors import ConfigError, StageError
from src.storage import atomic

FILE = "state.json"


@dataclass(frozen=True)
class Alarm:
    """What was found against a champion, or the book.

    Attributes
    ----------
    causes : tuple of str
        fault, drift, reversal, or edge (of the book, and of all champions together).
    since : str
        Day of the first crossing, YYYY-MM-DD.
    reason : str
        One sentence, as of the latest day on which it was found.
    """

    causes: tuple[str, ...]
    since: str
    reason: str


@dataclass(frozen=True)
class Acknowledgement:
    """That a person has looked at an alarm.

    Attributes
    ----------
    who, why : str
    when : str
        YYYY-MM-DD.
    judged_to : str
        Day of the newest bar then: decisions up to it count no more.
    causes : tuple of str
        Of the alarm.
    """

    who: str
    when: str
    why: str
    judged_to: str
    causes: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.when} by {self.who}: {self.why}"


@dataclass
class AlarmState:
    """Alarms of one dataset by subject: ``stock.AAPL/3`` for a version, ``book``, or ``champions`` for all together.

    Attributes
    ----------
    raised, acknowledged : dict
    demoted : dict
        Reason by subject.
    shown : dict
        Tag of each version in the registry, as it was last written.
    judged_to : str
        Day of the newest bar of the last run.
    """

    raised: dict[str, Alarm] = field(default_factory=dict)
    acknowledged: dict[str, Acknowledgement] = field(default_factory=dict)
    demoted: dict[str, str] = field(default_factory=dict)
    shown: dict[str, str] = field(default_factory=dict)
    judged_to: str = ""

    @classmethod
    def read(cls, folder: Path) -> AlarmState:
        """Read the state of a dataset; empty without one.

        Raises
        ------
        StageError
            If the file can't be read.
        """
        path = folder / FILE
        if not path.is_file():
            return cls()
        try:
            stored: dict[str, Any] = atomic.read_json(path)
            raised = {key: Alarm(**{**each, "causes": tuple(each["causes"])}) for key, each in stored["raised"].items()}
            known = {
                key: Acknowledgement(**{**each, "causes": tuple(each["causes"])})
                for key, each in stored["acknowledged"].items()
            }
            return cls(raised, known, dict(stored["demoted"]), dict(stored["shown"]), str(stored["judged_to"]))
        except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
            raise StageError(
                f"{path.as_posix()} can't be read ({error}): move it away, and alarms are raised again"
            ) from error

    def write(self, folder: Path) -> None:
        """Write the state, unless it is the same already."""
        content = {
            "raised": {key: asdict(self.raised[key]) for key in sorted(self.raised)},
            "acknowledged": {key: asdict(self.acknowledged[key]) for key in sorted(self.acknowledged)},
            "demoted": dict(sorted(self.demoted.items())),
            "shown": dict(sorted(self.shown.items())),
            "judged_to": self.judged_to,
        }
        path = folder / FILE
        if not path.is_file() or AlarmState.read(folder) != self:
            atomic.write_json(content, path)

    def update(self, subject: str, found: Alarm | None) -> Alarm | None:
        """Keep what was found, and return the alarm that is raised now.

        Parameters
        ----------
        subject : str
        found : Alarm or None
            Of this run; None where nothing was found, which ends no alarm that was raised before.

        Returns
        -------
        Alarm or None
            With the day of the first crossing and all causes since.
        """
        before = self.raised.get(subject)
        if found is None:
            return before
        if before is not None:
            causes = tuple(dict.fromkeys((*before.causes, *found.causes)))
            found = replace(found, causes=causes, since=min(before.since, found.since))
        self.raised[subject] = found
        return found

    def judged_from(self, subject: str) -> dt.date | None:
        """Day up to which a person has looked at a subject's decisions; None where none has."""
        found = self.acknowledged.get(subject)
        return dt.date.fromisoformat(found.judged_to) if found else None


def acknowledge(folder: Path, name: str, why: str, today: dt.date | None = None) -> str:
    """Record that a person has looked at the alarms of a champion, or of the book.

    Parameters
    ----------
    folder : Path
        ``data/monitor/<dataset>``.
    name : str
        Registered model, ``book``, ``champions`` or ``all``.
    why : str
        Kept with the person's name and the day.
    today : date, optional
        Kept with the reason; by default that of the clock, in UTC.

    Returns
    -------
    str
        One line that says what was done.

    Raises
    ------
    ConfigError
        Without a reason.
    StageError
        If no such alarm is raised: names those that are.
    """
    if not why.strip():
        raise ConfigError(f'acknowledge={name} needs why="...": the reason is kept with your name and the day')
    state = AlarmState.read(folder)
    wanted = [key for key in state.raised if name == "all" or key.partition("/")[0].lower() == name.lower()]
    if not wanted:
        others = ", ".join(sorted({key.partition("/")[0] for key in state.raised})) or "none"
        raise StageError(f"no alarm is raised for {name} (raised: {others}): look at them with {command('monitor')}")
    done, when = [], today or dt.datetime.now(dt.UTC).date()
    for key in sorted(wanted):
        alarm = state.raised.pop(key)
        state.acknowledged[key] = Acknowledgement(
            getpass.getuser(), when.isoformat(), why.strip(), state.judged_to, alarm.causes
        )
        done.append(f"{key.partition('/')[0]} ({', '.join(alarm.causes)} since {alarm.since})")
    state.write(folder)
    return f"acknowledged {'; '.join(done)}: decisions after {state.judged_to} are judged from now on"
