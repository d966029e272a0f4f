"""Every graded run of a dataset beside what is demanded of a champion: which figures miss, and by how much.

Figures are those that training stored. A shortfall is stated as a share of the way from the limit to what a model
without skill has (an AUC of 0.5, a q-value of 1), so that those of different figures can be compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import polars as pl

from src.core.instruments import POOLED
from src.tracking.champions import Champions
from src.tracking.demands import Demand, all_demands, decimals, shown_figure
from src.tracking.run_record import registered_name

if TYPE_CHECKING:
    from src.evaluation.grade import Thresholds

NEAREST = 10
_IDENTITY = ("record_id", "strategy_key")
_FIGURES = ("auc", "accuracy", "sharpe", "max_drawdown", "n_oos", "q_value", "luck_rate", "deflated_sharpe", "z")


def candidates(champions: Champions, thresholds: Thresholds, after: Mapping[str, int], interval: str) -> pl.DataFrame:
    """List the graded runs that no later run replaces.

    Parameters
    ----------
    champions : Champions
    thresholds : Thresholds
        Of the registry.
    after : mapping
        Version of each champion once the promotion is carried out.
    interval : str
        Of the dataset's bars.

    Returns
    -------
    DataFrame
        name, asset_class, symbol, family, version, state, reason, misses, shortfall, the figures, and record_id and
        strategy_key; sorted by misses and shortfall. The state is ``champion``, ``behind`` (meets all demands, and
        another version is champion), ``suspicious`` (meets them, and waits for a person who clears it),
        ``unregistered`` (meets them, and is no version) or ``missed``.
    """
    table = _current(champions, interval)
    pooled = pl.col("asset_class") == POOLED
    demands = champions.demands
    parts = [
        _measured(table.filter(own), all_demands(thresholds, evidence))
        for own, evidence in ((~pooled, demands.instruments), (pooled, demands.portfolios))
    ]
    state = (
        pl.when(pl.col("version") == pl.col("champion")).then(pl.lit("champion"))
        .when(pl.col("misses") > 0).then(pl.lit("missed"))
        .when(pl.col("version").is_null() & pl.col("suspicious").is_not_null()).then(pl.lit("suspicious"))
        .when(pl.col("version").is_null()).then(pl.lit("unregistered"))
        .otherwise(pl.lit("behind"))
    )  # fmt: skip
    crowned = pl.DataFrame(
        {"name": list(after), "champion": list(after.values())}, schema={"name": pl.String, "champion": pl.Int64}
    )
    columns = ("name", "asset_class", "symbol", "family", "version", "state", "reason", "misses", "shortfall")
    return (
        pl.concat(parts)
        .join(crowned, on="name", how="left")
        .with_columns(state=state)
        .select(*columns, *_FIGURES, *_IDENTITY)
        .sort("misses", "shortfall", "name", "family")
    )


def near_misses(table: pl.DataFrame, path: str | None) -> Iterator[str]:
    """Yield lines on the runs that missed by least, one for each model that has no champion and no flagged pass.

    Parameters
    ----------
    table : DataFrame
        From `candidates`.
    path : str or None
        Of the file that has the whole table, if it is written.
    """
    crowned = table.filter(pl.col("state") == "champion").select("name")
    others = table.join(crowned, on="name", how="anti").unique("name", keep="first", maintain_order=True)
    missed = others.filter(pl.col("state").is_in(["missed", "unregistered"]))
    for row in missed.head(NEAREST).iter_rows(named=True):
        yield f"{row['name']}: not promoted ({row['family']}): {row['reason']}; {_figures(row)}"
    rest = missed.slice(NEAREST)
    if rest.height:
        once = rest.filter(pl.col("misses") == 1).height
        where = f": {path} lists every run" if path else ""
        yield f"and {once:,} more that miss one demand, {rest.height - once:,} that miss several{where}"


def _figures(row: Mapping[str, float | None]) -> str:
    known = ((name, row[name]) for name in _FIGURES if row[name] is not None)
    return ", ".join(f"{name} {shown_figure(name, value)}" for name, value in known if value is not None)


def _current(champions: Champions, interval: str) -> pl.DataFrame:
    """Stored grades of runs that are not superseded, with name and number of their version."""
    records, stored = champions.vetting.records, champions.vetting.evidence.table
    texts, demands = ("asset_class", "symbol", "family", "suspicious"), champions.demands
    figures = dict.fromkeys((*_FIGURES, *(each.figure for each in (*demands.instruments, *demands.portfolios))))
    needed: dict[str, Any] = {**dict.fromkeys(texts, pl.String), **dict.fromkeys(figures, pl.Float64)}
    absent = {name: pl.lit(None, kind) for name, kind in needed.items() if name not in stored.columns}
    table = stored.with_columns(**absent).select(*_IDENTITY, *needed).cast(dict.fromkeys(figures, pl.Float64))
    kept = [not records.is_superseded(record_id) for record_id in table["record_id"]]
    table = table.filter(pl.Series(kept, dtype=pl.Boolean))
    keys = table.select("asset_class", "symbol").unique()
    names = [registered_name(kind, symbol, interval) for kind, symbol in keys.iter_rows()]
    versions = [(*version.key, version.number) for version in champions.versions()]
    schema = {"record_id": pl.String, "strategy_key": pl.String, "version": pl.Int64}
    return table.join(keys.with_columns(name=pl.Series(names, dtype=pl.String)), on=["asset_class", "symbol"]).join(
        pl.DataFrame(versions, schema=schema, orient="row").unique(_IDENTITY, keep="last", maintain_order=True),
        on=_IDENTITY, how="left",
    )  # fmt: skip


def _measured(table: pl.DataFrame, demands: tuple[Demand, ...]) -> pl.DataFrame:
    """Add the demands that each run misses: how many, by how much, and in a sentence."""
    doubt = pl.col("suspicious").is_not_null() & pl.col("version").is_null()
    missed = [(~_met(each)).cast(pl.Int32) for each in demands]
    gaps = [
        pl.when(_met(each)).then(0.0).otherwise(((pl.col(each.figure) - each.limit).abs() / each.span).fill_null(1e9))
        for each in demands
    ]
    reasons = [pl.when(~_met(each)).then(_reason(each)) for each in demands]
    suspicion = pl.when(doubt).then(pl.format("suspicious: {}", pl.col("suspicious")))
    said = pl.concat_str([*reasons, suspicion], separator="; ", ignore_nulls=True)
    return table.with_columns(
        misses=pl.sum_horizontal(*missed).cast(pl.Int32),
        shortfall=pl.sum_horizontal(*gaps),
        reason=pl.when(said == "").then(None).otherwise(said),
    )


def _met(demand: Demand) -> pl.Expr:
    value = pl.col(demand.figure)
    return (value <= demand.limit if demand.is_most else value >= demand.limit).fill_null(value=False)


def _reason(demand: Demand) -> pl.Expr:
    """The sentence of `Demand.reason`, for a column."""
    value = pl.col(demand.figure)
    places = decimals(demand.figure)
    shown = value.round(places).cast(pl.Decimal(38, places)).cast(pl.String)
    side = "is above" if demand.is_most else "is below"
    return (
        pl.when(value.is_null())
        .then(pl.lit(demand.reason(None)))
        .otherwise(pl.format(f"{demand.figure} {{}} {side} {demand.limit_text}", shown))
    )
