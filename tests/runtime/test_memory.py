"""Memory: what a worker may take where no limit is set."""

from types import SimpleNamespace

import psutil
import pytest

from src.runtime import memory


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A machine of 20 GiB, and the files in which a container says its limit."""
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(total=20 * memory.GIB))
    limits = (tmp_path / "memory.max", tmp_path / "memory.limit_in_bytes")
    monkeypatch.setattr(memory, "_CGROUP_LIMITS", limits)
    return limits


def test_workers_share_four_fifths_of_the_machine(machine) -> None:
    assert [memory.limit_bytes(None, workers) / memory.GIB for workers in (1, 2, 8)] == [16.0, 8.0, 2.0]
    assert memory.limit_bytes(None, 64) == memory.GIB  # less would end ordinary work
    assert memory.limit_bytes(0.25, 64) == memory.GIB // 4


def test_a_containers_limit_is_the_machine(machine) -> None:
    current, older = machine
    current.write_text("max\n", encoding="ascii")
    assert memory.total_bytes() == 20 * memory.GIB
    older.write_text(f"{2**63 - 4096}\n", encoding="ascii")  # how version 1 says that there is none
    assert memory.total_bytes() == 20 * memory.GIB
    current.write_text(f"{5 * memory.GIB}\n", encoding="ascii")
    assert memory.limit_bytes(None, 2) == 2 * memory.GIB
