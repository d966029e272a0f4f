"""The commit of the project's checkout."""

from __future__ import annotations

import subprocess
from functools import cache

from src.core.project import ROOT


@cache
def git_commit() -> str | None:
    """Return the commit of the project's checkout.

    Returns
    -------
    str or None
        With ``-dirty`` appended if tracked files were changed; None outside a git checkout.
    """
    try:
        commit = _git("rev-parse", "HEAD")
        return f"{commit}-dirty" if _git("status", "--porcelain", "--untracked-files=no") else commit
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True, encoding="utf-8")
    return done.stdout.strip()
