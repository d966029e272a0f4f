"""Sheets of portfolios, computed from the scores and the days that training stored."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from src.config.commands import command
from src.core.errors import StageError
from src.evaluation import metrics
from src.evaluation.pooled.day_ranks import as_probabilities
from src.reporting.tear_sheets import sentences
from src.reporting.tear_sheets.calibration import CALIBRATION
from src.reporting.tear_sheets.contributions import POINTS, contribution_table
from src.reporting.tear_sheets.curves import BookedReturns
from src.reporting.tear_sheets.figures import sheet_figures
from src.reporting.tear_sheets.instrument_sheets import FOLDS, SheetIdentity, booked_tables
from src.reporting.tear_sheets.pooled_curves import information, score_groups
from src.reporting.tear_sheets.pooled_detail import PortfolioDetail, portfolio_detail
from src.reporting.tear_sheets.sheet import TearSheet
from src.storage import atomic
from src.training.pooled.regrading import PooledChoices, PooledRegrader
from src.training.pooled.score_store import ScoreStore
from src.training.run_store import RunStore

if TYPE_CHECKING:
    from src.config.paths import DatasetPaths
    from src.evaluation.pooled.graded_days import GradedDays

CLASSES = {"stock": "stocks", "etf": "ETFs", "crypto": "coins"}
_EXPOSURES = ("gross_exposure", "net_exposure", "names")


@dataclass(frozen=True)
class _StoredPortfolio:
    """What training stored of a portfolio: its days, the fits of its scores, and the importance of its features."""

    daily: pl.DataFrame
    fits: dict[str, str]
    features: list[str]
    gain: Any


class PortfolioSheets:
    """Computes sheets of the portfolios of one dataset.

    Parameters
    ----------
    paths : DatasetPaths
    """

    def __init__(self, paths: DatasetPaths) -> None:
        self._paths, self._store = paths, RunStore(paths.portfolios)
        self._regrader = PooledRegrader(paths, PooledChoices.of({}))

    def compute(self, identity: SheetIdentity) -> tuple[TearSheet, dict[str, float | None]]:
        """Compute the sheet of a portfolio.

        Parameters
        ----------
        identity : SheetIdentity

        Returns
        -------
        (TearSheet, dict)
            The sheet, and the figures of the gate as its scores give them.

        Raises
        ------
        StageError
            If its scores, its days or its bars are gone or are not those that were graded.
        """
        row = identity.grade
        stored, days = self._stored(row["record_id"]), self._regrader.graded_days(row)
        detail = portfolio_detail(days)
        if stored.daily.height != detail.net.size:
            raise StageError("its stored days are not those that its scores give")
        booked = _booked(stored.daily, detail, days.run.section.bars_per_year)
        tables = booked_tables(booked)
        tables["days"] = _with_exposures(tables["days"], stored.daily)
        groups = score_groups(self._paths, row["record_id"], row["first_oos"], row["last_oos"])
        sheet = TearSheet(
            **identity.attributes(),
            benchmark_name=f"equal weight of the day's {CLASSES[days.run.section.asset_class]}",
            figures=sheet_figures(row, booked, tables, pooled=True),
            **tables,
            folds=self._folds(days, detail, stored.fits),
            calibration=pl.DataFrame(schema=CALIBRATION),
            contributions=contribution_table(stored.features, stored.gain, None, None),
            contribution_points=pl.DataFrame(schema=POINTS),
            contribution_note="",
            luck=None,
            trades=detail.names,
            information=information(stored.daily),
            score_groups=groups,
            conventions=sentences.conventions(booked.bars_per_year, pooled=True),
        )
        return sheet, detail.figures

    def _stored(self, record_id: str) -> _StoredPortfolio:
        path = self._paths.portfolios / record_id / "daily.parquet"
        rows = self._store.runs(("parts", "features", "importance"), [record_id]).to_dicts()
        if not rows or not path.is_file():
            raise StageError("its record or its days are gone")
        with atomic.read_errors(path, f"run `{command('train', 'scope=pooled')}`, which writes it again"):
            daily = pl.read_parquet(path, glob=False)
        names = json.loads(rows[0]["features"] or "[]")
        gain = np.array(rows[0]["importance"] or [0.0] * len(names), dtype=np.float64)
        return _StoredPortfolio(daily, json.loads(rows[0]["parts"])["fits"], names, gain)

    def _folds(self, days: GradedDays, detail: PortfolioDetail, fits: dict[str, str]) -> pl.DataFrame:
        """Grade the days of each fold by themselves."""
        scores, key = ScoreStore(self._paths.portfolios), next(iter(fits.values()))
        names = scores.folds(key)
        dates, rows = days.run.section.dates[days.run.days], []
        edges = [*np.searchsorted(dates, np.array(names, dtype="datetime64[D]")).tolist(), len(dates)]
        for fold, (name, start, end) in enumerate(zip(names, edges[:-1], edges[1:], strict=True)):
            if start == end:
                continue
            at, net = slice(start, end), detail.net[start:end]
            both = days.labelled[at] & days.scored[at]
            label, score = days.up[at][both].astype(np.float64), as_probabilities(days.codes[at][both])
            note = scores.stored(key, name)
            rows.append((
                fold, dates[start].item(), dates[end - 1].item(), end - start, note.n_train if note else None,
                metrics.auc(label, score), metrics.accuracy(label, score),
                metrics.sharpe(net, days.run.section.bars_per_year), metrics.max_drawdown(net),
                float(metrics.equity(net)[-1]) - 1.0,
            ))  # fmt: skip
        return pl.DataFrame(rows, schema=FOLDS, orient="row")


def _booked(daily: pl.DataFrame, detail: PortfolioDetail, bars_per_year: float) -> BookedReturns:
    values = {name: daily[name].cast(pl.Float64).to_numpy() for name in ("gross", "cost", "borrow", "turnover")}
    return BookedReturns(
        begin=daily["date"][0],
        stamps=detail.stamps,
        net=detail.net,
        gross=values["gross"],
        cost=values["cost"] + values["borrow"],
        turnover=values["turnover"],
        position=daily["net_exposure"].cast(pl.Float64).to_numpy(),
        bars_per_year=bars_per_year,
        benchmark=detail.market,
    )


def _with_exposures(days: pl.DataFrame, daily: pl.DataFrame) -> pl.DataFrame:
    return days.with_columns(daily[name] for name in _EXPOSURES)
