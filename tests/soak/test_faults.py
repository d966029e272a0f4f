"""A disk that fails at any write, rename, removal or commit between hydration and promotion: ``make soak``.

About 490 points, each failed in four ways, which takes about three hours. ``ALPHA_FAULT_STRIDE=10`` takes every tenth.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.soak.fault_sweep import KINDS, VERBS, Sweep, say

pytestmark = [
    pytest.mark.timeout(4 * 3600),
    pytest.mark.skipif(sys.platform == "win32", reason="spawning each command anew would take a day"),
]
STRIDE = int(os.environ.get("ALPHA_FAULT_STRIDE", "1"))


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sweep]:
    made = Sweep(tmp_path_factory.mktemp("faults"))
    made.prepare()
    say(f"points: {made.points}")
    yield made


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("verb", VERBS)
def test_a_fault_at_any_point_ends_clearly_and_is_made_good(sweep: Sweep, verb: str, kind: str) -> None:
    numbers = range(1, sweep.points[verb] + 1, STRIDE)
    wrong = {number: found for number in numbers if (found := sweep.attempt(verb, kind, number)[1])}
    assert not wrong


def test_the_points_hold_every_kind_of_operation(sweep: Sweep) -> None:
    """A sweep over no points would find nothing."""
    operations = {line.split()[1] for path in Path(sweep.home).glob("points-*") for line in path.open()}
    assert operations >= {"open", "write", "mkdir", "replace", "unlink", "rmdir", "fsync", "commit"}
    assert all(sweep.points[verb] > 5 for verb in VERBS)
