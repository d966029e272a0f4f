"""Durable record of a stage's work: which units are done under which key, and every instrument's state and reason.

One small JSON file a unit (a bucket of instruments), written last: a unit whose file is missing, or was written for
another key, is still to do. Killing the process loses the unit in work and no other.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl

from src.storage.atomic import write_json

STATES = ("done", "skipped", "failed", "quarantined")
WAITING = "its bars have no features yet: run featurize, then the same command"
"""Reason of an instrument that training skipped only because featurize has not come to it."""
SCHEMA: dict[str, Any] = {
    "asset_class": pl.String(),
    "symbol": pl.String(),
    "state": pl.String(),
    "reason": pl.String(),
    "rows": pl.Int64(),
    "first": pl.Date(),
    "last": pl.Date(),
}


class Ledger:
    """What is done in a folder, unit by unit.

    Parameters
    ----------
    folder
        Where the files ``b007.json`` stand; it need not exist.
    extra
        Columns of the state tables beyond `SCHEMA`, by name and type.
    """

    def __init__(self, folder: Path, extra: dict[str, Any] | None = None) -> None:
        self.folder = Path(folder)
        self.schema = SCHEMA | (extra or {})

    def record(self, unit: int, key: str, states: pl.DataFrame, **facts: Any) -> None:
        """Write that `unit` is done for `key`, with one row of `states` an instrument and further facts.

        Raises
        ------
        ValueError
            Where an instrument stands twice or has a state that is none of `STATES`.
        """
        if states.select("asset_class", "symbol").is_duplicated().any():
            raise ValueError(f"bucket {unit}: an instrument has two states")
        unknown = set(states["state"].unique()) - set(STATES)
        if unknown:
            raise ValueError(f"states must be of {', '.join(STATES)}, got {', '.join(map(str, sorted(unknown)))}")
        rows = states.select(self.schema.keys()).sort("asset_class", "symbol")
        write_json({"key": key, **facts, "states": rows.to_dicts()}, self._path(unit))

    def units(self) -> list[int]:
        """Units that have been recorded under any key, ascending."""
        return sorted(int(path.stem[1:]) for path in self.folder.glob("b*.json") if path.stem[1:].isdigit())

    def fact(self, unit: int, name: str = "key") -> Any:
        """One recorded fact of a unit, by default its key; None where the unit is not recorded."""
        return (self._read(unit) or {}).get(name)

    def done(self, unit: int, key: str) -> bool:
        """Whether `unit` was finished for exactly this `key`."""
        return bool(self.fact(unit) == key)

    def states(self, unit: int | None = None) -> pl.DataFrame:
        """One row an instrument: of one unit, or of all that are recorded, sorted by key."""
        units = self.units() if unit is None else [unit]
        rows = [row for each in units for row in (self._read(each) or {}).get("states", [])]
        dates = [name for name, kind in self.schema.items() if kind == pl.Date()]
        schema = {name: pl.String() if name in dates else kind for name, kind in self.schema.items()}
        frame = pl.DataFrame(rows, schema=schema, orient="row")
        return frame.with_columns(pl.col(dates).str.to_date("%Y-%m-%d")).sort("asset_class", "symbol")

    def forget(self, unit: int) -> None:
        """Drop the record of a unit."""
        self._path(unit).unlink(missing_ok=True)

    def _path(self, unit: int) -> Path:
        return self.folder / f"b{unit:03d}.json"

    def _read(self, unit: int) -> dict[str, Any] | None:
        try:
            content: dict[str, Any] = json.loads(self._path(unit).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except ValueError:
            return None  # damaged from outside: the unit counts as not done and is done again
        return content
