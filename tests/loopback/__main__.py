"""``python -m tests.loopback --symbols 300``: the loopback world as a process; prints its addresses as one JSON line.

It ends when its standard input does (with the parent that holds it), or after ``--seconds``.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import csv
import datetime as dt
import json
import sys
import tempfile
import threading
from pathlib import Path

from tests.loopback.control import Control
from tests.loopback.faults import Faults, Storm
from tests.loopback.providers import Providers
from tests.loopback.server import Proxy, certificate
from tests.loopback.world import World


def arguments() -> argparse.Namespace:
    """Parser of the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.loopback", description=__doc__)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--symbols", type=int, default=300, help="invented stocks, ETFs and coins together")
    parser.add_argument("--named", type=Path, help="CSV with asset_class and symbol of further instruments")
    parser.add_argument(
        "--now", type=dt.datetime.fromisoformat, help="the world's clock, UTC; the machine's where absent"
    )
    parser.add_argument("--faults", type=float, default=0.0, help="share of the symbols that have one")
    parser.add_argument("--storm", action="append", default=[], help="provider:after:refusals[:retry-after seconds]")
    parser.add_argument("--retry-after", type=float, default=1.0, help="seconds that a lone 429 names")
    parser.add_argument("--folder", type=Path, help="where the certificate is written; a temporary one where absent")
    parser.add_argument("--seconds", type=float, default=3600, help="at most")
    return parser.parse_args()


async def serve(options: argparse.Namespace, folder: Path) -> None:
    """Serve until the parent is gone or the time is over."""
    now = options.now.replace(tzinfo=dt.UTC) if options.now else dt.datetime.now(dt.UTC).replace(microsecond=0)
    world = World(options.seed, options.symbols, now, named(options.named))
    faults = Faults(world, options.faults, storms(options), options.retry_after)
    providers = Providers(world, faults)
    path, context = certificate(folder, tuple(providers.hosts))
    port = await Proxy(tuple(providers.hosts), context, providers.answer).start()
    control = await Control(providers).start()
    said = {"proxy": f"http://127.0.0.1:{port}", "control": f"http://127.0.0.1:{control}/control"}
    said |= {"ca_file": str(path), "now": now.isoformat()}
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    threading.Thread(target=until_end, args=(loop, over), daemon=True).start()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(over.wait(), options.seconds)


def storms(options: argparse.Namespace) -> tuple[Storm, ...]:
    """Storms from the command line."""
    found = []
    for each in options.storm:
        provider, after, refusals, *named_seconds = each.split(":")
        found.append(Storm(provider, int(after), int(refusals), float(named_seconds[0]) if named_seconds else None))
    return tuple(found)


def until_end(loop: asyncio.AbstractEventLoop, over: asyncio.Event) -> None:
    """Wait for the end of standard input, which means that the parent is gone."""
    while sys.stdin.buffer.read(4096):
        pass
    loop.call_soon_threadsafe(over.set)


def named(path: Path | None) -> tuple[tuple[str, str], ...]:
    """Instruments of a list, whose comment lines begin with #."""
    if path is None:
        return ()
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    return tuple((row["asset_class"], row["symbol"]) for row in csv.DictReader(lines))


if __name__ == "__main__":
    options = arguments()
    if options.folder:
        asyncio.run(serve(options, options.folder))
    else:
        with tempfile.TemporaryDirectory() as made:
            asyncio.run(serve(options, Path(made)))
