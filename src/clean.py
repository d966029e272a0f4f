"""Show what is old, and remove it when told to: ``python -m src.clean [universe=full] [drop=<dataset>] [yes=true]``.

Without ``yes=true`` nothing is touched. Old are temporary files of killed processes, logs set aside, and models and
registered versions of superseded runs (``fresh=true``); ``drop=<dataset>`` adds everything stored of one dataset.
Champions stay, with the runs behind them.
"""

from __future__ import annotations

import dataclasses
import functools
import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from src.core.errors import ConfigError
from src.runtime.command import main
from src.runtime.disk_space import in_words
from src.tracking.location import home

if TYPE_CHECKING:
    from src.config.schema import Config
    from src.inspection.cleanup import Leftover

_OWN = ("yes", "drop")


def clean(config: Config, request: Mapping[str, str]) -> str:
    """Show what can be removed, remove it where the request says yes, return the closing line."""
    from src.inspection.cleanup import datasets

    sizes = datasets(config)
    sure, drop = _checked(request, sizes)
    found = gather(config, drop, removes=sure)
    for leftover in found:
        _say(f"{in_words(leftover.size):>10}  {leftover.words}")
        if sure:
            leftover.remove()
    total = in_words(sum(leftover.size for leftover in found))
    if sure:
        return f"clean: removed {len(found):,} things, {total}"
    for name, size in sizes.items():
        if name not in (config.dataset, drop):
            _say(f"{in_words(size):>10}  dataset {name} stays; drop={name} would remove it")
    return f"clean: {len(found):,} things, {total} can be removed; nothing was touched, yes=true removes them"


def gather(config: Config, drop: str | None = None, *, removes: bool = False) -> list[Leftover]:
    """Everything that can go. The registry is asked first: where it can't say who is champion, nothing is removed."""
    from src.inspection import cleanup

    found: list[Leftover] = []
    spared = _champions(config, found, removes=removes)
    found += [*cleanup.of_crashes(config), *cleanup.of_logs(config)]
    if drop != config.dataset:
        found += cleanup.of_runs(config, spared)
    if drop is not None:
        other = dataclasses.replace(config, universe=dataclasses.replace(config.universe, name=drop, interval="1d"))
        found += cleanup.of_dataset(config, drop, has_champions=bool(_champions(other, [])))
    return found


def split(arguments: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    """Tell clean's own words from the configuration, which goes to Hydra."""
    parts = [argument.partition("=") for argument in arguments]
    own = {key: value for key, _, value in parts if key in _OWN}
    return own, ["".join(part) for part in parts if part[0] not in _OWN]


def _champions(config: Config, found: list[Leftover], *, removes: bool = False) -> set[str]:
    """Record ids of the dataset's champions; superseded versions are added to `found`."""
    from src.inspection import cleanup
    from src.tracking.champions import Champions
    from src.tracking.store import open_store

    database = home(config.tracking).database
    if database is not None and not database.exists():
        return set()
    with open_store(config, writes=removes) as target:
        champions = Champions(target)
        found += cleanup.of_registry(target, champions)
        crowned = [champions.of(name, number) for name, number in champions.current.items()]
        return {each.tags["alpha.record_id"] for each in crowned}


def _checked(request: Mapping[str, str], known: Mapping[str, int]) -> tuple[bool, str | None]:
    if request.get("yes", "false") not in ("true", "false"):
        raise ConfigError(f"yes must be true or false, got {request['yes']!r}")
    drop = request.get("drop")
    if drop is not None and drop not in known:
        raise ConfigError(f"drop must name a dataset on disk ({', '.join(known) or 'there is none'}), got {drop!r}")
    return request.get("yes") == "true", drop


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")


if __name__ == "__main__":
    wanted, sys.argv[1:] = split(sys.argv[1:])
    main("clean", functools.partial(clean, request=wanted))
