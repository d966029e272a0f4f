"""The picture that ``python -m src.status`` shows: what runs, one table of all stages, what went wrong, how fresh."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

from src.runtime.progress import duration, pace
from src.storage.state_counts import COUNTS

Json = dict[str, Any]
_COLUMNS = (*COUNTS, "total")
_NAME = 12  # letters of the first column
_BAR = 24
_COLOURS = {"bold": "1", "red": "31", "green": "32", "yellow": "33", "dim": "2"}
_TONES = {"running": "green", "waiting": "yellow", "elsewhere": "green"}
_SAYS = {
    "interrupted": "interrupted: the same command goes on",
    "died": "died (killed, or the machine went down): the same command goes on",
    "elsewhere": "runs on another machine",
}


class Paint:
    """Colours where they are wanted; the plain words elsewhere."""

    def __init__(self, colour: bool) -> None:
        self._colour = colour

    def __call__(self, words: str, tone: str | None) -> str:
        """Give `words` a tone: bold, dim, red, green, yellow or none."""
        return f"\x1b[{_COLOURS[tone]}m{words}\x1b[0m" if self._colour and tone and words.strip() else words


def picture(found: Json, colour: bool = False) -> list[str]:
    """The whole picture, line by line.

    Parameters
    ----------
    found
        From `src.inspection.overview.overview`.
    colour
        With the terminal's colours; plain text otherwise.
    """
    paint = Paint(colour)
    now = dt.datetime.fromisoformat(found["at"])
    lines = [paint(_title(found, now), "bold"), *_working(found, now, paint), "", *_table(found, paint)]
    for section in (_troubles(found, paint), _freshness(found), _passes(found)):
        part = list(section)
        lines += ["", *part] if part else []
    return lines


def sentence(found: Json) -> str:
    """One plain line: for a log, or a terminal that can't be redrawn."""
    now = dt.datetime.fromisoformat(found["at"])
    parts = []
    for stage in found["stages"]:
        row = stage["all"]
        words = ", ".join(f"{_number(row[name])} {name}" for name in COUNTS if row[name])
        running = "" if stage["state"] == "idle" else f" ({_said(stage, now)})"
        parts.append(f"{stage['stage']} {words or 'nothing yet'}{running}")
    return f"{_clock(now)} {found['dataset']}: {'; '.join(parts)}"


def _title(found: Json, now: dt.datetime) -> str:
    source = f" from {found['source']}" if found["source"] else ""
    interval = "" if found["interval"] == "1d" else f", bars of {found['interval']}"
    return f"{found['dataset']}{source}{interval}, {now.astimezone():%Y-%m-%d %H:%M:%S}"


# what runs ------------------------------------------------------------------------------------------------------------


def _working(found: Json, now: dt.datetime, paint: Paint) -> Iterator[str]:
    stages = [stage for stage in found["stages"] if stage["state"] != "idle"]
    for stage in stages:
        yield ""
        tone = _TONES.get(stage["state"], "red")
        yield paint(f"{stage['stage']:<{_NAME}}", "bold") + paint(_bar(stage), tone) + _said(stage, now)
    named = {stage["stage"] for stage in stages}
    others = [each for each in found["commands"] if each["dataset"] != found["dataset"] or each["verb"] not in named]
    for each in others:
        yield ""
        about = f", {each['finished']:,} of {each['of']:,} {each['unit']}s" if each["of"] else ""
        about += f"; {each['note']}" if each["note"] else ""
        yield (
            f"also {each['verb']} on {each['dataset']}: {each['state']}, begun {_ago(each['started'], now)}"
            f" (process {each['pid']}){about}"
        )


def _bar(stage: Json) -> str:
    if not stage["of"] or stage["state"] == "waiting":
        return ""
    share = min(stage["finished"] / stage["of"], 1.0)
    full = int(share * _BAR)
    return f"[{'#' * full}{'.' * (_BAR - full)}] {share:4.0%}  "


def _said(stage: Json, now: dt.datetime) -> str:
    """What the stage's command does, in words."""
    if stage["state"] == "waiting":
        return stage["note"] or "is about to start"
    count = f"{stage['finished']:,} of {stage['of']:,}" if stage["of"] is not None else ""
    if stage["state"] == "failed":
        return f"failed {_ago(stage['updated'], now)}: {stage['words']}"
    if stage["state"] in _SAYS:
        words = f"{_SAYS[stage['state']]}; last word {_ago(stage['updated'], now)}"
        return f"{count}, {words}" if count else words
    parts = [count or "has begun", *([pace(stage["rate"])] if stage["rate"] else [])]
    if stage["rate"] and stage["left_seconds"]:
        parts.append(f"about {duration(stage['left_seconds'])} left")
    quiet = now - dt.datetime.fromisoformat(stage["updated"])
    if quiet > dt.timedelta(minutes=2):
        parts.append(f"last word {_ago(stage['updated'], now)}")
    return ", ".join(parts) + (f"; {stage['note']}" if stage["note"] else "")


# the table ------------------------------------------------------------------------------------------------------------


def _table(found: Json, paint: Paint) -> Iterator[str]:
    widths = {name: max(len(name), 7) for name in _COLUMNS}
    yield paint(" " * _NAME + "".join(f"  {name:>{widths[name]}}" for name in _COLUMNS), "dim")
    for stage in found["stages"]:
        several = len(stage["classes"]) > 1
        alone = "" if several else "".join(f" {kind}" for kind in stage["classes"])
        yield _row(stage["stage"] + alone, stage["all"], widths, paint, "bold")
        if several:
            for kind, row in stage["classes"].items():
                yield _row(f"  {kind}", row, widths, paint, None)


def _row(name: str, row: Json, widths: dict[str, int], paint: Paint, tone: str | None) -> str:
    cells = [f"  {_number(row[column]):>{widths[column]}}" for column in _COLUMNS]
    tones = [_tone(column, row[column]) for column in _COLUMNS]
    return paint(f"{name:<{_NAME}}", tone) + "".join(paint(cell, each) for cell, each in zip(cells, tones, strict=True))


def _tone(column: str, value: int | None) -> str | None:
    if not value:
        return "dim"
    return {"failed": "red", "quarantined": "yellow", "done": "green"}.get(column)


# below the table ------------------------------------------------------------------------------------------------------


def _troubles(found: Json, paint: Paint) -> Iterator[str]:
    for stage in found["stages"]:
        retry = stage.get("retry") or {}
        if retry.get("due") or retry.get("later"):
            after = f", the next at {_local(retry['next_attempt'])}" if retry["next_attempt"] else ""
            yield f"{stage['stage']}: {retry['due']:,} failed are due again, {retry['later']:,} later{after}"
        for each in stage["reasons"]:
            tone = {"failed": "red", "quarantined": "yellow"}.get(each["state"])
            head = f"{stage['stage']}: {each['count']:,} {each['state']}"
            kind = f"{each['kind']}: " if each["kind"].isidentifier() else ""
            yield f"{paint(head, tone)}, {kind}{each['reason']} ({each['instrument']})"


def _freshness(found: Json) -> Iterator[str]:
    for row in found["freshness"]:
        span = f"newest bar {row['newest']}, oldest last bar {row['oldest']}"
        if row["last_session"] is None:
            yield f"{row['asset_class']}: {row['instruments']:,} instruments, {span}"
            continue
        asked = f", {row['asked_since']:,} asked for since" if row["asked_since"] is not None else ""
        yield (
            f"{row['asset_class']}: {row['have_it']:,} of {row['instruments']:,} have the session of"
            f" {row['last_session']}{asked}, {row['week_behind']:,} over a week behind (oldest {row['oldest']})"
        )


def _passes(found: Json) -> Iterator[str]:
    passes = found["passes"]
    if passes:
        each = [
            f"{name} {row['passed']:,} of {row['runs']:,}"
            + (f" ({row['failed']:,} failed)" if row.get("failed") else "")
            for name, row in passes["families"].items()
        ]
        yield f"passes, runs by family: {', '.join(each)}" + ("" if passes["session"] == "done" else " so far")
    report = found["report"]
    if report["written"]:
        older = "" if report["current"] else ", older than the grades: run python -m src.report"
        yield f"report of {_local(report['written'])}{older}"


def _number(value: int | None) -> str:
    return "?" if value is None else f"{value:,}"


def _clock(moment: dt.datetime) -> str:
    return f"{moment.astimezone():%H:%M:%S}"


def _local(moment: str) -> str:
    return f"{dt.datetime.fromisoformat(moment).astimezone():%Y-%m-%d %H:%M}"


def _ago(moment: str, now: dt.datetime) -> str:
    seconds = max((now - dt.datetime.fromisoformat(moment)).total_seconds(), 0.0)
    return f"{duration(seconds)} ago" if seconds < 48 * 3600 else f"on {_local(moment)}"
