"""How much memory a process has used, and how much it may use."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path

GIB = 2**30
_SHARE = 0.8  # of the machine's memory, for all worker processes together
_MINIMUM = GIB  # three times what a worker needs for ten years of daily bars
_CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def peak_bytes() -> int:
    """Peak resident memory of this process.

    Returns
    -------
    int
        Bytes; 0 in a Linux container whose kernel does not report the peak.
    """
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    if sys.platform == "linux":  # not getrusage: a spawned process inherits its parent's peak there
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return 1024 * next((int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), 0)
    import resource

    return int(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def limit_bytes(gib: float | None, processes: int) -> int:
    """Memory that each worker process may use.

    Parameters
    ----------
    gib : float or None
        The configured limit in GiB. If None, the processes share 80% of the machine's memory.
    processes : int
        Number of worker processes.

    Returns
    -------
    int
        Bytes; without a configured limit at least 1 GiB, which ordinary work needs. If the machine has less than that
        for each process, the kernel decides which one to kill.
    """
    if gib is not None:
        return int(gib * GIB)
    return max(int(total_bytes() * _SHARE) // processes, _MINIMUM)


def total_bytes() -> int:
    """Memory of this machine, or of the container that this process runs in.

    Returns
    -------
    int
        Bytes.
    """
    import psutil

    sizes = [int(psutil.virtual_memory().total)]
    for path in _CGROUP_LIMITS:  # the file says "max", or is missing, in a container without a limit
        with contextlib.suppress(OSError, ValueError):
            sizes.append(int(path.read_text(encoding="ascii")))
    return min(size for size in sizes if size > 0)
