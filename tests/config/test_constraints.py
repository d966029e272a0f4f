"""Every setting has its rule, and every rule has one clear sentence."""

from __future__ import annotations

import copy
import dataclasses
import typing
from collections.abc import Iterator
from typing import Any

import pytest

from src.config.compose import compose
from src.config.constraints import check, values
from src.config.schema import Config, ModelConfig
from src.core.errors import ConfigError
from src.core.field_rules import CalendarDate, Choice, Pattern, Range, constraint_of, remedy_of
from src.models.registry import PARAMS


def config(family: str = "lightgbm") -> Config:
    """The defaults of the schema with one family chosen."""
    return Config(model=ModelConfig(family=family, params=PARAMS[family]()))


def put(whole: Config, key: str, value: Any) -> Config:
    """`whole` with one dotted key changed."""
    changed = copy.deepcopy(whole)
    *parents, name = key.split(".")
    part: Any = changed
    for parent in parents:
        part = part[parent] if isinstance(part, dict) else getattr(part, parent)
    if isinstance(part, dict):
        part[name] = value
    else:
        setattr(part, name, value)
    return changed


def declared() -> dict[str, tuple[Any, dataclasses.Field[Any]]]:
    """Type and declaration of every setting of every section and of every family, by key."""
    return dict(_fields(Config)) | {
        f"{family} {key}": found for family in PARAMS for key, found in _fields(PARAMS[family], "model.params.")
    }


def _fields(section: type, prefix: str = "") -> Iterator[tuple[str, tuple[Any, dataclasses.Field[Any]]]]:
    hints = typing.get_type_hints(section)
    for field in dataclasses.fields(section):
        if dataclasses.is_dataclass(hints[field.name]):
            yield from _fields(hints[field.name], f"{prefix}{field.name}.")
        else:
            yield f"{prefix}{field.name}", (hints[field.name], field)


def holds_numbers(hint: Any) -> bool:
    """Whether a type is a number, an optional number or a mapping of numbers."""
    return hint in (int, float) or any(map(holds_numbers, typing.get_args(hint)))


def constrained(kind: type) -> list[Any]:
    """Settings with a constraint of that kind: what to make a configuration of, the key, the constraint, a remedy."""
    found = []
    for name, (_, field) in declared().items():
        constraint = constraint_of(field)
        if isinstance(constraint, kind):
            family, _, key = name.rpartition(" ")
            made = config(family or "lightgbm")
            keys = [each for each in dict(values(made)) if each == key or each.startswith(f"{key}.")]
            found += [pytest.param(made, each, constraint, remedy_of(field), id=f"{family} {each}") for each in keys]
    return found


def refusal(made: Config) -> str:
    with pytest.raises(ConfigError) as caught:
        check(made)
    return str(caught.value)


def test_the_defaults_of_the_schema_are_within_every_rule() -> None:
    for family in PARAMS:
        check(config(family))
    check(Config(model=ModelConfig(family="all", members=list(PARAMS))))


def test_every_number_has_a_range_and_every_range_a_number() -> None:
    numbers = {key for key, (hint, _) in declared().items() if holds_numbers(hint)}
    assert numbers == {key for key, (_, field) in declared().items() if isinstance(constraint_of(field), Range)}
    assert len(numbers) > 90


@pytest.mark.parametrize(("made", "key", "allowed", "remedy"), constrained(Range))
def test_a_number_out_of_range_is_refused_with_key_rule_value_and_remedy(
    made: Config, key: str, allowed: Range, remedy: str
) -> None:
    if dict(values(made))[key] == {}:
        key = f"{key}.yahoo"
    check(put(made, key, allowed.high if key != "grade.min_oos" else 1000))
    below, above = (allowed.low if allowed.above else allowed.low - 1), allowed.high + 1
    for value in (below, above, float("nan"), float("inf")):
        message = refusal(put(made, key, value))
        assert message.startswith(f"{key} must be {allowed}, got {value!r}: ")
        assert message.endswith(remedy or ("is the usual value", "leave it out"))


@pytest.mark.parametrize(("made", "key", "allowed", "remedy"), constrained(Choice))
def test_a_choice_that_does_not_exist_is_refused_and_the_choices_are_named(
    made: Config, key: str, allowed: Choice, remedy: str
) -> None:
    rule = f"{key} must be one of {', '.join(allowed.options)}, got 'nothing such': "
    assert refusal(put(made, key, "nothing such")).startswith(rule)


@pytest.mark.parametrize("value", ["2024-02-30", "20240102", "yesterday", ""])
@pytest.mark.parametrize(("made", "key", "allowed", "remedy"), constrained(CalendarDate))
def test_text_that_is_not_a_date_is_refused(
    made: Config, key: str, allowed: CalendarDate, remedy: str, value: str
) -> None:
    assert refusal(put(made, key, value)).startswith(f"{key} must be a date YYYY-MM-DD, got '{value}'")


@pytest.mark.parametrize("value", ["", "con", "LPT1", "a/b", "a b", "..", "x" * 65, "-x"])
@pytest.mark.parametrize(("made", "key", "allowed", "remedy"), constrained(Pattern))
def test_a_name_that_some_system_can_not_store_is_refused(
    made: Config, key: str, allowed: Pattern, remedy: str, value: str
) -> None:
    assert refusal(put(made, key, value)).startswith(f"{key} must be {allowed}, got '{value}': ")


def test_a_rate_of_requests_is_checked_for_each_provider() -> None:
    message = refusal(put(config(), "source.live.rates", {"yahoo": 0.5, "kraken": 0.0}))
    assert message == (
        "source.live.rates.kraken must be above 0 and at most 10,000 requests a second, got 0.0: 0.5 for yahoo and 5 "
        "for an exchange are usual"
    )


@pytest.mark.parametrize("value", ["1d", "5m", "60m", "1h", "1wk", "1mo"])
def test_usual_intervals_are_accepted(value: str) -> None:
    check(put(config(), "universe.interval", value))


def test_an_interval_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ConfigError, match="universe.interval must be a number and m, h, d, wk or mo, got 'daily'"):
        check(put(config(), "universe.interval", "daily"))


def test_promotion_can_not_demand_fewer_bars_than_registration() -> None:
    with pytest.raises(ConfigError) as caught:
        check(put(config(), "grade.min_oos_promote", 400))
    assert str(caught.value) == (
        "grade.min_oos_promote must be at least grade.min_oos=500, got 400: raise grade.min_oos_promote"
    )


def test_long_and_short_must_not_overlap() -> None:
    short = put(config(), "strategy.short", True)
    check(put(short, "strategy.threshold", 0.55))
    with pytest.raises(ConfigError, match=r"strategy.threshold must be at least 0.5 where strategy.short=true"):
        check(put(short, "strategy.threshold", 0.45))


def test_costs_name_each_asset_class_and_nothing_else() -> None:
    with pytest.raises(ConfigError, match="strategy.cost_bps must name stock, etf, crypto and nothing else, got stock"):
        check(put(config(), "strategy.cost_bps", {"stock": 5.0}))
    with pytest.raises(ConfigError, match="got stock, etf, crypto, bonds"):
        check(put(config(), "strategy.cost_bps.bonds", 3.0))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"address": "auto"}, "engine.address is for engine=ray, got auto: add engine=ray"),
        ({"data": "s3://b/p"}, "engine.data is for engine=ray, got s3://b/p: add engine=ray"),
        ({"kind": "ray", "address": "foo"}, "engine.address must be auto, host:port or ray://host:port, got foo: 10.0"),
        ({"kind": "ray", "address": "auto", "workers": 2}, "engine.workers is for a cluster that this command starts"),
        ({"kind": "ray", "memory_gib": 2.0}, "engine.memory_gib is for engine=local, got 2.0: leave it out"),
    ],
)
def test_what_an_engine_would_pass_over_is_refused(settings: dict[str, Any], words: str) -> None:
    made = config()
    for name, value in settings.items():
        made = put(made, f"engine.{name}", value)
    with pytest.raises(ConfigError) as caught:
        check(made)
    assert str(caught.value).startswith(words)


def test_symbols_and_a_file_can_not_both_choose() -> None:
    both = put(put(config(), "universe.symbols", ["AAPL"]), "universe.file", "watchlist.csv")
    with pytest.raises(ConfigError, match=r"universe.symbols and universe.file=watchlist.csv can't both choose"):
        check(both)


def test_members_belong_to_all_and_are_names_of_files() -> None:
    for family, members in (("all", []), ("lightgbm", ["xgboost"]), ("all", ["no file"])):
        made = put(put(config(), "model.family", family), "model.members", members)
        with pytest.raises(ConfigError, match="model.members must name files"):
            check(made)


def test_settings_of_one_family_are_refused_for_another() -> None:
    with pytest.raises(ConfigError, match="model.params must be the settings of xgboost, got LightGBMParams"):
        check(put(config(), "model.family", "xgboost"))


def test_a_range_includes_its_ends_unless_it_says_above() -> None:
    assert 0 in Range(0, 1)
    assert 1 in Range(0, 1)
    assert 0 not in Range(0, 1, above=True)
    assert not Range(0, 1).__contains__(float("nan"))
    assert str(Range(0, 1, above=True)) == "above 0 and at most 1"


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("extra", [{"length": 10}], "must name one indicator of pandas_ta or talib in each entry"),
        ("extra", [{"pandas_ta": "rsi", "talib": "RSI"}], "must name one indicator"),
        ("extra", [{"talib": 7}], "must name one indicator"),
        ("extra", [{"talib": "SMA", "scale": "price"}], "takes scale: close alone, got scale: price"),
        ("extra", [{"talib": "SMA", "columns": "real"}], "takes columns as a list"),
        ("files", ["mine.yaml"], "must name Python files, got mine.yaml"),
    ],
)
def test_an_entry_of_ones_own_features_that_is_no_entry_is_refused(key: str, value: list[Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        check(put(config(), f"features.{key}", value))


@pytest.mark.parametrize("override", ["++label.params.api_key=x", "features.extra=[{talib: CCI, token: x}]"])
def test_a_secret_among_settings_that_every_run_shows_is_refused(override: str) -> None:
    with pytest.raises(ConfigError, match="must hold no secret, .* read it from an environment variable"):
        compose([override])


def test_what_is_held_against_the_plain_mean_is_not_hedged_by_beta() -> None:
    message = refusal(put(config(), "portfolio.kind", "long_excess"))
    assert message.startswith("portfolio.beta_hedged is for portfolio=neutral and portfolio=quantiles")
    assert not compose(["portfolio=long_excess"]).portfolio.beta_hedged
