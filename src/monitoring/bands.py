"""Bands: in which range a champion's own out-of-sample record puts its figures over a number of days."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from src.core.arrays import FloatArray
from src.monitoring.resampling import Days, drawn_days

FIGURES = ("auc", "accuracy", "sharpe", "max_drawdown", "hit_rate", "mean_cost")
"""What bands are computed for, in the order of tables."""
_UNKNOWN = 1 << 30


@dataclass(frozen=True)
class DailyRecord:
    """What a champion, or the book, said and earned, one value a day in order.

    Attributes
    ----------
    net : float64, shape (n,)
        Simple net returns; no NaN.
    cost : float64, shape (n,)
        Costs paid, as a fraction of the capital; no NaN.
    bars_per_year : float
        For annualising.
    label, score : float64, shape (n,), optional
        Direction in {0, 1, NaN} and P(up) of each decision; None for a book.
    """

    net: FloatArray
    cost: FloatArray
    bars_per_year: float
    label: FloatArray | None = None
    score: FloatArray | None = None

    def __post_init__(self) -> None:
        for name in ("net", "cost", "score"):
            values = getattr(self, name)
            if values is not None and not np.isfinite(values).all():
                raise ValueError(
                    f"{name} of a record must be finite on every day, got {int((~np.isfinite(values)).sum())}"
                )
        sizes = {array.size for array in (self.net, self.cost, self.label, self.score) if array is not None}
        if len(sizes) > 1:
            raise ValueError(f"a record needs one value of each kind a day, got {sorted(sizes)} values")


@dataclass(frozen=True)
class Band:
    """Between which values a figure lies.

    Attributes
    ----------
    low, high : float
        With the probability that was asked for, half of the rest on each side.
    mean : float
        Over all draws.
    """

    low: float
    high: float
    mean: float

    def holds(self, value: float | None) -> bool | None:
        """Whether a value lies inside; None where it is undefined."""
        return None if value is None else self.low <= value <= self.high


def figures(record: DailyRecord) -> dict[str, float | None]:
    """Compute the figures of a record as it is.

    Parameters
    ----------
    record : DailyRecord

    Returns
    -------
    dict of str to float or None
        For each of `FIGURES`; None where undefined.
    """
    whole = np.arange(record.net.size, dtype=np.int32)[None]
    drawn = {name: float(values[0]) for name, values in _drawn_figures(record, whole).items()} if whole.size else {}
    return {name: value if math.isfinite(value := drawn.get(name, math.nan)) else None for name in FIGURES}


def bands(
    record: DailyRecord,
    n_days: int,
    *,
    level: float,
    draws: int,
    block: int,
    seed: int,
    centre: Mapping[str, float] | None = None,
    errors: Mapping[str, float] | None = None,
) -> dict[str, Band | None]:
    """Find between which figures `n_days` of a champion lie that goes on as its out-of-sample record did.

    Parameters
    ----------
    record : DailyRecord
        Out of sample. Returns, labels, scores and costs of a day are drawn together, in blocks.
    n_days : int
        Days seen live.
    level : float, in (0, 1)
        Probability that a figure lies in its band.
    draws : int
    block : int
        Mean length of a block, in days: see `resampling.block_length`.
    seed : int
    centre : mapping of str to float, optional
        ``sharpe`` and ``auc`` to expect instead of those of the record: its shrunk estimates. Each day with a return
        loses as much that the whole record has that Sharpe ratio; the draws of AUC and accuracy move by the
        difference (of accuracy, in the same proportion to what it would be without skill).
    errors : mapping of str to float, optional
        Posterior standard deviations of ``sharpe`` and ``auc``: each draw has true ones of its own around those of
        `centre`, so that the band holds what comes, not only what comes if `centre` is exactly true.

    Returns
    -------
    dict of str to Band or None
        For each of `FIGURES`; None where the figure is undefined in more than half of the draws.

    Raises
    ------
    ValueError
        Where the record, or the days, are fewer than two.

    Source
    ------
    Politis and Romano, "The Stationary Bootstrap", Journal of the American Statistical Association 89 (1994), p. 1304.
    """
    n = record.net.size
    if n < 2 or n_days < 2:
        raise ValueError(f"a band needs two days of record and two live, got {n} and {n_days}: wait for more")
    rng, doubt = np.random.default_rng((seed, 0xBB)), errors or {}
    centred = recentred(record, (centre or {}).get("sharpe"))
    ratios = doubt.get("sharpe", 0.0) * rng.standard_normal(draws)
    areas = doubt.get("auc", 0.0) * rng.standard_normal(draws)
    values = _drawn_figures(centred, drawn_days(n, n_days, draws, block, (seed, 0xBA)), ratios)
    for name, moved in _moves(record, (centre or {}).get("auc"), areas).items():
        values[name] = np.clip(values[name] + moved, 0.0, 1.0)
    return {name: _band(values[name], level) if name in values else None for name in FIGURES}


def band(
    record: DailyRecord,
    n_days: int,
    metric: str,
    *,
    level: float,
    draws: int,
    block: int,
    seed: int,
    centre: Mapping[str, float] | None = None,
    errors: Mapping[str, float] | None = None,
) -> Band | None:
    """Return one of `bands`."""
    found = bands(record, n_days, level=level, draws=draws, block=block, seed=seed, centre=centre, errors=errors)
    return found[metric]


def recentred(record: DailyRecord, sharpe: float | None) -> DailyRecord:
    """Take from each day with a return as much that the whole record has a given Sharpe ratio.

    Parameters
    ----------
    record : DailyRecord
    sharpe : float or None
        A year; None leaves the record as it is.

    Returns
    -------
    DailyRecord
        With the mean that gives that ratio at the record's standard deviation.
    """
    active = record.net != 0.0
    if sharpe is None or not active.any():
        return record
    wanted = sharpe * float(np.std(record.net, ddof=1)) / math.sqrt(record.bars_per_year)
    excess = (float(record.net.mean()) - wanted) / float(active.mean())
    return replace(record, net=np.where(active, record.net - excess, 0.0))


def _band(values: FloatArray, level: float) -> Band | None:
    known = values[np.isfinite(values)]
    if known.size * 2 <= values.size:
        return None
    low, high = np.quantile(known, ((1.0 - level) / 2.0, (1.0 + level) / 2.0))
    return Band(float(low), float(high), float(known.mean()))


def _moves(record: DailyRecord, auc: float | None, areas: FloatArray) -> dict[str, FloatArray]:
    """By how much the draws of AUC and accuracy move for a shrunk AUC, and true ones around it."""
    own = figures(record)
    if record.label is None or record.score is None or own["auc"] is None or own["accuracy"] is None:
        return {}
    if auc is None:
        return {"auc": areas, "accuracy": np.zeros(areas.size)}
    known = ~np.isnan(record.label)
    up, said = float(np.mean(record.label[known])), float(np.mean(record.score[known] > 0.5))
    unskilled = up * said + (1.0 - up) * (1.0 - said)
    skill = own["auc"] - 0.5
    kept = (auc - 0.5 + areas) / skill if abs(skill) > 1e-9 else np.ones(areas.size)
    change: FloatArray = (np.clip(kept, 0.0, 1.0) - 1.0) * (own["accuracy"] - unskilled)
    return {"auc": auc - own["auc"] + areas, "accuracy": change}


def _drawn_figures(record: DailyRecord, days: Days, ratios: FloatArray | None = None) -> dict[str, FloatArray]:
    """Figures of each draw, float64, shape (draws,); NaN where undefined; its Sharpe ratio moved by `ratios`."""
    net = record.net[days]
    if ratios is not None and ratios.any() and net.any():
        active = net != 0.0
        unit = float(np.std(record.net, ddof=1)) / math.sqrt(record.bars_per_year) / float(np.mean(record.net != 0.0))
        net = np.where(active, net + (ratios * unit)[:, None], 0.0)
    curve = np.cumprod(np.maximum(1.0 + net, 0.0), axis=1)
    peak = np.maximum(np.maximum.accumulate(curve, axis=1), 1.0)
    values = {
        "sharpe": sharpes(net, record.bars_per_year),
        "max_drawdown": np.max(1.0 - curve / peak, axis=1),
        "mean_cost": record.cost[days].mean(axis=1),
    }
    with np.errstate(invalid="ignore"):
        values["hit_rate"] = (net > 0.0).sum(axis=1) / (net != 0.0).sum(axis=1)
    if record.label is not None and record.score is not None:
        values |= _drawn_predictions(record.label, record.score, days)
    return values


def sharpes(net: FloatArray, bars_per_year: float) -> FloatArray:
    """Compute the Sharpe ratio of each row as `src.evaluation.metrics.sharpe` does; NaN where that is None."""
    if net.shape[1] < 2:
        return np.full(net.shape[0], np.nan)
    deviation = net.std(axis=1, ddof=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = net.mean(axis=1) / deviation * math.sqrt(bars_per_year)
    constant = deviation <= 1e-15 * np.abs(net).max(axis=1)
    ratios: FloatArray = np.where(constant, np.where(net.any(axis=1), np.nan, 0.0), ratio)
    return ratios


def _drawn_predictions(label: FloatArray, score: FloatArray, days: Days) -> dict[str, FloatArray]:
    """AUC and accuracy of each draw; the AUC by sorting whole numbers, up days after and before equal down days."""
    _, rank = np.unique(score, return_inverse=True)
    up, down = label == 1.0, label == 0.0
    code = np.where(up | down, 2 * rank, _UNKNOWN).astype(np.int32)
    ups, downs = up[days].sum(axis=1).astype(np.float64), down[days].sum(axis=1).astype(np.float64)
    wins = _placed_above(code + up, ups, days) + _placed_above(code - up, ups, days)  # ties count in the first alone
    right = ((score > 0.5) == up) & (up | down)
    with np.errstate(invalid="ignore", divide="ignore"):
        return {"auc": 0.5 * wins / (ups * downs), "accuracy": right[days].sum(axis=1) / (ups + downs)}


def _placed_above(keys: Days, ups: FloatArray, days: Days) -> FloatArray:
    """Pairs of an up day, which has an odd key, placed above a down day; days without a label are placed last."""
    rows = keys.astype(np.int32)[days]
    rows.sort(axis=1)
    places: FloatArray = (rows & 1) @ np.arange(rows.shape[1], dtype=np.float64) - ups * (ups - 1.0) / 2.0
    return places
