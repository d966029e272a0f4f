"""Every technical feature against an oracle: TA-Lib, SciPy, or a loop written from the source."""

import calendar
import datetime as dt
import math

import numpy as np
import pytest
import scipy.stats
import talib

from src.features.catalog import declared
from src.features.compute import compute
from src.market.spread import two_day_spread
from tests.features.oracles import SERIES, corr, ema, ols, pasts, sd, sign, wilder
from tests.features.sets import ON_BARS

COLUMNS = {seed: compute(bars, ON_BARS, panel) for seed, (bars, panel) in SERIES.items()}


def directional(p, bars=14):
    """Wilder's DI+ and DI- of each bar: smoothed movements over the smoothed true range."""
    up, down = np.diff(p.h), -np.diff(p.l)
    plus = np.where((up > down) & (up > 0), up, 0.0)
    minus = np.where((down > up) & (down > 0), down, 0.0)
    tr = p.tr[1:]
    sums = [part[: bars - 1].sum() for part in (plus, minus, tr)]
    found = []
    for k in range(bars - 1, len(tr)):
        sums = [total - total / bars + part[k] for total, part in zip(sums, (plus, minus, tr), strict=True)]
        found.append((100 * sums[0] / sums[2], 100 * sums[1] / sums[2]))
    return np.array(found)


def adx(p):
    di = directional(p)
    return wilder(100 * np.abs(di[:, 0] - di[:, 1]) / di.sum(axis=1), 14)


def rsi(p):
    change = np.diff(p.c)
    up, down = wilder(np.maximum(change, 0), 14), wilder(np.maximum(-change, 0), 14)
    return 100 * up / (up + down)


def cci(p):
    tp = p.typical[-20:]
    return (tp[-1] - tp.mean()) / (0.015 * np.abs(tp - tp.mean()).mean())


def mfi(p):
    up = down = 0.0
    for k in range(-14, 0):
        flow = p.typical[k] * p.v[k]
        up += flow if p.typical[k] > p.typical[k - 1] else 0
        down += flow if p.typical[k] < p.typical[k - 1] else 0
    return 100 * up / (up + down)


def tsi(p):
    change = np.diff(p.c)
    return 100 * ema(ema(change, 25), 13)[-1] / ema(ema(np.abs(change), 25), 13)[-1]


def macd(p):
    fast, slow = ema(p.c, 12), ema(p.c, 26)
    return fast[-len(slow) :] - slow


def aroon(p):
    high, low = p.h[-26:][::-1], p.l[-26:][::-1]
    return 100 * (int(np.argmin(low)) - int(np.argmax(high))) / 25


def yang_zhang(p, n=21):
    up, down = np.log(p.h / p.o)[-n:], np.log(p.l / p.o)[-n:]
    rs = np.mean(up * (up - p.day[-n:]) + down * (down - p.day[-n:]))
    k = 0.34 / (1.34 + (n + 1) / (n - 1))
    return math.sqrt(sd(p.night[-n:]) ** 2 + k * sd(p.day[-n:]) ** 2 + (1 - k) * rs)


def location(p):
    return np.array(
        [0.0 if h == low else (2 * c - h - low) / (h - low) for h, low, c in zip(p.h, p.l, p.c, strict=True)]
    )


def chaikin(p):
    flow = np.cumsum(location(p) * p.v)

    def average(bars):  # as TA-Lib and Chaikin's own: started by the first value
        value = flow[0]
        for each in flow[1:]:
            value += 2 / (bars + 1) * (each - value)
        return value

    return (average(3) - average(10)) / p.v[-21:].mean()


def kyle(p):
    root = np.sqrt(p.money[-63:])
    return ols(p.r[-63:], sign(p.r[-63:]) * root)[1] * root.mean() / sd(p.r[-63:])


def amihud(p, bars):
    return np.mean(
        [abs(r) / money if money > 0 else 0.0 for r, money in zip(p.r[-bars:], p.money[-bars:], strict=True)]
    )


def roll(p):
    return 2 * math.sqrt(max(-np.cov(p.r[-63:], p.r[-64:-1])[0, 1], 0))


def abdi_ranaldo(p):
    c, middle = np.log(p.c), (np.log(p.h) + np.log(p.l)) / 2
    terms = [(c[k - 1] - middle[k - 1]) * (c[k - 1] - middle[k]) for k in range(-21, 0)]
    return 2 * math.sqrt(max(np.mean(terms), 0))


def turn_of_month(p):
    day = p.dates[-1]
    return min(day.day - 1, calendar.monthrange(day.year, day.month)[1] - day.day + 1)


def days_to_quarter_end(p):
    day = p.dates[-1]
    return next(n for n in range(1, 93) if (later := day + dt.timedelta(n)).day == 1 and later.month in (1, 4, 7, 10))


def bars_share(p, bars, holds):
    return np.mean([holds(p.back(back)) for back in range(bars)])


def engulfing(p):
    (o0, o1), (c0, c1) = p.o[-2:], p.c[-2:]
    if c0 < o0 and c1 > o1:
        return float(o1 <= c0 and c1 >= o0)
    return -float(c0 > o0 and c1 < o1 and o1 >= c0 and c1 <= o0)


def key_reversal(p):
    rising = p.l[-1] < min(p.l[-6:-1]) and p.c[-1] > p.c[-2]
    return float(rising) - float(p.h[-1] > max(p.h[-6:-1]) and p.c[-1] < p.c[-2])


def of_range(p, part):
    return 0.0 if p.h[-1] == p.l[-1] else part / (p.h[-1] - p.l[-1])


ORACLES = {
    **{f"return_{n}": lambda p, n=n: math.log(p.c[-1] / p.c[-1 - n]) for n in (1, 5, 21, 63)},
    "overnight_return": lambda p: math.log(p.o[-1] / p.c[-2]),
    "overnight_share_21": lambda p: p.night[-21:].sum() / (np.abs(p.night[-21:]) + np.abs(p.day[-21:])).sum(),
    "volatility_21": lambda p: sd(p.r[-21:]),
    "parkinson_21": lambda p: math.sqrt(sum(np.log(p.h / p.l)[-21:] ** 2) / (21 * 4 * math.log(2))),
    "garman_klass_21": lambda p: math.sqrt(
        np.mean(0.5 * np.log(p.h / p.l)[-21:] ** 2 - (2 * math.log(2) - 1) * p.day[-21:] ** 2)
    ),
    "yang_zhang_21": yang_zhang,
    "skewness_63": lambda p: scipy.stats.skew(p.r[-63:]),
    "kurtosis_63": lambda p: scipy.stats.kurtosis(p.r[-63:]),
    "autocorrelation_21": lambda p: corr(p.r[-21:], p.r[-22:-1]),
    "variance_ratio_5_63": lambda p: sd(np.log(p.c[5:] / p.c[:-5])[-63:]) ** 2 / (5 * sd(p.r[-63:]) ** 2),
    "downside_share_63": lambda p: sum(r**2 for r in p.r[-63:] if r < 0) / sum(r**2 for r in p.r[-63:]),
    "rsi_14": rsi,
    "stochastic_14": lambda p: (p.c[-1] - min(p.l[-14:])) / (max(p.h[-14:]) - min(p.l[-14:])),
    "williams_r_42": lambda p: talib.WILLR(p.h, p.l, p.c, 42)[-1],
    "cci_20": cci,
    "mfi_14": mfi,
    "tsi_25_13": tsi,
    "momentum_12_1": lambda p: math.log(p.c[-22] / p.c[-253]),
    "risk_adjusted_momentum_126": lambda p: p.r[-126:].mean() / sd(p.r[-126:]),
    "up_share_21": lambda p: np.mean([r > 1e-6 for r in p.r[-21:]]),
    **{f"ema_distance_{n}": lambda p, n=n: math.log(p.c[-1] / ema(p.c, n)[-1]) for n in (20, 50)},
    "sma_distance_200": lambda p: math.log(p.c[-1] / p.c[-200:].mean()),
    "macd_12_26": lambda p: macd(p)[-1] / p.c[-1],
    "macd_histogram_12_26_9": lambda p: (macd(p)[-1] - ema(macd(p), 9)[-1]) / p.c[-1],
    "adx_14": adx,
    "di_spread_14": lambda p: directional(p)[-1, 0] - directional(p)[-1, 1],
    "aroon_25": aroon,
    "slope_63": lambda p: scipy.stats.linregress(range(63), np.log(p.c[-63:])).slope,
    "trend_r2_63": lambda p: scipy.stats.linregress(range(63), np.log(p.c[-63:])).rvalue ** 2,
    "efficiency_ratio_10": lambda p: abs(p.c[-1] - p.c[-11]) / np.abs(np.diff(p.c[-11:])).sum(),
    "choppiness_14": lambda p: 100 * math.log(p.tr[-14:].sum() / (max(p.h[-14:]) - min(p.l[-14:])), 14),
    "atr_14": lambda p: wilder(p.tr[1:], 14) / p.c[-1],
    "bollinger_position_20": lambda p: (p.c[-1] - p.c[-20:].mean()) / (2 * sd(p.c[-20:])),
    "bollinger_width_20": lambda p: 4 * sd(p.c[-20:]) / p.c[-20:].mean(),
    "keltner_position_20": lambda p: (p.c[-1] - ema(p.c, 20)[-1]) / (2 * p.tr[-20:].mean()),
    "donchian_position_20": lambda p: (p.c[-1] - min(p.l[-21:-1])) / (max(p.h[-21:-1]) - min(p.l[-21:-1])),
    "volatility_ratio_10_63": lambda p: math.log(sd(p.r[-10:]) / sd(p.r[-63:])),
    "volatility_rank_126": lambda p: np.mean([sd(p.back(k).r[-21:]) < sd(p.r[-21:]) for k in range(1, 126)]),
    "volume_ratio_5_63": lambda p: math.log(p.v[-5:].mean() / p.v[-63:].mean()),
    "volume_z_21": lambda p: scipy.stats.zscore(p.v[-21:], ddof=1)[-1],
    "dollar_volume_trend_21_252": lambda p: math.log(p.money[-21:].mean() / p.money[-252:].mean()),
    "obv_21": lambda p: sum(sign(p.r[-21:]) * p.v[-21:]) / sum(p.v[-21:]),
    "money_flow_21": lambda p: sum(location(p)[-21:] * p.v[-21:]) / sum(p.v[-21:]),
    "chaikin_oscillator_3_10": chaikin,
    "vwap_distance_21": lambda p: math.log(p.c[-1] / np.average(p.typical[-21:], weights=p.v[-21:])),
    "volume_return_correlation_21": lambda p: corr(p.v[-21:], p.r[-21:]),
    "volume_volatility_correlation_63": lambda p: corr(p.v[-63:], np.abs(p.r[-63:])),
    "corwin_schultz_21": lambda p: two_day_spread(p.h, p.l, p.c)[-21:].mean(),
    "abdi_ranaldo_21": abdi_ranaldo,
    "roll_63": roll,
    "amihud_ratio_21_252": lambda p: math.log(amihud(p, 21) / amihud(p, 252)),
    "kyle_impact_63": kyle,
    "zero_return_share_63": lambda p: np.mean([abs(r) <= 1e-6 for r in p.r[-63:]]),
    "range_to_return_21": lambda p: math.log(np.log(p.h / p.l)[-21:].mean() / np.abs(p.r[-21:]).mean()),
    "day_of_week": lambda p: p.dates[-1].weekday(),
    "month": lambda p: p.dates[-1].month,
    "turn_of_month": turn_of_month,
    "days_to_quarter_end": days_to_quarter_end,
    "days_since_last_bar": lambda p: (p.dates[-1] - p.dates[-2]).days,
    "body": lambda p: of_range(p, p.c[-1] - p.o[-1]),
    "upper_shadow": lambda p: of_range(p, p.h[-1] - max(p.o[-1], p.c[-1])),
    "close_location": lambda p: location(p)[-1],
    "doji_share_10": lambda p: bars_share(p, 10, lambda q: abs(q.c[-1] - q.o[-1]) <= 0.1 * (q.h[-1] - q.l[-1])),
    "engulfing": engulfing,
    "gap_z": lambda p: p.night[-1] / sd(p.r[-64:-1]),
    "inside_share_10": lambda p: bars_share(p, 10, lambda q: q.h[-1] <= q.h[-2] and q.l[-1] >= q.l[-2]),
    "outside_share_10": lambda p: bars_share(p, 10, lambda q: q.h[-1] > q.h[-2] and q.l[-1] < q.l[-2]),
    "higher_highs_10": lambda p: (np.sign(np.diff(p.h[-11:])) + np.sign(np.diff(p.l[-11:]))).mean() / 2,
    "resistance_distance_63": lambda p: (max(p.h[-64:-1]) - p.c[-1]) / p.tr[-20:].mean(),
    "support_distance_63": lambda p: (p.c[-1] - min(p.l[-64:-1])) / p.tr[-20:].mean(),
    "range_rank_7": lambda p: np.mean([np.log(p.h / p.l)[-k] < np.log(p.h / p.l)[-1] for k in range(2, 8)]),
    "key_reversal_5": key_reversal,
}


def test_every_technical_feature_has_an_oracle():
    """Those of a session have theirs in test_session.py, on hourly bars."""
    daily = {item.name for item in declared().values() if item.group == "technical" and not item.intraday}
    assert daily == set(ORACLES)


@pytest.mark.parametrize("name", ORACLES)
def test_value_is_that_of_the_oracle(name):
    for seed, row, past in pasts(declared()[name].window - 1):
        expected = ORACLES[name](past)
        assert COLUMNS[seed][name][row] == pytest.approx(expected, rel=2e-5, abs=2e-6), (seed, row)


TALIB = {
    "rsi_14": lambda p: talib.RSI(p.c, 14),
    "mfi_14": lambda p: talib.MFI(p.h, p.l, p.c, p.v, 14),
    "stochastic_14": lambda p: talib.STOCHF(p.h, p.l, p.c, 14, 1, 0)[0] / 100,
    "bollinger_position_20": lambda p: (p.c - talib.SMA(p.c, 20)) / (2 * talib.STDDEV(p.c, 20) * math.sqrt(20 / 19)),
    "volatility_21": lambda p: talib.STDDEV(np.r_[0.0, p.r[1:]], 21) * math.sqrt(21 / 20),
    "slope_63": lambda p: talib.LINEARREG_SLOPE(np.log(p.c), 63),
    "autocorrelation_21": lambda p: talib.CORREL(np.r_[0.0, p.r[1:]], np.r_[0.0, 0.0, p.r[1:-1]], 21),
    "donchian_position_20": lambda p: (
        (p.c - np.roll(talib.MIN(p.l, 20), 1)) / np.roll(talib.MAX(p.h, 20) - talib.MIN(p.l, 20), 1)
    ),
    "adx_14": lambda p: talib.ADX(p.h, p.l, p.c, 14),
    "atr_14": lambda p: talib.NATR(p.h, p.l, p.c, 14) / 100,
    "aroon_25": lambda p: talib.AROONOSC(p.h, p.l, 25),
    "return_5": lambda p: np.log(talib.ROCR(p.c, 5)),
    "parkinson_21": lambda p: np.sqrt(talib.SMA(np.log(p.h / p.l) ** 2, 21) / (4 * math.log(2))),
    "ema_distance_20": lambda p: np.log(p.c / talib.EMA(p.c, 20)),
}


@pytest.mark.parametrize("name", TALIB)
def test_whole_column_is_that_of_talib(name):
    for seed, _, past in [each for each in pasts(699)]:
        window = declared()[name].window
        expected = TALIB[name](past)[window - 1 :]
        ours = COLUMNS[seed][name].to_numpy()[window - 1 :]
        if name == "mfi_14":  # TA-Lib takes what rounding leaves of a tie for a rise or a fall
            apart = np.abs(np.diff(past.typical)) > 1e-6 * past.typical[1:]
            free = np.array([apart[end - 14 : end].all() for end in range(window - 1, len(past.c))])
            ours, expected = ours[free], expected[free]
        assert ours == pytest.approx(expected, rel=1e-4, abs=1e-5)
