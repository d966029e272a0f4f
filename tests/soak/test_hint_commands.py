"""Commands of hints, typed as printed, into a shell: each mends the damage that its hint is about."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import test_hint_commands as case
from tests.test_hint_commands import Place, project, trained

__all__ = ["project", "trained"]  # fixtures

pytestmark = case.pytestmark


@pytest.mark.parametrize("damage", case.DAMAGES)
def test_the_command_of_a_hint_mends_what_the_hint_is_about(trained: Place, damage: str, tmp_path: Path) -> None:
    case.mends(trained, damage, tmp_path)
