"""A small simulated class of stocks whose pooled sessions are done in this process, and once by the real commands."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from src.config.compose import families
from src.config.schema import Config
from src.core.failure import Failure
from src.featurize import featurize
from src.market.bars import BarStore
from src.market.choices import settled
from src.storage.atomic import stale_temporaries
from src.training.pooled.fit_task import FitTask, FoldFit, fit_fold
from src.training.pooled.session import PooledSession
from src.training.pooled.settings import PooledSettings
from src.training.run_store import RunStore
from tests.composed_case import composed
from tests.pipeline_case import VOLATILE, Project

STOCKS = (
    "source.simulated.stock=16",
    "source.simulated.pooled_edge=0.1",
    "source.simulated.edge=0",
    "features.families=[]",
    "features.names=[rsi_14,return_5,volatility_21,volume_ratio_5_63]",
)
POOLED = (
    "experiment=pooled",
    "eligibility.min_names=8",
    "model.members=[lightgbm,ridge]",
    "split.fold_months=12",
    "split.until=2019-06-28",
    "grade.common_shifts=20",
    "tracking.enabled=false",
)
Scores = dict[tuple[str, str, str], float]
"""By day, symbol and family."""
Fit = Callable[[FitTask], FoldFit | Failure]


class Stocks(Project):
    """The small project with sixteen stocks, among which an edge is planted, two funds and a coin."""

    def arguments(self, verb: str, *overrides: str) -> list[str]:
        scope = POOLED if verb in ("train", "report") else ()
        return super().arguments(verb, *STOCKS, *scope, *overrides)

    def copy(self, to: Path) -> Stocks:
        shutil.copytree(self.root, to)
        return Stocks(to, self.code)

    @property
    def portfolios(self) -> Path:
        return self.root / "data" / "portfolios" / "demo"

    @property
    def bars(self) -> BarStore:
        return BarStore(self.root / "data" / "bars" / "demo")

    def config(self, *overrides: str, verb: str = "train") -> Config:
        """The configuration that a command with these words has; for all projects of a run composed once."""
        config = composed(*Stocks(Path("elsewhere"), self.code).arguments(verb, *overrides)[3:])
        data, tracking = config.data, config.tracking
        data.root, data.logs, data.reports = (str(self.root / name) for name in ("data", "logs", "reports"))
        tracking.uri = f"sqlite:///{self.database.as_posix()}"
        tracking.artifacts = str(self.root / "mlruns" / "artifacts")
        return settled(verb, config)

    def session(self, *overrides: str) -> PooledSession:
        config = self.config(*overrides)
        return PooledSession(PooledSettings.of(config, families(config)))

    def train(self, *overrides: str, fit: Fit = fit_fold) -> Done:
        """Train in this process, as the command does."""
        return done(self.session(*overrides), fit)

    def grades(self) -> pl.DataFrame:
        return pl.read_parquet(self.portfolios / "grades.parquet")

    def stable_grades(self) -> pl.DataFrame:
        return self.grades().drop(VOLATILE).sort("record_id")

    def states(self, stage: str = "pooled") -> pl.DataFrame:
        if stage != "pooled":
            return super().states(stage)
        return pl.read_parquet(self.portfolios / "states.parquet")

    def scores(self) -> dict[str, bytes]:
        """Content of every file of scores, by name."""
        root = self.portfolios / "scores"
        return {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(root.rglob("????-??-??.npy"))}

    def stored_fits(self) -> list[Path]:
        """Notes of the fits that are whole."""
        return sorted(self.portfolios.glob("scores/*/????-??-??.json"))

    def tables(self) -> dict[str, bytes]:
        """Content of every table and model of every run, by name."""
        found = [*self.portfolios.glob("*.[0-9]/*.parquet"), *self.portfolios.glob("models/*/*")]
        return {path.relative_to(self.portfolios).as_posix(): path.read_bytes() for path in sorted(found)}

    def change_bars(self, change: Callable[[pl.DataFrame], pl.DataFrame]) -> None:
        """Publish the bars of every bucket as a function of what they were, and the features of them."""
        for b in self.bars.buckets():
            publish(self.bars, b, change(self.bars.read_bucket(b)))
        featurize(self.config(verb="featurize"))


def publish(store: BarStore, b: int, bars: pl.DataFrame) -> None:
    """Store the bars of a bucket as hydration does; an instrument that it did not have is done."""
    states = store.ledger.states(b)
    known, done_stock = set(states["symbol"]), states.filter(asset_class="stock", state="done")[:1]
    new = [done_stock.with_columns(symbol=pl.lit(name)) for name in bars["symbol"].unique() if name not in known]
    digest = store.write_bucket(b, bars.sort("asset_class", "symbol", "date"))
    store.ledger.record(b, str(store.ledger.fact(b)), pl.concat([states, *new]), digest=digest)


@dataclass(frozen=True)
class Done:
    """A session that has ended.

    Attributes
    ----------
    session : PooledSession
    fits : list of str
        ``stock lightgbm 2018-07-01`` for every fit that was made.
    line : str
        Closing line.
    """

    session: PooledSession
    fits: list[str]
    line: str


def scored(session: PooledSession) -> Scores:
    """Do the fits of a session and return the scores of its run and of each family by itself."""
    (part,) = session.classes()
    for task in part.tasks():
        part.take(task, fit_fold(task))
    (plan,) = part.plans
    names = [fold.first.isoformat() for fold in part.folds]
    days, symbols = part.data.section.dates.astype("datetime64[D]"), part.data.section.symbols
    tables = {plan.family: part.run_scores(plan)}
    for family, key in plan.fits.items():
        tables[family] = part.scores.table(key, names, days, part.data.eligible)
    found: Scores = {}
    for family, table in tables.items():
        for t, j in zip(*np.nonzero(np.isfinite(table)), strict=True):
            found[str(days[t]), symbols[j], family] = float(table[t, j])
    return found


def done(session: PooledSession, fit: Fit = fit_fold) -> Done:
    """Do all of a session in this process."""
    fits: list[str] = []
    session.announce()
    for part in session.classes():
        for task in part.tasks():
            fits.append(f"{part.asset_class} {task.model.family} {task.fold}")
            part.take(task, fit(task))
        found = session.graded(part)
        for task in part.refits(session.lacks_model(found)):
            part.take(task, fit(task))
        session.close(part, found)
    evidence = session.finish()
    session.write_grades(evidence.grades, None)
    return Done(session, fits, session.sentence(evidence))


def differences(project: Stocks, whole: Stocks) -> list[str]:
    """What a disturbed session left otherwise than an undisturbed one; ids and timings aside."""
    runs = RunStore(project.portfolios).runs()
    checks = {
        "grades": project.stable_grades().equals(whole.stable_grades()),
        "states": project.states().equals(whole.states()),
        "scores": project.scores() == whole.scores(),
        "tables": project.tables() == whole.tables(),
        "run keys stored once": not runs["run_key"].is_duplicated().any(),
        "nothing pending": not list((project.portfolios / "pending").glob("*/*")),
        "no failure kept": not list((project.portfolios / "failures").glob("*.json")),
        "no temporary file": not stale_temporaries(project.portfolios),
    }
    return [name for name, right in checks.items() if not right]
