"""Bars of one instrument from several files: joined where the files agree, set aside where they don't.

Files agree where they give the same values on the days that they share. Without a shared day they must be parts by
their layout (a table, a Hive folder, a period in the name): the files of two companies that had one ticker in turn
share no day either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import polars as pl

from src.core.end_state import EndState
from src.core.finding import BarFinding
from src.core.instruments import KEY, Key

ORIGIN = "origin"
"""Column with the number of the file that a row comes from."""
_VALUES = ("open", "high", "low", "close", "volume", "adj_close")
_TOLERANCE = 1e-6  # relative: rounding of a rewritten number
_SHOWN = 4
RULE = "several_files"


@dataclass(frozen=True)
class FileOrigin:
    """One file, as far as joining needs to know it.

    Attributes
    ----------
    name : str
        For messages: its path below the source's.
    is_part : bool
        Whether its layout says that other files hold the rest of its instruments.
    place : str
        For counting: the table, or the folder of a file of one instrument; empty for the source's own folder.
    unused : tuple of str
        Columns that may hold events, and are not read.
    """

    name: str
    is_part: bool
    place: str = ""
    unused: tuple[str, ...] = ()


def joined(
    bars: pl.DataFrame, origins: Sequence[FileOrigin]
) -> tuple[pl.DataFrame, list[EndState], dict[Key, list[BarFinding]]]:
    """Join the rows of instruments that come from several files.

    Parameters
    ----------
    bars : DataFrame
        asset_class, symbol, date, values and `ORIGIN`, in the order of the files.
    origins : sequence of FileOrigin
        By number.

    Returns
    -------
    bars : DataFrame
        Without `ORIGIN`, without the rows that another file repeats, and without instruments that are set aside.
    unusable : list of EndState
        Instruments whose files don't agree: quarantined, with the names of two of them.
    remarks : dict of (asset_class, symbol) to list of BarFinding
        Of instruments joined from files that don't say that they are parts.
    """
    if bars[ORIGIN].n_unique() <= 1:
        return bars.drop(ORIGIN), [], {}
    counts = _numbers(bars)
    several = counts.filter(pl.col(ORIGIN).list.len() > 1)
    if several.is_empty():
        return bars.drop(ORIGIN), [], {}
    rows = bars.join(several.select(KEY), on=KEY, how="semi", maintain_order="left")
    shared = rows.filter(pl.col("date").is_not_null()).filter(pl.col(ORIGIN).n_unique().over(*KEY, "date") > 1)
    differing = {(kind, symbol): found for kind, symbol, *found in _differing(shared).iter_rows()}
    links = shared.select(*KEY, "date", ORIGIN).unique()
    linked = {(k, s): set(o) for k, s, o in links.group_by(KEY).agg(pl.col(ORIGIN).unique()).iter_rows()}
    unusable: list[EndState] = []
    remarks: dict[Key, list[BarFinding]] = {}
    for kind, symbol, numbers in several.iter_rows():
        key = (kind, symbol)
        names = [origins[n].name for n in numbers]
        alone = [n for n in numbers if not origins[n].is_part and n not in linked.get(key, set())]
        if key in differing:
            unusable.append(EndState(kind, symbol, "quarantined", _conflict(differing[key], origins), rule=RULE))
        elif alone:
            unusable.append(
                EndState(kind, symbol, "quarantined", _apart(rows, key, alone[0], numbers, origins), rule=RULE)
            )
        elif not all(origins[n].is_part for n in numbers):
            said = f"joined from {len(names)} files that agree: {_listed(names)}"
            remarks[key] = [BarFinding(RULE, "noted", said)]
    out = pl.DataFrame([state.key for state in unusable], schema=dict.fromkeys(KEY, pl.String()), orient="row")
    kept = bars.join(out, on=KEY, how="anti", maintain_order="left")
    again = pl.struct(*KEY, "date").is_first_distinct() | pl.col("date").is_null()
    repeated = shared.select(*KEY, "date").unique().with_columns(shared=pl.lit(True))
    kept = kept.join(repeated, on=[*KEY, "date"], how="left", maintain_order="left")
    kept = kept.filter(again | pl.col("shared").is_null())
    return kept.drop(ORIGIN, "shared"), unusable, remarks


def files_of(bars: pl.DataFrame) -> tuple[list[Key], list[list[int]]]:
    """The files that each instrument's rows come from.

    Parameters
    ----------
    bars : DataFrame
        asset_class, symbol and `ORIGIN`, each file's rows together.

    Returns
    -------
    keys : list of (asset_class, symbol)
        Each once.
    numbers : list of list of int
        Of their files, ascending.
    """
    table = _numbers(bars)
    return list(table.select(KEY).iter_rows()), table[ORIGIN].to_list()


def _numbers(bars: pl.DataFrame) -> pl.DataFrame:
    begins = _begins(ORIGIN) | _begins("symbol") | _begins("asset_class")
    pairs = bars.select(ORIGIN, *KEY).filter(begins).unique()
    return pairs.group_by(KEY).agg(pl.col(ORIGIN).sort())


def _begins(name: str) -> pl.Expr:
    """Whether a row differs from the one before; a long series is one run, which makes counting fast."""
    return pl.col(name).ne_missing(pl.col(name).shift(1)) | (pl.int_range(pl.len()) == 0)


def _differing(shared: pl.DataFrame) -> pl.DataFrame:
    """The first shared day on which two files differ, by instrument: date, column, both values, both files."""
    kinds: dict[str, pl.DataType] = {name: pl.String() for name in KEY}
    kinds |= {"date": shared.schema["date"], "column": pl.String(), "low": pl.Float64(), "high": pl.Float64()}
    kinds |= {"first": pl.UInt32(), "second": pl.UInt32()}
    found = [pl.DataFrame(schema=kinds)]
    for name in (name for name in _VALUES if name in shared.columns):
        value = pl.col(name)
        days = shared.filter(value.is_finite()).group_by(*KEY, "date").agg(
            low=value.min(), high=value.max(), first=pl.col(ORIGIN).get(value.arg_min()).cast(pl.UInt32),
            second=pl.col(ORIGIN).get(value.arg_max()).cast(pl.UInt32),
        )  # fmt: skip
        far = (pl.col("high") - pl.col("low")) > _TOLERANCE * pl.max_horizontal(
            pl.col("high").abs(), pl.col("low").abs()
        )
        days = days.filter(far & (pl.col("first") != pl.col("second"))).with_columns(column=pl.lit(name))
        found.append(days.select(*kinds))
    return pl.concat(found).sort(*KEY, "date").unique(KEY, keep="first", maintain_order=True)


def _conflict(found: Sequence[object], origins: Sequence[FileOrigin]) -> str:
    day, column, low, high, first, second = found
    return (
        f"two files differ on {day}: {column} is {low:g} in {origins[int(str(first))].name} and {high:g} in"
        f" {origins[int(str(second))].name}: put one of them away, or give it another name"
    )


def _apart(
    rows: pl.DataFrame, key: tuple[str, str], lone: int, numbers: Sequence[int], origins: Sequence[FileOrigin]
) -> str:
    """Two files of one symbol without a common day."""
    mine = rows.filter((pl.col(KEY[0]) == key[0]) & (pl.col(KEY[1]) == key[1]))
    days = mine.group_by(ORIGIN).agg(first=pl.col("date").min(), last=pl.col("date").max())
    spans = {n: (first, last) for n, first, last in days.iter_rows()}
    other = next(n for n in numbers if n != lone)
    said = " and ".join(f"{origins[n].name} ({spans[n][0]} to {spans[n][1]})" for n in sorted((lone, other)))
    return (
        f"two files have no day in common, so that nothing shows that they are one series: {said}: put one of them"
        " away, give it another name, or join them in one file"
    )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else "")
