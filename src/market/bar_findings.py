"""How the findings of a dataset are stored: with the states of a bucket, in the one record that says that it is done.

In memory each instrument's findings stand in a column of its state (a list of structures), so that neither is ever
without the other. In the ledger they are one table for each bucket, by columns.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import polars as pl

from src.core.finding import BarFinding
from src.core.instruments import KEY
from src.storage.ledger import Ledger

FACT = "findings"
FIELDS: dict[str, Any] = {
    "rule": pl.String(),
    "effect": pl.String(),
    "text": pl.String(),
    "n": pl.Int64(),
    "of": pl.Int64(),
    "first": pl.Date(),
    "last": pl.Date(),
    "source": pl.String(),
    "ratio": pl.Float64(),
    "closes": pl.List(pl.Float64()),
    "at": pl.Int64(),
}
COLUMN = pl.List(pl.Struct(FIELDS))
SCHEMA: dict[str, Any] = dict.fromkeys(KEY, pl.String()) | FIELDS
WHOLE = "reason"
"""Rule of a finding that was made from a state's reason, because the dataset holds no findings of the instrument."""
_DATES = ("first", "last")
_EFFECT = {"done": "noted"}  # of a reason, where it is not the state's name


def values(findings: Iterable[BarFinding]) -> list[dict[str, Any]]:
    """Give findings as a value of the column `findings` of states.

    Parameters
    ----------
    findings : iterable of BarFinding
        Of one instrument.

    Returns
    -------
    list of dict
        One for each finding, with `FIELDS`.
    """
    return [{**vars(each), "closes": list(each.closes)} for each in findings]


def table(states: pl.DataFrame) -> pl.DataFrame:
    """Give the findings of states as a table.

    Parameters
    ----------
    states : DataFrame
        asset_class, symbol, findings (of type `COLUMN`).

    Returns
    -------
    DataFrame
        Columns of `SCHEMA`, one row for each finding, in the order of the states.
    """
    rows = states.select(*KEY, FACT).explode(FACT).filter(pl.col(FACT).is_not_null())
    return rows.unnest(FACT).select(pl.col(name).cast(kind) for name, kind in SCHEMA.items())


def fact(states: pl.DataFrame) -> dict[str, Any]:
    """Give the findings of states as a fact for the bucket's record.

    Parameters
    ----------
    states : DataFrame
        With or without the column findings.

    Returns
    -------
    dict
        Columns of `SCHEMA` by name under `FACT`, dates as ISO text; nothing without the column.
    """
    if FACT not in states.columns:
        return {}
    rows = table(states).with_columns(pl.col(name).cast(pl.String) for name in _DATES)
    return {FACT: rows.to_dict(as_series=False)}


def stored(ledger: Ledger, unit: int | None = None) -> tuple[pl.DataFrame, pl.DataFrame, bool]:
    """Read the states and findings of a dataset.

    Parameters
    ----------
    ledger : Ledger
        Of a store of bars.
    unit : int or None
        A bucket; None takes all.

    Returns
    -------
    states : DataFrame
        As from the ledger.
    findings : DataFrame
        Columns of `SCHEMA`. An instrument that has a reason and no findings has one: its reason, whole.
    complete : bool
        Whether no record, and no part of one, is older than findings are.
    """
    records = [ledger.read(each) for each in (ledger.units() if unit is None else [unit])]
    found = [record for record in records if record is not None]
    states = ledger.table(row for record in found for row in record.states)
    facts = [record.facts[FACT] for record in found if FACT in record.facts]
    rows = _parsed(facts)
    rows = pl.concat([rows, _from_reasons(states, rows)])
    return states, rows, len(facts) == len(found) and WHOLE not in rows["rule"]


def with_findings(ledger: Ledger, unit: int) -> pl.DataFrame:
    """Read the states of a bucket with their findings, as `BarStore.record` takes them.

    Parameters
    ----------
    ledger : Ledger
        Of a store of bars.
    unit : int
        The bucket.

    Returns
    -------
    DataFrame
        The states, and a column findings of type `COLUMN`.
    """
    states, rows, _ = stored(ledger, unit)
    nested = rows.group_by(KEY, maintain_order=True).agg(pl.struct(FIELDS.keys()).alias(FACT))
    empty = pl.lit([], COLUMN)
    joined = states.join(nested, on=KEY, how="left", maintain_order="left")
    return joined.with_columns(pl.col(FACT).cast(COLUMN).fill_null(empty))


def _parsed(facts: list[dict[str, list[Any]]]) -> pl.DataFrame:
    """The facts as one table; a column that an older or newer version has not, or has besides, does no harm."""
    columns: dict[str, list[Any]] = {name: [] for name in SCHEMA}
    for each in facts:
        for name in SCHEMA:
            columns[name] += each.get(name) or [None] * len(each["symbol"])
    kinds = {name: pl.String() if name in _DATES else kind for name, kind in SCHEMA.items()}
    frame = pl.DataFrame(columns, schema=kinds)
    return frame.with_columns(pl.col(name).str.to_date("%Y-%m-%d") for name in _DATES)


def _from_reasons(states: pl.DataFrame, found: pl.DataFrame) -> pl.DataFrame:
    """One finding for each reason of an instrument that has none: the text is not taken apart."""
    bare = states.filter(pl.col("reason").fill_null("") != "").join(found, on=KEY, how="anti")
    effect = pl.col("state").replace(_EFFECT)
    known = {
        "rule": pl.lit(WHOLE), "effect": effect, "text": pl.col("reason"), "n": pl.lit(0), "of": pl.col("rows"),
        "first": pl.lit(None), "last": pl.lit(None), "source": pl.lit(""), "ratio": pl.lit(None),
        "closes": pl.lit([], pl.List(pl.Float64)), "at": pl.lit(None),
    }  # fmt: skip
    return bare.select(*KEY, *(value.cast(FIELDS[name]).alias(name) for name, value in known.items()))
