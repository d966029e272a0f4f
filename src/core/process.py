"""Processes of this machine: which one left a file, and whether it still runs."""

from __future__ import annotations

import functools
import hashlib
import platform


@functools.cache
def host_tag() -> str:
    """Short name of this machine, safe in file names."""
    return hashlib.blake2b(platform.node().encode(), digest_size=3).hexdigest()


@functools.cache
def process_start(pid: int) -> int:
    """When a process started, in seconds since 1970: with its number, it names the process for good."""
    import psutil

    return int(psutil.Process(pid).create_time())


def is_alive(pid: int, started: int) -> bool:
    """Whether the process that started then still runs; its number alone may have been given to another."""
    import psutil

    try:
        process = psutil.Process(pid)
        return abs(int(process.create_time()) - started) <= 1 and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:  # it exists, and belongs to somebody else
        return True
