"""Facts of one dataset on disk: one Parquet file a bucket and kind, in the buckets of the bars."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import polars as pl

from src.config.commands import command
from src.core.errors import StageError
from src.core.hashing import table_digest, text_digest
from src.core.instruments import Key
from src.documents.facts import COVERAGE, FACTS, schema
from src.storage import atomic
from src.storage.ledger import Ledger

NOTHING = "nothing"  # digest of a bucket or an instrument without any fact
_COVERAGE = "coverage"


class FactStore:
    """Facts in ``<root>/b007.insider_trades.parquet``, and in which intervals they are complete.

    Parameters
    ----------
    root : Path
        `DatasetPaths.facts`; it need not exist: a dataset without research has no facts.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)
        self.ledger = Ledger(self.root)

    def write(self, b: int, tables: Mapping[str, pl.DataFrame], coverage: pl.DataFrame) -> bool:
        """Replace the facts of one bucket; files whose content is the same stay as they are.

        Parameters
        ----------
        b : int
            Bucket of the bars.
        tables : mapping of str to DataFrame
            Facts by kind, columns of `schema`, in any order; kinds that are left out have none.
        coverage : DataFrame
            Columns of `COVERAGE`.

        Returns
        -------
        bool
            Whether anything changed.
        """
        tables = {kind: _sorted(tables[kind], kind) for kind in FACTS if kind in tables and tables[kind].height}
        coverage = coverage.select(COVERAGE.keys()).cast(pl.Schema(COVERAGE)).sort(*COVERAGE)
        digests = {kind: table_digest(table) for kind, table in tables.items()} | {_COVERAGE: table_digest(coverage)}
        if self.ledger.fact(b, "digests") == digests and all(self._path(b, kind).is_file() for kind in digests):
            return False
        self.ledger.forget(b)
        for kind, table in (tables | {_COVERAGE: coverage}).items():
            atomic.write_parquet(table, self._path(b, kind))
        for kind in FACTS:
            if kind not in tables:
                atomic.remove(self._path(b, kind))
        self.ledger.record(b, text_digest(*map(str, sorted(digests.items()))), digests=digests)
        return True

    def drop_obsolete(self, buckets: int) -> None:
        """Remove buckets beyond the dataset's number of them."""
        for b in self.ledger.units():
            if b >= buckets:
                self.ledger.forget(b)
                for path in self.root.glob(f"b{b:03d}.*.parquet"):
                    atomic.remove(path)

    def read(self, b: int, kind: str, keys: Iterable[Key] | None = None) -> pl.DataFrame:
        """Facts of one kind, sorted by instrument and known time.

        Parameters
        ----------
        b : int
        kind : str
            A key of `FACTS`, or ``coverage``.
        keys : iterable of (asset_class, symbol), optional
            Instruments that are wanted.

        Returns
        -------
        DataFrame
            Columns of `schema` (or `COVERAGE`); empty without facts.

        Raises
        ------
        StageError
            If the file can't be read.
        """
        columns = COVERAGE if kind == _COVERAGE else schema(kind)
        path = self._path(b, kind)
        if self.ledger.read(b) is None or not path.is_file():
            return pl.DataFrame(schema=columns)
        with atomic.read_errors(path, f"run `{self._command()}`, which derives it again"):
            table = pl.read_parquet(path, glob=False)
        if list(table.columns) != list(columns):
            raise StageError(f"{path.as_posix()} has other columns than this release: run `{self._command()}`")
        if keys is None:
            return table
        wanted = pl.DataFrame(list(keys), schema=dict.fromkeys(("asset_class", "symbol"), pl.String()), orient="row")
        return table.join(wanted, on=["asset_class", "symbol"], how="semi", maintain_order="left")

    def digest(self, b: int, kinds: Iterable[str]) -> str:
        """Hash of a bucket's facts of some kinds and of their coverage.

        Parameters
        ----------
        b : int
        kinds : iterable of str

        Returns
        -------
        str
            `NOTHING` where there are no facts, and where no kind is asked for.
        """
        wanted = sorted({*kinds})
        digests: dict[str, str] = self.ledger.fact(b, "digests") or {}
        if not wanted or not digests:
            return NOTHING
        return text_digest(*(f"{kind} {digests.get(kind, NOTHING)}" for kind in (*wanted, _COVERAGE)))

    def _command(self) -> str:
        return command("ingest", stored=self.root.name)

    def _path(self, b: int, kind: str) -> Path:
        return self.root / f"b{b:03d}.{kind}.parquet"


def _sorted(table: pl.DataFrame, kind: str) -> pl.DataFrame:
    columns = schema(kind)
    return table.select(columns.keys()).cast(pl.Schema(columns)).sort(*columns)
