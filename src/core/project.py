"""Location of the project."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""Folder of the project, which has pyproject.toml and conf/."""
