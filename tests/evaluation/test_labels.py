import datetime as dt

import numpy as np
import polars as pl
import pytest

from src.config.schema import LabelConfig
from src.evaluation.label_kinds.portfolio import portfolio_table
from src.evaluation.labels import decisions

NEXT = LabelConfig()


def bars(opens, *, symbol="X", volume=None, factor=None, split=None, first=dt.date(2020, 1, 1), asset_class="stock"):
    """Make daily bars with these opens; each close a little above its open."""
    n = len(opens)
    price = np.array(opens, dtype=np.float64)
    return pl.DataFrame(
        {
            "asset_class": [asset_class] * n,
            "symbol": [symbol] * n,
            "date": [first + dt.timedelta(days=i) for i in range(n)],
            "open": price,
            "high": price * 1.02,
            "low": price * 0.98,
            "close": price * 1.01,
            "volume": np.full(n, 1e6) if volume is None else np.array(volume, dtype=np.float64),
            "factor": np.ones(n) if factor is None else np.array(factor, dtype=np.float64),
            "split": pl.Series([None] * n if split is None else split, dtype=pl.Float64),
            "repaired": [False] * n,
        }
    )


def naive(frame, horizon, tolerance):
    """Label and one-bar return of each tradable bar, by the words of the contract."""
    rows = [row for row in frame.iter_rows(named=True) if row["open"] > 0 and row["close"] > 0 and row["volume"] > 0]
    opens = [row["open"] * row["factor"] for row in rows]
    labels, changes = [], []
    for k in range(len(rows)):
        ahead = opens[k + 1 + horizon] / opens[k + 1] - 1 if k + 1 + horizon < len(rows) else None
        labels.append(None if ahead is None or abs(ahead) <= tolerance else float(ahead > 0))
        changes.append(opens[k + 2] / opens[k + 1] - 1 if k + 2 < len(rows) else None)
    return [pl.Series(values, dtype=pl.Float64).fill_null(np.nan).to_numpy() for values in (labels, changes)]


@pytest.mark.parametrize("horizon", [1, 2, 5])
@pytest.mark.parametrize("seed", range(3))
def test_label_and_return_are_those_of_a_naive_loop_over_tradable_bars(horizon, seed):
    rng = np.random.default_rng(seed)
    opens = np.exp(np.cumsum(np.round(rng.normal(size=80) * 0.01, 2))) * 20
    volume = np.where(rng.random(80) < 0.1, 0.0, 1e5)
    factor = np.cumprod(1 + (rng.random(80) < 0.05) * 0.01)
    frame = bars(opens, volume=volume, factor=factor)
    got = decisions(frame, LabelConfig(horizon=horizon))
    label, change = naive(frame, horizon, 1e-6)
    np.testing.assert_array_equal(got.label, label)
    np.testing.assert_allclose(got.bar_return, change, rtol=1e-14)
    assert got.rows.tolist() == np.flatnonzero(volume > 0).tolist()
    assert np.isnan(got.label).sum() > horizon + 1  # some zero returns among them


def test_a_decision_enters_at_the_next_open_and_is_booked_two_bars_on():
    got = decisions(bars([10.0, 11.0, 12.0, 6.0]), NEXT)
    assert got.bar_return[0] == pytest.approx(12 / 11 - 1)
    assert got.bar_return[1] == pytest.approx(6 / 12 - 1)
    assert got.label[:2].tolist() == [1.0, 0.0]
    assert np.isnan(got.label[2:]).all()
    assert got.stamps[:2].tolist() == [dt.date(2020, 1, 3), dt.date(2020, 1, 4)]
    assert np.isnat(got.stamps[2:]).all()


def test_bars_without_volume_are_neither_decided_on_nor_traded_at():
    got = decisions(bars([10.0, 11.0, 99.0, 12.0, 13.0], volume=[1, 1, 0, 1, 1]), NEXT)
    assert got.rows.tolist() == [0, 1, 3, 4]
    assert got.bar_return[0] == pytest.approx(12 / 11 - 1)
    assert got.stamps[0].item() == dt.date(2020, 1, 4)


@pytest.mark.parametrize(("step", "label"), [(1e-6, None), (0.9e-6, None), (-0.9e-6, None), (2e-6, 1.0), (-2e-6, 0.0)])
def test_a_return_up_to_the_tolerance_has_no_class_but_keeps_its_profit(step, label):
    got = decisions(bars([1.0, 1.0, 1.0 + step - 1e-13, 1.0]), NEXT)
    assert (None if np.isnan(got.label[0]) else got.label[0]) == label
    assert got.bar_return[0] == pytest.approx(step, abs=1e-12)


def test_a_dividend_is_part_of_the_return():
    got = decisions(bars([10.0, 10.0, 9.9, 9.9], factor=[1.0, 1.0, 10 / 9.9 * 1.01, 10 / 9.9 * 1.01]), NEXT)
    assert got.bar_return[0] == pytest.approx(0.01)
    assert got.label[0] == 1.0


def test_the_traded_price_undoes_later_splits_and_is_the_close_where_they_are_unknown():
    known, unknown = bars([10.0] * 4, split=[4.0, 4.0, 1.0, 1.0]), bars([10.0] * 4)
    np.testing.assert_allclose(decisions(known, NEXT).traded_price, [40.4, 40.4, 10.1, 10.1])
    np.testing.assert_allclose(decisions(unknown, NEXT).traded_price, [10.1] * 4)


def test_later_bars_change_nothing_known_before():
    opens = np.exp(np.cumsum(np.random.default_rng(3).normal(size=60) * 0.01))
    part, whole = decisions(bars(opens[:40]), NEXT), decisions(bars(opens), NEXT)
    for name in ("close_return", "high", "low", "close", "traded_price", "stale", "repaired"):
        np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[:40])
    np.testing.assert_array_equal(part.label[:38], whole.label[:38])


def test_stored_predictions_find_their_decisions_again_or_are_refused():
    got = decisions(bars([1.0, 2.0, 3.0, 4.0, 5.0], volume=[1, 1, 0, 1, 1]), NEXT)
    assert got.positions(got.dates[1:3]).tolist() == [1, 2]
    with pytest.raises(ValueError, match=r"1 predictions are dated where no bar is tradable, the first 2020-01-03"):
        got.positions(np.array(["2020-01-02", "2020-01-03"], dtype="datetime64[D]"))
    with pytest.raises(ValueError, match="2031"):
        got.positions(np.array(["2031-01-02"], dtype="datetime64[us]"))


def test_an_empty_table_is_refused_and_one_without_a_tradable_bar_has_no_decision():
    with pytest.raises(ValueError, match="at least one bar"):
        decisions(bars([]), NEXT)
    assert decisions(bars([1.0, 2.0], volume=[0, 0]), NEXT).size == 0


@pytest.mark.parametrize("horizon", [1, 3])
def test_a_relative_label_is_above_or_below_the_panels_mean_over_the_same_bars(horizon):
    rng = np.random.default_rng(9)
    label = LabelConfig(name="market_relative", horizon=horizon, kind="relative")
    members = [bars(np.exp(np.cumsum(rng.normal(size=50) * 0.01)), symbol=f"M{i}") for i in range(5)]
    got = decisions(members[0], label, portfolio_table(pl.concat(members), label))
    opens = np.stack([frame["open"].to_numpy() for frame in members])
    for k in range(50 - 1 - horizon):
        ahead = opens[:, k + 1 + horizon] / opens[:, k + 1] - 1
        excess = ahead[0] - np.mean(ahead)
        assert np.isnan(got.label[k]) if abs(excess) <= 1e-6 else got.label[k] == float(excess > 0)
    assert np.isnan(got.label[50 - 1 - horizon :]).all()
    own = opens[:, 2:] / opens[:, 1:-1] - 1
    np.testing.assert_allclose(got.bar_return[:-2], own[0] - own.mean(axis=0), atol=1e-11)
    assert np.isnan(got.bar_return[-2:]).all()


def test_a_panel_member_that_stops_trading_brings_nothing_from_beyond_the_horizon():
    calm = [bars([1.0, 1.0, 1.1, 1.1, 1.1, 1.1], symbol=f"C{i}") for i in range(2)]
    gone = bars([1.0, 1.0, 1.0, 1.0, 1.0, 50.0], symbol="G", volume=[1, 1, 0, 0, 0, 1])
    table = portfolio_table(pl.concat([*calm, gone]), LabelConfig(kind="relative"))
    assert table["market_return"][0] == pytest.approx(0.1)
    assert table["exit"][0] == dt.date(2020, 1, 3)


def test_where_the_instrument_itself_did_not_trade_on_the_panels_bars_it_has_no_relative_label():
    label = LabelConfig(kind="relative")
    panel = portfolio_table(pl.concat([bars([1.0, 1.0, 1.1, 1.2, 1.3, 1.4], symbol=f"C{i}") for i in range(3)]), label)
    own = bars([1.0, 1.0, 5.0, 2.0, 3.0, 4.0], symbol="OWN", volume=[1, 1, 0, 1, 1, 1])
    assert np.isnan(decisions(own, label, panel).label[0])  # its bar after next is a day later than theirs
    assert decisions(own, label, panel).label[2] == 1.0


def test_the_panels_of_two_classes_are_kept_apart():
    label = LabelConfig(kind="relative")
    stocks = [bars([1.0, 1.0, 2.0, 2.0], symbol=f"S{i}") for i in range(3)]
    coins = [bars([1.0, 1.0, 0.5, 0.5], symbol=f"S{i}", asset_class="crypto") for i in range(3)]
    table = portfolio_table(pl.concat([*stocks, *coins]), label)
    assert dict(table.filter(pl.col("date") == dt.date(2020, 1, 1)).select("asset_class", "market_return").rows()) == {
        "stock": 1.0,
        "crypto": -0.5,
    }


def test_a_relative_label_without_a_panel_is_refused():
    with pytest.raises(ValueError, match="compares with the panel, got none for stock X"):
        decisions(bars([1.0, 2.0, 3.0]), LabelConfig(name="market_relative", kind="relative"))
