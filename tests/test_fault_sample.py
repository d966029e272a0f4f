"""A few failing operations of a disk during hydration, of the hundreds that ``make soak`` goes through."""

from __future__ import annotations

import pytest

from tests.soak.fault_sweep import Sweep, Tiny


class Hydrated(Tiny):
    """A project that is hydrated alone, so that its processes need no MLflow."""

    preload = "src.hydration.files"


SAMPLE = [
    ("kill", "replace", -1),
    ("eio", "write", 2),
    ("enospc", "mkdir", 0),
    ("eio", "replace", 3),
    ("enospc", "fsync", 1),
]


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Sweep:
    made = Sweep(tmp_path_factory.mktemp("faults"), ("hydrate",), Hydrated)
    made.prepare()
    return made


@pytest.mark.parametrize(("kind", "operation", "place"), SAMPLE)
def test_a_failing_disk_is_said_in_a_line_and_the_next_run_ends_as_if_undisturbed(
    sweep: Sweep, kind: str, operation: str, place: int
) -> None:
    points = [line.split() for line in (sweep.home / "points-hydrate").read_text(encoding="utf-8").splitlines()]
    numbers = [
        int(number) for number, name, *_ in points if name == operation and "logs" not in points[int(number) - 1][2]
    ]
    hit, wrong = sweep.attempt("hydrate", kind, numbers[place])
    assert wrong == []
    assert kind == "kill" or hit
