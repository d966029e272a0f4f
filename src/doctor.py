"""Look at this machine and say in words what is in the way: ``python -m src.doctor [key=value ...] [--json]``.

Nothing is changed and nothing is fetched. Exit status 0 where all is well or merely worth knowing, 1 where something
must be mended first; each such line names the remedy.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterable
from dataclasses import asdict

from src.config.schema import Config
from src.core.errors import ConfigError
from src.inspection.diagnostics import CHECKS, Finding, of_configuration

_MARKS = {"ok": "ok  ", "note": "note", "bad": "BAD "}


def examine(config: Config, checks: Iterable[Callable[[Config], Finding]] = CHECKS) -> list[Finding]:
    """Run every check; one that breaks is itself a finding and hides none of the others."""
    return [_run(check, config) for check in checks]


def doctor(arguments: list[str]) -> int:
    """Print the findings, one line each, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m src.doctor", description=__doc__.split("\n\n")[0])
    parser.add_argument(
        "overrides", nargs="*", metavar="key=value", help="as for a stage: source=folder source.path=..."
    )
    parser.add_argument("--json", action="store_true", help="the findings as JSON")
    chosen = parser.parse_args(arguments)
    findings = _findings(chosen.overrides)
    bad = [found for found in findings if found.state == "bad"]
    if chosen.json:
        sys.stdout.write(json.dumps([asdict(found) for found in findings], indent=2) + "\n")
    else:
        for found in findings:
            sys.stdout.write(f"{_MARKS[found.state]}  {found.name:<14}{found.words}\n")
        sys.stdout.write(_verdict(bad))
    return 1 if bad else 0


def _findings(overrides: list[str]) -> list[Finding]:
    from src.config.compose import compose

    try:
        config = compose(overrides)
    except ConfigError as error:
        return [Finding("configuration", "bad", str(error)), *examine(Config())]
    return [of_configuration(config), *examine(config)]


def _run(check: Callable[[Config], Finding], config: Config) -> Finding:
    try:
        return check(config)
    except (OSError, ValueError, ImportError, ArithmeticError, LookupError) as error:
        return Finding(check.__name__, "bad", f"could not be looked at: {type(error).__name__}: {error}")


def _verdict(bad: list[Finding]) -> str:
    if not bad:
        return "doctor: nothing is in the way\n"
    return f"doctor: {len(bad)} to mend first: {', '.join(found.name for found in bad)}\n"


if __name__ == "__main__":
    from src.core.project import ROOT

    os.chdir(ROOT)
    sys.exit(doctor(sys.argv[1:]))
