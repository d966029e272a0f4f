"""Instruments that are evaluated together have the bits that each has alone."""

import dataclasses

import numpy as np
import polars as pl
import pytest

from src.features import compute as computing
from src.features.catalog import declared
from src.features.compute import PanelLookup, batches, evaluate_block
from src.features.graph import FeatureGraph
from src.features.registry import Feature
from src.market.bars import PRICES
from tests.features import facts_case
from tests.features.series import lively, market, steady

EVERY = [*declared().values()]
KEY = ["asset_class", "symbol"]
PANEL = PanelLookup(pl.concat([market(), market(seed=98, asset_class="etf")]))
LENGTHS = (1, 2, 3, 5, 21, 22, 62, 63, 64, 100, 126, 190, 252, 253, 300, 376, 377, 378, 700)


def odd(bars: pl.DataFrame, random: np.random.Generator) -> pl.DataFrame:
    """Bars with a gap, and some without a price, with a price of zero or without volume; a tenth never move."""
    if random.random() < 0.1:
        bars = steady(bars.height).with_columns(bars["asset_class"], bars["symbol"])
    if random.random() < 0.3:
        start = int(random.integers(bars.height))
        bars = bars.filter(~pl.int_range(pl.len()).is_between(start + 1, start + int(random.integers(60))))
    flaw = random.choice(5, size=bars.height, p=[0.005, 0.005, 0.005, 0.005, 0.98])
    if random.random() < 0.5:
        return bars
    return bars.with_columns(
        *(pl.when(pl.Series(flaw == at)).then(value).otherwise(pl.col(name)).alias(name)
          for at, (name, value) in enumerate(zip(PRICES, (0.0, None, float("nan"), 0.0), strict=True))),
        volume=pl.when(pl.Series(flaw == 2)).then(0.0).otherwise("volume"),
    )  # fmt: skip


def universe(seed: int) -> pl.DataFrame:
    random = np.random.default_rng(seed)
    sizes = random.permutation([*LENGTHS, *random.integers(1, 300, 5)])
    parts = [
        odd(lively(int(n), seed + at, f"S{at:02d}", ("etf", "stock", "crypto")[at % 3]), random)
        for at, n in enumerate(sizes)
    ]
    return pl.concat(parts).sort(*KEY, "date")


def apart(features: list[Feature], seed: int, at_once: int) -> set[str]:
    """Features that have other bits in a batch than alone."""
    bars, graph = universe(seed), FeatureGraph(features)
    facts = facts_case.lookup(bars)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(computing, "AT_ONCE", at_once)
        together, failed = evaluate_block(bars, graph, PANEL, facts=facts)
    assert not failed
    single = [evaluate_block(own, graph, PANEL, facts=facts)[0] for own in bars.partition_by(KEY, maintain_order=True)]
    differs = (np.concatenate(single, axis=1).view(np.uint32) != together.view(np.uint32)).any(axis=1)
    return {item.name for item, other in zip(features, differs, strict=True) if other}


@pytest.mark.parametrize(("seed", "at_once"), [(1, 100_000), (2, 1000)])
def test_every_feature_has_the_same_bits_in_a_batch_and_alone(seed, at_once):
    assert apart(EVERY, seed, at_once) == set()


def test_a_feature_that_sees_the_instrument_before_is_caught():
    def longer_than_declared(close):
        return close / np.r_[np.full(100, np.nan), close][: len(close)]

    def all_so_far(volume):
        return np.cumsum(volume)

    for function in (longer_than_declared, all_so_far):
        leak = dataclasses.replace(declared()["skewness_63"], function=function)
        assert apart([leak], 1, 100_000) == {"skewness_63"}


def test_a_formula_that_raises_on_an_instrument_fails_there_alone():
    def choosy(close):
        if len(close) > 299:
            raise ValueError("too long")
        return close

    bars = universe(1)
    raising = dataclasses.replace(declared()["skewness_63"], function=choosy)
    block, failed = evaluate_block(bars, FeatureGraph([raising, declared()["month"]]), PANEL)
    size = bars.select(*KEY, pl.len().over(KEY).alias("bars"))
    assert failed.keys() == {*size.filter(pl.col("bars") > 299).select(KEY).rows()}
    assert "feature skewness_63 failed: ValueError: too long" in next(iter(failed.values())).reason
    assert np.array_equal(np.isnan(block[1]), size["bars"].to_numpy() > 299)


def test_a_batch_is_of_one_class_and_of_few_bars():
    found = [(("etf", "A"), slice(0, 10)), (("etf", "B"), slice(10, 30_000)), (("etf", "C"), slice(30_000, 30_001)),
             (("stock", "A"), slice(30_001, 30_002)), (("stock", "B"), slice(30_002, 50_000))]  # fmt: skip
    assert [[key for key, _ in batch] for batch in batches(found)] == [
        [("etf", "A")], [("etf", "B")], [("etf", "C")], [("stock", "A"), ("stock", "B")],
    ]  # fmt: skip
