"""Set champions: ``python -m src.promote``.

::

    python -m src.promote universe=full                        the best version that clears, for each instrument
    python -m src.promote universe=full max_q_value=0.1        and only where the evidence is as strong as that
    python -m src.promote name=crypto.BTC-USD version=3        the named one
    python -m src.promote withdraw=crypto.BTC-USD              no champion any more
    python -m src.promote clear=<run> why="looked at it: ..."  register a run that looked too good to be true

Champions that no longer clear the thresholds are listed, and stay until they are replaced or withdrawn.
"""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from src.core.errors import ConfigError
from src.runtime.command import main

if TYPE_CHECKING:
    from src.config.schema import Config
    from src.tracking.champions import Champions

_OWN = ("name", "version", "withdraw", "clear", "why")
_DEMAND = re.compile(r"(min|max)_[a-z0-9_]+")


def promote(config: Config, request: Mapping[str, str]) -> str:
    """Do what the request asks, say each step, return the closing line."""
    from src.tracking.champions import Champions, clear
    from src.tracking.location import sync_command
    from src.tracking.store import open_store

    demands = _checked(request)
    with open_store(config) as target:
        if "clear" in request:
            return f"promote: {clear(target, request['clear'], request['why'])}"
        champions = Champions(target, demands)
        before = dict(champions.current)
        if "withdraw" in request:
            _say([champions.withdraw(request["withdraw"])])
        elif "version" in request:
            _say([champions.crown(champions.of(request["name"], int(request["version"])))])
        else:
            _say(_crown_best(champions, [request["name"]] if "name" in request else champions.names))
        left = list(champions.no_longer_clear())
        _say(left)
        changed = sum(before.get(name) != champions.current.get(name) for name in before | champions.current)
        if not champions.names:
            name = config.dataset
            return (
                f"promote: no version of {name} is registered: none passed, or it is not trained "
                f"(python -m src.train universe={name}), or MLflow's store is new ({sync_command(config)})"
            )
        counts = f"{len(champions.names):,} instruments with versions, {len(champions.current):,} champions"
        return f"promote: {counts}, {changed:,} changed, {len(left):,} no longer clear"


def split(arguments: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    """Tell what is promote's own (``name=...``) from what is configuration; the latter goes to Hydra."""
    own: dict[str, str] = {}
    rest = []
    for argument in arguments:
        key, is_set, value = argument.partition("=")
        if is_set and (key in _OWN or _DEMAND.fullmatch(key)):
            own[key] = value
        else:
            rest.append(argument)
    return own, rest


def _crown_best(champions: Champions, names: Iterable[str]) -> Iterable[str]:
    for name in names:
        if name not in champions.names:
            raise ConfigError(f"name must be a registered model of the dataset, got {name}")
        best = champions.best(name)
        if best is not None:
            yield champions.crown(best)
        else:
            kept = f"version {champions.current[name]} stays" if name in champions.current else "no champion"
            yield f"{name}: no version clears for promotion; {kept}"


def _checked(request: Mapping[str, str]) -> dict[str, float]:
    """The evidence demanded, as numbers.

    Raises
    ------
    ConfigError
        Where the request makes no sense.
    """
    if "clear" in request and not request.get("why", "").strip():
        raise ConfigError(f'clear={request["clear"]} needs why="...": the reason is kept with your name and the time')
    if "version" in request and ("name" not in request or not request["version"].isdigit()):
        raise ConfigError(f"version must be a number beside name=<registered model>, got {request['version']}")
    demands = {}
    for key in request.keys() - set(_OWN):
        try:
            demands[key] = float(request[key])
        except ValueError:
            raise ConfigError(f"{key} must be a number, got {request[key]}") from None
    return demands


def _say(lines: Iterable[str]) -> None:
    for line in lines:
        sys.stdout.write(line + "\n")


if __name__ == "__main__":
    wanted, sys.argv[1:] = split(sys.argv[1:])
    main("promote", functools.partial(promote, request=wanted))
