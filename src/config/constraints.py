"""Check a configuration: the constraints that the schema's fields carry, and the rules between settings.

One sentence serves every rule: the key, the rule, the value, the remedy. `check` is called once, before any work.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, NamedTuple

from src.config.schema import (
    INDICATOR_LIBRARIES,
    Config,
    EngineConfig,
    FeaturesConfig,
    GradeConfig,
    ModelConfig,
    StrategyConfig,
    UniverseConfig,
)
from src.core.address import is_cluster_address
from src.core.errors import ConfigError
from src.core.field_rules import FILE_NAME, Constraint, constraint_of, remedy_of, sounds_secret
from src.core.instruments import ASSET_CLASSES
from src.models.registry import FAMILIES, PARAMS, POOLED

SEVERAL = ("all", "ensemble")
"""Values of model.family that stand for several families, the members."""


@dataclass(frozen=True)
class Setting:
    """One value of a configuration.

    Attributes
    ----------
    key : str
        Dotted key, as on the command line.
    value : object
        A value, not a section; None where nothing is chosen.
    constraint : Constraint or None
        Allowed values, as the field declares them.
    remedy : str
        What the field suggests for a value that is not allowed, instead of the default.
    """

    key: str
    value: Any
    constraint: Constraint | None = None
    remedy: str = ""


class Rule(NamedTuple):
    """A rule between settings.

    Attributes
    ----------
    key : str
        Setting that is refused where the rule does not hold.
    holds : bool
    rule : str
        The rule with the values, to follow the key.
    remedy : str
    """

    key: str
    holds: bool
    rule: str
    remedy: str


def settings(section: Any, prefix: str = "") -> Iterator[Setting]:
    """Yield each setting of a configuration or of a section; the entries of a mapping count as settings.

    Parameters
    ----------
    section : dataclass instance
        A configuration, or a section of one.
    prefix : str
        What to put before the keys, such as ``model.params.``.

    Yields
    ------
    Setting
        In the order of the schema.
    """
    for field in fields(section):
        found = Setting(f"{prefix}{field.name}", getattr(section, field.name), constraint_of(field), remedy_of(field))
        yield from _below(found)


def _below(found: Setting) -> Iterator[Setting]:
    """Yield a setting, or the settings that a section or a mapping holds, to which the mapping's constraint applies."""
    if is_dataclass(found.value):
        yield from settings(found.value, f"{found.key}.")
    elif isinstance(found.value, dict) and found.value:
        for name, value in found.value.items():
            yield from _below(Setting(f"{found.key}.{name}", value, found.constraint, found.remedy))
    else:
        yield found


def values(section: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each setting of a configuration or of a section as a pair.

    Parameters
    ----------
    section : dataclass instance
        A configuration, or a section of one.
    prefix : str
        What to put before the keys.

    Yields
    ------
    (str, object)
        Dotted key and value, in the order of the schema.
    """
    return ((setting.key, setting.value) for setting in settings(section, prefix))


def check(config: Config) -> None:
    """Check the constraints of all settings and the rules between them, before any work.

    Parameters
    ----------
    config : Config
        The whole configuration, since rules hold between its sections.

    Raises
    ------
    ConfigError
        For the first setting that breaks its rule: key, rule, value, remedy.
    """
    for setting in settings(config):
        if setting.constraint is None or setting.value is None or setting.value == {}:
            continue
        if setting.value not in setting.constraint:
            remedy = setting.remedy or _usual(setting.key)
            raise ConfigError(f"{setting.key} must be {setting.constraint}, got {setting.value!r}: {remedy}")
    for rule in _rules(config):
        if not rule.holds:
            raise ConfigError(f"{rule.key} {rule.rule}: {rule.remedy}")


def _usual(key: str) -> str:
    """Suggest the default of a key, where the schema has one."""
    usual = dict(values(Config())).get(key)
    for params in PARAMS.values():
        usual = dict(values(params(), "model.params.")).get(key, usual)
    return f"{key}={usual} is the usual value" if usual not in (None, "???") else "leave it out"


def _rules(config: Config) -> Iterator[Rule]:
    yield from _grade(config.grade)
    yield from _strategy(config.strategy)
    yield from _universe(config.universe)
    yield from _model(config.model)
    yield from _engine(config.engine)
    yield from _own_features(config.features)
    yield from _scope(config)
    yield from _placebo(config)
    yield from _no_secrets(config)


def _grade(grade: GradeConfig) -> Iterator[Rule]:
    yield Rule(
        "grade.min_oos_promote",
        grade.min_oos_promote >= grade.min_oos,
        f"must be at least grade.min_oos={grade.min_oos}, got {grade.min_oos_promote}",
        "raise grade.min_oos_promote",
    )


def _strategy(strategy: StrategyConfig) -> Iterator[Rule]:
    yield Rule(
        "strategy.cost_bps",
        set(strategy.cost_bps) == set(ASSET_CLASSES),
        f"must name {', '.join(ASSET_CLASSES)} and nothing else, got {', '.join(strategy.cost_bps) or 'nothing'}",
        "give each class its basis points",
    )
    yield Rule(
        "strategy.threshold",
        strategy.threshold >= 0.5 or not strategy.short,
        f"must be at least 0.5 where strategy.short=true (else both overlap), got {strategy.threshold}",
        "raise strategy.threshold",
    )


def _universe(universe: UniverseConfig) -> Iterator[Rule]:
    yield Rule(
        "universe.symbols",
        not (universe.symbols and universe.file),
        f"and universe.file={universe.file} can't both choose the instruments",
        "leave one of them out",
    )


def _model(model: ModelConfig) -> Iterator[Rule]:
    yield Rule(
        "model.members",
        (model.family in SEVERAL) == bool(model.members) and all(name in FILE_NAME for name in model.members),
        f"must name files of conf/model for family: all or ensemble and be empty otherwise, got {model.members}",
        f"choose model=all or one family ({', '.join(FAMILIES)})",
    )
    yield Rule(
        "model.classes",
        set(model.classes) <= set(ASSET_CLASSES),
        f"must be among {', '.join(ASSET_CLASSES)}, got {', '.join(model.classes)}",
        "leave it out to train all classes",
    )
    yield Rule(
        "model.params",
        model.family in SEVERAL or isinstance(model.params, PARAMS[model.family]),
        f"must be the settings of {model.family}, got {type(model.params).__name__}",
        f"choose model={model.family}",
    )


def _engine(engine: EngineConfig) -> Iterator[Rule]:
    """Refuse settings that the chosen engine would ignore."""
    for name in ("address", "data"):
        value = getattr(engine, name)
        yield Rule(
            f"engine.{name}", not value or engine.kind == "ray", f"is for engine=ray, got {value}", "add engine=ray"
        )
    yield Rule(
        "engine.address",
        not engine.address or is_cluster_address(engine.address),
        f"must be auto, host:port or ray://host:port, got {engine.address}",
        "10.0.0.1:6379 is usual",
    )
    yield Rule(
        "engine.workers",
        not (engine.workers and engine.address),
        f"is for a cluster that this command starts; the one at {engine.address} has its own, got {engine.workers}",
        "leave one of engine.workers and engine.address out",
    )
    yield Rule(
        "engine.memory_gib",
        engine.memory_gib is None or engine.kind == "local",
        f"is for engine=local, got {engine.memory_gib}",
        "leave it out: Ray ends a worker itself when its node runs out of memory",
    )


def _scope(config: Config) -> Iterator[Rule]:
    """Refuse what one of the scopes can't use."""
    pooled = config.scope.kind == "pooled"
    yield Rule(
        "model.family", pooled or config.model.family != "ensemble", "ensemble ranks names of a cross-section, which "
        "scope=instrument has not", "add scope=pooled, or choose model=all",
    )  # fmt: skip
    yield Rule(
        "label.kind", pooled or config.label.kind != "neutral", "neutral compares the names of a cross-section, which "
        "scope=instrument has not", "add scope=pooled, or choose another label, such as label=relative_20",
    )  # fmt: skip
    family = config.model.family
    yield Rule(
        "model.family", not pooled or family in (*SEVERAL, *POOLED), f"must have a pooled fit, got {family}",
        f"choose {', '.join(POOLED)}",
    )  # fmt: skip
    yield Rule(
        "universe.interval", not pooled or config.universe.interval == "1d",
        f"must be 1d for scope=pooled, got {config.universe.interval}", "leave scope=pooled out",
    )  # fmt: skip
    yield Rule(
        "follow", not (pooled and config.follow), "is for scope=instrument, since a cross-section needs all its names, "
        "got true", "wait until hydration has ended, featurize, and train without it",
    )  # fmt: skip
    yield Rule(
        "portfolio.beta_hedged", not (config.portfolio.kind == "long_excess" and config.portfolio.beta_hedged),
        "is for portfolio=neutral and portfolio=quantiles (long_excess is held against the plain mean), got true",
        "add portfolio.beta_hedged=false",
    )  # fmt: skip
    for name, stated in (
        ("portfolio", config.portfolio.cost_bps),
        ("eligibility", config.eligibility.min_dollar_volume),
    ):
        key = f"{name}.{'cost_bps' if name == 'portfolio' else 'min_dollar_volume'}"
        yield Rule(
            key, set(stated) == set(ASSET_CLASSES), f"must name {', '.join(ASSET_CLASSES)} and nothing else, got "
            f"{', '.join(stated) or 'nothing'}", "give each class its number",
        )  # fmt: skip


def _placebo(config: Config) -> Iterator[Rule]:
    yield Rule(
        "placebo_only",
        config.placebo > 0 or not config.placebo_only,
        f"needs a share of instruments, got placebo={config.placebo:g}",
        "add placebo=0.2",
    )
    yield Rule(
        "placebo_only",
        not (config.placebo_only and config.follow),
        "and follow=true can't be combined",
        "leave one of them out",
    )


def _no_secrets(config: Config) -> Iterator[Rule]:
    """Refuse secrets among the settings that every run is stored and shown with."""
    names = [("label.params", name) for name in config.label.params]
    names += [("features.extra", name) for entry in config.features.extra for name in entry]
    for key, name in names:
        yield Rule(
            f"{key}.{name}",
            not sounds_secret(str(name)),
            "must hold no secret, because each run is stored and shown with it",
            "read it from an environment variable in your own file",
        )


def _own_features(features: FeaturesConfig) -> Iterator[Rule]:
    for entry in features.extra:
        yield from _extra_feature(entry)
    for name in features.files:
        yield Rule(
            "features.files",
            name.endswith(".py"),
            f"must name Python files, got {name}",
            "give the path of a .py file with declarations, from the project's root",
        )


def _extra_feature(entry: dict[str, Any]) -> Iterator[Rule]:
    indicators = [entry[library] for library in INDICATOR_LIBRARIES if library in entry]
    yield Rule(
        "features.extra",
        len(indicators) == 1 and isinstance(indicators[0], str),
        f"must name one indicator of {' or '.join(INDICATOR_LIBRARIES)} in each entry, got {entry}",
        "write {pandas_ta: rsi, length: 14} or {talib: CCI, timeperiod: 14}",
    )
    yield Rule(
        "features.extra",
        entry.get("scale", "close") == "close",
        f"takes scale: close alone, got scale: {entry.get('scale')}",
        "leave scale out, or write scale: close to divide what is in units of the price by the close",
    )
    columns = entry.get("columns", [])
    yield Rule(
        "features.extra",
        isinstance(columns, list) and all(isinstance(name, str) for name in columns),
        f"takes columns as a list of the indicator's outputs, got columns: {columns}",
        "write columns: [SUPERTd_10_3.0]",
    )
