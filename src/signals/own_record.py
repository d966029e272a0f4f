"""The book's own out-of-sample record: what the champions' book would have earned on days that no model had seen.

It is made of the stored out-of-sample decisions of today's champions, netted, cut to the caps and paid as the book is.
The models had not seen these days; the choice of the champions had: they are those whose records on these very days
were good, and of many records without any skill some are. The Sharpe ratio and the drawdown are therefore flattered,
the more so the more runs there were to choose from. `src.signals.own_selection` says by how much: it repeats the choice
where there is no skill, and on one half of the days for the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from src.config.schema import LabelConfig
from src.core.arrays import DateArray, FloatArray
from src.core.instruments import ASSET_CLASSES, POOLED, Key
from src.evaluation import labels, metrics
from src.evaluation.grade import GATE_METRICS, Outcomes, Thresholds, grade
from src.market.bars import BARS_PER_YEAR, BarStore
from src.signals.netting import champion_shares
from src.signals.own_book import BookRecord, accounted, book_days, held_weights
from src.signals.own_inputs import OwnInputs, hedge_weights, is_pooled, own_inputs, with_bars
from src.signals.own_selection import SelectionBias, selection_bias

if TYPE_CHECKING:
    from src.config.paths import DatasetPaths
    from src.config.schema import BookConfig, GradeConfig
    from src.tracking.crowned_versions import CrownedVersion

DAILY: dict[str, Any] = {
    "date": pl.Date(),  # on which the returns are complete
    **dict.fromkeys(("gross", "cost", "borrow", "net", "equity", "turnover"), pl.Float64()),
    **dict.fromkeys(("gross_exposure", "net_exposure"), pl.Float64()),
    "names": pl.Int64(),
    "always_long": pl.Float64(),  # mean return of the champions' instruments, without costs
    "benchmark": pl.Float64(),
}
_MEAN = LabelConfig(name="market_relative", kind="relative")


@dataclass(frozen=True)
class OwnRecord:
    """The book's own out-of-sample record.

    Attributes
    ----------
    daily : DataFrame
        Columns of `DAILY`.
    weights : DataFrame
        date (of the book), asset_class and symbol (enumerations: cast them to join), weight; without zeros, by
        instrument and date.
    figures : dict
        Columns of the grades: auc, accuracy, sharpe, max_drawdown, n_oos, first_oos, last_oos, passed, reasons,
        majority_accuracy, turnover, and sharpes of ``gross``, ``always_long`` and ``benchmark``; those of
        `src.signals.own_selection.SelectionBias`. Undefined ones are None.
    benchmark : str
        What stands in the column of that name; empty without one.
    left_out : dict
        Why a champion has no part in it, by name. Its share is in cash.
    """

    daily: pl.DataFrame
    weights: pl.DataFrame
    figures: Mapping[str, Any]
    benchmark: str
    left_out: Mapping[str, str] = field(default_factory=dict)

    def sentence(self) -> str:
        """Say what the book would have earned, and how much of it is the choice of the champions."""
        own = self.figures
        if not own["n_oos"]:
            return "The book has no out-of-sample day: no champion has stored decisions"
        shown = {name: "undefined" if own[name] is None else f"{own[name]:.2f}" for name in _SHOWN}
        verdict = "clears" if own["passed"] else "does not clear"
        beside = f", {self.benchmark} {shown['benchmark_sharpe']}" if self.benchmark else ""
        text = (
            f"Over {own['n_oos']:,} out-of-sample days the book of {own['champions']:,} champions earned a Sharpe "
            f"ratio of {shown['sharpe']} net (always long {shown['always_long_sharpe']}{beside}) with a drawdown of "
            f"{own['max_drawdown'] or 0.0:.0%}, and {verdict} the thresholds. The champions were chosen by these days"
        )
        if own["null_books"]:
            text += (
                f": books chosen alike without skill reached {shown['null_sharpe']} (one in twenty "
                f"{shown['null_sharpe_high']}), and {own['luck_rate']:.0%} of them clear the thresholds"
            )
        if own["held_out_sharpe"] is not None:
            text += f"; chosen on one half and traded on the other, {shown['held_out_sharpe']}"
        return text


_SHOWN = (
    "sharpe", "always_long_sharpe", "benchmark_sharpe", "null_sharpe", "null_sharpe_high", "held_out_sharpe",
)  # fmt: skip


def own_record(
    champions: Sequence[CrownedVersion],
    paths: DatasetPaths,
    choice: BookConfig,
    gate: GradeConfig,
    *,
    null_books: int = 100,
) -> OwnRecord:
    """Make the record of today's champions.

    Parameters
    ----------
    champions : sequence of CrownedVersion
    paths : DatasetPaths
    choice : BookConfig
        Shares, caps, benchmark.
    gate : GradeConfig
        Thresholds.
    null_books : int
        Books without skill that are made for comparison; 0 for none, and no held-out halves either.

    Returns
    -------
    OwnRecord
        AUC and accuracy are those of all labelled decisions of the instruments' champions, each probability against its
        own label. Pooled champions enter by their graded AUC and accuracy, and where there are both, the two are
        averaged by their parts of the capital.

    Raises
    ------
    StageError
        If bars or runs can't be read.
    """
    found = own_inputs(champions, paths)
    scopes = [{"scope": POOLED if is_pooled(each) else "instrument", "name": each.name} for each in champions]
    shares = champion_shares(pl.DataFrame(scopes, schema={"scope": pl.String, "name": pl.String}), choice.pooled_share)
    books = book_days(found.stakes, shares)
    if not books.size:
        nothing = SelectionBias().figures() | dict.fromkeys(_FIGURES) | {"n_oos": 0, "passed": False, "champions": 0}
        return OwnRecord(pl.DataFrame(schema=DAILY), _weights(books, [], np.empty((0, 0))), nothing, "", found.left_out)
    record = _booked(found, shares, books, choice, paths)
    name, benchmark = _benchmark(record, choice, found, paths)
    daily, weights = _daily(record, benchmark), _weights(books, record.keys, record.weights)
    record = replace(record, weights=record.weights[:, :0].copy())  # of 10,000 instruments they take much memory
    found.release()
    yearly = found.bars_per_year or float(max(BARS_PER_YEAR[key[0]] for key in record.keys))
    figures = _figures(found, record, benchmark, yearly, champions, shares) | {"champions": len(found.stakes)}
    verdict = grade(figures, Thresholds.of(gate))
    figures |= {"passed": verdict.passed, "reasons": list(verdict.reasons)}
    bias = SelectionBias()
    if null_books:
        bias = selection_bias(found, paths, choice, gate, record, yearly, null_books)
    return OwnRecord(daily, weights, figures | bias.figures(), name, found.left_out)


def _booked(
    found: OwnInputs, shares: Mapping[str, float], books: DateArray, choice: BookConfig, paths: DatasetPaths
) -> BookRecord:
    hedges = hedge_weights(found, books, BarStore(paths.bars))
    own = {key for stake in found.stakes for key in stake.keys}
    with_bars(found, own.union(*(hedge.keys for hedge in hedges.values())), paths)
    keys, weights = held_weights(found.stakes, shares, books, hedges, choice)
    return accounted(books, keys, weights, found.bars, own, found.borrow_bps)


_FIGURES = (
    *(metric.name for metric in GATE_METRICS), "n_oos", "instrument_days", "majority_accuracy", "first_oos", "last_oos",
    "turnover", "cost_a_year", "borrow_a_year", "gross_exposure", "net_exposure", "names", "gross_sharpe",
    "always_long_sharpe", "benchmark_sharpe", "passed", "reasons",
)  # fmt: skip


def _figures(
    found: OwnInputs,
    record: BookRecord,
    benchmark: FloatArray | None,
    yearly: float,
    champions: Sequence[CrownedVersion],
    shares: Mapping[str, float],
) -> dict[str, Any]:
    """What the gate reads, and what stands beside it."""
    label, score = found.labels_and_scores()
    outcomes = Outcomes(label, score, record.net, yearly)
    gated: dict[str, Any] = {metric.name: metric.compute(outcomes) for metric in GATE_METRICS}
    pooled = [(each.grade, shares[each.name]) for each in champions if each.name in found.pooled]
    if pooled:
        to_pooled = sum(share for _, share in pooled)
        whole = sum(shares[stake.name] for stake in found.stakes)
        for name in ("auc", "accuracy"):
            of_pooled = sum(float(row[name]) * share for row, share in pooled) / to_pooled
            own = gated[name]
            gated[name] = of_pooled if own is None else (of_pooled * to_pooled + own * (whole - to_pooled)) / whole
    return {
        **gated,
        "n_oos": record.net.size,
        "instrument_days": int(np.isfinite(label).sum()),
        "majority_accuracy": metrics.majority_accuracy(label),
        "first_oos": record.books[0].astype("datetime64[D]").item(),
        "last_oos": record.books[-1].astype("datetime64[D]").item(),
        "turnover": float(record.turnover.mean()) * yearly,
        "cost_a_year": float(record.cost.mean()) * yearly,
        "borrow_a_year": float(record.borrow.mean()) * yearly,
        **{name: float(getattr(record, name).mean()) for name in ("gross_exposure", "net_exposure", "names")},
        "gross_sharpe": metrics.sharpe(record.gross, yearly),
        "always_long_sharpe": metrics.sharpe(record.always_long, yearly),
        "benchmark_sharpe": None if benchmark is None else metrics.sharpe(benchmark, yearly),
    }


def _benchmark(
    record: BookRecord, choice: BookConfig, found: OwnInputs, paths: DatasetPaths
) -> tuple[str, FloatArray | None]:
    """Returns of the benchmark on the record's days, 0 where it has none, and its name."""
    asset_class, _, symbol = choice.benchmark.partition(":")
    store, key = BarStore(paths.bars), (asset_class, symbol)
    if key in set(store.instruments().select("asset_class", "symbol").iter_rows()):
        with_bars(found, [key], paths)
        bars = found.bars[key]
        return choice.benchmark, _placed(record.dates, bars.dates[2:], bars.change[: max(bars.dates.size - 2, 0)])
    members = store.panel()
    table = labels.read_market(store, _MEAN, lambda bars: bars) if members else None
    traded = [key[0] for key in record.keys]
    largest = max(ASSET_CLASSES, key=traded.count)
    if table is None or largest not in table["asset_class"]:
        return "", None
    levels = table.filter(pl.col("asset_class") == largest).sort("date")
    level, dates = levels["open_level"].to_numpy(), levels["date"].to_numpy().astype("datetime64[us]")
    return f"the mean of the {largest} panel", _placed(record.dates, dates[1:], level[1:] / level[:-1] - 1.0)


def _placed(days: DateArray, dates: DateArray, values: FloatArray) -> FloatArray:
    out = np.zeros(days.size)
    at = np.searchsorted(days, dates)
    known = (at < days.size) & np.isfinite(values)
    known[known] = days[at[known]] == dates[known]
    out[at[known]] = values[known]
    return out


def _daily(record: BookRecord, benchmark: FloatArray | None) -> pl.DataFrame:
    columns: dict[str, Any] = {name: getattr(record, name) for name in DAILY if hasattr(record, name)}
    columns |= {"date": record.dates.astype("datetime64[D]"), "equity": metrics.equity(record.net)}
    columns |= {"benchmark": [None] * record.net.size if benchmark is None else benchmark}
    return pl.DataFrame({name: pl.Series(columns[name]).cast(kind) for name, kind in DAILY.items()})


def _weights(books: DateArray, keys: list[Key], weights: FloatArray) -> pl.DataFrame:
    """Weights that are not zero, instrument by instrument: names as enumerations, since they are many rows."""
    symbols = pl.Enum(sorted({symbol for _, symbol in keys}))
    schema: dict[str, Any] = {
        "date": pl.Date(), "asset_class": pl.Enum(ASSET_CLASSES), "symbol": symbols, "weight": pl.Float32()
    }  # fmt: skip
    parts, days = [pl.DataFrame(schema=schema)], books.astype("datetime64[D]")
    for column, (asset_class, symbol) in enumerate(keys):
        rows = np.flatnonzero(weights[:, column])
        if rows.size:
            dated = pl.DataFrame({"date": days[rows], "weight": weights[rows, column]})
            named = dated.with_columns(asset_class=pl.lit(asset_class), symbol=pl.lit(symbol))
            parts.append(named.select(pl.col(name).cast(kind) for name, kind in schema.items()))
    return pl.concat(parts)
