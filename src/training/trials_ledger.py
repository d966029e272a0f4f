"""The trials of all sessions on a data folder, in files that outlive the runs: ``data/trials/<dataset>/``.

Each session writes files of its own, so that commands on several datasets can write at once. While a session works,
each bucket that it closes is a file under ``pending/``; at the end they are merged into one. Nothing is ever taken out:
`src.clean` leaves the folder alone, and no DVC stage owns it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from src.core.instruments import KEY
from src.storage import atomic

TRIALS_SCHEMA: dict[str, Any] = {
    **dict.fromkeys((*KEY, "interval", "dataset", "session_key", "run_key"), pl.String()),
    "trial": pl.String(),  # the same for all extensions of the bars that were tried first
    "settings": pl.String(),  # the parts of the run key less bars and panel
    "strategy": pl.String(),  # settings that turn predictions into returns
    "label": pl.String(),
    "family": pl.String(),
    "first_oos": pl.Date(),
    "last_oos": pl.Date(),
    "bars": pl.String(),
    "last_bar": pl.Datetime("us"),
    "series": pl.String(),  # key of a fingerprint
    "seen": pl.Datetime("us", "UTC"),
}
SERIES_SCHEMA: dict[str, Any] = {
    "series": pl.String(),
    "asset_class": pl.String(),
    "interval": pl.String(),
    "minutes": pl.List(pl.Int32()),
    "returns": pl.List(pl.Float32()),
}
_SCHEMAS = {"series": SERIES_SCHEMA, "trials": TRIALS_SCHEMA}  # in the order in which they are written
_IDENTITY = {"series": ["series", "asset_class", "interval"], "trials": [*KEY, "interval", "run_key", "session_key"]}
_REMEDY = "restore it from a copy; if there is none, move it away, and its trials no longer count against new passes"


class TrialsLedger:
    """Trials of every dataset of a data folder, and the files of one dataset in it.

    Parameters
    ----------
    root : Path
        ``data/trials``; created by the first write.
    dataset : str
        Whose sessions write here.
    """

    def __init__(self, root: Path, dataset: str) -> None:
        self.root = root
        self.dataset = dataset
        self._folder = root / dataset

    def trials(self, classes: Sequence[str], interval: str) -> pl.DataFrame:
        """Read the trials on these classes at this interval, and all of the ledger's own dataset.

        Parameters
        ----------
        classes : sequence of str
        interval : str

        Returns
        -------
        DataFrame
            Columns of `TRIALS_SCHEMA`: one row for each session that graded a run, sorted.

        Raises
        ------
        StageError
            If a file can't be read; the message names it.
        """
        wanted = pl.col("asset_class").is_in(list(classes)) & (pl.col("interval") == interval)
        return self._read("trials", wanted | (pl.col("dataset") == self.dataset)).sort(_IDENTITY["trials"])

    def series(self, classes: Sequence[str], interval: str) -> pl.DataFrame:
        """Read the fingerprints of these classes at this interval.

        Parameters
        ----------
        classes : sequence of str
        interval : str

        Returns
        -------
        DataFrame
            Columns of `SERIES_SCHEMA`, sorted.

        Raises
        ------
        StageError
            If a file can't be read; the message names it.
        """
        wanted = pl.col("asset_class").is_in(list(classes)) & (pl.col("interval") == interval)
        return self._read("series", wanted).sort(_IDENTITY["series"])

    def run_keys(self) -> set[str]:
        """Return the keys of all runs that the dataset's own files hold."""
        own = pl.col("dataset") == self.dataset
        return set(self._read("trials", own, f"{self.dataset}/")["run_key"])

    def sessions(self) -> set[str]:
        """Return the first eight digits of the keys of all sessions of the dataset that have written."""
        paths = [*self._folder.glob("*.trials.parquet"), *self._folder.glob("pending/*.trials.parquet")]
        return {path.name[:8] for path in paths}

    def add(self, session_key: str, piece: str, trials: pl.DataFrame, series: pl.DataFrame) -> None:
        """Add trials, durable on return.

        Parameters
        ----------
        session_key : str
            Key of the session that graded them.
        piece : str
            Tells the pieces of a session apart until they are merged, such as ``b007``.
        trials, series : DataFrame
            Columns of `TRIALS_SCHEMA` and `SERIES_SCHEMA`; the fingerprints are written first.
        """
        for kind, rows in (("series", series), ("trials", trials)):
            path = self._folder / "pending" / f"{session_key[:8]}-{piece}.{kind}.parquet"
            if rows.height:
                atomic.write_parquet(_united(kind, [*([path] if path.exists() else []), rows]), path)

    def merge(self) -> None:
        """Merge what sessions of the dataset left pending; safe to repeat after a crash at any point."""
        atomic.remove_temporaries(self._folder)
        for kind in _SCHEMAS:
            pending = sorted(self._folder.glob(f"pending/*.{kind}.parquet"))
            for session in dict.fromkeys(path.name[:8] for path in pending):
                target = self._folder / f"{session}.{kind}.parquet"
                pieces = [path for path in pending if path.name.startswith(session)]
                atomic.write_parquet(_united(kind, [*([target] if target.exists() else []), *pieces]), target)
                for path in pieces:
                    atomic.remove(path)

    def _read(self, kind: str, wanted: pl.Expr, under: str = "*/") -> pl.DataFrame:
        """Read every file of a kind; pending ones first, as they may be merged meanwhile."""
        frames = [pl.DataFrame(schema=_SCHEMAS[kind])]
        for path in sorted(self.root.glob(f"{under}pending/*.{kind}.parquet")):
            with contextlib.suppress(FileNotFoundError):  # merged: its rows are in the file that is read below
                frames.append(_rows(kind, path, wanted))
        frames += [_rows(kind, path, wanted) for path in sorted(self.root.glob(f"{under}*.{kind}.parquet"))]
        return pl.concat(frames).unique(_IDENTITY[kind], keep="first", maintain_order=True)


def _united(kind: str, parts: Sequence[Path | pl.DataFrame]) -> pl.DataFrame:
    frames = [_rows(kind, part) if isinstance(part, Path) else part.select(list(_SCHEMAS[kind])) for part in parts]
    return pl.concat(frames).unique(_IDENTITY[kind], keep="first", maintain_order=True).sort(_IDENTITY[kind])


def _rows(kind: str, path: Path, wanted: pl.Expr | None = None) -> pl.DataFrame:
    with atomic.read_errors(path, _REMEDY):
        scan = pl.scan_parquet(path, glob=False).select(list(_SCHEMAS[kind]))
        return (scan if wanted is None else scan.filter(wanted)).collect().cast(pl.Schema(_SCHEMAS[kind]))
