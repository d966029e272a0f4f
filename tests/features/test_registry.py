import functools
import textwrap
from types import SimpleNamespace

import numpy as np
import pytest

from src.config.schema import FeaturesConfig
from src.core import code_hash as code_hash_module
from src.core.code_hash import code_digest
from src.features import registry
from src.features.families import bias
from src.features.registry import Feature, FeatureError, code_hash, declared
from src.features.selection import select


def test_there_are_more_than_a_hundred_and_both_groups_are_there():
    groups = [item.group for item in declared().values()]
    assert groups.count("technical") >= 65
    assert groups.count("behavioral") >= 45


def test_a_windowed_declaration_ends_its_name_with_the_window():
    assert declared()["return_21"].bars == 21
    assert declared()["return_21"].window == 22


def test_nothing_named_selects_everything_without_a_price_scale():
    assert [item.name for item in select(FeaturesConfig())] == [
        item.name for item in declared().values() if item.scale == "none" and not item.intraday
    ]


def test_a_feature_of_price_scale_comes_by_name_only():
    assert "round_number_distance" not in {item.name for item in select(FeaturesConfig(families=["bias"]))}
    assert [item.name for item in select(FeaturesConfig(names=["round_number_distance"]))] == ["round_number_distance"]


def test_families_and_names_add_up_and_exclude_wins():
    chosen = select(FeaturesConfig(families=["calendar"], names=["rsi_14"], exclude=["month"]))
    assert {item.name for item in chosen} >= {"rsi_14", "day_of_week"}
    assert "month" not in {item.name for item in chosen}


@pytest.mark.parametrize(
    ("choice", "words"),
    [
        (FeaturesConfig(names=["rsi_15"]), "no feature is named 'rsi_15': did you mean rsi_14"),
        (FeaturesConfig(families=["trends"]), "no family is named 'trends': did you mean trend"),
        (FeaturesConfig(exclude=["zzzz"]), "docs/features.md lists them all"),
        (FeaturesConfig(families=["trend"], exclude=["trend"]), "leaves no feature"),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(choice, words):
    with pytest.raises(FeatureError, match=words):
        select(choice)


def test_a_name_declared_twice_is_refused():
    def rsi_14(close):
        return close

    with pytest.raises(FeatureError, match="rsi_14 is declared twice"):
        registry.feature("price", window=1, source="this test")(rsi_14)


def test_an_input_that_nothing_gives_is_refused():
    odd = Feature("odd", "price", lambda moon_phase: moon_phase, None, 1, "none", 0.0, "this test")
    with pytest.raises(FeatureError, match="input 'moon_phase' is no column"):
        registry.reach(odd)


def module(tmp_path, name, text):
    """A module of the project written for the test: the hash follows functions that live under `src.`."""
    path = tmp_path / f"{name}.py"
    path.write_text(textwrap.dedent(text), encoding="utf-8")
    space = {"__name__": f"src.{name}", "np": np, "__file__": str(path)}
    exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), space)
    return SimpleNamespace(**space)


PLAIN = """
    LIMIT = 3.0

    def helper(x):
        return x + 1

    def planted(close):
        return helper(close) * LIMIT
"""


def of(tmp_path, name, text):
    return code_digest(module(tmp_path, name, text).planted)


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("return x + 1", "return x + 1  # why", True),
        ("def helper(x):", 'def helper(x: float) -> float:\n        """Say more."""', True),
        ("return helper(close) * LIMIT", "return (helper(close)\n            * LIMIT)", True),
        ("return x + 1", "return x + 2", False),
        ("LIMIT = 3.0", "LIMIT = 4.0", False),
        ("return helper(close) * LIMIT", "return helper(close) / LIMIT", False),
    ],
)
def test_only_what_computes_changes_the_hash(tmp_path, old, new, same):
    changed = PLAIN.replace(old, new)
    assert changed != PLAIN
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    before, after = of(tmp_path / "a", "one", PLAIN), of(tmp_path / "b", "one", changed)
    assert (before == after) is same


def test_the_hash_of_a_feature_follows_its_ingredients_and_their_libraries():
    assert code_hash(declared()["return_5"]) != code_hash(declared()["return_21"])
    assert len({code_hash(item) for item in declared().values()}) == len(declared())


def test_the_hash_follows_the_release_of_talib(monkeypatch):
    before = {name: code_hash(item) for name, item in declared().items()}
    code_hash_module.forget()
    monkeypatch.setattr(code_hash_module, "version", lambda name: "another" if name == "TA-Lib" else "as before")
    changed = {name for name, item in declared().items() if code_hash(item) != before[name]}
    code_hash_module.forget()
    assert "rsi_14" in changed
    assert "return_5" not in changed


def test_the_hash_follows_a_cached_helper(monkeypatch):
    before = code_hash(declared()["prospect_value_63"])
    code_hash_module.forget()
    monkeypatch.setattr(bias, "_decision_weights", functools.cache(_other_weights))
    assert code_hash(declared()["prospect_value_63"]) != before
    code_hash_module.forget()


def _other_weights(n):
    return np.ones(n)


def test_a_changed_ingredient_changes_the_features_that_use_it_and_no_other(monkeypatch):
    before = {name: code_hash(item) for name, item in declared().items()}

    def direction(log_return):
        return np.sign(log_return)

    monkeypatch.setitem(registry._INGREDIENTS, "direction", direction)
    changed = {name for name, item in declared().items() if code_hash(item) != before[name]}
    assert {"obv_21", "streak_10", "fear_greed_21"} <= changed
    assert "rsi_14" not in changed
