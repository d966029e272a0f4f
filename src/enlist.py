"""Refresh a pinned list of the most traded: ``python -m src.enlist universe=quick [source=auto] [dataset=<name>]``.

With ``dataset=``, instruments are ranked by the bars of a hydrated dataset, in the year before the first possible
prediction, which does not favour winners. Without it, they are ranked by what the source's providers measure today,
which favours what has grown.
"""

from __future__ import annotations

import datetime as dt
import functools
import sys
from collections.abc import Mapping
from pathlib import Path

from src.config.schema import Config
from src.core.errors import ConfigError
from src.core.instruments import ASSET_CLASSES
from src.runtime.arguments import split_arguments
from src.runtime.command import main

_OWN = ("dataset",)  # keys that are not in the configuration
_BY_DATASET = "median daily dollar volume in dataset {}, of the year before the first possible prediction"


def enlist(config: Config, request: Mapping[str, str]) -> str:
    """Rank the instruments of a universe and write the list over the former one.

    Parameters
    ----------
    config : Config
        Its universe has a limit for each class.
    request : mapping of str to str
        ``dataset``, if the ranking is by the bars of a dataset.

    Returns
    -------
    str
        Closing line: the list, and how it changed.

    Raises
    ------
    ConfigError
        If the universe has no limits, or the dataset no bars.
    StageError
        If the providers give too little: the former list stays.
    """
    from src.config.paths import DatasetPaths
    from src.listings import pinned, ranking
    from src.listings.most_traded import traded
    from src.market.bars import BarStore

    universe, dataset = config.universe, request.get("dataset")
    limits = {kind: getattr(universe, kind) for kind in ASSET_CLASSES}
    if None in limits.values():
        raise ConfigError(f"universe={universe.name} must have a limit for each class, got {limits}: set them")
    path = universe.pinned or f"conf/universe/{universe.name}.csv"
    former = pinned.read(path) if pinned.located(path).is_file() else None
    if dataset:
        store = BarStore(DatasetPaths(Path(config.data.root), dataset).bars)
        rows, origin = ranking.by_bars(store, config.split, limits), _BY_DATASET.format(dataset)
    else:
        rows, origin = traded(universe, config.source.live, config.data.root, limits)
    made = pinned.replaced(former, pinned.PinnedList(dt.datetime.now(dt.UTC).date(), origin, rows), limits)
    pinned.write(made, path)
    return f"enlist: {path}: {pinned.difference(former, made)}; {made.origin}"


if __name__ == "__main__":
    wanted, sys.argv[1:] = split_arguments(sys.argv[1:], _OWN.__contains__)
    main("enlist", functools.partial(enlist, request=wanted))
