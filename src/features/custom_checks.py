"""The rules that a user's own features must pass before they are computed: contract 2, tried on invented bars.

The project's own declarations are held to the same rules by its tests.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from src.features.compute import Arrays, FeatureGraph
from src.features.indicators import Indicator, IndicatorColumn, remedy_ahead
from src.features.registry import Feature, FeatureError
from src.features.trial_bars import BARS, part, rewritten, times, trial
from src.features.windows import Array

LONGEST = 756  # bars, three years: a window beyond it leaves too few rows to learn from
TOLERANCE = 0.01  # standard deviations: what may be left of the bars before the window in a recursive formula
LOOSEST = 0.05  # the same, that a declaration may state
EXACT = 2e-6  # what float32 rounds
CUTS = (LONGEST, 1001, 1330)
ROWS = tuple(range(LONGEST - 1, BARS, 37))
SUDDEN = 12  # rows beside them at which a column moves most: where a rare signal shows
MARGIN = 1.5  # on the shortest window that does, where a formula is recursive: real bars are odder than the trial's
PRICES = ("raw_open", "raw_high", "raw_low", "raw_close")
Columns = dict[str, Array]


def vet_extra(features: list[Feature], over_close: bool) -> list[Feature]:
    """Check the columns of one indicator, put those in units of the price over the close, and measure windows.

    Raises
    ------
    FeatureError
        For the first rule that a column breaks: indicator, rule, remedy.
    """
    indicator = _indicator(features[0])
    whole = _columns(features, trial())
    _refuse_future(features, whole, lambda _: remedy_ahead(indicator))
    _refuse_empty(features, whole)
    if over_close:
        features = put_over_close(features)
        whole = _columns(features, trial())
    _refuse_scale(features, whole, "prices", PRICES, "add scale: close to divide it by the close, or leave it out")
    _refuse_scale(features, whole, "volumes", ("volume",), "leave it out, or take an indicator of volume over volume")
    return _measured(features, whole)


def put_over_close(features: list[Feature]) -> list[Feature]:
    """Divide the columns in units of the price by the close and leave the others."""
    whole, priced = _columns(features, trial()), _columns(features, times(trial(), 7, PRICES))
    return [_over_close(item) if _is(priced[item.name], _seven() * whole[item.name]) else item for item in features]


def vet_declared(features: Sequence[Feature]) -> None:
    """Check the declarations of a user's own file.

    Raises
    ------
    FeatureError
        For the first rule that a feature breaks: feature, rule, remedy.
    """
    for item in features:
        _refuse_declaration(item)
        arrays = trial(item.intraday)
        whole = _columns([item], arrays)
        _refuse_future([item], whole, lambda _: "use this bar and earlier ones alone", arrays)
        _refuse_empty([item], whole)
        if item.scale == "none":
            remedy = "divide by a price of the same bar, or declare scale='price'"
            _refuse_scale([item], whole, "prices", PRICES, remedy, arrays)
        _refuse_scale([item], whole, "volumes", ("volume",), "divide by a mean volume", arrays)
        if not _suffices([item], whole, item.window, item.tolerance, arrays)[0]:
            raise FeatureError(
                f"{item.name}: the last window={item.window} bars must give its value (to tolerance={item.tolerance:g} "
                "standard deviations), and don't: declare the longer window that it needs"
            )


def _refuse_declaration(item: Feature) -> None:
    if not 1 <= item.window <= LONGEST:
        raise FeatureError(f"{item.name}: window must be from 1 to {LONGEST} bars, got {item.window}: shorten it")
    if not 0 <= item.tolerance <= LOOSEST:
        raise FeatureError(f"{item.name}: tolerance must be from 0 to {LOOSEST}, got {item.tolerance}: lengthen window")
    if item.scale not in ("none", "price"):
        raise FeatureError(f"{item.name}: scale must be none or price, got {item.scale!r}: leave it out")


def _refuse_future(
    features: Sequence[Feature], whole: Columns, remedy: Callable[[Feature], str], arrays: Arrays | None = None
) -> None:
    """Values up to a cut must not change when later bars are cut off or rewritten."""
    arrays = arrays or trial()
    for cut in CUTS:
        for changed in (part(arrays, slice(cut)), rewritten(arrays, cut)):
            again = _columns(features, changed)
            for item in features:
                if not _is(again[item.name][:cut], whole[item.name][:cut]):
                    raise FeatureError(
                        f"{_named(item)} looks ahead: its value at a bar must not change with later bars, and does: "
                        f"{remedy(item)}"
                    )


def _refuse_empty(features: Sequence[Feature], whole: Columns) -> None:
    for item in features:
        values = whole[item.name]
        if np.isinf(values).any():
            raise FeatureError(f"{_named(item)} is infinite on ordinary bars: it must be finite or null, leave it out")
        if np.isnan(values[:LONGEST]).all():
            raise FeatureError(
                f"{_named(item)} has no value in its first {LONGEST} bars: shorten its parameters or leave it out"
            )


def _refuse_scale(
    features: Sequence[Feature], whole: Columns, what: str, names: tuple[str, ...], remedy: str,
    arrays: Arrays | None = None,
) -> None:  # fmt: skip
    again = _columns(features, times(arrays or trial(), 7, names))
    for item in features:
        if not _is(again[item.name], whole[item.name], 1e-4):
            raise FeatureError(f"{_named(item)} must not change when all {what} are times seven, and does: {remedy}")


def _measured(features: list[Feature], whole: Columns) -> list[Feature]:
    """Features with the shortest window found that gives their values: exactly, or else to the tolerance."""
    warm_up = {item.name: int(np.flatnonzero(~np.isnan(whole[item.name]))[0]) + 1 for item in features}
    measured: dict[str, tuple[int, float]] = {}
    for window in sorted(set(warm_up.values())):
        exact = _suffices(features, whole, window, 0.0)
        for item, ok in zip(features, exact, strict=True):
            if ok and warm_up[item.name] <= window:
                measured.setdefault(item.name, (window, 0.0))
    window = min(warm_up.values())
    while len(measured) < len(features):
        window = min(window + max(window // 4, 2), LONGEST)
        left = [item for item in features if item.name not in measured]
        for item, ok in zip(left, _suffices(left, whole, window, TOLERANCE), strict=True):
            if ok and warm_up[item.name] <= window:
                measured[item.name] = (min(int(window * MARGIN), LONGEST), TOLERANCE)
        if window == LONGEST and len(measured) < len(features):
            item = next(item for item in features if item.name not in measured)
            raise FeatureError(
                f"{_named(item)} remembers too long: the last {LONGEST} bars must give its value to {TOLERANCE:.0%} of "
                "its standard deviation, and don't (a running total never forgets): leave it out"
            )
    return [replace(item, window=measured[item.name][0], tolerance=measured[item.name][1]) for item in features]


def _suffices(
    features: Sequence[Feature], whole: Columns, window: int, tolerance: float, arrays: Arrays | None = None
) -> list[bool]:
    """Whether the last `window` bars alone give each value, at a number of rows."""
    arrays, fine = arrays or trial(), [True] * len(features)
    moves = [np.abs(np.diff(np.nan_to_num(whole[item.name][LONGEST:]))) for item in features]
    sudden = {LONGEST + 1 + int(row) for move in moves for row in np.argsort(-move, kind="stable")[:SUDDEN]}
    for row in sorted({*ROWS, *sudden}):
        alone = _columns(features, part(arrays, slice(row - window + 1, row + 1)))
        for at, item in enumerate(features):
            values = whole[item.name]
            margin = (tolerance + EXACT) * np.nanstd(values)
            fine[at] &= bool(np.isclose(alone[item.name][-1], values[row], rtol=EXACT, atol=margin, equal_nan=True))
        if not any(fine):
            break
    return fine


def _columns(features: Sequence[Feature], arrays: Arrays) -> Columns:
    """Bare values, warm-up not cut and infinities kept."""
    graph = FeatureGraph(features)
    return {name: np.asarray(values, dtype=np.float64) for name, values in graph.bare(arrays).items()}


def _is(a: Array, b: Array, tolerance: float = 1e-6) -> bool:
    spread = np.nanstd(b) if np.isfinite(b).any() else 0.0
    return bool(np.allclose(a, b, rtol=tolerance, atol=tolerance * spread, equal_nan=True))


def _seven() -> float:
    """What times seven becomes of prices that `adjustment` brings near 1 by a power of two."""
    first = trial()["raw_close"][0]
    return float(7 * 2.0 ** (np.floor(np.log2(first)) - np.floor(np.log2(7 * first))))


def _indicator(item: Feature) -> Indicator:
    assert isinstance(item.function, IndicatorColumn)
    return item.function.indicator


def _over_close(item: Feature) -> Feature:
    assert isinstance(item.function, IndicatorColumn)
    return replace(item, function=replace(item.function, over_close=True))


def _named(item: Feature) -> str:
    """How the user knows it: the entry in YAML and its output, or the declaration's name."""
    if isinstance(item.function, IndicatorColumn):
        return f"features.extra: {item.function.title} of {item.function.indicator}"
    return item.name
