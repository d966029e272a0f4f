"""Where each stage of a dataset stands, read from what the stages keep on disk; no lock is taken and nothing written.

What runs at this moment is read as it is: a bucket that is being replaced counts as pending until it is there again.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from src.config.schema import Config
from src.core.instruments import ASSET_CLASSES, KEY
from src.hydration.live.answer_log import logged_entries
from src.hydration.live.sessions import due, last_complete
from src.market.bars import BarStore
from src.runtime import heartbeat
from src.runtime.heartbeat import Beat
from src.sources import registry
from src.storage import state_counts
from src.storage.atomic import read_errors, read_json
from src.storage.ledger import WAITING, Ledger
from src.storage.state_counts import ROW, Json, no_rows

FORMAT = 1  # of what `overview` returns: raised where a key changes its meaning or goes
_PIPELINE = ("hydrate", "featurize", "train")
_WEEK = dt.timedelta(days=7)
_ASKED: dict[str, Any] = {
    **dict.fromkeys((*KEY, "state", "error_class", "reason", "next_attempt", "checked"), pl.String())
}


@dataclass(frozen=True)
class _Dataset:
    """What is on disk of a dataset, looked at once."""

    config: Config
    now: dt.datetime
    bars: BarStore
    wanted: pl.DataFrame | None  # KEY of all instruments to account for; None where that is not known yet
    hydrated: pl.DataFrame
    asked: pl.DataFrame | None  # ledger of live sources; None where there is none
    beats: list[Beat]


def overview(config: Config, now: dt.datetime) -> Json:
    """Everything that ``python -m src.status`` says, as plain values (docs/status.md tells each key).

    Parameters
    ----------
    config
        Its universe and data folders say what is looked at.
    now
        With a time zone; decides which session is the last complete one.
    """
    data = _read(config, now)
    kinds = state_counts.classes(data.hydrated.filter(state="done")["asset_class"])
    return {
        "format": FORMAT,
        "dataset": config.dataset,
        "interval": config.universe.interval,
        "source": data.bars.manifest.source if data.bars.exists() else None,
        "at": _iso(now),
        "stages": list(_stages(data)),
        "freshness": [_freshness(kind, data) for kind in kinds],
        "passes": _passes(data),
        "report": _report(config),
        "commands": [_command(beat) for beat in heartbeat.beats() if beat.alive],
    }


def _read(config: Config, now: dt.datetime) -> _Dataset:
    root = Path(config.data.root)
    bars = BarStore(root / "bars" / config.dataset)
    hydrated = bars.instruments()
    chosen = _table(bars.root / "universe.parquet")
    wanted = _configured(config)
    if chosen is not None:
        wanted = pl.concat([chosen.filter("included").select(KEY), hydrated.select(KEY)]).unique(KEY)
    return _Dataset(
        config, now, bars, wanted, hydrated, _asked(bars.root / "raw"), heartbeat.beats(config.dataset, root)
    )


def _configured(config: Config) -> pl.DataFrame | None:
    """What the settings alone say is wanted, before a hydration has chosen: named with their class, or pinned."""
    chosen = config.universe
    keys = [(kind, symbol) for kind, _, symbol in (name.partition(":") for name in chosen.symbols) if symbol]
    if chosen.symbols and len(keys) == len(chosen.symbols):
        return pl.DataFrame(keys, schema=dict.fromkeys(KEY, pl.String()), orient="row")
    if chosen.symbols or chosen.file or not chosen.pinned or not registry.is_live(config.source.kind):
        return None
    from src.listings import pinned

    rows = pinned.read(chosen.pinned).rows
    parts = [rows.filter(asset_class=kind) for kind in ASSET_CLASSES]
    limits = [getattr(chosen, kind) for kind in ASSET_CLASSES]
    taken = [part if limit is None else part.head(limit) for part, limit in zip(parts, limits, strict=True)]
    return pl.concat(taken).select(KEY)


def _asked(raw: Path) -> pl.DataFrame | None:
    """What live providers were asked for, as ledger and journal say; the bars behind it are not looked at.

    An answer that is kept and not folded yet counts: it is saved. The journal is read first, so that what is folded
    meanwhile is in one or the other.
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
    root, name = Path(data.config.data.root), data.config.dataset
    yield _stage("hydrate", data.hydrated, data, data.bars.root.glob("b*.json"))
    folder = root / "features" / name
    yield _stage("featurize", _featurized(data, Ledger(folder)), data, folder.glob("b*.json"))
    yield _train(data, root / "states" / name / "train.parquet")
    for path in sorted((root / "states" / name).glob("*.parquet")):
        states = None if path.stem in _PIPELINE else _table(path)
        if states is not None and set(ROW) <= set(states.columns):  # option chains, say
            yield _stage(path.stem, states, data, [path], wanted=states.select(KEY))


def _stage(
    name: str, rows: pl.DataFrame, data: _Dataset, paths: Iterable[Path], wanted: pl.DataFrame | None = None
) -> Json:
    """One stage: what its command says, its accounts, its reasons, and when its files last changed."""
    every = data.wanted if wanted is None else wanted
    working = _working(_beat(data, name))
    made = {"reasons": state_counts.reasons(rows), "changed": _changed(paths)}
    return {"stage": name, **working, **state_counts.counted(rows, every), **made}


def _fetch(data: _Dataset, asked: pl.DataFrame) -> Json:
    """What was asked of live providers, before it is validated and published as bars."""
    states = pl.col("state").replace({"fetched": "done", "unknown": "skipped", "unfit": "quarantined"})
    rows = asked.select(*KEY, states, "reason", pl.col("error_class").alias("kind"))
    failed = asked.filter(state="failed")["next_attempt"]
    later = failed.filter(failed > data.now)
    retry = {"due": len(failed) - len(later), "later": len(later), "next_attempt": _iso(later.min())}
    raw = data.bars.root / "raw"
    return _stage("fetch", rows, data, [*raw.glob("b*.json"), *raw.glob("pending/*.answer")]) | {"retry": retry}


def _featurized(data: _Dataset, ledger: Ledger) -> pl.DataFrame:
    """States of the buckets whose bars are those that the features were made from; the others are to be done again."""
    parts = [ledger.states(b).select(ROW) for b in data.bars.buckets() if ledger.fact(b, "bars") == data.bars.digest(b)]
    return pl.concat([no_rows(), *parts])


def _train(data: _Dataset, path: Path) -> Json:
    """A session that works, or that did not come to its end, tells its counts itself; else the last one's states."""
    states = _table(path)
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
    """What the stage's command says; of several the one that works, else the last."""
    mine = [beat for beat in data.beats if beat.verb == verb]
    return next((beat for beat in mine if beat.state in ("running", "elsewhere")), mine[-1] if mine else None)


def _working(beat: Beat | None) -> Json:
    fields = ("pid", "started", "updated", "finished", "of", "unit", "rate", "left_seconds", "note", "words")
    if beat is None:
        return {"state": "idle"} | dict.fromkeys(fields)
    said = (beat.pid, beat.started, beat.updated, beat.done, beat.total, beat.unit, beat.rate, beat.left_seconds)
    return {"state": beat.state} | dict(zip(fields, (*said, beat.note, beat.message), strict=True))


def _command(beat: Beat) -> Json:
    fields = ("verb", "dataset", "root", "state", "pid", "host", "command", "started", "updated", "note")
    return {name: getattr(beat, name) for name in fields} | {"finished": beat.done, "of": beat.total, "unit": beat.unit}


# bars and models ------------------------------------------------------------------------------------------------------


def _freshness(kind: str, data: _Dataset) -> Json:
    """How recent the bars of a class are, beside the last session that is complete."""
    rows = data.hydrated.filter(asset_class=kind, state="done")
    found: Json = {"asset_class": kind, "instruments": rows.height}
    found |= {"newest": _iso(rows["last"].max()), "oldest": _iso(rows["last"].min())}
    found |= dict.fromkeys(("last_session", "have_it", "week_behind", "asked_since"))
    session = _session(kind, data)
    if session is None:
        return found
    found |= {"last_session": _iso(session), "have_it": rows.filter(pl.col("last") >= session).height}
    found |= {"week_behind": rows.filter(pl.col("last") < session - _WEEK).height}
    if data.asked is not None:
        checked = data.asked.filter(asset_class=kind)["checked"].drop_nulls()
        interval = data.config.universe.interval
        found["asked_since"] = sum(not due(moment, kind, interval, data.now) for moment in checked)
    return found


def _session(kind: str, data: _Dataset) -> dt.date | None:
    """The last session that is complete; None where the bars are invented, or end on a chosen day."""
    if data.bars.exists() and (registry.is_simulated(data.bars.manifest.source) or data.bars.manifest.until):
        return None
    try:
        last = last_complete(kind, data.config.universe.interval, data.now)
    except ValueError:  # an interval that no live source has
        return None
    return last.date() if isinstance(last, dt.datetime) else last


def _passes(data: _Dataset) -> Json | None:
    """Runs and passes by family: of the session in work, else of the last that ended."""
    beat = _beat(data, "train")
    if beat is not None and beat.facts.get("runs"):
        return {"session": beat.state, "families": beat.facts["runs"]}
    grades = _table(Path(data.config.data.root) / "grades" / f"{data.config.dataset}.parquet", ["family", "passed"])
    if grades is None:
        return None
    table = grades.group_by("family").agg(pl.len().alias("runs"), pl.col("passed").sum()).sort("family")
    families = {row["family"]: {"runs": row["runs"], "passed": row["passed"]} for row in table.to_dicts()}
    return {"session": "done", "families": families}


def _report(config: Config) -> Json:
    written = _changed([Path(config.data.reports) / config.dataset / "metrics.json"])
    graded = _changed([Path(config.data.root) / "grades" / f"{config.dataset}.parquet"])
    return {"written": written, "current": written is not None and (graded is None or written >= graded)}


# files ----------------------------------------------------------------------------------------------------------------


def _table(path: Path, columns: list[str] | None = None) -> pl.DataFrame | None:
    """A table, or None where there is none; read whole, because Windows lets nobody replace a file that is open."""
    try:
        with read_errors(path, "the stage that writes it makes it anew"):
            return pl.read_parquet(path.read_bytes(), columns=columns)
    except FileNotFoundError:
        return None


def _json(path: Path) -> Json:
    try:
        found: Json = read_json(path)
    except (FileNotFoundError, ValueError):
        return {}
    return found


def _changed(paths: Iterable[Path]) -> str | None:
    """When the newest of some files was written; those that go meanwhile are passed over."""
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
