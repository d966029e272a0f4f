"""The picture that ``python -m src.status`` shows: running commands, a table of all stages, reasons, freshness."""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Iterator
from typing import Any

from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from src.config.commands import command as shell_command
from src.hydration.quality import sentence as quality_sentence
from src.inspection import daily_view
from src.inspection.journal_view import journal_sentence
from src.inspection.pooled_view import portfolio_line
from src.inspection.research_view import research_sentence
from src.runtime.progress import duration, pace
from src.runtime.redaction import shown
from src.storage.state_counts import COUNTS

Json = dict[str, Any]
_COLUMNS = (*COUNTS, "total")
_NAME = 12  # letters of the first column
_BAR = 24
_CHAMPIONS_SHOWN = 10
_PORTFOLIOS_SHOWN = 6
WIDE = 10_000  # columns, so that no line wraps
_TONES = {"running": "green", "waiting": "yellow", "elsewhere": "green"}
_ENDS = {
    "interrupted": "interrupted: run the same command to continue",
    "died": "died (killed, or the machine went down): run the same command to continue",
    "elsewhere": "runs on another machine",
}


class Fitted:
    """A picture cut to the terminal: no line wraps, and lines that do not fit are counted.

    Parameters
    ----------
    picture : Group
        From `picture`.
    footer : str
        A line that is always shown, below the picture and an empty line.
    """

    def __init__(self, picture: Group, footer: str) -> None:
        self._picture, self._footer = picture, footer

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render as many lines as fit; the terminal crops their ends."""
        whole = options.update(width=WIDE, no_wrap=True, height=None)
        lines = console.render_lines(self._picture, whole, pad=False)
        room = max(options.size.height - 2, 1)
        if len(lines) > room:
            lines = [*lines[: room - 1], [Segment(f"... {len(lines) - room + 1} more lines")]]
        for line in lines:
            yield from (*line, Segment.line())
        yield from (Segment.line(), Segment(self._footer))


def picture(overview: Json) -> Group:
    """Draw the picture in colours; a console without colours leaves them out.

    Parameters
    ----------
    overview : dict
        From `src.inspection.watch.look`.
    """
    if "reason" in overview:
        return Group(_text(overview["reason"]))
    now = dt.datetime.fromisoformat(overview["at"])
    title = _text((_title(overview, now), "bold"))
    parts: list[Text | Table] = [title, *_working(overview, now), Text(), _table(overview)]
    for section in (
        _troubles(overview),
        _quality(overview),
        _freshness(overview),
        _passes(overview),
        _pooled(overview),
        _champions(overview),
        _research(overview),
        _journal(overview),
        _daily(overview, now),
    ):
        lines = list(section)
        parts += [Text(), *lines] if lines else []
    return Group(*parts)


def text(overview: Json) -> str:
    """Write the picture as plain text, for output that is not a terminal.

    Parameters
    ----------
    overview : dict
        From `src.inspection.watch.look`.
    """
    out = io.StringIO()
    Console(file=out, width=WIDE, force_terminal=False, legacy_windows=False, soft_wrap=True).print(picture(overview))
    return out.getvalue()


def sentence(overview: Json) -> str:
    """Write one plain line, for a log or a terminal that can't be redrawn.

    Parameters
    ----------
    overview : dict
        From `src.inspection.watch.look`.
    """
    if "reason" in overview:
        return shown(f"? {overview['reason']}")
    now = dt.datetime.fromisoformat(overview["at"])
    parts = []
    for stage in overview["stages"]:
        row = stage["all"]
        counts = ", ".join(f"{_number(row[name])} {name}" for name in COUNTS if row[name])
        running = "" if stage["state"] == "idle" else f" ({_describe(stage, now)})"
        parts.append(f"{stage['stage']} {counts or 'nothing yet'}{running}")
    return shown(f"{_clock(now)} {overview['dataset']}: {'; '.join(parts)}")


def _title(overview: Json, now: dt.datetime) -> str:
    source = f" from {overview['source']}" if overview["source"] else ""
    interval = "" if overview["interval"] == "1d" else f", bars of {overview['interval']}"
    return f"{overview['dataset']}{source}{interval}, {now.astimezone():%Y-%m-%d %H:%M:%S}"


# what runs ------------------------------------------------------------------------------------------------------------


def _working(overview: Json, now: dt.datetime) -> Iterator[Text]:
    stages = [stage for stage in overview["stages"] if stage["state"] != "idle"]
    for stage in stages:
        yield Text()
        tone = _TONES.get(stage["state"], "red")
        yield _text((f"{stage['stage']:<{_NAME}}", "bold"), (_bar(stage), tone), _describe(stage, now))
    shown = {stage["stage"] for stage in stages}
    others = [
        command
        for command in overview["commands"]
        if command["dataset"] != overview["dataset"] or command["verb"] not in shown
    ]
    for command in others:
        yield Text()
        count = f", {command['finished']:,} of {command['of']:,} {command['unit']}s" if command["of"] else ""
        note = f"; {command['note']}" if command["note"] else ""
        yield _text(
            f"also {command['verb']} on {command['dataset']}: {command['state']}, begun "
            f"{_ago(command['started'], now)} (process {command['pid']}){count}{note}"
        )


def _bar(stage: Json) -> str:
    if not stage["of"] or stage["state"] == "waiting":
        return ""
    share = min(stage["finished"] / stage["of"], 1.0)
    full = int(share * _BAR)
    return f"[{'#' * full}{'.' * (_BAR - full)}] {share:4.0%}  "


def _describe(stage: Json, now: dt.datetime) -> str:
    """State of the stage's command: how far it is, or how it ended."""
    if stage["state"] == "waiting":
        return stage["note"] or "is about to start"
    count = f"{stage['finished']:,} of {stage['of']:,}" if stage["of"] is not None else ""
    if stage["state"] == "failed":
        return f"failed {_ago(stage['updated'], now)}: {stage['message']}"
    if stage["state"] in _ENDS:
        end = f"{_ENDS[stage['state']]}; last report {_ago(stage['updated'], now)}"
        return f"{count}, {end}" if count else end
    parts = [count or "has begun", *([pace(stage["rate"])] if stage["rate"] else [])]
    if stage["rate"] and stage["left_seconds"]:
        parts.append(f"about {duration(stage['left_seconds'])} left")
    quiet = now - dt.datetime.fromisoformat(stage["updated"])
    if quiet > dt.timedelta(minutes=2):
        parts.append(f"last report {_ago(stage['updated'], now)}")
    return ", ".join(parts) + (f"; {stage['note']}" if stage["note"] else "")


# the table ------------------------------------------------------------------------------------------------------------


def _table(overview: Json) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("", min_width=_NAME, no_wrap=True)
    for column in _COLUMNS:
        table.add_column(column, min_width=max(len(column), 7), justify="right", no_wrap=True)
    for stage in overview["stages"]:
        several = len(stage["classes"]) > 1
        alone = "" if several else "".join(f" {kind}" for kind in stage["classes"])
        table.add_row(_text((stage["stage"] + alone, "bold")), *_cells(stage["all"]))
        for kind, row in stage["classes"].items() if several else ():
            table.add_row(_text(f"  {kind}"), *_cells(row))
    return table


def _cells(row: Json) -> Iterator[Text]:
    return (Text(_number(row[column]), _tone(column, row[column])) for column in _COLUMNS)


def _tone(column: str, value: int | None) -> str:
    if not value:
        return "dim"
    return {"failed": "red", "quarantined": "yellow", "done": "green"}.get(column, "")


# below the table ------------------------------------------------------------------------------------------------------


def _troubles(overview: Json) -> Iterator[Text]:
    for stage in overview["stages"]:
        retry = stage.get("retry") or {}
        if retry.get("due") or retry.get("later"):
            after = f", the next at {_local(retry['next_attempt'])}" if retry["next_attempt"] else ""
            yield _text(f"{stage['stage']}: {retry['due']:,} failed are due again, {retry['later']:,} later{after}")
        for reason in stage["reasons"]:
            tone = {"failed": "red", "quarantined": "yellow"}.get(reason["state"], "")
            head = f"{stage['stage']}: {reason['count']:,} {reason['state']}"
            kind = f"{reason['kind']}: " if reason["kind"].isidentifier() else ""
            yield _text((head, tone), f", {kind}{reason['reason']} ({reason['instrument']})")


def _quality(overview: Json) -> Iterator[Text]:
    counted = overview.get("quality")
    if counted:
        page = f"; see {counted['page']}" if counted["page"] else ""
        yield _text(f"bars: {quality_sentence(counted)}{page}")


def _freshness(overview: Json) -> Iterator[Text]:
    for row in overview["freshness"]:
        span = f"newest bar {row['newest']}, oldest last bar {row['oldest']}"
        if row["last_session"] is None:
            yield _text(f"{row['asset_class']}: {row['instruments']:,} instruments, {span}")
            continue
        asked = f", {row['asked_since']:,} asked for since" if row["asked_since"] is not None else ""
        yield _text(
            f"{row['asset_class']}: {row['have_it']:,} of {row['instruments']:,} have the session of"
            f" {row['last_session']}{asked}, {row['week_behind']:,} over a week behind (oldest {row['oldest']})"
        )


def _passes(overview: Json) -> Iterator[Text]:
    passes = overview["passes"]
    if passes:
        families = [
            f"{name} {row['passed']:,} of {row['runs']:,}"
            + (f" ({row['failed']:,} failed)" if row.get("failed") else "")
            for name, row in passes["families"].items()
        ]
        so_far = "" if passes["session"] == "done" else " so far"
        yield _text(f"passes, runs by family: {', '.join(families)}{so_far}")
    report = overview["report"]
    if report["written"]:
        again = shell_command("report", stored=overview["dataset"])
        older = "" if report["current"] else f", older than the grades: run {again}"
        yield _text(f"report of {_local(report['written'])}{older}")


def _pooled(overview: Json) -> Iterator[Text]:
    pooled = overview["pooled"]
    if pooled:
        for row in pooled["portfolios"][:_PORTFOLIOS_SHOWN]:
            yield _text(f"pooled: {portfolio_line(row)}")
        more = len(pooled["portfolios"]) - _PORTFOLIOS_SHOWN
        yield _text(f"pooled: {f'and {more:,} more. ' if more > 0 else ''}{pooled['reservations']}")


def _champions(overview: Json) -> Iterator[Text]:
    champions = overview.get("champions")
    if not champions or not (champions["count"] or champions["objections"]):
        return
    failing = champions["objections"]
    yield _text(f"champions: {champions['count']:,}, {len(failing):,} no longer clear")
    for row in failing[:_CHAMPIONS_SHOWN]:
        yield _text((f"{row['name']}", "red"), f" version {row['version']}: {row['reason']}")
    if len(failing) > _CHAMPIONS_SHOWN:
        promote = shell_command("promote", stored=overview["dataset"])
        yield _text(f"and {len(failing) - _CHAMPIONS_SHOWN:,} more: {promote} shows all")


def _research(overview: Json) -> Iterator[Text]:
    if overview.get("research"):
        yield _text(f"research: {research_sentence(overview['research'])}")


def _journal(overview: Json) -> Iterator[Text]:
    journal = overview.get("journal")
    if journal:
        yield _text(("journal", "red" if journal["broken"] else ""), f": {journal_sentence(journal)}")


def _daily(overview: Json, now: dt.datetime) -> Iterator[Text]:
    day = overview.get("daily")
    if day:
        yield _text(("daily", "red" if daily_view.is_late(day) else ""), f": {daily_view.sentence(day, now)}")


def _text(*parts: str | tuple[str, str]) -> Text:
    """Join texts, some with a style; brackets are not markup, and control characters are replaced."""
    styled = [(part, "") if isinstance(part, str) else part for part in parts]
    return Text.assemble(*((shown(part), style) for part, style in styled))


def _number(value: int | None) -> str:
    return "?" if value is None else f"{value:,}"


def _clock(moment: dt.datetime) -> str:
    return f"{moment.astimezone():%H:%M:%S}"


def _local(moment: str) -> str:
    return f"{dt.datetime.fromisoformat(moment).astimezone():%Y-%m-%d %H:%M}"


def _ago(moment: str, now: dt.datetime) -> str:
    seconds = max((now - dt.datetime.fromisoformat(moment)).total_seconds(), 0.0)
    return f"{duration(seconds)} ago" if seconds < 48 * 3600 else f"on {_local(moment)}"
