"""Counts of a stage: every instrument once, by asset class and state, with the reasons by kind."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import polars as pl

from src.core.instruments import ASSET_CLASSES, KEY
from src.storage.ledger import STATES

COUNTS = ("done", "pending", "failed", "quarantined", "skipped")
ROW = [*KEY, "state", "reason"]
_KINDS = 6  # of reasons kept for a stage
_BEFORE = r"^\w+ by (hydrate|featurize): "  # the earlier stage shows the reason itself

Json = dict[str, Any]


def no_rows() -> pl.DataFrame:
    """An empty table of states: asset_class, symbol, state, reason."""
    return pl.DataFrame(schema=dict.fromkeys(ROW, pl.String()))


def counted(rows: pl.DataFrame, wanted: pl.DataFrame | None) -> Json:
    """Count states by asset class; pending are those wanted that have no state.

    Parameters
    ----------
    rows
        asset_class, symbol, state: one row per instrument.
    wanted
        asset_class, symbol of all that the stage has to process; None if that is not known yet.

    Returns
    -------
    dict
        ``all`` and ``classes``, each with `COUNTS` and ``total``; pending and total are null if they are not known.
    """
    waiting = None if wanted is None else wanted.join(rows, on=KEY, how="anti")
    found: dict[str, dict[str, int]] = {}
    for kind, state, number in rows.group_by("asset_class", "state").len().iter_rows():
        found.setdefault(kind, {})[state] = number
    return _accounts(found, None if waiting is None else _by_class(waiting))


def running_counts(states: dict[str, dict[str, int]], wanted: pl.DataFrame | None) -> Json:
    """Counts of a running command, from its heartbeat.

    Parameters
    ----------
    states : dict
        Count by asset class and state, as the command reports it.
    wanted : DataFrame or None
        As in `counted`.

    Returns
    -------
    dict
        As from `counted`.
    """
    if wanted is None:
        return _accounts(states, None)
    late = {kind: max(all_ - sum(states.get(kind, {}).values()), 0) for kind, all_ in _by_class(wanted).items()}
    return _accounts(states, late)


def reasons(rows: pl.DataFrame, *, done: bool = False) -> list[Json]:
    """The commonest reasons of what is not done.

    Reasons that differ only in figures are of one kind. Reasons that an earlier stage gave are left to that stage.

    Parameters
    ----------
    rows : DataFrame
        asset_class, symbol, state, reason; a column kind, the class of an error, groups reasons if it is there.
    done : bool
        Count also what is done except for a part, with its reason.

    Returns
    -------
    list of dict
        One per kind, the commonest first: state, kind, count, and the last instrument with its reason.
    """
    alike = pl.col("reason").str.replace_all(r"\d[\d,.:T+-]*", "#")
    kind = pl.when(pl.col("kind") != "").then(pl.col("kind")).otherwise(alike) if "kind" in rows.columns else alike
    table = rows.with_columns(pl.col("reason").fill_null("")).with_columns(kind=kind)
    table = table.filter(((pl.col("state") != "done") | done) & (pl.col("reason") != ""))
    table = table.filter(~pl.col("reason").str.contains(_BEFORE))
    groups = table.group_by("state", "kind", maintain_order=True).agg(
        pl.len().alias("count"),
        pl.format("{}:{}", "asset_class", "symbol").last().alias("instrument"),
        pl.col("reason").last(),
    )
    return groups.sort("count", descending=True, maintain_order=True).head(_KINDS).to_dicts()


def _accounts(found: dict[str, dict[str, int]], late: dict[str, int] | None) -> Json:
    kinds = [kind for kind in ASSET_CLASSES if kind in {*found, *(late or {})}]
    classes = {kind: _row(found.get(kind, {}), None if late is None else late.get(kind, 0)) for kind in kinds}
    unknown = ("pending", "total") if late is None else ()
    names = (*COUNTS, "total")
    everything = {name: None if name in unknown else sum(row[name] for row in classes.values()) for name in names}
    return {"all": everything, "classes": classes}


def _row(found: dict[str, int], late: int | None) -> Json:
    states = {state: found.get(state, 0) for state in STATES}
    total = None if late is None else sum(states.values()) + late
    return {name: late if name == "pending" else states[name] for name in COUNTS} | {"total": total}


def _by_class(keys: pl.DataFrame) -> dict[str, int]:
    return dict(keys["asset_class"].value_counts().iter_rows())


def classes(*tables: Iterable[str]) -> list[str]:
    """Asset classes that occur.

    Parameters
    ----------
    *tables : iterable of str
        Asset classes, with repetitions.

    Returns
    -------
    list of str
        In the usual order.
    """
    present = {kind for table in tables for kind in table}
    return [kind for kind in ASSET_CLASSES if kind in present]
