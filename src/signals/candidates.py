"""Champions of single instruments that are to decide, and the lines that come of it."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from src.core.arrays import BoolArray, IntArray
from src.core.instruments import Key
from src.market import calendar
from src.signals.decided import Decided, inputs_digest
from src.signals.last_bars import Chosen, LastBars
from src.signals.line_columns import LineColumns, of_version
from src.signals.refusals import LineRefusal

if TYPE_CHECKING:
    from src.signals.graded_settings import GradedSettings
    from src.tracking.crowned_versions import CrownedVersion

_MISSING = LineRefusal(
    "features have no row for its bar, or for one that its position is averaged over: run featurize again", holds=True
)


@dataclass(frozen=True)
class Candidate:
    """A champion that is to decide.

    Attributes
    ----------
    version : CrownedVersion
    key : (asset_class, symbol)
    settings : GradedSettings or None
        None where they can't be had.
    until : date or None
        Last date that its training could use.
    reason : str or None
        What stands against it on every day.
    """

    version: CrownedVersion
    key: Key
    settings: GradedSettings | None
    until: dt.date | None
    reason: str | None


@dataclass(frozen=True)
class Made:
    """Decisions of one champion.

    Attributes
    ----------
    decided : Decided
    at : int64, shape (n,)
        Which of the decisions each book holds.
    moved_by : list of str or None, or None
        For each book; None where it was not asked for.
    is_missing : bool, shape (n,)
        Books whose decision lacks a row of features.
    """

    decided: Decided
    at: IntArray
    moved_by: list[str | None] | None
    is_missing: BoolArray


def refuse(each: Candidate, bars: LastBars, chosen: Chosen, refusals: list[LineRefusal], lines: LineColumns) -> None:
    """Add refused lines.

    Parameters
    ----------
    each : Candidate
    bars : LastBars
    chosen : Chosen
    refusals : list of LineRefusal
        One for each book.
    lines : LineColumns
    """
    if refusals:
        why = {"reason": [each.reason for each in refusals], "holds": [each.holds or None for each in refusals]}
        lines.add(len(refusals), _about(each, bars, chosen) | {"state": "refused"} | why)


def add_decided(each: Candidate, bars: LastBars, chosen: Chosen, made: Made | LineRefusal, lines: LineColumns) -> None:
    """Add what was decided, or refuse all of it for one reason.

    Parameters
    ----------
    each : Candidate
    bars : LastBars
    chosen : Chosen
    made : Made or LineRefusal
    lines : LineColumns
    """
    if isinstance(made, LineRefusal):
        refuse(each, bars, chosen, [made] * chosen.books.size, lines)
        return
    refuse(each, bars, chosen.where(made.is_missing), [_MISSING] * int(made.is_missing.sum()), lines)
    kept = ~made.is_missing
    chosen, at, found = chosen.where(kept), made.at[kept], made.decided
    position, before = found.position[at], found.before[at]
    changed = np.abs(position - np.where(np.isnan(before), 0.0, before))
    moved = made.moved_by and [text for text, is_kept in zip(made.moved_by, kept, strict=True) if is_kept]
    values = {
        "state": "said",
        "trade_on": [calendar.next_session(bars.key[0], day) for day in chosen.books.tolist()],
        "score": found.probability[at],
        "exposure": found.exposure[at],
        "size": found.size[at],
        "position": position,
        "before": before,
        "hedge": None if found.hedge is None else found.hedge[at],
        "cost_rate": found.cost_rate[at],
        "cost": changed * found.cost_rate[at],
        "moved_by": moved,
        "inputs_sha256": _digests(found, at, bars, chosen),
    }
    lines.add(chosen.books.size, _about(each, bars, chosen) | values)


def _about(each: Candidate, bars: LastBars, chosen: Chosen) -> dict[str, Any]:
    """Columns that said and refused lines share."""
    rows = chosen.row
    return of_version(each.version, "instrument") | {
        "asset_class": each.key[0],
        "symbol": each.key[1],
        "book_date": chosen.books,
        "decided_on": bars.times[rows],
        "bar_age": chosen.age,
        "close": bars.numbers["close"][rows],
        "factor": bars.numbers["factor"][rows],
    }


def _digests(found: Decided, at: IntArray, bars: LastBars, chosen: Chosen) -> list[str]:
    """Digest of what each decision was made of; of a bar that two books hold, it is computed once."""
    known: dict[int, str] = {}
    for place, row in zip(at.tolist(), chosen.row.tolist(), strict=True):
        if row not in known:
            known[row] = inputs_digest(found.x[place], (bars.times[row].astype(np.int64).item(), bars.prices(row)))
    return [known[row] for row in chosen.row.tolist()]
