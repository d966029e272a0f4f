"""The launcher behind make and double clicks: it finds a Python, makes the environment once, and passes statuses on."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import platform
import re
import shutil
import stat
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from src.core.project import ROOT
from src.runtime import heartbeat
from tests.process_case import HANG, begin, run

SCRIPTS = ROOT / "scripts"


@pytest.fixture
def launch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The launcher, its project moved to a temporary folder with a lock of two packages."""
    spec = importlib.util.spec_from_file_location("launch", SCRIPTS / "launch.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    venv = tmp_path / ".venv"
    names = {"ROOT": tmp_path, "VENV": venv, "BIN": venv / "bin", "PYTHON": venv / "bin" / "python"}
    names |= {"LOCK": tmp_path / "requirements.lock", "STAMP": venv / "installed.txt"}
    for name, value in names.items():
        monkeypatch.setattr(module, name, value)
    (tmp_path / "requirements.lock").write_text(
        "six==1 \\\n    --hash=sha256:aa\nuv==0.9 ; python_version < '3.14' \\\n    --hash=sha256:bb \\\n"
        "    --hash=sha256:cc\nuvicorn==1 \\\n    --hash=sha256:dd\n",
        encoding="utf-8",
    )
    (tmp_path / "pyproject.toml").write_text("[project]\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PYTHON", raising=False)
    return module


@pytest.fixture
def steps(launch: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the launcher installs, written down instead of done."""
    done: list[str] = []

    def make_venv(_python: str) -> None:
        done.append("venv")
        launch.PYTHON.parent.mkdir(parents=True, exist_ok=True)
        launch.PYTHON.touch()

    monkeypatch.setattr(launch, "find_python", lambda: "python3.12")
    monkeypatch.setattr(launch, "make_venv", make_venv)
    monkeypatch.setattr(launch, "install_lock", lambda: done.append("lock"))
    monkeypatch.setattr(launch, "install_project", lambda: done.append("project"))
    monkeypatch.setattr(launch, "probe", lambda command: ((3, 12), command[0]))
    return done


def test_the_first_start_installs_everything_and_the_second_nothing(launch: ModuleType, steps: list[str]) -> None:
    assert launch.main(["setup"]) == 0
    assert steps == ["venv", "lock", "project"]
    assert launch.main(["setup"]) == 0
    assert steps == ["venv", "lock", "project"]


def test_a_changed_lock_is_installed_again_and_a_changed_project_alone(launch: ModuleType, steps: list[str]) -> None:
    launch.prepare()
    steps.clear()
    launch.LOCK.write_text("six==2\n", encoding="utf-8")
    launch.prepare()
    assert steps == ["lock", "project"]
    steps.clear()
    (launch.ROOT / "pyproject.toml").write_text("[project]\nname = 'x'\n", encoding="utf-8")
    launch.prepare()
    assert steps == ["project"]


def test_an_interrupted_installation_is_continued(
    launch: ModuleType, steps: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    whole = launch.install_lock
    monkeypatch.setattr(launch, "install_lock", interrupted)
    assert launch.main(["setup"]) == 130
    monkeypatch.setattr(launch, "install_lock", whole)
    steps.clear()
    assert launch.main(["setup"]) == 0
    assert steps == ["lock", "project"]


def test_a_moved_or_broken_environment_is_replaced(
    launch: ModuleType, steps: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    launch.prepare()
    steps.clear()
    lines = launch.STAMP.read_text(encoding="utf-8").splitlines()
    launch.STAMP.write_text("\n".join([*lines[:2], "/somewhere/else"]) + "\n", encoding="utf-8")
    launch.prepare()
    assert steps == ["venv", "lock", "project"]
    steps.clear()
    monkeypatch.setattr(launch, "probe", lambda _command: None)
    launch.prepare()
    assert steps == ["venv", "lock", "project"]


def test_the_preferred_python_is_used_and_others_if_it_is_absent(
    launch: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = {"python3": ((3, 12), "/a/python3.12"), "python3.11": ((3, 11), "/b/python3.11")}
    monkeypatch.setattr(launch, "candidates", lambda: [["python3.11"], ["python3"], ["python"]])
    monkeypatch.setattr(launch, "probe", lambda command: here.get(command[0]))
    assert launch.find_python() == "/a/python3.12"
    del here["python3"]
    assert launch.find_python() == "/b/python3.11"


def test_a_python_that_the_user_names_is_used_or_refused(launch: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHON", "/mine/python3.11")
    monkeypatch.setattr(launch, "probe", lambda command: ((3, 11), command[0]))
    assert launch.find_python() == "/mine/python3.11"
    monkeypatch.setattr(launch, "probe", lambda _command: None)
    with pytest.raises(launch.LaunchError, match="PYTHON=/mine/python3.11 does not start a Python 3.11 to 3.13"):
        launch.find_python()


def test_without_a_python_the_message_says_where_to_get_one(
    launch: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(launch, "candidates", lambda: [["python3"]])
    monkeypatch.setattr(launch, "probe", lambda _command: ((3, 9), "/usr/bin/python3"))
    assert launch.main(["demo"]) == 1
    assert capsys.readouterr().err.startswith("no Python 3.12 found (3.11 and 3.13 also work). Install it")


@pytest.mark.skipif(os.name == "nt", reason="writes POSIX scripts")
def test_a_shim_without_a_python_is_ignored(launch: ModuleType, tmp_path: Path) -> None:
    shim = tmp_path / "python3.13"
    shim.write_text("#!/bin/sh\necho 'pyenv: python3.13: command not found' >&2\nexit 127\n", encoding="utf-8")
    shim.chmod(0o755)
    assert launch.probe([str(shim)]) is None
    talking = tmp_path / "python"
    talking.write_text("#!/bin/sh\necho 'Python was not found; run without arguments to install'\n", encoding="utf-8")
    talking.chmod(0o755)
    assert launch.probe([str(talking)]) is None
    assert launch.probe([str(tmp_path / "absent")]) is None
    version, path = launch.probe([sys.executable])
    assert (version, Path(path)) == (sys.version_info[:2], Path(sys.executable))


def test_the_lock_entry_of_a_package_has_all_its_hashes(launch: ModuleType) -> None:
    assert launch.lock_entry("uv") == (
        "uv==0.9 ; python_version < '3.14' \\\n    --hash=sha256:bb \\\n    --hash=sha256:cc\n"
    )
    with pytest.raises(launch.LaunchError, match="requirements.lock has no entry for numpy"):
        launch.lock_entry("numpy")


def test_pip_takes_over_if_uv_fails(
    launch: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[list[str]] = []
    monkeypatch.setattr(launch, "with_uv", lambda _arguments: False)
    monkeypatch.setattr(launch, "pip", lambda arguments: asked.append(arguments) or 0)
    launch.install_lock()
    assert asked == [["install", "--quiet", "--require-hashes", "-r", str(launch.LOCK)]]
    assert "continuing with pip" in capsys.readouterr().err
    monkeypatch.setattr(launch, "pip", lambda _arguments: 1)
    with pytest.raises(launch.LaunchError, match="the packages could not be installed"):
        launch.install_lock()


def test_commands_find_the_environments_programs_first(launch: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONHOME", "/elsewhere")
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    environment = launch.environment()
    assert environment["PATH"].split(os.pathsep)[0] == str(launch.BIN)
    assert not {"PYTHONHOME", "PYTHONDONTWRITEBYTECODE"} & environment.keys()
    assert environment["PYTHONUTF8"] == "1"


def test_the_launcher_returns_the_status_of_the_command(launch: ModuleType, steps: list[str]) -> None:
    program = [sys.executable, "-c", "raise SystemExit(3)"]
    assert launch.main(["run", *program]) == 3
    assert launch.main(["run"]) == 1
    assert launch.main(["dance"]) == 2
    assert launch.main([]) == 2


def test_lint_runs_beside_the_tests_and_both_statuses_count(
    launch: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    statuses: dict[str, int] = {}
    called: list[str] = []

    def call(*command: str) -> int:
        name = "pytest" if "pytest" in command else command[0]
        called.append("collect" if "--collect-only" in command else name)
        return statuses.get(name, 0)

    monkeypatch.setattr(launch, "call", call)
    monkeypatch.setattr(launch, "call_quietly", call)
    assert launch.test([]) == 0
    assert [name for name in called if name not in ("collect", "pytest")] == ["ruff", "ruff", "mypy", "lint-imports"]
    assert [name for name in called if name in ("collect", "pytest")] == ["collect", "pytest"]
    (launch.ROOT / "tests" / "__pycache__").mkdir(parents=True)  # from here on, modules are compiled
    statuses["mypy"] = 1
    assert launch.test([]) == 1
    assert called.count("pytest") == 2
    statuses.update(mypy=0, pytest=5)
    assert launch.test([]) == 5
    assert called.count("collect") == 1


def test_a_check_is_shown_only_where_it_fails(launch: ModuleType, capfd: pytest.CaptureFixture[str]) -> None:
    command = [sys.executable, "-c", "import sys; print('seen'); sys.exit(int(sys.argv[1]))"]
    assert launch.call_quietly(*command, "0") == 0
    assert capfd.readouterr() == ("", "")
    assert launch.call_quietly(*command, "3") == 3
    assert "failed:\nseen" in capfd.readouterr().err


def test_a_missing_git_history_is_configured_in_dvc_once(launch: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    (launch.ROOT / ".dvc").mkdir()
    local = launch.ROOT / ".dvc" / "config.local"
    launch.configure_dvc_scm()
    launch.configure_dvc_scm()
    assert local.read_text(encoding="utf-8") == "[core]\n    no_scm = true\n"
    called: list[tuple[str, ...]] = []
    monkeypatch.setattr(launch, "call", lambda *command: called.append(command) or 0)
    (launch.ROOT / ".git").mkdir()
    launch.configure_dvc_scm()
    assert called == [("dvc", "config", "--local", "--unset", "core.no_scm")]


def test_the_launcher_can_be_started_by_an_old_python() -> None:
    ast.parse((SCRIPTS / "launch.py").read_text(encoding="utf-8"), feature_version=(3, 8))


@pytest.fixture
def typed(launch: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The commands that the launcher would run."""
    called: list[str] = []
    monkeypatch.setattr(launch, "prepare", lambda: None)
    monkeypatch.setattr(launch, "call", lambda *command: called.append(" ".join(command)) or 0)
    return called


def test_the_live_scripts_are_thin_calls_of_the_verbs(launch: ModuleType, typed: list[str]) -> None:
    assert launch.main(["hydrate_quick"]) == 0
    launch.main(["hydrate_full_universe", "source.live.workers=2"])
    launch.main(["status", "--watch"])
    assert typed == [
        "python -m src.hydrate universe=quick source=auto",
        "python -m src.hydrate universe=full source=auto source.live.workers=2",
        "python -m src.status --watch",
    ]


def test_the_notebooks_open_with_settings_that_jupyterlab_knows(launch: ModuleType, typed: list[str]) -> None:
    assert launch.main(["notebook", "--no-browser"]) == 0
    program, *words = typed.pop().split()
    assert (program, words[0], words[-2:]) == ("jupyter", "lab", ["--no-browser", "notebooks"])
    from jupyterlab.labapp import LabApp

    app = LabApp()
    app.parse_command_line(words[1:-2])
    app.update_config(app.cli_config)
    assert (app.news_url, app.extension_manager) == (None, "readonly")
    assert app.check_for_updates_class.__name__ == "NeverCheckForUpdate"


def test_the_site_of_the_pages_is_built_strictly_and_named(
    launch: ModuleType, typed: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert launch.main(["docs"]) == 0
    assert typed == ["mkdocs build --strict"]
    assert capsys.readouterr().err == f"docs: {launch.ROOT / 'site' / 'index.html'}\n"


END = "model=all follow=true"


def manifest(launch: ModuleType, name: str, written: float) -> None:
    path = launch.ROOT / "data" / "bars" / name / "manifest.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{}", encoding="utf-8")
    os.utime(path, (written, written))


def test_train_massive_takes_the_universe_hydrated_last_and_says_so(
    launch: ModuleType, typed: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    for universe, reason in (("full", "because none"), ("quick", "the only one"), ("full", "which was hydrated last")):
        if reason != "because none":
            manifest(launch, universe, 1000.0 if universe == "quick" else 2000.0)
        launch.main(["train_massive", "fresh=true"])
        assert typed.pop() == f"python -m src.train universe={universe} {END} fresh=true"
        message = capsys.readouterr().err
        assert message.count("\n") == 1
        assert message.startswith(f"train_massive: universe={universe}, {reason}")
        assert message.endswith(f"add universe={'quick' if universe == 'full' else 'full'}\n")
    manifest(launch, "quick", 3000.0)
    launch.main(["train_massive"])
    assert typed.pop() == f"python -m src.train universe=quick {END}"


@pytest.mark.parametrize(
    "statuses, status",
    [({}, 0), ({"src.monitor": 1}, 0), ({"src.monitor": 2}, 2), ({"src.predict": 1}, 1), ({"repro": 1}, 1)],
)
def test_the_demo_ends_with_a_report_that_knows_the_champions_and_a_flag_of_the_monitor_is_no_failure(
    launch: ModuleType, monkeypatch: pytest.MonkeyPatch, statuses: dict[str, int], status: int
) -> None:
    called: list[str] = []

    def call(*command: str) -> int:
        called.append(command[-1])
        return statuses.get(command[-1], 0)

    monkeypatch.setattr(launch, "call", call)
    monkeypatch.setattr(launch, "configure_dvc_scm", lambda: None)
    assert launch.demo([]) == status
    steps = ["repro", "src.promote", "src.predict", "src.monitor", "src.report", "report"]
    failed = [step for step in steps if statuses.get(step) and (step, statuses[step]) != ("src.monitor", 1)]
    assert called == steps[: steps.index(failed[0]) + 1 if failed else len(steps)]


def test_a_universe_that_is_typed_is_trained(
    launch: ModuleType, typed: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    manifest(launch, "quick", 1000.0)
    launch.main(["train_massive", "universe=demo"])
    assert typed.pop() == f"python -m src.train {END} universe=demo"
    assert capsys.readouterr().err == ""


def test_train_massive_takes_the_universe_that_is_being_hydrated(
    launch: ModuleType, typed: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DVC_ROOT", str(launch.ROOT))
    manifest(launch, "full", 2000.0)
    with heartbeat.beating("hydrate", "quick", launch.ROOT / "data", "python -m src.hydrate universe=quick") as beat:
        launch.main(["train_massive"])
        assert typed.pop() == f"python -m src.train universe=quick {END}"
        assert "universe=quick, which is being hydrated now; " in capsys.readouterr().err
        beat.update(ended="interrupted", message="interrupted")
    launch.main(["train_massive"])
    assert typed.pop() == f"python -m src.train universe=full {END}"


def test_a_killed_hydration_is_not_running(launch: ModuleType, typed: list[str]) -> None:
    ended = begin([sys.executable, "-c", ""])
    ended.wait(HANG)
    beat = {"dataset": "quick", "started": "2026-11-20T10:00:00", "pid": ended.pid, "host": platform.node()}
    path = launch.ROOT / "data" / ".progress" / f"hydrate-quick-{ended.pid}.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(beat), encoding="utf-8")
    path.with_name("hydrate-quick-1.json").write_text("{half", encoding="utf-8")
    launch.main(["train_massive"])
    assert typed.pop() == f"python -m src.train universe=full {END}"
    path.write_text(json.dumps(beat | {"pid": os.getpid()}), encoding="utf-8")
    launch.main(["train_massive"])
    assert typed.pop() == f"python -m src.train universe=quick {END}"


def test_the_day_gets_private_addresses_from_a_file_that_git_ignores(
    launch: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[tuple[str, ...]] = []
    monkeypatch.setattr(launch, "prepare", lambda: None)
    monkeypatch.setattr(launch, "call", lambda *command: given.append(command) or 0)
    monkeypatch.setenv("ALPHA_LOOP_HEARTBEAT_URL", "https://typed")
    monkeypatch.delenv("ALPHA_LOOP_NOTIFY", raising=False)
    lines = "# mine\nexport ALPHA_LOOP_NOTIFY='json://a b'\r\nALPHA_LOOP_HEARTBEAT_URL=https://filed\nPATH=/x\n"
    (launch.ROOT / ".env").write_text(lines, encoding="utf-8")
    monkeypatch.setattr(launch.os, "environ", dict(os.environ))
    assert launch.main(["daily", "refit=monthly"]) == 0
    assert launch.main(["ingest", "research=edgar"]) == 0
    assert given.pop() == ("python", "-m", "src.ingest", "universe=quick", "source=auto", "research=edgar")
    assert given == [("python", "-m", "src.daily", "universe=quick", "source=auto", "refit=monthly")]
    assert launch.os.environ["ALPHA_LOOP_NOTIFY"] == "json://a b"
    assert launch.os.environ["ALPHA_LOOP_HEARTBEAT_URL"] == "https://typed"
    assert launch.os.environ["PATH"] != "/x"


def test_every_double_click_has_a_shell_twin_and_both_call_the_one_launcher() -> None:
    clicks = {path.stem.lower() for path in SCRIPTS.glob("*.bat")}
    live = {"hydrate_quick", "hydrate_full_universe", "ingest", "train_massive", "daily", "status"}
    others = {"demo", "test", "ui", "notebook", "launch"}
    assert clicks == {path.stem.lower() for path in SCRIPTS.glob("*.sh")} == others | live
    for verb in clicks - {"launch"}:
        click = (SCRIPTS / f"{verb.upper()}.bat").read_bytes()
        assert click == f'@echo off\r\ncall "%~dp0launch.bat" {verb} %*\r\nexit /b %ERRORLEVEL%\r\n'.encode()
        assert f'launch.sh" {verb} "$@"' in (SCRIPTS / f"{verb}.sh").read_text(encoding="utf-8")


def test_a_double_click_pauses_at_every_end_and_keeps_the_status() -> None:
    raw = (SCRIPTS / "launch.bat").read_bytes()
    assert raw.count(b"\r\n") == raw.count(b"\n")
    lines = raw.decode("ascii").splitlines()
    ends = [number for number, line in enumerate(lines) if line.strip().startswith("exit /b")]
    assert len(ends) == 2
    assert all("pause" in lines[number - 1] for number in ends)
    assert lines[-1] == "exit /b %STATUS%"


@pytest.mark.skipif(os.name == "nt", reason="permission bits of POSIX")
def test_shell_scripts_can_be_executed() -> None:
    for path in (*SCRIPTS.glob("*.sh"), ROOT / ".ci" / "run"):
        assert path.stat().st_mode & stat.S_IXUSR, path
        assert b"\r" not in path.read_bytes(), path


def test_every_make_target_is_a_verb_of_the_launcher(launch: ModuleType) -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    used = set(re.findall(r"\$\(LAUNCH\) (\w+)", text))
    live = {"hydrate_quick", "hydrate_full_universe", "ingest", "train_massive", "daily", "status"}
    others = {"demo", "test", "bench", "soak", "lint", "ui", "doctor", "setup", "run", "clean", "notebook", "docs"}
    assert used == live | others
    source = (SCRIPTS / "launch.py").read_text(encoding="utf-8")
    assert all(f'"{verb}"' in source for verb in used)


def lock() -> dict[str, list[Requirement]]:
    requirements: dict[str, list[Requirement]] = {}
    for line in (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines():
        if re.match(r"[A-Za-z0-9]", line):
            requirement = Requirement(line.rstrip(" \\"))
            requirements.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    return requirements


def test_the_lock_names_no_host_and_a_hash_for_every_package() -> None:
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert "://" not in text
    blocks = re.split(r"(?m)^(?=[A-Za-z0-9])", text)[1:]
    assert len(blocks) > 100
    assert [block.split()[0] for block in blocks if "--hash=sha256:" not in block] == []


def test_the_lock_holds_every_dependency_of_the_project_at_a_version_it_allows() -> None:
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [text for texts in project["optional-dependencies"].values() for text in texts]
    wanted = [text for text in [*project["dependencies"], *extras] if not text.startswith(project["name"])]
    locked = lock()
    for text in wanted:
        need = Requirement(text)
        pins = locked.get(canonicalize_name(need.name), [])
        assert pins, f"{need.name} is not in requirements.lock: make lock"
        versions = [next(iter(pin.specifier)).version for pin in pins]
        assert all(need.specifier.contains(version, prereleases=True) for version in versions), text


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        ("deom", "did you mean make demo?"),
        ("hydrate-quik", "did you mean make hydrate-quick?"),
        ("hydrate_full", "did you mean make hydrate-full?"),
        ("tests", "did you mean make test?"),
        ("train", "type python -m src.train, in the environment of .venv"),
        ("xyzzy", "usage: python scripts/launch.py setup | demo"),
    ],
)
def test_a_misspelt_target_is_answered_with_the_nearest(typed: str, answer: str) -> None:
    launcher = [sys.executable, str(ROOT / "scripts" / "launch.py"), typed]
    done = run(launcher, check=False, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 2 and answer in done.stderr


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
@pytest.mark.parametrize("target", ["deom", "tests", "data"])
def test_make_answers_also_where_a_folder_has_the_name(target: str) -> None:
    done = run(["make", target], cwd=ROOT, check=False, capture_output=True, text=True, encoding="utf-8")
    assert done.returncode == 2 and f"there is no command {target}: " in done.stderr


def test_settings_after_a_target_of_make_reach_the_command(launch: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAKELEVEL", "1")
    monkeypatch.setenv("MAKEFLAGS", r"s -- universe=full data.root=/mnt/my\ bars PYTHON=python3")
    assert launch.make_settings() == ["universe=full", "data.root=/mnt/my bars"]
    assert launch.make_settings() == []
