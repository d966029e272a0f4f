"""Failures of training with their tracebacks, kept until the run works: one small record an instrument beside the runs.

``data/runs/<dataset>/failures/stock.AAPL.json`` holds reason and traceback by model family. A family that works is
taken out, and the file is removed with the last one. ``python -m src.data AAPL`` shows it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from src.core.failure import Failure
from src.core.instruments import Key
from src.runtime.redaction import shown, shown_lines
from src.storage.ledger import Ledger


class Failures:
    """Failures of one dataset's training; each call is durable on return.

    Parameters
    ----------
    root : Path
        ``data/runs/<dataset>``.
    """

    def __init__(self, root: Path) -> None:
        self._ledger = Ledger(Path(root) / "failures")
        self._units = set(self._ledger.names())

    def of(self, key: Key) -> dict[str, dict[str, Any]]:
        """Read the failures of an instrument.

        Parameters
        ----------
        key : (asset_class, symbol)

        Returns
        -------
        dict
            Family to ``reason``, ``traceback``, ``at`` and ``session_key``; empty where nothing failed.
        """
        families: dict[str, dict[str, Any]] | None = self._ledger.fact(".".join(key), "families")
        return families or {}

    def settle(self, key: Key, session_key: str, worked: Iterable[str], failed: Mapping[str, Failure]) -> None:
        """Record which families of an instrument worked now, and which failed.

        Parameters
        ----------
        key : (asset_class, symbol)
        session_key : str
            Key of the session that tried them.
        worked : iterable of str
            Families whose former failure is forgotten.
        failed : mapping
            Family to its failure.
        """
        unit = ".".join(key)
        if not failed and unit not in self._units:
            return
        families = {family: failure for family, failure in self.of(key).items() if family not in set(worked)}
        at = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        for family, failure in failed.items():
            families[family] = {
                "reason": shown(failure.reason),
                "traceback": shown_lines(failure.traceback),
                "at": at,
                "session_key": session_key,
            }
        if families:
            self._ledger.record(unit, session_key, families=families)
            self._units.add(unit)
        else:
            self._ledger.forget(unit)
            self._units.discard(unit)
