"""How good a dataset's bars are, counted once for all that show it: report, metrics, status, doctor, closing line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import polars as pl

from src.core.instruments import ASSET_CLASSES, KEY
from src.market import bar_findings
from src.market.bars import BarStore

OUTCOMES = ("as it came", "repaired", "rows dropped", "quarantined", "failed", "skipped")
"""What became of an instrument: exactly one of these."""
USED = OUTCOMES[:3]
_NAMES = {name: name.replace("it", "they").replace(" ", "_") for name in OUTCOMES}  # in counts and metrics.json


@dataclass(frozen=True)
class Quality:
    """What hydration found in a dataset.

    Attributes
    ----------
    instruments : DataFrame
        One row for each instrument, sorted by key: asset_class, symbol, state, reason, outcome (of `OUTCOMES`), origin
        (folder, file or provider; empty if unknown), rows (bars in use), repaired (bars), dropped (rows), noted
        (remarks), dollar_volume (median of a day, null if unknown), first, last.
    findings : DataFrame
        In `src.market.bar_findings.SCHEMA`.
    complete : bool
        Whether all of the dataset was hydrated since findings are recorded; otherwise some are whole reasons.
    """

    instruments: pl.DataFrame
    findings: pl.DataFrame
    complete: bool

    def counts(self) -> dict[str, Any]:
        """Count the instruments by outcome, and their bars (`counts`)."""
        return counts(self.instruments)


def quality(store: BarStore) -> Quality:
    """Read what hydration found.

    Parameters
    ----------
    store : BarStore
        Of the dataset.

    Returns
    -------
    Quality
        Of the buckets that are complete; empty without any.
    """
    found, findings, complete = bar_findings.stored(store.ledger)
    effects = findings.group_by(KEY).agg(
        pl.col("n").filter(pl.col("effect") == "dropped").sum().alias("dropped"),
        (pl.col("effect") == "noted").sum().cast(pl.Int64).alias("noted"),
        (pl.col("effect") == "repaired").any().alias("mended"),
    )
    states = found.join(effects, on=KEY, how="left", maintain_order="left")
    zero = pl.col("repaired", "dropped", "noted", "rows").fill_null(0)
    states = states.with_columns(zero, pl.col("origin").fill_null(""))
    done = pl.col("state") == "done"
    outcome = (
        pl.when(~done).then("state")
        .when((pl.col("repaired") > 0) | pl.col("mended").fill_null(False)).then(pl.lit("repaired"))
        .when(pl.col("dropped") > 0).then(pl.lit("rows dropped"))
        .otherwise(pl.lit("as it came"))
    )  # fmt: skip
    used = pl.when(done).then("rows").otherwise(0)
    columns = ["state", "reason", "outcome", "origin", "rows", "repaired", "dropped", "noted", "dollar_volume"]
    table = states.with_columns(outcome=outcome, rows=used).select(*KEY, *columns, "first", "last")
    return Quality(table, findings, complete)


def counts(instruments: pl.DataFrame) -> dict[str, Any]:
    """Count instruments by outcome, and their bars.

    Parameters
    ----------
    instruments : DataFrame
        Rows of `Quality.instruments`.

    Returns
    -------
    dict
        ``instruments`` (all); one count for each outcome (as_they_came, repaired, rows_dropped, quarantined, failed,
        skipped), which add up to all; ``used``, the first three; ``noted`` (used, with a remark); ``bars`` and
        ``repaired_bars`` in use, ``dropped_rows`` of those in use.
    """
    found = dict(instruments["outcome"].value_counts().iter_rows())
    used = instruments.filter(pl.col("outcome").is_in(USED))
    return {
        "instruments": instruments.height,
        "used": used.height,
        **{name: int(found.get(outcome, 0)) for outcome, name in _NAMES.items()},
        "noted": used.filter(pl.col("noted") > 0).height,
        "bars": int(used["rows"].sum()),
        "repaired_bars": int(used["repaired"].sum()),
        "dropped_rows": int(used["dropped"].sum()),
    }


def sentence(counted: dict[str, Any]) -> str:
    """Say in plain words what became of a dataset's instruments.

    Parameters
    ----------
    counted : dict
        From `counts`.

    Returns
    -------
    str
        Every outcome that occurs, with the repaired bars and the rows dropped.
    """
    total = counted["instruments"]
    if not total:
        return "no instrument has been hydrated"
    parts = [f"{counted['as_they_came']:,} of {total:,} instrument{'' if total == 1 else 's'} used as they came"]
    if counted["repaired"]:
        share = counted["repaired_bars"] / counted["bars"]
        bars = f"{counted['repaired_bars']:,} of {counted['bars']:,} bars, {_percent(share)}"
        parts.append(f"{counted['repaired']:,} repaired ({bars})")
    if counted["rows_dropped"]:
        parts.append(f"{counted['rows_dropped']:,} with rows dropped")
    parts += [f"{counted[name]:,} {name}" for name in ("quarantined", "failed", "skipped") if counted[name]]
    return ", ".join(parts)


def by_class(instruments: pl.DataFrame) -> dict[str, dict[str, Any]]:
    """Count each asset class that occurs, in the usual order (`counts`)."""
    present = set(instruments["asset_class"])
    return {kind: counts(instruments.filter(asset_class=kind)) for kind in ASSET_CLASSES if kind in present}


def reason_rows(states: pl.DataFrame, findings: pl.DataFrame) -> pl.DataFrame:
    """Give the reasons of states one by one: the findings that make them.

    Parameters
    ----------
    states : DataFrame
        asset_class, symbol, state, reason of hydrate.
    findings : DataFrame
        In `src.market.bar_findings.SCHEMA`.

    Returns
    -------
    DataFrame
        asset_class, symbol, state, reason, kind (the rule), as `src.storage.state_counts.reason_groups` takes them. A
        state that has a reason and no findings is one row, with its reason whole and no kind.
    """
    columns = [*KEY, "state", "reason"]
    named = findings.join(states.select(*KEY, "state"), on=KEY, maintain_order="left")
    named = named.filter((pl.col("state") != "quarantined") | (pl.col("effect") == "quarantined"))
    kind = pl.when(pl.col("rule") == bar_findings.WHOLE).then(pl.lit("")).otherwise("rule")
    rows = named.select(*KEY, "state", pl.col("text").alias("reason"), kind.alias("kind"))
    bare = states.filter(pl.col("reason").fill_null("") != "").join(rows, on=KEY, how="anti", maintain_order="left")
    return pl.concat([rows, bare.select(columns).with_columns(kind=pl.lit(""))])


def _percent(share: float) -> str:
    return "under 0.1%" if 0 < share < 0.0005 else f"{share:.1%}"
