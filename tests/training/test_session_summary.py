"""The closing line and the figures of a session."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from src.config.paths import DatasetPaths
from src.evaluation.multiple_testing import SessionEvidence
from src.training.session_summary import SessionSummary, Totals


class States:
    """So many instruments in each state."""

    def __init__(self, total: int, failed: int = 0, failed_runs: int = 0) -> None:
        self._total, self._counts, self._failed_runs = total, {"skipped": 61, "failed": failed}, failed_runs

    def __len__(self) -> int:
        return self._total

    def count(self, state: str) -> int:
        return self._counts.get(state, 0)

    def failed_runs(self) -> int:
        return self._failed_runs


def evidence(**changes: Any) -> SessionEvidence:
    found = {"passes": 57, "instruments": 41, "registrable": 38, "expected": 31.2, "low": 12, "high": 66}
    found |= {"expected_instruments": 22.4, "low_instruments": 9, "high_instruments": 40, "session_number": 7}
    return SessionEvidence(**({"grades": pl.DataFrame({"a": [0] * 1989})} | found | changes))


def summary(tmp_path: Any, states: States, runs: int = 1989) -> SessionSummary:
    settings: Any = SimpleNamespace(
        paths=DatasetPaths(tmp_path, "full"), dataset="full", config_yaml="", models=[],
        label=SimpleNamespace(name="direction"), strategy=SimpleNamespace(name="long_flat"),
    )  # fmt: skip
    shown: Any = states
    return SessionSummary(settings, "k" * 24, shown, Totals(runs=runs))


def test_the_closing_line(tmp_path: Any) -> None:
    assert summary(tmp_path, States(724)).sentence(evidence()) == (
        "train: 724 instruments; 57 of 1,989 runs passed (41 instruments, 38 registrable). If no model had any skill, "
        "about 31 would (22 instruments; 90% range 12 to 66). Session 7 on these bars; 61 skipped, 0 failed"
    )


@pytest.mark.parametrize(
    ("runs", "states", "changes", "end"),
    [
        (1988, States(724), {}, "Session 7 on these bars; 1 run reused, 61 skipped, 0 failed"),
        (0, States(724), {}, "Session 7 on these bars; 1,989 runs reused, 61 skipped, 0 failed"),
        (1989, States(724, 2, 3), {}, "Session 7 on these bars; 61 skipped, 2 failed (3 runs: see {folder})"),
        (1989, States(724), {"session_number": None}, "12 to 66); 61 skipped, 0 failed"),
        (1989, States(724), {"session_number": 1_234}, "Session 1,234 on these bars; 61 skipped, 0 failed"),
    ],
)
def test_how_the_closing_line_ends(tmp_path: Any, runs: int, states: States, changes: dict[str, Any], end: str) -> None:
    folder = f"{DatasetPaths(tmp_path, 'full').runs.as_posix()}/failures"
    assert summary(tmp_path, states, runs).sentence(evidence(**changes)).endswith(end.format(folder=folder))


def test_mlflow_gets_the_session_number_and_the_luck_by_instrument(tmp_path: Any) -> None:
    figures = summary(tmp_path, States(724)).figures(evidence(deflated_passes=4, expected_deflated=2.5), 10.0)
    expected = {
        "session_number": 7, "passed_registrable": 38, "expected_lucky_instruments": 22.4, "passed_deflated": 4,
        "expected_lucky_instruments_low": 9, "expected_lucky_instruments_high": 40, "expected_lucky_deflated": 2.5,
    }  # fmt: skip
    assert expected.items() <= figures.items()
