"""Two sets of features in the pooled scope: portfolios are compared where the same settings traded both."""

from __future__ import annotations

import pytest

from src.config.schema import FeaturesConfig
from src.core.errors import ConfigError
from src.inspection.comparison import compare_portfolios
from src.storage import atomic
from tests.training.pooled.session_case import Stocks

FEWER = ("rsi_14", "return_5", "volatility_21")


def test_portfolios_of_two_sets_are_twins_where_the_same_settings_traded_them(project: Stocks) -> None:
    config = project.config()
    other = FeaturesConfig(name="fewer", families=[], names=list(FEWER))
    with pytest.raises(ConfigError, match="features=fewer was not trained"):
        compare_portfolios(config.paths, config.features, other, "1d")
    project.train(f"features.names=[{','.join(FEWER)}]")
    found = compare_portfolios(config.paths, config.features, other, "1d")
    assert found.pairs == project.grades().height and found.left_out == 0
    assert found.quarters["net_base"].null_count() < found.quarters.height
    for note in project.portfolios.glob("*/tables.json"):
        atomic.write_json({"grade_key": note.parent.name}, note)
    assert compare_portfolios(config.paths, config.features, other, "1d").left_out == found.pairs
