"""Books of a pooled champion: no skew against training, no look-ahead, and what is refused.

They stand here because they share the class of stocks that is trained once for this folder.
"""

from __future__ import annotations

import datetime as dt
import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from src.core.errors import StageError
from src.evaluation.pooled.live_weights import live_weights
from src.models.registry import pooled_family
from src.signals.days import BookDays
from src.signals.pooled_lines import class_data
from src.signals.pooled_model import PooledModel
from src.signals.pooled_scores import PooledScores
from src.signals.tables import LINES
from src.training.pooled.fit_task import fit_fold
from tests.training.pooled.live_case import champion, change_parts, dataset, lines, state_files
from tests.training.pooled.session_case import Stocks, publish

DAY = "2019-10-31"
SPLIT = ["close", "factor", "inputs_sha256"]
BEFORE = pl.col("date") <= pl.date(2019, 10, 31)


def of(symbol: str) -> pl.Expr:
    return pl.col("symbol") == symbol


def model_of(project: Stocks) -> PooledModel:
    return PooledModel.load(champion(project), dataset(project).paths)


# no skew ----------------------------------------------------------------------------------------------------------


def test_a_model_refitted_for_a_fold_gives_its_stored_scores_and_weights(trained: Stocks, tmp_path: Path) -> None:
    (part,) = trained.session("grade.min_auc=0.5").classes()
    fold, (plan,) = part.folds[1], part.plans
    tasks = {task.model.family: replace(task, train=fold.train) for task in part.refits(list(plan.fits))}
    members = {name: pooled_family(name).from_bytes(fit_fold(task).model) for name, task in tasks.items()}
    dates = part.data.section.dates.astype("datetime64[D]")
    before, last = dates[fold.score.start - 1].item(), dates[fold.score.stop - 1].item()
    model = replace(model_of(trained), members=members, last_graded=before, trained_until=before)
    data = class_data(model, BookDays(last, last), {})
    scores, made = PooledScores(model, data, tmp_path).up_to_now(fold.score.start)

    days = slice(part.folds[0].score.start, fold.score.stop)
    stored = part.run_scores(plan)[days]
    assert fold.score.stop - fold.score.start >= 250 and made.rows.size > 2_500
    assert data.section.symbols == part.data.section.symbols[: len(data.section.symbols)]
    assert np.array_equal(scores, stored, equal_nan=True)

    settings, weights_file = model.settings, trained.portfolios / champion(trained).record_id / "weights.parquet"
    weights = live_weights(
        scores, days.start, data.section, data.eligible, data.styles, settings.portfolio,
        settings.eligibility.delisting_return,
    )  # fmt: skip
    held = pl.read_parquet(weights_file).filter(pl.col("date") <= last)
    rows, columns = np.nonzero(weights.held[:-1])  # that the last orders are filled is not known yet
    found = pl.DataFrame(
        {
            "date": weights.prepared.dates[weights.prepared.trades][rows].astype("datetime64[D]"),
            "symbol": pl.Series(data.section.symbols).gather(weights.columns[columns]),
            "weight": weights.held[rows, columns],
        }
    )
    assert found.height > 1_000
    assert found.equals(held.filter(pl.col("date") <= found["date"].max()))


def test_the_first_book_goes_on_where_the_graded_portfolio_ends(trained: Stocks) -> None:
    stored = pl.read_parquet(trained.portfolios / champion(trained).record_id / "weights.parquet")
    before = lines(trained, "2019-07-01").filter(pl.col("before") != 0)
    graded = stored.filter(date=stored["date"].max()).select("symbol", "weight")
    assert before.select("symbol", weight=pl.col("before").cast(pl.Float32)).equals(graded)


# no look-ahead ----------------------------------------------------------------------------------------------------


def changed_later(bars: pl.DataFrame) -> pl.DataFrame:
    """After the day: other prices, a split, a name before all others, and one that leaves."""
    prices = ("open", "high", "low", "close")
    later, earlier = of("SIM01") & ~BEFORE, of("SIM02") & BEFORE
    moved = [
        pl.when(later)
        .then(pl.col(name) * 1.5)
        .otherwise(pl.when(earlier).then(pl.col(name) / 4).otherwise(name))
        .alias(name)
        for name in prices
    ]
    more = [pl.when(earlier).then(pl.col(name) * 4).otherwise(name).alias(name) for name in ("volume", "split")]
    bars = bars.filter(~of("SIM05") | BEFORE).with_columns(*moved, *more)
    return pl.concat([bars, bars.filter(of("SIM03") & ~BEFORE).with_columns(symbol=pl.lit("AAA"))])


def test_what_comes_later_changes_no_line(trained: Stocks, tmp_path: Path) -> None:
    other = trained.copy(tmp_path / "other")
    other.change_bars(changed_later)
    expected = lines(trained, DAY)
    assert expected.height >= 10 and set(expected["state"]) == {"said"}
    for last in ("2019-11-01", "2020-01-31"):
        later = lines(other, DAY, last).filter(book_date=dt.date.fromisoformat(DAY))
        assert later.drop(*SPLIT, "moved_by").equals(expected.drop(*SPLIT, "moved_by"))


def test_scores_that_were_kept_give_the_same_lines(project: Stocks) -> None:
    for path in state_files(project):
        path.unlink()
    days = ["2019-11-05", "2019-11-06"]
    daily = [lines(project, day) for day in days]
    graded, own = state_files(project)
    assert lines(project, days[-1]).equals(daily[-1])
    graded.write_bytes(b"PK")
    own.write_bytes(own.read_bytes()[:-200])
    whole = lines(project, "2019-07-01", days[-1]).filter(pl.col("book_date") >= pl.date(2019, 11, 5))
    assert pl.concat(daily).drop("moved_by").equals(whole.drop("moved_by"))


def test_a_name_that_is_no_longer_there_leaves_the_others_their_scores(project: Stocks) -> None:
    for path in state_files(project):
        path.unlink()
    path = dataset(project).paths.states("featurize")
    states = pl.read_parquet(path)
    state = pl.when(of("SIM07")).then(pl.lit("quarantined")).otherwise("state").alias("state")
    states.with_columns(state).write_parquet(path)
    found = lines(project, DAY)
    assert set(found["state"]) == {"said"} and "SIM07" not in found["symbol"]
    graded, _ = state_files(project)
    with np.load(graded) as kept:
        assert "SIM07" in kept["symbols"] and kept["values"].size > 8_000


def test_graded_scores_that_are_gone_are_refused(project: Stocks) -> None:
    for path in [*state_files(project), *project.portfolios.glob("scores/*/2016-07-01.npy")]:
        path.unlink()
    assert "graded days are gone" in refusal(lines(project, DAY))


def test_bars_that_start_after_the_first_graded_day_are_refused(trained: Stocks, tmp_path: Path) -> None:
    model = model_of(trained)
    data = class_data(model, BookDays(dt.date(2019, 7, 1), dt.date(2019, 7, 1)), {})
    earlier = replace(model, first_graded=dt.date(2013, 7, 1))
    with pytest.raises(StageError, match="bars of its first graded day, 2013-07-01, are gone"):
        PooledScores(earlier, data, tmp_path)


# what a book says -------------------------------------------------------------------------------------------------


def test_each_ranked_or_held_name_has_a_line(trained: Stocks) -> None:
    found = lines(trained, "2019-11-01", "2019-11-29")
    assert found.schema == LINES
    assert found["book_date"].n_unique() == 20
    assert not found.select("book_date", "symbol").is_duplicated().any()
    traded = found.filter(pl.col("position") != pl.col("before"))
    assert 3 <= traded["book_date"].n_unique() <= 4  # it trades every fifth session
    assert found.filter(pl.col("position") != 0).height > 200
    assert (found["cost"] - (found["position"] - found["before"]).abs() * found["cost_rate"]).abs().max() == 0
    assert (found["exposure"] * found["size"] - found["position"]).abs().max() == 0
    sums = found.group_by("book_date").agg(pl.col("score").mean(), pl.col("position").sum())
    assert sums["score"].to_list() == pytest.approx([0.5] * 20)
    assert sums["position"].abs().max() < 1e-6
    assert found["moved_by"].null_count() < found.height
    assert set(found.filter(pl.col("moved_by").is_not_null())["book_date"]) == {dt.date(2019, 11, 29)}
    assert found["sharpe"].unique().to_list() == [champion(trained).grade["sharpe"]]


def test_a_position_before_is_that_of_the_session_before(trained: Stocks) -> None:
    found = lines(trained, "2019-11-01", "2019-11-29")
    days = sorted(found["book_date"].unique())
    for day, following in itertools.pairwise(days):
        now = found.filter(pl.col("position") != 0, book_date=day).select("symbol", "position")
        then = found.filter(pl.col("before") != 0, book_date=following).select("symbol", position="before")
        assert now.equals(then)


def test_a_book_of_a_saturday_holds_the_decision_of_friday(trained: Stocks) -> None:
    friday, saturday = lines(trained, "2019-11-01"), lines(trained, "2019-11-02")
    assert set(saturday["book_date"]) == {dt.date(2019, 11, 2)}
    assert saturday.drop("book_date").equals(friday.drop("book_date"))
    assert set(saturday["trade_on"]) == {dt.date(2019, 11, 4)}


def test_champions_of_one_eligibility_share_a_cross_section_that_has_the_bars_of_both(trained: Stocks) -> None:
    model, made = model_of(trained), {}
    days = BookDays(dt.date(1900, 1, 1), dt.date(2019, 7, 5))
    later, first = replace(model, trained_until=dt.date(2019, 7, 2)), class_data(model, days, made)
    assert class_data(later, days, made) is first
    made = {}
    assert class_data(later, days, made) is not class_data(model, days, made)


# refusals ---------------------------------------------------------------------------------------------------------


def refusal(found: pl.DataFrame) -> str:
    (line,) = found.to_dicts()
    assert (line["symbol"], line["state"], line["asset_class"], line["position"]) == ("", "refused", "stock", None)
    return str(line["reason"]) + (" (holds)" if line["holds"] else "")


def test_a_champion_that_cannot_be_vouched_for_is_refused_whole(trained: Stocks) -> None:
    assert "no record other.0" in refusal(lines(trained, DAY, record_id="other.0"))
    assert "portfolio of other code or settings" in refusal(lines(trained, DAY, strategy_key="other"))
    assert "was changed since it was graded" in refusal(lines(trained, DAY, model_sha256="0" * 64))
    assert refusal(lines(trained, DAY, objections=("its AUC is below 0.52", "superseded"))) == (
        "its AUC is below 0.52; superseded"
    )


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"features": "other"}, "features are of other code"),
        ({"code": "other"}, "of other code than it was trained by"),
        ({"library": {"ridge": "scikit-learn 0.1"}}, "trained with scikit-learn 0.1"),
    ],
)
def test_other_code_than_it_was_trained_by_is_refused(project: Stocks, changes: dict[str, object], reason: str) -> None:
    change_parts(project, **changes)
    assert reason in refusal(lines(project, DAY))


def test_a_damaged_model_is_refused(project: Stocks) -> None:
    (path,) = project.portfolios.glob("models/*/pooled.zip")
    path.write_bytes(path.read_bytes()[:-50])
    assert "was changed since it was graded" in refusal(lines(project, DAY))
    path.unlink()
    assert "its model is gone" in refusal(lines(project, DAY))


def test_days_that_training_had_are_refused(trained: Stocks) -> None:
    assert "decides on bars after 2019-06-28" in refusal(lines(trained, "2019-06-28"))
    found = lines(trained, "1900-01-01", "2019-07-02")
    assert set(found["book_date"]) == {dt.date(2019, 7, 1), dt.date(2019, 7, 2)}


def test_bars_without_features_are_refused(project: Stocks) -> None:
    b = project.bars.buckets()[0]
    publish(project.bars, b, project.bars.read_bucket(b).filter(pl.col("date") < pl.date(2025, 12, 1)))
    assert "are not those of its bars" in refusal(lines(project, DAY))


@pytest.fixture(scope="module")
def gaps(trained: Stocks, tmp_path_factory: pytest.TempPathFactory) -> Stocks:
    """Bars up to 2019-12-31; one name leaves on 2019-10-01, and three have no bar of 2019-11-20."""
    project = trained.copy(tmp_path_factory.mktemp("pooled-gaps") / "p")
    left = of("SIM05") & (pl.col("date") > pl.date(2019, 10, 1))
    without = pl.col("symbol").is_in(["SIM01", "SIM02", "SIM03"]) & (pl.col("date") == pl.date(2019, 11, 20))
    project.change_bars(lambda bars: bars.filter(~left, ~without, pl.col("date") <= pl.date(2019, 12, 31)))
    return project


def test_bars_that_are_late_are_refused_and_the_portfolio_stays(gaps: Stocks) -> None:
    reason = "bars of stock end at 2019-12-31, 1 session before 2020-01-02: hydrate and featurize again (holds)"
    assert refusal(lines(gaps, "2020-01-02")) == reason
    found = lines(gaps, "2020-01-02", max_bar_age=1)
    assert set(found["bar_age"]) == {1} and set(found["state"]) == {"said"}


def test_a_day_without_the_bars_of_many_names_is_not_whole(gaps: Stocks) -> None:
    assert refusal(lines(gaps, "2019-11-20")) == (
        "3 of the 12 names ranked before have no bar of 2019-11-20: hydrate and featurize again (holds)"
    )


def test_a_name_that_stopped_trading_keeps_its_weight_until_its_delisting_is_known(gaps: Stocks) -> None:
    found = lines(gaps, "2019-09-30", "2019-10-31")
    own = found.filter(of("SIM05")).sort("book_date")
    stale = own.filter(state="refused")
    assert own["state"].to_list() == ["said"] * 2 + ["refused"] * stale.height + ["said"]
    assert stale["bar_age"].to_list() == list(range(1, stale.height + 1)) and 5 <= stale.height <= 10
    assert stale["holds"].all() and stale["score"].is_null().all()
    assert stale["reason"][0] == "its last bar is 1 session(s) old: it can't be ordered, and its weight stays"
    assert stale["position"].n_unique() == 1 and stale["position"].equals(stale["before"].rename("position"))
    assert own["position"][-1] == 0 != own["before"][-1]
    others = found.filter(~of("SIM05"), pl.col("position") != pl.col("before"))
    assert set(others["state"]) == {"said"} and len(set(others["book_date"]) & set(stale["book_date"])) >= 1
