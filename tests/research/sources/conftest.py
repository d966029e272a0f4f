from __future__ import annotations

from typing import Any

import pytest

from src.fetching.rate_gate import RateGate


@pytest.fixture
def gates(monkeypatch: pytest.MonkeyPatch) -> list[RateGate]:
    """The gates that a collection makes."""
    made: list[RateGate] = []

    def kept(*arguments: Any, **named: Any) -> RateGate:
        made.append(RateGate(*arguments, **named))
        return made[-1]

    monkeypatch.setattr("src.research.lanes.RateGate", kept)
    return made
