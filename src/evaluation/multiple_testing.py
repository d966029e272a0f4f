"""What the grades of one configuration say together: passes, and how many to expect of luck."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from src.core.arrays import IntArray
from src.evaluation.significance import CREDIBLE_DEFLATED_SHARPE, instrument_p, q_values
from src.evaluation.stepdown import with_stepdown_p

KEY = ["asset_class", "symbol"]


@dataclass(frozen=True)
class SessionEvidence:
    """What the grades of one configuration say together.

    Attributes
    ----------
    grades : DataFrame
        The grades with ``q_value`` filled: one for each instrument, on each of its rows.
    passes, instruments, registrable : int
        Runs that passed, instruments with at least one, and passes that may be registered.
    expected, low, high : float, int, int
        Lucky passes to expect had no model any skill (the sum of luck rates), and the 5 to 95% range over the common
        shifts, which knows that instruments move together.
    expected_instruments, low_instruments, high_instruments : float, int, int
        The same for instruments on which any run would pass.
    session_number : int, optional
        Which session on these bars this is, the first being 1; None where it is not known.
    deflated_passes : int
        Passes with a deflated Sharpe ratio of `CREDIBLE_DEFLATED_SHARPE` or more.
    expected_deflated : float, optional
        As many to expect without any skill: the sum of ``deflated_luck_rate``; None where no run has one.
    """

    grades: pl.DataFrame
    passes: int
    instruments: int
    registrable: int
    expected: float
    low: int
    high: int
    expected_instruments: float
    low_instruments: int
    high_instruments: int
    session_number: int | None = None
    deflated_passes: int = 0
    expected_deflated: float | None = None

    def sentence(self) -> str:
        """Say how many runs passed and how many would without any skill, in sentences on one line.

        Returns
        -------
        str
            ``57 of 1,989 runs passed (41 instruments, 38 registrable). If no model had any skill, about 31 would (22
            instruments; 90% range 12 to 66). Session 7 on these bars.``
        """
        runs = f"{self.passes:,} of {_counted(self.grades.height, 'run')}"
        passed = f"{runs} passed ({_counted(self.instruments, 'instrument')}, {self.registrable:,} registrable)."
        lucky = f"about {_expected(self.expected)} would ({_expected(self.expected_instruments)} instruments; 90% range"
        session = session_clause(self.session_number)
        return f"{passed} If no model had any skill, {lucky} {self.low:,} to {self.high:,}).{session}"


def session_clause(number: int | None) -> str:
    """Say which session on these bars it is.

    Parameters
    ----------
    number : int or None
        From 1.

    Returns
    -------
    str
        A sentence after a space; empty where the number is not known.
    """
    return "" if number is None else f" Session {number:,} on these bars."


def session_evidence(grades: pl.DataFrame, session_number: int | None = None) -> SessionEvidence:
    """Add up the luck of all runs of one configuration, passed or not, and fill their q-values.

    Parameters
    ----------
    grades : DataFrame with the columns of `assess.SCHEMA`, one row a run
        A null luck rate counts as none: such a run could not pass at any shift. A null p-value counts as 1.
    session_number : int, optional
        Becomes the column ``session_number``. Default: that of the column, where there is one.
    """
    if session_number is None and "session_number" in grades.columns:
        session_number = grades["session_number"].max()  # type: ignore[assignment]
    passed = grades.filter(pl.col("passed"))
    by_run, by_instrument = _lucky_counts(grades)
    low, high = _range(by_run)
    low_instruments, high_instruments = _range(by_instrument)
    return SessionEvidence(
        grades=with_stepdown_p(with_q_values(grades)).with_columns(session_number=pl.lit(session_number, pl.Int64)),
        passes=passed.height,
        instruments=passed.select(KEY).n_unique(),
        registrable=_registrable(passed),
        expected=float(grades["luck_rate"].sum()),
        low=low,
        high=high,
        expected_instruments=expected_lucky_instruments(grades),
        low_instruments=low_instruments,
        high_instruments=high_instruments,
        session_number=session_number,
        deflated_passes=_deflated(passed),
        expected_deflated=_sum(grades, "deflated_luck_rate"),
    )


def passes_at_shifts(grades: pl.DataFrame) -> IntArray:
    """Count the runs that would pass at each of the common shifts.

    Parameters
    ----------
    grades : DataFrame with asset_class, symbol and shift_passes

    Returns
    -------
    int64, shape (common_shifts,)
        Empty where no run has common shifts.
    """
    return _lucky_counts(grades)[0]


def expected_lucky_instruments(grades: pl.DataFrame) -> float:
    """Instruments, or portfolios, of which any run would pass had no model any skill.

    Parameters
    ----------
    grades : DataFrame with asset_class, symbol and shift_passes

    Returns
    -------
    float
        Mean over the common shifts; 0 where no run has any.
    """
    by_instrument = _lucky_counts(grades)[1]
    return float(by_instrument.mean()) if by_instrument.size else 0.0


def _registrable(passed: pl.DataFrame) -> int:
    return int(passed["registrable"].fill_null(False).sum()) if "registrable" in passed.columns else 0


def _deflated(passed: pl.DataFrame) -> int:
    if "deflated_sharpe" not in passed.columns:
        return 0
    return passed.filter(pl.col("deflated_sharpe") >= CREDIBLE_DEFLATED_SHARPE).height


def _sum(grades: pl.DataFrame, name: str) -> float | None:
    known = grades[name].drop_nulls() if name in grades.columns else pl.Series([], dtype=pl.Float64)
    return float(known.sum()) if known.len() else None


def _expected(value: float) -> str:
    return f"{value:,.{0 if value >= 10 else 1}f}"


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def with_q_values(grades: pl.DataFrame) -> pl.DataFrame:
    """Fill the q-values of one session's grades: one for each instrument, on each of its rows.

    Parameters
    ----------
    grades : DataFrame
        One row a run: asset_class, symbol, p_value, n_trials, and whatever else.

    Returns
    -------
    DataFrame
        The same rows and columns with ``q_value``.
    """
    smallest = grades.group_by(KEY, maintain_order=True).agg(
        pl.col("p_value").fill_null(1.0).min(), pl.col("n_trials").max()
    )
    p = [instrument_p(p, n) for p, n in smallest.select("p_value", "n_trials").iter_rows()]
    q = smallest.select(KEY).with_columns(q_value=pl.Series(q_values(np.array(p, dtype=np.float64))))
    return (
        grades.drop("q_value", strict=False)
        .join(q, on=KEY, how="left", maintain_order="left")
        .select(grades.columns if "q_value" in grades.columns else [*grades.columns, "q_value"])
    )


def _lucky_counts(grades: pl.DataFrame) -> tuple[IntArray, IntArray]:
    """Passes at each common shift, over runs and over instruments (any run of it), shape (common_shifts,) each."""
    ordered = grades.select(*KEY, "shift_passes").drop_nulls("shift_passes").sort(KEY)
    if ordered.height == 0:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    packed = np.frombuffer(b"".join(ordered["shift_passes"].to_list()), dtype=np.uint8).reshape(ordered.height, -1)
    starts = np.flatnonzero(ordered.select(pl.struct(KEY).rle_id()).to_series().diff().fill_null(1).to_numpy())
    together = np.bitwise_or.reduceat(packed, starts, axis=0)
    return _bit_sums(packed), _bit_sums(together)


def _bit_sums(packed: Any) -> IntArray:
    """Sum the bits of each column in blocks, so that 30,000 runs need a few megabytes."""
    sums = np.zeros(packed.shape[1] * 8, dtype=np.int64)
    for start in range(0, packed.shape[0], 4096):
        sums += np.unpackbits(packed[start : start + 4096], axis=1).sum(axis=0, dtype=np.int64)
    return sums


def _range(counts: IntArray) -> tuple[int, int]:
    if not counts.size:
        return 0, 0
    low, high = np.quantile(counts, (0.05, 0.95), method="inverted_cdf")
    return int(low), int(high)
