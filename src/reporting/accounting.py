"""Where every instrument ended: one state a stage, counts that add up to the universe, and the reasons grouped."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

from src.reporting.formatting import counted, listed, whole
from src.reporting.rendering import render
from src.reporting.session_data import KEY, STATES, Material
from src.reporting.summary import state_counts
from src.reporting.tables import Column, Row, Table, table

MOST_REASONS = 25
_FIGURES = re.compile(r"[-+]?\d[\d.,:%/x-]*")


@dataclass(frozen=True)
class ReasonGroup:
    """Instruments of one state whose reasons differ in figures only, with the first reason as it was written."""

    state: str
    reason: str
    symbols: tuple[str, ...]


def reasons(states: pl.DataFrame) -> list[ReasonGroup]:
    """Group the reasons of a stage, the commonest first; parts of a reason joined by ``;`` count one by one.

    Figures and the instrument's own symbol are left out of the comparison: ``612 of 900 bars`` and ``34 of 900 bars``
    are one kind.
    """
    first: dict[tuple[str, str], str] = {}
    symbols: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for symbol, state, reason in states.select("symbol", "state", "reason").iter_rows():
        for part in _parts(reason):
            kind = (state, _kind(part, symbol))
            first.setdefault(kind, part)
            symbols[kind].append(symbol)
    found = [ReasonGroup(state, first[state, kind], tuple(who)) for (state, kind), who in symbols.items()]
    order = {state: k for k, state in enumerate(("failed", "quarantined", "skipped", "done"))}
    return sorted(found, key=lambda r: (order.get(r.state, len(order)), -len(r.symbols), r.reason))


def balance(states: pl.DataFrame, universe: pl.DataFrame) -> str:
    """Say whether a stage's counts add up to the universe, instrument by instrument."""
    doubled = states.height - states.unique(KEY).height
    if doubled:
        return f"{counted(doubled, 'instrument')} counted more than once"
    missing = universe.join(states, on=KEY, how="anti").height
    foreign = states.join(universe, on=KEY, how="anti").height
    unknown = states.filter(~pl.col("state").is_in(STATES)).height
    faults = [
        (missing, "not seen yet"),
        (foreign, "not in the universe"),
        (unknown, "in no known state"),
    ]
    said = [f"{n:,} {words}" for n, words in faults if n]
    return "; ".join(said) if said else "adds up"


def accounting(material: Material) -> str:
    """Write the states of each stage, whether they add up, and the grouped reasons."""
    if not material.states:
        return render("accounting", overall=None)
    universe = material.states[material.stages[0]].select(KEY).unique()
    overall, by_class = _state_tables(material, universe)
    listings = (_reason_table(stage, material.states[stage]) for stage in material.stages)
    return render(
        "accounting",
        universe=counted(universe.height, "instrument"),
        overall=overall,
        by_class=by_class,
        reasons=[listing for listing in listings if listing],
    )


def _parts(reason: str) -> Iterable[str]:
    return (part.strip() for part in reason.split(";") if part.strip())


def _kind(reason: str, symbol: str) -> str:
    own = re.sub(rf"(?<!\w){re.escape(symbol)}(?!\w)", "@", reason) if len(symbol) > 1 else reason
    return _FIGURES.sub("#", own)


def _state_tables(material: Material, universe: pl.DataFrame) -> tuple[Table, Table]:
    """Count the states of each stage, in all and by asset class."""
    whole_stages: list[Row] = []
    by_class: list[Row] = []
    for stage in material.stages:
        states = material.states[stage]
        whole_stages.append({"stage": stage, **state_counts(states), "check": balance(states, universe)})
        for name in states["asset_class"].unique().sort().to_list():
            part, within = (frame.filter(pl.col("asset_class") == name) for frame in (states, universe))
            by_class.append({"stage": stage, "of": name, **state_counts(part), "check": balance(part, within)})
    stage_of = Column("stage", lambda r: r["stage"])
    counts = [*(_count(state) for state in STATES), _count("total"), Column("check", lambda r: r["check"])]
    overall = table([stage_of, *counts], whole_stages, "Instruments by state after each stage", "states")
    parts = table(
        [stage_of, Column("class", lambda r: r["of"]), *counts], by_class, "The same by asset class", "states"
    )
    return overall, parts


def _count(name: str) -> Column:
    return Column(name, lambda r: whole(r[name]), lambda r: r[name])


def _reason_table(stage: str, states: pl.DataFrame) -> Table | None:
    grouped = reasons(states)
    if not grouped:
        return None
    columns = [
        Column("state", lambda r: r["state"]),
        Column("instruments", lambda r: whole(r["count"]), lambda r: r["count"]),
        Column("reason, as first met", lambda r: r["reason"]),
        Column("such as", lambda r: r["symbols"]),
    ]
    rows: list[Row] = [
        {"state": g.state, "count": len(g.symbols), "reason": g.reason, "symbols": listed(g.symbols)}
        for g in grouped[:MOST_REASONS]
    ]
    caption = f"{stage}: {counted(len(grouped), 'kind')} of reasons"
    if len(grouped) > MOST_REASONS:
        caption += f", the first {MOST_REASONS} shown; all are in the stage's states table"
    return table(columns, rows, caption)
