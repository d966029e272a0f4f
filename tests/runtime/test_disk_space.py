"""Free space is asked for in words before the work."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from src.core.errors import StageError
from src.runtime import disk_space


def test_enough_room_says_nothing(tmp_path: Path) -> None:
    disk_space.require(tmp_path / "not" / "yet" / "made", 1, "a byte")


def test_too_little_room_names_the_purpose_what_is_needed_what_is_free_and_the_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: shutil._ntuple_diskusage(10**12, 10**12, 5 * 1024**2))
    with pytest.raises(disk_space.DiskError) as caught:
        disk_space.require(tmp_path, 8 * 1024**3, "the features of 724 instruments")
    assert isinstance(caught.value, StageError)
    words = str(caught.value)
    assert words.startswith("disk: the features of 724 instruments needs 8.0 GB in ")
    assert "5.0 MB is free" in words
    assert "python -m src.clean" in words


@pytest.mark.parametrize(
    ("size", "words"),
    [(0, "0 bytes"), (1023, "1023 bytes"), (1536, "1.5 KB"), (200 * 1024**2, "200 MB"), (2 * 1024**4, "2.0 TB")],
)
def test_sizes_are_said_as_people_say_them(size: int, words: str) -> None:
    assert disk_space.in_words(size) == words
