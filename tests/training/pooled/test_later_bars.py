"""What is learned later changes no earlier score: later bars, a split, a listing and a delisting."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from tests.training.pooled.session_case import Scores, Stocks, scored

DAY = "2018-12-31"
BEFORE = pl.col("date") <= pl.date(2018, 12, 31)
PRICES = ("open", "high", "low", "close")


def of(symbol: str) -> pl.Expr:
    return pl.col("symbol") == symbol


def without_later_bars(bars: pl.DataFrame) -> pl.DataFrame:
    return bars.filter(BEFORE)


def with_other_later_bars(bars: pl.DataFrame) -> pl.DataFrame:
    later = of("SIM01") & ~BEFORE
    prices = [pl.when(later).then(pl.col(name) * 1.5).otherwise(name).alias(name) for name in PRICES]
    return bars.with_columns(*prices, volume=pl.when(later).then(pl.col("volume") * 9).otherwise("volume"))


def with_a_later_split(bars: pl.DataFrame) -> pl.DataFrame:
    """Four new shares for one: all earlier prices are a quarter, and each was traded at four times that."""
    earlier = of("SIM02") & BEFORE
    prices = [pl.when(earlier).then(pl.col(name) / 4).otherwise(name).alias(name) for name in PRICES]
    more = [pl.when(earlier).then(pl.col(name) * 4).otherwise(name).alias(name) for name in ("volume", "split")]
    return bars.with_columns(*prices, *more)


def with_a_later_listing(bars: pl.DataFrame) -> pl.DataFrame:
    """A name that sorts before all others."""
    return pl.concat([bars, bars.filter(of("SIM03") & ~BEFORE).with_columns(symbol=pl.lit("AAA"))])


def with_a_delisting(bars: pl.DataFrame) -> pl.DataFrame:
    return bars.filter(~of("SIM05") | BEFORE)


def with_all_of_them(bars: pl.DataFrame) -> pl.DataFrame:
    return with_other_later_bars(with_a_later_split(with_a_later_listing(with_a_delisting(bars))))


@pytest.fixture(scope="module")
def whole(trained: Stocks) -> Scores:
    found = before(trained)
    assert max(found)[0] == DAY and len(found) > 20_000
    return found


def before(project: Stocks) -> Scores:
    """Scores up to the day, by another threshold than was graded by, so that the class is looked at."""
    return {key: score for key, score in scored(project.session("grade.min_auc=0.5")).items() if key[0] <= DAY}


@pytest.mark.parametrize("change", [without_later_bars, with_all_of_them])
def test_what_comes_later_changes_no_earlier_score(
    trained: Stocks, whole: Scores, tmp_path: Path, change: Callable[[pl.DataFrame], pl.DataFrame]
) -> None:
    project = trained.copy(tmp_path / "p")
    project.change_bars(change)
    assert before(project) == whole
    assert project.scores().keys() > trained.scores().keys()  # it was fitted again
