"""Amended insider transactions: what an amendment changes becomes a row of its own, and no earlier row is touched."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import polars as pl

GROUP = ("issuer", "owner", "traded", "code")
_TOLERANCE = 1e-9


@dataclass
class _Entry:
    """One line as it stands after the amendments so far."""

    shares: float
    value: float | None
    price: float | None
    unmatched: bool  # whether an amendment brought it and the original has not been seen


@dataclass
class _Group:
    """Lines of one owner, issuer, day and direction."""

    entries: list[_Entry] = field(default_factory=list)


def with_amendments(rows: pl.DataFrame) -> pl.DataFrame:
    """Replace the lines of amendments by what they change.

    An amendment (4/A, 5/A) states lines of an earlier form again. A line that is the same changes nothing and has no
    row; one that differs has a row with the difference of shares and value (or two, which take the earlier line back
    and state the new one) with a ``correction`` of 1; one without an earlier line counts in full. Lines are matched
    within owner, issuer, day and direction: first those with equal shares and price, then with equal shares, then with
    equal price, then in order. Lines that an amendment leaves out stay as they are. Sums over all rows known at a time
    are those of the latest statement of each line, then.

    Parameters
    ----------
    rows : DataFrame
        `GROUP`, accession, line, known, amended (Boolean), signed shares, signed value, price and
        correction (0).

    Returns
    -------
    DataFrame
        The same columns. A form that becomes known after its amendment has no rows for lines that the amendment
        already brought.
    """
    amended = rows.filter("amended").select(GROUP).unique()
    if not amended.height:
        return rows
    touched = rows.join(amended, on=GROUP, how="semi", nulls_equal=True)
    untouched = rows.join(amended, on=GROUP, how="anti", nulls_equal=True)
    ordered = touched.sort("known", "amended", "accession", "line")
    groups: dict[tuple[Any, ...], _Group] = {}
    out = []
    for filing in ordered.partition_by("accession", maintain_order=True):
        out += _filing(filing.rows(named=True), groups)
    changed = pl.DataFrame(out, schema=rows.schema) if out else rows.clear()
    return pl.concat([untouched, changed])


def _filing(lines: list[dict[str, Any]], groups: dict[tuple[Any, ...], _Group]) -> list[dict[str, Any]]:
    """Rows of one filing, and its effect on the groups."""
    out = []
    by_group: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for line in lines:
        by_group.setdefault(tuple(line[name] for name in GROUP), []).append(line)
    for key, members in by_group.items():
        group = groups.setdefault(key, _Group())
        amended = members[0]["amended"]
        candidates = [each for each in group.entries if amended or each.unmatched]
        matched = _matched(members, candidates)
        for line, entry in zip(members, matched, strict=True):
            if entry is None:
                group.entries.append(_Entry(line["shares"], line["value"], line["price"], unmatched=amended))
                out.append(line)
            elif amended:
                out += _difference(line, entry)
                entry.shares, entry.value, entry.price = line["shares"], line["value"], line["price"]
            else:
                entry.unmatched = False
    return out


def _matched(lines: list[dict[str, Any]], candidates: list[_Entry]) -> list[_Entry | None]:
    """The earlier line that each line states again."""
    found: list[_Entry | None] = [None] * len(lines)
    free = list(candidates)
    for fields in (("shares", "price"), ("shares",), ("price",), ()):
        for place, line in enumerate(lines):
            if found[place] is not None:
                continue
            for entry in free:
                if all(line[name] is not None and _same(line[name], getattr(entry, name)) for name in fields):
                    found[place] = entry
                    free = [each for each in free if each is not entry]
                    break
    return found


def _difference(line: dict[str, Any], entry: _Entry) -> list[dict[str, Any]]:
    """Rows of a line that differs from its earlier statement: the difference, or where its shares and value have not
    the same sign, the earlier line taken back and the new one.
    """
    if _same(line["shares"], entry.shares) and _same(line["value"], entry.value):
        return []
    corrected = line | {"correction": 1.0}
    shares = line["shares"] - entry.shares
    if line["value"] is not None and entry.value is not None and shares * (line["value"] - entry.value) > 0:
        return [corrected | {"shares": shares, "value": line["value"] - entry.value}]
    taken_back = None if entry.value is None else -entry.value
    return [corrected | {"shares": -entry.shares, "value": taken_back, "price": entry.price}, corrected]


def _same(a: float | None, b: float | None) -> bool:
    if a is None or b is None:
        return a is b
    return abs(a - b) <= _TOLERANCE * max(abs(a), abs(b))
