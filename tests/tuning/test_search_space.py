"""What is proposed: within bounds, the default settings among it, and never more costly than allowed."""

from __future__ import annotations

import random
from dataclasses import asdict
from typing import Any

import pytest

from src.config.constraints import check
from src.config.schema import Config, ModelConfig
from src.models.registry import FAMILIES, PARAMS, family
from src.models.search_space import Bounds
from src.tuning.search_space import proposal


class Chance:
    """Proposes at random, or always what it was made with."""

    def __init__(self, seed: int, fixed: dict[str, Any] | None = None) -> None:
        self.random, self.fixed = random.Random(seed), fixed or {}

    def suggest_int(self, name: str, low: int, high: int, *, log: bool = False) -> int:
        assert 1 <= low < high, log
        return self.fixed.get(name, self.random.randint(low, high))

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        assert low >= 0.0 and low < high and (low > 0.0 or not log)
        return self.fixed.get(name, self.random.uniform(low, high))


@pytest.mark.parametrize("name", FAMILIES)
def test_every_proposal_keeps_the_rules_and_the_limit_on_cost(name: str) -> None:
    library = family(name)
    defaults = asdict(PARAMS[name]())
    assert set(library.SPACE) <= set(defaults)
    for seed in range(200):
        chosen = proposal(Chance(seed), name, defaults, 2.0)
        check(Config(model=ModelConfig(name, params=PARAMS[name](**chosen))))
        assert library.cost(chosen) <= 2.0 * library.cost(defaults) * (1 + 1e-9)
        assert all(value == float(f"{value:.4g}") for value in chosen.values()), "as a file can say it"
    assert proposal(Chance(1, defaults), name, defaults, 0.1) == defaults, "the default settings are always tried"


@pytest.mark.parametrize("name", [name for name in FAMILIES if "rounds" in family(name).SPACE])
def test_a_dear_proposal_of_many_rounds_is_cut_to_the_limit(name: str) -> None:
    defaults = asdict(PARAMS[name]())
    dear = proposal(Chance(1, {**defaults, "rounds": 150}), name, defaults, 1.5)
    assert defaults["rounds"] < dear["rounds"] < 150


def test_the_families_of_trees_have_rounds() -> None:
    assert {name for name in FAMILIES if "rounds" not in family(name).SPACE} == {"ridge"}


@pytest.mark.parametrize("name", FAMILIES)
def test_default_settings_beyond_a_bound_belong_to_the_space(name: str) -> None:
    beyond = {"rounds": 400, "l2": 0.0}
    defaults = asdict(PARAMS[name]())
    defaults |= {key: value for key, value in beyond.items() if key in defaults}
    assert proposal(Chance(1, defaults), name, defaults, 1.0) == defaults


def test_a_family_without_rounds_tries_the_default_settings_where_others_cost_too_much(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(family("xgboost"), "SPACE", {"l2": Bounds(1.0, 2.0)})
    monkeypatch.setattr(family("xgboost"), "cost", lambda params: params["l2"])
    assert proposal(Chance(1, {"l2": 1.2}), "xgboost", {"l2": 1.0}, 1.5) == {"l2": 1.2}
    assert proposal(Chance(1, {"l2": 1.8}), "xgboost", {"l2": 1.0}, 1.5) == {"l2": 1.0}
