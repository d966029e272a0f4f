"""Files appear whole or not at all, also when the writer dies."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from src.config import paths
from src.core import process as process_module
from src.core.project import ROOT
from src.storage import atomic
from tests.process_case import begin

KILLED = """
import os, signal, sys
from pathlib import Path
from src.storage.atomic import write_atomic

def half(path):
    path.write_text("half")
    print("written", flush=True)
    sys.stdin.read()

write_atomic(Path(sys.argv[1]), half)
"""


def writer(path: Path) -> subprocess.Popen[bytes]:
    """A process that stands in the middle of writing `path`."""
    command = [sys.executable, "-c", KILLED, str(path)]
    process = begin(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline().strip() == b"written"
    return process


def test_a_file_is_written_with_its_parents_and_nothing_else(tmp_path: Path) -> None:
    atomic.write_text("bars\n", tmp_path / "a" / "b" / "note.txt")
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()] == ["a/b/note.txt"]
    assert (tmp_path / "a/b/note.txt").read_bytes() == b"bars\n"


def test_a_failed_write_leaves_the_former_file_and_no_trace(tmp_path: Path) -> None:
    path = tmp_path / "grades.parquet"
    atomic.write_text("former", path)

    def fails(temporary: Path) -> None:
        temporary.write_text("half", encoding="utf-8")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        atomic.write_atomic(path, fails)
    assert path.read_text(encoding="utf-8") == "former"
    assert list(tmp_path.iterdir()) == [path]


def test_the_writer_sees_the_final_name_and_suffix(tmp_path: Path) -> None:
    seen: list[Path] = []
    atomic.write_atomic(tmp_path / "model.ubj", lambda temporary: (seen.append(temporary), temporary.touch())[1])
    assert seen[0].name == "model.ubj"


def test_a_half_written_file_is_found_by_no_pattern(tmp_path: Path) -> None:
    def looks(temporary: Path) -> None:
        temporary.touch()
        assert list(tmp_path.glob("*.parquet")) == []

    atomic.write_atomic(tmp_path / "b001-2023.parquet", looks)
    assert [path.name for path in tmp_path.glob("*.parquet")] == ["b001-2023.parquet"]


def test_a_killed_writer_leaves_the_former_file_and_its_rest_is_swept(tmp_path: Path) -> None:
    path = tmp_path / "runs.parquet"
    atomic.write_text("former", path)
    process = writer(path)
    process.kill()
    process.communicate()
    assert path.read_text(encoding="utf-8") == "former"
    assert len(list(tmp_path.iterdir())) == 2
    assert atomic.remove_temporaries(tmp_path) == 1
    assert list(tmp_path.iterdir()) == [path]


def test_sweeping_leaves_the_files_of_a_living_writer(tmp_path: Path) -> None:
    process = writer(tmp_path / "runs.parquet")
    try:
        assert atomic.remove_temporaries(tmp_path) == 0
    finally:
        process.communicate(b"")
    assert (tmp_path / "runs.parquet").read_text(encoding="utf-8") == "half"
    assert atomic.remove_temporaries(tmp_path) == 0


def test_a_process_number_that_was_reused_does_not_protect_a_dead_writers_file(tmp_path: Path) -> None:
    left = (
        tmp_path
        / f".tmp-{process_module.host_tag()}-{os.getpid()}-{process_module.process_start(os.getpid()) - 1000}-0"
    )
    left.mkdir()
    assert atomic.remove_temporaries(tmp_path) == 1


def test_another_machines_file_is_left_for_a_day(tmp_path: Path) -> None:
    left = tmp_path / ".tmp-abcdef-1-1-0"
    left.mkdir()
    assert atomic.remove_temporaries(tmp_path) == 0
    old = time.time() - 2 * 24 * 3600
    os.utime(left, (old, old))
    assert atomic.remove_temporaries(tmp_path) == 1


def test_a_foreign_folder_that_looks_alike_is_never_swept(tmp_path: Path) -> None:
    (tmp_path / ".tmp-mine").mkdir()
    assert atomic.remove_temporaries(tmp_path) == 0


def test_json_comes_back_and_dates_paths_and_numpy_numbers_become_plain(tmp_path: Path) -> None:
    value = {
        "until": dt.date(2024, 1, 2),
        "auc": np.float64(0.52),
        "n": np.int64(3),
        "path": Path("a") / "b",
        "ü": None,
    }
    atomic.write_json(value, tmp_path / "x.json")
    assert atomic.read_json(tmp_path / "x.json") == {
        "until": "2024-01-02",
        "auc": 0.52,
        "n": 3,
        "path": "a/b",
        "ü": None,
    }
    assert "ü" in (tmp_path / "x.json").read_text(encoding="utf-8")


def test_json_refuses_a_value_that_is_not_a_number(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="Out of range float"):
        atomic.write_json({"auc": float("nan")}, tmp_path / "x.json")
    with pytest.raises(TypeError, match="object has no JSON form"):
        atomic.write_json({"x": object()}, tmp_path / "x.json")
    assert list(tmp_path.iterdir()) == []


def test_a_frame_comes_back_and_its_file_carries_statistics(tmp_path: Path) -> None:
    frame = pl.DataFrame({"symbol": ["A", "B"], "close": [1.0, None]})
    atomic.write_parquet(frame, tmp_path / "bars.parquet")
    assert pl.read_parquet(tmp_path / "bars.parquet").equals(frame)
    import pyarrow.parquet as pq

    group = pq.ParquetFile(tmp_path / "bars.parquet").metadata.row_group(0)
    assert group.column(1).statistics.null_count == 1
    assert group.column(1).compression == "ZSTD"


def test_the_main_checkout_is_the_one_that_dvc_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("DVC_ROOT", raising=False)
    assert paths.main_root() == ROOT
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    assert paths.main_root() == tmp_path


def test_a_tree_lists_files_with_sizes_and_an_absent_folder_is_empty(tmp_path: Path) -> None:
    atomic.write_text("abc", tmp_path / "x" / "y.txt")
    assert list(atomic.files_with_sizes(tmp_path)) == [(tmp_path / "x" / "y.txt", 3)]
    assert list(atomic.files_with_sizes(tmp_path / "absent")) == []


def test_the_bytes_of_a_json_file_are_the_same_on_every_system(tmp_path: Path) -> None:
    atomic.write_json({"a": [1, 2]}, tmp_path / "x.json")
    assert (tmp_path / "x.json").read_bytes() == (json.dumps({"a": [1, 2]}, indent=2) + "\n").encode()
