"""Every behavioral feature against a loop written from its source."""

import math

import numpy as np
import pytest
import scipy.stats

from src.features.catalog import declared
from src.features.compute import compute
from tests.features.oracles import SERIES, corr, ols, pasts, residuals, sd, sign
from tests.features.sets import ON_BARS

COLUMNS = {seed: compute(bars, ON_BARS, panel) for seed, (bars, panel) in SERIES.items()}


def run_length(signs, most):
    """Signed length of the run of equal signs at the end."""
    length = 0
    for each in signs[::-1][:most]:
        if each == 0 or each != signs[-1]:
            break
        length += 1
    return length * signs[-1]


def greed(p):
    long_run, short = sd(p.r[-252:]), sd(p.r[-21:])
    place = ((p.c[-1] - p.c[-20:].mean()) / (2 * sd(p.c[-20:])) + 1) / 2
    obv = sum(sign(p.r[-21:]) * p.v[-21:]) / sum(p.v[-21:])
    return (long_run / (long_run + short) + (obv + 1) / 2 + np.mean(sign(p.r[-21:]) > 0) + min(max(place, 0), 1)) / 4


def extreme_volume_share(p, side):
    volume = 0.0
    for back in range(21):
        then = p.back(back)
        if side * then.r[-1] > 1.5 * sd(then.r[-64:-1]):
            volume += then.v[-1]
    return volume / sum(p.v[-21:])


def rank(p, measure, own):
    others = [value for value in p.members[f"members_{measure}"][-1] if not math.isnan(value)]
    return sum(value < own for value in others) / len(others)


def ulcer(p):
    falls = [p.c[len(p.c) - 1 - k] / max(p.c[len(p.c) - 63 - k : len(p.c) - k]) - 1 for k in range(63)]
    return math.sqrt(np.mean(np.square(falls))) / (sd(p.r[-63:]) * math.sqrt(63))


def downside_beta(p):
    down = p.m[-126:] < 0
    return ols(p.r[-126:][down], p.m[-126:][down])[1]


def herding(p):
    m = p.m[-63:]
    return ols(p.csad[-63:], np.abs(m), m**2)[2] * sd(m**2) / sd(p.csad[-63:])


def cascade(p):
    own, crowd = sign(p.r), np.sign(p.m)
    return run_length(np.where(own == crowd, own, 0.0)[-10:], 10)


def coskewness(p):
    left = residuals(p, 126)
    return np.cov(left, p.m[-126:] ** 2)[0, 1] / (sd(left) * sd(p.m[-126:]) ** 2)


def overhang(p, bars=126):
    """Grinblatt and Han's reference price, eq. 9: each bar's close times turnover, times what was kept since."""
    turnover = [min(p.v[k] / p.v[k - 251 : k + 1].sum(), 0.5) for k in range(len(p.v) - bars, len(p.v))]
    weights, kept = [], 1.0
    for each in turnover[::-1]:
        weights.append(each * kept)
        kept *= 1 - each
    return 1 - np.average(p.c[-bars:][::-1], weights=weights) / p.c[-1]


def disposition(p):
    above = []
    for back in range(63):
        then = p.back(back)
        above.append(then.c[-1] > np.average(then.typical[-64:-1], weights=then.v[-64:-1]))
    above = np.array(above[::-1], dtype=float)
    return np.average(above, weights=p.v[-63:]) - above.mean()


def prospect_value(p, n=63):
    """Tversky and Kahneman's value, term by term over the ordered returns."""

    def w(share, g):
        return share**g / (share**g + (1 - share) ** g) ** (1 / g)

    value = 0.0
    ordered = sorted(p.r[-n:])
    for i, x in enumerate(ordered, start=1):
        if x < 0:
            value += -2.25 * (-x) ** 0.88 * (w(i / n, 0.69) - w((i - 1) / n, 0.69))
    for i, x in enumerate(ordered[::-1], start=1):
        if x > 0:
            value += x**0.88 * (w(i / n, 0.61) - w((i - 1) / n, 0.61))
    return value / sd(p.r[-n:]) ** 0.88


def recency(p):
    weights = np.arange(1, 64)
    return (np.average(p.r[-63:], weights=weights) - p.r[-63:].mean()) / sd(p.r[-63:])


def round_number(p):
    price = p.traded[-1]
    power = 10 ** math.floor(math.log10(price))
    nearest = min((k * power for k in range(1, 11)), key=lambda level: abs(level - price))
    return math.log(price / nearest) / sd(p.r[-63:])


def breakout(p):
    top, floor = max(p.h[-21:-1]), min(p.l[-21:-1])
    beyond = max(p.c[-1] - top, 0) - max(floor - p.c[-1], 0)
    return beyond / p.tr[-21:-1].mean() * p.v[-1] / p.v[-22:-1].mean()


def imbalance(p, bars, outer=lambda x: x):
    total = 0.0
    for back in range(bars):
        then = p.back(back)
        buys = then.v[-1] * scipy.stats.norm.cdf(then.r[-1] / sd(then.r[-21:]))
        total += outer(buys - (then.v[-1] - buys))
    return total / sum(p.v[-bars:])


def informed(p):
    volume = np.array([p.back(k).v[-1] / p.back(k).v[-63:].mean() for k in range(63, 0, -1)])
    before = p.r[-64:-1]
    slope = ols(p.r[-63:], before, before * volume)[2]
    return slope * sd(before * volume) / sd(p.r[-63:])


def stop_run(p):
    total = 0.0
    for back in range(5):
        then = p.back(back)
        floor, top, unit = min(then.l[-21:-1]), max(then.h[-21:-1]), then.tr[-21:-1].mean()
        total += (floor - then.l[-1]) / unit if then.l[-1] < floor < then.c[-1] else 0
        total -= (then.h[-1] - top) / unit if then.h[-1] > top > then.c[-1] else 0
    return total


def divergence(p):
    top, floor = max(p.h[-21:]), min(p.l[-21:])
    flow = sum(
        0 if h == low else (2 * c - h - low) / (h - low) * v
        for h, low, c, v in zip(p.h[-21:], p.l[-21:], p.c[-21:], p.v[-21:], strict=True)
    )
    return flow / sum(p.v[-21:]) - (2 * p.c[-1] - top - floor) / (top - floor)


def illiquidity(p, bars):
    return np.mean(
        [abs(r) / money if money > 0 else 0.0 for r, money in zip(p.r[-bars:], p.money[-bars:], strict=True)]
    )


def scaled(p, value, bars):
    return value / (sd(p.r[-63:]) * math.sqrt(bars))


def over(x, short, long):
    return np.mean(x[-short:]) / np.mean(x[-long:])


ORACLES = {
    "fear_greed_21": greed,
    "panic_21": lambda p: extreme_volume_share(p, -1),
    "euphoria_21": lambda p: extreme_volume_share(p, 1),
    "capitulation_63": lambda p: scaled(p, math.log(max(p.h[-63:]) / p.c[-1]), 63) * p.v[-1] / p.v[-63:].mean(),
    "fomo_10": lambda p: scaled(p, max(math.log(p.c[-1] / p.c[-11]), 0), 10) * over(p.v, 10, 63),
    "volatility_shock": lambda p: abs(p.r[-1]) / sd(p.r[-64:-1]),
    "streak_10": lambda p: run_length(sign(p.r), 10),
    "ulcer_index_63": ulcer,
    "fear_response_63": lambda p: corr(np.abs(p.r[-63:]), p.r[-64:-1]),
    "beta_63": lambda p: ols(p.r[-63:], p.m[-63:])[1],
    "downside_beta_126": downside_beta,
    "market_correlation_63": lambda p: corr(p.r[-63:], p.m[-63:]),
    "residual_return": lambda p: residuals(p, 1)[0] / sd(p.r[-63:]),
    "residual_momentum_126": lambda p: residuals(p, 126).mean() / sd(residuals(p, 126)),
    "return_rank_21": lambda p: rank(p, "return_21", math.log(p.c[-1] / p.c[-22])),
    "momentum_rank_12_1": lambda p: rank(p, "momentum_12_1", math.log(p.c[-22] / p.c[-253])),
    "volatility_rank_21": lambda p: rank(p, "volatility_21", sd(p.r[-21:])),
    "dollar_volume_rank_21": lambda p: rank(p, "dollar_volume_growth", math.log(over(p.money, 21, 126))),
    "relative_strength_21": lambda p: (p.r - p.m)[-21:].mean() / sd((p.r - p.m)[-21:]),
    **{f"cross_section_z_{n}": lambda p, n=n: np.mean(((p.r - p.m) / p.dispersion)[-n:]) for n in (1, 5)},
    "herding_63": herding,
    "dispersion_ratio_10_126": lambda p: math.log(over(p.dispersion, 10, 126)),
    "breadth_5": lambda p: p.breadth[-5:].mean(),
    "market_trend_21": lambda p: p.m[-21:].sum() / (sd(p.m[-63:]) * math.sqrt(21)),
    "cascade_10": cascade,
    "contrarian_5": lambda p: -scaled(p, residuals(p, 5).sum(), 5) * over(p.v, 5, 63),
    "attention_5": lambda p: math.log(over(np.abs(p.r), 5, 63) * over(p.v, 5, 63)),
    "delay_63": lambda p: corr(p.r[-63:], p.m[-64:-1]),
    "coskewness_126": coskewness,
    "nearness_to_high_252": lambda p: math.log(p.c[-1] / max(p.h[-252:])),
    "distance_from_low_252": lambda p: math.log(p.c[-1] / min(p.l[-252:])),
    "age_of_high_252": lambda p: int(np.argmax(p.h[-252:][::-1])) / 251,
    "recency_63": recency,
    "capital_gains_overhang_126": overhang,
    "disposition_63": disposition,
    "loss_aversion_63": lambda p: (
        corr(p.v[-63:], np.maximum(-p.r[-63:], 0)) - corr(p.v[-63:], np.maximum(p.r[-63:], 0))
    ),
    "lottery_21": lambda p: np.mean(sorted(p.r[-21:])[-5:]) / sd(p.r[-63:]),
    "prospect_value_63": prospect_value,
    "overconfidence_63": lambda p: corr(
        p.v[-63:], np.array([math.log(p.c[k - 1] / p.c[k - 6]) for k in range(len(p.c) - 63, len(p.c))])
    ),
    "reversal_share_21": lambda p: np.mean(
        [a * b < 0 for a, b in zip(sign(p.r[-21:]), sign(p.r[-22:-1]), strict=True)]
    ),
    "information_discreteness_126": lambda p: (
        np.sign(p.c[-1] - p.c[-127]) * (np.mean(sign(p.r[-126:]) < 0) - np.mean(sign(p.r[-126:]) > 0))
    ),
    "round_number_distance": round_number,
    "squeeze_20": lambda p: math.log(2 * sd(p.c[-20:]) / (1.5 * p.tr[-20:].mean())),
    "standoff_5_63": lambda p: math.log(over(np.log(p.h / p.l), 5, 63)),
    "breakout_coordination_20": breakout,
    "vpin_50": lambda p: imbalance(p, 50, abs),
    "order_imbalance_21": lambda p: imbalance(p, 21),
    "informed_trading_63": informed,
    "stop_run_20": stop_run,
    "smart_money_divergence_21": lambda p: scaled(p, (p.day - p.night)[-21:].sum(), 21),
    "absorption_5_63": lambda p: math.log(over(p.v, 5, 63) / over(np.log(p.h / p.l), 5, 63)),
    "accumulation_divergence_21": divergence,
    "liquidity_withdrawal_5_63": lambda p: math.log(illiquidity(p, 5) / illiquidity(p, 63)),
}


def test_every_behavioral_feature_has_an_oracle():
    assert {item.name for item in declared().values() if item.group == "behavioral"} == set(ORACLES)


@pytest.mark.parametrize("name", ORACLES)
def test_value_is_that_of_the_oracle(name):
    for seed, row, past in pasts(declared()[name].window - 1):
        expected = ORACLES[name](past)
        assert COLUMNS[seed][name][row] == pytest.approx(expected, rel=2e-5, abs=2e-6), (seed, row)
