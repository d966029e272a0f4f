"""The tradable portfolio behind relative labels: its returns, and what a hedge with it makes of profit and loss."""

import datetime as dt

import numpy as np
import polars as pl
import pytest

from src.config.schema import LabelConfig, StrategyConfig
from src.core.errors import ConfigError
from src.core.hashing import table_digest
from src.evaluation.label_kinds import beta, portfolio
from src.evaluation.label_kinds.portfolio import members_of, portfolio_table
from src.evaluation.labels import decisions, read_market
from src.evaluation.strategy import performance, trading_conditions
from src.market.spread import spread
from tests.evaluation.test_labels import bars

RELATIVE = LabelConfig(name="market_relative", kind="relative")
BETA = LabelConfig(name="market_beta", kind="beta")
FUND = LabelConfig(name="spy", kind="beta", params={"fund": "etf:SPY"})
PLAIN = StrategyConfig(volatility_window=20)


def skewed(rng, n=400, names=12):
    """Members whose returns are skewed to the right, as those of stocks are: the median is below the mean."""
    common = rng.normal(size=n) * 0.01
    own = np.exp(rng.normal(size=(names, n)) * 0.9)
    steps = 0.006 * (own - np.exp(0.405)) + common
    return [bars(np.cumprod(1.0 + steps[i]) * 20, symbol=f"M{i:02d}") for i in range(names)]


def always_long_gross(members, label):
    """Hedged gross return of each bar, of one unit of each member all the time."""
    table = portfolio_table(pl.concat(members), label)
    return np.stack([decisions(own, label, table).bar_return for own in members]).mean(axis=0)


def test_always_long_over_the_panel_earns_nothing_gross_when_it_is_hedged():
    gross = always_long_gross(skewed(np.random.default_rng(0)), RELATIVE)
    assert np.abs(gross[:-2]).max() < 1e-11


def test_hedged_by_a_median_always_long_earns_basis_points_a_day_without_skill(monkeypatch):
    """The fault that the mean is there for: mean less median of skewed returns is a profit that can't be had."""

    def medians(rows, dates):
        found = rows.group_by(dates).agg(pl.len().alias("members"), pl.col("change").median().alias("mean"))
        return found.select(*dates, "members", "mean").sort(dates)

    monkeypatch.setattr(portfolio, "_means", medians)
    gross = always_long_gross(skewed(np.random.default_rng(0)), RELATIVE)[:-2]
    assert gross.mean() > 2e-4
    assert gross.mean() / gross.std() * np.sqrt(gross.size) > 3.0


def test_members_that_miss_a_day_leave_the_mean_of_it_and_hedge_their_own_days():
    rng = np.random.default_rng(1)
    opens = np.cumprod(1 + rng.normal(size=(5, 40)) * 0.02, axis=1)
    volume = np.full((5, 40), 1e6)
    volume[0, 20:23] = 0
    members = [bars(opens[i], symbol=f"M{i}", volume=volume[i]) for i in range(5)]
    table = portfolio_table(pl.concat(members), RELATIVE)
    day, others = opens[:, 1:] / opens[:, :-1] - 1, [1, 2, 3, 4]
    got = decisions(members[1], RELATIVE, table)
    assert got.bar_return[18] == pytest.approx(day[1, 19] - day[others, 19].mean(), abs=1e-11)
    absent = decisions(members[0], RELATIVE, table)  # decision 18 enters on bar 19 and leaves on bar 23
    index = np.prod(1 + day[others, 19:23].mean(axis=0))
    assert absent.bar_return[18] == pytest.approx(opens[0, 23] / opens[0, 19] - index, abs=1e-11)
    assert np.isnan(absent.label[18])
    assert np.isfinite(absent.bar_return[:-2]).all()


def test_a_day_on_which_one_member_alone_trades_is_no_session():
    first = dt.date(2024, 1, 4)  # a Thursday
    members = [bars([10.0, 10.0, 10.0, 11.0, 11.0, 11.0, 12.1], symbol=f"M{i}", first=first) for i in range(4)]
    weekend = pl.col("date").dt.weekday() > 5
    members = [own.filter(~weekend) if i else own for i, own in enumerate(members)]
    got = decisions(members[1], RELATIVE, portfolio_table(pl.concat(members), RELATIVE))
    assert got.dates.tolist() == [first + dt.timedelta(days=i) for i in (0, 1, 4, 5, 6)]
    assert np.abs(got.bar_return[:-2]).max() < 1e-11


@pytest.mark.parametrize("label", [RELATIVE, BETA])
def test_later_bars_change_nothing_that_sizes_or_hedges_a_decision(label):
    rng = np.random.default_rng(2)
    members = [bars(np.cumprod(1 + rng.normal(size=320) * 0.02), symbol=f"M{i}") for i in range(5)]
    gone = rng.random((5, 320)) < 0.1
    members = [own.with_columns(volume=pl.Series(np.where(gone[i], 0.0, 1e6))) for i, own in enumerate(members)]
    whole = decisions(members[0], label, portfolio_table(pl.concat(members), label))
    for end in (270, 290, 301):
        known = [own.head(end) for own in members]
        part = decisions(known[0], label, portfolio_table(pl.concat(known), label))
        n = part.size
        np.testing.assert_array_equal(part.close_return, whole.close_return[:n])
        np.testing.assert_array_equal(part.hedge.ratio, whole.hedge.ratio[:n])
        np.testing.assert_array_equal(part.hedge.half_spread, whole.hedge.half_spread[:n])
        np.testing.assert_array_equal(part.bar_return[:-2], whole.bar_return[: n - 2])


def test_beta_is_the_slope_of_the_last_252_returns_and_scales_label_and_hedge():
    rng = np.random.default_rng(3)
    market = rng.normal(size=400) * 0.01
    slopes = np.array([0.5, 1.0, 1.5])
    noise = rng.normal(size=(3, 400)) * 0.002
    members = [bars(np.cumprod(1 + slopes[i] * market + noise[i]), symbol=f"M{i}") for i in range(3)]
    table = portfolio_table(pl.concat(members), BETA)
    got = decisions(members[2], BETA, table)
    closes = np.stack([own["close"].to_numpy() for own in members])
    moved = closes[:, 1:] / closes[:, :-1] - 1
    opens = np.stack([own["open"].to_numpy() for own in members])
    day = opens[:, 2:] / opens[:, 1:-1] - 1
    for k in (252, 300, 397):
        slope = np.polyfit(moved[:, k - 252 : k].mean(axis=0), moved[2, k - 252 : k], 1)[0]
        assert got.hedge.ratio[k] == pytest.approx(slope, rel=1e-8)
        excess = day[2, k] - slope * day[:, k].mean()
        assert got.bar_return[k] == pytest.approx(excess, abs=1e-10)
        assert got.label[k] == float(excess > 0)
        expected = moved[2, k - 1] - got.hedge.ratio[k - 1] * moved[:, k - 1].mean()
        assert got.close_return[k] == pytest.approx(expected, abs=1e-10)
    assert (got.hedge.ratio[:252] == 1.0).all()


def test_both_legs_pay_and_a_ratio_that_moves_pays_while_the_position_is_held():
    rng = np.random.default_rng(4)
    members = [bars(np.cumprod(1 + rng.normal(size=330) * 0.02), symbol=f"M{i}") for i in range(4)]
    coin = [own.with_columns(asset_class=pl.lit("crypto")) for own in members]
    strategy = StrategyConfig(cost_bps={"stock": 5.0, "etf": 7.0, "crypto": 11.0}, spread_window=20, half_cent=0.0)
    got = decisions(coin[0], BETA, portfolio_table(pl.concat(coin), BETA))
    chosen = np.arange(270, 320)
    conditions = trading_conditions(chosen, got, strategy)
    halves = []
    for own in coin:
        high, low, close = (own[name].to_numpy() for name in ("high", "low", "close"))
        halves.append(spread(high, low, close, portfolio.SPREAD_WINDOW) / 2)
    rate = 11e-4 + np.mean(halves, axis=0)
    leg = np.maximum(11e-4, spread(got.high, got.low, got.close, 20) / 2)
    ratio = got.hedge.ratio
    np.testing.assert_allclose(conditions.cost, (leg + np.abs(ratio) * rate)[chosen], atol=1e-11)
    position, held, expected = np.linspace(0.2, 0.4, chosen.size), 0.0, []
    for p, k in zip(position, chosen, strict=True):
        own = abs(p - held) * leg[k]
        other = abs(p - held) * abs(ratio[k]) * rate[k] + p * abs(ratio[k] - ratio[k - 1]) * rate[k]
        expected.append(p * got.bar_return[k] - own - other)
        held = p
    expected[-1] -= position[-1] * conditions.cost[-1]
    earned = performance(position / conditions.size, conditions)
    np.testing.assert_allclose(earned.net, expected, atol=1e-12)
    short = trading_conditions(chosen, got, StrategyConfig(short=True))
    np.testing.assert_array_equal(short.change, got.bar_return[chosen])


def test_positions_are_sized_by_the_hedged_volatility():
    rng = np.random.default_rng(5)
    market = rng.normal(size=200) * 0.02
    members = [bars(np.cumprod(1 + market + rng.normal(size=200) * 0.004), symbol=f"M{i}") for i in range(10)]
    table = portfolio_table(pl.concat(members), RELATIVE)
    chosen = np.arange(100, 190)
    hedged = trading_conditions(chosen, decisions(members[0], RELATIVE, table), PLAIN).size
    outright = trading_conditions(chosen, decisions(members[0], LabelConfig()), PLAIN).size
    assert (hedged > 1.5 * outright).all()


def test_a_fund_takes_the_place_of_the_mean_and_pays_the_costs_of_its_own_class():
    rng = np.random.default_rng(6)
    stocks = [bars(np.cumprod(1 + rng.normal(size=300) * 0.02), symbol=f"S{i}") for i in range(3)]
    fund = bars(np.cumprod(1 + rng.normal(size=300) * 0.01), symbol="SPY", asset_class="etf")
    table = portfolio_table(pl.concat([*stocks, fund]), FUND)
    got = decisions(stocks[0], FUND, table)
    opens, own = fund["open"].to_numpy(), stocks[0]["open"].to_numpy()
    k = 280
    expected = own[k + 2] / own[k + 1] - 1 - got.hedge.ratio[k] * (opens[k + 2] / opens[k + 1] - 1)
    assert got.bar_return[k] == pytest.approx(expected, abs=1e-11)
    assert got.hedge.asset_class == "etf"
    assert np.abs(decisions(fund, FUND, table).bar_return[253:-2]).max() < 1e-11  # of itself, its beta is 1


@pytest.mark.parametrize(
    ("fund", "words"),
    [
        ("SPY", "must be an asset class and a symbol such as etf:SPY, got SPY"),
        ("etf:", "such as etf:SPY, got etf:"),
        ("etf:SPX", "must name an instrument of the dataset, got etf:SPX"),
    ],
)
def test_a_fund_that_is_not_there_is_refused(fund, words):
    with pytest.raises(ConfigError, match=words):
        portfolio_table(bars([1.0, 2.0, 3.0, 4.0]), LabelConfig(kind="beta", params={"fund": fund}))


def test_the_bars_of_the_fund_are_read_beside_the_panels():
    assert members_of([("stock", "A")], FUND) == [("stock", "A"), ("etf", "SPY")]
    assert members_of([("etf", "SPY")], FUND) == [("etf", "SPY")]
    assert members_of([("stock", "A")], BETA) == [("stock", "A")]


def test_the_market_is_read_bucket_by_bucket_and_cut():
    members = [bars([1.0, 1.1, 1.2, 1.3, 1.4], symbol=f"M{i}") for i in range(2)]

    class Store:
        def panel(self):
            return [("stock", "M0"), ("stock", "M1")]

        def buckets(self):
            return [0, 1]

        def read_bucket(self, b, symbols):
            assert symbols == self.panel()
            return members[b]

    found = read_market(Store(), RELATIVE, lambda rows: rows.head(4))
    assert found.equals(portfolio_table(pl.concat([own.head(4) for own in members]), RELATIVE))
    assert read_market(Store(), LabelConfig(), lambda rows: rows) is None


def test_the_table_does_not_depend_on_the_order_of_the_rows():
    members = pl.concat(skewed(np.random.default_rng(7), n=80, names=9))
    one = portfolio_table(members, RELATIVE)
    other = portfolio_table(members.sample(fraction=1.0, shuffle=True, seed=3), RELATIVE)
    assert table_digest(one) == table_digest(other)


def test_of_no_bars_there_is_an_empty_table_with_the_same_columns():
    some = portfolio_table(bars([1.0, 2.0, 3.0]), RELATIVE)
    none = portfolio_table(bars([1.0, 2.0], volume=[0, 0]), RELATIVE)
    assert none.schema == some.schema
    assert none.is_empty()


def test_a_member_whose_spread_or_price_is_unknown_on_a_day_leaves_the_mean_of_that_day():
    rng = np.random.default_rng(9)
    members = [bars(np.cumprod(1 + rng.normal(size=120) * 0.02), symbol=f"M{i}") for i in range(3)]
    row = pl.int_range(pl.len()) == 70
    broken = members[0].with_columns(
        high=pl.when(row).then(float("nan")).otherwise("high"),
        factor=pl.when(row).then(float("nan")).otherwise("factor"),
    )
    table = portfolio_table(pl.concat([broken, *members[1:]]), RELATIVE)
    assert table.select(pl.col("open_level", "close_level", "half_spread").is_finite().all()).row(0) == (True,) * 3
    day = np.stack([own["open"].to_numpy()[1:] / own["open"].to_numpy()[:-1] - 1 for own in members[1:]])
    level = table["open_level"].to_numpy()
    assert level[71] / level[70] - 1 == pytest.approx(day[:, 70].mean(), abs=1e-11)


def test_where_the_market_does_not_move_beta_is_one():
    own = np.random.default_rng(8).normal(size=300)
    assert (beta.trailing_beta(own, np.zeros(300)) == 1.0).all()
