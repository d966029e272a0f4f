"""The lag by which a source's history is dated, kept with its documents: it is decided once, when the first is stored.

One small file in the source's folder, whose name holds the hours. Two machines that began with different lags have two
files once their folders are joined; the longer lag counts.
"""

from __future__ import annotations

import datetime as dt
import logging
import re
from collections.abc import Mapping
from pathlib import Path

from src.storage import atomic

log = logging.getLogger(__name__)
_NAME = re.compile(r"lag-(\d+(?:\.\d+)?)\.txt")
_TEXT = "Hours added to the publisher's time of history; every machine dates by the longest that lies here.\n"
_USUAL = 24.0


class KeptLags:
    """Lags of the sources of one store.

    Parameters
    ----------
    root : Path
        Folder of the store.
    chosen : mapping
        Hours by source, and ``default``: they count for sources of which nothing is stored.
    """

    def __init__(self, root: Path, chosen: Mapping[str, float]) -> None:
        self._root, self._chosen = root, dict(chosen)
        self._seen: set[str] = set()

    def hours(self, source: str) -> dt.timedelta:
        """Lag of a source.

        Parameters
        ----------
        source : str

        Returns
        -------
        timedelta
        """
        kept = self._kept(source)
        return dt.timedelta(hours=self._wanted(source) if kept is None else kept)

    def keep(self, source: str) -> None:
        """Keep the lag of a source, of which documents are about to be stored, and say if another one is chosen.

        Parameters
        ----------
        source : str
        """
        if source in self._seen:
            return
        self._seen.add(source)
        kept, wanted = self._kept(source), self._wanted(source)
        if kept is None:
            atomic.write_text(_TEXT, self._root / source / f"lag-{wanted:.10g}.txt")
        elif source in self._chosen and kept != wanted:
            log.warning(
                "a lag of %g hours for %s has no effect: what is stored of it is dated by %g hours",
                wanted, source, kept,
            )  # fmt: skip

    def _wanted(self, source: str) -> float:
        return self._chosen.get(source, self._chosen.get("default", _USUAL))

    def _kept(self, source: str) -> float | None:
        folder = self._root / source
        names = [_NAME.fullmatch(path.name) for path in folder.iterdir()] if folder.is_dir() else []
        return max((float(found[1]) for found in names if found), default=None)
