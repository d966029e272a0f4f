"""Counts of a stage: every instrument once, by asset class and state, with the reasons by kind."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import polars as pl

from src.core.instruments import ASSET_CLASSES, KEY, Key
from src.storage.ledger import STATES

COUNTS = ("done", "pending", "failed", "quarantined", "skipped")
ROW = [*KEY, "state", "reason"]
_KINDS = 6  # of reasons kept for a stage
_ORDER = {state: k for k, state in enumerate(("failed", "quarantined", "skipped", "done"))}
_NUMBERS = re.compile(r"[-+]?\d[\d.,:%/x-]*")
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


def judged(standings: pl.DataFrame) -> pl.DataFrame:
    """Give the states of promotion by instrument: done where a run was judged, whatever it came to.

    Parameters
    ----------
    standings : DataFrame
        asset_class, symbol: a row a run, whose states are standings, not those of a stage.

    Returns
    -------
    DataFrame
        asset_class, symbol, state, reason: one row an instrument.
    """
    done, none = pl.lit("done").alias("state"), pl.lit("").alias("reason")
    return standings.select(*KEY, done, none).unique(KEY, maintain_order=True)


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


@dataclass(frozen=True)
class ReasonGroup:
    """Instruments in one state for the same kind of reason.

    Attributes
    ----------
    state : str
        Their state.
    kind : str
        A rule, the class of an error, or the reason with its numbers and the instrument's own symbol left out.
    reason : str
        The first of their reasons, whole.
    keys : tuple of (asset_class, symbol)
        Each instrument once, in the order of the rows.
    """

    state: str
    kind: str
    reason: str
    keys: tuple[Key, ...]

    @property
    def symbols(self) -> tuple[str, ...]:
        """Symbols of the instruments."""
        return tuple(symbol for _, symbol in self.keys)


def reason_groups(rows: pl.DataFrame) -> list[ReasonGroup]:
    """Group reasons by their kind: the one way in which status, report and doctor count them.

    A reason is one reason, whatever its text holds: it is never taken apart. Two reasons are of one kind if their rows
    say so, or if they differ only in numbers and in the instrument's own symbol.

    Parameters
    ----------
    rows : DataFrame
        asset_class, symbol, state, reason; with a column kind, a row whose kind is not empty has that one. An
        instrument may have several rows; of one kind it counts once.

    Returns
    -------
    list of ReasonGroup
        Failures first, then quarantines, skips and the rest; within a state the most common first. Rows without a
        reason are left out.
    """
    kinds = rows["kind"].fill_null("") if "kind" in rows.columns else pl.Series([""] * rows.height, dtype=pl.String)
    first: dict[tuple[str, str], str] = {}
    keys: dict[tuple[str, str], dict[Key, None]] = {}
    named = zip(*(rows[name].fill_null("") for name in ROW), kinds, strict=True)
    for asset_class, symbol, state, reason, kind in named:
        if reason:
            group = (state, kind or _alike(reason, symbol))
            first.setdefault(group, reason)
            keys.setdefault(group, {})[asset_class, symbol] = None
    groups = [ReasonGroup(*group, first[group], tuple(members)) for group, members in keys.items()]
    return sorted(groups, key=lambda g: (_ORDER.get(g.state, len(_ORDER)), -len(g.keys), g.reason))


def reasons(rows: pl.DataFrame, *, done: bool = False) -> list[Json]:
    """The commonest reasons of what is not done.

    Reasons that an earlier stage gave are left to that stage.

    Parameters
    ----------
    rows : DataFrame
        As for `reason_groups`.
    done : bool
        Count also what is done except for a part, with its reason.

    Returns
    -------
    list of dict
        One per kind, the commonest first: state, kind, count, and the first instrument with its reason.
    """
    earlier = (pl.col("state") == "skipped") & pl.col("reason").str.contains(_BEFORE)
    own = rows.filter(((pl.col("state") != "done") | done) & ~earlier.fill_null(False))
    groups = sorted(reason_groups(own), key=lambda group: -len(group.keys))
    return [
        {
            "state": group.state,
            "kind": group.kind,
            "count": len(group.keys),
            "instrument": ":".join(group.keys[0]),
            "reason": group.reason,
        }
        for group in groups[:_KINDS]
    ]


def _alike(reason: str, symbol: str) -> str:
    """A reason with the instrument's own symbol and all numbers replaced by placeholders."""
    anonymous = re.sub(rf"(?<!\w){re.escape(symbol)}(?!\w)", "@", reason) if len(symbol) > 1 else reason
    return _NUMBERS.sub("#", anonymous)


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
