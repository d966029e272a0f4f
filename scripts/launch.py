"""Launcher for make, double clicks and shells: find Python, make .venv from the lock file, run a command in it.

    python scripts/launch.py setup | demo | hydrate_quick | hydrate_full_universe | ingest | train_massive | daily
    python scripts/launch.py status | ui | doctor | notebook | docs
    python scripts/launch.py test | bench | soak | lint | clean | run <command ...>

It uses the standard library only. Any Python from 3.8 on can start it; it finds a Python 3.11 to 3.13 by itself.
"""

import difflib
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
BIN = VENV / ("Scripts" if os.name == "nt" else "bin")
PYTHON = BIN / ("python.exe" if os.name == "nt" else "python")
LOCK = ROOT / "requirements.lock"
RESEARCH = ("edgar", "news", "papers", "gdelt", "own", "stocktwits", "reddit")  # those without a key say so
LIVE = ("source=auto",)  # bars and listings from live providers; a source typed after it takes precedence
UNIVERSES = ("quick", "full")  # from which train_massive chooses
STAMP = VENV / "installed.txt"
MODULES = sorted((ROOT / "src").glob("*.py"))
VERSIONS = ((3, 12), (3, 13), (3, 11))  # in order of preference
PROBE = "import sys, venv, ensurepip, ssl, sqlite3; print('%d.%d' % sys.version_info[:2], sys.executable)"
# Each test file runs in one process, in the order of tests/conftest.py; four processes, since some tests mostly wait.
PARALLEL = ("-n", "4", "--dist", "loadfile", "--no-loadscope-reorder")
# Paths of another Python; and what keeps compiled modules from being written, which doubles the start of each command.
LEFT_OUT = ("PYTHONHOME", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE")
QUIET = ("--failures-only", "-o", "console_output_style=classic")
LAB = (  # JupyterLab without news, updates and a list of extensions; of its log, the address
    "--ServerApp.log_level=ERROR",
    "--LabApp.news_url=None",
    "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    "--LabApp.extension_manager=readonly",
)
LINT = (
    ("ruff", "check", "."),
    ("ruff", "format", "--check", "."),
    ("mypy",),
    ("lint-imports",),
)


class LaunchError(Exception):
    """The message tells the person who started the script what went wrong and what to do."""


def main(arguments: list) -> int:
    """Run one command; return its exit status."""
    verbs = {"setup": lambda _arguments: 0, "demo": demo, "test": test, "bench": bench, "lint": lint, "run": run}
    verbs["soak"] = soak
    verbs.update({verb: module(verb) for verb in ("ui", "doctor", "clean", "status")})
    verbs["hydrate_quick"] = module("hydrate", "universe=quick", *LIVE)
    verbs["hydrate_full_universe"] = module("hydrate", "universe=full", *LIVE)
    verbs["train_massive"] = train_massive
    verbs["daily"] = daily
    verbs["ingest"] = ingest
    verbs.update({"notebook": notebook, "docs": docs})
    if not arguments or arguments[0] not in verbs:
        say(unknown(arguments[0] if arguments else "", list(verbs)))
        return 2
    arguments = [*arguments, *make_settings()]
    os.chdir(str(ROOT))
    try:
        prepare()
        return verbs[arguments[0]](arguments[1:])
    except LaunchError as error:
        say(str(error))
        return 1
    except KeyboardInterrupt:
        return 130


def unknown(command: str, verbs: list) -> str:
    """Give the answer to a command that does not exist: the one that was meant, else all of them."""
    name = command.lower().replace("_", "-")
    modules = [module.stem for module in MODULES if module.stem != "__init__"]
    known = [*targets(), *verbs, *modules]
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if not command or not near:
        return f"usage: python scripts/launch.py {' | '.join(verbs)}, or: make {' | '.join(targets())}"
    if near[0] in targets():
        return f"there is no command {command}: did you mean make {near[0]}?"
    if near[0] in verbs:
        return f"there is no command {command}: did you mean python scripts/launch.py {near[0]}?"
    return f"there is no command {command}: type python -m src.{near[0]}, in the environment of .venv"


def targets() -> list:
    """List the targets of the Makefile."""
    makefile = ROOT / "Makefile"
    return re.findall(r"(?m)^([a-z][a-z-]*):", makefile.read_text(encoding="utf-8")) if makefile.exists() else []


def make_settings() -> list:
    """Give the settings that were typed after a target of make, which make takes for variables of its own."""
    flags = os.environ.pop("MAKEFLAGS", "") if "MAKELEVEL" in os.environ else ""
    words = re.findall(r"(?:\\.|[^\s\\])+", flags)
    settings = [re.sub(r"\\(.)", r"\1", word).replace("$$", "$") for word in words]
    return [word for word in settings if re.match(r"[a-z_]+(\.\w+)*=", word)]


def say(message: str) -> None:
    """Print a message to the terminal."""
    sys.stderr.write(message + "\n")
    sys.stderr.flush()


# --- commands ------------------------------------------------------------------------------------------------------


def demo(rest: list) -> int:
    """Run the whole pipeline on the universe in params.yaml, then crown champions and say their book."""
    configure_dvc_scm()
    status = call("dvc", "repro", *rest)
    for verb in ("promote", "predict"):
        status = status or call("python", "-m", f"src.{verb}")
    if status == 0:
        monitored = call("python", "-m", "src.monitor")
        status = 0 if monitored == 1 else monitored  # 1: a champion is flagged, which its line says
    for report in (("python", "-m", "src.report"), ("dvc", "commit", "--force", "--quiet", "report")):
        status = status or call(*report)  # once more: now it knows the champions
    if status == 0:
        pages = sorted((ROOT / "reports").glob("*/index.html"), key=lambda page: page.stat().st_mtime)
        book = f"\nbook: {pages[-1].with_name('book.html')}" if pages else ""
        say(f"report: {pages[-1] if pages else 'not written'}{book}\nruns and models: make ui (scripts/UI.bat)")
    return status


def test(rest: list) -> int:
    """Run lint and type checks beside the tests, whose summary comes last: the checks take the first minute of it."""
    with ThreadPoolExecutor(1) as beside:
        linted = beside.submit(lint, [], quiet=True)
        if not (ROOT / "tests" / "__pycache__").is_dir():  # else every process of the tests compiles all modules
            call_quietly("python", "-m", "pytest", "--collect-only", "-q", *rest)
        status = call("python", "-m", "pytest", *PARALLEL, *QUIET, *rest)
        if linted.result():
            say("lint, types or the direction of imports failed: the findings stand above; make lint shows them alone")
        return status or linted.result()


def bench(rest: list) -> int:
    """Run the benchmarks, which measure times but don't fail on them."""
    return call("python", "-m", "pytest", "tests/benchmarks", "-o", "python_files=bench_*.py", "-s", *rest)


def soak(rest: list) -> int:
    """Run the longest tests, at full size."""
    return call("python", "-m", "pytest", "tests/soak", "-s", *rest)


def lint(_rest: list, quiet: bool = False) -> int:
    """Check style, formatting, types and the direction of imports; if `quiet`, show only the checks that fail."""
    return max([(call_quietly if quiet else call)(*command) for command in LINT])


def notebook(rest: list) -> int:
    """Open JupyterLab on the notebooks, with the kernel of .venv; it asks no other machine for anything."""
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"  # a kernel of the same name in the home folder stays out
    return call("jupyter", "lab", *LAB, *rest, "notebooks")


def docs(rest: list) -> int:
    """Build the pages of docs/ as a site that opens from disk; a dead link fails."""
    os.environ["NO_MKDOCS_2_WARNING"] = "1"
    status = call("mkdocs", "build", "--strict", *rest)
    if status == 0:
        say(f"docs: {ROOT / 'site' / 'index.html'}")
    return status


def run(rest: list) -> int:
    """Run any command in the environment."""
    if not rest:
        raise LaunchError("no command to run: type, for example, python scripts/launch.py run dvc repro")
    return call(*rest)


def module(verb: str, *defaults: str):
    """Give the command that runs a module of src with default settings; settings typed after them take precedence."""
    return lambda rest: call("python", "-m", f"src.{verb}", *defaults, *rest)


def train_massive(rest: list) -> int:
    """Train everything that is hydrated, and what a running hydration adds, of one universe."""
    universe_setting = []
    if not any(setting.startswith("universe=") for setting in rest):
        universe, reason = hydrated_universe()
        other = "full" if universe == "quick" else "quick"
        say(f"train_massive: universe={universe}, {reason}; to train the other one, add universe={other}")
        universe_setting = [f"universe={universe}"]
    return module("train", *universe_setting, "model=all", "follow=true")(rest)


def daily(rest: list) -> int:
    """Do the day's work, with the private addresses of .env, which a scheduler's environment lacks."""
    read_private()
    return module("daily", "universe=quick", *LIVE)(rest)


def ingest(rest: list) -> int:
    """Collect filings, news and posts of one universe, with the keys of .env, and derive facts from them."""
    read_private()
    chosen = [] if any(word.startswith("research=") for word in rest) else [f"research={','.join(RESEARCH)}"]
    return module("ingest", "universe=quick", *LIVE, *chosen)(rest)


def read_private() -> None:
    """Take the project's private addresses and keys from .env, where the environment lacks them."""
    path = ROOT / ".env"
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    private = r"(?m)^[ \t]*(?:export[ \t]+)?((?:ALPHA_LOOP|REDDIT)_[A-Z_]+)[ \t]*=[ \t]*(.*?)[ \t\r]*$"
    for name, value in re.findall(private, text):
        os.environ.setdefault(name, value[1:-1] if value[:1] in ("'", '"') and value[-1:] == value[:1] else value)


def hydrated_universe() -> tuple:
    """Choose the universe that is being hydrated, else the one hydrated last, else full; return it and the reason."""
    data = ROOT / "data"
    running = [
        (beat["started"], name)
        for name in UNIVERSES
        for path in (data / ".progress").glob(f"hydrate-{name}-*.json")
        for beat in [read_json(path)]
        if beat.get("dataset") == name and "started" in beat and is_running(beat)
    ]
    if running:
        return max(running)[1], "which is being hydrated now"
    manifests = [data / "bars" / name / "manifest.json" for name in UNIVERSES]
    last = [(path.stat().st_mtime, path.parent.name) for path in manifests if path.exists()]
    if last:
        return max(last)[1], "which was hydrated last" if len(last) > 1 else "the only one that is hydrated"
    return "full", "because none is hydrated yet"


def read_json(path: Path) -> dict:
    """Read a small JSON file; empty if it is missing or damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def is_running(beat: dict) -> bool:
    """Say whether the command that writes this heartbeat is running, as far as this machine can tell."""
    if beat.get("ended") is not None:
        return False
    if beat.get("host") != platform.node():
        return True
    if os.name == "nt":
        return is_running_on_windows(int(beat["pid"]))
    try:
        os.kill(int(beat["pid"]), 0)
    except OSError as error:
        return isinstance(error, PermissionError)  # it exists but belongs to another user
    return True


def is_running_on_windows(pid: int) -> bool:
    """Say whether a process is running; os.kill would end it on Windows."""
    import ctypes

    kernel32 = ctypes.windll.kernel32  # type: ignore[attr-defined, unused-ignore]
    handle = kernel32.OpenProcess(0x00100000, False, pid)  # SYNCHRONIZE
    if not handle:
        return False
    running = kernel32.WaitForSingleObject(handle, 0) == 0x102  # WAIT_TIMEOUT: it has not ended
    kernel32.CloseHandle(handle)
    return running


def call(*command: str) -> int:
    """Run a command with the environment's programs first on the PATH; leave Ctrl+C to the command."""
    program = shutil.which(command[0], path=str(BIN)) or command[0]
    process = subprocess.Popen([program, *command[1:]], env=environment(), cwd=str(ROOT))
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue  # the command received it too and ends by itself


def call_quietly(*command: str) -> int:
    """Run a command with the environment's programs; show its output only if it fails."""
    program = shutil.which(command[0], path=str(BIN)) or command[0]
    done = subprocess.run(
        [program, *command[1:]], check=False, env=environment(), cwd=str(ROOT),
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    if done.returncode:
        say(f"{' '.join(command)} failed:\n{done.stdout.decode('utf-8', 'replace').rstrip()}")
    return done.returncode


def environment() -> dict:
    """Give the environment variables of every command: .venv first on the PATH, UTF-8, no telemetry."""
    variables = {key: value for key, value in os.environ.items() if key not in LEFT_OUT}
    variables["PATH"] = str(BIN) + os.pathsep + variables.get("PATH", "")
    variables.update(VIRTUAL_ENV=str(VENV), PYTHONUTF8="1", DVC_NO_ANALYTICS="1", DO_NOT_TRACK="true")
    return variables


def configure_dvc_scm() -> None:
    """Configure DVC for a folder with or without a git history; an unpacked archive has none."""
    local = ROOT / ".dvc" / "config.local"
    text = local.read_text(encoding="utf-8") if local.exists() else ""
    is_set, is_needed = "no_scm" in text, not (ROOT / ".git").exists()
    if is_needed and not is_set:
        local.write_text(text + "[core]\n    no_scm = true\n", encoding="utf-8")
    elif is_set and not is_needed:
        call("dvc", "config", "--local", "--unset", "core.no_scm")


# --- the environment -----------------------------------------------------------------------------------------------


def prepare() -> None:
    """Make .venv match the lock file and the project; if it does already, only compare a stamp."""
    if has_python() and STAMP.exists() and STAMP.read_text(encoding="utf-8") == stamp():
        return
    installed = STAMP.read_text(encoding="utf-8").splitlines() if STAMP.exists() else []
    moved = installed[2:3] not in ([], [str(ROOT)])  # a .venv contains its own path
    if moved or not has_python():
        make_venv(find_python())
        installed = []
    if installed[:1] != stamp().splitlines()[:1]:
        install_lock()
    install_project()
    STAMP.write_text(stamp(), encoding="utf-8")


def stamp() -> str:
    """Identify what a complete environment is made from: the lock file, the project file and their folder."""
    lock, project = (hashlib.sha256(path.read_bytes()).hexdigest() for path in (LOCK, ROOT / "pyproject.toml"))
    return f"{lock}\n{project}\n{ROOT}\n"


def has_python() -> bool:
    """Say whether .venv contains a Python that starts and has a supported version."""
    python = probe([str(PYTHON)]) if PYTHON.exists() else None
    return python is not None and python[0] in VERSIONS


def find_python() -> str:
    """Find the preferred Python on this machine; return its path.

    Each candidate is started, because shims of version managers and the Windows Store alias exist without a Python.
    """
    chosen = os.environ.get("PYTHON")
    best = {}
    for command in [[chosen]] if chosen else candidates():
        python = probe(command)
        if python and python[0] in VERSIONS:
            best.setdefault(*python)
        if VERSIONS[0] in best:
            break
    for version in VERSIONS:
        if version in best:
            return best[version]
    if chosen:
        raise LaunchError(f"PYTHON={chosen} does not start a Python 3.11 to 3.13: unset it or set it to another one")
    raise LaunchError(
        "no Python 3.12 found (3.11 and 3.13 also work). Install it and run the same command again: on Windows and "
        "macOS from https://www.python.org/downloads/, on Debian and Ubuntu with `sudo apt install python3.12 "
        "python3.12-venv`"
    )


def candidates() -> list:
    """List commands that may start a Python, the preferred ones first."""
    dotted = [f"{major}.{minor}" for major, minor in VERSIONS]
    commands = [[f"python{version}"] for version in dotted]
    if os.name == "nt":
        commands += [["py", f"-{version}"] for version in dotted]
    managed = Path(os.environ.get("PYENV_ROOT", str(Path.home() / ".pyenv"))) / "versions"
    commands += [[str(path)] for version in dotted for path in sorted(managed.glob(f"{version}.*/bin/python"))]
    return [*commands, [sys.executable], ["python3"], ["python"]]


def probe(command: list):
    """Give version and path of the Python behind a command; None if it does not start or lacks a required module."""
    try:
        done = subprocess.run([*command, "-c", PROBE], check=False, capture_output=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.match(r"(\d+)\.(\d+) (.+)", done.stdout.decode("utf-8", "replace").strip())
    if done.returncode != 0 or not match:
        return None
    return (int(match.group(1)), int(match.group(2))), match.group(3)


def make_venv(python: str) -> None:
    """Create .venv with `python`, replacing an old one."""
    say(f"creating .venv with {python}")
    if VENV.is_symlink():  # what it leads to belongs to something else
        VENV.unlink()
    elif VENV.exists():
        shutil.rmtree(str(VENV))
    if subprocess.call([python, "-m", "venv", str(VENV)]) != 0:
        raise LaunchError(f"{python} could not create a virtual environment in {VENV}: see the lines above")


def install_lock() -> None:
    """Install the packages in requirements.lock, with hashes checked: with uv in seconds, else with pip in minutes."""
    say("installing the locked packages (once; about half a minute, or several minutes on a slow connection)")
    if not with_uv(["install", "--quiet", "--require-hashes", "-r", str(LOCK)]):
        say("uv failed, continuing with pip (3 to 5 minutes)")
        if pip(["install", "--quiet", "--require-hashes", "-r", str(LOCK)]) != 0:
            raise LaunchError(
                "the packages could not be installed: see the lines above, fix the cause and run the command again"
            )


def install_project() -> None:
    """Install the project in place, so that MLflow finds the registry's gate through its entry point."""
    arguments = ["install", "--quiet", "--no-deps", "--no-build-isolation", "-e", str(ROOT)]
    if not with_uv(arguments) and pip(arguments) != 0:
        raise LaunchError("the project could not be installed into .venv: see the lines above")


def with_uv(arguments: list) -> bool:
    """Run ``uv pip``, after installing the locked uv; return whether it succeeded."""
    if not shutil.which("uv", path=str(BIN)):
        uv_lock = VENV / "uv.lock.txt"
        uv_lock.write_text(lock_entry("uv"), encoding="utf-8")
        if pip(["install", "--quiet", "--require-hashes", "-r", str(uv_lock)]) != 0:
            return False
    program = shutil.which("uv", path=str(BIN))
    return bool(program) and subprocess.call([program, "pip", *arguments], env=environment()) == 0


def pip(arguments: list) -> int:
    """Run the environment's pip."""
    return subprocess.call([str(PYTHON), "-m", "pip", "--disable-pip-version-check", *arguments], env=environment())


def lock_entry(package: str) -> str:
    """Give the lines of the lock file for one package, with its hashes."""
    match = re.search(rf"(?m)^{re.escape(package)}==[^\n]*(?:\n[ \t][^\n]*)*", LOCK.read_text(encoding="utf-8"))
    if not match:
        raise LaunchError(f"requirements.lock has no entry for {package}")
    return match.group(0) + "\n"


if __name__ == "__main__":
    if platform.system() == "Windows":
        os.system("")  # enables colours in an older console
    sys.exit(main(sys.argv[1:]))
