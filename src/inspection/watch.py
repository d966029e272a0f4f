"""Show where the stages stand, once or again and again: as a picture, plain lines or JSON."""

from __future__ import annotations

import datetime as dt
import json
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from src.core.errors import StageError
from src.runtime.terminal import answer, notice

if TYPE_CHECKING:
    from rich.console import Console, Group

    from src.config.paths import DatasetPaths
    from src.config.schema import SourceConfig, UniverseConfig
    from src.tracking.settings import TrackedDataset

_TRIES = 5  # to read the files, as one may be replaced at that moment
Json = dict[str, Any]


def look(
    paths: DatasetPaths, universe: UniverseConfig, source: SourceConfig, tracked: TrackedDataset | None = None
) -> Json:
    """Read where the stages stand, and try again if a file is replaced while it is read.

    Parameters
    ----------
    paths : DatasetPaths
    universe : UniverseConfig
    source : SourceConfig
    tracked : TrackedDataset, optional
        Where the champions are.

    Returns
    -------
    dict
        From `src.inspection.overview.overview`; if a file can't be read, ``reason`` alone.
    """
    from polars.exceptions import PolarsError

    from src.inspection.overview import overview

    reason = ""
    for _ in range(_TRIES):
        try:
            return overview(paths, universe, source, dt.datetime.now(dt.UTC), tracked)
        except StageError as error:
            reason = str(error)
        except (OSError, PolarsError, ValueError) as error:
            reason = f"a file can't be read: {type(error).__name__}: {str(error).partition(chr(10))[0]}"
        time.sleep(0.1)
    return {"reason": reason}


def show(overview: Json, *, as_json: bool) -> int:
    """Write an overview to standard output.

    Parameters
    ----------
    overview : dict
        From `look`.
    as_json : bool
        As one JSON object instead of a picture.

    Returns
    -------
    int
        The exit status: 1 if a file could not be read, which is written to standard error.
    """
    from src.inspection import status_view
    from src.runtime.progress import terminal

    if "reason" in overview:
        notice(f"status: {overview['reason']}")
        return 1
    console = terminal(sys.stdout)
    if as_json:
        answer(json.dumps(overview, indent=2))
    elif console is None:
        answer(status_view.text(overview).rstrip("\n"))
    else:
        _print(console, status_view.picture(overview))
    return 0


def watch(read: Callable[[], Json], seconds: float, *, as_json: bool) -> None:
    """Show each overview until Ctrl+C.

    Parameters
    ----------
    read : callable
        Returns an overview, see `look`.
    seconds : float
        Between two overviews.
    as_json : bool
        One JSON object a line. Otherwise a terminal shows a picture that is redrawn in place, and anything else gets a
        line whenever something changed.

    Raises
    ------
    KeyboardInterrupt
        On Ctrl+C.
    """
    from src.runtime.progress import terminal

    console = terminal(sys.stdout)
    if as_json:
        while True:
            answer(json.dumps(read()))
            time.sleep(seconds)
    elif console is None:
        _write_changes(read, seconds)
    else:
        _redraw(read, seconds, console)


def _write_changes(read: Callable[[], Json], seconds: float) -> None:
    from src.inspection import status_view

    before = ""
    while True:
        line = status_view.sentence(read())
        content = line.partition(" ")[2]  # without the time
        if content != before:
            answer(line)
        before = content
        time.sleep(seconds)


def _redraw(read: Callable[[], Json], seconds: float, console: Console) -> None:
    """Redraw on the terminal's alternate screen, as `top` does; the last picture stays on the main one."""
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
                last = status_view.picture(read())
                live.update(status_view.Fitted(last, f"every {seconds:g} s; Ctrl+C ends"), refresh=True)
                time.sleep(seconds)
    finally:
        _print(console, last)


def _print(console: Console, picture: Group) -> None:
    """Print whole lines; the terminal wraps them, so that they can be copied."""
    from src.inspection import status_view

    console.width = status_view.WIDE
    console.print(picture)
