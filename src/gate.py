"""Show what the model registry demands, or loosen it on purpose: ``python -m src.gate``.

::

    python -m src.gate                                  the thresholds of the store beside those of the configuration
    python -m src.gate loosen why="costs were halved"   take those of conf/grade/default.yaml where they demand less

Every command tightens a store's thresholds as ``conf/grade/default.yaml`` says; only ``loosen`` lets a store demand
less, and who, when and why stay in its database. ``tracking.uri=...`` names another store. Behind a tracking server,
the command has to be run where the server's database is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from src.core.errors import ConfigError, StageError
from src.runtime.arguments import split_arguments
from src.runtime.command import run_command
from src.runtime.terminal import answer, notice

if TYPE_CHECKING:
    from src.config.schema import TrackingConfig

VERB = "loosen"


def gate(tracking: TrackingConfig, request: Mapping[str, str], *, loosen: bool) -> list[str]:
    """Show the thresholds of a store, or loosen them.

    Parameters
    ----------
    tracking : TrackingConfig
        The store.
    request : mapping
        ``why``: the reason for loosening.
    loosen : bool
        Whether thresholds are changed.

    Returns
    -------
    list of str
        Lines to print.

    Raises
    ------
    ConfigError
        If a reason is missing, or is given where nothing is loosened.
    StageError
        If the store can't be read or changed.
    """
    from src.tracking import gate_view

    why = request.get("why", "").strip()
    if loosen and not why:
        raise ConfigError('loosen needs why="...": the reason is kept with your name and the time')
    if not loosen and "why" in request:
        raise ConfigError("why belongs to loosen: python -m src.gate loosen why=...")
    return gate_view.loosened(tracking, why) if loosen else gate_view.shown(tracking)


def command(arguments: list[str]) -> int:
    """Run the command; exit status 0, 1 failed, 2 wrong usage.

    Parameters
    ----------
    arguments : list of str
        As typed.
    """
    from src.config.compose import compose

    if any(argument in ("-h", "--help") for argument in arguments):
        answer(__doc__ or "")
        return 0
    try:
        request, rest = split_arguments(arguments, "why".__eq__)
        overrides = [argument for argument in rest if argument != VERB]
        lines = gate(compose(overrides).tracking, request, loosen=VERB in rest)
    except (ConfigError, StageError) as error:
        notice(f"gate: {error}")
        return 2 if isinstance(error, ConfigError) else 1
    answer("\n".join(lines))
    return 0


if __name__ == "__main__":
    run_command(command)
