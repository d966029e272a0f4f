"""Two sides of the same instruments, pair by pair: one session against another, one model family against another.

Each run is traded by the settings that graded it. Measures are taken on the days that both runs of a pair have, in each
calendar quarter, averaged over pairs, and the interval of their difference is that over quarters
(`src.evaluation.quarters`), because instruments move together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

import polars as pl

from src.config.paths import DatasetPaths
from src.core.code_hash import code_digest
from src.core.hashing import json_digest
from src.core.instruments import KEY
from src.evaluation.quarters import mean_over_quarters
from src.evaluation.strategy import net_returns
from src.market.bars import BarStore, bucket
from src.reporting.kept import kept
from src.signals.own_decisions import GradedRun, GradedRuns

INSTRUMENTS = 100
"""Instruments that are compared: those of the first buckets, which hold instruments by hash."""
FEWEST = 20
"""Decisions of a quarter that its measures rest on."""
MEASURES = {"auc": "AUC", "net": "net return a year"}
MOST_FAMILIES = 4
"""Above as many, each family is compared with the first alone."""
SESSIONS, FAMILIES = "session", "family"
DIFFERENCES = {
    "kind": pl.String, "base": pl.String, "other": pl.String, "measure": pl.String, "pairs": pl.Int64,
    "instruments": pl.Int64, "quarters": pl.Int64, "base_mean": pl.Float64, "other_mean": pl.Float64,
    "difference": pl.Float64, "low": pl.Float64, "high": pl.Float64,
}  # fmt: skip
_DAYS: dict[str, Any] = {
    "record_id": pl.String,
    "date": pl.Datetime("us"),
    "label": pl.Float64,
    "score": pl.Float64,
    "net": pl.Float64,
}
_RUN = [*KEY, "family", "record_id", "graded_by", "strategy_key"]


def differences(paths: DatasetPaths, current: pl.DataFrame, last: pl.DataFrame) -> pl.DataFrame:
    """Compare a session with another, and the model families of the session with each other.

    Parameters
    ----------
    paths : DatasetPaths
    current, last : DataFrame
        Grades of the two sessions; the second may be empty.

    Returns
    -------
    DataFrame
        In `DIFFERENCES`, a row a comparison and measure: means over quarters of the base, of the other side, of the
        other less the base, and the ends of its 95% interval. The base of a session is the last one. Comparisons
        without three quarters are left out.
    """
    store = BarStore(paths.bars)
    if not store.exists() or current.is_empty():
        return pl.DataFrame(schema=DIFFERENCES)
    pairs = [_session_pairs(current, last)] if last.height else []
    pairs += _family_pairs(current)
    chosen = sampled(pl.concat([pair.select(KEY) for pair in pairs]).unique() if pairs else current.select(KEY), store)
    pairs = [pair.join(chosen, on=KEY, how="semi").sort(*KEY, "base", "other") for pair in pairs]
    ids = [pair.select("base", "other", "base_by", "other_by").rows() for pair in pairs]
    made_from = [json_digest(ids), code_digest(run_days), code_digest(compared)]

    def compute() -> pl.DataFrame:
        wanted = pl.concat([current.select(_RUN), last.select(_RUN)]) if last.height else current.select(_RUN)
        used = [pl.concat([pair["base"], pair["other"]]) for pair in pairs]
        wanted = wanted.filter(pl.col("record_id").is_in(pl.concat(used).implode())) if used else wanted.head(0)
        read = days_of(paths, wanted.unique(["record_id", "graded_by"], maintain_order=True))
        rows = [each for pair in pairs for each in compared(pair, read)]
        return pl.DataFrame(rows, schema=DIFFERENCES)

    return kept(paths.report_cache, "differences", made_from, compute)


def sampled(keys: pl.DataFrame, store: BarStore) -> pl.DataFrame:
    """Take the instruments of the first buckets, `INSTRUMENTS` at most.

    Parameters
    ----------
    keys : DataFrame
        asset_class and symbol.
    store : BarStore

    Returns
    -------
    DataFrame
    """
    count = store.manifest.buckets
    numbers = [bucket(asset_class, symbol, count) for asset_class, symbol in keys.select(KEY).iter_rows()]
    ordered = keys.select(KEY).with_columns(bucket=pl.Series(numbers, dtype=pl.Int64)).sort("bucket", *KEY)
    return ordered.head(INSTRUMENTS).select(KEY)


def days_of(paths: DatasetPaths, graded: pl.DataFrame) -> pl.DataFrame:
    """Read the decisions of runs as they were graded.

    Parameters
    ----------
    paths : DatasetPaths
    graded : DataFrame
        record_id, asset_class, symbol and graded_by.

    Returns
    -------
    DataFrame
        run (record id and session), date, label, score, and the net return times the bars of a year. Runs whose
        predictions, settings or bars are gone are left out.
    """
    parts = [pl.DataFrame(schema={"run": pl.String, **_DAYS}).drop("record_id")]
    for (session,), runs in graded.group_by("graded_by", maintain_order=True):
        for each in _read(paths, runs):
            parts.append(
                run_days(each).with_columns(run=pl.lit(_run(each.record_id, str(session)))).select(parts[0].columns)
            )
    return pl.concat(parts)


def _read(paths: DatasetPaths, graded: pl.DataFrame) -> Iterator[GradedRun]:
    for runs in GradedRuns(paths).read(graded):
        yield from runs


def run_days(run: GradedRun) -> pl.DataFrame:
    """Give the decisions of a run: date (with its hour where bars are shorter than a day), label, score and net.

    Parameters
    ----------
    run : GradedRun

    Returns
    -------
    DataFrame
        The net return is that of the decision times the bars of a year.
    """
    stamps = run.decisions.stamps[run.positions].astype("datetime64[us]")
    net = net_returns(run.position, run.conditions) * run.decisions.bars_per_year
    columns = {"date": stamps, "label": run.outcome, "score": run.probability, "net": net}
    return pl.DataFrame(columns).cast({name: _DAYS[name] for name in columns})


def compared(pairs: pl.DataFrame, days: pl.DataFrame) -> list[dict[str, object]]:
    """Compare the pairs of one comparison.

    Parameters
    ----------
    pairs : DataFrame
        kind, base_name, other_name, asset_class, symbol, and the runs of each pair: base, other, base_by, other_by.
    days : DataFrame
        From `days_of`.

    Returns
    -------
    list of dict
        Rows of `DIFFERENCES`.
    """
    if pairs.is_empty():
        return []
    ids = pairs.select(*KEY, base=_id("base"), other=_id("other")).with_row_index("pair")
    sides = [
        ids.select("pair", run=side)
        .join(days, on="run")
        .drop("run")
        .rename({n: f"{n}_{side}" for n in ("label", "score", "net")})
        for side in ("base", "other")
    ]
    both = sides[0].join(sides[1], on=["pair", "date"]).with_columns(quarter=pl.col("date").dt.truncate("1q"))
    measured = by_quarter(both)
    head = pairs.row(0, named=True)
    known = ids.filter(pl.col("pair").is_in(measured["pair"].unique().implode()))
    rows = []
    for measure in MEASURES:
        base, other = f"{measure}_base", f"{measure}_other"
        quarters = (
            measured.drop_nulls([base, other]).group_by("quarter").agg(pl.col(base, other).mean()).sort("quarter")
        )
        found = mean_over_quarters((quarters[other] - quarters[base]).to_numpy())
        if found is not None:
            rows.append(
                {"kind": head["kind"], "base": head["base_name"], "other": head["other_name"], "measure": measure,
                 "pairs": known.height, "instruments": known.select(KEY).n_unique(), "quarters": quarters.height,
                 "base_mean": quarters[base].mean(), "other_mean": quarters[other].mean(),
                 **dict(zip(("difference", "low", "high"), found, strict=True))}
            )  # fmt: skip
    return rows


def by_quarter(both: pl.DataFrame) -> pl.DataFrame:
    """Measure both sides of each pair in each quarter.

    Parameters
    ----------
    both : DataFrame
        pair, quarter, and of each side label (NaN where it does not count), score and net.

    Returns
    -------
    DataFrame
        pair, quarter, and auc and net of each side; null below `FEWEST` decisions, or without one of the two labels.
    """
    keys = ["pair", "quarter"]
    enough = pl.len() >= FEWEST
    means = [pl.when(enough).then(pl.col(f"net_{side}").mean()).alias(f"net_{side}") for side in ("base", "other")]
    out = both.group_by(keys).agg(means)
    for side in ("base", "other"):
        known = both.filter(pl.col(f"label_{side}").is_finite())
        ranks = known.select(*keys, up=pl.col(f"label_{side}"), rank=pl.col(f"score_{side}").rank("average").over(keys))
        ups, downs = pl.col("up").sum(), pl.len() - pl.col("up").sum()
        area = ((pl.col("rank") * pl.col("up")).sum() - ups * (ups + 1) / 2) / (ups * downs)
        valid = enough & (ups > 0) & (downs > 0)
        areas = ranks.group_by(keys).agg(pl.when(valid).then(area).alias(f"auc_{side}"))
        out = out.join(areas, on=keys, how="left")
    return out


def _session_pairs(current: pl.DataFrame, last: pl.DataFrame) -> pl.DataFrame:
    """Runs of two sessions of the same instrument and family; those that both sessions share are no pair."""
    pairs = _paired(last, current, [*KEY, "family"], SESSIONS, "last session", "this session")
    same = (pl.col("base") == pl.col("other")) & (pl.col("base_key") == pl.col("other_key"))
    return pairs.filter(~same)


def _family_pairs(current: pl.DataFrame) -> list[pl.DataFrame]:
    """Runs of two families of the same instrument, for each two families."""
    names = sorted(current["family"].unique().to_list())
    runs = {name: current.filter(pl.col("family") == name) for name in names}
    several = combinations(names, 2) if len(names) <= MOST_FAMILIES else ((names[0], name) for name in names[1:])
    return [_paired(runs[one], runs[two], KEY, FAMILIES, one, two) for one, two in several]


def _paired(base: pl.DataFrame, other: pl.DataFrame, on: Sequence[str], kind: str, *names: str) -> pl.DataFrame:
    columns = {"record_id": "", "graded_by": "_by", "strategy_key": "_key"}
    sides = [
        table.unique(on, maintain_order=True).select(
            *on, *(pl.col(c).alias(f"{side}{end}") for c, end in columns.items())
        )
        for side, table in (("base", base), ("other", other))
    ]
    named = {"kind": kind, "base_name": names[0], "other_name": names[1]}
    keep = [*KEY, *named, *(f"{side}{end}" for side in ("base", "other") for end in columns.values())]
    return sides[0].join(sides[1], on=on).with_columns(pl.lit(v).alias(k) for k, v in named.items()).select(keep)


def _run(record_id: str, session: str) -> str:
    return f"{record_id} {session}"


def _id(side: str) -> pl.Expr:
    return pl.format("{} {}", pl.col(side), pl.col(f"{side}_by"))
