"""What the settings of the pooled scope refuse."""

import pytest

from src.config.schema import FeaturesConfig
from src.core.errors import ConfigError
from src.features.selection import select
from src.training.pooled.settings import refuse_price_scale


def scaled(**choice: list[str]) -> list[str]:
    return [item.name for item in select(FeaturesConfig(**choice)) if item.scale == "price"]


def test_features_of_a_price_scale_are_refused_and_none_is_chosen_unless_it_is_named():
    refuse_price_scale(scaled())
    with pytest.raises(ConfigError, match="must not depend on the level of prices, got round_number_distance"):
        refuse_price_scale(scaled(names=["rsi_14", "round_number_distance"]))
