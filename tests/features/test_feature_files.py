"""Files of features hold what was written, are read piece by piece, and no damaged one is taken for a whole one."""

import datetime as dt
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from src.core.errors import StageError
from src.features import feature_files
from src.features.feature_files import DamagedFile
from src.features.look_ahead import stamp
from src.features.store import FeatureStore
from src.storage import atomic
from tests.features import stored_case

KEYS = [("crypto", "BTC-USD"), ("etf", "AAA"), ("stock", "AAA"), ("stock", "É")]
NAMES = ["first", "größe", "third", "fourth", "fifth"]


def table(seed: int = 1, hourly: bool = False) -> pl.DataFrame:
    """Instruments with histories of their own over three years, some of a single row, with gaps and missing values."""
    random, parts = np.random.default_rng(seed), []
    days = np.busday_offset("2021-11-01", np.arange(320), roll="forward").astype("datetime64[us]")
    dates = pl.Series(days if hourly else days.astype("datetime64[D]"))
    dates = dates.dt.offset_by("15h30m").dt.replace_time_zone("UTC") if hourly else dates
    for kind, symbol in KEYS:
        kept = np.flatnonzero(random.random(len(dates)) < 0.8)[int(random.integers(0, 100)) :]
        kept = kept[:1] if symbol == "É" else kept
        values = random.standard_normal((len(NAMES), len(kept))).astype(np.float32)
        values[random.random(values.shape) < 0.2] = np.nan
        place = {"asset_class": [kind] * len(kept), "symbol": [symbol] * len(kept), "date": dates[kept]}
        parts.append(pl.DataFrame(place | dict(zip(NAMES, values, strict=True)), nan_to_null=True))
    return pl.concat(parts)


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    made = FeatureStore(tmp_path / "demo")
    stored_case.write(made, 7, table())
    made.ledger.record(7, "", [], columns=dict.fromkeys(NAMES, "code"))
    return made


@pytest.mark.parametrize("hourly", [False, True])
def test_rows_come_back_as_they_were_written_whole_and_in_part(tmp_path: Path, hourly: bool) -> None:
    store, whole = FeatureStore(tmp_path), table(3, hourly)
    stored_case.write(store, 0, whole)
    store.ledger.record(0, "", [], columns={"first": "code"})
    assert store.read_bucket(0).equals(whole)
    assert pl.concat([stored_case.read(path) for path in store.files(0).values()]).sort(pl.nth(0, 1, 2)).equals(whole)
    random = np.random.default_rng(5)
    for _ in range(40):
        names = random.permutation(NAMES)[: int(random.integers(1, 6))].tolist()
        keys = [KEYS[at] for at in random.permutation(5)[:3] if at < 4]
        since, before = sorted(dt.date(2021, 10, 20) + dt.timedelta(days=int(n)) for n in random.integers(0, 520, 2))
        day = pl.col("date").cast(pl.Date)
        wanted = whole.filter(
            day >= since, day < before, pl.concat_list("asset_class", "symbol").is_in(list(map(list, keys)))
        )
        found = store.read_bucket(0, names, keys, before, since)
        assert found.equals(wanted.select("asset_class", "symbol", "date", *names))


def test_many_rows_are_read_in_pieces_of_few(store: FeatureStore, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = store.read_bucket(7, ["fourth", "first"])
    monkeypatch.setattr(feature_files, "_AT_ONCE", 7)
    assert store.read_bucket(7, ["fourth", "first"]).equals(whole)


def test_each_instruments_values_are_alone_in_memory_and_rows_of_other_bars_are_refused(store: FeatureStore) -> None:
    bars = table()
    found = store.read_matrices(7, NAMES, bars)
    assert found is not None and list(found) == KEYS
    assert all(block.base is None and block.flags.c_contiguous for block in found.values())
    naive = bars.select(NAMES).to_numpy()
    assert np.array_equal(np.concatenate(list(found.values())), naive, equal_nan=True)
    last = dt.date(2022, 3, 1)
    cut = store.read_matrices(7, NAMES[:2], bars.filter(pl.col("date") <= last), [KEYS[1]])
    assert cut is not None and list(cut) == [KEYS[1]]
    kept = bars.filter(pl.col("date") <= last, asset_class="etf")
    assert np.array_equal(cut[KEYS[1]], kept.select(NAMES[:2]).to_numpy(), equal_nan=True)
    shifted = bars.with_columns(pl.col("date").dt.offset_by("1d"))
    renamed = bars.with_columns(pl.col("symbol").replace("É", "Z"))
    for other in (bars[1:], bars.filter(symbol="AAA"), pl.concat([bars, bars[-1:]]), shifted, renamed):
        assert store.read_matrices(7, NAMES, other) is None


def test_a_year_whose_values_did_not_change_keeps_its_file(store: FeatureStore) -> None:
    before = {year: path.stat().st_mtime_ns for year, path in store.files(7).items()}
    assert list(before) == [2021, 2022, 2023]
    stored_case.write(store, 7, table())
    assert {year: path.stat().st_mtime_ns for year, path in store.files(7).items()} == before
    changed = pl.when(pl.col("date") == dt.date(2022, 6, 1)).then(9.0).otherwise("third").cast(pl.Float32)
    stored_case.write(store, 7, table().with_columns(third=changed))
    after = {year: path.stat().st_mtime_ns for year, path in store.files(7).items()}
    assert [year for year in before if after[year] != before[year]] == [2022]
    stored_case.write(store, 7, table().filter(pl.col("date").dt.year() > 2021).select(pl.all().exclude("third")))
    assert list(store.files(7)) == [2022, 2023]
    assert "third" not in store.read_bucket(7).columns


def test_no_file_that_is_cut_short_or_longer_or_something_else_is_read(store: FeatureStore) -> None:
    path = store.files(7)[2021]
    whole = path.read_bytes()
    starts = [0, 5, 9, 60, 127, 128, 300, 500, len(whole) // 2, len(whole) - 1]
    others = [
        whole + b"\0",
        b"PAR1" + whole,
        b"PK\x03\x04" + whole[4:],
        b"no features",
        whole[:6] + b"\x09" + whole[7:],
        whole.replace(b"'descr'", b"'descr", 1),
        whole[:40] + bytes(20) + whole[60:],
    ]
    for content in [*(whole[:length] for length in starts), *others]:
        path.write_bytes(content)
        with pytest.raises(StageError, match=r"can't be read \(b007-2021.npy is .*fresh=true"):
            store.read_bucket(7)
        with pytest.raises(StageError, match="fresh=true"):
            store.read_matrices(7, NAMES, table())
    path.write_bytes(whole)
    with pytest.raises(StageError, match=r"b007-2021.npy has no column sixth.*fresh=true"):
        store.read_bucket(7, ["first", "sixth"])
    stored_case.write(store, 7, table())
    assert store.read_bucket(7).equals(table())


def test_a_file_that_becomes_shorter_while_it_is_read_is_no_whole_one(store: FeatureStore) -> None:
    path = store.files(7)[2022]
    with feature_files.opened(path) as file:
        path.write_bytes(path.read_bytes()[:-8])
        rows = len(file.dates)
        with pytest.raises(DamagedFile, match="cut short"):
            file.read(slice(0, rows), None, np.empty((rows, len(NAMES)), dtype=np.float32))


def test_no_array_maps_a_file_so_that_it_can_be_replaced(store: FeatureStore) -> None:
    kept = store.read_matrices(7, NAMES, table())
    assert kept is not None
    before = np.concatenate(list(kept.values()))
    for path in store.files(7).values():
        with path.open("rb+") as stream:  # a file that is written over in place shows what maps it
            stream.write(bytes(path.stat().st_size))
    assert np.array_equal(np.concatenate(list(kept.values())), before, equal_nan=True)
    stored_case.write(store, 7, table().with_columns(pl.col(NAMES) * 2))
    assert np.array_equal(np.concatenate(list(kept.values())), before, equal_nan=True)
    assert not store.read_bucket(7).equals(table())


def test_files_of_an_earlier_form_are_not_read_and_give_way(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path)
    for year, part in table().group_by(pl.col("date").dt.year().alias("year")):
        atomic.write_parquet(part, tmp_path / f"b007-{year[0]}.parquet")
    codes = dict.fromkeys(NAMES, "code")
    made_from = {"bars": "bars", "panel": "p", "checked": dict.fromkeys(NAMES, stamp("code"))}
    store.ledger.record(7, "", [], **made_from, features=codes)
    assert store.is_of_earlier_form(7) and store.codes(7) == {}
    assert not store.is_computed(7, "bars", "p", codes)
    with pytest.raises(StageError, match="not featurized: run `python -m src.featurize"):
        store.read_bucket(7)
    with pytest.raises(StageError, match="stored in the form of an earlier version: run `python -m src.featurize"):
        store.require_current(7, "bars", codes, looks=False)
    stored_case.write(store, 7, table())
    assert not list(tmp_path.glob("*.parquet"))
    store.ledger.record(7, "", [], **made_from, columns=codes)
    assert store.is_computed(7, "bars", "p", codes) and not store.is_of_earlier_form(7)
