"""Identify processes of this machine, and tell whether they still run."""

from __future__ import annotations

import functools
import hashlib
import platform


@functools.cache
def host_tag() -> str:
    """Return a short name of this machine that is safe in file names.

    Returns
    -------
    str
        6 hexadecimal digits.
    """
    return hashlib.blake2b(platform.node().encode(), digest_size=3).hexdigest()


@functools.cache
def process_start(pid: int) -> int:
    """Return when a process started; together with its number, this identifies it.

    Parameters
    ----------
    pid : int
        Number of a running process.

    Returns
    -------
    int
        Seconds since 1970.

    Raises
    ------
    psutil.NoSuchProcess
        If no process has that number.
    """
    import psutil

    return int(psutil.Process(pid).create_time())


def is_alive(pid: int, started: int) -> bool:
    """Tell whether a process still runs; its number alone may have been given to another one.

    Parameters
    ----------
    pid : int
        Number of the process.
    started : int
        When it started, as `process_start` returned it.

    Returns
    -------
    bool
        True also for a process of another user, whose start can't be read.
    """
    import psutil

    try:
        process = psutil.Process(pid)
        return abs(int(process.create_time()) - started) <= 1 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:  # it exists, and belongs to another user
        return True
