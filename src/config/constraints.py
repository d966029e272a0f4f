"""What the settings may hold: ranges, choices, dates, names and the rules between them, as data.

One sentence serves every rule; `check` is called once, before any work.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from src.config.schema import INDICATOR_LIBRARIES, Config
from src.core.address import is_cluster_address
from src.core.errors import ConfigError
from src.core.instruments import ASSET_CLASSES
from src.models.registry import FAMILIES, PARAMS


@dataclass(frozen=True)
class Range:
    """Numbers that a key may hold: from `low` to `high`, without `low` itself where `above`."""

    low: float
    high: float
    unit: str = ""
    above: bool = False

    def __contains__(self, value: float) -> bool:
        return (self.low < value if self.above else self.low <= value) and value <= self.high

    def __str__(self) -> str:
        start = f"above {self.low:g} and at most" if self.above else f"from {self.low:g} to"
        return f"{start} {self.high:,.12g}{' ' + self.unit if self.unit else ''}"


_COUNT = Range(1, 10_000_000, "instruments")
_FRACTION = Range(0, 1, above=True)
_L2 = Range(0, 1e6)
RANGES: dict[str, Range] = {
    "universe.stock": Range(0, 10_000_000, "instruments"),
    "universe.etf": Range(0, 10_000_000, "instruments"),
    "universe.crypto": Range(0, 10_000_000, "instruments"),
    "universe.buckets": Range(1, 1024, "shards"),
    "universe.panel": _COUNT,
    "source.simulated.stock": Range(0, 100_000, "instruments"),
    "source.simulated.etf": Range(0, 100_000, "instruments"),
    "source.simulated.crypto": Range(0, 100_000, "instruments"),
    "source.simulated.edge": Range(0, 1),
    "source.simulated.seed": Range(0, 2**32 - 1),
    "universe.options": Range(0, 100_000, "underlyings"),
    "source.live.workers": Range(1, 64, "threads"),
    "source.live.batch_size": Range(1, 100_000, "instruments"),
    "source.live.pause": Range(0, 86_400, "seconds", above=True),
    "source.live.max_pause": Range(0, 86_400, "seconds", above=True),
    "source.live.patience_hours": Range(0, 10_000, "hours", above=True),
    "source.live.timeout": Range(0, 3600, "seconds", above=True),
    "source.live.tries": Range(1, 100, "tries"),
    "source.live.retry_hours": Range(0, 10_000, "hours"),
    "source.live.overlap_bars": Range(2, 1000, "bars"),
    "options.risk_free": Range(-0.1, 1, "a year"),
    "options.max_expiries": Range(1, 1000, "expiries"),
    "label.horizon": Range(1, 260, "bars"),
    "label.tolerance": Range(0, 0.01),
    "split.fold_months": Range(1, 120, "months"),
    "split.first_train_bars": Range(50, 100_000, "bars"),
    "split.embargo": Range(0, 1000, "bars"),
    "split.min_density": Range(0, 1),
    "strategy.threshold": Range(0, 1),
    "strategy.target_volatility": Range(0, 2, "a year", above=True),
    "strategy.volatility_window": Range(5, 1000, "bars"),
    "strategy.max_leverage": Range(0, 10, above=True),
    "strategy.half_cent": Range(0, 1),
    "strategy.spread_window": Range(1, 1000, "bars"),
    "strategy.cost_bps.stock": Range(0, 1000, "basis points"),
    "strategy.cost_bps.etf": Range(0, 1000, "basis points"),
    "strategy.cost_bps.crypto": Range(0, 1000, "basis points"),
    "grade.min_auc": Range(0, 1),
    "grade.min_accuracy": Range(0, 1),
    "grade.min_sharpe": Range(-10, 10),
    "grade.max_drawdown": Range(0, 1, above=True),
    "grade.min_oos": Range(1, 100_000, "bars"),
    "grade.min_oos_promote": Range(1, 100_000, "bars"),
    "grade.common_shifts": Range(20, 10_000, "shifts"),
    "grade.exclude_lags": Range(0, 10_000, "bars"),
    "grade.suspicious_auc": Range(0.5, 1),
    "grade.suspicious_sharpe": Range(0, 100, above=True),
    "engine.workers": Range(1, 4096, "processes"),
    "engine.batch_size": Range(1, 100_000, "instruments"),
    "tune.trials": Range(1, 100_000, "trials"),
    "tune.instruments": Range(4, 100_000, "instruments"),
    "tune.batch": Range(1, 100_000, "instruments"),
    "tune.prune_p": Range(0, 0.5),
    "tune.fold_months": Range(1, 120, "months"),
    "tune.first_train_bars": Range(50, 100_000, "bars"),
    "tune.min_gain": Range(0, 100, "standard errors"),
    "tune.max_cost": Range(0, 1000, "times the default settings' CPU", above=True),
    "tune.timeout": Range(0, 1e7, "seconds"),
    "engine.memory_gib": Range(0, 100_000, "GiB", above=True),
    "seed": Range(0, 2**31 - 1),
    "model.trials": Range(0, 10_000_000, "trials"),
    "model.params.rounds": Range(1, 100_000, "trees"),
    "model.params.learning_rate": _FRACTION,
    "model.params.num_leaves": Range(2, 131_072, "leaves"),
    "model.params.max_depth": Range(1, 64, "levels"),
    "model.params.depth": Range(1, 16, "levels"),
    "model.params.min_child_samples": Range(0, 1_000_000, "bars"),
    "model.params.min_child_weight": _L2,
    "model.params.feature_fraction": _FRACTION,
    "model.params.bagging_fraction": _FRACTION,
    "model.params.colsample": _FRACTION,
    "model.params.subsample": _FRACTION,
    "model.params.rsm": _FRACTION,
    "model.params.max_bin": Range(2, 65_535, "bins"),
    "model.params.border_count": Range(1, 65_535, "borders"),
    "model.params.l2": _L2,
}
CHOICES: dict[str, tuple[str, ...]] = {
    "source.basis": ("auto", "split_adjusted", "total_return"),
    "source.asset_class": ASSET_CLASSES,
    "engine.kind": ("local", "ray"),
    "model.family": (*FAMILIES, "all"),
    "model.device": ("cpu", "cuda"),
    "retry": ("failed", "all", "whole"),
    "tune.by": ("class", "all"),
    "tracking.route": ("auto", "bulk", "client"),
}
DATES = (
    "data.until", "universe.as_of", "source.live.start", "split.until", "split.anchor", "source.simulated.first",
    "model.tuned_before", "tune.before",
)  # fmt: skip
# What becomes part of a file's or a registered model's name on every system.
NAMES = ("universe.name", "features.name", "label.name", "split.name", "strategy.name", "grade.name", "tune.name")
_NAME = re.compile(r"(?!(?i:con|prn|aux|nul|com\d|lpt\d)$)[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_INTERVAL = re.compile(r"[1-9]\d{0,2}(m|h|d|wk|mo)")


def values(part: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield each setting of a configuration as (dotted key, value); the entries of a mapping count as settings."""
    pairs = part.items() if isinstance(part, dict) else ((f.name, getattr(part, f.name)) for f in fields(part))
    for name, value in pairs:
        if is_dataclass(value) or (isinstance(value, dict) and value):
            yield from values(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def check(config: Config) -> None:
    """Check every range and the rules between settings, before any work.

    Raises
    ------
    ConfigError
        For the first setting that breaks its rule: key, rule, value, remedy.
    """
    for key, value in values(config):
        if value is None:
            continue
        problem = _problem(key, value)
        if problem:
            raise ConfigError(f"{key} {problem}, got {value!r}{_remedy(key)}")
    for key, holds, rule, remedy in (*_between(config), *_engine(config), *_own_features(config)):
        if not holds:
            raise ConfigError(f"{key} {rule}: {remedy}")


def _problem(key: str, value: Any) -> str | None:
    """The rule that a value breaks, in words, or None."""
    if key in RANGES and value not in RANGES[key]:
        return f"must be {RANGES[key]}"
    if key in CHOICES and value not in CHOICES[key]:
        return f"must be one of {', '.join(CHOICES[key])}"
    if key in DATES and not _is_date(value):
        return "must be a date YYYY-MM-DD"
    if key in NAMES and not _NAME.fullmatch(value):
        return "must be letters, digits, - and _ (it becomes a file name on every system)"
    if key == "universe.interval" and not _INTERVAL.fullmatch(value):
        return "must be a number and m, h, d, wk or mo"
    return None


def _remedy(key: str) -> str:
    """The default of a key as a suggestion, where the schema has one."""
    typical = dict(values(Config())).get(key)
    for params in PARAMS.values():
        typical = dict(values(params(), "model.params.")).get(key, typical)
    return f": {key}={typical} is the usual value" if typical not in (None, "???") else ": leave it out"


def _is_date(value: str) -> bool:
    try:
        return dt.date.fromisoformat(value).isoformat() == value
    except ValueError:
        return False


def _between(config: Config) -> Iterator[tuple[str, bool, str, str]]:
    """Rules between settings: (key, whether it holds, rule with the values, remedy)."""
    grade, costs, model = config.grade, config.strategy.cost_bps, config.model
    yield (
        "grade.min_oos_promote",
        grade.min_oos_promote >= grade.min_oos,
        f"must be at least grade.min_oos={grade.min_oos}, got {grade.min_oos_promote}",
        "raise grade.min_oos_promote",
    )
    yield (
        "strategy.cost_bps",
        set(costs) == set(ASSET_CLASSES),
        f"must name {', '.join(ASSET_CLASSES)} and nothing else, got {', '.join(costs) or 'nothing'}",
        "give each class its basis points",
    )
    yield (
        "strategy.threshold",
        config.strategy.threshold >= 0.5 or not config.strategy.short,
        f"must be at least 0.5 where strategy.short=true (else both overlap), got {config.strategy.threshold}",
        "raise strategy.threshold",
    )
    for name in ("rates", "ceilings"):
        rates = getattr(config.source.live, name)
        yield (
            f"source.live.{name}",
            all(0 < rate <= 10_000 for rate in rates.values()),
            f"must be above 0 and at most 10,000 requests a second, got {rates}",
            "0.5 for yahoo and 5 for an exchange are usual",
        )
    yield (
        "universe.symbols",
        not (config.universe.symbols and config.universe.file),
        f"and universe.file={config.universe.file} can't both choose the instruments",
        "leave one of them out",
    )
    yield (
        "model.members",
        (model.family == "all") == bool(model.members) and all(map(_NAME.fullmatch, model.members)),
        f"must name files of conf/model for family: all and be empty otherwise, got {model.members}",
        f"choose model=all or one family ({', '.join(FAMILIES)})",
    )
    yield (
        "model.classes",
        set(model.classes) <= set(ASSET_CLASSES),
        f"must be among {', '.join(ASSET_CLASSES)}, got {', '.join(model.classes)}",
        "leave it out to train all classes",
    )
    yield (
        "model.params",
        model.family == "all" or isinstance(model.params, PARAMS[model.family]),
        f"must be the settings of {model.family}, got {type(model.params).__name__}",
        f"choose model={model.family}",
    )


def _engine(config: Config) -> Iterator[tuple[str, bool, str, str]]:
    """Rules of the engine's settings, as `_between` gives its own: what an engine would pass over is refused."""
    chosen = config.engine
    for name in ("address", "data"):
        value = getattr(chosen, name)
        yield (f"engine.{name}", not value or chosen.kind == "ray", f"is for engine=ray, got {value}", "add engine=ray")
    yield (
        "engine.address",
        not chosen.address or is_cluster_address(chosen.address),
        f"must be auto, host:port or ray://host:port, got {chosen.address}",
        "10.0.0.1:6379 is usual",
    )
    yield (
        "engine.workers",
        not (chosen.workers and chosen.address),
        f"is for a cluster that this command starts; the one at {chosen.address} has its own, got {chosen.workers}",
        "leave one of engine.workers and engine.address out",
    )
    yield (
        "engine.memory_gib",
        chosen.memory_gib is None or chosen.kind == "local",
        f"is for engine=local, got {chosen.memory_gib}",
        "leave it out: Ray ends a worker itself when its node runs out of memory",
    )


def _own_features(config: Config) -> Iterator[tuple[str, bool, str, str]]:
    """Rules of the user's own features, as `_between` gives its own."""
    example = "write {pandas_ta: rsi, length: 14} or {talib: CCI, timeperiod: 14}"
    for entry in config.features.extra:
        named = [entry[library] for library in INDICATOR_LIBRARIES if library in entry]
        yield (
            "features.extra",
            len(named) == 1 and isinstance(named[0], str),
            f"must name one indicator of {' or '.join(INDICATOR_LIBRARIES)} in each entry, got {entry}",
            example,
        )
        yield (
            "features.extra",
            entry.get("scale", "close") == "close",
            f"takes scale: close alone, got scale: {entry.get('scale')}",
            "leave scale out, or write scale: close to divide what is in units of the price by the close",
        )
        columns = entry.get("columns", [])
        yield (
            "features.extra",
            isinstance(columns, list) and all(isinstance(each, str) for each in columns),
            f"takes columns as a list of the indicator's outputs, got columns: {columns}",
            "write columns: [SUPERTd_10_3.0]",
        )
    for name in config.features.files:
        yield (
            "features.files",
            name.endswith(".py"),
            f"must name Python files, got {name}",
            "give the path of a .py file with declarations, from the project's root",
        )
