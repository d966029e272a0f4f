"""Logged answers merged into what a bucket holds: its bars and events, and the entries of its ledger."""

from __future__ import annotations

import datetime as dt
import logging
from collections.abc import Iterator
from typing import Any

import polars as pl

from src.core.instruments import KEY, Key
from src.hydration.live import content_hash
from src.hydration.live.answer_log import LoggedAnswer
from src.hydration.live.corporate_actions import disagreements
from src.hydration.live.history import History
from src.hydration.live.raw_bucket import ENTRY
from src.hydration.live.refresh import merge
from src.sources import registry

log = logging.getLogger(__name__)
_LASTING = ("serves", "first_trade")  # facts of a whole answer, which hold for its refreshes as well


def merged(
    history: History, entries: dict[Key, dict[str, Any]], answers: list[LoggedAnswer]
) -> tuple[History, list[Key]]:
    """Merge answers into a bucket's history, and bring its entries up to date in place.

    Parameters
    ----------
    history : History
        What the bucket holds of the instruments in `entries`.
    entries : dict
        Entry by (asset_class, symbol); changed in place.
    answers : list of LoggedAnswer
        Oldest first.

    Returns
    -------
    history : History
        In the order of the store.
    written : list of (asset_class, symbol)
        Instruments whose entries were written, those of archives aside.
    """
    messages: dict[int, str] = {}
    for group in _groups(answers, set(entries)):
        history = _with_group(history, group)
        messages |= _disagreements(group)
    history = history.ordered()
    return history, _update(entries, answers, history, messages)


def iso(moment: dt.date | dt.datetime | None) -> str | None:
    """A date or time as the ledger writes it.

    Parameters
    ----------
    moment : date, datetime or None
        A time has a zone.

    Returns
    -------
    str or None
        ISO text; times in UTC with microseconds.
    """
    if isinstance(moment, dt.datetime):
        return moment.astimezone(dt.UTC).isoformat(timespec="microseconds")
    return moment.isoformat() if moment is not None else None


def _groups(answers: list[LoggedAnswer], present: set[Key]) -> Iterator[list[LoggedAnswer]]:
    """Answers in groups with at most one per instrument; rows of archives first, which touch no other rows.

    An answer that would have to be merged into bars that are missing is left out: its instrument is due as a whole.
    """
    groups: dict[int, list[LoggedAnswer]] = {}
    count: dict[Key, int] = {}
    for answer in answers:
        if answer.how == "archive":
            yield [answer]
    for answer in answers:
        if answer.how == "archive":
            continue
        key = answer.key
        if answer.how == "merge" and key not in present:
            log.warning("%s: a refresh came, and the bars before it are lost: left out", ":".join(key))
        if answer.how == "replace" or (answer.how == "merge" and key in present):
            present.add(key)
            count[key] = count.get(key, -1) + 1
            groups.setdefault(count[key], []).append(answer)
    yield from groups.values()


def _with_group(history: History, group: list[LoggedAnswer]) -> History:
    """The history after these answers, at most one per instrument."""
    if group[0].how == "archive":
        bars = history.bars.filter(pl.col("source") != group[0].entry["source"])
        return History(pl.concat([bars, group[0].bars]), history.events)
    replacing = [answer for answer in group if answer.how == "replace"]
    merging = [answer for answer in group if answer.how == "merge"]
    keys = pl.DataFrame([answer.key for answer in replacing], schema=dict.fromkeys(KEY, pl.String()), orient="row")
    live = ~pl.col("source").is_in(registry.archive_names())
    kept = history.bars.filter(live).join(keys, on=KEY, how="anti", maintain_order="left")
    bars = pl.concat([history.bars.filter(~live), kept])
    events = history.events.join(keys, on=KEY, how="anti")
    bars = pl.concat([bars, *(answer.bars for answer in replacing)])
    events = pl.concat([events, *(answer.events for answer in replacing)])
    if not merging:
        return History(bars, events)
    refreshed = History(*(pl.concat([getattr(a, name) for a in merging]) for name in ("bars", "events")))
    return merge(History(bars, events), refreshed)


def _disagreements(group: list[LoggedAnswer]) -> dict[int, str]:
    """Messages on answers, at most one per instrument, whose adj_close and events disagree; by the answer's id."""
    given = [answer for answer in group if answer.how in ("replace", "merge")]
    if not given:
        return {}
    messages = disagreements(*(pl.concat([getattr(a, name) for a in given]) for name in ("bars", "events")))
    return {id(answer): messages[answer.key] for answer in given if answer.key in messages}


def _update(
    entries: dict[Key, Any], answers: list[LoggedAnswer], history: History, messages: dict[int, str]
) -> list[Key]:
    """Bring `entries` up to date with the answers and with the bars after them; return those that were written."""
    written: list[Key] = []
    with_archive = False
    for answer in answers:
        if answer.how == "archive":
            with_archive = True
            for key in answer.bars.select(KEY).unique().rows():
                entries.setdefault(key, _blank(key, answer.entry["source"]))
            continue
        key = answer.key
        if answer.how == "merge" and key not in entries:
            continue
        former = {**_blank(key, ""), **entries.get(key, {})}
        entries[key] = {**former, **answer.entry}
        if answer.how != "failure":
            earlier = former["facts"] if answer.how == "merge" else {}
            message = messages.get(id(answer), earlier.get("adjustment"))
            kept = {name: earlier[name] for name in _LASTING if name in earlier}  # a refresh meets no limit
            entries[key]["facts"] = {**kept, **answer.entry["facts"], **({"adjustment": message} if message else {})}
        written.append(key)
    changed = entries if with_archive else written
    for key, sums in content_hash.sums(history.bars, history.events, changed).items():
        entries[key] |= {**sums, "first": iso(sums["first"]), "last": iso(sums["last"])}
        if not sums["rows"] and registry.is_archive(entries[key]["provider"]):
            del entries[key]  # the archive has it no longer, and no provider was asked for it
    return list(dict.fromkeys(written))


def _blank(key: Key, provider: str) -> dict[str, Any]:
    blank: dict[str, Any] = dict.fromkeys(ENTRY)
    values = {"provider": provider, "name": "", "state": "fetched", "tries": 0, "error_class": "", "reason": ""}
    return {**blank, "asset_class": key[0], "symbol": key[1], **values, "rows": 0, "content_hash": "", "facts": {}}
