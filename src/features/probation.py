"""Columns of the user's own that training may not use yet: they are being checked for look-ahead, or one was refused.

What one instrument shows condemns a column on all of them, so none is used before every bucket has passed.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from src.features.catalog import is_own
from src.features.look_ahead import Foresight
from src.storage.atomic import read_json, write_json

FILE = "own_features.json"


class Probation:
    """The user's columns of one dataset that wait or were refused, by the hash of their code.

    Parameters
    ----------
    root : Path
        Folder of the dataset's features; it need not exist.
    """

    def __init__(self, root: Path) -> None:
        self.path = root / FILE

    def hold(self, hashes: Mapping[str, str], finding: Foresight | None = None) -> None:
        """Keep columns from training.

        Parameters
        ----------
        hashes : mapping of str to str
            Code hash of every chosen column by name; those of the project are passed over.
        finding : Foresight, optional
            Why one of them is refused.
        """
        held = {code: {"name": name, "reason": None} for name, code in own_hashes(hashes).items()}
        refused = {code: entry for code, entry in self._waiting().items() if entry["reason"]}
        if finding:
            refused[hashes[finding.name]] = {"name": finding.name, "reason": finding.reason}
        if held:
            write_json(held | refused, self.path)

    def release(self, hashes: Mapping[str, str], *, whole: bool) -> None:
        """Let training use the columns of these hashes: all buckets that were looked at have passed.

        A column that was refused is released only if that was the `whole` universe.
        """
        waiting = self._waiting()
        left = {
            code: entry
            for code, entry in waiting.items()
            if code not in hashes.values() or (entry["reason"] and not whole)
        }
        if left != waiting:
            write_json(left, self.path)

    def reason(self, hashes: Mapping[str, str]) -> str:
        """Why one of these columns may not be used; empty where all may."""
        own = own_hashes(hashes)
        waiting = self._waiting() if own else {}
        for name, code in own.items():
            if code in waiting:
                return waiting[code]["reason"] or f"{name} is not yet checked for look-ahead on all instruments"
        return ""

    def _waiting(self) -> dict[str, dict[str, str | None]]:
        return dict(read_json(self.path)) if self.path.is_file() else {}


def own_hashes(hashes: Mapping[str, str]) -> dict[str, str]:
    """Hashes of the user's own columns among those of all."""
    return {name: code for name, code in hashes.items() if is_own(name)}
