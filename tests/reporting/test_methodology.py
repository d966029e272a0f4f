"""What the page says of how the instruments were chosen."""

from dataclasses import replace

import polars as pl
import pytest

from src.reporting.methodology import chosen, limits, method, tuning
from tests.reporting.synthetic import material


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"universe.stock": 500, "universe.etf": 200, "universe.crypto": 20}, "500 of class stock, 200 of class etf"),
        ({"universe.stock": 500, "universe.symbols": ["AAPL"]}, "named by hand"),
        ({"universe.stock": None}, "all that the source lists"),
    ],
)
def test_the_choice_of_instruments_is_said(settings: dict[str, object], words: str) -> None:
    assert words in chosen(settings)
    assert words in limits(material(settings=settings))


def test_a_ranked_universe_says_before_which_date_it_was_ranked() -> None:
    assert "before the first possible out-of-sample date" in chosen({"universe.stock": 500})


def test_settings_that_were_tuned_say_among_how_many_trials() -> None:
    grades = material().grades
    assert tuning(grades) == ""
    assert "chosen by trials" not in method(material())
    stocks = (pl.col("family") == "xgboost") & (pl.col("asset_class") == "stock")
    tuned = replace(material(), grades=grades.with_columns(tuning_trials=pl.when(stocks).then(1_200)))
    words = "chosen by trials inside the first training window: xgboost for class stock among 1,200"
    assert tuning(tuned.grades).endswith(words)
    assert words in method(tuned)
