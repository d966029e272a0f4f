"""Bars of a bucket as arrays, and the bar that each book is decided on."""

from __future__ import annotations

import datetime as dt
from dataclasses import fields
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from src.config.schema import LabelConfig
from src.core.errors import StageError
from src.evaluation import labels
from src.market.bars import SCHEMA, BarStore, Manifest
from src.signals.last_bars import BucketBars, LastBars, choose, trained_through
from tests.market_case import series

LAST = dt.date(2016, 12, 30)


def rows(symbol: str, kind: str = "stock", n: int = 900) -> pl.DataFrame:
    """Bars with gaps in what is known: no volume, no open, an unknown split history, dividends."""
    random = np.random.default_rng([n, *symbol.encode()])
    made = series(symbol, n=n, asset_class=kind).drop("adj_close")
    void = pl.Series(random.random(n) < 0.05)
    return made.with_columns(
        volume=pl.when(void).then(0.0).otherwise("volume"),
        open=pl.when(pl.Series(random.random(n) < 0.02)).then(None).otherwise("open"),
        factor=pl.Series(np.exp(np.cumsum(random.random(n) < 0.02) * 0.01)),
        split=pl.when(pl.Series(random.random(n) < 0.3)).then(None).otherwise(2.0),
        repaired=pl.lit(False),
    ).select(list(SCHEMA))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> BarStore:
    made = BarStore(tmp_path_factory.mktemp("bars") / "bars")
    made.write_manifest(Manifest("mine", "1d", "folder", "", "auto", 1, None, "f", "j", True))
    bars = pl.concat([rows("AAA"), rows("AAA", "etf", 400), rows("BBB", "stock", 700), rows("ZZZ", "etf", 30)])
    states = [
        {"asset_class": kind, "symbol": symbol, "state": "done", "reason": "", "rows": 1, "first": LAST, "last": LAST}
        | {"liquidity": 1.0, "dollar_volume": 1.0, "repaired": 0, "basis": "", "origin": ""}
        for kind, symbol in (("stock", "AAA"), ("etf", "AAA"), ("stock", "BBB"), ("etf", "ZZZ"))
    ]
    made.record(0, "", pl.DataFrame(states, schema=made.ledger.schema), made.write_bucket(0, bars))
    return made


def bars_of(store: BarStore, kind: str, symbol: str, last: dt.date = LAST) -> LastBars:
    found = BucketBars(store, 0, last).of((kind, symbol))
    assert found is not None
    return found


@pytest.mark.parametrize(("kind", "symbol"), [("stock", "AAA"), ("etf", "AAA"), ("stock", "BBB"), ("etf", "ZZZ")])
def test_decisions_are_those_of_the_labels_to_the_last_bit(store: BarStore, kind: str, symbol: str) -> None:
    own = bars_of(store, kind, symbol)
    table = store.read_bucket(0, symbols=[(kind, symbol)]).filter(pl.col("date") <= LAST)
    assert own.table().equals(table)
    expected = labels.decisions(table, LabelConfig(horizon=3))
    found = own.decisions(LabelConfig(horizon=3), None, None)
    for each in fields(found):
        if each.name in ("label", "repaired", "stale"):
            continue  # what came of a decision, and what its evidence looks at
        mine, theirs = getattr(found, each.name), getattr(expected, each.name)
        if not isinstance(mine, np.ndarray):
            assert mine == theirs, each.name
        elif mine.dtype.kind == "M":
            assert np.array_equal(mine, theirs.astype(mine.dtype), equal_nan=True), each.name
        else:
            assert np.array_equal(mine, theirs, equal_nan=mine.dtype.kind == "f"), each.name
    assert 0 < found.size < own.times.size


def test_an_instrument_without_bars_and_a_store_without_files(store: BarStore, tmp_path: Path) -> None:
    assert BucketBars(store, 0, LAST).of(("stock", "CCC")) is None
    assert BucketBars(store, 0, dt.date(1999, 1, 1)).of(("stock", "AAA")) is None
    assert BucketBars(store, 3, LAST).of(("stock", "AAA")) is None


def test_a_file_that_is_gone_is_an_error_that_says_how_to_restore_it(store: BarStore, tmp_path: Path) -> None:
    import shutil

    copied = BarStore(Path(shutil.copytree(store.root, tmp_path / "bars")))
    (copied.root / "b000-2016.parquet").unlink()
    with pytest.raises(StageError, match=r"b000-2016.parquet is gone: hydrate this dataset again"):
        BucketBars(copied, 0, LAST)


def test_each_book_takes_the_last_bar_up_to_it(store: BarStore) -> None:
    own = bars_of(store, "stock", "BBB")
    decisions = own.decisions(LabelConfig(), None, None)
    books = np.arange(np.datetime64("2014-12-25"), np.datetime64("2016-02-01"))
    chosen = choose(own, decisions, books)
    for book, row, age, decision in zip(books, chosen.row, chosen.age, chosen.decision, strict=True):
        earlier = [i for i, day in enumerate(own.days) if day <= book]
        assert row == (earlier[-1] if earlier else -1)
        assert (age == -1) if not earlier else age >= 0
        assert (decision >= 0) == bool(earlier and own.tradable[row])
        if decision >= 0:
            assert decisions.rows[decision] == row
    assert (chosen.decision == -1).sum() > 10


def test_training_ended_two_bars_after_its_last_graded_decision(store: BarStore) -> None:
    decisions = bars_of(store, "stock", "AAA").decisions(LabelConfig(), None, None)
    day = decisions.dates[400].astype("datetime64[D]").item()
    assert trained_through(decisions, day, None) == 402
    assert trained_through(decisions, day, decisions.dates[401].astype("datetime64[D]").item()) == 401
    assert trained_through(decisions, decisions.dates[-1].astype("datetime64[D]").item(), None) == decisions.size - 1
    assert trained_through(decisions, dt.date(1999, 1, 1), None) == -1
