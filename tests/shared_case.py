"""What several processes of pytest-xdist need, built by the first of them and read or copied by the others."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock


def built_once(factory: pytest.TempPathFactory, name: str, build: Callable[[Path], object]) -> Path:
    """The folder that `build` fills, once in a run of the tests; what it holds is not to be changed.

    A build that failed is removed, and the next process that asks tries it again.
    """
    base = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:  # the folder of this process lies in that of the run
        base = base.parent
    made = base / f"shared-{name}"
    with FileLock(made.with_suffix(".lock")):
        if not (made / "complete").exists():
            shutil.rmtree(made, ignore_errors=True)
            build(made / "p")
            (made / "complete").touch()
    return made / "p"
