"""What a report shows: the tables of one session, the thresholds of its grade, and its passes against luck."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import polars as pl

from src.config.schema import GradeConfig
from src.core.instruments import ASSET_CLASSES, Key
from src.evaluation.grade import GATE_METRICS
from src.evaluation.placebo import PlaceboEvidence
from src.hydration.quality import Quality, reason_rows
from src.models.registry import FAMILIES
from src.reporting.pooled_results import PooledResults
from src.reporting.schemas import EQUITY_SCHEMA
from src.reporting.sessions import SessionsCompared

STAGES = ("hydrate", "featurize", "train")
POOLED = "pooled"
"""Name of the pooled scope among the stages."""
STEPDOWN_LEVEL = 0.05
"""Family-wise error rate at which a run stands out of its session."""
STATES = ("done", "skipped", "quarantined", "failed")
CREDIBLE_Q = 0.10
"""q-value below which an instrument stands out."""
_CREDIBILITY = ["q_value", "p_value", "luck_rate", "sharpe", "asset_class", "symbol", "family"]


@dataclass(frozen=True)
class Threshold:
    """One threshold of the grade.

    Attributes
    ----------
    metric : str
        Its column in the grades table.
    name : str
        The metric's name on the page.
    limit : float
        The threshold.
    at_least : bool
        Whether a run passes at or above the limit; otherwise at or below it.
    """

    metric: str
    name: str
    limit: float
    at_least: bool

    def is_cleared(self) -> pl.Expr:
        """Compare the metric's column with the limit.

        Returns
        -------
        Expr
            True where a run clears the threshold; False where the metric is null.
        """
        value = pl.col(self.metric)
        return ((value >= self.limit) if self.at_least else (value <= self.limit)).fill_null(False)

    def clears(self, value: float | None) -> bool:
        """Compare one value with the limit.

        Parameters
        ----------
        value : float or None

        Returns
        -------
        bool
            False for None.
        """
        return value is not None and (value >= self.limit if self.at_least else value <= self.limit)


@dataclass(frozen=True)
class Luck:
    """Passes of a set of runs, and the passes that luck alone would give.

    Attributes
    ----------
    passes, instruments : int
        Runs that passed, and instruments with at least one.
    expected, low, high : float or None
        Lucky passes expected, and their 5 to 95% range; None if not computed.
    sentence : str
        The result as the evidence states it; empty if not computed.
    by_instrument : (float, float, float) or None
        Expectation and range of the instruments with at least one lucky pass.
    registrable : int
        Passes that may be registered.
    session_number : int or None
        Which session on these bars it is; None where it is not known.
    deflated, expected_deflated : int, float or None
        Passes with a credible deflated Sharpe ratio, and as many to expect of luck; None if not computed.
    """

    passes: int
    instruments: int
    expected: float | None
    low: float | None
    high: float | None
    sentence: str = ""
    by_instrument: tuple[float, float, float] | None = None
    registrable: int = 0
    session_number: int | None = None
    deflated: int = 0
    expected_deflated: float | None = None


@dataclass(frozen=True)
class Overfitting:
    """Probability of backtest overfitting over the instruments that were tried with several settings.

    Attributes
    ----------
    median, mean : float
        Over the instruments.
    instruments, total : int
        Instruments for which it was computed, and all that were tried with several settings.
    settings : float
        Median of the number of settings.
    """

    median: float
    mean: float
    instruments: int
    total: int
    settings: float


@dataclass(frozen=True)
class Group:
    """The runs of one model family or one asset class.

    Attributes
    ----------
    column : str
        ``asset_class`` or ``family``.
    name : str
        The value of the column.
    runs : int
        Number of graded runs.
    luck : Luck
        Their passes against luck.
    """

    column: str
    name: str
    runs: int
    luck: Luck

    @property
    def pass_rate(self) -> float | None:
        """Passes over runs; None without runs."""
        return self.luck.passes / self.runs if self.runs else None


@dataclass(frozen=True)
class ReportData:
    """Everything that one report shows.

    Attributes
    ----------
    dataset : str
        Its name.
    grades : DataFrame
        One row per run, in `schemas.GRADE_SCHEMA`.
    states : mapping of str to DataFrame
        The states table of each stage, in `schemas.STATE_SCHEMA`.
    luck : Luck
        Passes of all runs against luck.
    groups : tuple of Group
        The same by asset class and model family.
    thresholds : tuple of Threshold
        Of the grade.
    equity : DataFrame
        Net equity of the best runs, in `schemas.EQUITY_SCHEMA`.
    importance : DataFrame
        One row per feature (`src.reporting.loading.read_importance`).
    planted : frozenset of (asset_class, symbol), optional
        Instruments with a planted edge; None if the source plants none.
    simulated : bool
        Whether the bars are simulated.
    settings : mapping
        Values of the resolved configuration by dotted key.
    bar_facts : mapping of str to str
        Facts about the bars: source, basis, last date.
    overfitting : Overfitting, optional
        None where no instrument was tried with several settings.
    placebo : PlaceboEvidence, optional
        Runs on rotated features against luck; None if the session has none.
    quality : Quality, optional
        What hydration found of each instrument; None where there are no bars.
    around : mapping of (asset_class, symbol) to DataFrame
        Stored bars (date, close, repaired) around the gravest finding of the instruments to look at first.
    hydrate_command : str
        What to type to hydrate the dataset.
    research : str
        What is to be said of facts of research that features look at; empty where none does.
    drift : DataFrame
        Drift of features between training and test, in `src.reporting.drift.DRIFT`.
    sessions : SessionsCompared, optional
        This session beside the others; None where the session of the grades is not known.
    sheets : mapping of str to str
        Address of the tear sheet of a run, by ``record_id``, relative to the page; without those that have none.
    run_pages : mapping of str to str
        Address of a run in MLflow, by ``record_id``; without those that MLflow does not have.
    champion_runs : frozenset of str
        ``record_id`` of the runs whose version is champion.
    """

    dataset: str
    grades: pl.DataFrame
    states: Mapping[str, pl.DataFrame]
    luck: Luck
    groups: tuple[Group, ...]
    thresholds: tuple[Threshold, ...]
    equity: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=EQUITY_SCHEMA))
    importance: pl.DataFrame = field(default_factory=pl.DataFrame)
    planted: frozenset[tuple[str, str]] | None = None
    simulated: bool = False
    settings: Mapping[str, object] = field(default_factory=dict)
    bar_facts: Mapping[str, str] = field(default_factory=dict)
    overfitting: Overfitting | None = None
    placebo: PlaceboEvidence | None = None
    quality: Quality | None = None
    around: Mapping[Key, pl.DataFrame] = field(default_factory=dict)
    hydrate_command: str = ""
    pooled: PooledResults | None = None
    train_commands: Mapping[str, str] = field(default_factory=dict)
    research: str = ""
    drift: pl.DataFrame = field(default_factory=pl.DataFrame)
    sessions: SessionsCompared | None = None
    sheets: Mapping[str, str] = field(default_factory=dict)
    run_pages: Mapping[str, str] = field(default_factory=dict)
    champion_runs: frozenset[str] = frozenset()

    def reasons(self, stage: str) -> pl.DataFrame:
        """Reasons of a stage's states, one a row, as `src.storage.state_counts.reason_groups` takes them."""
        states = self.states[stage]
        return states if self.quality is None or stage != "hydrate" else reason_rows(states, self.quality.findings)

    @property
    def pooled_only(self) -> bool:
        """Whether pooled models alone were trained."""
        return self.pooled is not None and self.grades.is_empty() and "train" not in self.states

    @property
    def passing(self) -> pl.DataFrame:
        """Passing runs, the most credible first."""
        return most_credible_first(self.grades.filter("passed"))

    @property
    def stages(self) -> list[str]:
        """Stages with a states table, in the order in which they run."""
        return [s for s in (*STAGES, POOLED) if s in self.states] + sorted(set(self.states) - {*STAGES, POOLED})

    @property
    def universe_size(self) -> int:
        """Number of instruments in the universe: the largest states table."""
        return max((table.height for table in self.states.values()), default=0)


def thresholds(grade: GradeConfig) -> tuple[Threshold, ...]:
    """Give the thresholds of the grade, in the order of the gate's metrics.

    Parameters
    ----------
    grade : GradeConfig
        The configured limits.

    Returns
    -------
    tuple of Threshold
    """
    return tuple(
        Threshold(metric.name, metric.title, getattr(grade, metric.threshold), metric.at_least)
        for metric in GATE_METRICS
    )


def most_credible_first(grades: pl.DataFrame) -> pl.DataFrame:
    """Sort runs by q-value, p-value and luck rate, then by Sharpe ratio.

    Returns
    -------
    DataFrame
        Unknown evidence comes after known evidence, and flagged runs after all others.
    """
    flagged = pl.col("suspicious").is_not_null()
    descending = [False, *(c == "sharpe" for c in _CREDIBILITY)]
    return grades.sort(flagged, *_CREDIBILITY, descending=descending, nulls_last=True)


def groups(grades: pl.DataFrame, luck: Callable[[pl.DataFrame], Luck]) -> tuple[Group, ...]:
    """Group the runs by asset class and by model family.

    Parameters
    ----------
    grades : DataFrame
        In `schemas.GRADE_SCHEMA`.
    luck : callable
        Measures the runs of a group against luck.

    Returns
    -------
    tuple of Group
        Those that have runs: asset classes, then families, each in its usual order.
    """
    grouped = []
    for column, usual in (("asset_class", ASSET_CLASSES), ("family", FAMILIES)):
        names = set(grades[column].drop_nulls().to_list()) if column in grades.columns else set()
        for name in [n for n in usual if n in names] + sorted(names - set(usual)):
            runs = grades.filter(pl.col(column) == name)
            grouped.append(Group(column, name, runs.height, luck(runs)))
    return tuple(grouped)
