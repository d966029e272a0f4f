"""Check that a disk has enough free space before the work starts."""

from __future__ import annotations

import shutil
from pathlib import Path

from src.config.commands import command
from src.core.errors import StageError

_UNITS = ("bytes", "KB", "MB", "GB", "TB")


class DiskError(StageError):
    """There is not enough free space; the message says what is needed, what is free and where."""


def require(path: Path, needed: int, purpose: str) -> None:
    """Check that the disk of a path has enough free space.

    Parameters
    ----------
    path : Path
        File or folder that will be written; it need not exist yet.
    needed : int
        Bytes.
    purpose : str
        What the space is for, as the message names it: "the features of 724 instruments".

    Raises
    ------
    DiskError
        If less than `needed` is free.
    """
    free = free_bytes(path)
    if free < needed:
        raise DiskError(
            f"disk: {purpose} needs {format_bytes(needed)} in {path}, {format_bytes(free)} is free: "
            f"make room ({command('clean')} shows what can go) or set data.root to another disk"
        )


def free_bytes(path: Path) -> int:
    """Free space on the disk that holds a path.

    Parameters
    ----------
    path : Path
        If it does not exist yet, its nearest existing parent counts.

    Returns
    -------
    int
        Bytes.
    """
    place = Path(path).absolute()
    while not place.exists() and place != place.parent:
        place = place.parent
    return shutil.disk_usage(place).free


def format_bytes(size: float) -> str:
    """Format a size for reading: 1,536 bytes are ``1.5 KB``.

    Parameters
    ----------
    size : float
        Bytes.
    """
    for unit in _UNITS:
        if size < 1024 or unit == _UNITS[-1]:
            break
        size /= 1024
    return f"{size:.0f} {unit}" if unit == "bytes" or size >= 100 else f"{size:.1f} {unit}"
