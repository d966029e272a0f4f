"""The image and its services: what they name exists, nothing private gets in, and where Docker runs they run."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from fnmatch import fnmatch
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from src.core.project import ROOT
from src.core.unknown_verb import verbs
from src.tracking.server import PORT
from src.tracking.server_auth import VARIABLE
from src.ui import parse
from tests.process_case import run

FOLDERS = {"/app/data", "/app/mlruns", "/app/reports", "/app/logs"}


def instructions() -> list[tuple[str, str]]:
    """Instructions of the Dockerfile with their arguments, lines joined."""
    text = re.sub(r"(?m)^#.*\n", "", (ROOT / "Dockerfile").read_text(encoding="utf-8")).replace("\\\n", " ")
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in text.splitlines() if line)]


def of(name: str) -> list[str]:
    return [rest for word, rest in instructions() if word == name]


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))["services"]
    return found


@pytest.fixture(scope="module")
def launcher() -> ModuleType:
    spec = importlib.util.spec_from_file_location("launch", ROOT / "scripts" / "launch.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def kept(path: str) -> bool:
    """Whether .dockerignore lets a file into the image: the last line that fits decides, as Docker reads it."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    parents = [path, *map(str, Path(path).parents)]
    ignored = False
    for line in (line for line in lines if line and not line.startswith("#")):
        pattern = line.lstrip("!")
        if any(fnmatch(each, pattern) or fnmatch(f"/{each}", pattern.replace("**", "*")) for each in parents):
            ignored = not line.startswith("!")
    return not ignored


def test_the_image_gets_what_a_command_reads_and_nothing_private() -> None:
    for path in ("src/train.py", "conf/model/all.yaml", "scripts/launch.py", "params.yaml", ".dvc/config", "dvc.yaml"):
        assert kept(path) and (ROOT / path).is_file(), path
    private = (".env", ".git/config", "data/bars/demo/manifest.json", "mlruns/auth/password", "mlruns/mlflow.db")
    for path in (*private, ".venv/bin/python", "tests/test_docs.py", "src/__pycache__/x.pyc", ".dvc/config.local"):
        assert not kept(path), path
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    named = [line[1:] for line in lines if line.startswith("!")]
    assert [path for path in named if path != "notebooks" and not (ROOT / path).exists()] == []


def test_the_image_is_slim_locked_and_run_by_a_user_without_rights(launcher: ModuleType) -> None:
    preferred = ".".join(map(str, launcher.VERSIONS[0]))
    assert {line.split()[0] for line in of("FROM")} == {f"python:{preferred}-slim"}
    installs = [part for rest in of("RUN") for part in rest.split("&&") if re.search(r"pip install", part)]
    assert len(installs) == 3
    for part in installs:
        assert "--require-hashes" in part or {"--no-deps", "--no-build-isolation"} <= {*part.split()}
    assert all(launcher.lock_entry(name) for name in ("uv", "setuptools"))
    order = [word for word, _ in instructions()]
    assert of("USER") == ["alpha"] and order.index("USER") < order.index("ENTRYPOINT")
    assert set(yaml.safe_load(of("VOLUME")[0])) == FOLDERS
    assert yaml.safe_load(of("ENTRYPOINT")[0]) == ["alpha"]
    sources = [word for rest in of("COPY") for word in rest.split()[:-1] if "--from" not in rest]
    assert [word for word in sources if not (ROOT / word).exists()] == []


def test_the_services_run_commands_that_exist(services: dict[str, Any], launcher: ModuleType) -> None:
    assert set(services) == {"demo", "alpha", "ui"}
    program, script = services["demo"]["entrypoint"]
    assert program == "python" and (ROOT / script).is_file()
    assert [hasattr(launcher, verb) for verb in services["demo"]["command"]] == [True]
    verb, *arguments = services["ui"]["command"]
    assert verb in verbs()
    request = parse(arguments)
    assert (request.host, request.port) == ("0.0.0.0", PORT)
    for service in services.values():
        assert {mount.partition(":")[2] for mount in service["volumes"]} == FOLDERS
        assert service["cap_drop"] == ["ALL"] and service["init"] is True


def test_the_pages_are_open_to_this_machine_alone_and_ask_for_a_password(services: dict[str, Any]) -> None:
    ui = services["ui"]
    assert ui["ports"] == [f"127.0.0.1:{PORT}:{PORT}"]
    assert ui["environment"] == {VARIABLE: f"${{{VARIABLE}:-}}"}
    assert f"http://127.0.0.1:{PORT}/health" in ui["healthcheck"]["test"][-1]
    compile(ui["healthcheck"]["test"][-1], "healthcheck", "exec")
    for name in ("demo", "alpha"):
        assert "ports" not in services[name] and "environment" not in services[name]


def docker(*words: str) -> subprocess.CompletedProcess[str]:
    done: subprocess.CompletedProcess[str] = run(
        ["docker", *words], cwd=ROOT, check=False, capture_output=True, text=True, encoding="utf-8"
    )
    return done


@pytest.mark.skipif(shutil.which("docker") is None, reason="no Docker is installed")
def test_the_image_is_built_and_runs_a_command() -> None:
    if docker("info").returncode:
        pytest.skip("no Docker engine answers")
    assert docker("build", "--quiet", "--tag", "alpha-loop-test", ".").returncode == 0
    listed = docker("run", "--rm", "--network", "none", "alpha-loop-test", "--help")
    assert listed.returncode == 0 and "\n  train " in listed.stdout
    small = [f"source.simulated.{name}" for name in ("stock=1", "etf=0", "crypto=0")]
    made = docker("run", "--rm", "--network", "none", "alpha-loop-test", "hydrate", *small)
    assert made.returncode == 0 and "hydrate: 1 instrument" in made.stdout, made.stderr
    user = docker("run", "--rm", "--entrypoint", "id", "alpha-loop-test", "-un")
    assert user.stdout.strip() == "alpha"


@pytest.mark.skipif(shutil.which("docker") is None, reason="no Docker is installed")
def test_compose_reads_the_services() -> None:
    if docker("compose", "version").returncode:
        pytest.skip("this Docker has no compose")
    done = docker("compose", "--profile", "demo", "--profile", "alpha", "config", "--quiet")
    assert done.returncode == 0, done.stderr
