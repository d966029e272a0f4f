"""The check of a user's own columns on an instrument's own bars: what it finds, what it lets pass, what it says."""

import itertools

import numpy as np
import polars as pl
import pytest

from src.features.catalog import declared
from src.features.compute import PanelLookup, evaluate
from src.features.graph import FeatureGraph
from src.features.look_ahead import (
    ForesightError,
    cut_off,
    examiner,
    first_difference,
    overturned,
    places,
    trials_each,
)
from src.features.panel_lookup import Members
from src.features.registry import Feature
from src.features.windows import lag, mean
from tests.features.series import lively, market

LONG = 2600
PANEL = PanelLookup(market(LONG))
BARS = lively(LONG, 11)


def planted(function, window: int = 1) -> Feature:
    return Feature("planted", "own", function, None, window, "none", 0.0, "this test")


def found(function, window: int = 1, bars: pl.DataFrame = BARS, trials: int = 3) -> str:
    """What the check says of a feature on some bars; empty where it passes."""
    graph = FeatureGraph([planted(function, window), declared()["return_5"]])
    try:
        _, failed = evaluate(bars, graph, PANEL, examiner(graph.features, trials))
    except ForesightError as error:
        assert "\n" not in error.found.reason
        return error.found.reason
    assert not failed
    return ""


def tomorrow(x):
    return np.r_[x[1:], np.nan]


def beyond_2000_bars(close):
    return tomorrow(close) / close if len(close) > 2000 else close / lag(close, 1)


def on_odd_lengths(close):
    return tomorrow(close) / close if len(close) % 2 == BARS.height % 2 else close / lag(close, 1)


def of_dear_shares(close, raw_close):
    return np.where(raw_close > np.median(raw_close), tomorrow(close), close) / close


def of_late_dates(close, day):
    return np.where(day > np.quantile(day, 0.7), tomorrow(close), lag(close, 1)) / close


def over_the_global_mean(log_return):
    return log_return - np.nanmean(log_return)


def scaled_by_the_whole(log_return):
    return log_return / np.nanstd(log_return)


def global_rank(close):
    return np.argsort(np.argsort(close)) / len(close)


def centred(log_return):
    return np.convolve(np.nan_to_num(log_return), np.ones(11) / 11, "same")


def back_filled(volume):
    known = np.where(volume > 0, volume, np.nan)
    filled = pl.Series(known).fill_nan(None).fill_null(strategy="backward").to_numpy()
    return filled / mean(volume, 5)


def number_of_bars(close):
    return np.arange(len(close)) / len(close)


def last_close(close):
    return close / close[-1]


def interpolated(close):
    kept = np.arange(0, len(close), 5)
    return np.interp(np.arange(len(close)), kept, close[kept]) / close


def days_to_the_next_bar(day):
    return np.r_[np.diff(day), 1.0]


def tomorrows_volume(volume):
    return tomorrow(volume) / volume


def tomorrows_panel(market_breadth):
    return tomorrow(market_breadth)


def later_members(members_return_21):
    rows = np.minimum(members_return_21.row + 1, len(members_return_21.values) - 1)
    return members_return_21.values[rows, 25].astype(float)


def all_members(members_return_21):
    return np.full(len(members_return_21.row), float(np.nanmean(members_return_21.values)))


def next_distribution(factor):
    return factor[-1] / factor


def tiny_hint(close):
    return 1.0 + 1e-6 * np.nan_to_num(np.sign(tomorrow(close) - close))


def hint_beside_an_outlier(close):
    hint = 1e-4 * np.nan_to_num(np.sign(tomorrow(close) - close))
    return np.where(np.arange(len(close)) == 5, 1e12, hint)


def rare_jump_ahead(log_return):
    """Fires the bar before a large move: the row must be found."""
    later = np.nan_to_num(tomorrow(log_return))
    return np.where(np.abs(later) > 5 * np.nanstd(log_return[:500]), 1.0, 0.0)


AHEAD = [
    beyond_2000_bars, on_odd_lengths, of_dear_shares, of_late_dates, over_the_global_mean, scaled_by_the_whole,
    global_rank, centred, number_of_bars, last_close, interpolated, tomorrows_panel, later_members,
    all_members, next_distribution, tiny_hint, hint_beside_an_outlier, tomorrows_volume,
]  # fmt: skip


@pytest.mark.parametrize("function", AHEAD, ids=lambda function: function.__name__)
def test_a_column_that_looks_ahead_is_refused_with_instrument_and_date(function):
    reasons = [found(function, bars=lively(LONG, seed)) for seed in range(11, 17)]
    assert any("planted looks ahead on stock:AAA at 20" in reason for reason in reasons), reasons


@pytest.mark.parametrize(
    "function", [rare_jump_ahead, back_filled, days_to_the_next_bar], ids=lambda function: function.__name__
)
def test_what_shows_at_few_rows_is_found_by_the_rows_tried_of_a_small_universe(function):
    assert "planted looks ahead" in found(function, trials=trials_each(1))


def honest_recursion(close):
    value, out = close[0], np.empty(len(close))
    for at, each in enumerate(close):
        value += 0.1 * (each - value)
        out[at] = value
    return out / close


def causal_filter(log_return):
    """A transform of the whole series: its rounding depends on the length."""
    x = np.nan_to_num(log_return)
    size = 2 * len(x)
    return np.fft.irfft(np.fft.rfft(x, size) * np.fft.rfft(0.9 ** np.arange(60), size), size)[: len(x)] + 1.0


def matrix_product(log_return):
    out = np.full(len(log_return), np.nan)
    rows = np.lib.stride_tricks.sliding_window_view(log_return, 63)
    out[62:] = np.ascontiguousarray(rows) @ np.arange(63.0)
    return out


def undefined_where_still(close, prior_close):
    return 1 / np.where(close == prior_close, 0.0, close / prior_close)


def standing(return_21, members_return_21):
    return declared()["return_rank_21"].function(return_21, members_return_21)


@pytest.mark.parametrize("function", [honest_recursion, causal_filter, matrix_product, undefined_where_still, standing])
def test_a_column_that_looks_back_alone_passes(function):
    for seed in range(20, 24):
        assert found(function, window=64, bars=lively(900, seed), trials=trials_each(1)) == ""


def test_every_feature_of_the_project_passes_on_long_bars():
    every = [item for item in declared().values() if not item.intraday]
    graph = FeatureGraph([Feature(**{**vars(item), "name": f"own_{item.name}"}) for item in every])
    for seed in (1, 2):
        _, failed = evaluate(lively(2400, seed), graph, PANEL, examiner(graph.features, trials_each(6)))
        assert not failed


def test_a_column_that_is_random_is_refused_as_such():
    generator = np.random.default_rng()
    assert "planted is not reproducible" in found(lambda close: generator.random(len(close)))


def test_a_column_that_remembers_an_earlier_call_is_refused_as_such():
    calls = itertools.count()
    assert "planted is not reproducible" in found(lambda close: close / (1 + next(calls)))


def test_a_column_that_fails_on_fewer_bars_is_refused():
    reason = found(lambda close: close / close[2000], trials=9)
    assert "planted can't be checked for look-ahead on stock:AAA: with the" in reason


def test_a_function_can_not_change_what_others_compute_from():
    def overwritten(close):
        close[:-1] = close[1:]
        return close / close

    graph = FeatureGraph([planted(overwritten), declared()["return_5"]])
    table, failed = evaluate(BARS, graph, PANEL, None)
    assert "assignment destination is read-only" in failed["stock", "AAA"].reason
    assert table["return_5"].null_count() == table.height


def test_without_features_of_ones_own_nothing_is_done():
    assert examiner([*declared().values()], 3) is None


def inputs_of(bars: pl.DataFrame):
    arrays = {}

    def keep(key, own, bare):
        arrays.update(own)

    evaluate(bars, FeatureGraph([declared()["return_rank_21"]]), PANEL, keep)
    return arrays


def test_the_rows_tried_follow_from_the_instrument_and_its_bars():
    arrays = inputs_of(lively(400))
    item = planted(mean, 21)
    whole = {"planted": arrays["raw_close"]}
    cuts = places(("stock", "AAA"), arrays, [item], whole, 30)
    assert cuts == places(("stock", "AAA"), arrays, [item], whole, 30)
    assert cuts != places(("stock", "AAB"), arrays, [item], whole, 30)
    assert all(1 <= cut < 400 for cut in cuts)
    assert cuts[0] >= 300
    assert len({*cuts}) > 15
    assert places(("stock", "AAA"), inputs_of(lively(1)), [item], {"planted": np.ones(1)}, 3) == []


def test_changed_bars_are_the_same_up_to_the_cut_and_other_valid_bars_after_it():
    arrays, cut = inputs_of(lively(400)), 250
    for changed, size in ((cut_off(arrays, cut), cut), (overturned(arrays, cut), 400)):
        assert changed.keys() == arrays.keys()
        for name, values in arrays.items():
            before, after = (each.row if isinstance(each, Members) else each for each in (values, changed[name]))
            assert len(after) == size
            assert np.array_equal(before[:cut], after[:cut], equal_nan=True), name
            if isinstance(values, Members):
                known = values.values[: before[cut - 1] + 1]
                assert np.array_equal(changed[name].values[: len(known)], known, equal_nan=True)
    turned = overturned(arrays, cut)
    late = slice(cut, None)
    assert (turned["raw_high"][late] >= turned["raw_close"][late]).all()
    assert (turned["raw_low"][late] <= turned["raw_open"][late]).all()
    moves = np.diff(np.log(arrays["raw_close"]))[cut - 1 :]
    assert np.allclose(np.diff(np.log(turned["raw_close"]))[cut - 1 :], -moves)
    for name in ("raw_close", "volume", "factor", "split", "day", "market_index", "market_breadth"):
        assert not np.array_equal(turned[name][late], arrays[name][late]), name


@pytest.mark.parametrize(
    ("after", "row"),
    [
        ([1.0, 2.0, 3.0, 9.0], None),
        ([1.0, 2.0 + 1e-9, 3.0], None),
        ([1.0, 2.0 + 1e-8, 3.0], 1),
        ([1.0, np.nan, 3.0], 1),
        ([7.0, 2.0, 3.0], None),
    ],
)
def test_the_first_row_that_differs_is_found(after, row):
    whole = np.array([1.0, 2.0, 3.0, 4.0])
    assert first_difference(whole, np.array(after), 1, 3) == row
    assert first_difference(np.array([np.nan, np.inf]), np.array([np.inf, np.nan]), 0, 2) is None
