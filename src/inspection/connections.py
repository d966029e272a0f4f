"""Checks of what the project connects to: source of bars, network, MLflow's store and its gate."""

from __future__ import annotations

import os
import sqlite3
import ssl
from contextlib import closing
from pathlib import Path

from src.config.schema import Config, LiveSource, SourceConfig, TrackingConfig
from src.core.errors import ConfigError, StageError
from src.fetching import network
from src.fetching.obstacle import REMEDIES
from src.fetching.reach import unreached
from src.inspection.diagnostics import Finding
from src.runtime.disk_space import format_bytes
from src.runtime.redaction import masked_address
from src.tracking.duplicates import SUPERSEDED
from src.tracking.environment import gated_schemes, require_gate
from src.tracking.errors import TrackingError
from src.tracking.location import store_location
from src.tracking.registry_gate import GateRefusal
from src.tracking.verdict import PLACEBO

_BROKEN_SHOWN = 20
_DIRECTORY = "www.nasdaqtrader.com"  # of the symbol directory, beside the providers' hosts
_RUNS = f"""
    SELECT CASE
        WHEN lifecycle_stage <> 'active' THEN 'deleted'
        WHEN record IS NULL THEN 'without a record, as sessions are'
        WHEN arm = '{PLACEBO}' THEN 'placebo'
        WHEN superseded <> '' THEN 'superseded'
        ELSE 'graded' END, COUNT(*)
    FROM (
        SELECT r.lifecycle_stage,
            (SELECT value FROM tags WHERE run_uuid = r.run_uuid AND key = 'alpha.record_id') AS record,
            (SELECT value FROM tags WHERE run_uuid = r.run_uuid AND key = 'arm') AS arm,
            COALESCE((SELECT value FROM tags WHERE run_uuid = r.run_uuid AND key = '{SUPERSEDED}'), '') AS superseded
        FROM runs r
    ) GROUP BY 1
"""


def gate() -> Finding:
    """MLflow finds the gated registry store; without it the registry would accept any model."""
    try:
        require_gate()
    except TrackingError as error:
        return Finding("registry gate", "bad", str(error))
    return Finding("registry gate", "ok", f"active for MLflow's registry ({', '.join(gated_schemes())})")


def proxy(live: LiveSource) -> Finding:
    """The proxy of live sources has a valid address; nothing is sent to it, and its password is not shown.

    Parameters
    ----------
    live : LiveSource
    """
    try:
        address = network.proxy(live)
    except ConfigError as error:
        return Finding("proxy", "bad", str(error))
    setting = network.named_proxy(live)
    if address is None or setting is None:
        return Finding("proxy", "ok", "none: live sources are reached directly")
    message = f"{setting[0]}={masked_address(address)}: the address is valid; whether it answers shows when hydrating"
    return Finding("proxy", "note", message)


def certificates(live: LiveSource) -> Finding:
    """The file of certificates that live sources are checked against can be read.

    Parameters
    ----------
    live : LiveSource
    """
    settings = [("source.live.ca_file", live.ca_file), *((name, os.environ.get(name)) for name in network.BUNDLES)]
    missing = [f"{name}={file}" for name, file in settings if file and not Path(file).expanduser().is_file()]
    if missing:
        return Finding("certificates", "bad", f"there is no file {', '.join(missing)}: correct or unset it")
    import certifi

    file = network.ca_file(live) or certifi.where()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(file)
    except ssl.SSLError as error:
        return Finding("certificates", "bad", f"{file} holds no certificates (PEM): {error}: name another file")
    count = context.cert_store_stats()["x509_ca"]
    state = "ok" if count else "bad"
    return Finding("certificates", state, f"{count} authorities in {file}" if count else f"no authority in {file}")


def store(tracking: TrackingConfig) -> Finding:
    """MLflow's database opens and is not locked.

    Parameters
    ----------
    tracking : TrackingConfig
    """
    try:
        database = store_location(tracking).database
    except StageError as error:
        return Finding("MLflow store", "bad", str(error))
    if database is None:
        return Finding("MLflow store", "ok", masked_address(tracking.uri))
    if not database.exists():
        return Finding("MLflow store", "ok", f"{database} is made by the first training")
    try:
        with closing(sqlite3.connect(database, timeout=2)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.rollback()
            runs = connection.execute(_RUNS).fetchall()
    except sqlite3.Error as error:
        remedy = "close the program that holds it, or restore the file"
        return Finding("MLflow store", "bad", f"{database}: {error}; {remedy}")
    size = format_bytes(database.stat().st_size)
    return Finding("MLflow store", "ok", f"{_counted(dict(runs))} in {database} ({size})")


def _counted(runs: dict[str, int]) -> str:
    """Runs that show a grade, as the report counts them, apart from the store's other rows."""
    graded = runs.pop("graded", 0)
    others = ", ".join(f"{n:,} {kind}" for kind, n in sorted(runs.items()))
    return f"{graded:,} graded run{'' if graded == 1 else 's'}" + (f" (beside them {others})" if others else "")


def invariants(config: Config) -> Finding:
    """Registry, MLflow's runs and data/runs agree.

    Parameters
    ----------
    config : Config
    """
    from src.inspection.invariants import check

    try:
        location = store_location(config.tracking)
        broken = check(config)
    except (ConfigError, StageError, GateRefusal) as error:
        return Finding("registry", "bad", str(error))
    if broken:
        lines = [f"\n      {each}" for each in broken[:_BROKEN_SHOWN]]
        more = f"\n      and {len(broken) - _BROKEN_SHOWN:,} more" if len(broken) > _BROKEN_SHOWN else ""
        head = f"{len(broken):,} of what must hold between registry, runs and data/runs does not:"
        return Finding("registry", "bad", f"{head}{''.join(lines)}{more}")
    if location.is_server and config.tracking.enabled:
        message = "data/runs is whole; run this on the server's machine, with tracking.uri=<its database>, for the rest"
        return Finding("registry", "note", message)
    return Finding("registry", "ok", f"registry, runs and data/runs of {config.dataset} agree")


def hosts(settings: SourceConfig) -> Finding:
    """Every host that the configured source asks can be reached from here; one small request goes to each.

    Parameters
    ----------
    settings : SourceConfig
    """
    from src.sources import registry

    if not registry.is_live(settings.kind):
        return Finding("network", "ok", f"source={settings.kind} needs none")
    try:
        links = dict.fromkeys(link for chain in settings.live.chain.values() for link in chain)
        asked = [host for name, provider in registry.providers(links) for host in provider.hosts(name)]
        return Finding("network", *reached([*asked, _DIRECTORY], settings.live))
    except ConfigError as error:
        return Finding("network", "bad", str(error))


def reached(asked: list[str], live: LiveSource) -> tuple[str, str]:
    """Ask hosts for their first page; returns the state and the message of a finding.

    Parameters
    ----------
    asked : list of str
        Hosts, at least one.
    live : LiveSource
        Proxy and certificates.

    Raises
    ------
    ConfigError
        If these are invalid.
    """
    faults = unreached(asked, live)
    count = f"{len(asked)} host{'' if len(asked) == 1 else 's'}"
    if not faults:
        return "ok", f"{count} answer{'s' if len(asked) == 1 else ''}: {', '.join(asked)}"
    remedies = {host: REMEDIES[error.obstacle] for host, error in faults.items()}
    lines = [f"\n      {host}: {each.words}; {each.action} ({faults[host]})" for host, each in remedies.items()]
    everywhere = len(faults) == len(asked)
    whole = "no host answers, so it is the network" if everywhere else "the others answer, so it is not the network"
    return "bad", f"{len(faults)} of {count} not reached; {whole}:{''.join(lines)}"


def source(settings: SourceConfig) -> Finding:
    """The configured source of bars exists.

    Parameters
    ----------
    settings : SourceConfig
    """
    from src.sources import registry

    kind = settings.kind
    if registry.is_simulated(kind):
        return Finding("source", "ok", f"{kind}: bars are invented here, no network and no files needed")
    if registry.is_live(kind):
        return Finding("source", "note", f"{kind}: reached when hydrating")
    try:
        files = registry.source_files(settings)
    except (ConfigError, StageError) as error:
        return Finding("source", "bad", f"{kind}: {error}")
    size = format_bytes(sum(file.stat().st_size for file in files))
    count = f"{len(files):,} file{'' if len(files) == 1 else 's'}"
    return Finding("source", "ok", f"{kind}: {count}, {size}, in {settings.path}")
