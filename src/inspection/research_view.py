"""Research as status and data show it: what was collected, and the facts about one instrument."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import polars as pl

from src.core.text import escaped
from src.documents.fact_store import FactStore
from src.documents.facts import FACTS
from src.inspection.files import read_table
from src.research.ingest_record import last_ingest

if TYPE_CHECKING:
    from src.config.paths import DatasetPaths
    from src.core.instruments import Key
    from src.storage.state_counts import Json

_SHOWN = 3  # facts of a kind
_LEADING = ("known", "document")
_DAYS = ("accepted", "period", "traded", "published", "fitted")  # fields that are days since 1970


def research_of(paths: DatasetPaths) -> Json | None:
    """Describe the last collection and the facts of a dataset.

    Parameters
    ----------
    paths : DatasetPaths

    Returns
    -------
    dict or None
        ``collected``, ``collected_at``, ``derived``, ``derived_at`` of the last ingest, ``instruments`` with facts, and
        the day ``last`` on which the newest became known. None before any ingest.
    """
    record = last_ingest(paths.ingest)
    if record is None:
        return None
    states = read_table(paths.states("ingest"))
    done = None if states is None else states.filter(pl.col("rows") > 0)
    last = None if done is None or not done.height else str(done["last"].max())
    return {**record, "instruments": 0 if done is None else done.height, "last": last}


def research_sentence(state: Json) -> str:
    """Write one line of what `research_of` returns.

    Parameters
    ----------
    state : dict
    """
    parts = [str(state["derived"])]
    if state["last"]:
        parts[0] += f", the last known on {state['last']}"
    if state["collected"]:
        parts.append(f"collected {state['collected_at']}: {state['collected']}")
    return "; ".join(parts)


def facts_about(paths: DatasetPaths, b: int, key: Key) -> dict[str, Json]:
    """The facts about one instrument.

    Parameters
    ----------
    paths : DatasetPaths
    b : int
        Its bucket.
    key : (asset_class, symbol)

    Returns
    -------
    dict
        For each kind that it has: ``count``, the ``last`` few with their known time and document, and the ``covered``
        intervals.
    """
    store = FactStore(paths.facts)
    covered = store.read(b, "coverage", [key])
    found: dict[str, Json] = {}
    for kind, fields in FACTS.items():
        rows = store.read(b, kind, [key])
        spans = covered.filter(fact=kind).select("since", "until")
        if rows.height or spans.height:
            last = rows.tail(_SHOWN).select("known", "document", *fields)
            found[kind] = {"count": rows.height, "last": _plain(last), "covered": _plain(spans)}
    return found


def fact_lines(facts: dict[str, Json]) -> Iterator[str]:
    """Write what `facts_about` returns.

    Parameters
    ----------
    facts : dict

    Yields
    ------
    str
        One line.
    """
    for kind, content in facts.items():
        covered = content["covered"]
        span = f", covered {covered[0]['since'][:10]} to {covered[-1]['until'][:10]}" if covered else ""
        known = f"{content['count']:,} {kind.replace('_', ' ')}{span}"
        yield f"  research    {known}{', the last:' if content['last'] else ''}"
        for row in content["last"]:
            values = [_shown(name, value) for name, value in row.items() if name not in _LEADING and value is not None]
            yield f"    known {row['known'][:16]}  {' '.join(values)}  ({escaped(row['document'])})"


def _shown(name: str, value: float) -> str:
    if name in _DAYS:
        return f"{name}={dt.date(1970, 1, 1) + dt.timedelta(days=int(value))}"
    if name == "owner":  # a number of the SEC's, and no quantity
        return f"{name}={value:.0f}"
    return f"{name}={value:.6g}" if abs(value) < 1e6 else f"{name}={value:,.0f}"


def _plain(table: pl.DataFrame) -> list[dict[str, Any]]:
    texts = table.with_columns(pl.selectors.datetime().dt.strftime("%Y-%m-%dT%H:%M:%S+00:00"))
    return texts.to_dicts()
