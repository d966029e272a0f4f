"""Scores on disk and on the calendar, and the mean rank of several families."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
from scipy.stats import rankdata

from src.core.errors import StageError
from src.training.pooled.score_store import ScoreStore, StoredFold, combined

DATES = np.arange("2020-01-01", "2020-01-11", dtype="datetime64[D]")
FOLDS = ["2020-01-03", "2020-01-07"]
NOTE = StoredFold(n_train=5, seconds=0.5, importance=[1.0])


def mask(rng: np.random.Generator) -> np.ndarray:
    return rng.random((10, 6)) < 0.6


def filled(root, eligible: np.ndarray) -> tuple[ScoreStore, np.ndarray]:
    store, expected = ScoreStore(root), np.full(eligible.shape, np.nan, dtype=np.float32)
    number = 0.0
    for fold, days in zip(FOLDS, (range(2, 6), range(6, 10)), strict=True):
        values = []
        for day in days:
            for name in np.flatnonzero(eligible[day]):
                number += 1.0
                expected[day, name] = number
                values.append(number)
        store.add("key", fold, np.array(values, dtype=np.float32), NOTE)
    return store, expected


def test_the_folds_come_back_on_their_days_and_names(tmp_path):
    eligible = mask(np.random.default_rng(1))
    store, expected = filled(tmp_path, eligible)
    np.testing.assert_array_equal(store.table("key", FOLDS, DATES, eligible), expected)


def test_other_eligible_names_than_when_it_was_written_are_refused(tmp_path):
    eligible = mask(np.random.default_rng(2))
    store, _ = filled(tmp_path, eligible)
    eligible[3, 0] ^= True
    with pytest.raises(
        StageError, match=r"eligible names and days: the bars have changed since; run `python -m src.train"
    ):
        store.table("key", FOLDS, DATES, eligible)


def test_a_fold_without_its_note_is_not_stored(tmp_path):
    store, _ = filled(tmp_path, mask(np.random.default_rng(3)))
    assert store.stored("key", FOLDS[0]) == NOTE
    next(tmp_path.rglob(f"{FOLDS[0]}.json")).unlink()
    assert store.stored("key", FOLDS[0]) is None


def test_a_fold_older_than_the_moment_is_not_stored(tmp_path):
    store, _ = filled(tmp_path, mask(np.random.default_rng(4)))
    assert store.stored("key", FOLDS[0], dt.datetime(2000, 1, 1, tzinfo=dt.UTC)) == NOTE
    assert store.stored("key", FOLDS[0], dt.datetime(9000, 1, 1, tzinfo=dt.UTC)) is None


def test_a_missing_fold_is_an_error_with_its_remedy(tmp_path):
    store, _ = filled(tmp_path, mask(np.random.default_rng(5)))
    with pytest.raises(StageError, match="scope=pooled"):
        store.table("other", FOLDS, DATES, mask(np.random.default_rng(5)))


@pytest.mark.parametrize("content", [b"", b"text", b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False"])
def test_a_broken_fold_is_an_error_with_its_remedy(tmp_path, content: bytes):
    eligible = mask(np.random.default_rng(8))
    store, _ = filled(tmp_path, eligible)
    next(tmp_path.rglob(f"{FOLDS[0]}.npy")).write_bytes(content)
    with pytest.raises(StageError, match="can't be read"):
        store.table("key", FOLDS, DATES, eligible)


def test_the_ensemble_is_the_mean_rank_of_the_day():
    rng = np.random.default_rng(6)
    eligible = mask(rng)
    tables = {}
    for name in ("one", "two"):
        values = rng.normal(size=eligible.shape).round(1).astype(np.float32)
        values[~eligible] = np.nan
        tables[name] = values
    found = combined(tables, eligible)
    for day in range(len(eligible)):
        names = np.flatnonzero(eligible[day])
        ranks = [(rankdata(values[day, names]) - 0.5) / names.size for values in tables.values()]
        np.testing.assert_allclose(found[day, names], np.mean(ranks, axis=0), rtol=1e-6)
    assert np.isnan(found[~eligible]).all()


def test_a_monotone_change_of_one_family_changes_no_mean_rank():
    rng = np.random.default_rng(7)
    eligible = np.ones((4, 9), dtype=bool)
    one, two = (rng.normal(size=eligible.shape).astype(np.float32) for _ in range(2))
    np.testing.assert_array_equal(
        combined({"one": one, "two": two}, eligible), combined({"one": np.exp(one), "two": two}, eligible)
    )


def test_a_single_family_keeps_its_scores():
    values = np.arange(6.0, dtype=np.float32).reshape(2, 3)
    assert combined({"one": values}, np.ones((2, 3), dtype=bool)) is values


def test_the_order_of_the_families_changes_no_bit() -> None:
    generator = np.random.default_rng(8)
    tables = {name: generator.normal(size=(5, 301)).astype(np.float32) for name in ("c", "a", "b")}
    mask = np.ones((5, 301), dtype=bool)
    reordered = {name: tables[name] for name in ("b", "c", "a")}
    np.testing.assert_array_equal(combined(tables, mask), combined(reordered, mask))
