"""What is done about a flag: the champion is taken down where the configuration says so, and the registry shows why."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping

from src.core.errors import StageError
from src.monitoring.alarms import Acknowledgement, Alarm, AlarmState
from src.signals.journal import Journal
from src.tracking.demotion import demote
from src.tracking.monitor_tags import show_findings
from src.tracking.settings import TrackedDataset

Champion = tuple[str, int]
EVENT = "demotion"


def subject_of(champion: Champion) -> str:
    """Name of a champion among the alarms, such as ``stock.AAPL/3``."""
    return f"{champion[0]}/{champion[1]}"


def demote_flagged(
    flagged: Mapping[Champion, Alarm], tracked: TrackedDataset, journal: Journal, state: AlarmState, today: dt.date
) -> tuple[set[Champion], list[str]]:
    """Take champions down: each is written to the journal first, and then to the registry.

    Parameters
    ----------
    flagged : mapping
        Alarms of present champions.
    tracked : TrackedDataset
    journal : Journal
    state : AlarmState
        Changed: a champion that is taken down has no alarm any more; if a person brings it back, the decisions for
        which it was taken down count no more.
    today : date
        Of the newest bar.

    Returns
    -------
    set of (name, version), list of str
        Those taken down, and a line for each, refusals included.
    """
    done: set[Champion] = set()
    lines = []
    recorded = (entry.note for entry in journal.entries() if entry.note.get("event") == EVENT)
    known = {(note.get("name"), note.get("version"), note.get("since")) for note in recorded}
    for champion, alarm in sorted(flagged.items()):
        reason = f"monitor: {', '.join(alarm.causes)} since {alarm.since}: {alarm.reason}"
        if (*champion, alarm.since) not in known:  # else recorded before a kill, or a refusal of the registry
            note = {"event": EVENT, "name": champion[0], "version": champion[1], "date": today.isoformat()}
            journal.record_event({**note, "causes": list(alarm.causes), "since": alarm.since, "reason": alarm.reason})
        try:
            lines.append(demote(tracked, *champion, reason))
        except StageError as error:
            lines.append(str(error))
            continue
        done.add(champion)
        subject, when = subject_of(champion), dt.datetime.now(dt.UTC).date().isoformat()
        state.demoted[subject] = reason
        state.raised.pop(subject, None)
        state.acknowledged[subject] = Acknowledgement("monitor", when, "demoted", today.isoformat(), alarm.causes)
    return done, lines


def show_in_registry(
    raised: Mapping[Champion, Alarm], known: Iterable[Champion], tracked: TrackedDataset, state: AlarmState
) -> list[str]:
    """Tag the versions whose alarms have changed since the tags were last written.

    Parameters
    ----------
    raised : mapping
        Alarms of present champions.
    known : iterable of (name, version)
        All champions that are looked at.
    tracked : TrackedDataset
    state : AlarmState
        Its `shown` is brought up to date.

    Returns
    -------
    list of str
        Refusals.
    """
    wanted = {subject_of(each): (each, _tag(raised[each]) if each in raised else "") for each in known}
    changed = {
        champion: text for subject, (champion, text) in wanted.items() if state.shown.get(subject, "") != _key(text)
    }
    refused = show_findings(tracked, changed)
    if refused:  # all of them are written again at the next look
        return refused
    for champion, text in changed.items():
        if text:
            state.shown[subject_of(champion)] = _key(text)
        else:
            state.shown.pop(subject_of(champion), None)
    return refused


def _tag(alarm: Alarm) -> str:
    return f"{', '.join(alarm.causes)} since {alarm.since}: {alarm.reason}"


def _key(text: str) -> str:
    """What a tag is compared by: causes and day, not the figures of the reason, which change every day."""
    return text.partition(": ")[0]
