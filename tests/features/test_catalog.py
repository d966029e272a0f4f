import functools
import sys
import textwrap
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

from src.config.schema import FeaturesConfig
from src.core import code_hash as code_hash_module
from src.core.code_hash import code_digest
from src.core.project import ROOT
from src.features import catalog, facts, families, panel_members, registry
from src.features.catalog import code_hash, declared
from src.features.compute import compute
from src.features.families import bias
from src.features.reference import page
from src.features.registry import Feature, FeatureError
from src.features.selection import select
from tests.features.series import lively


def test_there_are_more_than_a_hundred_and_both_groups_are_there():
    groups = [item.group for item in declared().values()]
    assert groups.count("technical") >= 65
    assert groups.count("behavioral") >= 45


def test_a_windowed_declaration_ends_its_name_with_the_window():
    assert declared()["return_21"].bars == 21
    assert declared()["return_21"].window == 22


def test_nothing_named_selects_everything_on_bars_without_a_price_scale():
    on_bars = [item for item in declared().values() if item.group != "research"]
    assert [item.name for item in select(FeaturesConfig())] == [
        item.name for item in on_bars if item.scale == "none" and not item.intraday
    ]


def option(name: str) -> FeaturesConfig:
    return FeaturesConfig(**yaml.safe_load((ROOT / "conf" / "features" / f"{name}.yaml").read_text(encoding="utf-8")))


def test_the_option_with_research_adds_its_group_and_nothing_else():
    chosen = {name: [item.name for item in select(option(name))] for name in ("all", "all+research", "research")}
    assert chosen["all+research"] == chosen["all"] + chosen["research"]
    assert {declared()[name].group for name in chosen["research"]} == {"research"}


def test_features_on_bars_keep_their_code_whatever_research_adds():
    """Their keys are in every run: a kind of fact that is added, or another way to look it up, must change none."""
    before = {item.name: code_hash(item) for item in select(option("all+research"))}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalog, "facts_at", facts.latest)
        after = {item.name: code_hash(item) for item in select(option("all+research"))}
    changed = {name for name in before if after[name] != before[name]}
    assert changed == {item.name for item in select(option("research"))}


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
        catalog.reach(odd)


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

    monkeypatch.setitem(registry.INGREDIENTS, "direction", direction)
    changed = {name for name, item in declared().items() if code_hash(item) != before[name]}
    assert {"obv_21", "streak_10", "fear_greed_21"} <= changed
    assert "rsi_14" not in changed


ASTROLOGY = '''
    """A family of one feature."""

    from src.features.registry import family, feature
    from src.features.windows import Array

    FAMILY = family("astrology", group="behavioral", order=25)


    @feature(FAMILY, window=1, source="this test")
    def moon_age(day: Array) -> Array:
        """Days since new moon."""
        return (day - 5.76) % 29.530588
'''


@pytest.fixture
def astrology(tmp_path, monkeypatch):
    """A family that is one new file, beside the project's."""
    (tmp_path / "astrology.py").write_text(textwrap.dedent(ASTROLOGY), encoding="utf-8")
    declared()
    before = [dict(table) for table in (registry.FAMILIES, registry.FEATURES)]
    monkeypatch.setattr(families, "__path__", [*families.__path__, str(tmp_path)])
    catalog._import_families.cache_clear()
    yield
    sys.modules.pop("src.features.families.astrology", None)
    for table, kept in zip((registry.FAMILIES, registry.FEATURES), before, strict=True):
        table.clear()
        table.update(kept)
    monkeypatch.undo()
    catalog._import_families.cache_clear()


def test_a_family_is_one_file_its_columns_are_computed_and_documented(astrology):
    bars = lively(60)
    table = compute(bars, select(FeaturesConfig(families=["astrology"])))
    assert table.columns == ["asset_class", "symbol", "date", "moon_age"]
    assert table["moon_age"].is_between(0, 29.6).all()
    assert "## astrology (behavioral, 1)" in page()
    assert "| `moon_age` | Days since new moon. | 1 | this test |" in page()
    assert [*catalog.families()][1:4] == ["momentum", "astrology", "trend"]
    assert len(code_hash(declared()["moon_age"])) == 32


def test_every_file_of_families_declares_one_family_of_its_own_name():
    files = {path.stem for path in Path(families.__path__[0]).glob("[a-z]*.py")}
    assert {*catalog.families()} == files
    assert len({item.order for item in catalog.families().values()}) == len(files)


def test_two_families_of_one_name_are_refused():
    declared()
    with pytest.raises(FeatureError, match="family trend is declared twice"):
        registry.family("trend", group="technical", order=1)


def test_a_feature_of_a_family_that_no_file_declares_is_refused(monkeypatch):
    monkeypatch.setitem(registry.FEATURES, "odd", Feature("odd", "trends", len, None, 1, "none", 0.0, "this test"))
    with pytest.raises(FeatureError, match="no family is named 'trends': did you mean trend"):
        declared()


def test_the_hash_of_the_panels_standings_ignores_features_that_it_does_not_measure(monkeypatch):
    before = panel_members.standings_code()
    code_hash_module.forget()
    monkeypatch.setitem(registry.FEATURES, "odd", replace(declared()["rsi_14"], name="odd"))
    assert panel_members.standings_code() == before
    monkeypatch.setitem(registry.FEATURES, "return_21", replace(declared()["return_21"], window=23))
    assert panel_members.standings_code() != before
    code_hash_module.forget()
