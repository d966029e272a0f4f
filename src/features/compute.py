"""Computation of declared features on tables of bars, one instrument after the other.

An instrument's columns are a function of its own bars, its own facts and the panel alone, so the same bits come out
whatever else stands in the table and however the work is spread.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from src.core.failure import Failure
from src.core.instruments import Key
from src.features.catalog import is_own, kinds_of, lookup, reach
from src.features.fact_lookup import FactLookup
from src.features.facts import Facts
from src.features.panel_lookup import Members, as_of, row_as_of
from src.features.registry import KINDS, MARKET, MEMBERS, PANEL, RAW, Feature, FeatureError, inputs
from src.features.windows import Array, finish

KEY = ("asset_class", "symbol")
COLUMNS = {f"raw_{name}": name for name in ("open", "high", "low", "close")} | {
    name: name for name in ("volume", "factor", "split")
}
ALWAYS_OPEN = ("crypto",)  # classes that trade around the clock
NOTHING = np.empty(0)
Arrays = dict[str, Any]  # arrays of shape (bars,), `Members` or `Facts`
Step = tuple[str, Callable[..., Array], tuple[str, ...]]


class FeatureGraph:
    """Features in an order in which each finds its inputs computed; shared intermediate results come once."""

    def __init__(self, features: Sequence[Feature]) -> None:
        self.features = list(features)
        self.kinds = kinds_of(self.features)
        self.guarded = any(is_own(item.name) for item in features)
        own = {name: entry for item in features for name, entry in item.shelf.items()}
        own |= {item.name: item for item in features}
        names = dict.fromkeys(name for item in features for name in reach(item))
        self.steps: list[Step] = []
        for name in names:
            if name not in (*RAW, *PANEL, *KINDS):
                entry = own.get(name) or lookup(name)
                self.steps.append((name, entry, inputs(entry.function if isinstance(entry, Feature) else entry)))

    def values(self, arrays: Arrays) -> NDArray[np.float32]:
        """Columns of one instrument, shape (features, bars), NaN where undefined.

        Raises
        ------
        FeatureError
            A formula raised: names the feature and says why.
        """
        return self.finished(self.bare(arrays))

    def finished(self, bare: Arrays) -> NDArray[np.float32]:
        """Bare values in the form in which they are stored, shape (features, bars)."""
        with np.errstate(all="ignore"):
            return finish([bare[item.name] for item in self.features], [item.window for item in self.features])

    def bare(self, arrays: Arrays) -> Arrays:
        """Values by feature before warm-up and infinities are cut; raises as `values` does.

        Beside features of the user's own, inputs are read-only, so that none can change what another computes from.
        """
        lock = _locked if self.guarded else _as_is
        arrays = {name: lock(values) for name, values in arrays.items()}
        with np.errstate(all="ignore"):
            for name, function, needed in self.steps:
                try:
                    arrays[name] = lock(function(*[arrays[label] for label in needed]))
                except Exception as error:
                    raise FeatureError(f"feature {name} failed: {type(error).__name__}: {error}") from error
        return {item.name: arrays[item.name] for item in self.features}


class PanelLookup:
    """The panel's daily table, by asset class, ready to be looked up by an instrument's bars."""

    def __init__(self, panel: pl.DataFrame | None) -> None:
        self.classes: dict[str, tuple[Array, Arrays, Arrays]] = {}
        if panel is None:
            return
        for (asset_class,), of_class in panel.drop_nulls("market_return").group_by("asset_class"):
            rows = of_class.sort("date")
            moves = np.log1p(rows["market_return"].to_numpy())
            arrays = {"market_index": np.cumsum(moves)} | {
                name: rows[name.removeprefix("market_")].cast(pl.Float64).to_numpy() for name in MARKET[1:]
            }
            members = {name: rows[name].to_numpy() for name in MEMBERS if name in rows.columns}
            self.classes[str(asset_class)] = (day_numbers(rows["date"]), arrays, members)

    def at(self, asset_class: str, day: Array) -> Arrays:
        """Panel inputs at the bars' days: the last known ones, NaN where the class has no panel."""
        days, arrays, members = self.classes.get(asset_class, (NOTHING, dict.fromkeys(MARKET, NOTHING), {}))
        row = row_as_of(day, days)
        nothing = np.empty((0, 0), dtype=np.float32)
        inputs_at: Arrays = {name: as_of(day, days, values) for name, values in arrays.items()}
        return inputs_at | {name: Members(row, members.get(name, nothing)) for name in MEMBERS}


def compute(
    bars: pl.DataFrame,
    features: Sequence[Feature],
    panel: pl.DataFrame | None = None,
    facts: FactLookup | None = None,
) -> pl.DataFrame:
    """Compute features of one or many instruments.

    Parameters
    ----------
    bars : rows of `BarStore`, in any order.
    features : what `select` returned.
    panel : table of `src.market.panel`; without it, market-relative columns are null.
    facts : facts of research; without them, columns that look at them are null.

    Returns
    -------
    DataFrame
        asset_class, symbol, date and one Float32 column a feature, a row for each row of `bars` in its order; null in
        the warm-up and where a formula is undefined, never NaN or infinite.

    Raises
    ------
    FeatureError
        A formula raised on an instrument.
    """
    table, failed = evaluate(bars, FeatureGraph(features), PanelLookup(panel), facts=facts)
    for key, failure in failed.items():
        raise FeatureError(f"{':'.join(key)}: {failure.reason}")
    return table


def evaluate(
    bars: pl.DataFrame,
    graph: FeatureGraph,
    panel: PanelLookup,
    examine: Callable[[Key, Arrays, Arrays], None] | None = None,
    *,
    facts: FactLookup | None = None,
) -> tuple[pl.DataFrame, dict[Key, Failure]]:
    """Like `compute`, but an instrument on which a formula raises gets null columns and is among the failures.

    `examine` is as in `evaluate_block`.
    """
    block, failed = evaluate_block(bars, graph, panel, examine, facts=facts)
    columns = [
        pl.Series(item.name, block[at], dtype=pl.Float32, nan_to_null=True) for at, item in enumerate(graph.features)
    ]
    return bars.select(*KEY, "date").with_columns(columns), failed


def evaluate_block(
    bars: pl.DataFrame,
    graph: FeatureGraph,
    panel: PanelLookup,
    examine: Callable[[Key, Arrays, Arrays], None] | None = None,
    *,
    facts: FactLookup | None = None,
) -> tuple[NDArray[np.float32], dict[Key, Failure]]:
    """Columns of many instruments as one block, a row a feature, in the order of the rows of `bars`.

    Parameters
    ----------
    bars, panel, facts : as in `compute`.
    graph : the features.
    examine : called with each instrument that has not failed, its inputs and its bare values; may raise to end all.

    Returns
    -------
    block : float32, shape (features, rows)
        NaN where undefined, and everywhere on an instrument that failed.
    failed : dict
        Why, by instrument on which a formula raised.
    """
    order = bars.select(pl.arg_sort_by(*KEY, "date")).to_series().to_numpy()
    in_order = bool((order[1:] > order[:-1]).all())
    table = bars if in_order else bars[order]
    arrays = {name: table[column].cast(pl.Float64).to_numpy() for name, column in COLUMNS.items()}
    arrays["day"] = day_numbers(table["date"])
    known = facts or FactLookup()
    block = np.full((len(graph.features), len(table)), np.nan, dtype=np.float32)
    failed: dict[Key, Failure] = {}
    for key, rows in instruments(table):
        own: Arrays = {name: values[rows] for name, values in arrays.items()}
        own["always_open"] = np.full(len(own["day"]), float(key[0] in ALWAYS_OPEN))
        own |= panel.at(key[0], own["day"])
        if graph.kinds:
            own |= known.at(key, table["date"][rows], graph.kinds)
        try:
            bare = graph.bare(own)
            block[:, rows] = graph.finished(bare)
        except FeatureError as error:
            failed[key] = Failure(str(error))
            continue
        if examine:
            examine(key, own, bare)
    if not in_order:
        block[:, order] = block.copy()
    return block, failed


def instruments(table: pl.DataFrame) -> list[tuple[tuple[str, str], slice]]:
    """Key and rows of each instrument of a table sorted by key."""
    runs = table.select(pl.struct(KEY).rle().alias("run")).unnest("run")
    ends = runs["len"].cast(pl.Int64).cum_sum().to_list()
    starts = [0, *ends][:-1]
    keys = [(value["asset_class"], value["symbol"]) for value in runs["value"].to_list()]
    return [(key, slice(start, end)) for key, start, end in zip(keys, starts, ends, strict=True)]


def _as_is(values: Any) -> Any:
    return values


def _locked(values: Any) -> Any:
    """The same values, which can't be written to."""
    if isinstance(values, np.ndarray):
        values = values.view()
        values.flags.writeable = False
    if isinstance(values, Facts):
        return values.locked()
    return Members(_locked(values.row), _locked(values.values)) if isinstance(values, Members) else values


def day_numbers(dates: pl.Series) -> Array:
    """Days since 1970-01-01, with a fraction where the dates are timestamps."""
    return dates.dt.epoch("us").cast(pl.Float64).to_numpy() / 86_400e6
