import math

import numpy as np
import pytest
from scipy import stats

from src.monitoring import power, sequential

CHOICE = {"alarms": 0.05, "draws": 1000, "block": 5, "seed": 0}
DAILY = math.sqrt(252)


def returns(days, sharpe, rng):
    return 0.01 * (rng.standard_normal(days) + sharpe / DAILY)


def test_the_statistic_is_pages():
    shortfalls = np.random.default_rng(0).normal(size=(3, 200))
    start = np.array([0.0, 1.0, 5.0])
    for row, before in zip(shortfalls, start, strict=True):
        value, want = before, []
        for each in row:
            value = max(0.0, value + each)
            want.append(value)
        assert sequential.cusum(row, before) == pytest.approx(want)
    assert sequential.cusum(shortfalls, start)[2] == pytest.approx(sequential.cusum(shortfalls[2], 5.0))


def test_limit_of_normal_days_is_that_of_the_markov_chain():
    """Brook and Evans (1972) give the probability to have crossed in 252 days, without any drawing."""
    record = np.random.default_rng(1).standard_normal(20_000)
    shortfalls = (record - record.mean()) / record.std() - 0.08
    got = sequential._limits(shortfalls, 1, 252, 0.05, 4000, 1, 0, 0.0)[0] / sequential.MARGIN
    assert got == pytest.approx(power.normal_limit(0.05, 252, 0.08), rel=0.04)


def test_run_length_of_the_limit_is_siegmunds():
    """Siegmund, "Sequential Analysis" (1985), eq. 2.57: (exp(2 k b) - 2 k b - 1) / (2 k^2), b = limit + 1.166."""
    limit, k = 8.0, 0.25
    b = limit + 1.166
    want = (math.exp(2 * k * b) - 2 * k * b - 1) / (2 * k * k)
    days = np.random.default_rng(2).standard_normal((1500, 3000)) - k
    crossed = sequential.cusum(days) > limit
    first = np.where(crossed.any(axis=1), crossed.argmax(axis=1) + 1, 3000)
    rate = crossed.any(axis=1).sum() / first.sum()  # exponential run lengths, cut off at 3,000 days
    assert 1 / rate == pytest.approx(want, rel=0.08)


def test_sum_without_a_floor_keeps_villes_bound_and_page_does_not():
    """A likelihood ratio is a martingale under the null: whenever looked at, it passes 1/a with probability at most a.

    Ville, "Etude critique de la notion de collectif" (1939), ch. V. Page's statistic restarts: its limit is higher.
    """
    fall, days = 2.5 / DAILY, np.random.default_rng(3).standard_normal((4000, 252))
    ratios = fall * (days - fall / 2)
    bound = math.log(1 / 0.05)
    allowed = stats.binom.isf(0.001, 4000, 0.05)
    assert np.count_nonzero(np.cumsum(ratios, axis=1).max(axis=1) > bound) <= allowed
    assert np.count_nonzero(sequential.cusum(ratios).max(axis=1) > bound) > allowed


def false_alarms(champions, watched, rng, *, years=1, true=0.6):
    found = [watched(returns(1500, true, rng), returns(252 * years, true, rng)) for _ in range(champions)]
    return np.array([math.inf if each.crossed is None else each.crossed for each in found])


def test_champions_that_are_as_expected_are_flagged_no_more_than_stated():
    rng = np.random.default_rng(4)

    def watched(record, live):
        own = record.mean() / record.std(ddof=1) * DAILY
        likely = 0.6 + (own - 0.6) * 0.5  # shrunk half the way, as a prior spread of the record's error gives
        error = math.sqrt(252 / 1500 / 2)
        return sequential.reversal(
            record, live, sharpe=likely, error=error, bars_per_year=252.0, **CHOICE | {"draws": 400}
        )

    first = false_alarms(250, watched, rng, years=2)
    most = stats.binom.isf(0.001, 250, 0.05)
    assert np.count_nonzero(first < 252) <= most
    assert np.count_nonzero((first >= 252) & (first < 504)) <= most


def test_a_null_that_is_the_selected_figure_condemns_the_innocent():
    """The planted fault: champions chosen at 1.4 by luck, whose truth is 0.2, watched against 1.4."""
    rng = np.random.default_rng(5)
    flagged = {1.4: 0, 0.2: 0}
    for _ in range(60):
        record, live = returns(1500, 1.4, rng), returns(504, 0.2, rng)
        for null in flagged:
            watched = sequential.reversal(record, live, sharpe=null, bars_per_year=252.0, **CHOICE | {"draws": 400})
            flagged[null] += watched.crossed is not None
    assert flagged[0.2] <= stats.binom.isf(0.001, 60, 0.1)
    assert flagged[1.4] > 2 * flagged[0.2] + 5


def test_a_reversed_champion_is_flagged_within_two_years():
    rng = np.random.default_rng(6)
    found = [
        sequential.reversal(
            returns(1500, 0.6, rng), returns(504, -2.0, rng), sharpe=0.6, bars_per_year=252.0, **CHOICE | {"draws": 400}
        ).crossed
        for _ in range(40)
    ]
    assert sum(day is not None for day in found) >= 34


def test_more_days_never_undo_a_crossing():
    rng = np.random.default_rng(7)
    record, live = returns(1000, 0.5, rng), returns(800, -4.0, rng)
    whole = sequential.reversal(record, live, sharpe=0.5, bars_per_year=252.0, **CHOICE)
    assert whole.crossed is not None
    for days in (whole.crossed + 1, 252, 253, 504, 505, 799):
        part = sequential.reversal(record, live[:days], sharpe=0.5, bars_per_year=252.0, **CHOICE)
        assert part.crossed == whole.crossed
        assert part.statistic == pytest.approx(whole.statistic[:days], abs=1e-9)
        assert part.limit.tolist() == whole.limit[:days].tolist()
    before = sequential.reversal(record, live[: whole.crossed], sharpe=0.5, bars_per_year=252.0, **CHOICE)
    assert before.crossed is None and before.now <= 1.0 < whole.statistic[whole.crossed] / whole.limit[whole.crossed]


def test_limits_know_that_positive_dependence_makes_longer_swings():
    rng = np.random.default_rng(8)
    noise = rng.standard_normal(6000)
    swings = np.convolve(noise, np.full(10, 0.1), mode="valid")
    apart, together = (
        sequential.reversal(0.01 * each, np.zeros(1), sharpe=0.5, bars_per_year=252.0, **CHOICE | {"block": 40}).limit[
            0
        ]
        for each in (noise, swings)
    )
    assert together > 1.8 * apart


def test_one_terrible_day_condemns_no_champion():
    rng = np.random.default_rng(9)
    record, live = returns(1500, 0.6, rng), returns(100, 0.6, rng)
    live[50] = -0.5
    found = sequential.reversal(record, live, sharpe=0.6, bars_per_year=252.0, **CHOICE)
    assert found.crossed is None


def test_power_of_the_record_agrees_with_the_markov_chain():
    record = np.random.default_rng(10).standard_normal(20_000) * 0.01
    got = sequential.reversal_power(record, sharpe=0.5, true_sharpe=-2.0, years=1, bars_per_year=252.0, **CHOICE)
    limit = power.normal_limit(0.05, 252, 2.5 / DAILY / 2)
    want = power.crossing_probabilities(np.full(252, limit), 2.5 / DAILY / 2, 2.5 / DAILY)[-1]
    assert got == pytest.approx(want, abs=0.06)
    three = sequential.reversal_power(record, sharpe=0.5, true_sharpe=-2.0, years=3, bars_per_year=252.0, **CHOICE)
    assert three > got


def test_seeds_decide_the_limit_and_nothing_else_does():
    rng = np.random.default_rng(11)
    record, live = returns(500, 0.5, rng), returns(30, 0.5, rng)
    one, two, other = (
        sequential.reversal(record, live, sharpe=0.5, bars_per_year=252.0, **CHOICE | {"seed": seed})
        for seed in (0, 0, 1)
    )
    assert one.limit.tolist() == two.limit.tolist() != other.limit.tolist()


def test_a_record_that_can_say_nothing_is_refused():
    live, some = np.zeros(5), np.random.default_rng(12).normal(size=100)
    with pytest.raises(ValueError, match="at least 60 days, got 59"):
        sequential.reversal(np.ones(59), live, sharpe=0.5, bars_per_year=252.0, **CHOICE)
    with pytest.raises(ValueError, match="must vary"):
        sequential.reversal(np.zeros(100), live, sharpe=0.5, bars_per_year=252.0, **CHOICE)
    with pytest.raises(ValueError, match="live days of a watch must be finite, got 1"):
        sequential.reversal(some, np.array([math.nan]), sharpe=0.5, bars_per_year=252.0, **CHOICE)
    none = sequential.reversal(some, live[:0], sharpe=0.5, bars_per_year=252.0, **CHOICE)
    assert none.now == 0.0 and none.crossed is None


def test_so_few_draws_that_no_limit_can_be_stated_never_raise_an_alarm():
    rng = np.random.default_rng(13)
    found = sequential.reversal(
        returns(500, 0.5, rng), returns(252, -20.0, rng), sharpe=0.5, bars_per_year=252.0, **CHOICE | {"draws": 10}
    )
    assert found.limit[0] == math.inf and found.crossed is None


def test_limit_of_the_second_year_is_that_of_paths_that_came_through_the_first():
    """A loop over the drawn paths, without the year's scale and mean: each goes on from where its first year ended."""
    record = np.random.default_rng(14).standard_normal(4000) - 0.08
    got = sequential._limits(record, 2, 100, 0.2, 300, 1, 3, 0.0) / sequential.MARGIN
    rng = np.random.default_rng((3, 0xCE))
    rng.standard_normal(300)
    scales = np.exp(sequential.scale_noise(record, 100, 1) * rng.standard_normal((2, 300)))
    drawn = [sequential.drawn_days(4000, 100, 300, 1, (3, 0xC5, year)) for year in range(2)]
    highest = np.empty((2, 300))
    for path in range(300):
        value = 0.0
        for year in range(2):
            seen = []
            for day in drawn[year][path]:
                shortfall = (record[day] - record.mean()) * scales[year, path] + record.mean()
                value = max(0.0, value + shortfall)
                seen.append(value)
            highest[year, path] = max(seen)
    first = np.sort(highest[0])[math.ceil(0.8 * 301) - 1]
    through = highest[1][highest[0] <= first]
    second = np.sort(through)[math.ceil(0.8 * (through.size + 1)) - 1]
    assert got.tolist() == pytest.approx([first, second])
    assert second != np.sort(highest[1])[math.ceil(0.8 * 301) - 1]
