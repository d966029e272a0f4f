"""MLflow's pages on the project's runs and models: ``python -m src.ui [AAPL ...] [universe=full]``; Ctrl+C ends it.

It says where the runs of the dataset are, the strongest evidence first, and opens them in a browser when it is started
at a terminal with a display; ``open=false`` leaves the browser alone. A name such as ``AAPL`` or ``stock:AAPL`` adds
the page that compares the instrument's model families. ``universe=full`` chooses another dataset.

The server listens on this machine only, has one worker, unpickles nothing and sends no telemetry. Files of models can't
be changed through it. ``port=5001`` takes another port, ``tracking.uri=sqlite:///<file>`` another store.

``host=0.0.0.0`` lets other machines in, with the password of ``admin``: the variable ``MLFLOW_AUTH_ADMIN_PASSWORD`` or
the file ``mlruns/auth/password``. The server speaks HTTP: on a network that you do not trust, put a proxy with TLS in
front of it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from src.core.errors import ConfigError, StageError
from src.runtime.redaction import remember_arguments, remember_environment
from src.runtime.terminal import answer, notice
from src.tracking.location import store_location
from src.tracking.server import HOST, PORT, StartPage, has_browser, serve

if TYPE_CHECKING:
    from src.config.schema import Config

_ADDRESS = re.compile(r"[A-Za-z0-9:\[][A-Za-z0-9.:\[\]-]*")


@dataclass
class Request:
    """What was typed: where to listen, whether to open a browser, settings, and names of instruments."""

    port: int = PORT
    host: str = HOST
    opens: bool = True
    settings: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)


def ui(arguments: list[str]) -> int:
    """Run the command; exit status 0, 1 failed, 2 wrong usage.

    Parameters
    ----------
    arguments : list of str
        As typed.
    """
    remember_environment()
    remember_arguments(arguments)
    if any(argument in ("-h", "--help") for argument in arguments):
        answer(__doc__ or "")
        return 0
    try:
        request = parse(arguments)
        from src.config.compose import compose

        config = compose(request.settings)
        location = store_location(config.tracking)
        return serve(location, request.port, notice, request.host, _start_page(config, request))
    except ConfigError as error:
        notice(f"ui: {error}")
        return 2
    except StageError as error:
        notice(f"ui: {error}")
        return 1


def parse(arguments: Iterable[str]) -> Request:
    """Sort the arguments: ``host``, ``port`` and ``open`` are this command's own, other settings are the project's.

    Raises
    ------
    ConfigError
        For any other argument.
    """
    request = Request()
    for argument in arguments:
        key, _, value = argument.partition("=")
        if key == "port" and value.isdigit() and 0 < int(value) < 65536:
            request.port = int(value)
        elif key == "host" and _ADDRESS.fullmatch(value):
            request.host = value
        elif key == "open" and value in ("true", "false"):
            request.opens = value == "true"
        elif value and (key == "universe" or key.startswith(("universe.", "tracking.", "data."))):
            request.settings.append(argument)
        elif "=" not in argument and not argument.startswith("-"):
            request.names.append(argument)
        else:
            raise ConfigError(
                "ui takes names of instruments, universe=<name>, open=false, host=<address>, port=<number> and "
                f"tracking.uri=<store>, got {argument}"
            )
    return request


def _start_page(config: Config, request: Request) -> StartPage:
    """The pages of the datasets, and of the instruments that were named, which go first."""
    from src.inspection.run_links import dataset_lines
    from src.tracking.view_state import show_views

    location = store_location(config.tracking)
    if location.is_server or (location.database is not None and not location.database.exists()):
        return StartPage()  # `serve` says why there is nothing to show
    show_views(location)
    server = f"http://{request.host}:{request.port}"
    pages = [*_compared(config, request.names, server), *dataset_lines(config, server)]
    address = next((address for _, address in pages if address), "")
    opens = request.opens and request.host == HOST and has_browser()
    return StartPage(tuple(line for line, _ in pages), address, opens)


def _compared(config: Config, names: list[str], server: str) -> Iterator[tuple[str, str]]:
    from src.inspection.instrument import matching_keys
    from src.inspection.run_links import comparison

    for key in dict.fromkeys(
        key for name in names for key in matching_keys(config.paths, name, config.hydrate_command)
    ):
        found = comparison(config, key, server)
        if found is None:
            yield f"MLflow has no run of {key[0]}:{key[1]} in {config.dataset}", ""
        else:
            yield f"{found[0]} runs of {key[0]}:{key[1]} side by side: {found[1]}", found[1]


if __name__ == "__main__":
    sys.exit(ui(sys.argv[1:]))
