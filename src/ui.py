"""MLflow's pages on the project's runs and models: ``python -m src.ui``; Ctrl+C ends it.

The server listens on this machine only, has one worker, unpickles nothing and sends no telemetry. Files of models can't
be changed through it. ``port=5001`` takes another port, ``tracking.uri=sqlite:///<file>`` another store.

``host=0.0.0.0`` lets other machines in, with the password of ``admin``: the variable ``MLFLOW_AUTH_ADMIN_PASSWORD`` or
the file ``mlruns/auth/password``. The server speaks HTTP: on a network that you do not trust, put a proxy with TLS in
front of it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable

from src.config.schema import TrackingConfig
from src.core.errors import ConfigError, StageError
from src.runtime.redaction import remember_arguments, remember_environment
from src.runtime.terminal import answer, notice
from src.tracking.location import store_location
from src.tracking.server import HOST, PORT, serve

_ADDRESS = re.compile(r"[A-Za-z0-9:\[][A-Za-z0-9.:\[\]-]*")


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
        tracking, port, host = parse(arguments)
        return serve(store_location(tracking), port, notice, host)
    except ConfigError as error:
        notice(f"ui: {error}")
        return 2
    except StageError as error:
        notice(f"ui: {error}")
        return 1


def parse(arguments: Iterable[str]) -> tuple[TrackingConfig, int, str]:
    """Take the store, the port and the address to listen at from ``key=value`` arguments.

    Raises
    ------
    ConfigError
        For any other argument.
    """
    tracking, port, host = TrackingConfig(), PORT, HOST
    for argument in arguments:
        key, _, value = argument.partition("=")
        if key == "port" and value.isdigit() and 0 < int(value) < 65536:
            port = int(value)
        elif key == "host" and _ADDRESS.fullmatch(value):
            host = value
        elif key in ("tracking.uri", "tracking.artifacts") and value:
            setattr(tracking, key.removeprefix("tracking."), value)
        else:
            raise ConfigError(f"ui takes host=<address>, port=<number> and tracking.uri=<store>, got {argument}")
    return tracking, port, host


if __name__ == "__main__":
    sys.exit(ui(sys.argv[1:]))
