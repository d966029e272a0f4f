"""Show where every stage stands: ``python -m src.status [universe=full] [--watch] [--every 5] [--json]``.

Done, pending, failed, quarantined and skipped by asset class, what runs now, its rate and the time left, what went
wrong by kind, how fresh the bars are, what passed. It only reads, and may run beside any other command. With --watch
the picture is redrawn until Ctrl+C; --json prints one object (with --watch one a line), described in docs/status.md.
"""

from __future__ import annotations

import argparse
import functools
from collections.abc import Sequence

from src.core.errors import ConfigError
from src.runtime.terminal import notice


def status(arguments: Sequence[str]) -> int:
    """Show where the stages stand.

    Parameters
    ----------
    arguments : sequence of str
        As typed.

    Returns
    -------
    int
        The exit status.
    """
    chosen = _parser().parse_intermixed_args(list(arguments))
    from src.config.compose import compose
    from src.inspection import watch
    from src.market.choices import settled
    from src.tracking.settings import TrackedDataset

    try:
        config = settled("status", compose(chosen.overrides), chosen.overrides)
        tracked = TrackedDataset.of(config)
    except ConfigError as error:
        notice(f"status: {error}")
        return 2
    look = functools.partial(watch.look, config.paths, config.universe, config.source, tracked)
    if not chosen.watch:
        return watch.show(look(), as_json=chosen.json)
    try:
        watch.watch(look, chosen.every, as_json=chosen.json)
    except KeyboardInterrupt:
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    purpose = (__doc__ or "").partition("\n\n")[2]
    parser = argparse.ArgumentParser(prog="python -m src.status", description=purpose)
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="as for a stage: universe=full data.root=...")
    parser.add_argument("--watch", action="store_true", help="look again and again, until Ctrl+C")
    parser.add_argument("--every", type=_seconds, default=5.0, metavar="SECONDS", help="between two looks (5)")
    parser.add_argument("--json", action="store_true", help="plain values, as described in docs/status.md")
    return parser


def _seconds(text: str) -> float:
    value = float(text)
    if not 0.2 <= value <= 86_400:
        raise argparse.ArgumentTypeError(f"must be from 0.2 to 86,400 seconds, got {text}: 5 is the usual value")
    return value


if __name__ == "__main__":
    from src.runtime.command import run_command

    run_command(status)
