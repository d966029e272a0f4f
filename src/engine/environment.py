"""What the machines of a cluster must have in common so that the same task gives the same bits on each of them."""

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
    """Return what this process computes with.

    Returns
    -------
    tuple of (str, str)
        Name and value of Python, the machine's kind, the libraries and the project's code.
    """
    python = ".".join(platform.python_version_tuple()[:2])
    found = [("Python", python), ("machine", platform.machine()), *((name, _version(name)) for name in _PACKAGES)]
    return (*found, ("code of src/", _code()))


@functools.cache
def difference(expected: Environment) -> str | None:
    """Return how this process differs from what is expected; computed once a process.

    Parameters
    ----------
    expected : tuple of (str, str)
        What `environment` returned in the driver.

    Returns
    -------
    str or None
        The first difference, for a message; None where there is none.
    """
    here = dict(environment())
    for name, wanted in expected:
        if here[name] != wanted:
            return f"{name} {here[name]} where this machine has {name} {wanted}"
    return None


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return _ABSENT


def _code() -> str:
    """Hash of all modules of the project."""
    root = Path(str(src.__file__)).parent
    found = hashlib.sha256()
    for path in sorted(root.rglob("*.py"), key=lambda path: path.relative_to(root).as_posix()):
        found.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return found.hexdigest()[:12]
