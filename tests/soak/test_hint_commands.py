"""Commands of hints, typed as printed, for the damages that the suite leaves out."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import test_hint_commands as case
from tests.test_hint_commands import Place, project, trained

__all__ = ["project", "trained"]  # fixtures

pytestmark = case.pytestmark


@pytest.mark.parametrize("damage", [damage for damage in case.DAMAGES if damage not in case.SAMPLE])
def test_the_command_of_a_hint_mends_what_the_hint_is_about(trained: Place, damage: str, tmp_path: Path) -> None:
    case.mends(trained, damage, tmp_path)
