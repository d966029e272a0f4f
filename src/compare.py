"""Does a set of features help? Compare the runs of two sets on the same instruments, days, labels and seeds.

python -m src.compare features=all+research base=all                  runs of single instruments
python -m src.compare features=all+research base=all scope=pooled     portfolios of the pooled scope

Both sets must be trained. The interval is that of the mean difference over calendar quarters.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

from src.runtime.command import main

if TYPE_CHECKING:
    from src.config.schema import Config


def compare(config: Config, request: Mapping[str, str]) -> str:
    """Print the comparison, write its quarters to the folder of reports, and return what it shows.

    Parameters
    ----------
    config : Config
        Its features are compared with those of ``base``.
    request : mapping
        ``base``: the name of a file of conf/features, ``all`` by default.

    Returns
    -------
    str
        The closing line.

    Raises
    ------
    ConfigError
        If one of the sets was not trained, or both are the same.
    """
    from src.config.compose import compose
    from src.core.errors import ConfigError
    from src.inspection import comparison, comparison_view
    from src.runtime.terminal import answer
    from src.storage.atomic import write_text

    base = compose([f"features={request.get('base', 'all')}"]).features
    if base.name == config.features.name:
        raise ConfigError(f"features and base are both {base.name}: type features=all+research base=all")
    pooled = config.scope.kind == "pooled"
    run = comparison.compare_portfolios if pooled else comparison.compare_instruments
    found = run(config.paths, base, config.features, config.universe.interval)
    for line in comparison_view.lines(found, config.scope.kind, config.dataset):
        answer(line)
    path = config.paths.reports / f"comparison-{config.features.name}-{base.name}-{config.scope.kind}.csv"
    write_text(found.quarters.write_csv(), path)
    return f"compare: {comparison_view.verdict(found)}; quarters in {path.as_posix()}"


if __name__ == "__main__":
    from src.runtime.arguments import split_arguments

    own, sys.argv[1:] = split_arguments(sys.argv[1:], lambda key: key == "base")
    main("compare", functools.partial(compare, request=own))
