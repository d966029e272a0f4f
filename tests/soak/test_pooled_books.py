"""Books of pooled champions of every kind: each portfolio, label, objective and member that can be configured."""

from __future__ import annotations

import datetime as dt
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from src.evaluation.pooled.live_weights import live_weights
from src.featurize import featurize
from src.hydrate import hydrate
from src.market.calendar import sessions
from src.signals.days import BookDays
from src.signals.pooled_lines import class_data
from src.signals.pooled_model import PooledModel
from src.signals.pooled_scores import PooledScores
from tests.training.pooled.live_case import champion, dataset, lines, state_files
from tests.training.pooled.session_case import Stocks, publish

WHATEVER_THE_GRADE = ("grade.min_auc=0", "grade.min_accuracy=0", "grade.min_sharpe=-10", "grade.max_drawdown=1")
SINGLE = "model.members=[]"
CASES = {
    "the best against the mean, one family, classes": ("portfolio=long_excess", "model=ridge", SINGLE, "label=beta_20"),
    "quintiles by XGBoost": ("portfolio=quantiles", "model=xgboost", SINGLE, "label=relative_5", "scope.train_every=1"),
    "daily trades of CatBoost": ("portfolio.trade_every=1", "portfolio.smoothing=3", "model=catboost", SINGLE),
    "three families, a band": ("portfolio.band=0.3", "model.members=[catboost,ridge,xgboost]"),
}
CLASSES = "scope.objective=classification"


@pytest.fixture(scope="module")
def featurized(tmp_path_factory: pytest.TempPathFactory) -> Stocks:
    project = Stocks(tmp_path_factory.mktemp("books") / "p")
    hydrate(project.config(verb="hydrate"))
    featurize(project.config(verb="featurize"))
    return project


@pytest.mark.parametrize("objective", ["scope.objective=regression", CLASSES])
@pytest.mark.parametrize("words", CASES.values(), ids=CASES)
def test_a_book_continues_the_graded_portfolio(
    featurized: Stocks, words: tuple[str, ...], objective: str, tmp_path: Path
) -> None:
    project = featurized.copy(tmp_path / "p")
    shutil.rmtree(project.portfolios, ignore_errors=True)
    project.train(*words, objective, *WHATEVER_THE_GRADE)
    model = PooledModel.load(champion(project), dataset(project).paths)
    last = dt.date(2019, 12, 31)
    data = class_data(model, BookDays(last, last), {})
    scores = PooledScores(model, data, tmp_path / "state")
    table, _ = scores.up_to_now(len(data.section.dates) - 1)
    settings = model.settings
    weights = live_weights(
        table, scores.first, data.section, data.eligible, data.styles, settings.portfolio,
        settings.eligibility.delisting_return,
    )  # fmt: skip
    stored = pl.read_parquet(project.portfolios / champion(project).record_id / "weights.parquet")
    rows, columns = np.nonzero(weights.held)
    found = pl.DataFrame(
        {
            "date": weights.prepared.dates[weights.prepared.trades][rows].astype("datetime64[D]"),
            "symbol": pl.Series(data.section.symbols).gather(weights.columns[columns]),
            "weight": weights.held[rows, columns],
        }
    )
    assert stored.height > 500
    assert found.filter(pl.col("date") <= stored["date"].max()).equals(stored)
    daily = pl.concat([lines(project, day) for day in ("2019-12-30", "2019-12-31")])
    whole = lines(project, "2019-11-01", "2019-12-31").filter(pl.col("book_date") >= pl.date(2019, 12, 30))
    assert set(whole["state"]) == {"said"} and whole.filter(pl.col("position") != 0).height >= 10
    assert daily.drop("moved_by").equals(whole.drop("moved_by"))


def of_the_world(bars: pl.DataFrame, today: dt.date) -> pl.DataFrame:
    """What files state on a day: a split on 2019-10-10, a dividend on the 15th, a delisting and a listing before."""
    symbol, date = pl.col("symbol"), pl.col("date")
    split = (symbol == "SIM02") & (date < pl.date(2019, 10, 10)) & pl.lit(today >= dt.date(2019, 10, 10))
    paid = (symbol == "SIM03") & (date >= pl.date(2019, 10, 15))
    bars = bars.filter(date <= today, ~((symbol == "SIM05") & (date > pl.date(2019, 10, 4))))
    bars = bars.with_columns(
        *(
            pl.when(split).then(pl.col(name) / 4).otherwise(name).alias(name)
            for name in ("open", "high", "low", "close")
        ),
        *(pl.when(split).then(pl.col(name) * 4).otherwise(name).alias(name) for name in ("volume", "split")),
        pl.when(paid).then(pl.col("factor") * 1.02).otherwise("factor").alias("factor"),
    )
    listed = bars.filter(symbol == "SIM04", date >= pl.date(2018, 9, 26)).with_columns(symbol=pl.lit("AAA"))
    return pl.concat([bars, listed])


def test_books_day_by_day_are_those_of_the_whole(featurized: Stocks, tmp_path: Path) -> None:
    """A universe that grows by a day at a time says on each day what its last state gives for that day."""
    project = featurized.copy(tmp_path / "p")
    project.train()
    whole = {b: project.bars.read_bucket(b) for b in project.bars.buckets()}
    days = sessions("stock", "2019-10-01", "2019-10-25").tolist()
    daily = []
    for day in days:
        for b, bars in whole.items():
            publish(project.bars, b, of_the_world(bars, day))
        featurize(project.config(verb="featurize"))
        daily.append(lines(project, day.isoformat()))
    restated = ["close", "factor", "inputs_sha256", "moved_by"]
    said = pl.concat(daily).drop(restated)
    assert "AAA" in said["symbol"] and said.filter(state="refused")["symbol"].unique().to_list() == ["SIM05"]
    assert lines(project, "2019-10-01", "2019-10-25").drop(restated).equals(said)
    for path in state_files(project):
        path.unlink()
    assert lines(project, "2019-10-01", "2019-10-25").drop(restated).equals(said)
