"""Durable record of a stage's work: which units are done, under which key, with which facts and states.

This is the one mechanism for "this unit is done". A unit is a bucket of instruments (an int) or anything with a name
(a str). Its record is one small JSON file that appears whole or not at all and is written last: a unit without a
record, or with a record under another key, is still to do. Killing the process loses the unit in work and no other.

Work that replaces several files of a unit first writes its record as an intent (`Ledger.begin`), then the files, then
the record itself (`Ledger.record`), which removes the intent. So after a kill the intent says what the unit was about
to become, and the same work is done again.

The log of answers that were received but not yet stored (`src.hydration.live.answer_log`) is another job: it grows by
one file per answer, holds data, and its files are deleted once a unit's record covers them.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import polars as pl

from src.storage.atomic import remove, write_json

log = logging.getLogger(__name__)
STATES = ("done", "skipped", "failed", "quarantined")
WAITING = "its bars have no features yet: run featurize, then the same command"
"""Reason of an instrument that training skipped only because its features are not made yet."""
SCHEMA: dict[str, Any] = {
    "asset_class": pl.String(),
    "symbol": pl.String(),
    "state": pl.String(),
    "reason": pl.String(),
    "rows": pl.Int64(),
    "first": pl.Date(),
    "last": pl.Date(),
}
Unit = int | str
Rows = pl.DataFrame | Iterable[Mapping[str, Any]]


@dataclass(frozen=True)
class Record:
    """What is recorded of one unit.

    Attributes
    ----------
    key : str
        Hash of everything that decided the unit's content.
    facts : dict
        Further facts, as JSON values.
    states : list of dict
        One row per instrument, sorted by asset class and symbol; dates and times as ISO text.
    """

    key: str
    facts: dict[str, Any] = field(default_factory=dict)
    states: list[dict[str, Any]] = field(default_factory=list)


class Ledger:
    """Records of the units of one folder.

    Parameters
    ----------
    folder : Path
        Where the records stand; it need not exist. Bucket 7 is ``b007.json``, the unit "etf.SPY" ``etf.SPY.json``.
    schema : mapping, optional
        Columns of the states by name and type; asset_class, symbol and state are among them.
    states : sequence of str
        The states that a row may have.
    kind : str
        Tells several ledgers of one folder apart: with "skips" the record is ``b007.skips.json``.
    """

    def __init__(
        self,
        folder: Path,
        schema: Mapping[str, Any] = SCHEMA,
        *,
        states: tuple[str, ...] = STATES,
        kind: str = "",
    ) -> None:
        self.folder = Path(folder)
        self.schema = dict(schema)
        self._allowed = states
        self._kind = f".{kind}" if kind else ""

    def record(self, unit: Unit, key: str, states: Rows = (), *, durable: bool = True, **facts: Any) -> None:
        """Write that a unit is done, and drop its intent.

        Parameters
        ----------
        unit : int or str
            The bucket or the name.
        key : str
            Hash of everything that decided the unit's content.
        states : DataFrame or iterable of mappings
            One row per instrument with the columns of the schema.
        durable : bool
            Wait until the record is on disk; pass False for what is cheap to do again after a power cut.
        **facts
            Further facts, as JSON values.

        Raises
        ------
        ValueError
            If an instrument has two rows or an unknown state.
        """
        write_json(self._content(unit, key, states, facts), self._path(unit), durable=durable)
        remove(self._intent_path(unit))

    def begin(self, unit: Unit, key: str, states: Rows = (), **facts: Any) -> None:
        """Write the record that a unit is about to have, before its files are replaced one by one.

        The parameters and errors are those of `record`, which ends what this begins.
        """
        write_json(self._content(unit, key, states, facts), self._intent_path(unit))

    def read(self, unit: Unit) -> Record | None:
        """The record of a unit.

        Parameters
        ----------
        unit : int or str
            The bucket or the name.

        Returns
        -------
        Record or None
            None without a record, or if it was damaged from outside: the unit is then done again.
        """
        return _read(self._path(unit))

    def intent(self, unit: Unit) -> Record | None:
        """The record that interrupted work was about to write.

        Parameters
        ----------
        unit : int or str
            The bucket or the name.

        Returns
        -------
        Record or None
            None if no work on the unit was interrupted after `begin`.
        """
        return _read(self._intent_path(unit))

    def units(self) -> list[int]:
        """Buckets with a record under any key, ascending."""
        return _buckets(self.names())

    def begun(self) -> list[int]:
        """Buckets with an intent, ascending."""
        ending = f"{self._kind}.intent"
        return _buckets(path.name.removesuffix(ending) for path in self.folder.glob(f"*{ending}"))

    def names(self, pattern: str = "*") -> list[str]:
        """Units with a record, by name.

        Parameters
        ----------
        pattern : str
            Glob pattern of the names, such as ``b*-1a2b3c4d``.

        Returns
        -------
        list of str
            Sorted; bucket 7 is "b007". Without a kind, every JSON file of the folder counts.
        """
        ending = f"{self._kind}.json"
        return sorted(unquote(path.name.removesuffix(ending)) for path in self.folder.glob(f"{pattern}{ending}"))

    def fact(self, unit: Unit, name: str = "key") -> Any:
        """One fact of a unit's record.

        Parameters
        ----------
        unit : int or str
            The bucket or the name.
        name : str
            Name of the fact; by default the key.

        Returns
        -------
        object
            None if the unit has no record or the record lacks the fact.
        """
        record = self.read(unit)
        if record is None:
            return None
        return record.key if name == "key" else record.facts.get(name)

    def done(self, unit: Unit, key: str) -> bool:
        """Whether a unit was finished under exactly this key.

        Parameters
        ----------
        unit : int or str
            The bucket or the name.
        key : str
            As given to `record`.

        Returns
        -------
        bool
            False if there is no record, or one under another key.
        """
        return bool(self.fact(unit) == key)

    def states(self, unit: Unit | None = None) -> pl.DataFrame:
        """States as a table.

        Parameters
        ----------
        unit : int or str, optional
            The bucket or the name; without it, all buckets.

        Returns
        -------
        DataFrame
            Columns of the schema, one row per instrument, sorted by asset class and symbol.
        """
        records = [self.read(each) for each in (self.units() if unit is None else [unit])]
        return self.table(row for record in records if record is not None for row in record.states)

    def table(self, rows: Iterable[Mapping[str, Any]]) -> pl.DataFrame:
        """Rows of `Record.states` as a table.

        Parameters
        ----------
        rows : iterable of mappings
            Dates and times as ISO text; columns that are missing become null.

        Returns
        -------
        DataFrame
            Columns of the schema, sorted by asset class and symbol.
        """
        parsed = {name: _parsed(name, kind) for name, kind in self.schema.items()}
        stored = {name: pl.String() if parsed[name] is not None else kind for name, kind in self.schema.items()}
        frame = pl.DataFrame(list(rows), schema=stored, orient="row")
        return frame.with_columns(each for each in parsed.values() if each is not None).sort("asset_class", "symbol")

    def forget(self, unit: Unit) -> None:
        """Drop the record of a unit, so that it counts as to be done.

        Parameters
        ----------
        unit : int or str
            The bucket or the name; it need not have a record.
        """
        remove(self._path(unit))

    def _content(self, unit: Unit, key: str, states: Rows, facts: dict[str, Any]) -> dict[str, Any]:
        given = states.iter_rows(named=True) if isinstance(states, pl.DataFrame) else states
        rows = [{name: row[name] for name in self.schema} for row in given]
        keys = [(row["asset_class"], row["symbol"]) for row in rows]
        if len(set(keys)) < len(keys):
            raise ValueError(f"unit {unit}: an instrument has two states")
        unknown = {str(row["state"]) for row in rows} - set(self._allowed)
        if unknown:
            raise ValueError(f"states must be of {', '.join(self._allowed)}, got {', '.join(sorted(unknown))}")
        rows.sort(key=lambda row: (row["asset_class"], row["symbol"]))
        return {"key": key, **facts, "states": rows}

    def _path(self, unit: Unit) -> Path:
        return self.folder / f"{_name(unit)}{self._kind}.json"

    def _intent_path(self, unit: Unit) -> Path:
        return self.folder / f"{_name(unit)}{self._kind}.intent"


def _name(unit: Unit) -> str:
    return f"b{unit:03d}" if isinstance(unit, int) else quote(unit, safe="")


def _buckets(names: Iterable[str]) -> list[int]:
    return sorted(int(name[1:]) for name in names if name.startswith("b") and name[1:].isdigit())


def _read(path: Path) -> Record | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        key, states = content.pop("key"), content.pop("states")
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, AttributeError):
        log.warning("%s can't be read: its unit counts as not done", path)
        return None
    return Record(key, content, states)


def _parsed(name: str, kind: Any) -> pl.Expr | None:
    """A column's dates or times from their ISO text; None for a type that JSON has itself."""
    if kind == pl.Date():
        return pl.col(name).str.to_date("%Y-%m-%d")
    if isinstance(kind, pl.Datetime):
        return pl.col(name).str.to_datetime("%+", time_zone=kind.time_zone, time_unit=kind.time_unit)
    return None
