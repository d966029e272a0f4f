"""A dataset that is built beside the old one and takes its place at the end, whatever moment a kill comes."""

from __future__ import annotations

import shutil
from pathlib import Path

from src.market.bars import BarStore


def fresh_root(root: Path) -> Path:
    """Where ``fresh=true`` builds the dataset that replaces the one at `root`.

    Parameters
    ----------
    root : Path
        Folder of the dataset's bars.

    Returns
    -------
    Path
        A hidden folder beside it.
    """
    return root.with_name(f".{root.name}-fresh")


def replace(root: Path) -> None:
    """Put the dataset that was built at `fresh_root` in the place of the old one.

    Parameters
    ----------
    root : Path
        Folder of the old dataset, which is deleted. `recover` finishes what a kill interrupts.
    """
    old = _old_root(root)
    shutil.rmtree(old, ignore_errors=True)
    root.replace(old)
    fresh_root(root).replace(root)
    shutil.rmtree(old, ignore_errors=True)


def recover(root: Path) -> None:
    """Finish a `replace` that was killed between its two renames.

    Parameters
    ----------
    root : Path
        Folder of the dataset's bars. Nothing happens if no `replace` was interrupted.
    """
    old, new = _old_root(root), fresh_root(root)
    if not root.exists():
        built = BarStore(new)
        if built.exists() and built.manifest.complete:
            new.replace(root)
        elif old.exists():
            old.replace(root)
    if root.exists():
        shutil.rmtree(old, ignore_errors=True)


def _old_root(root: Path) -> Path:
    return root.with_name(f".{root.name}-old")
