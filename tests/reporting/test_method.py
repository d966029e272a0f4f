"""What the page says of how the instruments were chosen."""

import pytest

from src.reporting.method import chosen, limits
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
