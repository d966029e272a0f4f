"""What may be in the way on a machine: one small check each, a finding in words."""

from __future__ import annotations

import importlib.metadata
import os
import re
import sqlite3
import ssl
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from src.config.paths import main_root
from src.config.schema import Config
from src.core.errors import ConfigError, StageError
from src.core.project import ROOT
from src.fetching import network
from src.runtime.disk_space import format_bytes, free_bytes
from src.runtime.redaction import masked, masked_address
from src.sources import registry
from src.storage.atomic import write_text
from src.tracking.location import TrackingError, gated_schemes, home, require_gate

if TYPE_CHECKING:
    from packaging.requirements import Requirement

GB = 1024**3
_LONG_PATH = 120  # characters of the project's own path that leave too little of Windows' 260


@dataclass(frozen=True)
class Finding:
    """A check's name, its state (ok, note: worth knowing, bad: mend it first) and what was seen, in words."""

    name: str
    state: str
    words: str


def of_configuration(config: Config) -> Finding:
    """What is chosen now; composing it has already checked it."""
    words = f"universe={config.dataset} source={config.source.kind} model={config.model.family}"
    return Finding("configuration", "ok", words)


def python(_config: Config) -> Finding:
    """Version 3.11 to 3.13, 64 bits, in an environment of its own."""
    version = ".".join(map(str, sys.version_info[:3]))
    if not (3, 11) <= sys.version_info[:2] <= (3, 13) or sys.maxsize < 2**32:
        return Finding("Python", "bad", f"{version} at {sys.executable}: needs 3.11 to 3.13, 64 bits; run make setup")
    if sys.prefix == sys.base_prefix:
        return Finding("Python", "note", f"{version} at {sys.executable}, outside .venv: make setup makes one")
    return Finding("Python", "ok", f"{version} at {sys.executable}")


def packages(_config: Config) -> Finding:
    """Every package of the lock that applies here, at its version."""
    from packaging.requirements import Requirement

    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    named = [Requirement(line.rstrip(" \\")) for line in text.splitlines() if re.match(r"[A-Za-z0-9]", line)]
    here = [each for each in named if each.marker is None or each.marker.evaluate()]
    wrong = [f"{each.name} {_installed(each.name) or 'missing'}" for each in here if not _agrees(each)]
    if wrong:
        shown = ", ".join(wrong[:5]) + (f" and {len(wrong) - 5} more" if len(wrong) > 5 else "")
        return Finding(
            "packages", "bad", f"{len(wrong)} of {len(here)} differ from requirements.lock ({shown}): make setup"
        )
    return Finding("packages", "ok", f"all {len(here)} as in requirements.lock")


def gate(_config: Config) -> Finding:
    """MLflow finds our registry store: without it the registry would take any model."""
    try:
        require_gate()
    except TrackingError as error:
        return Finding("registry gate", "bad", str(error))
    return Finding("registry gate", "ok", f"stands before MLflow's registry ({', '.join(gated_schemes())})")


def disk(config: Config) -> Finding:
    """Free space where data and models go."""
    free = min(free_bytes(Path(config.data.root)), free_bytes(main_root()))
    state = "bad" if free < GB else "note" if free < 10 * GB else "ok"
    remedy = "" if state == "ok" else ": the demo takes under 1 GB, 10,000 instruments about 20 GB"
    return Finding("disk", state, f"{format_bytes(free)} free at {Path(config.data.root).absolute()}{remedy}")


def memory(config: Config) -> Finding:
    """Memory for the workers that training would start."""
    import psutil

    free, cores = psutil.virtual_memory().available, os.cpu_count() or 1
    workers = config.engine.workers or cores
    needed = GB // 2 * workers + GB
    words = f"{format_bytes(free)} free, {cores} cores, {workers} workers"
    if free < needed:
        return Finding(
            "memory",
            "note",
            f"{words}: {format_bytes(needed)} would be comfortable; engine.workers={max(1, workers // 2)}",
        )
    return Finding("memory", "ok", words)


def device(config: Config) -> Finding:
    """Where models are fitted: each library is asked to fit a few rows there."""
    chosen = config.model.device
    if chosen == "cpu":
        return Finding("device", "ok", "cpu")
    from src.config.compose import families
    from src.engine.device import require

    try:
        require(families(config), config.engine)
    except ConfigError as error:
        return Finding("device", "bad", str(error))
    return Finding("device", "ok", f"{chosen}: every family fits there")


def writing(config: Config) -> Finding:
    """Each folder that is written to can be written to."""
    folders = [Path(config.data.root), Path(config.data.logs), Path(config.data.reports), main_root() / "mlruns"]
    refused = []
    for folder in folders:
        probe = folder / f".doctor-{os.getpid()}"
        made = not folder.exists()
        try:
            write_text("", probe)
            probe.unlink()
            if made:
                folder.rmdir()
        except OSError as error:
            refused.append(f"{folder} ({error.strerror})")
    if refused:
        return Finding(
            "writing", "bad", f"not allowed in {', '.join(refused)}: change the folder's owner, or set data.root"
        )
    return Finding("writing", "ok", f"allowed in {', '.join(folder.name for folder in folders)}")


def paths(_config: Config) -> Finding:
    """Windows refuses paths beyond 260 characters unless told otherwise."""
    length = len(str(ROOT))
    if sys.platform != "win32" or _long_paths_enabled():
        return Finding("paths", "ok", f"{length} characters to the project's folder")
    state = "bad" if length > _LONG_PATH else "note"
    return Finding(
        "paths", state, f"{length} characters to the project's folder and long paths are off: move it nearer to the "
        "drive's root, or set LongPathsEnabled (see docs.python.org, Using Python on Windows)"
    )  # fmt: skip


def proxy(config: Config) -> Finding:
    """The proxy that live sources would go through, without its password; nothing is sent to it."""
    try:
        address = network.proxy(config.source.live)
    except ConfigError as error:
        return Finding("proxy", "bad", str(error))
    named = network.named_proxy(config.source.live)
    if address is None or named is None:
        return Finding("proxy", "ok", "none: live sources are reached directly")
    words = f"{named[0]}={masked(address)}: only its form was looked at, whether it answers shows when hydrating"
    return Finding("proxy", "note", words)


def certificates(config: Config) -> Finding:
    """Certificates that live sources are checked against."""
    named = [("source.live.ca_file", config.source.live.ca_file)]
    named += [(name, os.environ.get(name)) for name in network.BUNDLES]
    missing = [f"{name}={file}" for name, file in named if file and not Path(file).expanduser().is_file()]
    if missing:
        return Finding("certificates", "bad", f"there is no file {', '.join(missing)}: correct or unset it")
    import certifi

    file = network.ca_file(config.source.live) or certifi.where()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(file)
    except ssl.SSLError as error:
        return Finding("certificates", "bad", f"{file} holds no certificates (PEM): {error}: name another file")
    count = context.cert_store_stats()["x509_ca"]
    state = "ok" if count else "bad"
    return Finding("certificates", state, f"{count} authorities in {file}" if count else f"no authority in {file}")


def clock(_config: Config) -> Finding:
    """A clock behind the project's own files would make fresh bars look like the future."""
    newest = max(path.stat().st_mtime for path in (ROOT / "src").glob("*.py"))
    now = time.strftime("%Y-%m-%d %H:%M %Z")
    if time.time() < newest - 86_400:
        return Finding("clock", "bad", f"{now} is before the project's files were written: set the clock")
    return Finding("clock", "ok", now)


def store(config: Config) -> Finding:
    """MLflow's database opens and nobody holds it."""
    try:
        where = home(config.tracking)
    except StageError as error:
        return Finding("MLflow store", "bad", str(error))
    path = where.database
    if path is None:
        return Finding("MLflow store", "ok", masked_address(config.tracking.uri))
    if not path.exists():
        return Finding("MLflow store", "ok", f"{path} is made by the first training")
    try:
        with closing(sqlite3.connect(path, timeout=2)) as database:
            database.execute("BEGIN IMMEDIATE")
            database.rollback()
            runs = database.execute("SELECT COUNT(*) FROM runs").fetchone()[0]
    except sqlite3.Error as error:
        return Finding("MLflow store", "bad", f"{path}: {error}; close the program that holds it, or restore the file")
    return Finding("MLflow store", "ok", f"{runs:,} runs in {path} ({format_bytes(path.stat().st_size)})")


def source(config: Config) -> Finding:
    """The configured source of bars."""
    kind = config.source.kind
    if registry.is_simulated(kind):
        return Finding("source", "ok", f"{kind}: bars are invented here, no network and no files needed")
    if registry.is_live(kind):
        return Finding("source", "note", f"{kind}: reached when hydrating")
    try:
        files = registry.source_files(config.source)
    except (ConfigError, StageError) as error:
        return Finding("source", "bad", f"{kind}: {error}")
    size = format_bytes(sum(path.stat().st_size for path in files))
    many = f"{len(files):,} file{'' if len(files) == 1 else 's'}"
    return Finding("source", "ok", f"{kind}: {many}, {size}, in {config.source.path}")


def versioning(_config: Config) -> Finding:
    """Whether DVC and git agree about there being a history."""
    local = ROOT / ".dvc" / "config.local"
    has_git, told = (ROOT / ".git").exists(), local.exists() and "no_scm" in local.read_text(encoding="utf-8")
    if not has_git and not told:
        return Finding(
            "versioning", "note", "no git history here: dvc config --local core.no_scm true (make demo does it)"
        )
    return Finding("versioning", "ok", "git and DVC" if has_git else "DVC without git")


CHECKS: tuple[Callable[[Config], Finding], ...] = (
    python, packages, gate, disk, memory, device, writing, paths, proxy, certificates, clock, store, source, versioning,
)  # fmt: skip


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
