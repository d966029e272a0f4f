"""A session on a two-node cluster whose workers, driver and a node are killed: it ends as the undisturbed one does."""

from __future__ import annotations

import contextlib
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from tests import ray_case
from tests.pipeline_case import Project

pytestmark = [ray_case.on_posix, pytest.mark.timeout(2 * 3600)]

SIZE = ("universe.buckets=5", "source.simulated.stock=28", "source.simulated.etf=8", "source.simulated.crypto=4")
MODEL = ("model=lightgbm",)
KILLS = 12
LIMIT = 3600.0  # seconds for one command, on however busy a machine
_PAUSE = (4.0, 15.0)  # seconds between two kills


def test_a_session_on_ray_ends_as_undisturbed_whatever_is_killed(tmp_path: Path) -> None:
    rng = random.Random(5)
    quiet = Project(tmp_path / "quiet")
    for verb in ("hydrate", "featurize"):
        quiet.must(verb, *SIZE)
    disturbed = quiet.copy(tmp_path / "disturbed")
    finish(quiet.start("train", *SIZE, *MODEL))
    killed: dict[str, int] = {"worker": 0, "driver": 0, "node": 0}
    with ray_case.two_nodes() as cluster:
        overrides = (*SIZE, *MODEL, "engine=ray", f"engine.address={cluster.address}", "engine.workers=null")
        attempts, started = 1, time.monotonic()
        driver = disturbed.start("train", *overrides)
        plan = rng.choices(("worker", "driver"), (2, 1), k=KILLS - 1)
        plan.insert(KILLS // 2, "node")
        for what in plan:
            deadline = time.monotonic() + rng.uniform(*_PAUSE)
            while driver.poll() is None and time.monotonic() < deadline:
                time.sleep(0.1)
            if driver.poll() == 0:
                break
            if kill(what, driver, cluster, rng):
                killed[what] += 1
            if driver.poll() is not None:
                driver.communicate()
                driver, attempts = disturbed.start("train", *overrides), attempts + 1
        driver.communicate(timeout=LIMIT)
        attempts += driver.returncode != 0  # the last kill was of the driver
        line = finish(disturbed.start("train", *overrides))
        seconds = time.monotonic() - started
    sys.stdout.write(f"\n{line}\nkilled {killed}, {attempts} attempts, {seconds:.0f} s\n")
    assert killed["worker"] and killed["driver"] and killed["node"] == 1, killed
    assert disturbed.stable_grades().equals(quiet.stable_grades())
    assert disturbed.states("train").equals(quiet.states("train"))
    grades = disturbed.grades()
    assert grades["mlflow_run_id"].null_count() == 0
    assert grades["mlflow_run_id"].n_unique() == grades["record_id"].n_unique() == grades.height
    assert recorded(disturbed) == recorded(quiet)


def finish(process: subprocess.Popen[str]) -> str:
    """Wait for a command that has to succeed; returns its last line."""
    out, error = process.communicate(timeout=LIMIT)
    assert process.returncode == 0, error
    return out.strip().splitlines()[-1]


def test_a_cluster_of_the_commands_own_ends_with_it_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = Path(tempfile.mkdtemp(prefix="r", dir="/tmp"))
    quiet = Project(tmp_path / "quiet")
    for verb in ("hydrate", "featurize"):
        quiet.must(verb)
    project = quiet.copy(tmp_path / "ray")
    quiet.must("train", "tracking.enabled=false")
    # A home that can't be written, and the settings of a machine on which Ray was never used.
    for name, value in {**ray_case.SETTINGS, "RAY_TMPDIR": str(short), "HOME": str(tmp_path / "none")}.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "none").touch()
    done = project.run("train", "tracking.enabled=false", "engine=ray", "engine.workers=2")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.strip().splitlines()) == 1, done.stdout
    assert "Ray" not in done.stderr
    assert project.stable_grades().equals(quiet.stable_grades())
    assert not ray_case.remaining(short)
    assert not [path for path in short.glob("session_*") if not path.is_symlink()]
    shutil.rmtree(short)


def kill(what: str, driver: subprocess.Popen[str], cluster, rng: random.Random) -> bool:
    """SIGKILL; False where there was nothing of the kind to kill."""
    if what == "driver":
        driver.kill()
        driver.wait()
        return True
    if what == "node":
        (node,) = cluster.worker_nodes
        raylet = psutil.Process(node.all_processes["raylet"][0].process.pid)
        below = raylet.children(recursive=True)
        cluster.remove_node(node, allow_graceful=False)
        for process in below:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        return True
    found = [p for p in psutil.process_iter() if "ray::train_instrument" in " ".join(command(p))]
    if found:
        with contextlib.suppress(psutil.NoSuchProcess):
            rng.choice(found).kill()
    return bool(found)


def command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def recorded(project: Project) -> dict[str, int]:
    """How much MLflow holds of each kind: a run of each grade, models and versions of what passed."""
    import sqlite3

    queries = {
        "runs": "SELECT count(*) FROM runs WHERE lifecycle_stage = 'active' AND status = 'FINISHED'",
        "models": "SELECT count(*) FROM logged_models WHERE lifecycle_stage = 'active'",
        "versions": "SELECT count(*) FROM model_versions",
    }
    with contextlib.closing(sqlite3.connect(project.database)) as database:
        return {name: database.execute(query).fetchone()[0] for name, query in queries.items()}
