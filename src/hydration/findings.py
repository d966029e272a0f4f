"""The findings of validation, one for each instrument and rule, and the reason that they give a state.

A rule of rows or bars is one entry of `DROPPED` or `REPAIRED` in `src.hydration.validation`: its name is that of a
column or of dropped rows, its text has the count. Other rules make a `BarFinding` themselves.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import polars as pl

from src.core.finding import BarFinding
from src.core.instruments import KEY, Key
from src.market.bar_findings import COLUMN, FACT, values

_PLURALS = {"rows": "row", "bars": "bar", "steps": "step"}


def counted_rules(
    bars: pl.DataFrame, dropped: pl.DataFrame, repaired: Mapping[str, str], lost: Mapping[str, str]
) -> dict[Key, list[BarFinding]]:
    """Count what each rule of bars and rows did to each instrument.

    Parameters
    ----------
    bars : DataFrame
        asset_class, symbol, date, repaired, stretch (log of the price ratio in question, null if none), and a Boolean
        column for each rule of `repaired`.
    dropped : DataFrame
        asset_class, symbol, rule, n, first, last (of the rows dropped).
    repaired, lost : mapping of str to str
        Text of each rule, with places for the count ``{n}`` and its noun, ``{bars}``, ``{rows}`` or ``{steps}``.

    Returns
    -------
    dict of (asset_class, symbol) to list of BarFinding
        In the order of the rules, dropped rows first; instruments that no rule touched are left out.
    """
    marked = bars.filter("repaired").select(*KEY, pl.col("date").cast(pl.Date), "stretch", *repaired)
    long = marked.unpivot(on=list(repaired), index=[*KEY, "date", "stretch"], variable_name="rule").filter("value")
    days = (pl.col("date").min().alias("first"), pl.col("date").max().alias("last"), pl.col("stretch").max().exp())
    repairs = long.group_by(*KEY, "rule").agg(pl.len().cast(pl.Int64).alias("n"), *days)
    sizes = bars.group_by(KEY).agg(pl.len().cast(pl.Int64).alias("of"))
    gone = dropped.join(sizes, on=KEY, how="left").with_columns(
        of=pl.col("of").fill_null(0) + pl.col("n").sum().over(KEY)
    )
    both = [(gone, "dropped", lost), (repairs.join(sizes, on=KEY), "repaired", repaired)]
    found: defaultdict[Key, list[BarFinding]] = defaultdict(list)
    for table, effect, texts in both:
        order = {rule: k for k, rule in enumerate(texts)}
        ranked = table.sort(pl.col("rule").replace_strict(order, return_dtype=pl.Int64))
        for row in ranked.iter_rows(named=True):
            text = _counted(texts[row["rule"]], row["n"])
            found[row["asset_class"], row["symbol"]].append(
                BarFinding(
                    row["rule"], effect, text, row["n"], row["of"], row["first"], row["last"], ratio=row.get("stretch")
                )
            )
    return dict(found)


def reason(findings: Iterable[BarFinding], state: str) -> str:
    """Give the reason of a state: the texts of its findings, of a quarantine those that condemn.

    Parameters
    ----------
    findings : iterable of BarFinding
        Of one instrument.
    state : str
        Its state.

    Returns
    -------
    str
        For people only: what is counted, is counted by the findings' rules.
    """
    condemning = state == "quarantined"
    return "; ".join(each.text for each in findings if not condemning or each.effect == "quarantined")


def with_remarks(states: pl.DataFrame, remarks: Mapping[Key, Iterable[BarFinding]]) -> pl.DataFrame:
    """Add findings to states, and their texts to the reasons.

    Parameters
    ----------
    states : DataFrame
        asset_class, symbol, reason, findings.
    remarks : mapping of (asset_class, symbol) to iterable of BarFinding
        What else was found.

    Returns
    -------
    DataFrame
        In the order of `states`; instruments without a state are left out.
    """
    if not remarks:
        return states
    rows = states.to_dicts()
    for row in rows:
        more = list(remarks.get((row["asset_class"], row["symbol"]), ()))
        row[FACT] = [*(row[FACT] or []), *values(more)]
        row["reason"] = "; ".join([*([row["reason"]] if row["reason"] else []), *(each.text for each in more)])
    return pl.DataFrame(rows, schema=states.schema, orient="row")


def column(findings: Iterable[Iterable[BarFinding]]) -> pl.Series:
    """Give the findings of several instruments as the column findings of their states.

    Parameters
    ----------
    findings : iterable of iterable of BarFinding
        One for each state.

    Returns
    -------
    Series
        Of type `src.market.bar_findings.COLUMN`.
    """
    return pl.Series(FACT, [values(each) for each in findings], dtype=COLUMN)


def _counted(template: str, n: int) -> str:
    nouns: dict[str, Any] = {many: one if n == 1 else many for many, one in _PLURALS.items()}
    return template.format(n=f"{n:,}", **nouns)


def with_pictures(
    judged: Mapping[Key, list[BarFinding]], bars: pl.DataFrame, around: int = 30
) -> dict[Key, list[BarFinding]]:
    """Add the closes around its place to the first finding that condemns an instrument, whose bars are not stored.

    Parameters
    ----------
    judged : mapping of (asset_class, symbol) to list of BarFinding
        Verdicts and notes.
    bars : DataFrame
        asset_class, symbol, date, raw (the close as it came, null if it is not positive), repaired; sorted.
    around : int
        Closes before the place, and after it.

    Returns
    -------
    dict
        The same; a verdict without a date shows the first repaired bar, or else the last bars.
    """
    condemned = [key for key, found in judged.items() if any(each.effect == "quarantined" for each in found)]
    if not condemned:
        return dict(judged)
    keys = pl.DataFrame(condemned, schema=dict.fromkeys(KEY, pl.String()), orient="row")
    parts = bars.join(keys, on=KEY, how="semi").select(*KEY, "date", "raw", "repaired")
    pictured = dict(judged)
    for key, rows in parts.partition_by(KEY, as_dict=True, include_key=False).items():
        found = judged[key[0], key[1]]
        k = next(i for i, each in enumerate(found) if each.effect == "quarantined")
        at = _place(rows, found[k].first)
        start = max(0, at - around)
        closes = tuple(rows["raw"].slice(start, at - start + around + 1).round_sig_figs(6))
        pictured[key[0], key[1]] = [*found[:k], replace(found[k], closes=closes, at=at - start), *found[k + 1 :]]
    return pictured


def _place(rows: pl.DataFrame, day: dt.date | None) -> int:
    """Index of the bar of a day; without a day, of the first repaired bar, or of the last one."""
    here = rows["date"].cast(pl.Date) >= day if day is not None else rows["repaired"]
    found = here.arg_true()
    return int(found[0]) if len(found) else rows.height - 1
