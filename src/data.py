"""Show all that is stored of an instrument: ``python -m src.data AAPL [crypto:BTC-USD ...] [universe=full] [--json]``.

Its bars and events, what providers were asked, the state and reason of every stage, its grades and runs. It only reads,
and may run beside any other command. A name that exists in two classes shows both.
"""

from __future__ import annotations

import argparse
import contextlib
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from src.config.commands import command, is_setting
from src.core.errors import ConfigError, StageError
from src.runtime.terminal import answer, notice

if TYPE_CHECKING:
    from src.config.schema import Config
    from src.core.instruments import Key


def data(arguments: Sequence[str]) -> int:
    """Show the instruments named.

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
    overrides = [word for word in chosen.words if is_setting(word)]
    names = [word for word in chosen.words if not is_setting(word)]
    from src.config.compose import compose
    from src.inspection import dossier_view
    from src.inspection.instrument import dossier, matching_keys

    try:
        if not names:
            raise ConfigError(f"name an instrument: {command('data', 'AAPL')}, or crypto:BTC-USD")
        config = compose(overrides)
        hits = [key for name in names for key in matching_keys(config.paths, name, config.hydrate_command)]
    except ConfigError as error:
        notice(f"data: {error}")
        return 2
    dossiers = [{**dossier(config.paths, key, chosen.bars), **_page(config, key)} for key in dict.fromkeys(hits)]
    texts = ("\n".join(dossier_view.lines(content)) for content in dossiers)
    answer(json.dumps(dossiers, indent=2) if chosen.json else "\n\n".join(texts))
    return 0


def _page(config: Config, key: Key) -> dict[str, str | None]:
    """Where MLflow compares the runs of an instrument; a tracking server is not asked, as that takes seconds."""
    from src.inspection.run_links import comparison
    from src.tracking.location import store_location

    found = None
    with contextlib.suppress(StageError):
        if config.tracking.enabled and not store_location(config.tracking).is_server:
            found = comparison(config, key)
    return {"compare": found[1] if found else None}


def _parser() -> argparse.ArgumentParser:
    purpose = (__doc__ or "").partition("\n\n")[2]
    parser = argparse.ArgumentParser(prog="python -m src.data", description=purpose)
    parser.add_argument("words", nargs="*", metavar="instrument or key=value", help="AAPL, stock:AAPL, universe=full")
    parser.add_argument("--bars", type=_bar_count, default=10, metavar="N", help="how many of the last bars (10)")
    parser.add_argument("--json", action="store_true", help="plain values, a list with one object an instrument")
    return parser


def _bar_count(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"must be a whole number, 0 or more, got {text}: 10 is the usual value")
    return int(text)


if __name__ == "__main__":
    from src.runtime.command import run_command

    run_command(data)
