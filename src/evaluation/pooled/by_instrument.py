"""The pooled scores graded on each instrument, beside the instrument's own models on the same days."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from src.core.arrays import BoolArray, DateArray, FloatArray, IntArray
from src.evaluation.grade import GATE_METRICS, Thresholds, grade
from src.evaluation.pooled.common_luck import NameScores
from src.evaluation.pooled.day_ranks import as_probabilities, day_codes
from src.evaluation.pooled.graded_days import PooledRun
from src.evaluation.pooled.hedged_names import HedgedNames

if TYPE_CHECKING:
    from src.config.schema import GradeConfig, StrategyConfig

_METRICS = tuple(metric.name for metric in GATE_METRICS)
SCHEMA: dict[str, Any] = {
    "asset_class": pl.String,
    "symbol": pl.String,
    "n_days": pl.Int64,  # graded, the same for both
    "first_day": pl.Date,
    "last_day": pl.Date,
    **dict.fromkeys(_METRICS, pl.Float64),  # of the pooled scores
    "passed": pl.Boolean,
    "luck_rate": pl.Float64,
    "own_family": pl.String,  # the best of the instrument's own; null where it has none on these days
    **{f"own_{name}": pl.Float64 for name in _METRICS},
    "own_passed": pl.Boolean,  # whether any of its own passed
    "own_luck_rate": pl.Float64,
    "found_by": pl.String,
    "shift_passes": pl.Binary,
    "own_shift_passes": pl.Binary,
}
"""Columns of the table, with their types."""


@dataclass(frozen=True)
class OwnRun:
    """Out-of-sample predictions of a model of one instrument.

    Attributes
    ----------
    family : str
    horizon : int
        Bars that a decision is held.
    dates : datetime64, shape (m,)
        Of the decisions, ascending.
    probability : float64, shape (m,), in [0, 1]
    label : float64, shape (m,), in {0, 1, NaN}
        What it predicted: AUC and accuracy are those of its own label.
    """

    family: str
    horizon: int
    dates: DateArray
    probability: FloatArray
    label: FloatArray


@dataclass(frozen=True)
class _Graded:
    """Figures of one model on one name, and its pass bits."""

    values: dict[str, float | None]
    passed: bool
    bits: BoolArray


def by_instrument(
    run: PooledRun,
    own: Iterable[tuple[str, Sequence[OwnRun]]],
    strategy: StrategyConfig,
    gate: GradeConfig,
    delisting_return: float,
) -> pl.DataFrame:
    """Grade the pooled scores on each instrument, hedged, beside the instrument's own models on the same days.

    A name is held as the strategy says of its rank within the day, against the mean of the day's eligible names: long
    where it is above the median, else in cash, or short where the strategy goes short. Its own models' predictions are
    traded the same way. Sizes, costs of both legs, thresholds and shifts are common to all.

    Parameters
    ----------
    run : PooledRun
        Scores out of sample.
    own : iterable of (symbol, runs)
        Models of single instruments of the class, each symbol once, in any order.
    strategy : StrategyConfig
    gate : GradeConfig
    delisting_return : float
        Of a name held long after its last bar.

    Returns
    -------
    DataFrame
        Columns of `SCHEMA`, one row for each name that has a score on any day, sorted by symbol. The days are those on
        which it is eligible and, where its own models have predictions on some of them, those with predictions. The
        label of the pooled scores is `Targets.up`. A luck rate is the share of the common shifts that clear every
        threshold. With fewer days than ``gate.min_oos`` a name is found by neither, and no shift passes.
    """
    names = _Names(run, strategy, gate, delisting_return)
    columns = {symbol: column for column, symbol in enumerate(run.section.symbols)}
    rows, done = [], set()
    for symbol, models in own:
        if symbol in columns and names.is_scored(columns[symbol]):
            done.add(symbol)
            rows.append(names.row(columns[symbol], models))
    left = (column for symbol, column in columns.items() if symbol not in done and names.is_scored(column))
    rows += [names.row(column, ()) for column in left]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row").sort("symbol")


class _Names:
    """Grades names one by one; what they share is computed once."""

    def __init__(self, run: PooledRun, strategy: StrategyConfig, gate: GradeConfig, delisting_return: float) -> None:
        self._run, self._strategy, self._gate = run, strategy, gate
        self._hedged = HedgedNames(run, strategy, delisting_return)
        self._tradable = np.asfortranarray(self._hedged.tradable)
        self._codes = np.asfortranarray(day_codes(run.scores, self._hedged.tradable))
        self._dates = run.section.dates[run.days].astype("datetime64[D]")
        days = (self._dates - self._dates[0]).astype(np.int64)
        self._row_of = np.full(days[-1] + 2, -1, dtype=np.int64)
        self._row_of[days] = np.arange(days.size)

    def is_scored(self, column: int) -> bool:
        """Whether the name has a score on any day."""
        return bool(self._tradable[:, column].any())

    def row(self, column: int, models: Sequence[OwnRun]) -> tuple[Any, ...]:
        """Make the row of a name, in the order of `SCHEMA`."""
        graded, models = self._graded_days(column, models)
        first, last = int(graded[0]), int(graded[-1])
        days = self._hedged.days(column, first, last)
        at = graded - first
        up = self._run.targets.up[self._hedged.first + graded, column].astype(np.float64)
        share = as_probabilities(self._codes[graded, column])
        size, horizon = last + 1 - first, self._run.targets.horizon
        pooled = self._grade(
            NameScores(_placed(up, at, size, np.nan), _placed(share, at, size, 0.5), horizon, days), at
        )
        found = []
        for model in models:
            rows = self._rows(model.dates)
            here = np.flatnonzero(np.isin(rows, graded, kind="table"))
            label, probability = (
                _placed(model.label[here], at, size, np.nan),
                _placed(model.probability[here], at, size, 0.5),
            )
            scores = NameScores(label, probability, model.horizon, days)
            found.append((model.family, self._grade(scores, at)))
        return self._as_row(column, graded, pooled, found)

    def _as_row(
        self, column: int, graded: IntArray, pooled: _Graded, own: list[tuple[str, _Graded]]
    ) -> tuple[Any, ...]:
        section, enough = self._run.section, graded.size >= self._gate.min_oos
        family, best = max(own, key=lambda each: _merit(each[1]), default=(None, None))
        own_bits = np.logical_or.reduce([each.bits for _, each in own] or [np.zeros(8, dtype=np.bool_)])
        figures = dict.fromkeys(_METRICS) if best is None else best.values
        return (
            section.asset_class,
            section.symbols[column],
            graded.size,
            self._dates[graded[0]].item(),
            self._dates[graded[-1]].item(),
            *pooled.values.values(),
            pooled.passed,
            float(pooled.bits.mean()),
            family,
            *figures.values(),
            None if best is None else best.passed,
            float(own_bits.mean()) if own else None,
            FOUND_BY[enough and pooled.passed, enough and best is not None and best.passed],
            np.packbits(pooled.bits).tobytes(),
            np.packbits(own_bits).tobytes() if own else None,
        )

    def _graded_days(self, column: int, models: Sequence[OwnRun]) -> tuple[IntArray, Sequence[OwnRun]]:
        """Out-of-sample days that are graded; without models where they have no prediction on any of them."""
        eligible = np.flatnonzero(self._tradable[:, column])
        both = self._tradable[:, column].copy()
        for model in models:
            predicted = np.zeros(both.size, dtype=np.bool_)
            rows = self._rows(model.dates)
            predicted[rows[rows >= 0]] = True
            both &= predicted
        return (np.flatnonzero(both), models) if models and both.any() else (eligible, ())

    def _rows(self, dates: DateArray) -> IntArray:
        """Out-of-sample day of each date, -1 where it is none of them."""
        days = (dates.astype("datetime64[D]") - self._dates[0]).astype(np.int64)
        days[(days < 0) | (days >= self._row_of.size)] = self._row_of.size - 1
        rows: IntArray = self._row_of[days]
        return rows

    def _grade(self, scores: NameScores, at: IntArray) -> _Graded:
        year, limits = self._run.section.bars_per_year, Thresholds.of(self._gate)
        values = scores.values(self._strategy, year)
        bits: BoolArray = np.zeros(-(-self._gate.common_shifts // 8) * 8, dtype=np.bool_)
        if at.size >= self._gate.min_oos:
            bits = scores.passes(self._strategy, self._gate, year)
        return _Graded(values, grade(values | {"n_oos": int(at.size)}, limits).passed, bits)


FOUND_BY = {(True, True): "both", (True, False): "pooled", (False, True): "own", (False, False): "neither"}
"""What ``found_by`` says, by whether the pooled scores and any of the instrument's own models pass."""


def _placed(values: FloatArray, at: IntArray, size: int, elsewhere: float) -> FloatArray:
    out = np.full(size, elsewhere)
    out[at] = values
    return out


def _merit(found: _Graded) -> tuple[bool, float]:
    """What the best of several models has most of: a pass, then a Sharpe ratio."""
    ratio = found.values["sharpe"]
    return found.passed, -np.inf if ratio is None else ratio


@dataclass(frozen=True)
class Count:
    """Instruments of one kind, and how many to expect without any skill.

    Attributes
    ----------
    seen : int
    expected : float
        Mean over the common shifts.
    low, high : int
        The 5 to 95% range over the common shifts, which knows that instruments move together.
    """

    seen: int
    expected: float
    low: int
    high: int


@dataclass(frozen=True)
class FoundInstruments:
    """Which instruments were found by the pooled scores, which by their own models.

    Attributes
    ----------
    instruments : int
    pooled, own : Count
        Found by each, whatever the other found.
    found, missed, both : Count
        By the pooled scores alone, by own models alone, by both.
    """

    instruments: int
    pooled: Count
    own: Count
    found: Count
    missed: Count
    both: Count

    @classmethod
    def of(cls, table: pl.DataFrame) -> FoundInstruments:
        """Count the rows of a table.

        Parameters
        ----------
        table : DataFrame
            From `by_instrument`.

        Returns
        -------
        FoundInstruments
            Luck is counted at shifts by the same number of days for all instruments, of pooled and own scores alike.
        """
        pooled = _bits(table["shift_passes"])
        own = _bits(table["own_shift_passes"].fill_null(bytes(pooled.shape[1] // 8)))
        kinds = {
            "pooled": (("pooled", "both"), pooled),
            "own": (("own", "both"), own),
            "found": (("pooled",), pooled & ~own),
            "missed": (("own",), own & ~pooled),
            "both": (("both",), pooled & own),
        }
        seen = table["found_by"]
        counts = {name: _count(int(seen.is_in(by).sum()), bits) for name, (by, bits) in kinds.items()}
        return cls(table.height, **counts)

    def sentence(self) -> str:
        """Say what was found and how much of it luck explains, on one line.

        Returns
        -------
        str
            ``Of 240 instruments the pooled scores found 12 (about 3.1 without skill; 90% range 0 to 8), ...``
        """
        parts = [
            f"the pooled scores found {_said(self.pooled)}",
            f"their own models {_said(self.own)}",
            f"both {_said(self.both)}",
        ]
        return f"Of {self.instruments:,} instruments {parts[0]}, {parts[1]}, {parts[2]}."


def _said(count: Count) -> str:
    expected = f"{count.expected:,.{0 if count.expected >= 10 else 1}f}"
    return f"{count.seen:,} (about {expected} without skill; 90% range {count.low:,} to {count.high:,})"


def _bits(packed: pl.Series) -> BoolArray:
    """Pass bits, shape (instruments, common_shifts)."""
    if not packed.len():
        return np.zeros((0, 0), dtype=np.bool_)
    whole = np.frombuffer(b"".join(packed.to_list()), dtype=np.uint8).reshape(packed.len(), -1)
    bits: BoolArray = np.unpackbits(whole, axis=1).astype(np.bool_)
    return bits


def _count(seen: int, bits: BoolArray) -> Count:
    lucky = bits.sum(axis=0)
    if not lucky.size:
        return Count(seen, 0.0, 0, 0)
    low, high = np.quantile(lucky, (0.05, 0.95), method="inverted_cdf")
    return Count(seen, float(lucky.mean()), int(low), int(high))
