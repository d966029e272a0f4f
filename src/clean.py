"""Show what is old, and remove it on request: ``python -m src.clean [universe=full] [drop=<dataset>] [yes=true]``.

Without ``yes=true`` nothing is removed. Old are temporary files of killed processes, renamed logs, and models and
registered versions of superseded runs (``fresh=true``); ``drop=<dataset>`` adds everything stored of one dataset, and
``cache=true`` the ranks of the pooled scope, which can be computed again.
Champions stay, with the runs behind them, and so do the ledger of trials and the journal.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from src.core.errors import ConfigError
from src.runtime.arguments import split_arguments
from src.runtime.command import main
from src.runtime.disk_space import format_bytes
from src.runtime.terminal import answer

if TYPE_CHECKING:
    from src.config.schema import Config

REQUEST_KEYS = ("yes", "drop", "cache")


def clean(config: Config, request: Mapping[str, str]) -> str:
    """Show what can be removed, and remove it if the request says yes.

    Parameters
    ----------
    config : Config
    request : mapping
        ``yes``, ``drop`` and ``cache``.

    Returns
    -------
    str
        The closing line.
    """
    from src.inspection.cleanup import dataset_sizes, find_leftovers
    from src.tracking.settings import TrackedDataset

    sizes = dataset_sizes(config.paths.root)
    confirmed, drop = _checked(request, sizes)
    cache = request.get("cache") == "true"
    logs, tracked = Path(config.data.logs), TrackedDataset.of(config)
    leftovers = find_leftovers(config.paths, logs, tracked, drop, removes=confirmed, cache=cache)
    for leftover in leftovers:
        answer(f"{format_bytes(leftover.size):>10}  {leftover.message}")
        if confirmed:
            leftover.remove()
    total = format_bytes(sum(leftover.size for leftover in leftovers))
    if confirmed:
        return f"clean: removed {len(leftovers):,} things, {total}"
    for name, size in sizes.items():
        if name not in (config.dataset, drop):
            answer(f"{format_bytes(size):>10}  dataset {name} stays; drop={name} would remove it")
    return f"clean: {len(leftovers):,} things, {total} can be removed; nothing was removed, yes=true removes them"


def _checked(request: Mapping[str, str], datasets: Mapping[str, int]) -> tuple[bool, str | None]:
    for name in ("yes", "cache"):
        if request.get(name, "false") not in ("true", "false"):
            raise ConfigError(f"{name} must be true or false, got {request[name]!r}")
    drop = request.get("drop")
    if drop is not None and drop not in datasets:
        names = ", ".join(datasets) or "there are none"
        raise ConfigError(f"drop must name a dataset on disk ({names}), got {drop!r}")
    return request.get("yes") == "true", drop


if __name__ == "__main__":
    request, sys.argv[1:] = split_arguments(sys.argv[1:], REQUEST_KEYS.__contains__)
    main("clean", functools.partial(clean, request=request))
