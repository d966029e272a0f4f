"""What could not be trained, with the traceback, until it is: one small file an instrument beside the runs.

``data/runs/<dataset>/failures/stock.AAPL.json`` holds reason and traceback by model family; a family that works takes
its own out, and the file goes with the last. ``python -m src.data AAPL`` shows it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from src.engine.outcome import Failure
from src.storage import atomic

Key = tuple[str, str]


class Failures:
    """Failures of one dataset's training, durable as soon as they are told.

    Parameters
    ----------
    root : Path
        ``data/runs/<dataset>``.
    """

    def __init__(self, root: Path) -> None:
        self._folder = Path(root) / "failures"
        self._known = {path.name for path in self._folder.glob("*.json")}

    def of(self, key: Key) -> dict[str, dict[str, Any]]:
        """By model family: ``reason``, ``traceback``, ``at`` and ``session_key``; empty where nothing failed."""
        path = self._path(key)
        try:
            found: dict[str, dict[str, Any]] = atomic.read_json(path)["families"]
        except (FileNotFoundError, ValueError, KeyError):  # none, or damaged from outside: the next failure writes it
            return {}
        return found

    def settle(self, key: Key, session_key: str, worked: Iterable[str], failed: Mapping[str, Failure]) -> None:
        """Say which families of an instrument worked now, and which failed."""
        path = self._path(key)
        if not failed and path.name not in self._known:
            return
        left = {family: said for family, said in self.of(key).items() if family not in set(worked)}
        at = dt.datetime.now(dt.UTC)
        for family, failure in failed.items():
            told = {"reason": failure.reason, "traceback": failure.traceback}
            left[family] = {**told, "at": at.isoformat(timespec="seconds"), "session_key": session_key}
        if left:
            atomic.write_json({"asset_class": key[0], "symbol": key[1], "families": left}, path)
            self._known.add(path.name)
        else:
            atomic.remove(path)
            self._known.discard(path.name)

    def _path(self, key: Key) -> Path:
        return self._folder / f"{quote('.'.join(key), safe='')}.json"
