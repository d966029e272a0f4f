"""Bars that show what came later are quarantined, and bars that are merely odd are not."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from src.config.schema import SimulatedSource
from src.hydration.lookahead import RUN, repeated_runs
from src.hydration.validation import validate
from src.sources.simulated import instrument
from tests.hydration.look_ahead_faults import FAULTS

SERIES = 20


def series(number: int, kind: str = "stock", edge: float = 0.0) -> pl.DataFrame:
    """A simulated instrument of about four years, its adjusted close with quarterly dividends."""
    frame = instrument(SimulatedSource(first="2020-01-02"), (kind, f"L{number:02d}"), "2023-12-29", edge)
    return frame.with_columns(split=pl.lit(None, pl.Float64))


SOUND = [series(number) for number in range(SERIES)]


def reasons(frames: list[pl.DataFrame], interval: str = "1d") -> list[str]:
    states = validate(pl.concat(frames, how="vertical_relaxed"), interval=interval)[1]
    assert states.height == len(frames)
    return [row["reason"] if row["state"] == "quarantined" else "" for row in states.iter_rows(named=True)]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_that_looks_ahead_is_quarantined_in_every_series(fault: str) -> None:
    found = reasons([FAULTS[fault](frame) for frame in SOUND])
    assert [reason[:60] for reason in found if not reason] == []


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("adjusted close a bar early", "as no dividends do: it is dated a bar early, or averaged with later ones"),
        ("closes a bar early, enclosed", "foretells the return after the next open"),
        ("open that is the last close", "of its opens are the close before"),
        ("stretch repeated", "are a stretch that occurs twice, first from 2021-"),
    ],
)
def test_the_reason_names_the_fault_and_what_to_do(fault: str, words: str) -> None:
    for reason in reasons([FAULTS[fault](frame) for frame in SOUND]):
        assert words in reason
        assert reason.endswith("correct the file or take another source, then hydrate again")


@pytest.mark.parametrize("edge", [0.0, 0.3])
@pytest.mark.parametrize("kind", ["stock", "etf", "crypto"])
def test_sound_series_with_or_without_an_edge_pass(kind: str, edge: float) -> None:
    assert reasons([series(number, kind, edge) for number in range(SERIES)]) == [""] * SERIES


@pytest.mark.parametrize("decimals", [2, 3, 4])
@pytest.mark.parametrize("price", [0.4, 3.0, 60.0])
def test_rounding_of_the_adjusted_close_is_no_fault(price: float, decimals: int) -> None:
    frames = []
    for frame in SOUND[:6]:
        scale = price / frame["close"].mean()
        cents = frame.with_columns((pl.col("open", "high", "low", "close") * scale).round(4))
        frames.append(cents.with_columns(adj_close=(pl.col("adj_close") * scale).round(decimals)))
    assert reasons(frames) == [""] * len(frames)


def test_rounding_of_the_close_is_no_fault() -> None:
    """A close in cents beside an adjusted close that was computed from the unrounded one."""
    frames = []
    for frame in SOUND[:6]:
        scale = 3.0 / frame["close"].mean()
        small = frame.with_columns(pl.col("open", "high", "low", "close", "adj_close") * scale)
        frames.append(small.with_columns(pl.col("open", "high", "low", "close").round(2)))
    assert reasons(frames) == [""] * len(frames)


@pytest.mark.parametrize("every", [5, 21])
def test_weekly_and_monthly_distributions_are_no_fault(every: int) -> None:
    frames = []
    for frame in SOUND[:6]:
        steps = np.where(np.arange(frame.height) % every == 0, 1.002, 1.0)
        factor = np.cumprod(steps)
        frames.append(frame.with_columns(adj_close=(pl.col("close") * pl.Series(factor / factor[-1])).round(6)))
    assert reasons(frames) == [""] * len(frames)


def test_a_fault_in_a_part_of_the_history_is_found() -> None:
    late = [pl.concat([f.head(400), FAULTS["closes a bar early, enclosed"](f.slice(400))]) for f in SOUND]
    steps = [pl.concat([f.head(700), FAULTS["adjusted close a bar early"](f.slice(700))]) for f in SOUND]
    assert all("foretells" in reason for reason in reasons(late))
    assert all("adj_close moves against close" in reason for reason in reasons(steps))


def test_coins_may_open_at_the_last_close_and_so_may_bars_within_a_session() -> None:
    fault = FAULTS["open that is the last close"]
    assert reasons([fault(series(number, "crypto")) for number in range(4)]) == [""] * 4
    hour = pl.datetime(2021, 1, 4, time_zone="UTC") + pl.duration(hours=pl.int_range(pl.len()))
    hourly = [fault(frame).with_columns(date=hour.cast(pl.Datetime("us", "UTC"))) for frame in SOUND[:4]]
    assert reasons(hourly, "1h") == [""] * 4


def test_placeholders_and_still_prices_are_no_repeated_stretch() -> None:
    n = np.arange(SOUND[0].height)
    odd = {
        "no volume": pl.Series(np.where(n % 2, 0.0, 100.0)),
        "round lots": pl.Series(100.0 * (1 + np.random.default_rng(5).integers(0, 3, n.size))),
        "constant": pl.Series(np.full(n.size, 1000.0)),
    }
    for volume in odd.values():
        assert reasons([SOUND[0].with_columns(volume=volume)]) == [""]


def test_repeated_runs_are_those_of_a_naive_loop() -> None:
    rng = np.random.default_rng(4)
    volume = rng.integers(1, 9, 300).astype(float) * 100
    volume[200:231] = volume[40:71]
    close = np.exp(np.cumsum(0.01 * rng.normal(size=300)))
    frame = pl.DataFrame({"g": [1] * 300, "close": close, "volume": volume})
    frame = frame.with_columns(date=pl.date_range(pl.date(2020, 1, 1), pl.date(2020, 10, 26)))
    windows = [tuple(volume[i : i + RUN]) for i in range(300 - RUN + 1)]
    later = {i for i, window in enumerate(windows) if window in windows[:i] and len(set(window)) >= 6}
    inside = {i + j for i in later for j in range(RUN)}
    found = repeated_runs(frame.with_columns(pl.col("g").cast(pl.UInt32)))
    assert found["run"].to_list() == [len(inside)]
    assert found["run_again"].to_list() == [frame["date"][min(later)]]
    assert found["run_first"].to_list() == [frame["date"][windows.index(windows[min(later)])]]
    assert set(range(202, 228)) <= inside


def test_instruments_are_compared_with_themselves_alone() -> None:
    """Two names with the same bars, as share classes or a copy under another ticker have, are no repeated stretch."""
    twin = SOUND[0].with_columns(symbol=pl.lit("TWIN"))
    assert reasons([SOUND[0], twin]) == ["", ""]
