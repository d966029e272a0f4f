"""Where a dataset's bars come from: the source's fingerprint, the key of the job, and what may not be mixed or lost."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import json
from pathlib import Path
from typing import Any

import polars as pl

from src.config.schema import Config
from src.core.errors import ConfigError
from src.core.instruments import KEY
from src.hydration.validation import rules_hash
from src.market import universe
from src.market.bars import BarStore, Manifest
from src.sources import files, registry
from src.storage.atomic import read_json, write_json


def refuse_invented(config: Config) -> None:
    """Refuse invented bars for a universe of real ones.

    Raises
    ------
    ConfigError
        Unless ``universe.allow_simulated``.
    """
    if registry.is_simulated(config.source.kind) and not config.universe.allow_simulated:
        raise ConfigError(
            f"source={config.source.kind} makes invented bars, and universe={config.universe.name} is for real ones:"
            " name source=auto (live providers), or source=folder or source=stooq with source.path=<file or folder>, or"
            " set universe.allow_simulated=true"
        )


def job(config: Config, found: str) -> str:
    """Key of a hydration: the fingerprint `found`, the selection, the settings and the rules of validation."""
    return _hash([found, _settings(config), rules_hash()])


def refuse_other_source(config: Config, manifest: Manifest) -> None:
    """Refuse to mix two sources, and so two adjustment bases, in one dataset.

    Raises
    ------
    ConfigError
        Naming what the dataset holds and the ways out.
    """
    name = f"dataset {config.dataset} holds bars from source={manifest.source}"
    path = f" source.path={manifest.path}" if manifest.path else ""
    remedy = f"name source={manifest.source}{path}, choose another universe.name, or replace it with fresh=true"
    if manifest.source != config.source.kind:
        raise ConfigError(f"{name}, not {config.source.kind}: {remedy}")
    if manifest.interval != config.universe.interval:
        raise ConfigError(f"{name} at {manifest.interval}, not {config.universe.interval}: {remedy}")
    if manifest.basis != config.source.basis:
        raise ConfigError(f"{name} with source.basis={manifest.basis}, not {config.source.basis}: {remedy}")
    if manifest.path and files.located(config.source.path) != _former(manifest.path):
        raise ConfigError(f"{name}{path}, not {config.source.path}: {remedy}")


def _former(path: str) -> Path:
    try:
        return files.located(path)
    except ConfigError:
        return Path(path)


def refuse_loss(config: Config, store: BarStore, chosen: pl.DataFrame) -> None:
    """Refuse a selection, or an earlier last date, that would drop what a dataset holds.

    Raises
    ------
    ConfigError
        Naming some of them and the ways out.
    """
    if not store.exists():
        return
    last, until = store.instruments()["last"].max(), store.manifest.until
    if config.data.until is not None and isinstance(last, dt.date) and last > dt.date.fromisoformat(config.data.until):
        raise ConfigError(
            f"data.until={config.data.until}: dataset {config.dataset} holds bars to {until or last}, which would be"
            " cut off: train on fewer with split.until, choose another universe.name, or replace it with fresh=true"
        )
    out = store.instruments().filter(pl.col("state") == "done").join(chosen.filter("included"), on=KEY, how="anti")
    if out.height:
        names = ", ".join(f"{kind}:{symbol}" for kind, symbol in out.select(KEY).head(3).rows())
        raise ConfigError(
            f"dataset {config.dataset} holds {out.height:,} instruments that this selection leaves out"
            f" ({names}{', ...' if out.height > 3 else ''}): narrow a stage with only=[...], give the selection a name"
            " of its own with universe.name=<name>, or replace the dataset with fresh=true"
        )


def fingerprint(config: Config) -> str:
    """Hash of the source's content; where no file's name, size or time changed, the one found last time."""
    paths = registry.source_files(config.source)
    reading = _reading(config)
    if not paths:
        return files.fingerprint([], reading)
    path = Path(config.data.root) / "cache" / f"hydrate-{config.dataset}.json"
    mark = _hash([files.stamp(paths), reading])
    if path.is_file() and (known := read_json(path))["stamp"] == mark:
        return str(known["fingerprint"])
    found = files.fingerprint(paths, reading)
    write_json({"stamp": mark, "fingerprint": found}, path)
    return found


def _settings(config: Config) -> dict[str, Any]:
    """What decides the content of a dataset beside the source's files."""
    names = universe.content(config.universe)
    split = {key: getattr(config.split, key) for key in ("anchor", "fold_months", "first_train_bars")}
    return {"universe": names, "until": config.data.until, "split": split, "basis": config.source.basis}


def _reading(config: Config) -> dict[str, Any]:
    source = dataclasses.asdict(config.source)
    source.pop("path")
    source.pop("live")
    if registry.is_live(config.source.kind):
        source["archives"] = registry.archives(config.source)
    if not registry.is_simulated(config.source.kind):
        source.pop("simulated")
    return source


def _hash(value: Any) -> str:
    return hashlib.blake2b(json.dumps(value, sort_keys=True).encode(), digest_size=16).hexdigest()
