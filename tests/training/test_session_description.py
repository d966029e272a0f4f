"""The description of a session is written once, but for the latest date that its training could use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from src.storage.atomic import read_json
from src.training.session_description import describe


def description(until: str | None, commit: str = "a") -> dict[str, Any]:
    config = {"model": {"family": "lightgbm"}, "split": {"embargo": 5, "until": until}, "seed": 7}
    return {"key": "k", "git_commit": commit, "config_yaml": yaml.safe_dump(config, sort_keys=False)}


@pytest.mark.parametrize(
    ("first", "then", "kept"),
    [
        ("2024-12-31", "2025-09-30", "2025-09-30"),
        ("2024-12-31", "2024-12-31", "2024-12-31"),
        ("2025-09-30", "2024-12-31", "2025-09-30"),  # its models may have seen the later days
        ("2024-12-31", None, None),  # all bars
        (None, "2025-09-30", None),
    ],
)
def test_a_session_that_goes_on_keeps_the_latest_date(
    tmp_path: Path, first: str | None, then: str | None, kept: str | None
) -> None:
    path = tmp_path / "runs" / "session-k.json"
    path.parent.mkdir()
    describe(path, description(first))
    before = path.stat().st_mtime_ns
    describe(path, description(then, commit="b"))
    assert read_json(path) == description(kept)
    assert (path.stat().st_mtime_ns == before) == (first == kept)
