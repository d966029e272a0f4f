import dataclasses

import numpy as np
import pytest

from src.evaluation.pooled.forward import forward_returns
from tests.evaluation.pooled.universe_case import DELISTED, bars, section_of


@pytest.fixture(scope="module")
def section():
    return section_of(bars())


def naive(section, horizon: int, delisting_return: float) -> np.ndarray:
    days, names = section.shape
    out = np.full((days, names), np.nan)
    for name in range(names):
        bars = np.flatnonzero(np.isfinite(section.close[:, name]))
        for day in range(days - horizon - 1):
            entry, leave = day + 1, day + 1 + horizon
            if entry not in bars:
                continue
            if leave in bars:
                price = section.open[leave, name]
            else:
                last = bars[bars < leave][-1]
                silent = min([*bars[bars > leave], days]) - last - 1
                if silent <= 5 and leave > bars[-1]:
                    continue
                price = section.close[last, name] * (1 + delisting_return if silent > 5 else 1)
            out[day, name] = price / section.open[entry, name] - 1
    return out


@pytest.mark.parametrize("horizon", [1, 5, 20])
def test_returns_run_from_the_next_open_to_a_later_one(section, horizon):
    found = forward_returns(section, horizon, -0.3)
    assert np.allclose(found, naive(section, horizon, -0.3), atol=1e-6, equal_nan=True)
    assert np.isfinite(found).mean() > 0.85


def test_the_holder_of_a_delisted_name_has_its_delisting_return_once(section):
    column = section.symbols.index(DELISTED)
    last = section.last[column]
    found = forward_returns(section, 20, -0.4)[:, column]
    kept = section.close[last, column] * 0.6 / section.open[last - 4, column] - 1
    assert found[last - 5] == pytest.approx(kept, rel=1e-6)
    assert np.isfinite(found[last - 1]) and np.isnan(found[last])  # no entry after the last bar
    without = forward_returns(section, 20, 0.0)[:, column]
    assert np.array_equal(found[: last - 20], without[: last - 20], equal_nan=True)


@pytest.mark.parametrize(("sessions", "listed"), [(5, True), (6, False)])
def test_a_name_whose_bars_end_with_the_file_is_not_delisted(section, sessions, listed):
    end = section.shape[0] - 1 - sessions
    close, opens, last = section.close.copy(), section.open.copy(), section.last.copy()
    close[end + 1 :, 0] = opens[end + 1 :, 0] = np.nan
    last[0] = end
    cut = dataclasses.replace(section, close=close, open=opens, last=last)
    assert cut.delisted[0] == (not listed)
    found = forward_returns(cut, 20, -0.3)[:, 0]
    assert np.isnan(found[end - 17]) == listed
    assert np.isfinite(found[end - 25])


def test_a_table_shorter_than_the_horizon_has_no_outcome(section):
    short = section_of(bars(), str(section.dates[20]))
    assert np.isnan(forward_returns(short, 20, -0.3)).all()
    assert np.isfinite(forward_returns(short, 19, -0.3)).any()


@pytest.mark.parametrize("again", [260, 290])
def test_whether_a_name_trades_again_after_a_long_halt_changes_no_outcome_before(section, again):
    """Known at the close of row 250, and five sessions less of outcomes: what a fold that starts there learns from."""
    close, opens = section.close.copy(), section.open.copy()
    close[240:, 0] = opens[240:, 0] = np.nan
    silent = dataclasses.replace(
        section, close=close, open=opens, last=np.where(np.arange(close.shape[1]), section.last, 239)
    )
    resumed = [np.where(np.arange(len(close))[:, None] >= again, table, cut)
               for table, cut in ((section.close, close), (section.open, opens))]  # fmt: skip
    later = dataclasses.replace(section, close=resumed[0], open=resumed[1])
    early, late = (forward_returns(each, 5, -0.3)[: 250 - 5 - 5, 0] for each in (silent, later))
    assert np.array_equal(early, late, equal_nan=True)
    assert early[238] == pytest.approx(close[239, 0] * 0.7 / opens[239, 0] - 1, rel=1e-6)
