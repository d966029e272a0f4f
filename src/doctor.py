"""Check this machine and say what has to be fixed: ``python -m src.doctor [key=value ...] [--json]``.

Nothing is changed; of a live source, each host is asked for its first page. Exit status 0 if all is well or merely
worth knowing, 1 if something has to be fixed first; each such line names the remedy.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path

from src.config.paths import main_root
from src.config.schema import Config
from src.core.errors import ConfigError
from src.inspection import connections, daily_view, dataset_counts, diagnostics, journal_view, research_sources
from src.inspection.diagnostics import Finding, format_findings, run_checks
from src.runtime.redaction import remember_arguments, remember_environment, remember_settings
from src.runtime.terminal import answer


def doctor(arguments: list[str]) -> int:
    """Print the findings, one line each.

    Parameters
    ----------
    arguments : list of str
        As typed.

    Returns
    -------
    int
        The exit status.
    """
    parser = argparse.ArgumentParser(prog="python -m src.doctor", description=__doc__.split("\n\n")[0])
    help_text = "as for a stage: source=folder source.path=..."
    parser.add_argument("overrides", nargs="*", metavar="key=value", help=help_text)
    parser.add_argument("--json", action="store_true", help="the findings as JSON")
    chosen = parser.parse_args(arguments)
    remember_environment()
    remember_arguments(chosen.overrides)
    findings = examine(chosen.overrides)
    as_json = json.dumps([asdict(finding) for finding in findings], indent=2)
    answer(as_json if chosen.json else format_findings(findings))
    return 1 if any(finding.state == "bad" for finding in findings) else 0


def examine(overrides: list[str]) -> list[Finding]:
    """Check the configuration, then the machine; the machine with the defaults if the configuration is wrong.

    Parameters
    ----------
    overrides : list of str
        Settings as ``key=value``.
    """
    from src.config.compose import compose

    try:
        config = compose(overrides)
    except ConfigError as error:
        return [Finding("configuration", "bad", str(error)), *run_checks(checks(Config()))]
    remember_settings(config)
    message = f"universe={config.dataset} source={config.source.kind} model={config.model.family}"
    return [Finding("configuration", "ok", message), *run_checks(checks(config))]


def checks(config: Config) -> dict[str, Callable[[], Finding]]:
    """All checks, with the settings that they need.

    Parameters
    ----------
    config : Config

    Returns
    -------
    dict
        Functions without arguments, by the name of the finding.
    """
    from src.config.compose import families

    root = config.paths.root
    folders = [root, Path(config.data.logs), config.paths.reports_root, main_root() / "mlruns"]
    return {
        "Python": diagnostics.python,
        "packages": diagnostics.packages,
        "registry gate": connections.gate,
        "disk": partial(diagnostics.disk, root),
        "memory": partial(diagnostics.memory, config.engine),
        "device": partial(diagnostics.device, config.model.device, partial(families, config), config.engine),
        "writing": partial(diagnostics.writing, folders),
        "paths": diagnostics.path_length,
        "proxy": partial(connections.proxy, config.source.live),
        "certificates": partial(connections.certificates, config.source.live),
        "network": partial(connections.hosts, config.source),
        "research": partial(research_sources.research, config.research, config.source.live),
        "clock": diagnostics.clock,
        "MLflow store": partial(connections.store, config.tracking),
        "registry": partial(connections.invariants, config),
        "source": partial(connections.source, config.source),
        "bars": partial(dataset_counts.bars, config),
        "runs": partial(dataset_counts.runs, config),
        "pooled": partial(dataset_counts.pooled, config),
        "journal": partial(journal_view.journal, config),
        "daily": partial(daily_view.daily, config),
        "versioning": diagnostics.versioning,
    }


if __name__ == "__main__":
    from src.core.project import ROOT

    os.chdir(ROOT)
    sys.exit(doctor(sys.argv[1:]))
