"""Location of the project."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""Folder of the project, which has pyproject.toml and conf/."""


def main_checkout(root: Path = ROOT) -> Path:
    """Return the checkout that a folder belongs to: the folder itself, unless DVC made it as a copy for an experiment.

    The path alone decides. A variable of the environment would let a command choose its own rules.

    Parameters
    ----------
    root : Path
        Folder of a project, absolute.

    Returns
    -------
    Path

    Examples
    --------
    >>> main_checkout(Path("/home/ann/loop/.dvc/tmp/exps/standalone/tmp1")).as_posix()
    '/home/ann/loop'
    >>> main_checkout(Path("/home/ann/loop")).as_posix()
    '/home/ann/loop'
    """
    for parent in reversed(root.parents):
        if parent.name == ".dvc" and root.relative_to(parent).parts[:2] == ("tmp", "exps"):
            return parent.parent
    return root
