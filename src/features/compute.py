"""Computation of declared features on tables of bars, some instruments at a time.

An instrument's columns are a function of its own bars, its own facts and the panel alone, so the same bits come out
whatever else stands in the table and however the work is spread.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import polars as pl
from numpy.typing import NDArray

from src.core.failure import Failure
from src.core.instruments import Key
from src.features.fact_lookup import FactLookup
from src.features.graph import Arrays, FeatureGraph
from src.features.panel_lookup import Members, row_as_of, taken
from src.features.registry import MARKET, MEMBERS, Feature, FeatureError
from src.features.windows import Array, finish

KEY = ("asset_class", "symbol")
COLUMNS = {f"raw_{name}": name for name in ("open", "high", "low", "close")} | {
    name: name for name in ("volume", "factor", "split")
}
ALWAYS_OPEN = ("crypto",)  # classes that trade around the clock
NOTHING = np.empty(0)
Batch = list[tuple[Key, slice]]
AT_ONCE = 20_000  # bars of instruments evaluated at once: more no longer fit in a core's cache


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
        inputs_at: Arrays = {name: taken(values, row) for name, values in arrays.items()}
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
    found, order = instruments(bars), None
    if not _in_pieces(bars["date"].to_numpy(), found):
        order = bars.select(pl.arg_sort_by(*KEY, "date")).to_series().to_numpy()
        bars = bars[order]
        found = instruments(bars)
    evaluation = _Evaluation(bars, graph, panel, examine, facts or FactLookup())
    for batch in batches(found):
        evaluation.add(batch)
    block = evaluation.block
    if order is not None:
        block[:, order] = block.copy()
    return block, evaluation.failed


class _Evaluation:
    """Columns of a sorted table of bars, which come batch by batch."""

    def __init__(
        self,
        table: pl.DataFrame,
        graph: FeatureGraph,
        panel: PanelLookup,
        examine: Callable[[Key, Arrays, Arrays], None] | None,
        facts: FactLookup,
    ) -> None:
        self.table, self.graph, self.panel, self.examine, self.facts = table, graph, panel, examine, facts
        self.arrays: Arrays = {name: table[column].cast(pl.Float64).to_numpy() for name, column in COLUMNS.items()}
        self.arrays["day"] = day_numbers(table["date"])
        self.block = np.empty((len(graph.features), len(table)), dtype=np.float32)
        self.failed: dict[Key, Failure] = {}

    def add(self, batch: Batch) -> None:
        """Evaluate instruments of one class that stand one after the other; where a formula raises, one by one."""
        start, stop = batch[0][1].start, batch[-1][1].stop
        block = self.block[:, start:stop]
        rows = [slice(own.start - start, own.stop - start) for _, own in batch]
        shared = self._inputs(batch[0][0][0], slice(start, stop))
        each = [self._inputs_of(key, own, part, shared) for (key, own), part in zip(batch, rows, strict=True)]
        try:
            alone = [self.graph.run(self.graph.alone, own) for own in each]
            self._write(alone, block, rows)
            shared |= {
                name: np.concatenate([own[name] for own in alone], axis=-1)
                for name, _, _ in self.graph.alone
                if name in self.graph.shared
            }
            self.graph.write_joint(shared, block, rows)
        except FeatureError as error:
            if len(batch) > 1:
                for one in batch:
                    self.add([one])
                return
            block[:] = np.nan
            self.failed[batch[0][0]] = Failure(str(error))
            return
        if self.examine:
            for (key, _), own, values in zip(batch, each, alone, strict=True):
                self.examine(key, own, values)

    def _write(self, alone: Sequence[Arrays], block: NDArray[np.float32], rows: Sequence[slice]) -> None:
        """Write the features that were evaluated on each instrument alone."""
        names = {name for name, _, _ in self.graph.alone}
        for at, item in enumerate(self.graph.features):
            if item.name in names:
                for own, part in zip(alone, rows, strict=True):
                    finish(own[item.name], item.window, block[at], [part])

    def _inputs(self, asset_class: str, rows: slice) -> Arrays:
        arrays = {name: values[rows] for name, values in self.arrays.items()}
        arrays["always_open"] = np.full(rows.stop - rows.start, float(asset_class in ALWAYS_OPEN))
        return arrays | self.panel.at(asset_class, arrays["day"])

    def _inputs_of(self, key: Key, rows: slice, part: slice, shared: Arrays) -> Arrays:
        arrays = {name: values[part] for name, values in shared.items()}
        if self.graph.kinds:
            arrays |= self.facts.at(key, self.table["date"][rows], self.graph.kinds)
        return arrays


def batches(found: Sequence[tuple[Key, slice]]) -> list[Batch]:
    """Instruments by class, in their order, as many together as have `AT_ONCE` bars; a longer one stands alone."""
    out: list[Batch] = []
    for key, rows in found:
        same = out and out[-1][0][0][0] == key[0]
        if same and rows.stop - out[-1][0][1].start <= AT_ONCE:
            out[-1].append((key, rows))
        else:
            out.append([(key, rows)])
    return out


def instruments(table: pl.DataFrame) -> Batch:
    """Key and rows of each instrument of a table in which each stands in one piece."""
    kinds, symbols = (table[name] for name in KEY)
    changes = ((kinds[1:] != kinds[:-1]) | (symbols[1:] != symbols[:-1])).to_numpy()
    bounds = [0, *(np.flatnonzero(changes) + 1).tolist(), len(table)] if len(table) else []
    return [((kinds[start], symbols[start]), slice(start, end)) for start, end in pairwise(bounds)]


def _in_pieces(dates: NDArray[np.datetime64], found: Batch) -> bool:
    """Whether each instrument stands in one piece, its dates ascending."""
    later = np.ones(len(dates), dtype=bool)
    later[1:] = dates[1:] > dates[:-1]
    later[[rows.start for _, rows in found]] = True
    return bool(later.all()) and len({key for key, _ in found}) == len(found)


def day_numbers(dates: pl.Series) -> Array:
    """Days since 1970-01-01, with a fraction where the dates are timestamps."""
    return dates.dt.epoch("us").cast(pl.Float64).to_numpy() / 86_400e6
