"""Kept results of tests: taken again for the same parts, made again for any other."""

from __future__ import annotations

import datetime as dt
import itertools
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from src.core.arrays import FloatArray
from src.monitoring.kept_results import KeptResults
from tests.monitoring.monitor_case import Watched
from tests.monitoring.test_review import case, features, look  # noqa: F401 (a fixture)


@dataclass(frozen=True)
class Parts:
    values: FloatArray
    day: dt.date | None = None
    names: tuple[str, ...] = ("a", "bc")


SAME = Parts(np.arange(4.0))
OTHERS = [
    replace(SAME, values=np.array([0.0, 1.0, 2.0, np.nextafter(3.0, 4.0)])),
    replace(SAME, values=np.arange(4.0).reshape(2, 2)),
    replace(SAME, values=np.arange(4.0, dtype=np.float32)),
    replace(SAME, day=dt.date(2024, 1, 5)),
    replace(SAME, names=("ab", "c")),
]


def rule() -> int:
    return 1


def asked(path: Path, *parts: Any) -> list[bool]:
    """Whether the result of each was made in a look of its own."""
    kept, calls = KeptResults(path, rule), [0]

    def make() -> list[Any]:
        calls.append(calls[-1] + 1)
        return [1.5, None, "x"]

    counts = [len(calls)]
    for each in parts:
        assert kept.of(each, make) == [1.5, None, "x"]
        counts.append(len(calls))
    kept.write()
    return [after > before for before, after in itertools.pairwise(counts)]


@pytest.mark.parametrize("other", OTHERS)
def test_a_result_is_made_again_as_soon_as_a_part_differs(tmp_path: Path, other: Parts) -> None:
    path = tmp_path / "kept.parquet"
    assert asked(path, SAME) == [True]
    assert asked(path, replace(SAME, values=np.arange(4.0))) == [False]
    assert asked(path, SAME, other) == [False, True]
    assert asked(path, other) == [False]
    assert asked(path, SAME) == [True]  # not asked for in the look before: forgotten


def test_a_file_that_is_broken_counts_as_absent(tmp_path: Path) -> None:
    path = tmp_path / "kept.parquet"
    path.write_bytes(b"PAR1")
    assert asked(path, SAME) == [True]
    assert asked(path, SAME) == [False]


def test_a_second_look_tests_nothing_and_a_restated_bar_is_looked_at_again(
    case: Watched,  # noqa: F811 (a fixture)
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    features(case.replayed(), moved=2.0)
    kept = [case.paths.monitor / name for name in ("judgements.parquet", "drift_tests.parquet")]
    first = look(case)
    before = [path.read_bytes() for path in kept]
    with monkeypatch.context() as patch:
        patch.setattr("src.monitoring.judgement._as_json", lambda _: pytest.fail("judged again"))
        patch.setattr("src.monitoring.drift._tested_as_json", lambda *_: pytest.fail("tested again"))
        assert look(case).champions.equals(first.champions)
    assert [path.read_bytes() for path in kept] == before
    case.with_bars(lambda frame: frame.with_columns(pl.col("open") * (1.0 + 0.001 * pl.int_range(pl.len()).mod(3))))
    changed = look(case)
    assert not changed.champions["sharpe"].equals(first.champions["sharpe"])
    for path in kept:
        path.unlink()
    assert look(case).champions.equals(changed.champions)
