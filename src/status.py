"""Say where every stage stands: ``python -m src.status [universe=full] [--watch] [--every 5] [--json]``.

Done, pending, failed, quarantined and skipped by asset class, what runs now, its rate and the time left, what went
wrong by kind, how fresh the bars are, what passed. It only reads, and may run beside any other command. With --watch
the picture is redrawn until Ctrl+C; --json prints one object (with --watch one a line), told in docs/status.md.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from src.core.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console, Group

    from src.config.schema import Config

_TRIES = 5  # of a look, where a file is replaced at that moment
Picture = dict[str, Any]


def status(arguments: Sequence[str]) -> int:
    """Show where the stages stand; return the exit status."""
    chosen = _parser().parse_intermixed_args(list(arguments))
    from src.config.compose import compose

    try:
        config = compose(chosen.overrides)
    except ConfigError as error:
        sys.stderr.write(f"status: {error}\n")
        return 2
    if not chosen.watch:
        return _show(look(config), chosen.json)
    try:
        _watch(lambda: look(config), chosen.every, chosen.json)
    except KeyboardInterrupt:
        return 130
    return 0


def look(config: Config) -> Picture:
    """Look once; where a file goes away while it is read, look again.

    Returns
    -------
    dict
        As told in docs/status.md; `problem` alone, in words, where a file can't be read.
    """
    from polars.exceptions import PolarsError

    from src.core.errors import StageError
    from src.inspection.overview import overview

    words = ""
    for _ in range(_TRIES):
        try:
            return overview(config, dt.datetime.now(dt.UTC))
        except StageError as error:
            words = str(error)
        except (OSError, PolarsError, ValueError) as error:
            words = f"a file can't be read: {type(error).__name__}: {str(error).partition(chr(10))[0]}"
        time.sleep(0.1)
    return {"problem": words}


def _watch(look: Callable[[], Picture], every: float, as_json: bool) -> None:
    """Show each look until Ctrl+C: redrawn in place on a terminal, else one line whenever something changed."""
    from src.runtime.progress import terminal

    console = terminal(sys.stdout)
    if as_json:
        while True:
            _write(json.dumps(look()))
            time.sleep(every)
    elif console is None:
        _write_changes(look, every)
    else:
        _redraw(look, every, console)


def _write_changes(look: Callable[[], Picture], every: float) -> None:
    from src.inspection import status_view

    before = ""
    while True:
        line = status_view.sentence(look())
        if line.partition(" ")[2] != before:
            _write(line)
        before = line.partition(" ")[2]
        time.sleep(every)


def _redraw(look: Callable[[], Picture], every: float, console: Console) -> None:
    """Redraw on the terminal's other screen, as `top` does; the last picture stays on the usual one."""
    from rich.console import Group
    from rich.live import Live

    from src.inspection import status_view

    last = Group()
    live = Live(
        console=console, screen=True, transient=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False
    )
    try:
        with live:
            while True:
                last = status_view.picture(look())
                live.update(status_view.Fitted(last, f"every {every:g} s; Ctrl+C ends"), refresh=True)
                time.sleep(every)
    finally:
        _print(console, last)


def _show(found: Picture, as_json: bool) -> int:
    from src.inspection import status_view
    from src.runtime.progress import terminal

    if "problem" in found:
        sys.stderr.write(f"status: {found['problem']}\n")
        return 1
    console = terminal(sys.stdout)
    if as_json:
        _write(json.dumps(found, indent=2))
    elif console is None:
        _write(status_view.text(found).rstrip("\n"))
    else:
        _print(console, status_view.picture(found))
    return 0


def _print(console: Console, picture: Group) -> None:
    """Print whole lines; the terminal wraps them, so that they can be copied."""
    from src.inspection import status_view

    console.width = status_view.WIDE
    console.print(picture)


def _write(words: str) -> None:
    sys.stdout.write(words + "\n")
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    purpose = (__doc__ or "").partition("\n\n")[2]
    parser = argparse.ArgumentParser(prog="python -m src.status", description=purpose)
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="as for a stage: universe=full data.root=...")
    parser.add_argument("--watch", action="store_true", help="look again and again, until Ctrl+C")
    parser.add_argument("--every", type=_seconds, default=5.0, metavar="SECONDS", help="between two looks (5)")
    parser.add_argument("--json", action="store_true", help="plain values, as told in docs/status.md")
    return parser


def _seconds(text: str) -> float:
    value = float(text)
    if not 0.2 <= value <= 86_400:
        raise argparse.ArgumentTypeError(f"must be from 0.2 to 86,400 seconds, got {text}: 5 is the usual value")
    return value


if __name__ == "__main__":
    from src.runtime.command import run_command

    run_command(status)
