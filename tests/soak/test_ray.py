"""Sessions on a cluster whose workers, drivers and a node are killed, fifty times in all, end as if undisturbed."""

from __future__ import annotations

import contextlib
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.engine import ray_case
from tests.pipeline_case import Project, differences

pytestmark = [ray_case.on_posix, pytest.mark.timeout(2 * 3600)]

SIZE = ("universe.buckets=5", "source.simulated.stock=66", "source.simulated.etf=24", "source.simulated.crypto=10")
MODEL = ("model=all",)
KILLS = {"worker": 33, "driver": 16, "node": 1}
LIMIT = 3600.0  # seconds for one command, on however busy a machine
_PAUSE = (0.5, 4.0)  # seconds of work between two kills
_LOOPBACK = ("127.0.0.1", "::1", "::ffff:127.0.0.1")


def test_a_session_on_ray_ends_as_undisturbed_whatever_is_killed(tmp_path: Path) -> None:
    rng = random.Random(5)
    featurized = Project(tmp_path / "featurized")
    for verb in ("hydrate", "featurize"):
        featurized.must(verb, *SIZE)
    whole = featurized.copy(tmp_path / "whole")
    began = time.monotonic()
    finish(whole.start("train", *SIZE, *MODEL))
    say(f"undisturbed, on local processes: {whole.grades().height} runs in {time.monotonic() - began:.0f} s")
    plan = [what for what, times in KILLS.items() for _ in range(times)]
    rng.shuffle(plan)
    killed: Counter[str] = Counter()
    began, rounds = time.monotonic(), 0
    with ray_case.nodes(1, 1) as cluster:
        overrides = (*SIZE, *MODEL, "engine=ray", f"engine.address={cluster.address}", "engine.workers=null")
        while plan:
            rounds += 1
            project = featurized.copy(tmp_path / f"round-{rounds}")
            killed += disturbed(project, overrides, plan, cluster, rng)
            finish(project.start("train", *overrides))
            said = f"round {rounds}, after {dict(killed)} in {time.monotonic() - began:.0f} s"
            assert differences(project, whole) == [], said
            say(f"{said}: the same as undisturbed")


def disturbed(
    project: Project, overrides: tuple[str, ...], plan: list[str], cluster: Any, rng: random.Random
) -> Counter[str]:
    """Kill what the plan says until it is used up or a command has come to its end; what was killed."""
    killed: Counter[str] = Counter()
    while True:
        before = len(project.stored())
        driver = project.start("train", *overrides)
        while plan and driver.poll() is None:
            at_work(cluster, driver, rng.uniform(*_PAUSE))
            while plan[-1] == "driver" and driver.poll() is None and not progressed(project, before):
                time.sleep(0.2)  # a command that stored nothing has nothing to lose
            if driver.poll() is None and kill(plan[-1], driver, cluster, rng):
                killed[plan.pop()] += 1
        out, error = driver.communicate(timeout=LIMIT)
        assert driver.returncode in (0, -9), (out, error)
        if driver.returncode == 0:
            return killed


def progressed(project: Project, before: int) -> bool:
    try:
        return len(project.stored()) > before
    except FileNotFoundError:  # a bucket was compacted while it was read
        return True


def say(words: str) -> None:
    sys.stdout.write(f"\n{words}\n")


def at_work(cluster: Any, driver: subprocess.Popen[str], seconds: float) -> None:
    """Wait until tasks are being done, and so much longer; or until the command has ended."""
    deadline = time.monotonic() + LIMIT
    while not ray_case.workers(cluster, "train_instrument") and driver.poll() is None:
        assert time.monotonic() < deadline, "no work was begun"
        time.sleep(0.1)
    with contextlib.suppress(subprocess.TimeoutExpired):
        driver.wait(seconds)


def kill(what: str, driver: subprocess.Popen[str], cluster: Any, rng: random.Random) -> bool:
    """SIGKILL the command, a node with all that is on it, or a worker in its work; False where there is none."""
    if what == "driver":
        driver.kill()
        driver.wait()
        return True
    if what == "node":
        (node,) = cluster.worker_nodes
        ray_case.kill_node(cluster, node)
        return True
    found = ray_case.workers(cluster, "train_instrument")
    with contextlib.suppress(psutil.NoSuchProcess, IndexError):
        rng.choice(found).kill()
        return True
    return False


def finish(process: subprocess.Popen[str]) -> str:
    """Wait for a command that has to succeed; returns its last line."""
    out, error = process.communicate(timeout=LIMIT)
    assert process.returncode == 0, error
    return out.strip().splitlines()[-1]


def test_a_cluster_of_the_commands_own_keeps_to_itself_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = Path(tempfile.mkdtemp(prefix="r", dir="/tmp"))
    quiet = Project(tmp_path / "quiet")
    for verb in ("hydrate", "featurize"):
        quiet.must(verb)
    project = quiet.copy(tmp_path / "ray")
    quiet.must("train", "tracking.enabled=false")
    # A home that can't be written, a path with a space, and no other setting: a machine on which Ray was never used.
    (tmp_path / "none").touch()
    (tmp_path / "a folder").symlink_to(sys.prefix)
    monkeypatch.setenv("RAY_TMPDIR", str(short))
    monkeypatch.setenv("HOME", str(tmp_path / "none"))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "a folder" / Path(sys.executable).relative_to(sys.prefix)))
    command = project.start("train", "tracking.enabled=false", "engine=ray", "engine.workers=2")
    heard: set[str] = set()
    listener = threading.Thread(target=listen, args=(psutil.Process(command.pid), heard))
    listener.start()
    out, error = command.communicate(timeout=LIMIT)
    listener.join()
    assert command.returncode == 0, error
    assert len(out.strip().splitlines()) == 1, out
    assert "ray" not in error.lower(), error
    assert heard and heard <= set(_LOOPBACK), heard
    assert project.stable_grades().equals(quiet.stable_grades())
    assert not ray_case.remaining(short)
    assert not [path for path in short.rglob("session_*") if not path.is_symlink()]
    shutil.rmtree(short)


def listen(command: psutil.Process, heard: set[str]) -> None:
    """Gather the addresses on which a command and all below it listen, until it ends."""
    while command.is_running() and command.status() != psutil.STATUS_ZOMBIE:
        with contextlib.suppress(psutil.Error):
            for process in [command, *command.children(recursive=True)]:
                with contextlib.suppress(psutil.Error):
                    found = process.net_connections(kind="inet")
                    heard.update(each.laddr.ip for each in found if each.status == psutil.CONN_LISTEN)
        time.sleep(0.2)
