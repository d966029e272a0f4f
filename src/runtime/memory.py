"""How much memory a process took, and how much it may take."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

GIB = 2**30
_SHARE = 0.8  # of the machine's memory, for all processes that were given no bound
_LEAST = GIB  # three times what a worker takes for ten years of daily bars
_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def peak_bytes() -> int:
    """The most resident memory that this process ever had, in bytes."""
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    if sys.platform == "linux":  # not getrusage: a spawned process inherits its parent's peak there
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        # Not every container's kernel tells the peak.
        return 1024 * next((int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), 0)
    import resource

    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def bound(gib: float | None, processes: int) -> int:
    """Bytes that each of so many processes may take: as configured, else its part of what there is.

    Notes
    -----
    Where many share little, each may still take what ordinary work needs; whom the kernel ends is then its own choice.
    """
    if gib is not None:
        return int(gib * GIB)
    return max(int(available() * _SHARE) // processes, _LEAST)


def available() -> int:
    """Memory of this machine, or of the container that this process is in, in bytes."""
    import psutil

    found = [int(psutil.virtual_memory().total)]
    for limit in _LIMITS:  # a container without a limit says "max", or nothing
        with contextlib.suppress(OSError, ValueError):
            found.append(int(limit.read_text(encoding="ascii")))
    return min(each for each in found if each > 0)
