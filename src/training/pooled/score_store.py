"""Scores of the pooled scope on disk, a file a fold and family, and how they become one table of days by names."""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from src.config.commands import command
from src.core.arrays import BoolArray, DateArray, IntArray, Matrix, Scores
from src.core.errors import StageError
from src.storage import atomic

_FOLDER = "scores"


@dataclass(frozen=True)
class StoredFold:
    """What a finished fit left, besides its scores.

    Attributes
    ----------
    n_train : int
        Rows that it learned from.
    seconds : float
        CPU seconds.
    importance : list of float
        A share for each feature.
    """

    n_train: int
    seconds: float
    importance: list[float]


class ScoreStore:
    """Scores by fit key and fold: ``<root>/scores/<fit key>/2019-07-01.npy``, with a note beside each.

    The rows of a file are the eligible (day, name) pairs of the fold's days, day by day, names ascending.

    Parameters
    ----------
    root : Path
        ``data/portfolios/<dataset>``.
    """

    def __init__(self, root: Path) -> None:
        self.root = root / _FOLDER

    def stored(self, fit_key: str, fold: str, since: dt.datetime | None = None) -> StoredFold | None:
        """What a fit left, if it finished (after a moment, where one is given)."""
        note = self._path(fit_key, fold, ".json")
        if not note.is_file() or not self._path(fit_key, fold, ".npy").is_file():
            return None
        if since is not None and dt.datetime.fromtimestamp(note.stat().st_mtime, dt.UTC) < since:
            return None
        return StoredFold(**atomic.read_json(note))

    def add(self, fit_key: str, fold: str, scores: Scores, note: StoredFold) -> None:
        """Store the scores of a fold, durable on return; the note is written last and says that it is whole."""
        content = io.BytesIO()
        np.save(content, scores.astype(np.float32))

        def put(path: Path) -> None:
            path.write_bytes(content.getvalue())

        atomic.write_atomic(self._path(fit_key, fold, ".npy"), put)
        atomic.write_json(vars(note), self._path(fit_key, fold, ".json"))

    def table(self, fit_key: str, folds: Sequence[str], dates: DateArray, eligible: BoolArray) -> Matrix:
        """Put the folds of a fit on the class's calendar.

        Parameters
        ----------
        fit_key : str
        folds : sequence of str
            Boundaries, ascending, as YYYY-MM-DD.
        dates : datetime64[D], shape (T,)
        eligible : bool, shape (T, N)

        Returns
        -------
        float32, shape (T, N)
            NaN where a name is not eligible or no fold scored the day.

        Raises
        ------
        StageError
            If a file is gone, or the eligible names are others than when it was written.
        """
        out = np.full(eligible.shape, np.nan, dtype=np.float32)
        starts = np.searchsorted(dates, np.array(folds, dtype="datetime64[D]"))
        for fold, start, end in zip(folds, starts, [*starts[1:], len(dates)], strict=True):
            path = self._path(fit_key, fold, ".npy")
            remedy = f"run `{command('train', 'scope=pooled')}`, which makes what is missing"
            scores = _read(path, remedy)
            days, names = np.nonzero(eligible[start:end])
            if scores.size != days.size:
                raise StageError(
                    f"{path} holds {scores.size:,} scores for {days.size:,} eligible names and days: the bars have "
                    f"changed since; {remedy}"
                )
            out[start + days, names] = scores
        return out

    def rows(self, fit_key: str, dates: DateArray, offsets: IntArray) -> Matrix | None:
        """Read the scores of all folds of a fit as one column.

        Parameters
        ----------
        fit_key : str
        dates : datetime64[D], shape (T,)
        offsets : int64, shape (T + 1,)
            As for `of_day`.

        Returns
        -------
        float32, shape (offsets[-1],), or None
            NaN on days before the first fold. None where no fold is stored, or the eligible names have changed since.
        """
        folds = self.folds(fit_key)
        if not folds:
            return None
        starts = offsets[np.searchsorted(dates, np.array(folds, dtype="datetime64[D]"))]
        out = np.full(int(offsets[-1]), np.nan, dtype=np.float32)
        for fold, start, end in zip(folds, starts, [*starts[1:], offsets[-1]], strict=True):
            scores = _read(self._path(fit_key, fold, ".npy"), "make it again")
            if scores.size != end - start:
                return None
            out[start:end] = scores
        return out

    def folds(self, fit_key: str) -> list[str]:
        """Boundaries of the folds that a fit has scored, ascending, as YYYY-MM-DD."""
        return sorted(path.stem for path in (self.root / fit_key[:32]).glob("????-??-??.npy"))

    def of_day(self, fit_key: str, dates: DateArray, offsets: IntArray, day: int) -> Matrix | None:
        """Read the scores of one day of the last fold.

        Parameters
        ----------
        fit_key : str
        dates : datetime64[D], shape (T,)
        offsets : int64, shape (T + 1,)
            The eligible names of day t are the rows ``offsets[t]:offsets[t + 1]``.
        day : int
            Row of the calendar.

        Returns
        -------
        float32, shape (names,), or None
            None where no fold is stored, the day is before the last one, or the eligible names have changed since.
        """
        folds = self.folds(fit_key)
        if not folds:
            return None
        first = offsets[int(np.searchsorted(dates, np.datetime64(folds[-1], "D")))]
        scores = _read(self._path(fit_key, folds[-1], ".npy"), "make it again")
        if scores.size != offsets[-1] - first or offsets[day] < first:
            return None
        return scores[offsets[day] - first : offsets[day + 1] - first]

    def _path(self, fit_key: str, fold: str, suffix: str) -> Path:
        return self.root / fit_key[:32] / f"{fold}{suffix}"


def _read(path: Path, remedy: str) -> Matrix:
    if not path.is_file():
        raise StageError(f"{path} is gone: {remedy}")
    try:
        scores: Matrix = np.load(path)
    except (ValueError, OSError, EOFError) as error:
        raise StageError(f"{path} can't be read ({error}): remove it, then {remedy}") from error
    return scores


def combined(scores: Mapping[str, Matrix], eligible: BoolArray) -> Matrix:
    """Average the families' ranks of each day.

    Parameters
    ----------
    scores : mapping of str to float32, shape (T, N)
        By family; NaN where there is none.
    eligible : bool, shape (T, N)

    Returns
    -------
    float32, shape (T, N), in (0, 1)
        Mean over the families of (rank - 1/2) / names of the day, ties by their mean rank; the scores themselves where
        there is one family.
    """
    from scipy.stats import rankdata

    if len(scores) == 1:
        return next(iter(scores.values()))
    out = np.full(eligible.shape, np.nan, dtype=np.float32)
    for day in np.flatnonzero(eligible.any(axis=1)):
        names = np.flatnonzero(eligible[day])
        values = np.stack([scores[family][day, names] for family in sorted(scores)]).astype(np.float64)
        if np.isfinite(values).all():
            out[day, names] = ((rankdata(values, axis=1) - 0.5) / names.size).mean(axis=0)
    return out
