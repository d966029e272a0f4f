"""What is known on a day does not depend on later bars, later splits, later listings or delistings."""

from dataclasses import fields

import numpy as np
import polars as pl
import pytest

from src.evaluation.pooled.eligibility import eligible
from src.evaluation.pooled.neutralising import neutralised
from src.evaluation.pooled.rolling import close_returns
from src.evaluation.pooled.styles import styles
from src.evaluation.pooled.targets import KINDS, targets
from tests.evaluation.pooled.universe_case import CHOICE, DAYS, bars, label, section_of

ROW = 250  # what comes after it is changed
HORIZON = 5


def tables(
    universe: dict[str, pl.DataFrame], until: str | None = None
) -> tuple[tuple[str, ...], dict[str, np.ndarray]]:
    """Every table of the pooled scope: those of decisions by row, those of outcomes by the row of the exit."""
    section = section_of(universe, until)
    members = eligible(section, CHOICE)
    known = styles(section, members, CHOICE)
    out = {name: getattr(section, name) for name in ("open", "close", "dollar_volume", "traded_price", "half_spread")}
    out |= {"eligible": members} | {each.name: getattr(known, each.name) for each in fields(known)}
    out["neutralised"] = neutralised(close_returns(section.close), members, known)
    for kind in KINDS:
        found = targets(section, members, known, label(kind, HORIZON, clip=0.5), CHOICE)
        for name in ("value", "up", "forward"):
            out[f"{kind}.{name}"] = np.roll(getattr(found, name), HORIZON + 1, axis=0)
    return section.symbols, out


@pytest.fixture(scope="module")
def before():
    return tables(bars())


def differing(one, other, rows: int, relative: float = 0.0) -> list[str]:
    """Tables that differ in the first rows, over the names that both have."""
    names = [name for name in one[0] if name in other[0]]
    assert len(names) >= len(one[0]) - 1
    found = []
    for name in one[1]:
        mine, theirs = (
            tables[name][:rows][:, [symbols.index(each) for each in names]].astype(np.float64)
            for symbols, tables in (one, (other[0], other[1]))
        )
        if not np.allclose(mine, theirs, rtol=relative, atol=relative, equal_nan=True):
            found.append(name)
    return found


def after(frame: pl.DataFrame, **columns: pl.Expr) -> pl.DataFrame:
    """The bars with other values after the row."""
    late = pl.col("date") > DAYS[ROW].item()
    return frame.with_columns(
        pl.when(late).then(new).otherwise(pl.col(name)).alias(name) for name, new in columns.items()
    )


def test_a_file_that_ends_earlier_gives_the_same_rows(before):
    cut = tables(bars(), str(DAYS[ROW]))
    assert differing(before, cut, ROW + 1) == []


def test_later_bars_of_any_name_change_no_earlier_row(before):
    wild = {name: after(each, **{p: pl.col(p) * 3.7 for p in ("open", "high", "low", "close")}, volume=pl.lit(5e7))
            for name, each in bars().items()}  # fmt: skip
    other = tables(wild)
    assert differing(before, other, ROW + 1) == []
    assert len(differing(before, other, ROW + 2)) > 5


def test_a_later_split_changes_no_earlier_row(before):
    """The file states older prices after the split: a seventh, with seven times the volume."""
    earlier = pl.when(pl.col("date") <= DAYS[ROW].item())
    restated = [earlier.then(pl.col(p) / 7).otherwise(pl.col(p)).alias(p) for p in ("open", "high", "low", "close")]
    restated.append(earlier.then(pl.col("volume") * 7).otherwise(pl.col("volume")).alias("volume"))
    restated.append(earlier.then(7.0).otherwise(1.0).alias("split"))
    universe = bars()
    universe["N003"] = universe["N003"].with_columns(restated)
    other = tables(universe)
    assert set(differing(before, other, ROW + 1, 1e-4)) == {"open", "close"}  # the level of a price is no information


def test_a_later_listing_changes_no_bit_of_the_other_names(before):
    universe = bars()
    universe["AAAA"] = (
        bars(seed=9)["N000"].with_columns(symbol=pl.lit("AAAA")).filter(pl.col("date") > DAYS[ROW].item())
    )
    universe["N0035"] = (
        bars(seed=8)["N000"].with_columns(symbol=pl.lit("N0035")).filter(pl.col("date") > DAYS[ROW].item())
    )
    other = tables(universe)
    assert len(other[0]) == len(before[0]) + 2
    assert differing(before, other, ROW + 1) == []
    assert "eligible" not in differing(before, other, ROW + 59)  # not until it has its history


def test_a_delisting_changes_no_earlier_row(before):
    universe = bars()
    universe["N003"] = universe["N003"].filter(pl.col("date") <= DAYS[ROW].item())
    other = tables(universe)
    assert differing(before, other, ROW + 1) == []
    assert "outright.forward" in differing(before, other, ROW + 2)


def test_a_name_that_never_existed_changes_no_own_value_of_the_others(before):
    """Its own tables are computed alone; only what compares the names of a day knows of it."""
    universe = bars()
    del universe["N017"]
    compared = {"eligible", "beta", "neutralised", *(f"{kind}.{name}" for kind in KINDS for name in ("value", "up"))}
    assert set(differing(before, tables(universe), DAYS.size)) <= compared
