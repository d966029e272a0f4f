"""What every machine of a cluster must have in common for a task to give the same bits on each of them."""

from __future__ import annotations

import functools
import hashlib
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import src
from src.models.registry import FAMILIES, family

_PACKAGES = tuple(
    dict.fromkeys(("numpy", "scipy", "polars", *(family(name).LIBRARY.distribution for name in FAMILIES)))
)
_ABSENT = "none"

Environment = tuple[tuple[str, str], ...]


def environment() -> Environment:
    """Describe the software that this process computes with.

    Returns
    -------
    tuple of (str, str)
        Names and values: Python's minor version, the machine's architecture, the version of each library (``"none"`` if
        it is not installed), and a hash of our own code.
    """
    python = ".".join(platform.python_version_tuple()[:2])
    versions = ((name, _version(name)) for name in _PACKAGES)
    return (("Python", python), ("machine", platform.machine()), *versions, ("code of src/", _code()))


@functools.cache
def difference(expected: Environment) -> str | None:
    """Compare this process with the environment that the driver expects; computed once a process.

    Parameters
    ----------
    expected : tuple of (str, str)
        The driver's `environment`.

    Returns
    -------
    str or None
        The first difference as a phrase for an error message; None if they do not differ.
    """
    here = dict(environment())
    for name, value in expected:
        if here[name] != value:
            return f"{name} {here[name]} where this machine has {name} {value}"
    return None


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return _ABSENT


def _code() -> str:
    """Hash of all our modules."""
    root = Path(str(src.__file__)).parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py"), key=lambda path: path.relative_to(root).as_posix()):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:12]
