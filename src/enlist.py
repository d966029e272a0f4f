"""Refresh a pinned list of the most traded: ``python -m src.enlist universe=quick [source=auto] [dataset=<name>]``.

With ``dataset=`` the ranking is by the bars of a dataset hydrated before, of the year before the first possible
prediction: it favours no winner. Without it, by what the source's providers measure today: that favours who has grown.
"""

from __future__ import annotations

import datetime as dt
import functools
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from src.config.schema import Config
from src.core.errors import ConfigError
from src.core.instruments import ASSET_CLASSES
from src.runtime.command import main

if TYPE_CHECKING:
    import polars as pl

_OWN = ("dataset",)


def enlist(config: Config, request: Mapping[str, str]) -> str:
    """Rank, write the list in place of the former one, and say what changed.

    Raises
    ------
    ConfigError
        Where the universe has no limits, or the dataset no bars.
    StageError
        Where the providers give too little: the former list stays.
    """
    from src.listings import pinned

    limits = {kind: getattr(config.universe, kind) for kind in ASSET_CLASSES}
    if None in limits.values():
        raise ConfigError(f"universe={config.universe.name} must have a limit for each class, got {limits}: set them")
    path = config.universe.pinned or f"conf/universe/{config.universe.name}.csv"
    former = pinned.read(path) if pinned.located(path).is_file() else None
    dataset = request.get("dataset")
    rows, origin = _of_dataset(config, dataset, limits) if dataset else _of_today(config, limits)
    made = pinned.replaced(former, pinned.PinnedList(dt.datetime.now(dt.UTC).date(), origin, rows), limits)
    pinned.write(made, path)
    return f"enlist: {path}: {pinned.difference(former, made)}; {made.origin}"


def split(arguments: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    """Tell enlist's own words from the configuration, which goes to Hydra."""
    parts = [argument.partition("=") for argument in arguments]
    own = {key: value for key, _, value in parts if key in _OWN}
    return own, ["".join(part) for part in parts if part[0] not in _OWN]


def _of_dataset(config: Config, dataset: str, limits: Mapping[str, int]) -> tuple[pl.DataFrame, str]:
    from src.listings import ranking
    from src.market.bars import BarStore

    rows = ranking.by_bars(BarStore(Path(config.data.root) / "bars" / dataset), config.split, limits)
    return rows, f"median daily dollar volume in dataset {dataset}, of the year before the first possible prediction"


def _of_today(config: Config, limits: Mapping[str, int]) -> tuple[pl.DataFrame, str]:
    from src.listings.most_traded import traded

    return traded(config.universe, config.source.live, config.data.root, limits)


if __name__ == "__main__":
    wanted, sys.argv[1:] = split(sys.argv[1:])
    main("enlist", functools.partial(enlist, request=wanted))
