"""Stored features of one dataset: files by bucket and year, and a record of what each bucket was made from."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from src.config.commands import command
from src.core.code_hash import code_digest
from src.core.errors import StageError
from src.core.failure import Failure
from src.core.hashing import text_digest
from src.core.instruments import Key
from src.features import feature_files
from src.features.bucket_states import INSTRUMENT, after_hydrate
from src.features.compute import KEY, instruments
from src.features.feature_rows import FeatureRows, by_year
from src.features.look_ahead import stamp
from src.features.panel_members import standings_code, with_standings
from src.features.probation import Probation, own_hashes
from src.market.bars import BarStore
from src.market.panel import panel_hash, panel_table
from src.runtime.redaction import shown
from src.storage import atomic
from src.storage.atomic import read_json, remove_temporaries, write_json, write_parquet
from src.storage.ledger import Ledger

if TYPE_CHECKING:
    from src.core.arrays import Matrix

PANEL_FILE, PANEL_NOTE = "panel.parquet", "panel.json"
_COLUMNS = "columns"  # of a bucket's record: code by column. Earlier forms of the files had it under "features"


@dataclass(frozen=True)
class Filled:
    """Number of rows of a computed bucket, and the instruments on which a formula raised."""

    rows: int
    failed: dict[Key, Failure]


class FeatureStore:
    """Features in ``<root>/b007-2023.npy``; a bucket's rows are those of the bars' bucket, one to one.

    Parameters
    ----------
    root
        ``data/features/<dataset>``; it need not exist.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)
        self.ledger = Ledger(self.root)
        self.probation = Probation(self.root)

    def buckets(self) -> list[int]:
        """Buckets that are complete, ascending."""
        return self.ledger.units()

    def panel(self) -> pl.DataFrame | None:
        """Daily table of the pinned panel that the features were computed with; None where none is stored."""
        path = self.root / PANEL_FILE
        with atomic.read_errors(path, self._remedy()):
            return pl.read_parquet(path, glob=False) if path.is_file() else None

    def codes(self, b: int) -> dict[str, str]:
        """Code hash of each column of a bucket, by name; empty where it has no record, or one of an earlier form."""
        return dict(self._facts(b).get(_COLUMNS, {}))

    def is_of_earlier_form(self, b: int) -> bool:
        """Whether a bucket is stored as earlier versions did, in files that this one doesn't read."""
        return _COLUMNS not in self._facts(b) and b in self.buckets()

    def read_bucket(
        self,
        b: int,
        columns: list[str] | None = None,
        symbols: list[tuple[str, str]] | None = None,
        before: dt.date | None = None,
        since: dt.date | None = None,
    ) -> pl.DataFrame:
        """Features of one bucket, sorted by key and date: of all instruments and days, or of some, of a range of days.

        Returns
        -------
        DataFrame
            asset_class, symbol, date and the Float32 columns asked for (None takes all); null where undefined.

        Raises
        ------
        StageError
            The bucket isn't featurized.
        """
        return self.read_rows(b, columns, symbols, before, since).table()

    def read_rows(
        self,
        b: int,
        columns: list[str] | None = None,
        symbols: list[tuple[str, str]] | None = None,
        before: dt.date | None = None,
        since: dt.date | None = None,
    ) -> FeatureRows:
        """What `read_bucket` gives, as arrays row by row."""
        paths = self.files(b)
        if not paths or _COLUMNS not in self._facts(b):
            raise StageError(f"bucket {b} of {self.root.name} is not featurized: run `{self._command()}` first")
        ends = since.year if since else 0, before.year if before else 9999
        wanted = [path for year, path in paths.items() if ends[0] <= year <= ends[1]] or list(paths.values())[-1:]
        with atomic.read_errors(self.root, self._remedy()):
            return feature_files.read(wanted, columns, symbols, since, before)

    def read_matrices(
        self, b: int, columns: list[str], bars: pl.DataFrame, wanted: Collection[Key] | None = None
    ) -> dict[Key, Matrix] | None:
        """Features of instruments of one bucket, row by row those of their bars, each in memory of its own.

        Parameters
        ----------
        bars
            The bucket's bars, sorted by key and date; rows after their last day are left out of the features.
        wanted
            Instruments; all by default.

        Returns
        -------
        dict of float32 arrays, shape (bars of the instrument, columns)
            NaN where undefined; None where the features are of other rows.
        """
        last = bars["date"].cast(pl.Date).max()
        if not isinstance(last, dt.date):
            return {}
        paths = [path for year, path in self.files(b).items() if year <= last.year]
        with atomic.read_errors(self.root, self._remedy()):
            before = last + dt.timedelta(days=1)
            found = feature_files.read(paths, columns, wanted, before=before, apart=True) if paths else None
        chosen = None if wanted is None else set(wanted)
        expected = [(key, rows) for key, rows in instruments(bars) if chosen is None or key in chosen]
        if found is None or [key for key, _ in expected] != [key for key, _ in found.instruments]:
            return None
        dates = bars["date"].to_numpy()
        pairs = zip(expected, found.instruments, strict=True)
        if not all(np.array_equal(dates[rows], found.dates[stored]) for (_, rows), (_, stored) in pairs):
            return None
        return dict(zip(dict(expected), found.blocks, strict=True))

    def read_year(self, b: int, year: int, columns: list[str]) -> FeatureRows | None:
        """Features of one bucket and calendar year; None where it has no row of that year.

        Raises
        ------
        StageError
            The file can't be read, or lacks a column.
        """
        path = self.files(b).get(year)
        if path is None:
            return None
        with atomic.read_errors(path, self._remedy()):
            return feature_files.read([path], columns)

    def write_bucket(self, b: int, names: list[str], rows: pl.DataFrame, block: Matrix) -> None:
        """Replace one bucket; a year whose values didn't change keeps its file.

        Parameters
        ----------
        names
            The columns.
        rows
            asset_class, symbol and date, sorted.
        block : float32, shape (columns, rows)
            NaN where undefined.
        """
        former = set(self._files(b))
        for part in by_year(rows, block):
            path = self.root / f"b{b:03d}-{part.year:04d}{feature_files.SUFFIX}"
            feature_files.write(path, names, part.instruments, part.dates, part.values)
            former.discard(path)
        if self.root.is_dir():
            atomic.sync_folder(self.root)
        for path in former:
            atomic.remove(path)

    def is_current(
        self, b: int, bars: str, panel: str | None, hashes: dict[str, str], facts: Mapping[str, str] | None = None
    ) -> bool:
        """Whether training may use the bucket: it is computed, and none of its columns waits for the check.

        The user's own columns are used once all buckets have passed the check for look-ahead: what one instrument
        shows condemns the column on all of them.
        """
        return self.is_computed(b, bars, panel, hashes, facts) and not self.probation.reason(hashes)

    def is_computed(
        self, b: int, bars: str, panel: str | None, hashes: dict[str, str], facts: Mapping[str, str] | None = None
    ) -> bool:
        """Whether the bucket holds these columns, computed by this code from these bars, this panel and these facts.

        A `panel` of None says that no column looks at it, and `facts` holds the digests of the kinds that are looked
        at. A column of the user's own counts where it was checked too.
        """
        made_from = self._facts(b)
        stored, checked, known = (made_from.get(name) or {} for name in (_COLUMNS, "checked", "facts"))
        same = made_from.get("bars") == bars and all(stored.get(name) == code for name, code in hashes.items())
        passed = all(checked.get(name) == stamp(code) for name, code in own_hashes(hashes).items())
        same &= all(known.get(kind) == digest for kind, digest in (facts or {}).items())
        return same and passed and (panel is None or made_from.get("panel") == panel)

    def drop_obsolete(self, buckets: int) -> None:
        """Remove buckets beyond the dataset's number of them: left from another universe of the same name."""
        for b in self.buckets():
            if b >= buckets:
                self.ledger.forget(b)
                for path in self._files(b):
                    atomic.remove(path)

    def record(
        self,
        b: int,
        bars: BarStore,
        filled: Filled,
        panel: str,
        hashes: dict[str, str],
        facts: Mapping[str, str] | None = None,
    ) -> None:
        """Record that a bucket is done, what it was made from, and its instruments' states."""
        reasons = {":".join(key): shown(failure.reason) for key, failure in filled.failed.items()}
        states = after_hydrate(bars.ledger.states(b), reasons)
        checked = {name: stamp(code) for name, code in own_hashes(hashes).items()}
        made_from: dict[str, Any] = {"bars": bars.digest(b), "panel": panel} | ({"facts": {**facts}} if facts else {})
        self.ledger.record(b, "", states, **made_from | {_COLUMNS: hashes}, checked=checked)

    def states(self, bars: BarStore, lost: Mapping[int, Failure]) -> pl.DataFrame:
        """One row an instrument of the universe: its state here, with the reason.

        Parameters
        ----------
        lost
            Buckets that could not be computed: all their instruments failed.
        """
        parts = []
        for b in bars.buckets():
            if b in self.buckets():
                parts.append(self.ledger.states(b))
                continue
            hydrated = bars.ledger.states(b)
            reason = shown(lost[b].reason) if b in lost else "left out by only=[...]: run featurize without it"
            part = after_hydrate(hydrated, dict.fromkeys(hydrated.select(INSTRUMENT).to_series().to_list(), reason))
            parts.append(part if b in lost else part.with_columns(pl.col("state").replace("failed", "skipped")))
        return pl.concat(parts).sort(*KEY)

    def pin_panel(self, bars: BarStore) -> str:
        """Bring the panel's daily table up to date with the bars and return its hash."""
        remove_temporaries(self.root)
        made_from = text_digest(
            code_digest(panel_table), standings_code(), bars.panel(), *(bars.digest(b) for b in bars.buckets())
        )
        note = self.root / PANEL_NOTE
        stored = read_json(note) if note.is_file() else {}
        if stored.get("made_from") == made_from and self.panel() is not None:
            return str(stored["hash"])
        table = with_standings(panel_table(bars), bars)
        write_parquet(table, self.root / PANEL_FILE)
        write_json({"made_from": made_from, "hash": panel_hash(table)}, note)
        return panel_hash(table)

    def pinned(self) -> str | None:
        """Hash of the stored panel, as buckets recorded it; None where none is pinned."""
        note = self.root / PANEL_NOTE
        return str(read_json(note)["hash"]) if note.is_file() else None

    def require_current(
        self, b: int, bars: str, hashes: dict[str, str], *, looks: bool, facts: Mapping[str, str] | None = None
    ) -> None:
        """Make sure that a bucket holds these columns, by this code from these bars and facts and the stored panel.

        Parameters
        ----------
        b : int
        bars : str
            Digest of the bucket's bars.
        hashes : dict of str to str
            Code hash of each column, by name.
        looks : bool
            Whether any of them looks at the panel.
        facts : mapping of str to str, optional
            Digest of the bucket's facts by kind, of those that any of them looks at.

        Raises
        ------
        StageError
            It does not: featurize has to run first. Names the universe and the remedy.
        """
        remedy = f"run `{self._command()}` first"
        made_from = self._facts(b)
        stored, checked, known = (made_from.get(name) or {} for name in (_COLUMNS, "checked", "facts"))
        if self.is_of_earlier_form(b):
            raise StageError(
                f"features of universe={self.root.name} are stored in the form of an earlier version: {remedy}"
            )
        changed = [name for name, code in hashes.items() if stored.get(name) != code]
        changed += [name for name, code in own_hashes(hashes).items() if checked.get(name) != stamp(code)]
        if changed:
            raise StageError(
                f"features of universe={self.root.name} lack {changed[0]} as it is declared now "
                f"({len(changed)} of {len(hashes)} such): {remedy}"
            )
        if made_from.get("bars") != bars:
            raise StageError(f"features of universe={self.root.name} are older than its bars: {remedy}")
        if held := self.probation.reason(hashes):
            raise StageError(f"features of universe={self.root.name}: {held}: {remedy}")
        if any(known.get(kind) != digest for kind, digest in (facts or {}).items()):
            raise StageError(f"features of universe={self.root.name} are older than its facts of research: {remedy}")
        if not self.is_current(b, bars, self.pinned() if looks else None, hashes, facts):
            raise StageError(f"features of universe={self.root.name} were computed with another panel: {remedy}")

    def _facts(self, b: int) -> dict[str, Any]:
        """What is recorded of a bucket."""
        record = self.ledger.read(b)
        return record.facts if record else {}

    def _command(self, *words: str) -> str:
        return command("featurize", *words, stored=self.root.name)

    def _remedy(self) -> str:
        return f"run `{self._command('fresh=true')}`, which computes it again"

    def files(self, b: int) -> dict[int, Path]:
        """Files of a bucket by year, ascending."""
        found = ((int(path.stem.split("-")[1]), path) for path in self._files(b) if path.suffix == feature_files.SUFFIX)
        return dict(sorted(found))

    def _files(self, b: int) -> list[Path]:
        """Files of a bucket, those of earlier forms too."""
        return [path for suffix in (feature_files.SUFFIX, ".parquet") for path in self.root.glob(f"b{b:03d}-*{suffix}")]
