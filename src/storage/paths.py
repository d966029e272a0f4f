"""Where each stored thing lies."""

from __future__ import annotations

import os
from pathlib import Path

from src.core.project import ROOT


def main_root() -> Path:
    """Folder that owns MLflow's store, provider caches and locks: the main checkout, also from a copy DVC works in."""
    return Path(os.environ.get("DVC_ROOT") or ROOT)
