"""How much memory a process took, and how much it may take."""

from __future__ import annotations

import sys
from pathlib import Path

GIB = 2**30
_SHARE = 0.8  # of the machine's memory, for a process that was given no bound


def peak_bytes() -> int:
    """The most resident memory that this process ever had, in bytes."""
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    if sys.platform == "linux":  # not getrusage: a spawned process inherits its parent's peak there
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    import resource

    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def bound(gib: float | None) -> int:
    """Bytes that a process may take: as configured, else four fifths of what the machine has."""
    if gib is not None:
        return int(gib * GIB)
    import psutil

    return int(psutil.virtual_memory().total * _SHARE)
