"""What it costs to trade the scores of a cross-section, once and again."""

import time

import numpy as np
import pytest

from src.config.schema import PortfolioConfig
from src.evaluation.pooled.portfolio import trade
from src.evaluation.pooled.prepared import prepare
from src.evaluation.pooled.styles import Styles
from tests.benchmarks.study_pooled_nulls import random_walks

DAYS = slice(1300, 2598)


@pytest.mark.parametrize("names", [1500, 8000])
def test_milliseconds_a_set_of_scores(names):
    section = random_walks(days=2600, names=names)
    rng = np.random.default_rng(1)
    tables = [rng.uniform(0.5, 1.5, section.shape).astype(np.float32) for _ in range(3)]
    styles, eligible = Styles(*tables), np.ones(section.shape, dtype=bool)
    scores = rng.standard_normal(section.shape, dtype=np.float32)
    for kind in ("neutral", "quantiles", "long_excess"):
        choice = PortfolioConfig(kind=kind, beta_hedged=kind == "neutral")
        started = time.process_time()
        prepared = prepare(DAYS, section, eligible, styles, choice, -0.3)
        ready = time.process_time()
        for _ in range(5):
            trade(prepared, scores)
        done = time.process_time()
        print(  # noqa: T201 (what a benchmark is for)
            f"\n{kind}, {names} names eligible on {DAYS.stop - DAYS.start} days: prepared in {ready - started:.2f} s of"
            f" CPU, {200 * (done - ready):.0f} ms a set of scores"
        )
