"""Stored features of one dataset: Parquet shards by bucket and year, and a record of what each bucket was made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
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
from src.documents.fact_store import FactStore
from src.features.bucket_states import INSTRUMENT, after_hydrate
from src.features.compute import KEY, PanelLookup, evaluate
from src.features.fact_lookup import FactLookup
from src.features.graph import FeatureGraph
from src.features.look_ahead import TRIALS, Foresight, ForesightError, examiner, stamp
from src.features.panel_members import standings_code, with_standings
from src.features.probation import Probation, own_hashes
from src.features.registry import Windows
from src.features.selection import select
from src.market.bars import BarStore
from src.market.panel import panel_hash, panel_table
from src.runtime.redaction import shown
from src.storage import atomic
from src.storage.atomic import read_json, remove_temporaries, write_json, write_parquet
from src.storage.ledger import Ledger

if TYPE_CHECKING:
    import datetime as dt

    from src.config.schema import FeaturesConfig
    from src.core.arrays import Matrix

PANEL_FILE, PANEL_NOTE = "panel.parquet", "panel.json"


@dataclass(frozen=True)
class BucketTask:
    """One bucket to compute: plain values, so that any process can take it."""

    bars: Path
    features: Path
    bucket: int
    choice: FeaturesConfig
    interval: str
    windows: Windows  # of the chosen features: a worker doesn't check the user's own once more
    trials: int = TRIALS  # rows of each instrument at which the user's own are tried for look-ahead
    facts: Path | None = None
    digests: Mapping[str, str] = field(default_factory=dict)  # of the facts that the chosen features look at, by kind


@dataclass(frozen=True)
class Filled:
    """Number of rows of a computed bucket, and the instruments on which a formula raised."""

    rows: int
    failed: dict[Key, Failure]


class FeatureStore:
    """Features in ``<root>/b007-2023.parquet``; a bucket's rows are those of the bars' bucket, one to one.

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
        shards = self._shards(b)
        if b not in self.buckets() or not shards:
            raise StageError(f"bucket {b} of {self.root.name} is not featurized: run `{self._command()}` first")
        wanted = pl.all() if columns is None else [*KEY, "date", *columns]
        ends = since.year if since else 0, before.year if before else 9999
        paths = [path for year, path in shards.items() if ends[0] <= year <= ends[1]]
        scan = pl.scan_parquet(paths or [min(shards.items())[1]], hive_partitioning=False, glob=False)
        if before is not None:
            scan = scan.filter(pl.col("date").cast(pl.Date) < before)
        if since is not None:
            scan = scan.filter(pl.col("date").cast(pl.Date) >= since)
        if symbols is not None:
            keys = pl.LazyFrame(symbols, schema=dict.fromkeys(KEY, pl.String()), orient="row")
            scan = scan.filter(pl.col("symbol").is_in([s for _, s in symbols])).join(keys, on=KEY, how="semi")
        with atomic.read_errors(self.root, self._remedy()):
            return scan.select(wanted).sort(*KEY, "date").collect()

    def read_matrix(self, b: int, columns: list[str], bars: pl.DataFrame) -> Matrix | None:
        """Features of one bucket for the given rows, year by year, so that they are never twice in memory.

        Parameters
        ----------
        bars
            The bucket's bars, sorted by key and date; rows after their last day are left out of the features.

        Returns
        -------
        float32, shape (rows of `bars`, columns)
            NaN where undefined; None where the features are of other rows.
        """
        matrix = np.empty((bars.height, len(columns)), dtype=np.float32)
        years, last, seen = bars["date"].dt.year(), bars["date"].max(), 0
        for year, path in self._shards(b).items():
            with atomic.read_errors(path, self._remedy()):
                rows = pl.read_parquet(path, columns=[*KEY, "date", *columns], hive_partitioning=False, glob=False)
            rows = rows.filter(pl.col("date") <= last)
            where = (years == year).arg_true()
            if not rows.select(*KEY, "date").equals(bars.select(*KEY, "date")[where]):
                return None
            matrix[where.to_numpy()] = rows.select(columns).to_numpy()
            seen += rows.height
        return matrix if seen == bars.height else None

    def read_year(self, b: int, year: int, columns: list[str]) -> pl.DataFrame | None:
        """Features of one bucket and calendar year with their keys and dates; None where it has no row of that year.

        Raises
        ------
        StageError
            The shard can't be read, or lacks a column.
        """
        path = self._shards(b).get(year)
        if path is None:
            return None
        with atomic.read_errors(path, self._remedy()):
            return pl.read_parquet(path, columns=[*KEY, "date", *columns], hive_partitioning=False, glob=False)

    def write_bucket(self, b: int, frame: pl.DataFrame) -> None:
        """Replace one bucket; a year whose values didn't change keeps its file."""
        old = self._shards(b)
        parts = frame.with_columns(pl.col("date").dt.year().alias("year")).partition_by(
            "year", as_dict=True, include_key=False
        )
        for (year,), part in parts.items():
            path = self.root / f"b{b:03d}-{year:04d}.parquet"
            if old.pop(int(str(year)), None) is None or not _same(path, part):
                write_parquet(part, path)
        for path in old.values():
            path.unlink()

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
        stored, checked = self.ledger.fact(b, "features") or {}, self.ledger.fact(b, "checked") or {}
        same = self.ledger.fact(b, "bars") == bars and all(stored.get(name) == code for name, code in hashes.items())
        passed = all(checked.get(name) == stamp(code) for name, code in own_hashes(hashes).items())
        same &= self._of_facts(b, facts)
        return same and passed and (panel is None or self.ledger.fact(b, "panel") == panel)

    def drop_obsolete(self, buckets: int) -> None:
        """Remove buckets beyond the dataset's number of them: left from another universe of the same name."""
        for b in self.buckets():
            if b >= buckets:
                self.ledger.forget(b)
                for path in self._shards(b).values():
                    path.unlink()

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
        self.ledger.record(b, "", states, **made_from, features=hashes, checked=checked)

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
        stored = self.ledger.fact(b, "features") or {}
        checked = self.ledger.fact(b, "checked") or {}
        changed = [name for name, code in hashes.items() if stored.get(name) != code]
        changed += [name for name, code in own_hashes(hashes).items() if checked.get(name) != stamp(code)]
        if changed:
            raise StageError(
                f"features of universe={self.root.name} lack {changed[0]} as it is declared now "
                f"({len(changed)} of {len(hashes)} such): {remedy}"
            )
        if self.ledger.fact(b, "bars") != bars:
            raise StageError(f"features of universe={self.root.name} are older than its bars: {remedy}")
        if held := self.probation.reason(hashes):
            raise StageError(f"features of universe={self.root.name}: {held}: {remedy}")
        if not self._of_facts(b, facts):
            raise StageError(f"features of universe={self.root.name} are older than its facts of research: {remedy}")
        if not self.is_current(b, bars, self.pinned() if looks else None, hashes, facts):
            raise StageError(f"features of universe={self.root.name} were computed with another panel: {remedy}")

    def _of_facts(self, b: int, facts: Mapping[str, str] | None) -> bool:
        stored = self.ledger.fact(b, "facts") or {}
        return all(stored.get(kind) == digest for kind, digest in (facts or {}).items())

    def _command(self, *words: str) -> str:
        return command("featurize", *words, stored=self.root.name)

    def _remedy(self) -> str:
        return f"run `{self._command('fresh=true')}`, which computes it again"

    def _shards(self, b: int) -> dict[int, Path]:
        return {int(path.stem.split("-")[1]): path for path in sorted(self.root.glob(f"b{b:03d}-*.parquet"))}


def fill(task: BucketTask) -> Filled | Foresight:
    """Compute and write one bucket; the record that it is done is left to the caller.

    Returns
    -------
    Filled or Foresight
        What was found where a column of the user's own looks ahead; nothing is written then.
    """
    store = FeatureStore(task.features)
    bars = BarStore(task.bars).read_bucket(task.bucket)
    graph = FeatureGraph(select(task.choice, task.interval, task.windows))
    facts = FactLookup.of(FactStore(task.facts), task.bucket, graph.kinds, task.interval) if task.facts else None
    try:
        examine = examiner(graph.features, task.trials)
        table, failed = evaluate(bars, graph, PanelLookup(store.panel()), examine, facts=facts)
    except ForesightError as error:
        return error.found
    store.write_bucket(task.bucket, table)
    return Filled(table.height, failed)


def _same(path: Path, frame: pl.DataFrame) -> bool:
    try:
        return pl.read_parquet(path, hive_partitioning=False, glob=False).equals(frame)
    except (pl.exceptions.PolarsError, OSError):
        return False  # unreadable: written again
