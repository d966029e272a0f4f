"""One launcher for make, double clicks and shells: finds Python, makes .venv from the lock, runs what was asked.

    python scripts/launch.py setup | demo | hydrate_quick | hydrate_full_universe | train_massive | status | ui | doctor
    python scripts/launch.py test | bench | soak | lint | clean | run <command ...>

Needs nothing but Python's own library; any Python from 3.8 on may start it, and it looks for a 3.11 to 3.13 itself.
"""

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
LOCK = ROOT / "requirements.lock"
LIVE = ("source=auto",)  # bars and listings from their providers; a source typed behind it wins
UNIVERSES = ("quick", "full")  # that train_massive chooses among
STAMP = VENV / "installed.txt"
VERSIONS = ((3, 12), (3, 13), (3, 11))  # in order of preference
PROBE = "import sys, venv, ensurepip, ssl, sqlite3; print('%d.%d' % sys.version_info[:2], sys.executable)"
# Files of tests go to processes of their own, in the order of tests/conftest.py; three, since some of them mostly wait.
SPREAD = ("-n", "3", "--dist", "loadfile", "--no-loadscope-reorder")
QUIET = ("--failures-only", "-o", "console_output_style=classic")
LINT = (
    ("ruff", "check", "."),
    ("ruff", "format", "--check", "."),
    ("mypy",),
    ("lint-imports",),
)


class Problem(Exception):
    """What went wrong, in words for the person who double-clicked."""


def main(arguments: list) -> int:
    """Run one verb; return its exit status."""
    verbs = {"setup": lambda _rest: 0, "demo": demo, "test": test, "bench": bench, "lint": lint, "run": run}
    verbs["soak"] = soak
    verbs.update({verb: module(verb) for verb in ("ui", "doctor", "clean", "status")})
    verbs["hydrate_quick"] = module("hydrate", "universe=quick", *LIVE)
    verbs["hydrate_full_universe"] = module("hydrate", "universe=full", *LIVE)
    verbs["train_massive"] = massive
    if not arguments or arguments[0] not in verbs:
        say(f"usage: python scripts/launch.py {' | '.join(verbs)}")
        return 2
    os.chdir(str(ROOT))
    try:
        prepare()
        return verbs[arguments[0]](arguments[1:])
    except Problem as problem:
        say(str(problem))
        return 1
    except KeyboardInterrupt:
        return 130


def say(words: str) -> None:
    """One line for the person at the terminal."""
    sys.stderr.write(words + "\n")
    sys.stderr.flush()


# --- what each verb does -------------------------------------------------------------------------------------------


def demo(rest: list) -> int:
    """The whole pipeline on the universe that params.yaml names."""
    agree_with_git()
    status = call("dvc", "repro", *rest)
    if status == 0:
        pages = sorted((ROOT / "reports").glob("*/index.html"), key=lambda page: page.stat().st_mtime)
        say(f"the report: {pages[-1] if pages else 'none was written'}\nthe runs and models: make ui (scripts/UI.bat)")
    return status


def test(rest: list) -> int:
    """Lint and types, then the tests; the tests run even where lint complains, and their summary comes last."""
    linted = lint([], quiet=True)
    return call("python", "-m", "pytest", *SPREAD, *QUIET, *rest) or linted


def bench(rest: list) -> int:
    """The benchmarks, which measure and do not pass or fail on time."""
    return call("python", "-m", "pytest", "tests/benchmarks", "-o", "python_files=bench_*.py", "-s", *rest)


def soak(rest: list) -> int:
    """The longest tests, at full size."""
    return call("python", "-m", "pytest", "tests/soak", "-s", *rest)


def lint(_rest: list, quiet: bool = False) -> int:
    """Style, formatting, types and the direction of imports; where `quiet`, only what fails is shown."""
    return max([(call_quietly if quiet else call)(*each) for each in LINT])


def run(rest: list) -> int:
    """Any command inside the environment."""
    if not rest:
        raise Problem("say which command to run: python scripts/launch.py run dvc repro")
    return call(*rest)


def module(verb: str, *chosen: str):
    """A verb that is a module of src, with choices that what is typed behind them overrides."""
    return lambda rest: call("python", "-m", f"src.{verb}", *chosen, *rest)


def massive(rest: list) -> int:
    """Train all that is hydrated, and what a hydration adds meanwhile, of the universe that is being hydrated."""
    chosen = []
    if not any(word.startswith("universe=") for word in rest):
        universe, why = hydrated()
        other = "full" if universe == "quick" else "quick"
        say(f"train_massive: universe={universe}, {why}; to choose otherwise, type universe={other} behind it")
        chosen = [f"universe={universe}"]
    return module("train", *chosen, *LIVE, "model=all", "follow=true")(rest)


def hydrated() -> tuple:
    """The universe whose hydration runs now, else the one hydrated last, else the full one; and why it is this one."""
    data = ROOT / "data"
    running = [
        (beat["started"], name)
        for name in UNIVERSES
        for path in (data / ".progress").glob(f"hydrate-{name}-*.json")
        for beat in [read(path)]
        if beat.get("dataset") == name and "started" in beat and works(beat)
    ]
    if running:
        return max(running)[1], "which is being hydrated now"
    manifests = [data / "bars" / name / "manifest.json" for name in UNIVERSES]
    last = [(path.stat().st_mtime, path.parent.name) for path in manifests if path.exists()]
    if last:
        return max(last)[1], "the one hydrated last" if len(last) > 1 else "the one that is hydrated"
    return "full", "as none is hydrated yet"


def read(path: Path) -> dict:
    """A small JSON file; empty where it went away or is damaged."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def works(beat: dict) -> bool:
    """Whether the command that keeps this file still runs, as far as this machine can tell."""
    if beat.get("ended") is not None:
        return False
    if beat.get("host") != platform.node():
        return True
    if os.name == "nt":
        return works_on_windows(int(beat["pid"]))
    try:
        os.kill(int(beat["pid"]), 0)
    except OSError as error:
        return isinstance(error, PermissionError)  # it exists, and belongs to somebody else
    return True


def works_on_windows(pid: int) -> bool:
    """Whether a process still runs; there, os.kill would end it."""
    import ctypes

    windows = ctypes.windll.kernel32  # type: ignore[attr-defined, unused-ignore]
    handle = windows.OpenProcess(0x00100000, False, pid)  # SYNCHRONIZE
    if not handle:
        return False
    going = windows.WaitForSingleObject(handle, 0) == 0x102  # WAIT_TIMEOUT: it has not ended
    windows.CloseHandle(handle)
    return going


def call(*command: str) -> int:
    """Run a command with the environment's programs first on the PATH; a Ctrl+C is left to the command."""
    program = shutil.which(command[0], path=str(BIN)) or command[0]
    process = subprocess.Popen([program, *command[1:]], env=environment(), cwd=str(ROOT))
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue  # the command got it as well and ends in its own time


def call_quietly(*command: str) -> int:
    """Run a command with the environment's programs and show its output only where it fails."""
    program = shutil.which(command[0], path=str(BIN)) or command[0]
    done = subprocess.run(
        [program, *command[1:]], check=False, env=environment(), cwd=str(ROOT),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    if done.returncode:
        say(f"{' '.join(command)} failed:\n{done.stdout.decode('utf-8', 'replace').rstrip()}")
    return done.returncode


def environment() -> dict:
    """The environment of every command: .venv first, UTF-8 throughout, no telemetry."""
    ours = {key: value for key, value in os.environ.items() if key not in ("PYTHONHOME", "PYTHONPATH")}
    ours["PATH"] = str(BIN) + os.pathsep + ours.get("PATH", "")
    ours.update(VIRTUAL_ENV=str(VENV), PYTHONUTF8="1", DVC_NO_ANALYTICS="1", DO_NOT_TRACK="true")
    return ours


def agree_with_git() -> None:
    """Tell DVC whether there is a git history: an unpacked archive has none."""
    local = ROOT / ".dvc" / "config.local"
    text = local.read_text(encoding="utf-8") if local.exists() else ""
    says, is_so = "no_scm" in text, not (ROOT / ".git").exists()
    if is_so and not says:
        local.write_text(text + "[core]\n    no_scm = true\n", encoding="utf-8")
    elif says and not is_so:
        call("dvc", "config", "--local", "--unset", "core.no_scm")


# --- the environment -----------------------------------------------------------------------------------------------


def prepare() -> None:
    """Make .venv agree with the lock and the project; a second time this only compares a stamp."""
    if working() and STAMP.exists() and STAMP.read_text(encoding="utf-8") == wanted():
        return
    installed = STAMP.read_text(encoding="utf-8").splitlines() if STAMP.exists() else []
    moved = installed[2:3] not in ([], [str(ROOT)])  # a .venv names its own path inside
    if moved or not working():
        make_venv(find_python())
        installed = []
    if installed[:1] != wanted().splitlines()[:1]:
        install_lock()
    install_project()
    STAMP.write_text(wanted(), encoding="utf-8")


def wanted() -> str:
    """What a complete environment was made from: the lock, the project file and where both are."""
    lock, project = (hashlib.sha256(path.read_bytes()).hexdigest() for path in (LOCK, ROOT / "pyproject.toml"))
    return f"{lock}\n{project}\n{ROOT}\n"


def working() -> bool:
    """Whether .venv holds a Python of a version that the project supports and that still starts."""
    found = probe([str(PYTHON)]) if PYTHON.exists() else None
    return found is not None and found[0] in VERSIONS


def find_python() -> str:
    """Path of the best Python on this machine.

    Each candidate is started: shims of version managers and Windows' Store alias exist without a Python behind them.
    """
    chosen = os.environ.get("PYTHON")
    best = {}
    for command in [[chosen]] if chosen else candidates():
        found = probe(command)
        if found and found[0] in VERSIONS:
            best.setdefault(found[0], found[1])
        if VERSIONS[0] in best:
            break
    for version in VERSIONS:
        if version in best:
            return best[version]
    if chosen:
        raise Problem(f"PYTHON={chosen} is no Python 3.11 to 3.13 that starts: unset it, or name another")
    raise Problem(
        "no Python 3.12 found (3.11 and 3.13 do as well). Install it, then run the same again: Windows and macOS from "
        "https://www.python.org/downloads/, Debian and Ubuntu `sudo apt install python3.12 python3.12-venv`."
    )


def candidates() -> list:
    """Commands that may start a Python, the preferred first."""
    dotted = [f"{major}.{minor}" for major, minor in VERSIONS]
    commands = [[f"python{version}"] for version in dotted]
    if os.name == "nt":
        commands += [["py", f"-{version}"] for version in dotted]
    managed = Path(os.environ.get("PYENV_ROOT", str(Path.home() / ".pyenv"))) / "versions"
    commands += [[str(path)] for version in dotted for path in sorted(managed.glob(f"{version}.*/bin/python"))]
    return [*commands, [sys.executable], ["python3"], ["python"]]


def probe(command: list):
    """Version and path of the Python behind a command, or None where it does not start or lacks a part we need."""
    try:
        done = subprocess.run([*command, "-c", PROBE], check=False, capture_output=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.match(r"(\d+)\.(\d+) (.+)", done.stdout.decode("utf-8", "replace").strip())
    if done.returncode != 0 or not match:
        return None
    return (int(match.group(1)), int(match.group(2))), match.group(3)


def make_venv(python: str) -> None:
    """Make .venv anew with `python`."""
    say(f"making .venv with {python}")
    if VENV.exists():
        shutil.rmtree(str(VENV))
    if subprocess.call([python, "-m", "venv", str(VENV)]) != 0:
        raise Problem(f"{python} could not make a virtual environment in {VENV}: see the lines above")


def install_lock() -> None:
    """Install exactly what requirements.lock names, hashes checked: by uv in seconds, else by pip in minutes."""
    say("installing the locked packages (once; about half a minute, or several minutes on a slow line)")
    if not with_uv(["install", "--quiet", "--require-hashes", "-r", str(LOCK)]):
        say("uv could not do it here, going on with pip (3 to 5 minutes)")
        if pip(["install", "--quiet", "--require-hashes", "-r", str(LOCK)]) != 0:
            raise Problem("the packages could not be installed: see the lines above, mend it and run the same again")


def install_project() -> None:
    """Install the project itself in place: MLflow finds the registry's gate through its entry point."""
    arguments = ["install", "--quiet", "--no-deps", "--no-build-isolation", "-e", str(ROOT)]
    if not with_uv(arguments) and pip(arguments) != 0:
        raise Problem("the project could not be installed into .venv: see the lines above")


def with_uv(arguments: list) -> bool:
    """Run ``uv pip``, fetching the locked uv first; whether it worked."""
    if not shutil.which("uv", path=str(BIN)):
        only_uv = VENV / "uv.lock.txt"
        only_uv.write_text(block("uv"), encoding="utf-8")
        if pip(["install", "--quiet", "--require-hashes", "-r", str(only_uv)]) != 0:
            return False
    program = shutil.which("uv", path=str(BIN))
    return bool(program) and subprocess.call([program, "pip", *arguments], env=environment()) == 0


def pip(arguments: list) -> int:
    """Run the environment's own pip."""
    return subprocess.call([str(PYTHON), "-m", "pip", "--disable-pip-version-check", *arguments], env=environment())


def block(package: str) -> str:
    """The lines of the lock for one package, with its hashes."""
    match = re.search(rf"(?m)^{re.escape(package)}==[^\n]*(?:\n[ \t][^\n]*)*", LOCK.read_text(encoding="utf-8"))
    if not match:
        raise Problem(f"requirements.lock does not name {package}")
    return match.group(0) + "\n"


if __name__ == "__main__":
    if platform.system() == "Windows":
        os.system("")  # lets an older console understand colours
    sys.exit(main(sys.argv[1:]))
