"""The README's live quick start in full, at the pace that is shipped: about a quarter of an hour, mostly waiting."""

import sys

import pytest

from tests.hydration.live.test_quick_start import PINNED, TYPED, quick_start

pytestmark = pytest.mark.timeout(2 * 3600)


def test_quick_start_as_typed(tmp_path):
    said, counts, states = quick_start(tmp_path, limit=3600)
    listed = [
        line for line in PINNED.read_text(encoding="utf-8").splitlines()[1:] if not line.startswith(("#", "asset"))
    ]
    sys.stdout.write(f"\n{' '.join(TYPED)}: {said}\n{counts['yahoo']}\n")
    assert states.height == len(listed) == 720
    assert set(states["state"]) == {"done"}
    assert counts["yahoo"]["requests"] <= 700 + 4
    assert counts["yahoo"]["requests"] / counts["yahoo"]["seconds"] <= 1.0
