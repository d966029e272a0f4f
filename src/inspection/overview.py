"""Where each stage of a dataset stands, read from the files that the stages keep; no lock is taken, nothing is written.

Files of running commands are read as they are: a bucket that is being replaced counts as pending until it exists again.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from src.config.paths import DatasetPaths
from src.config.schema import SourceConfig, UniverseConfig
from src.core.instruments import ASSET_CLASSES, KEY
from src.hydration.live.answer_log import logged_entries
from src.hydration.live.sessions import due, last_complete
from src.hydration.quality import Quality, quality, reason_rows
from src.inspection.crowned import crowned
from src.inspection.daily_view import last_day
from src.inspection.files import read_table
from src.inspection.journal_view import last_book
from src.inspection.pooled_view import portfolios
from src.inspection.research_view import research_of
from src.market.bars import BarStore
from src.reporting.report_data import POOLED
from src.runtime import heartbeat
from src.runtime.heartbeat import Beat
from src.sources import registry
from src.storage import state_counts
from src.storage.atomic import read_json
from src.storage.ledger import WAITING, Ledger
from src.storage.state_counts import ROW, Json, no_rows
from src.tracking.settings import TrackedDataset

FORMAT = 1  # of the result of `overview`: raised if a key changes its meaning or is removed
_PIPELINE = ("hydrate", "featurize", "train")
_POOLED_UNIT = "fit"
_WEEK = dt.timedelta(days=7)
_ASKED: Json = dict.fromkeys((*KEY, "state", "error_class", "reason", "next_attempt", "checked"), pl.String())


@dataclass(frozen=True)
class _Dataset:
    """What is on disk of a dataset, read once.

    Attributes
    ----------
    wanted : DataFrame or None
        Key of every instrument to account for; None if that is not known yet.
    asked : DataFrame or None
        Ledger of live sources; None without them.
    """

    paths: DatasetPaths
    interval: str
    now: dt.datetime
    bars: BarStore
    wanted: pl.DataFrame | None
    quality: Quality
    asked: pl.DataFrame | None
    beats: list[Beat]

    @property
    def simulated(self) -> bool:
        """Whether the bars are simulated."""
        return self.bars.exists() and registry.is_simulated(self.bars.manifest.source)

    @property
    def hydrated(self) -> pl.DataFrame:
        """State of every instrument of the complete buckets."""
        return self.quality.instruments


def overview(
    paths: DatasetPaths,
    universe: UniverseConfig,
    source: SourceConfig,
    now: dt.datetime,
    tracked: TrackedDataset | None = None,
) -> Json:
    """Collect everything that ``python -m src.status`` shows, as plain values.

    Parameters
    ----------
    paths : DatasetPaths
    universe : UniverseConfig
        Its interval, and the instruments that are wanted before a hydration has chosen.
    source : SourceConfig
        Whether bars come from a live source.
    now : datetime
        With a time zone; decides which session is the last complete one.
    tracked : TrackedDataset, optional
        Where the champions are; None leaves them out.

    Returns
    -------
    dict
        docs/status.md describes each key.

    Raises
    ------
    StageError
        If a file can't be read.
    """
    data = _read(paths, universe, source, now)
    kinds = state_counts.classes(data.hydrated.filter(state="done")["asset_class"])
    return {
        "format": FORMAT,
        "dataset": paths.dataset,
        "interval": universe.interval,
        "source": data.bars.manifest.source if data.bars.exists() else None,
        "at": _iso(now),
        "stages": list(_stages(data)),
        "quality": _quality(data),
        "freshness": [_freshness(kind, data) for kind in kinds],
        "passes": _passes(data),
        "pooled": portfolios(paths, data.hydrated, simulated=data.simulated),
        "champions": None if tracked is None else crowned(tracked),
        "research": research_of(paths),
        "journal": last_book(paths),
        "daily": last_day(paths, now),
        "report": _report(paths),
        "commands": [_command(beat) for beat in heartbeat.beats() if beat.alive],
    }


def _read(paths: DatasetPaths, universe: UniverseConfig, source: SourceConfig, now: dt.datetime) -> _Dataset:
    bars = BarStore(paths.bars)
    found = quality(bars)
    chosen = read_table(bars.root / "universe.parquet")
    wanted = _configured(universe, is_live=registry.is_live(source.kind))
    if chosen is not None:
        wanted = pl.concat([chosen.filter("included").select(KEY), found.instruments.select(KEY)]).unique(KEY)
    beats = heartbeat.beats(paths.dataset, paths.root)
    return _Dataset(paths, universe.interval, now, bars, wanted, found, _asked(paths.raw), beats)


def _configured(universe: UniverseConfig, *, is_live: bool) -> pl.DataFrame | None:
    """Instruments that the settings alone ask for, before a hydration has chosen: named with their class, or pinned."""
    keys = [(kind, symbol) for kind, _, symbol in (name.partition(":") for name in universe.symbols) if symbol]
    if universe.symbols and len(keys) == len(universe.symbols):
        return pl.DataFrame(keys, schema=dict.fromkeys(KEY, pl.String()), orient="row")
    if universe.symbols or universe.file or not universe.pinned or not is_live:
        return None
    from src.listings import pinned

    rows = pinned.read(universe.pinned).rows
    parts = [rows.filter(asset_class=kind) for kind in ASSET_CLASSES]
    limits = [getattr(universe, kind) for kind in ASSET_CLASSES]
    taken = [part if limit is None else part.head(limit) for part, limit in zip(parts, limits, strict=True)]
    return pl.concat(taken).select(KEY)


def _asked(raw: Path) -> pl.DataFrame | None:
    """What live providers were asked for, from the ledger and the log of answers; the bars themselves are not read.

    An answer in the journal counts, because it is saved. The journal is read first, so that an answer that moves into
    the ledger meanwhile is found in one of them.
    """
    logged = logged_entries(raw / "pending")
    ledger = Ledger(raw)
    records = [record for record in map(ledger.read, ledger.units()) if record is not None]
    if not logged and not records:
        return None
    entries: dict[tuple[str, str], Json] = {}
    for entry in [*(entry for record in records for entry in record.states), *logged]:
        key = (entry["asset_class"], entry["symbol"])
        entries[key] = {name: entry.get(name, entries.get(key, {}).get(name)) for name in _ASKED}
    rows = list(entries.values())
    moments = [pl.col(name).str.to_datetime(time_zone="UTC") for name in ("next_attempt", "checked")]
    return pl.DataFrame(rows, schema=_ASKED, orient="row").with_columns(moments)


# stages ---------------------------------------------------------------------------------------------------------------


def _stages(data: _Dataset) -> Iterator[Json]:
    if data.asked is not None:
        yield _fetch(data, data.asked)
    hydrate = _stage("hydrate", data.hydrated, data, data.bars.root.glob("b*.json"))
    yield hydrate | {"reasons": state_counts.reasons(reason_rows(data.hydrated, data.quality.findings))}
    features = data.paths.features
    yield _stage("featurize", _featurized(data, Ledger(features)), data, features.glob("b*.json"))
    yield _train(data, data.paths.states("train"))
    pooled, path = read_table(data.paths.portfolio_states), data.paths.portfolio_states
    if pooled is not None or _beat(data, POOLED) is not None:
        yield _stage(POOLED, no_rows() if pooled is None else pooled.select(ROW), data, [path])
    for path in sorted(data.paths.states_folder.glob("*.parquet")):
        states = None if path.stem in _PIPELINE else read_table(path)
        if states is not None and set(ROW) <= set(states.columns):  # option chains, say
            rows = state_counts.judged(states) if path.stem == "promote" else states
            stage = _stage(path.stem, rows, data, [path], wanted=rows.select(KEY))
            yield stage | {"reasons": state_counts.reasons(states)}


def _stage(
    name: str, rows: pl.DataFrame, data: _Dataset, paths: Iterable[Path], wanted: pl.DataFrame | None = None
) -> Json:
    """One stage: its command, counts, reasons, and when its files last changed."""
    wanted = data.wanted if wanted is None else wanted
    working = _working(_beat(data, name))
    files = {"reasons": state_counts.reasons(rows), "changed": _changed(paths)}
    return {"stage": name, **working, **state_counts.counted(rows, wanted), **files}


def _fetch(data: _Dataset, asked: pl.DataFrame) -> Json:
    """Bars that live providers were asked for, before they are validated and published."""
    states = pl.col("state").replace({"fetched": "done", "unknown": "skipped", "unfit": "quarantined"})
    rows = asked.select(*KEY, states, "reason", pl.col("error_class").alias("kind"))
    failed = asked.filter(state="failed")["next_attempt"]
    later = failed.filter(failed > data.now)
    retry = {"due": len(failed) - len(later), "later": len(later), "next_attempt": _iso(later.min())}
    raw = data.paths.raw
    return _stage("fetch", rows, data, [*raw.glob("b*.json"), *raw.glob("pending/*.answer")]) | {"retry": retry}


def _featurized(data: _Dataset, ledger: Ledger) -> pl.DataFrame:
    """States of the buckets whose bars have not changed since the features were computed; the others are pending."""
    parts = [ledger.states(b).select(ROW) for b in data.bars.buckets() if ledger.fact(b, "bars") == data.bars.digest(b)]
    return pl.concat([no_rows(), *parts])


def _train(data: _Dataset, path: Path) -> Json:
    """Counts of the session that runs or did not end, from its heartbeat; else the states of the last one."""
    states = read_table(path)
    rows = no_rows() if states is None else states.select(ROW)
    rows = rows.filter((pl.col("reason") != WAITING).fill_null(True))
    stage = _stage("train", rows, data, [path]) | {"reasons": state_counts.reasons(rows, done=True)}
    beat = _beat(data, "train")
    facts = beat.facts if beat is not None and beat.facts.get("states") else None
    if facts is None:
        return stage
    return (
        stage
        | state_counts.running_counts(facts["states"], data.wanted)
        | {"reasons": facts.get("reasons", stage["reasons"])}
    )


def _beat(data: _Dataset, verb: str) -> Beat | None:
    """Heartbeat of the stage's command; of several the one that works, else the last.

    Training counts fits in the pooled scope, instruments in the other.
    """
    named, pooled = "train" if verb == POOLED else verb, verb == POOLED
    beats = [beat for beat in data.beats if beat.verb == named and (beat.unit == _POOLED_UNIT) == pooled]
    return next((beat for beat in beats if beat.state in ("running", "elsewhere")), beats[-1] if beats else None)


def _working(beat: Beat | None) -> Json:
    fields = ("pid", "started", "updated", "unit", "rate", "left_seconds", "note", "message")
    if beat is None:
        return {"state": "idle"} | dict.fromkeys((*fields, "finished", "of"))
    return {"state": beat.state, "finished": beat.done, "of": beat.total} | {f: getattr(beat, f) for f in fields}


def _command(beat: Beat) -> Json:
    fields = ("verb", "dataset", "root", "state", "pid", "host", "command", "started", "updated", "note")
    return {name: getattr(beat, name) for name in fields} | {"finished": beat.done, "of": beat.total, "unit": beat.unit}


def _quality(data: _Dataset) -> Json | None:
    """Counts of what hydration found, and the page that shows it; null before anything was hydrated."""
    if data.hydrated.is_empty():
        return None
    page = data.paths.reports / "quality.html"
    return {**data.quality.counts(), "page": page.as_posix() if page.is_file() else None}


# bars and models ------------------------------------------------------------------------------------------------------


def _freshness(kind: str, data: _Dataset) -> Json:
    """How recent the bars of a class are, compared with the last complete session."""
    rows = data.hydrated.filter(asset_class=kind, state="done")
    row: Json = {"asset_class": kind, "instruments": rows.height}
    row |= {"newest": _iso(rows["last"].max()), "oldest": _iso(rows["last"].min())}
    row |= dict.fromkeys(("last_session", "have_it", "week_behind", "asked_since"))
    session = _session(kind, data)
    if session is None:
        return row
    row |= {"last_session": _iso(session), "have_it": rows.filter(pl.col("last") >= session).height}
    row |= {"week_behind": rows.filter(pl.col("last") < session - _WEEK).height}
    if data.asked is not None:
        checked = data.asked.filter(asset_class=kind)["checked"].drop_nulls()
        row["asked_since"] = sum(not due(moment, kind, data.interval, data.now) for moment in checked)
    return row


def _session(kind: str, data: _Dataset) -> dt.date | None:
    """The last complete session; None if the bars are invented or end on a chosen day."""
    if data.simulated or (data.bars.exists() and data.bars.manifest.until):
        return None
    try:
        last = last_complete(kind, data.interval, data.now)
    except ValueError:  # an interval that no live source has
        return None
    return last.date() if isinstance(last, dt.datetime) else last


def _passes(data: _Dataset) -> Json | None:
    """Runs and passes by family: of the session that runs, else of the last one that ended."""
    beat = _beat(data, "train")
    if beat is not None and beat.facts.get("runs"):
        return {"session": beat.state, "families": beat.facts["runs"]}
    grades = read_table(data.paths.grades, ["family", "passed"])
    if grades is None:
        return None
    table = grades.group_by("family").agg(pl.len().alias("runs"), pl.col("passed").sum()).sort("family")
    families = {row["family"]: {"runs": row["runs"], "passed": row["passed"]} for row in table.to_dicts()}
    return {"session": "done", "families": families}


def _report(paths: DatasetPaths) -> Json:
    written = _changed([paths.reports / "metrics.json"])
    graded = _changed([paths.grades, paths.portfolio_grades])
    return {"written": written, "current": written is not None and (graded is None or written >= graded)}


# files ----------------------------------------------------------------------------------------------------------------


def _json(path: Path) -> Json:
    try:
        content: Json = read_json(path)
    except (FileNotFoundError, ValueError):
        return {}
    return content


def _changed(paths: Iterable[Path]) -> str | None:
    """When the newest of some files was written; files that are removed meanwhile are ignored."""
    times = []
    for path in paths:
        try:
            times.append(path.stat().st_mtime)
        except FileNotFoundError:
            continue
    return _iso(dt.datetime.fromtimestamp(max(times), dt.UTC)) if times else None


def _iso(moment: Any) -> str | None:
    if isinstance(moment, dt.datetime):
        return moment.astimezone(dt.UTC).isoformat(timespec="seconds")
    return None if moment is None else str(moment)
