"""Grade stored runs again from their predictions and the bars, to check the figures that the store claims.

The predictions in ``data/runs`` and the bars are what is trusted. A grade is a calculation from them, and it is
repeated before a decision about money: `promote` repeats it before it crowns, `sync` before it registers.
"""

from __future__ import annotations

import datetime as dt
import json
import os
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import polars as pl

from src.config.commands import command
from src.config.schema import GradeConfig, LabelConfig, StrategyConfig
from src.core.errors import StageError
from src.core.hashing import json_digest, table_digest
from src.evaluation import labels
from src.evaluation.assessment import SCHEMA, Grader
from src.evaluation.grade import GATE_METRICS
from src.evaluation.label_kinds.registry import label_kind
from src.market.bars import BarStore, bucket, content_hash
from src.storage import atomic
from src.training import run_key, walk_forward
from src.training.grade_basis import GradeBasis
from src.training.run_store import RunStore
from src.training.run_tables import stored_predictions

if TYPE_CHECKING:
    from src.config.paths import DatasetPaths

CHECKED = (
    *(metric.name for metric in GATE_METRICS), "n_oos", "z", "p_value", "sharpe_p_value", "deflated_sharpe",
)  # fmt: skip
"""Figures that are compared: those of the gate, and the evidence that ranks and filters."""

_TOLERANCE = 1e-9  # relative: another machine's mathematics library may round otherwise
_LATER_ROWS = 15  # bars after the last booked return among which the end of a run's bars is looked for
_THREADS = min(os.cpu_count() or 1, 4)
Section = TypeVar("Section")


def _again() -> str:
    return f"run `{command('train')}`, which grades again"


@dataclass(frozen=True)
class GradeCheck:
    """Result of grading one run again.

    Attributes
    ----------
    record_id, strategy_key : str
    missing : str or None
        Why it can't be graded again: its bars are gone or were restated since, or its predictions are.
    differing : tuple of str
        Figures that are not those of the store, such as ``auc 0.530 is stored, and its predictions give 0.497``.
    is_current : bool
        Whether the stored row was made by this code and these settings, so that training would take it as it is.
    basis : GradeBasis, optional
        None where nothing was computed.
    """

    record_id: str
    strategy_key: str
    missing: str | None = None
    differing: tuple[str, ...] = ()
    is_current: bool = False
    basis: GradeBasis | None = None

    @property
    def is_damage(self) -> bool:
        """Whether the row was changed: evidence alone also differs where earlier code graded."""
        gated = tuple(f"{name} " for name in (*(metric.name for metric in GATE_METRICS), "n_oos"))
        return bool(self.differing) and (self.is_current or any(each.startswith(gated) for each in self.differing))

    @property
    def objection(self) -> str | None:
        """One sentence against the run; None if its grade is confirmed."""
        if self.missing:
            return self.missing
        if self.differing:
            return f"the stored grade differs from what its predictions give ({'; '.join(self.differing)}): {_again()}"
        return None


@dataclass(frozen=True)
class _Settings:
    """Settings by which a session graded, or may have graded."""

    strategy: StrategyConfig
    grade: GradeConfig
    until: str | None


class Regrader:
    """Grades runs of one dataset again.

    Parameters
    ----------
    paths : DatasetPaths
        Where bars and runs lie.
    strategy : StrategyConfig
    grade : GradeConfig
    until : str, optional
        Settings of the command; those that a session recorded of itself are tried first.
    """

    def __init__(
        self, paths: DatasetPaths, strategy: StrategyConfig, grade: GradeConfig, until: str | None = None
    ) -> None:
        self._store = RunStore(paths.runs)
        self._bars = BarStore(paths.bars)
        self._own = _Settings(strategy, grade, until)
        self._sessions: dict[str, list[_Settings]] = {}
        self._read: dict[tuple[str, str], pl.DataFrame] = {}
        self._markets: dict[str, pl.DataFrame | None] = {}

    def check(self, graded: pl.DataFrame) -> Iterator[GradeCheck]:
        """Grade runs again and compare.

        Parameters
        ----------
        graded : DataFrame
            Rows of grades, as stored.

        Yields
        ------
        GradeCheck
            One a row, in any order.
        """
        ids = graded["record_id"].to_list()
        stored = {row["record_id"]: row for row in self._store.runs(record_ids=ids).iter_rows(named=True)}
        predicted = dict(stored_predictions(self._store.predictions(None, ids)))
        self._read_bars({(row["asset_class"], row["symbol"]) for row in stored.values()})

        def checked(row: Mapping[str, Any]) -> GradeCheck:
            record_id, strategy_key = row["record_id"], row["strategy_key"]
            if record_id not in stored or record_id not in predicted:
                return GradeCheck(record_id, strategy_key, missing=f"data/runs has no record {record_id}")
            try:
                return self._check(row, stored[record_id], predicted[record_id])
            except ValueError as error:  # predictions that no bar belongs to, or that are no probabilities
                return GradeCheck(record_id, strategy_key, missing=f"its predictions can't be graded: {error}")

        with ThreadPoolExecutor(_THREADS) as pool:  # Fourier transforms and sorts run beside each other
            yield from pool.map(checked, graded.iter_rows(named=True))

    def _check(self, row: Mapping[str, Any], run: Mapping[str, Any], predicted: Mapping[str, Any]) -> GradeCheck:
        identity = row["record_id"], row["strategy_key"]
        parts: dict[str, Any] = json.loads(run["parts"])
        candidates = [s for s in self._settings(row["graded_by"]) if run_key.strategy_key(s.strategy) == identity[1]]
        if not candidates:
            return GradeCheck(*identity, missing=f"it was graded by a strategy of other code or settings: {_again()}")
        bars = self._bars_of(run, parts, predicted)
        if bars is None:
            return GradeCheck(
                *identity,
                missing="its bars are gone or were restated since, so its grade can't be checked: "
                f"run `{command('train')}`, which makes a run of the bars that there are",
            )
        marks = table_digest(bars.select("split", "repaired"))
        keys = [json_digest([run_key.grade_key(each.strategy, each.grade), marks]) for each in candidates]
        is_current = row["grade_key"] in keys
        settings = candidates[keys.index(row["grade_key"]) if is_current else 0]
        found = self._graded(run, parts, predicted, bars, settings, row["n_trials"] or 1)
        is_relative = label_kind(parts["label"]["kind"]).market is not None
        basis = GradeBasis((row["graded_by"], run["session_key"]), bars["date"][-1].year, is_relative)
        return GradeCheck(*identity, differing=tuple(differences(row, found)), is_current=is_current, basis=basis)

    def _graded(
        self,
        run: Mapping[str, Any],
        parts: Mapping[str, Any],
        predicted: Mapping[str, Any],
        bars: pl.DataFrame,
        settings: _Settings,
        n_trials: int,
    ) -> dict[str, Any]:
        label = section(LabelConfig, parts["label"])
        yearly = walk_forward.bars_per_year(bars, run["asset_class"])
        decisions = labels.decisions(bars, label, self._market(label, settings.until), yearly)
        grader = Grader(decisions, settings.strategy, settings.grade)
        return walk_forward.grade_stored(predicted, grader, n_trials).row()

    # settings -----------------------------------------------------------------------------------------------------

    def _settings(self, session_key: str) -> list[_Settings]:
        """Settings that a session recorded, then those of the command: thresholds may have changed since."""
        if session_key not in self._sessions:
            recorded = self._recorded(session_key)
            own = self._own
            mixed = [_Settings(each.strategy, own.grade, each.until) for each in recorded]
            self._sessions[session_key] = [*recorded, *mixed, own]
        return self._sessions[session_key]

    def _recorded(self, session_key: str) -> list[_Settings]:
        config = recorded_config(self._store, session_key)
        if config is None:
            return []
        strategy = section(StrategyConfig, config.get("strategy") or {})
        until = (config.get("split") or {}).get("until")
        return [_Settings(strategy, section(GradeConfig, config.get("grade") or {}), until and str(until))]

    # bars ---------------------------------------------------------------------------------------------------------

    def _read_bars(self, keys: set[tuple[str, str]]) -> None:
        """Read the bars of instruments, a bucket at a time; those that are gone are left out."""
        if not self._bars.exists():
            return
        count, wanted = self._bars.manifest.buckets, defaultdict(list)
        for key in sorted(keys - self._read.keys()):
            wanted[bucket(*key, count)].append(key)
        for number, symbols in wanted.items():
            try:
                rows = self._bars.read_bucket(number, symbols=symbols)
            except StageError:  # a file of the bucket is gone or can't be read
                continue
            for key, own in rows.partition_by("asset_class", "symbol", as_dict=True).items():
                self._read[key[0], key[1]] = own

    def _bars_of(
        self, run: Mapping[str, Any], parts: Mapping[str, Any], predicted: Mapping[str, Any]
    ) -> pl.DataFrame | None:
        """Bars that the run was made of, which its key recognises; None where they are gone or were restated."""
        own = self._read.get((run["asset_class"], run["symbol"]))
        if own is None:
            return None
        untils = dict.fromkeys([*(each.until for each in self._settings(run["session_key"])), None])
        heights = dict.fromkeys(_cut(own, until).height for until in untils)
        ends = (own.head(rows) for rows in chain(heights, _ends(own, predicted)) if rows)
        return next((bars for bars in ends if _is_of(bars, parts["bars"])), None)

    def _market(self, label: LabelConfig, until: str | None) -> pl.DataFrame | None:
        """Table that a relative label compares with, made as training makes it."""
        key = json_digest([label.kind, label.horizon, label.params, until])
        if key not in self._markets:
            self._markets[key] = labels.read_market(self._bars, label, lambda bars: _cut(bars, until))
        return self._markets[key]


def drop_grades(store: RunStore, keys: Iterable[tuple[str, str]]) -> None:
    """Remove rows from the stored grades, so that the next training grades these runs again.

    Parameters
    ----------
    store : RunStore
    keys : iterable of (record_id, strategy_key)
        Of rows that differ from what their predictions give.
    """
    wanted = pl.DataFrame(list(keys), schema={"record_id": pl.String, "strategy_key": pl.String}, orient="row")
    for path in sorted(store.root.glob("b*-*.grades.parquet")):
        rows = pl.read_parquet(path, glob=False)
        kept = rows.join(wanted, on=wanted.columns, how="anti", maintain_order="left")
        if kept.height < rows.height:
            atomic.write_parquet(kept, path)


def _cut(bars: pl.DataFrame, until: str | None) -> pl.DataFrame:
    return bars if until is None else bars.filter(pl.col("date").cast(pl.Date) <= dt.date.fromisoformat(until))


def _ends(bars: pl.DataFrame, predicted: Mapping[str, Any]) -> Iterator[int]:
    """Yield the number of bars up to each of those that follow the last booked return: later ones came since."""
    stamps = predicted["oos_stamp"]
    if (stamps := stamps[np.isfinite(stamps)]).size:
        booked = bars.filter(pl.col("date").cast(pl.Datetime("us")) <= stamps.max().item()).height
        yield from range(booked, min(booked + _LATER_ROWS, bars.height))


def _is_of(bars: pl.DataFrame, expected: str) -> bool:
    """Whether bars are those of a run key, which counts the split history where a feature looks at it."""
    content = content_hash(bars, None)
    return expected == content or expected == json_digest([content, table_digest(bars.select("split"))])


def recorded_config(store: RunStore, session_key: str) -> dict[str, Any] | None:
    """Configuration that a session recorded of itself; None where it recorded none.

    Parameters
    ----------
    store : RunStore
    session_key : str
    """
    import yaml

    path = store.root / f"session-{session_key[:8]}.json"
    described = atomic.read_json(path) if path.is_file() else {}
    if described.get("key") != session_key:
        return None
    return yaml.safe_load(described.get("config_yaml") or "") or {}


def section(kind: type[Section], values: Mapping[str, Any]) -> Section:
    """Return a section of the configuration from what was stored of it, by this release or another.

    Parameters
    ----------
    kind : type
        Dataclass of the section.
    values : mapping
        Settings by name; unknown ones are left out.
    """
    names = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    return kind(**{name: value for name, value in values.items() if name in names})


def differences(stored: Mapping[str, Any], found: Mapping[str, Any], names: Iterable[str] = CHECKED) -> Iterator[str]:
    """Yield a sentence for each figure that is stored otherwise than it is found.

    Parameters
    ----------
    stored, found : mapping
        Figures by name; an undefined one is None.
    names : iterable of str
        Of the figures that are compared.
    """
    for name in names:
        if name in SCHEMA and not _same(stored.get(name), found.get(name)):
            yield f"{name} {_shown(stored.get(name))} is stored, and its predictions give {_shown(found.get(name))}"


def _same(stored: Any, value: Any) -> bool:
    if stored is None or value is None:
        return stored is value
    return bool(abs(stored - value) <= _TOLERANCE * max(abs(stored), abs(value)) + 1e-300)


def _shown(value: Any) -> str:
    return "nothing" if value is None else f"{value:.6g}"
