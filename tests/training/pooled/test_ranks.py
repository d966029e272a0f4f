"""The table of ranks: what is stored and read, what is reused, and what later bars and listings do not change."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from src.core.errors import StageError
from src.market.cross_section import CrossSection
from src.models.pooled_columns import MISSING
from src.training.pooled import ranks as module
from src.training.pooled.categories import categories
from src.training.pooled.day_ranks import codes, day_ranks
from src.training.pooled.ranks import RankTable, rank_table
from tests.features import stored_case
from tests.training.pooled import rank_case
from tests.training.pooled.rank_case import COLUMNS

SYMBOLS = [f"S{n:02d}" for n in range(25)]
HASHES = {name: f"code of {name}" for name in COLUMNS}


@pytest.fixture(scope="module")
def whole() -> CrossSection:
    return rank_case.section(SYMBOLS)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, whole: CrossSection) -> Path:
    """Features in five buckets, and their ranks."""
    folder = tmp_path_factory.mktemp("data")
    store = rank_case.store(folder / "features", whole, 5)
    build(folder / "ranks", whole, store, categories=categories(whole, folder / "listings"))
    return folder


def build(folder: Path, found: CrossSection, store: object, hashes: dict[str, str] = HASHES, **extra: object):
    return rank_table(folder, found, rank_case.eligible(found), store, hashes, 7, **extra)


def content(table: RankTable) -> dict[tuple[str, str], list[int]]:
    """Ranks by date and symbol."""
    values, day = table.read(slice(None)), np.repeat(table.dates, np.diff(table.offsets))
    names = [table.symbols[n] for n in table.names]
    return {(str(day[r]), names[r]): values[r].tolist() for r in range(table.rows)}


def test_a_lost_file_of_rows_is_written_again(tmp_path: Path) -> None:
    few = rank_case.section(SYMBOLS[:4], days=40)
    store = rank_case.store(tmp_path / "features", few, 1)
    before = content(build(tmp_path / "ranks", few, store))
    next((tmp_path / "ranks").glob("*-rows.npz")).unlink()
    assert content(build(tmp_path / "ranks", few, store)) == before


def test_the_table_holds_the_ranks_of_each_day_among_its_eligible_names(root: Path, whole: CrossSection) -> None:
    table, eligible = RankTable.open(root / "ranks"), rank_case.eligible(whole)
    assert table.columns == (*COLUMNS, "category.weekday")
    assert table.categories == (20,)
    assert np.array_equal(table.offsets, np.concatenate([[0], np.cumsum(eligible.sum(axis=1))]))
    assert np.array_equal(table.names, np.nonzero(eligible)[1])
    stored = table.read(slice(None))
    for t in (10, 43, 44, 299):  # 43: the last day of the first year
        names = np.flatnonzero(eligible[t])
        features = np.array([rank_case.values(SYMBOLS[n], t + 1, COLUMNS)[t] for n in names]).T
        expected = day_ranks(features, codes(SYMBOLS[n] for n in names), whole.dates[t], codes(COLUMNS), 7)
        rows = slice(table.offsets[t], table.offsets[t + 1])
        assert np.array_equal(stored[rows, :20].T, expected)
        assert (stored[rows, 20] == whole.dates[t].item().weekday()).all()
    assert 0.05 < (stored == MISSING).mean() < 0.15


def test_rows_are_read_in_any_order_as_one_block_of_bytes(root: Path) -> None:
    table = RankTable.open(root / "ranks")
    every = table.read(slice(None))
    rows = np.random.default_rng(1).permutation(table.rows)
    assert np.array_equal(table.read(rows), every[rows])
    assert table.read(rows).flags.c_contiguous
    assert np.array_equal(table.read(slice(5, 40)), every[5:40])
    days = table.days(slice(10, 60, 10))
    assert days.tolist() == [r for t in range(10, 60, 10) for r in range(table.offsets[t], table.offsets[t + 1])]
    assert table.read(table.days([])).shape == (0, 21)


def test_rows_beyond_a_block_are_read_too(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = RankTable.open(root / "ranks")
    every = table.read(slice(None))
    monkeypatch.setattr(module, "_BLOCK", 100)
    assert np.array_equal(table.read(slice(None)), every)


def test_buckets_threads_and_the_number_of_columns_at_once_change_no_byte(
    root: Path, whole: CrossSection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = RankTable.open(root / "ranks").read(slice(None))[:, :20]
    monkeypatch.setattr(module, "COLUMNS_AT_ONCE", 3)
    other = build(tmp_path / "ranks", whole, rank_case.store(tmp_path / "features", whole, 2), threads=3)
    assert np.array_equal(other.read(slice(None)), expected)


def test_later_bars_and_a_later_listing_change_no_earlier_rank(root: Path, tmp_path: Path) -> None:
    before = content(RankTable.open(root / "ranks"))
    longer = rank_case.section(["A00", *SYMBOLS, "S11X"], 330)
    eligible = rank_case.eligible(longer)
    eligible[:300, [0, -1]] = False  # listed later
    store = rank_case.store(tmp_path / "features", longer, 4)
    table = rank_table(tmp_path / "ranks", longer, eligible, store, HASHES, 7)
    after = content(table)
    assert len(after) > len(before)
    assert {key: after[key] for key in before} == {key: row[:20] for key, row in before.items()}
    assert ("2020-12-25", "A00") not in before


def test_a_further_feature_computes_one_file_and_keeps_the_others(whole: CrossSection, tmp_path: Path) -> None:
    store = rank_case.store(tmp_path / "features", whole, 2)
    first = build(tmp_path / "ranks", whole, store, {name: HASHES[name] for name in COLUMNS[:3]})
    stamps = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "ranks").glob("f*.npy")}
    second = build(tmp_path / "ranks", whole, store, {name: HASHES[name] for name in COLUMNS[:4]})
    now = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "ranks").glob("f*.npy")}
    assert len(now) == len(stamps) + 1
    assert {name: now[name] for name in stamps} == stamps
    assert first.columns == second.columns[:3]
    build(tmp_path / "ranks", whole, store, {name: HASHES[name] for name in COLUMNS[:2]})
    assert len(list((tmp_path / "ranks").glob("f*.npy"))) == 4, "another choice of features drops nothing"


def test_a_feature_declared_otherwise_replaces_its_file(whole: CrossSection, tmp_path: Path) -> None:
    store = rank_case.store(tmp_path / "features", whole, 2)
    first = build(tmp_path / "ranks", whole, store, {"f00": "one", "f01": "one"})
    second = build(tmp_path / "ranks", whole, store, {"f00": "one", "f01": "two"})
    assert first.files["f00"] == second.files["f00"]
    assert {path.name for path in (tmp_path / "ranks").glob("f*.npy")} == set(second.files.values())


@pytest.mark.parametrize("change", ["bars", "rows", "seed"])
def test_a_changed_dataset_drops_the_stale_files(change: str, whole: CrossSection, tmp_path: Path) -> None:
    store, eligible = rank_case.store(tmp_path / "features", whole, 2), rank_case.eligible(whole)
    rank_table(tmp_path / "ranks", whole, eligible, store, {"f00": "a"}, 7)
    stale = {path.name for path in (tmp_path / "ranks").glob("*.np[yz]")}
    if change == "bars":
        store.ledger.record(0, "", [], bars="others", panel="", columns={}, checked={})
    if change == "rows":
        eligible[100] = ~eligible[100]
    rank_table(tmp_path / "ranks", whole, eligible, store, {"f00": "a"}, 8 if change == "seed" else 7)
    now = {path.name for path in (tmp_path / "ranks").glob("*.np[yz]")}
    assert len(now) == len(stale) == 2
    assert not now & stale


def test_a_build_that_was_killed_goes_on_where_it_was(
    whole: CrossSection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, built = rank_case.store(tmp_path / "features", whole, 2), []
    monkeypatch.setattr(module, "COLUMNS_AT_ONCE", 6)
    real = module.values_of_year

    def watched(store: object, rows: object, days: slice, names: list[str]) -> np.ndarray:
        if len(built) == 4:  # two years a group
            raise KeyboardInterrupt
        built.append(names)
        return real(store, rows, days, names)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "values_of_year", watched)
    with pytest.raises(KeyboardInterrupt):
        build(tmp_path / "ranks", whole, store)
    with pytest.raises(StageError, match="holds no ranks"):
        RankTable.open(tmp_path / "ranks")
    assert len(list((tmp_path / "ranks").glob("f*.npy"))) == 12
    built[:] = [[] for _ in range(10)]
    table = build(tmp_path / "ranks", whole, store)
    assert [names for names in built if names] == [COLUMNS[12:18]] * 2 + [COLUMNS[18:]] * 2
    monkeypatch.undo()
    other = build(tmp_path / "at once", whole, store)
    assert np.array_equal(table.read(slice(None)), other.read(slice(None)))


def test_a_name_without_stored_features_is_missing_everywhere(whole: CrossSection, tmp_path: Path) -> None:
    fewer = dataclasses.replace(whole, symbols=whole.symbols)
    store = rank_case.store(tmp_path / "features", fewer, 1)
    frame = store.read_bucket(0).filter(pl.col("symbol") != "S03")
    stored_case.write(store, 0, frame)
    table = build(tmp_path / "ranks", whole, store, {"f00": "a", "f07": "b"})
    gone = table.names == SYMBOLS.index("S03")
    values = table.read(slice(None))
    assert (values[gone] == MISSING).all()
    assert (values[~gone] != MISSING).mean() > 0.8


def test_a_folder_without_ranks_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="holds no ranks.*run the same command again"):
        RankTable.open(tmp_path)
