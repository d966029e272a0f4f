"""Free space is asked for before the work, not discovered in the middle of it."""

from __future__ import annotations

import shutil
from pathlib import Path

from src.core.errors import StageError

_UNITS = ("bytes", "KB", "MB", "GB", "TB")


class DiskError(StageError):
    """There is not enough free space; the message says what is needed, what is free and where."""


def require(path: Path, needed: int, purpose: str) -> None:
    """Check that the disk of `path` has `needed` bytes free for `purpose` ("the features of 724 instruments").

    Raises
    ------
    DiskError
        Where it has not. `path` itself need not exist yet.
    """
    free = free_bytes(path)
    if free < needed:
        raise DiskError(
            f"disk: {purpose} needs {in_words(needed)} in {path}, {in_words(free)} is free: "
            "make room (python -m src.clean shows what can go) or set data.root to another disk"
        )


def free_bytes(path: Path) -> int:
    """Free space in bytes on the disk that holds `path`, or would hold it once made."""
    place = Path(path).absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    return shutil.disk_usage(place).free


def in_words(size: float) -> str:
    """Bytes as people say them: 1,536 is `1.5 KB`."""
    for unit in _UNITS:
        if size < 1024 or unit == _UNITS[-1]:
            break
        size /= 1024
    return f"{size:.0f} {unit}" if unit == "bytes" or size >= 100 else f"{size:.1f} {unit}"
