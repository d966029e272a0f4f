"""The rules that a user's own features must pass before they are computed: contract 2, tried on invented bars.

The project's own declarations are held to the same rules by its tests.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from src.features.catalog import kinds_of
from src.features.graph import Arrays, FeatureGraph
from src.features.indicators import Indicator, IndicatorColumn, remedy_ahead
from src.features.look_ahead import cut_off, first_difference, overturned, sudden_rows
from src.features.registry import Feature, FeatureError
from src.features.trial_bars import BARS, part, rewritten, thin, times, trial, with_later_split
from src.features.windows import Array

log = logging.getLogger(__name__)
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
    for arrays in (trial(), thin()):
        _refuse_future(features, _columns(features, arrays), lambda _: remedy_ahead(indicator), arrays)
    whole = _columns(features, trial())
    _refuse_empty(features, whole)
    if over_close:
        features = put_over_close(features)
        whole = _columns(features, trial())
    _refuse_scale(features, whole, "prices", PRICES, "add scale: close to divide it by the close, or leave it out")
    _refuse_scale(features, whole, "volumes", ("volume",), "leave it out, or take an indicator of volume over volume")
    _tell_infinite(features)
    return _lengthened(_measured(features, whole, trial()))


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
        for bars in (arrays, thin(item.intraday)):
            _refuse_future([item], _columns([item], bars), lambda _: "use this bar and earlier ones alone", bars)
        whole = _columns([item], arrays)
        _refuse_empty([item], whole)
        _refuse_infinite(item, thin(item.intraday))
        if item.scale == "none":
            remedy = "divide by a price of the same bar, or declare scale='price'"
            _refuse_scale([item], whole, "prices", PRICES, remedy, arrays)
        _refuse_scale([item], whole, "volumes", ("volume",), "divide by a mean volume", arrays)
        _refuse_later_split(item, whole, arrays)
        for bars in (arrays, thin(item.intraday)):
            _refuse_window(item, bars)


def _refuse_declaration(item: Feature) -> None:
    if not 1 <= item.window <= LONGEST:
        raise FeatureError(f"{item.name}: window must be from 1 to {LONGEST} bars, got {item.window}: shorten it")
    if not 0 <= item.tolerance <= LOOSEST:
        raise FeatureError(f"{item.name}: tolerance must be from 0 to {LOOSEST}, got {item.tolerance}: lengthen window")
    if item.scale not in ("none", "price"):
        raise FeatureError(f"{item.name}: scale must be none or price, got {item.scale!r}: leave it out")


def _refuse_future(
    features: Sequence[Feature], whole: Columns, remedy: Callable[[Feature], str], arrays: Arrays
) -> None:
    """Values up to a cut must not change when later bars are cut off or rewritten."""
    sudden = [row for item in features for row in sudden_rows(whole[item.name][LONGEST:], 2)]
    cuts = sorted({LONGEST + int(row) + after for row in sudden[:4] for after in (1, 2)} - {BARS, BARS + 1})
    changes = [(cut, change(arrays, cut)) for cut in CUTS for change in (cut_off, rewritten)]
    changes.append((CUTS[-1], overturned(arrays, CUTS[-1])))
    for cut, changed in [*changes, *((cut, cut_off(arrays, cut)) for cut in cuts)]:
        again = _columns(features, changed)
        for item in features:
            if first_difference(whole[item.name], again[item.name], 0, cut) is not None:
                raise FeatureError(
                    f"{_named(item)} looks ahead: its value at a bar must not change with later bars, and does: "
                    f"{remedy(item)}"
                )


def _refuse_infinite(item: Feature, arrays: Arrays) -> None:
    """A declaration must say what it gives where nothing is traded or the price stands still."""
    infinite = np.flatnonzero(np.isinf(_columns([item], arrays)[item.name]))
    if len(infinite):
        still = "without volume" if not arrays["volume"][infinite[0]] > 0 else "after or among bars that stand still"
        raise FeatureError(
            f"{item.name} is infinite on a bar {still}: return NaN where its divisor is 0, "
            "as np.where(divisor > 0, value / divisor, np.nan) does"
        )


def _tell_infinite(features: Sequence[Feature]) -> None:
    """An indicator of a library can't be mended by the user, so what is infinite is null, and that is said."""
    for item in features:
        if np.isinf(_columns([item], thin())[item.name]).any():
            log.warning("%s is infinite where nothing is traded or the price stands still: null there", _named(item))


def _refuse_later_split(item: Feature, whole: Columns, arrays: Arrays) -> None:
    """A split in days to come rewrites earlier prices, volumes and `split`, and must not show."""
    later = times(arrays, 7, ("split",))
    if item.scale == "price":
        later = times(times(later, 1 / 7, PRICES), 7, ("volume",))
    if kinds_of([item]):  # shares as a filing counts them go with the split history
        later = with_later_split(arrays, 7)
    if not _is(_columns([item], later)[item.name], whole[item.name], 1e-4):
        raise FeatureError(
            f"{item.name} looks ahead: a later split changes its earlier values, as split, and prices and volumes "
            "before it, are counted in today's shares: take traded_close, or ratios"
        )


def _refuse_window(item: Feature, arrays: Arrays) -> None:
    if not _suffices([item], _columns([item], arrays), item.window, item.tolerance, arrays)[0]:
        raise FeatureError(
            f"{item.name}: the last window={item.window} bars must give its value (to tolerance={item.tolerance:g} "
            "standard deviations), and don't: declare the longer window that it needs"
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


def _lengthened(features: list[Feature]) -> list[Feature]:
    """Features with longer windows where theirs don't give the values of thin bars, which move less often."""
    whole = _columns(features, thin())
    short = [item for item in features if not _suffices([item], whole, item.window, item.tolerance, thin())[0]]
    longer = {item.name: item for item in _measured(short, whole, thin())} if short else {}
    return [
        replace(item, window=max(item.window, longer[item.name].window), tolerance=TOLERANCE)
        if item.name in longer
        else item
        for item in features
    ]


def _measured(features: list[Feature], whole: Columns, arrays: Arrays) -> list[Feature]:
    """Features with the shortest window found that gives their values: exactly, or else to the tolerance."""
    warm_up = {item.name: int(np.flatnonzero(~np.isnan(whole[item.name]))[0]) + 1 for item in features}
    measured: dict[str, tuple[int, float]] = {}
    for window in sorted(set(warm_up.values())):
        exact = _suffices(features, whole, window, 0.0, arrays)
        for item, ok in zip(features, exact, strict=True):
            if ok and warm_up[item.name] <= window:
                measured.setdefault(item.name, (window, 0.0))
    window = min(warm_up.values())
    while len(measured) < len(features):
        window = min(window + max(window // 4, 2), LONGEST)
        left = [item for item in features if item.name not in measured]
        for item, ok in zip(left, _suffices(left, whole, window, TOLERANCE, arrays), strict=True):
            if ok and warm_up[item.name] <= window:
                measured[item.name] = (min(int(window * MARGIN), LONGEST), TOLERANCE)
        if window == LONGEST and len(measured) < len(features):
            item = next(item for item in features if item.name not in measured)
            raise FeatureError(
                f"{_named(item)} remembers too long: the last {LONGEST} bars must give its value to {TOLERANCE:.0%} of "
                "its standard deviation, and don't (a running total never forgets): leave it out"
            )
    return [replace(item, window=measured[item.name][0], tolerance=measured[item.name][1]) for item in features]


def _suffices(features: Sequence[Feature], whole: Columns, window: int, tolerance: float, arrays: Arrays) -> list[bool]:
    """Whether the last `window` bars alone give each value, at a number of rows.

    Of thin bars, those count on which the window alone gives a value: where nothing moves in it, a library's running
    sum leaves rounding, and rounding over rounding is any number.
    """
    fine, is_thin = [True] * len(features), bool((arrays["volume"] == 0).any())
    whole = {name: np.where(np.isinf(values), np.nan, values) for name, values in whole.items()}
    moves = [np.abs(np.diff(np.nan_to_num(whole[item.name][LONGEST:]))) for item in features]
    sudden = {LONGEST + 1 + int(row) for move in moves for row in np.argsort(-move, kind="stable")[:SUDDEN]}
    for row in sorted({*ROWS, *sudden}):
        alone = _columns(features, part(arrays, slice(row - window + 1, row + 1)))
        for at, item in enumerate(features):
            values = whole[item.name]
            margin = (tolerance + EXACT) * np.nanstd(values)
            passed_over = is_thin and not np.isfinite(alone[item.name][-1])
            fine[at] &= passed_over or bool(
                np.isclose(alone[item.name][-1], values[row], rtol=EXACT, atol=margin, equal_nan=True)
            )
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
