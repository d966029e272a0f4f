"""Tones that cost much to compute, kept on this machine by the hash of the text."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from pathlib import Path

import polars as pl

from src.storage import atomic

log = logging.getLogger(__name__)
_KEPT = {"text": pl.String(), "tone": pl.Float64()}


class KeptTones:
    """Tones of one version of a model.

    Parameters
    ----------
    state : Path or None
        Folder of this machine's state; None keeps nothing.
    version : str
        Of the model: tones of other versions are removed.
    """

    def __init__(self, state: Path | None, version: str) -> None:
        self._path = state / "tones" / f"{version}.parquet" if state else None
        self._known: dict[str, float] = {}
        if self._path and self._path.parent.is_dir():
            for other in self._path.parent.glob("*.parquet"):
                if other != self._path:
                    atomic.remove(other)
        if self._path and self._path.is_file():
            try:
                self._known = dict(pl.read_parquet(self._path, glob=False).iter_rows())
            except (OSError, pl.exceptions.PolarsError) as error:
                log.warning("%s can't be read (%s): its texts are scored once more", self._path.as_posix(), error)

    def tones(self, texts: list[str], score: Callable[[list[str]], list[float]]) -> list[float]:
        """Tones of texts, those that are not kept by `score`.

        Parameters
        ----------
        texts : list of str
        score : callable
            Gives texts their tones.

        Returns
        -------
        list of float
        """
        keys = [hashlib.blake2b(text.encode(), digest_size=12).hexdigest() for text in texts]
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in self._known}
        if missing:
            self._known |= dict(zip(missing, score(list(missing.values())), strict=True))
            if self._path:
                rows = pl.DataFrame(list(self._known.items()), schema=_KEPT, orient="row")
                atomic.write_parquet(rows, self._path)
        return [self._known[key] for key in keys]
