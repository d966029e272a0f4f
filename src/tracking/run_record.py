"""What MLflow shows of a run: params, metrics, tags and equity curve, from a row of the run store and its grade.

Pure functions; MLflow is not imported here. A run is written once. The metrics that the gate reads never change; others
(the evidence changes with every trial) get a further value when they change.
"""

from __future__ import annotations

import datetime as dt
import functools
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from src.core.instruments import POOLED
from src.tracking.model_cards import SIMULATED, markdown_text
from src.tracking.pooled_record import flattened, pooled_params, portfolio_settings
from src.tracking.registry_gate import GATED

if TYPE_CHECKING:
    import polars as pl

    from src.config.schema import GradeConfig, StrategyConfig
    from src.tracking.settings import TrackedDataset

Point = tuple[int, int, float]
"""Step in months since January 1970 (negative before), timestamp in milliseconds, value."""

EQUITY = "net_equity"
NOTE = "mlflow.note.content"
"""Tag that MLflow shows as the description of a run."""

_NOT_METRICS = ("attempt", "planted", "passed", "registrable", "superseded", "tuning_trials", "session_number")
_PARTS = {"bars": "data", "features": "feature", "panel": "panel", "facts": "facts", "code": "code"}
_HASH = "alpha.hash."
_FIRST = ("auc", "accuracy", "sharpe", "max_drawdown", "z", "q_value", "luck_rate", "deflated_sharpe", "n_oos")
_LAST = ("n_train", "n_folds", "tuning_trials", "fit_seconds")
"""Metrics that a run's page shows first and last: MLflow keeps the order in which they are written, as of tags."""
_SHOWN = ("asset_class", "symbol", "family", "run_key", "record_id", "library_version")
_ESCAPED_IN_NAMES = "/:%?@#;\\\"'"
_MAX_PARAM = 6000  # characters of a value that MLflow keeps


@dataclass(frozen=True)
class RunContent:
    """One run as MLflow will show it; `start` and `end` are milliseconds since 1970."""

    record_id: str
    strategy_key: str
    name: str
    session_key: str
    start: int
    end: int
    params: dict[str, str]
    metrics: dict[str, float]
    tags: dict[str, str]
    equity: list[Point] = field(default_factory=list)

    @property
    def key(self) -> tuple[str, str]:
        """Identity of the run in every store: record id and strategy key."""
        return self.record_id, self.strategy_key

    @property
    def passed(self) -> bool:
        """Whether it clears the four thresholds of its grade."""
        return self.tags["alpha.passed"] == "true"


class _SettingsDigests:
    """Hash of the settings by which runs of either scope are graded, computed where it is asked for."""

    def __init__(self, settings: TrackedDataset) -> None:
        self._settings = settings

    @functools.cached_property
    def strategy(self) -> str:
        return strategy_settings(self._settings.strategy)

    @functools.cached_property
    def pooled(self) -> str:
        return portfolio_settings(self._settings)


def run_contents(settings: TrackedDataset, runs: pl.DataFrame, grades: pl.DataFrame) -> Iterator[RunContent]:
    """Yield the content of each graded run, without its equity curve (see `with_equity`).

    Parameters
    ----------
    settings : TrackedDataset
        Names of dataset and strategy, and the registry's thresholds.
    runs : DataFrame
        Rows of `RunStore.runs`, at least those graded.
    grades : DataFrame
        Rows of the grades table, with ``strategy_key``.
    """
    both = grades.join(runs, on="record_id", how="inner", suffix="_of_run")
    figures = [name for name, dtype in grades.schema.items() if dtype.is_numeric() and name not in _NOT_METRICS]
    simulated, digests = settings.simulated, _SettingsDigests(settings)
    for row in both.iter_rows(named=True):
        row["simulated"] = simulated
        row["settings_digest"] = digests.pooled if row["asset_class"] == POOLED else digests.strategy
        row["suspicious"] = row.get("suspicious") or _too_good(row, settings.grade)
        yield _content(settings, row, figures)


def with_equity(contents: Iterable[RunContent], equity: pl.DataFrame) -> Iterator[RunContent]:
    """Add month-end equity curves to runs.

    Parameters
    ----------
    contents : iterable of RunContent
    equity : DataFrame
        `RunStore.equity` of those that passed: record_id, stamp, equity.

    Yields
    ------
    RunContent
        With `equity`; empty for a run without a curve.
    """
    curves = dict(_curves(equity)) if equity.height else {}
    for content in contents:
        yield replace(content, equity=curves.get(content.record_id, []))


def _too_good(row: Mapping[str, Any], limits: GradeConfig) -> str | None:
    """Reason to doubt a run by the registry's own limits, which may differ from those of the command."""
    from src.evaluation.suspicion import too_good

    over = too_good(row, limits)
    return f"{' and '.join(over)}, too good for its kind of data: no cause was looked for" if over else None


def registered_name(asset_class: str, symbol: str, interval: str) -> str:
    """Name of an instrument's registered model, ``crypto.BTC-USD``, or of a portfolio's, ``pooled.stock.neutral``.

    Parameters
    ----------
    asset_class, symbol : str
    interval : str
        Appended unless daily: ``crypto.BTC-USD-1h``.

    Returns
    -------
    str
        Characters that MLflow's names or its ``models:/`` addresses can't hold are escaped as in a web address, so no
        two symbols share a name: ``BRK/B`` is ``stock.BRK%2FB``.
    """
    escaped = "".join(f"%{ord(c):02X}" if c in _ESCAPED_IN_NAMES or ord(c) < 32 else c for c in symbol)
    return f"{asset_class}.{escaped}" + ("" if interval == "1d" else f"-{interval}")


def strategy_settings(strategy: StrategyConfig) -> str:
    """Hash of the strategy's settings without its code, which stays the same when the code is corrected.

    Parameters
    ----------
    strategy : StrategyConfig
        Its name is left out.
    """
    return _digest({key: value for key, value in asdict(strategy).items() if key != "name"})


def _content(settings: TrackedDataset, row: Mapping[str, Any], figures: list[str]) -> RunContent:
    parts = json.loads(row["parts"] or "{}")
    values = {**{name: row[name] for name in figures}, **{name: row[name] for name in ("n_train", "n_folds")}}
    values["tuning_trials"] = row.get("tuning_trials") or None  # a metric: it may grow
    values["fit_seconds"] = row.get("fit_seconds_of_run", row.get("fit_seconds"))
    order = dict.fromkeys((*_FIRST, *(name for name in values if name not in _LAST), *_LAST))
    known = ((name, values.get(name)) for name in order)
    metrics = {name: float(value) for name, value in known if value is not None and math.isfinite(value)}
    end = _milliseconds(row["created_at"])
    arm = f"{parts['arm']} " if "arm" in parts else ""
    return RunContent(
        record_id=row["record_id"],
        strategy_key=row["strategy_key"],
        name=f"{arm}{row['asset_class']}.{row['symbol']} {row['family']}",
        session_key=row["session_key"],
        start=end - int(1000 * (metrics.get("fit_seconds") or 0.0)),
        end=end,
        params={key: value[:_MAX_PARAM] for key, value in _params(settings, row, parts).items()},
        metrics=metrics,
        tags=_tags(settings, row, parts, [name for name in figures if name in GATED and name not in metrics]),
    )


def _params(settings: TrackedDataset, row: Mapping[str, Any], parts: Mapping[str, Any]) -> dict[str, str]:
    params = {name: str(row[name]) for name in _SHOWN}
    params["dataset"] = settings.dataset
    is_pooled = row["asset_class"] == POOLED
    params |= pooled_params(settings, row, parts) if is_pooled else {"strategy": settings.strategy.name}
    params["registered_name"] = registered_name(row["asset_class"], row["symbol"], settings.interval)
    params["n_features"] = str(_count(row["features"] or "[]"))
    params |= _model_params(row["params"] or "{}")
    for part in ("label", "split"):
        options = parts.get(part)
        params |= {f"{part}.{key}": str(value) for key, value in options.items()} if isinstance(options, dict) else {}
    if parts.get("seed") is not None:
        params["seed"] = str(parts["seed"])
    if row.get("suspicious"):
        params["suspicious"] = str(row["suspicious"])
    return params | {name: str(parts[name]) for name in ("arm", "offset") if name in parts}


@functools.lru_cache(64)
def _count(names: str) -> int:
    """Number of names in JSON; the runs of a session have few different texts."""
    return len(json.loads(names))


@functools.lru_cache(64)
def _model_params(params: str) -> dict[str, str]:
    """Hyperparameters by their path, from JSON; not to be changed."""
    return dict(flattened("model", json.loads(params)))


def _tags(
    settings: TrackedDataset, row: Mapping[str, Any], parts: Mapping[str, Any], undefined: list[str]
) -> dict[str, str]:
    options = {name: part for name, part in parts.items() if name not in _PARTS}
    tags = {
        "mlflow.source.name": "src.train",
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": row["git_commit"],
        "asset_class": row["asset_class"],
        "symbol": row["symbol"],
        "family": row["family"],
        "alpha.passed": "true" if row["passed"] else "false",
        "alpha.reasons": "; ".join(row["reasons"] or []),
        "alpha.suspicious": row.get("suspicious"),
        "alpha.undefined": ", ".join(undefined),
        "alpha.superseded": "true" if row.get("superseded") else None,
        "alpha.simulated": "true" if row.get("simulated") else None,
        "alpha.last_oos": row.get("last_oos"),
        "alpha.dataset": settings.dataset,
        "alpha.library_version": row["library_version"],
        "alpha.record_id": row["record_id"],
        "alpha.run_key": row["run_key"],
        "alpha.strategy_key": row["strategy_key"],
        "alpha.strategy_settings": row["settings_digest"],
        "alpha.session_key": row["session_key"],
        "alpha.git_commit": row["git_commit"],
        f"{_HASH}config": _digest(options),
        **{f"{_HASH}{name}": str(parts[part]) for part, name in _PARTS.items() if parts.get(part) is not None},
    }
    tags |= _placebo_tags(row, parts) if "arm" in parts else {}
    shown = {key: str(value) for key, value in tags.items() if value not in (None, "")}
    return shown | {NOTE: _note(shown, row)}


def _note(tags: Mapping[str, str], row: Mapping[str, Any]) -> str:
    """Verdict, reasons and evidence, as MLflow's page shows them under the run's name."""
    reasons = markdown_text(tags.get("alpha.reasons", ""))
    verdict = "**Passed** the four thresholds out of sample." if tags["alpha.passed"] == "true" else "**Did not pass.**"
    doubt = tags.get("alpha.suspicious")
    parts = [verdict, f"{reasons}." if reasons else "", f"**Suspicious**: {markdown_text(doubt)}." if doubt else ""]
    if tags["alpha.passed"] == "true":
        parts.append(_evidence(row))
        parts.append("Once the report is written, its tear sheet is among the artifacts.")
    parts += [SIMULATED] if "alpha.simulated" in tags else []
    return " ".join(filter(None, parts))


def _evidence(row: Mapping[str, Any]) -> str:
    """Luck rate and q-value; a rate of 0 is no probability, but says that no draw passed."""
    luck, q = row.get("luck_rate"), row.get("q_value")
    draws = "draw without skill" if row["asset_class"] == POOLED else "circular shift"
    said = [] if luck is None else [f"Luck rate {luck:.3g}." if luck > 0 else f"No {draws} passes."]
    said += [] if q is None else [f"q-value {q:.3g}."]
    return " ".join(said)


def _placebo_tags(row: Mapping[str, Any], parts: Mapping[str, Any]) -> dict[str, str]:
    """Tags of a placebo run: it never counts as passed; whether it cleared the thresholds has a tag of its own."""
    cleared = "true" if row["passed"] else "false"
    reason = f"placebo: trained on features rotated by {parts['offset']} bars, so what it clears is luck"
    return {"arm": parts["arm"], "alpha.passed": "false", "alpha.placebo_passed": cleared, "alpha.reasons": reason}


def _digest(options: Mapping[str, Any]) -> str:
    from src.core.hashing import json_digest

    return json_digest(dict(options))


def _curves(equity: pl.DataFrame) -> Iterator[tuple[str, list[Point]]]:
    """Month-end net equity of each run.

    The step is the calendar month (months since January 1970, as NumPy's ``datetime64[M]``), so runs of different
    lengths lie one above the other. The timestamp is the day of the month's last bar; MLflow refuses moments before
    1970, so earlier months have its first moment, and their step alone says when they were.
    """
    import polars as pl

    step = (pl.col("stamp").dt.year() - 1970) * 12 + pl.col("stamp").dt.month() - 1
    ends = (
        equity.filter(pl.col("equity").is_not_null())
        .sort("record_id", "stamp")
        .group_by("record_id", step.alias("step"), maintain_order=True)
        .agg(pl.col("stamp").last(), pl.col("equity").last())
    )
    for (record_id,), rows in ends.group_by("record_id", maintain_order=True):
        points = rows.select("step", "stamp", "equity").iter_rows()
        yield str(record_id), [(int(step), max(0, _milliseconds(stamp)), float(value)) for step, stamp, value in points]


def _milliseconds(moment: dt.datetime | dt.date) -> int:
    if not isinstance(moment, dt.datetime):
        moment = dt.datetime(moment.year, moment.month, moment.day)
    aware = moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
    return int(aware.timestamp() * 1000)
