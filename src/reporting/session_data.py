"""What a report is made of: the tables of one session, brought to one form and read by every figure and table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import polars as pl

from src.config.schema import GradeConfig
from src.core.instruments import ASSET_CLASSES
from src.evaluation.grade import GATE_METRICS
from src.models.registry import FAMILIES

KEY = ["asset_class", "symbol"]
STAGES = ("hydrate", "featurize", "train")
STATES = ("done", "skipped", "quarantined", "failed")
METRICS = tuple(metric.name for metric in GATE_METRICS)

GRADES: dict[str, pl.DataType] = {
    **dict.fromkeys(
        ("asset_class", "symbol", "family", "record_id", "session_key", "graded_by", "suspicious"), pl.String()
    ),
    **dict.fromkeys(("first_oos", "last_oos"), pl.Date()),
    **dict.fromkeys(("n_oos", "n_trials", "n_folds", "tuning_trials"), pl.Int64()),
    **dict.fromkeys(METRICS, pl.Float64()),
    **dict.fromkeys(("majority_accuracy", "buy_hold_sharpe", "unsized_drawdown", "turnover"), pl.Float64()),
    **dict.fromkeys(("active_sharpe", "late_auc", "late_sharpe"), pl.Float64()),
    **dict.fromkeys(("luck_rate", "z", "p_value", "q_value", "deflated_sharpe"), pl.Float64()),
    **dict.fromkeys(("passed", "registrable"), pl.Boolean()),
    "reasons": pl.List(pl.String()),
    "shift_passes": pl.Binary(),
}
STATE_COLUMNS: dict[str, pl.DataType] = {
    **dict.fromkeys(("asset_class", "symbol", "state", "reason"), pl.String()),
    "rows": pl.Int64(),
    **dict.fromkeys(("first", "last"), pl.Date()),
}
EQUITY: dict[str, pl.DataType] = {
    "record_id": pl.String(),
    "stamp": pl.Date(),
    "equity": pl.Float64(),
    "always_long_equity": pl.Float64(),
}
BEST_FIRST = ["q_value", "p_value", "luck_rate", "sharpe", "asset_class", "symbol", "family"]


class MaterialError(ValueError):
    """A table that a report can't be made from: the message names it and what it lacks."""


@dataclass(frozen=True)
class Threshold:
    """One of the four bounds of the grade: its metric, its name in words, and the side that clears."""

    metric: str
    name: str
    limit: float
    at_least: bool

    def clears(self, column: str | None = None) -> pl.Expr:
        """Give the expression that is true where the metric clears; null counts as not clearing."""
        value = pl.col(column or self.metric)
        return ((value >= self.limit) if self.at_least else (value <= self.limit)).fill_null(False)


@dataclass(frozen=True)
class Luck:
    """Passes seen, and what luck alone gives: expected runs with their 5 to 95% range; null where not computed.

    `by_instrument` holds expectation and range of instruments on which any run would pass.
    """

    passes: int
    instruments: int
    expected: float | None
    low: float | None
    high: float | None
    sentence: str = ""
    by_instrument: tuple[float, float, float] | None = None


@dataclass(frozen=True)
class Group:
    """The runs of one model family or one asset class, against luck."""

    kind: str
    name: str
    runs: int
    luck: Luck

    @property
    def pass_rate(self) -> float | None:
        """Passes over runs; null without runs."""
        return self.luck.passes / self.runs if self.runs else None


@dataclass(frozen=True)
class Material:
    """All that one report shows.

    `importance` has a row a feature (see `stores.importance`).

    `planted` is null where the source plants nothing; `settings` are the resolved configuration's choices by dotted
    key; `about` holds facts about the bars (source, basis, last date) in words.
    """

    dataset: str
    grades: pl.DataFrame
    states: Mapping[str, pl.DataFrame]
    luck: Luck
    groups: tuple[Group, ...]
    thresholds: tuple[Threshold, ...]
    equity: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=EQUITY))
    importance: pl.DataFrame = field(default_factory=pl.DataFrame)
    planted: frozenset[tuple[str, str]] | None = None
    simulated: bool = False
    settings: Mapping[str, object] = field(default_factory=dict)
    about: Mapping[str, str] = field(default_factory=dict)

    @property
    def passing(self) -> pl.DataFrame:
        """Passing runs, the most credible first."""
        return best_first(self.grades.filter("passed"))

    @property
    def stages(self) -> list[str]:
        """Stages with a states table, in the order in which they run."""
        return [s for s in STAGES if s in self.states] + sorted(set(self.states) - set(STAGES))


def thresholds(grade: GradeConfig) -> tuple[Threshold, ...]:
    """Give the thresholds of the grade, in the order of the gate's metrics."""
    return tuple(
        Threshold(metric.name, metric.title, getattr(grade, metric.threshold), metric.at_least)
        for metric in GATE_METRICS
    )


def tidy(table: pl.DataFrame, columns: Mapping[str, pl.DataType], required: Iterable[str], name: str) -> pl.DataFrame:
    """Bring a table to the given columns and types: a missing one is null, and so is NaN or an infinity.

    Raises
    ------
    MaterialError
        If a required column is missing from a table that has rows.
    """
    missing = [c for c in required if c not in table.columns]
    if missing and table.height:
        raise MaterialError(f"the {name} table lacks {', '.join(missing)}: make it again")
    have = [(pl.col(c) if c in table.columns else pl.lit(None)).cast(kind).alias(c) for c, kind in columns.items()]
    floats = [c for c, kind in columns.items() if kind == pl.Float64()]
    tidied = table.select(have) if table.width else pl.DataFrame(schema=dict(columns))
    return tidied.with_columns(pl.when(pl.col(c).is_finite()).then(pl.col(c)).alias(c) for c in floats)


def tidy_grades(table: pl.DataFrame) -> pl.DataFrame:
    """Bring a grades table to `GRADES`, sorted by instrument and family; an undefined pass is none."""
    tidied = tidy(table, GRADES, (*KEY, "family", "passed"), "grades")
    return tidied.with_columns(pl.col("passed").fill_null(False)).sort(*KEY, "family", "record_id", nulls_last=True)


def tidy_states(table: pl.DataFrame, stage: str) -> pl.DataFrame:
    """Bring a states table to `STATE_COLUMNS`, sorted by instrument."""
    tidied = tidy(table, STATE_COLUMNS, (*KEY, "state"), f"{stage} states")
    return tidied.with_columns(pl.col("reason").fill_null("")).sort(*KEY)


def tidy_equity(table: pl.DataFrame) -> pl.DataFrame:
    """Bring equity curves to `EQUITY`, sorted by run and date, without undefined points."""
    tidied = tidy(table, EQUITY, ("record_id", "stamp", "equity"), "equity")
    return tidied.filter(pl.col("equity").is_not_null()).sort("record_id", "stamp")


def matching_equity(equity: pl.DataFrame, grades: pl.DataFrame, tolerance: float = 1e-6) -> pl.DataFrame:
    """Keep the curves that belong to the grades: their drawdown, from a start at 1, is the one graded.

    A curve left by another session's strategy has the same run but not the same drawdown, and is better not shown.
    """
    peak = pl.max_horizontal(pl.lit(1.0), pl.col("equity").cum_max().over("record_id"))
    falls = equity.select("record_id", fall=1 - pl.col("equity") / peak)
    deepest = falls.group_by("record_id").agg(pl.col("fall").max())
    graded = deepest.join(grades.select("record_id", "max_drawdown"), on="record_id")
    right = graded.filter((pl.col("fall") - pl.col("max_drawdown")).abs() <= tolerance)
    return equity.join(right, on="record_id", how="semi", maintain_order="left")


def best_first(grades: pl.DataFrame) -> pl.DataFrame:
    """Order runs by q-value, p-value and luck rate, then by Sharpe ratio.

    Unknown evidence comes after known, and whatever is flagged as too good to be true after all others.
    """
    flagged = pl.col("suspicious").is_not_null()
    descending = [False, *(c == "sharpe" for c in BEST_FIRST)]
    return grades.sort(flagged, *BEST_FIRST, descending=descending, nulls_last=True)


def groups(grades: pl.DataFrame, luck: Callable[[pl.DataFrame], Luck]) -> tuple[Group, ...]:
    """Measure each asset class and each model family that has runs, in their usual order."""
    found = []
    for kind, usual in (("asset_class", ASSET_CLASSES), ("family", FAMILIES)):
        names = set(grades[kind].drop_nulls().to_list()) if kind in grades.columns else set()
        for name in [n for n in usual if n in names] + sorted(names - set(usual)):
            part = grades.filter(pl.col(kind) == name)
            found.append(Group(kind, name, part.height, luck(part)))
    return tuple(found)
