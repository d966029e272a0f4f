"""A lazy scan of features gives what its files hold, whatever is asked of it."""

import datetime as dt
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from src.core.errors import StageError
from src.features.store import FeatureStore
from src.inspection.reading.feature_scan import scan
from tests.features import stored_case

DAYS = pl.date_range(dt.date(2021, 11, 1), dt.date(2022, 2, 1), eager=True)
PLACE = ["asset_class", "symbol", "date"]


def table(symbols: list[str], names: list[str]) -> pl.DataFrame:
    rows = pl.DataFrame({"asset_class": "stock", "symbol": symbols}).join(DAYS.to_frame("date"), how="cross")
    values = np.random.default_rng(len(symbols)).standard_normal((len(names), rows.height)).astype(np.float32)
    values[values < -1] = np.nan
    return rows.with_columns(pl.Series(name, each, nan_to_null=True) for name, each in zip(names, values, strict=True))


@pytest.fixture
def parts(tmp_path: Path) -> list[pl.DataFrame]:
    """Two buckets; the second has no column b, and one of its own."""
    made = [table(["A", "B", "C"], ["a", "b"]), table(["D", "E"], ["a", "c"])]
    for b, part in enumerate(made):
        stored_case.write(FeatureStore(tmp_path), b, part)
    return made


def lazily(root: Path, keys: list[tuple[str, str]] | None = None, since: str | None = None, until: str | None = None):
    return scan(root, keys, [0, 1], since, until, "featurize")


def test_any_query_finds_what_one_table_of_all_rows_would_give(tmp_path: Path, parts: list[pl.DataFrame]) -> None:
    whole = pl.concat(parts, how="diagonal").drop("c")
    lazy = lazily(tmp_path)
    assert lazy.collect_schema() == whole.schema
    assert lazy.collect().sort(PLACE).equals(whole)
    for ask in (
        lambda frame: frame.filter(pl.col("a") > 0.3, symbol="D").select("date", "a"),
        lambda frame: frame.filter(pl.col("b").is_null()).select(pl.len()),
        lambda frame: frame.group_by("symbol").agg(pl.col("a").max(), pl.col("b").count()).sort("symbol"),
        lambda frame: frame.select(pl.col("a") + pl.col("b"), *PLACE).sort(PLACE),
    ):
        assert ask(lazy).collect().equals(ask(whole))
    assert lazy.select("b", "symbol").head(5).collect().equals(whole.select("b", "symbol").head(5))
    assert lazy.head(100).collect().height == 100


def test_instruments_and_days_are_narrowed(tmp_path: Path, parts: list[pl.DataFrame]) -> None:
    found = lazily(tmp_path, [("stock", "B"), ("stock", "E")], "2021-12-15", "2022-01-05").collect()
    wanted = pl.concat(parts, how="diagonal").drop("c").filter(pl.col("symbol").is_in(["B", "E"]))
    assert found.sort(PLACE).equals(
        wanted.filter(pl.col("date").is_between(dt.date(2021, 12, 15), dt.date(2022, 1, 5)))
    )
    assert lazily(tmp_path, since="2030-01-01").collect().is_empty()
    assert lazily(tmp_path, until="9999-12-31").collect().height == sum(part.height for part in parts)


def test_where_nothing_is_stored_or_the_first_file_is_damaged_the_remedy_is_named(
    tmp_path: Path, parts: list[pl.DataFrame]
) -> None:
    with pytest.raises(StageError, match="no such files: run `featurize`"):
        scan(tmp_path, None, [7], None, None, "featurize")
    (tmp_path / "b000-2021.npy").write_bytes(b"a text")
    with pytest.raises(StageError, match=r"can't be read \(b000-2021.npy is cut short.*run `featurize`"):
        lazily(tmp_path)
