"""Checks of the machine, one function each, that return a finding."""

from __future__ import annotations

import importlib.metadata
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from src.config.paths import main_root
from src.config.schema import EngineConfig, ModelConfig
from src.core.errors import ConfigError
from src.core.project import ROOT
from src.runtime.disk_space import format_bytes, free_bytes
from src.storage.atomic import write_text

if TYPE_CHECKING:
    from packaging.requirements import Requirement

GB = 1024**3
_MARKS = {"ok": "ok  ", "note": "note", "bad": "BAD "}
_LONG_ROOT = 120  # characters of the project's own path that leave too little of Windows' 260


@dataclass(frozen=True)
class Finding:
    """Result of a check.

    Attributes
    ----------
    name : str
        Of the check.
    state : str
        ``ok``, ``note`` (worth knowing) or ``bad`` (has to be fixed first).
    message : str
        What was seen and, if it has to be fixed, how.
    """

    name: str
    state: str
    message: str


def run_checks(checks: Mapping[str, Callable[[], Finding]]) -> list[Finding]:
    """Run checks; one that fails is itself a finding and hides none of the others.

    Parameters
    ----------
    checks : mapping
        Functions without arguments, by name.
    """
    return [_run(name, check) for name, check in checks.items()]


def format_findings(findings: list[Finding]) -> str:
    """Format findings for reading: one line each, then a line that names those to fix first.

    Parameters
    ----------
    findings : list of Finding
    """
    bad = [finding.name for finding in findings if finding.state == "bad"]
    verdict = f"{len(bad)} to fix first: {', '.join(bad)}" if bad else "nothing has to be fixed"
    lines = [f"{_MARKS[finding.state]}  {finding.name:<14}{finding.message}" for finding in findings]
    return "\n".join([*lines, f"doctor: {verdict}"])


def python() -> Finding:
    """Python is 3.11 to 3.13, 64 bits, in an environment of its own."""
    version = ".".join(map(str, sys.version_info[:3]))
    if not (3, 11) <= sys.version_info[:2] <= (3, 13) or sys.maxsize < 2**32:
        return Finding("Python", "bad", f"{version} at {sys.executable}: needs 3.11 to 3.13, 64 bits; run make setup")
    if sys.prefix == sys.base_prefix:
        return Finding("Python", "note", f"{version} at {sys.executable}, outside .venv: make setup makes one")
    return Finding("Python", "ok", f"{version} at {sys.executable}")


def packages() -> Finding:
    """Every package of the lock that applies here is installed at its version."""
    from packaging.requirements import Requirement

    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    locked = [Requirement(line.rstrip(" \\")) for line in text.splitlines() if re.match(r"[A-Za-z0-9]", line)]
    here = [package for package in locked if package.marker is None or package.marker.evaluate()]
    wrong = [f"{package.name} {_installed(package.name) or 'missing'}" for package in here if not _agrees(package)]
    if wrong:
        shown = ", ".join(wrong[:5]) + (f" and {len(wrong) - 5} more" if len(wrong) > 5 else "")
        return Finding(
            "packages", "bad", f"{len(wrong)} of {len(here)} differ from requirements.lock ({shown}): make setup"
        )
    return Finding("packages", "ok", f"all {len(here)} as in requirements.lock")


def disk(root: Path) -> Finding:
    """There is free space for data and models.

    Parameters
    ----------
    root : Path
        The data folder.
    """
    free = min(free_bytes(root), free_bytes(main_root()))
    state = "bad" if free < GB else "note" if free < 10 * GB else "ok"
    remedy = "" if state == "ok" else ": the demo takes under 1 GB, 10,000 instruments about 20 GB"
    return Finding("disk", state, f"{format_bytes(free)} free at {root.absolute()}{remedy}")


def memory(engine: EngineConfig) -> Finding:
    """There is memory for the workers that training would start.

    Parameters
    ----------
    engine : EngineConfig
    """
    import psutil

    free, cores = psutil.virtual_memory().available, os.cpu_count() or 1
    workers = engine.workers or cores
    needed = GB // 2 * workers + GB
    message = f"{format_bytes(free)} free, {cores} cores, {workers} workers"
    if free < needed:
        remedy = f"{format_bytes(needed)} would be comfortable; engine.workers={max(1, workers // 2)}"
        return Finding("memory", "note", f"{message}: {remedy}")
    return Finding("memory", "ok", message)


def device(name: str, models: Callable[[], list[ModelConfig]], engine: EngineConfig) -> Finding:
    """Every model library can fit a few rows on the chosen device.

    Parameters
    ----------
    name : str
        The device, such as ``cpu`` or ``cuda``.
    models : callable
        Returns the configured families; it is only called for another device than the CPU.
    engine : EngineConfig
    """
    if name == "cpu":
        return Finding("device", "ok", "cpu")
    from src.engine.device import require

    try:
        require(models(), engine)
    except ConfigError as error:
        return Finding("device", "bad", str(error))
    return Finding("device", "ok", f"{name}: every family fits there")


def writing(folders: Iterable[Path]) -> Finding:
    """Files can be written into each folder.

    Parameters
    ----------
    folders : iterable of Path
        One that does not exist is created and removed again.
    """
    refused, allowed = [], []
    for folder in folders:
        probe = folder / f".doctor-{os.getpid()}"
        is_new = not folder.exists()
        try:
            write_text("", probe)
            probe.unlink()
            if is_new:
                folder.rmdir()
            allowed.append(folder.name)
        except OSError as error:
            refused.append(f"{folder} ({error.strerror})")
    if refused:
        return Finding(
            "writing", "bad", f"not allowed in {', '.join(refused)}: change the folder's owner, or set data.root"
        )
    return Finding("writing", "ok", f"allowed in {', '.join(allowed)}")


def path_length() -> Finding:
    """Paths below the project's folder stay within the 260 characters that Windows allows by default."""
    length = len(str(ROOT))
    if sys.platform != "win32" or _long_paths_enabled():
        return Finding("paths", "ok", f"{length} characters to the project's folder")
    state = "bad" if length > _LONG_ROOT else "note"
    return Finding(
        "paths",
        state,
        f"{length} characters to the project's folder and long paths are off: move it nearer to the drive's root, or "
        "set LongPathsEnabled (see docs.python.org, Using Python on Windows)",
    )


def clock() -> Finding:
    """The clock is not behind the project's own files, which would make fresh bars look like the future."""
    newest = max(path.stat().st_mtime for path in (ROOT / "src").glob("*.py"))
    now = time.strftime("%Y-%m-%d %H:%M %Z")
    if time.time() < newest - 86_400:
        return Finding("clock", "bad", f"{now} is before the project's files were written: set the clock")
    return Finding("clock", "ok", now)


def versioning() -> Finding:
    """DVC and git agree on whether there is a history."""
    local = ROOT / ".dvc" / "config.local"
    has_git = (ROOT / ".git").exists()
    works_without = local.exists() and "no_scm" in local.read_text(encoding="utf-8")
    if not has_git and not works_without:
        return Finding(
            "versioning", "note", "no git history here: dvc config --local core.no_scm true (make demo does it)"
        )
    return Finding("versioning", "ok", "git and DVC" if has_git else "DVC without git")


def _run(name: str, check: Callable[[], Finding]) -> Finding:
    try:
        return check()
    except (OSError, ValueError, ImportError, ArithmeticError, LookupError) as error:
        return Finding(name, "bad", f"the check failed: {type(error).__name__}: {error}")


def _installed(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _agrees(requirement: Requirement) -> bool:
    installed = _installed(requirement.name)
    return installed is not None and requirement.specifier.contains(installed, prereleases=True)


def _long_paths_enabled() -> bool:
    if sys.platform != "win32":
        return True
    import winreg

    try:
        with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, r"SYSTEM\CurrentControlSet\Control\FileSystem") as key:
            return bool(winreg.QueryValueEx(key, "LongPathsEnabled")[0])
    except OSError:
        return False
