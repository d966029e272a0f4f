"""Speed of the features, printed and not asserted: `make bench`."""

import sys
import time

import polars as pl
import pytest

from src.features.catalog import declared
from src.features.compute import PanelLookup, evaluate_block
from src.features.graph import FeatureGraph
from tests.features import facts_case
from tests.features.series import lively, market
from tests.features.sets import ON_BARS

ROWS, INSTRUMENTS = 2500, 20
# Columns of ours that pandas-ta has, and the call that gives them.
PANDAS_TA = {
    "return_21": lambda f: f.ta.log_return(length=21),
    "volatility_21": lambda f: f.ta.stdev(length=21),
    "skewness_63": lambda f: f.ta.skew(length=63),
    "kurtosis_63": lambda f: f.ta.kurtosis(length=63),
    "rsi_14": lambda f: f.ta.rsi(length=14, talib=False),
    "stochastic_14": lambda f: f.ta.stoch(k=14, talib=False),
    "williams_r_42": lambda f: f.ta.willr(length=42, talib=False),
    "cci_20": lambda f: f.ta.cci(length=20, talib=False),
    "mfi_14": lambda f: f.ta.mfi(length=14, talib=False),
    "tsi_25_13": lambda f: f.ta.tsi(fast=13, slow=25, talib=False),
    "up_share_21": lambda f: f.ta.psl(length=21),
    "ema_distance_20": lambda f: f.ta.ema(length=20, talib=False),
    "sma_distance_200": lambda f: f.ta.sma(length=200, talib=False),
    "macd_histogram_12_26_9": lambda f: f.ta.macd(talib=False),
    "adx_14": lambda f: f.ta.adx(length=14, talib=False),
    "aroon_25": lambda f: f.ta.aroon(length=25, talib=False),
    "slope_63": lambda f: f.ta.linreg(length=63, slope=True, talib=False),
    "efficiency_ratio_10": lambda f: f.ta.er(length=10),
    "choppiness_14": lambda f: f.ta.chop(length=14),
    "atr_14": lambda f: f.ta.natr(length=14, talib=False),
    "bollinger_position_20": lambda f: f.ta.bbands(length=20, talib=False),
    "keltner_position_20": lambda f: f.ta.kc(length=20),
    "donchian_position_20": lambda f: f.ta.donchian(20, 20),
    "volume_z_21": lambda f: f.ta.zscore(close="volume", length=21),
    "obv_21": lambda f: f.ta.obv(talib=False),
    "money_flow_21": lambda f: f.ta.cmf(length=21),
    "chaikin_oscillator_3_10": lambda f: f.ta.adosc(fast=3, slow=10, talib=False),
}


def cpu_ms(work, repeats: int) -> float:
    """CPU time of the quickest of some repetitions: what else the machine does only adds to the others."""
    spent = []
    for _ in range(repeats):
        started = time.process_time()
        work()
        spent.append(time.process_time() - started)
    return min(spent) * 1e3


def of_ours(names) -> float:
    """CPU time an instrument of a bucket."""
    bars = pl.concat(lively(ROWS, seed, symbol=f"S{seed:02d}") for seed in range(INSTRUMENTS))
    graph, panel = FeatureGraph([declared()[name] for name in names]), PanelLookup(market(ROWS))
    return cpu_ms(lambda: evaluate_block(bars, graph, panel), 5) / INSTRUMENTS


def test_all_columns_for_each_instrument_of_a_bucket(capsys):
    names = [item.name for item in ON_BARS if item.scale == "none" and not item.intraday]
    spent = of_ours(names)
    with capsys.disabled():
        sys.stdout.write(
            f"\nfeatures: {len(names)} columns, {ROWS:,} bars: {spent:.1f} ms of CPU an instrument (aim 5)\n"
        )


def test_columns_of_research_for_each_instrument_of_a_bucket(capsys):
    bars = pl.concat(lively(ROWS, seed, symbol=f"S{seed:02d}") for seed in range(INSTRUMENTS))
    known, panel = facts_case.lookup(bars), PanelLookup(market(ROWS))
    names = [name for name, item in declared().items() if item.group == "research" and not item.intraday]
    graph = FeatureGraph([declared()[name] for name in names])
    spent = cpu_ms(lambda: evaluate_block(bars, graph, panel, facts=known), 5) / INSTRUMENTS
    with capsys.disabled():
        sys.stdout.write(
            f"\nfeatures: {len(names)} columns of research, {ROWS:,} bars: {spent:.1f} ms of CPU (aim 5)\n"
        )


def test_against_pandas_ta_on_the_columns_that_it_has(capsys):
    pytest.importorskip("pandas_ta")
    ours = of_ours(PANDAS_TA)
    bars = lively(ROWS).to_pandas().set_index("date")
    bars.index = bars.index.astype("datetime64[ns]")
    theirs = {name: cpu_ms(lambda call=call: call(bars), 3) for name, call in PANDAS_TA.items()}
    total = sum(theirs.values())
    with capsys.disabled():
        sys.stdout.write(
            f"\nfeatures: {len(PANDAS_TA)} columns that pandas-ta has: {ours:.2f} ms of CPU, "
            f"pandas-ta {total:.0f} ms, {total / ours:.0f} times (aim 50)\n"
        )
