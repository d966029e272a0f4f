"""Does one set of features help? The runs of two sets on the same instruments, days, labels and seeds, pair by pair.

Skill comes in bursts that instruments share: the interval is that of a mean over calendar quarters
(`src.evaluation.quarters`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from src.config.commands import command
from src.config.paths import DatasetPaths
from src.config.schema import FeaturesConfig
from src.core.errors import ConfigError
from src.core.instruments import KEY
from src.evaluation.metrics import auc
from src.evaluation.quarters import mean_over_quarters
from src.evaluation.strategy import net_returns
from src.features.selection import select
from src.signals.own_decisions import GradedRun, GradedRuns
from src.storage import atomic
from src.training.run_store import RunStore

MEASURES = {"auc": "AUC", "net": "net return a year", "ic": "rank IC"}
# Parts of a run's key. Its hash of the bars holds the splits where a feature looks at them; measures are taken on the
# days that both runs have.
_ALIKE = ("label", "split", "model", "seed", "library", "listings", "eligibility", "scope")
_COLUMNS = ("session_key", *KEY, "family", "features", "parts", "created_at")
_GRADED: dict[str, Any] = {
    "record_id": pl.String(), "passed": pl.Boolean(), "graded_by": pl.String(), "graded_at": pl.Datetime("us", "UTC"),
}  # fmt: skip
_CATEGORY = "category."
_UNLIKE = "its portfolios are gone, or were traded by other settings: train both sets with the same ones"
_FEWEST = 20  # decisions of a quarter that its measures rest on


@dataclass(frozen=True)
class FeatureComparison:
    """Two sets of features on the same runs.

    Attributes
    ----------
    base, other : str
        Names of the sets.
    pairs, instruments : int
        Runs of the one that have a twin of the other, and of how many instruments (or portfolios).
    passed : (int, int)
        How many of the twins cleared the four thresholds.
    quarters : DataFrame
        quarter (its first day), pairs, and for each measure that the scope has ``<measure>_base``, ``<measure>_other``:
        means over the pairs.
    left_out : int
        Pairs that could not be compared.
    reason : str
        Why, of one of them.
    """

    base: str
    other: str
    pairs: int
    instruments: int
    passed: tuple[int, int]
    quarters: pl.DataFrame
    left_out: int = 0
    reason: str = ""

    def interval(self, measure: str) -> tuple[float, float, float, float, float] | None:
        """Mean over quarters of both, and of the difference with its 95% interval.

        Parameters
        ----------
        measure : str
            A key of `MEASURES`.

        Returns
        -------
        tuple of float or None
            Base, other, difference, and the ends of its interval by Student's t over quarters; None where fewer than
            three quarters have the measure.
        """
        columns = f"{measure}_base", f"{measure}_other"
        if columns[0] not in self.quarters.columns:
            return None
        rows = self.quarters.select(columns).drop_nulls().to_numpy()
        gain = mean_over_quarters(rows[:, 1] - rows[:, 0])
        return None if gain is None else (float(rows[:, 0].mean()), float(rows[:, 1].mean()), *gain)


def compare_instruments(
    paths: DatasetPaths, base: FeaturesConfig, other: FeaturesConfig, interval: str
) -> FeatureComparison:
    """Compare the runs of single instruments.

    Parameters
    ----------
    paths : DatasetPaths
    base, other : FeaturesConfig
        The two sets; both are trained already.
    interval : str
        Of the bars.

    Returns
    -------
    FeatureComparison
        Of AUC, and of the net return of the strategy by which each run was graded.

    Raises
    ------
    ConfigError
        If one of the sets was not trained, or no run has a twin: says what to type.
    """
    store, reader = RunStore(paths.runs), GradedRuns(paths)
    twins = _twins(store, base, other, interval, paths)
    # The strategy is no part of a run's key: both runs of a pair are traded by that of the other set's session.
    graded = pl.concat(
        [twins.select(*KEY, record_id=f"{side}_id", graded_by="other_session") for side in ("base", "other")]
    )
    twin = dict(twins.select("base_id", "other_id").iter_rows())
    parts, used = [], []
    for runs in reader.read(graded):
        of_id = {run.record_id: run for run in runs}
        for record_id in of_id.keys() & twin.keys():
            if twin[record_id] in of_id:
                parts.append(_by_quarter(of_id[record_id], of_id[twin[record_id]]))
                used.append(record_id)
    compared = twins.filter(pl.col("base_id").is_in(used))
    return FeatureComparison(
        base.name, other.name, compared.height, compared.select(KEY).n_unique(), _passed(compared),
        _averaged(parts, ("auc", "net")), twins.height - compared.height, next(iter(reader.left_out.values()), ""),
    )  # fmt: skip


def compare_portfolios(
    paths: DatasetPaths, base: FeaturesConfig, other: FeaturesConfig, interval: str
) -> FeatureComparison:
    """Compare the portfolios of the pooled scope: their net returns and rank information coefficients.

    Parameters
    ----------
    paths, base, other, interval
        As for `compare_instruments`.

    Returns
    -------
    FeatureComparison

    Raises
    ------
    ConfigError
        As `compare_instruments`.
    """
    store = RunStore(paths.portfolios)
    twins = _twins(store, base, other, interval, paths)
    parts, used = [], []
    for row in twins.iter_rows(named=True):
        tables = [_daily(paths, row[f"{side}_id"]) for side in ("base", "other")]
        if tables[0] is not None and tables[1] is not None and tables[0][1] == tables[1][1]:
            yearly = 365.0 if row["symbol"].startswith("crypto") else 252.0
            parts.append(_portfolio_quarters(tables[0][0], tables[1][0], yearly))
            used.append(row["base_id"])
    compared = twins.filter(pl.col("base_id").is_in(used))
    return FeatureComparison(
        base.name, other.name, compared.height, compared.height, _passed(compared),
        _averaged(parts, ("net", "ic")), twins.height - compared.height, _UNLIKE,
    )  # fmt: skip


def _twins(
    store: RunStore, base: FeaturesConfig, other: FeaturesConfig, interval: str, paths: DatasetPaths
) -> pl.DataFrame:
    """Runs of both sets that are alike in all else: one row a pair, those that were graded last.

    A run that no grade stands for any more, since its facts or bars changed and another took its place, is left out.
    """
    graded = _graded(store)
    runs = store.runs(_COLUMNS).filter(~pl.col("superseded")).join(graded, on="record_id")
    found = {}
    for side, features in (("base", base), ("other", other)):
        names = json.dumps([item.name for item in select(features, interval)])
        own = runs.filter(pl.col("features").map_elements(_normal, return_dtype=pl.String) == names)
        if not own.height:
            scope = "scope=pooled" if store.root == paths.portfolios else "scope=instrument"
            raise ConfigError(
                f"features={features.name} was not trained: run "
                f"`{command('featurize', f'features={features.name}')}` and "
                f"`{command('train', f'features={features.name}', scope)}` first"
            )
        alike = own["parts"].map_elements(_alike, return_dtype=pl.String).alias("alike")
        order = ["graded_at", "created_at"]
        newest = own.with_columns(alike).sort(order).unique([*KEY, "family", "alike"], keep="last")
        found[side] = newest.select(
            *KEY, "family", "alike", pl.col("record_id").alias(f"{side}_id"),
            pl.col("graded_by").alias(f"{side}_session"), pl.col("passed").alias(f"{side}_passed"),
        )  # fmt: skip
    twins = found["base"].join(found["other"], on=[*KEY, "family", "alike"]).sort(*KEY, "family")
    if not twins.height:
        raise ConfigError(
            f"no run of features={other.name} has a twin of features={base.name} with the same label, split, model "
            "settings and seed: train both with the same settings"
        )
    return twins


def _graded(store: RunStore) -> pl.DataFrame:
    """Whether each run passed, by the session that graded it last, and when that was."""
    parts = [pl.DataFrame(schema=_GRADED)]
    for session in sorted(store.graded_sessions()):
        rows = store.grades(session).select("record_id", "passed", "graded_by")
        parts.append(rows.with_columns(graded_at=pl.lit(store.graded_at(session), _GRADED["graded_at"])))
    return pl.concat(parts).sort("graded_at", "graded_by").unique("record_id", keep="last")


def _passed(twins: pl.DataFrame) -> tuple[int, int]:
    """How many runs of each side cleared the thresholds, by the session that graded them last."""
    return int(twins["base_passed"].sum()), int(twins["other_passed"].sum())


def _normal(names: str) -> str:
    """Names of declared features: the categories of pooled models are no choice."""
    return json.dumps([name for name in json.loads(names) if not name.startswith(_CATEGORY)])


def _alike(parts: str) -> str:
    """What two runs have in common but for their features and what these look at."""
    known = json.loads(parts)
    return json.dumps({name: known.get(name) for name in _ALIKE}, sort_keys=True)


def _by_quarter(base: GradedRun, other: GradedRun) -> pl.DataFrame:
    """Measures of one pair in each quarter, on the decisions that both have."""
    shared = np.intersect1d(base.positions, other.positions)
    table: dict[str, Any] = {"stamp": base.decisions.stamps[shared].astype("datetime64[D]")}
    for side, run in (("base", base), ("other", other)):
        rows = np.searchsorted(run.positions, shared)
        table |= {f"label_{side}": run.outcome[rows], f"score_{side}": run.probability[rows]}
        table[f"net_{side}"] = net_returns(run.position, run.conditions)[rows] * run.decisions.bars_per_year
    days = pl.DataFrame(table).with_columns(quarter=pl.col("stamp").cast(pl.Date).dt.truncate("1q"))
    rows_of = days.partition_by("quarter", as_dict=True, maintain_order=True)
    return pl.DataFrame([{"quarter": day, **_measured(rows)} for (day,), rows in rows_of.items()])


def _measured(rows: pl.DataFrame) -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    for side in ("base", "other"):
        label, score = rows[f"label_{side}"].to_numpy(), rows[f"score_{side}"].to_numpy()
        known = np.isfinite(label)
        found[f"auc_{side}"] = auc(label[known], score[known]) if known.sum() >= _FEWEST else None
        found[f"net_{side}"] = float(np.mean(rows[f"net_{side}"].to_numpy())) if rows.height >= _FEWEST else None
    return found


def _portfolio_quarters(base: pl.DataFrame, other: pl.DataFrame, yearly: float) -> pl.DataFrame:
    """Measures of a pair of portfolios in each quarter, on the days that both have."""
    days = base.join(other, on="stamp", suffix="_other").fill_nan(None)
    sums = {f"{name}_{side}": pl.col(f"{name}{end}").drop_nulls().mean() * factor
            for name, factor in (("net", yearly), ("ic", 1.0))
            for side, end in (("base", ""), ("other", "_other"))}  # fmt: skip
    enough = pl.len() >= _FEWEST
    means = [pl.when(enough).then(mean).alias(name) for name, mean in sums.items()]
    return days.group_by(quarter=pl.col("stamp").dt.truncate("1q").cast(pl.Date)).agg(means)


def _averaged(parts: list[pl.DataFrame], measures: tuple[str, ...]) -> pl.DataFrame:
    """Means over the pairs in each quarter; a pair counts for a measure where it has both sides."""
    columns = [f"{measure}_{side}" for measure in measures for side in ("base", "other")]
    schema = {"quarter": pl.Date} | dict.fromkeys(columns, pl.Float64)
    rows = pl.concat(
        [pl.DataFrame(schema=schema), *(part.select(pl.col(k).cast(v) for k, v in schema.items()) for part in parts)]
    )
    both = {m: pl.col(f"{m}_base").is_not_null() & pl.col(f"{m}_other").is_not_null() for m in measures}
    means = [
        pl.col(f"{measure}_{side}").filter(both[measure]).mean() for measure in measures for side in ("base", "other")
    ]
    return rows.group_by("quarter").agg(pl.len().alias("pairs"), *means).sort("quarter")


def _daily(paths: DatasetPaths, record_id: str) -> tuple[pl.DataFrame, str] | None:
    """Days of a portfolio, and the key of what traded it."""
    folder = paths.portfolios / record_id
    path, note = folder / "daily.parquet", folder / "tables.json"
    if not path.is_file() or not note.is_file():
        return None
    with atomic.read_errors(path, f"run `{command('train', 'scope=pooled', stored=paths.dataset)}`, which writes it"):
        days = pl.read_parquet(path, columns=["stamp", "net", "ic"], glob=False)
    return days, str(atomic.read_json(note).get("grade_key"))
