"""Set champions: ``python -m src.promote``.

::

    python -m src.promote universe=full                        the best version that meets conf/promotion/evidence.yaml
    python -m src.promote universe=full dry_run=true           what that would do
    python -m src.promote universe=full max_q_value=0.01       and only where the evidence is as strong as that
    python -m src.promote universe=full promotion=thresholds   by the four thresholds alone
    python -m src.promote name=crypto.BTC-USD version=3        the named one
    python -m src.promote withdraw=crypto.BTC-USD why="..."    no champion any more
    python -m src.promote undo=true                            the champions as they were before the last of these
    python -m src.promote history=true                         who changed what, when and why
    python -m src.promote clear=<run> why="looked at it: ..."  register a run that looked too good to be true

Champions that no longer clear the thresholds or meet the demands are listed, and stay until they are replaced or
withdrawn.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

from src.runtime.command import main

if TYPE_CHECKING:
    from src.config.schema import Config


def promote(config: Config, request: Mapping[str, str]) -> str:
    """Carry out a promotion request and print each step.

    Parameters
    ----------
    config : Config
    request : mapping
        Arguments by key, see `src.tracking.promotion.is_request_key`.

    Returns
    -------
    str
        The closing line.
    """
    from src.market.choices import settled
    from src.runtime.terminal import answer
    from src.tracking.promotion import carry_out
    from src.tracking.settings import TrackedDataset
    from src.training.session_choices import require_session

    config = settled("promote", config)
    require_session("promote", config)
    tracked = TrackedDataset.of(config)
    return f"promote: {carry_out(tracked, request, answer, config.promotion, dry_run=config.dry_run)}"


if __name__ == "__main__":
    from src.runtime.arguments import split_arguments
    from src.tracking.promotion import is_request_key

    request, sys.argv[1:] = split_arguments(sys.argv[1:], is_request_key)
    main("promote", functools.partial(promote, request=request))
