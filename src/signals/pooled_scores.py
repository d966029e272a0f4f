"""Scores of a pooled champion, day by day: the stored out-of-sample ones, then its own model's."""

from __future__ import annotations

import logging
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from src.config.commands import command
from src.config.paths import listings
from src.core.arrays import BoolArray, Bytes, DateArray, IntArray, Matrix
from src.core.errors import StageError
from src.core.hashing import text_digest
from src.market.cross_section import CrossSection
from src.models.registry import pooled_family
from src.signals.pooled_model import PooledModel
from src.storage import atomic
from src.training.pooled.categories import categories
from src.training.pooled.class_data import ClassData
from src.training.pooled.eligible_features import EligibleRows
from src.training.pooled.ranks import CATEGORY, COLUMNS_AT_ONCE, RankTable, ranked
from src.training.pooled.score_store import ScoreStore, combined

log = logging.getLogger(__name__)
_VALUES = 1 << 26  # feature values in memory at once


@dataclass(frozen=True)
class DatedScores:
    """Scores of the names of some days, with the names: they stay what they are if other names are ranked later.

    Attributes
    ----------
    dates : datetime64[D], shape (D,)
    symbols : tuple of str
    offsets : int64, shape (D + 1,)
        The names of day t are the rows ``offsets[t]:offsets[t + 1]``.
    names : int32, shape (R,)
        Positions among the symbols.
    values : float32, shape (R,)
    """

    dates: DateArray
    symbols: tuple[str, ...]
    offsets: IntArray
    names: npt.NDArray[np.int32]
    values: Matrix

    @classmethod
    def of(cls, dates: DateArray, symbols: Sequence[str], eligible: BoolArray, table: Matrix) -> DatedScores:
        """Take the scores of the eligible names out of a table of days by names."""
        offsets = np.concatenate([[0], np.cumsum(np.count_nonzero(eligible, axis=1))]).astype(np.int64)
        names = np.nonzero(eligible)[1].astype(np.int32)
        return cls(dates.astype("datetime64[D]"), tuple(symbols), offsets, names, table[eligible])

    def table(self, dates: DateArray, symbols: Sequence[str]) -> Matrix:
        """Place the scores on days and names, float32 of shape (days, names); NaN without one."""
        out = np.full((len(dates), len(symbols)), np.nan, dtype=np.float32)
        places = {symbol: j for j, symbol in enumerate(symbols)}
        columns = np.array([places.get(symbol, -1) for symbol in self.symbols], dtype=np.int64)[self.names]
        days = np.searchsorted(dates, self.dates)
        known = days < len(dates)
        known[known] = dates[days[known]] == self.dates[known]
        rows = np.repeat(np.where(known, days, -1), np.diff(self.offsets))
        placed = (rows >= 0) & (columns >= 0)
        out[rows[placed], columns[placed]] = self.values[placed]
        return out

    def save(self, path: Path, key: str) -> None:
        """Write them atomically, as arrays without pickle."""

        def put(temporary: Path) -> None:
            with temporary.open("wb") as file:
                np.savez(
                    file, allow_pickle=False, key=np.array(key), dates=self.dates, symbols=np.array(self.symbols),
                    offsets=self.offsets, names=self.names, values=self.values,
                )  # fmt: skip

        atomic.write_atomic(path, put)

    @classmethod
    def read(cls, path: Path, key: str) -> DatedScores | None:
        """Read what `save` wrote; None where it is not there, damaged, or of another key."""
        try:
            with np.load(path, allow_pickle=False) as kept:
                if str(kept["key"]) != key:
                    return None
                symbols = tuple(kept["symbols"].tolist())
                return cls(kept["dates"], symbols, kept["offsets"], kept["names"], kept["values"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            log.warning("%s can't be read (%s): it is computed again", path, error)
            return None


@dataclass(frozen=True)
class ModelScores:
    """Scores of a champion's own model on some days.

    Attributes
    ----------
    rows : EligibleRows
        Days and names that were scored, on the calendar of the cross-section.
    ranks : uint8, shape (rows, columns)
        What the model was asked with.
    table : float32, shape (T - first, N)
        From the first of the days on; NaN elsewhere.
    """

    rows: EligibleRows
    ranks: Bytes
    table: Matrix

    def of_day(self, day: int) -> Bytes:
        """Ranks of a day's names, shape (names, columns)."""
        return self.ranks[self.rows.span(day)]


class PooledScores:
    """Scores of a champion on the days of its cross-section.

    Parameters
    ----------
    model : PooledModel
    data : ClassData
        With bars up to the last day that is asked for.
    folder : Path
        Where scores are kept with their names, ``data/signals/<dataset>``.

    Raises
    ------
    StageError
        If the bars start after the first graded day: trade days are counted from it.
    """

    def __init__(self, model: PooledModel, data: ClassData, folder: Path) -> None:
        self._model, self._data, self._folder = model, data, folder
        self.section: CrossSection = data.section
        dates = self.section.dates
        self.first = int(np.searchsorted(dates, np.datetime64(model.first_graded, "D")))
        self.own = int(np.searchsorted(dates, np.datetime64(model.last_graded, "D"), side="right"))
        """Row of the first day that the champion's own model scores."""
        if dates[self.first : self.first + 1].astype("datetime64[D]").tolist() != [model.first_graded]:
            raise StageError(f"bars of its first graded day, {model.first_graded}, are gone: hydrate them again")

    def up_to_now(self, asked: int) -> tuple[Matrix, ModelScores]:
        """Find the scores of all days from the first graded one on.

        Parameters
        ----------
        asked : int
            Row from which on all days are asked of the model; of those before, what was kept is taken.

        Returns
        -------
        scores : float32, shape (T - first, N)
        made : ModelScores
            Of the days from `asked` on, and of those of which nothing was kept.
        """
        stored = self._stored().table(self.section.dates[self.first : self.own], self.section.symbols)
        stored[~self._data.eligible[self.first : self.own]] = np.nan
        kept = self._kept()
        days = self._data.eligible[self.own :]
        wanted = (np.isfinite(kept) != days).any(axis=1)
        wanted[asked - self.own :] = True
        made = self._asked(wanted)
        live = np.where(wanted[:, None], made.table, kept)
        self._keep(DatedScores.of(self.section.dates[self.own :], self.section.symbols, np.isfinite(live), live), "own")
        return np.concatenate((stored, live)), made

    # kept scores --------------------------------------------------------------------------------------------------

    @property
    def _key(self) -> str:
        return text_digest(self._model.champion.model_sha256, *sorted(self._model.fits.values()))

    def _path(self, kind: str) -> Path:
        return self._folder / f"state-{self._model.champion.record_id}-{kind}.npz"

    def _keep(self, scores: DatedScores, kind: str) -> None:
        try:
            scores.save(self._path(kind), self._key)
        except OSError as error:  # the next book computes them again
            log.warning("%s can't be written: %s", self._path(kind), error)

    def _kept(self) -> Matrix:
        """Scores of the model's own days that earlier books found, shape (days, N)."""
        dates, symbols = self.section.dates[self.own :], self.section.symbols
        kept = DatedScores.read(self._path("own"), self._key)
        return np.full((len(dates), len(symbols)), np.nan, np.float32) if kept is None else kept.table(dates, symbols)

    def _stored(self) -> DatedScores:
        """Out-of-sample scores of the graded days, with the names that were ranked then."""
        kept = DatedScores.read(self._path("graded"), self._key)
        if kept is None:
            kept = self._of_ranks() or self._of_bars()
            self._keep(kept, "graded")
        return kept

    def _of_ranks(self) -> DatedScores | None:
        """Take the names from the ranks that training left; None where these are of another session."""
        try:
            table = RankTable.open(self._model.inputs.paths.ranks / self._model.asset_class)
            mask = np.zeros((len(table.dates), len(table.symbols)), dtype=np.bool_)
            mask[np.repeat(np.arange(len(table.dates)), np.diff(table.offsets)), table.names] = True
            return self._combined(table.dates.astype("datetime64[D]"), table.symbols, mask)
        except StageError:
            return None

    def _of_bars(self) -> DatedScores:
        """Take the names from the bars, where as many are eligible as when the run was made."""
        return self._combined(self.section.dates, self.section.symbols, self._data.eligible)

    def _combined(self, dates: DateArray, symbols: tuple[str, ...], eligible: BoolArray) -> DatedScores:
        store, model = ScoreStore(self._model.inputs.paths.portfolios), self._model
        trained = int(np.searchsorted(dates, np.datetime64(model.data_until, "D"), side="right"))
        dates, eligible = dates[:trained], eligible[:trained]
        folds = {name: store.folds(key) for name, key in model.fits.items()}
        tables = {name: store.table(key, folds[name], dates, eligible) for name, key in model.fits.items()}
        first, end = (np.datetime64(day, "D") for day in (model.first_graded, model.last_graded))
        days = slice(int(np.searchsorted(dates, first)), int(np.searchsorted(dates, end, side="right")))
        found = combined({name: table[days] for name, table in tables.items()}, eligible[days])
        lost = np.count_nonzero(eligible[days].any(axis=1) & ~np.isfinite(found).any(axis=1))
        if lost:
            remedy = f"run `{command('train', 'experiment=pooled')}`, which makes what is missing"
            raise StageError(f"its scores of {lost:,} graded days are gone: {remedy}")
        return DatedScores.of(dates[days], symbols, np.isfinite(found), found)

    # the model ----------------------------------------------------------------------------------------------------

    def _asked(self, wanted: BoolArray) -> ModelScores:
        """Rank the features of some of its days, and ask each member."""
        mask = np.zeros(self.section.shape, dtype=np.bool_)
        mask[self.own :][wanted] = self._data.eligible[self.own :][wanted]
        rows = EligibleRows.of(self.section, mask)
        ranks = self._ranks(rows)
        tables = {}
        for name, member in self._model.members.items():
            tables[name] = np.full((len(wanted), self.section.shape[1]), np.nan, dtype=np.float32)
            tables[name][mask[self.own :]] = pooled_family(name).score(member, ranks).astype(np.float32)
        return ModelScores(rows, ranks, combined(tables, mask[self.own :]))

    def _ranks(self, rows: EligibleRows) -> Bytes:
        """Ranks and categories of some rows, as training makes them, shape (rows, columns)."""
        model, seed = self._model, self._model.settings.training.seed
        out = np.empty((rows.size, len(model.columns)), dtype=np.uint8)
        step = max(COLUMNS_AT_ONCE, _VALUES // max(rows.size, 1))
        for start in range(0, len(model.features), step):
            names = model.features[start : start + step]
            out[:, start : start + len(names)] = ranked(rows, model.inputs.features, names, seed).T
        known = categories(self.section, listings(model.inputs.paths.root))
        for j, name in enumerate(model.columns[len(model.features) :], start=len(model.features)):
            table = known.get(name.removeprefix(CATEGORY))
            out[:, j] = 0 if table is None else table[rows.eligible]
        return out
