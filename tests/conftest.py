"""The order of the tests, which decides how long the whole takes: see LONGEST."""

from __future__ import annotations

from pathlib import Path

import pytest

HERE = Path(__file__).parent
LONGEST = (
    "test_train.py", "hydration/live/test_hydration_end_to_end.py", "training/test_session.py", "engine/test_ray.py",
    "test_pipeline.py",
)  # fmt: skip
"""Files that take minutes: begun first, so that none is left alone with one processor when all the rest has ended."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {HERE / name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))
