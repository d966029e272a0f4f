"""Where a dataset's bars come from: the source's fingerprint, the key of the job, and what may not be mixed or lost."""

from __future__ import annotations

import dataclasses
import datetime as dt
import functools
from pathlib import Path
from typing import Any

import polars as pl

from src.config.commands import setting, shell_word
from src.config.paths import DatasetPaths
from src.config.schema import SourceConfig, SplitConfig, UniverseConfig
from src.core.code_hash import code_digest
from src.core.errors import ConfigError
from src.core.hashing import json_digest
from src.core.instruments import KEY
from src.hydration.validation import rules_digest
from src.market import universe
from src.market.bars import BarStore, Manifest
from src.sources import files, registry
from src.storage.ledger import Ledger


def refuse_invented(source: SourceConfig, chosen: UniverseConfig) -> None:
    """Refuse simulated bars for a universe of real instruments.

    Parameters
    ----------
    source, chosen
        Sections of the configuration.

    Raises
    ------
    ConfigError
        Unless ``universe.allow_simulated``.
    """
    if registry.is_simulated(source.kind) and not chosen.allow_simulated:
        raise ConfigError(
            f"source={source.kind} makes invented bars, and universe={chosen.name} is for real ones:"
            " name source=auto (live providers), or source=folder or source=stooq with source.path=<file or folder>, or"
            " set universe.allow_simulated=true"
        )


def refuse_other_source(manifest: Manifest, dataset: str, source: SourceConfig, interval: str) -> None:
    """Refuse to mix two sources, and so two adjustment bases, in one dataset.

    Parameters
    ----------
    manifest : Manifest
        Of the existing dataset.
    dataset : str
        Its name.
    source : SourceConfig
        The source that is configured now.
    interval : str
        The interval that is configured now.

    Raises
    ------
    ConfigError
        If source, interval, basis or path differ. The message says what the dataset holds and what to do.
    """
    name = f"dataset {dataset} holds bars from source={manifest.source}"
    path = f" {shell_word(setting('source.path', manifest.path))}" if manifest.path else ""
    remedy = f"name source={manifest.source}{path}, choose another universe.name, or replace it with fresh=true"
    if manifest.source != source.kind:
        raise ConfigError(f"{name}, not {source.kind}: {remedy}")
    if manifest.interval != interval:
        raise ConfigError(f"{name} at {manifest.interval}, not {interval}: {remedy}")
    if manifest.basis != source.basis:
        raise ConfigError(f"{name} with source.basis={manifest.basis}, not {source.basis}: {remedy}")
    if manifest.path and files.located(source.path) != _located(manifest.path):
        raise ConfigError(f"{name}{path}, not {source.path}: {remedy}")


def refuse_loss(store: BarStore, chosen: pl.DataFrame, dataset: str, until: str | None) -> None:
    """Refuse a selection, or an earlier last date, that would drop what a dataset holds.

    Parameters
    ----------
    store : BarStore
        Of the dataset; it may be empty.
    chosen : DataFrame
        The selection: asset_class, symbol, included.
    dataset : str
        Name of the dataset.
    until : str, optional
        ``data.until``.

    Raises
    ------
    ConfigError
        The message names some of the instruments and says what to do.
    """
    if not store.exists():
        return
    last, former = store.instruments()["last"].max(), store.manifest.until
    if until is not None and isinstance(last, dt.date) and last > dt.date.fromisoformat(until):
        raise ConfigError(
            f"data.until={until}: dataset {dataset} holds bars to {former or last}, which would be"
            " cut off: train on fewer with split.until, choose another universe.name, or replace it with fresh=true"
        )
    out = store.instruments().filter(pl.col("state") == "done").join(chosen.filter("included"), on=KEY, how="anti")
    if out.height:
        names = ", ".join(f"{kind}:{symbol}" for kind, symbol in out.select(KEY).head(3).rows())
        raise ConfigError(
            f"dataset {dataset} holds {out.height:,} instruments that this selection leaves out"
            f" ({names}{', ...' if out.height > 3 else ''}): narrow a stage with only=[...], give the selection a name"
            " of its own with universe.name=<name>, or replace the dataset with fresh=true"
        )


def fingerprint(source: SourceConfig, paths: DatasetPaths) -> str:
    """Hash of the source's content.

    Parameters
    ----------
    source : SourceConfig
        Where bars come from.
    paths : DatasetPaths
        The fingerprint is kept there: as long as name, size and time of every file stay the same, the files are not
        read again.

    Returns
    -------
    str
        Hexadecimal digits.
    """
    paths_read = registry.source_files(source)
    settings = _reading_settings(source)
    if not paths_read:
        return files.fingerprint([], settings)
    known, name = Ledger(paths.fingerprint.parent), paths.fingerprint.stem
    key = json_digest([files.stamp(paths_read), settings])
    if known.done(name, key):
        return str(known.fact(name, "fingerprint"))
    made = files.fingerprint(paths_read, settings, _located(source.path).resolve())
    known.record(name, key, fingerprint=made)
    return made


def job_key(made_from: str, chosen: UniverseConfig, split: SplitConfig, source: SourceConfig, until: str | None) -> str:
    """Key of a hydration: what decides the content of the dataset.

    Parameters
    ----------
    made_from : str
        The source's `fingerprint`.
    chosen, split, source
        Sections of the configuration.
    until : str, optional
        ``data.until``.

    Returns
    -------
    str
        Hash of the fingerprint, the selection, the settings and the code of validation.
    """
    folds = {key: getattr(split, key) for key in ("anchor", "fold_months", "first_train_bars")}
    settings = {"universe": universe.content(chosen), "until": until, "split": folds, "basis": source.basis}
    return json_digest([made_from, settings, rules_digest()])


def _located(path: str) -> Path:
    try:
        return files.located(path)
    except ConfigError:
        return Path(path)


@functools.cache
def _reader_digest(kind: str) -> str:
    """Hash of the code that reads a source's files; when it changes, they are read again."""
    return code_digest(registry.file_source(kind).bars)


def _reading_settings(source: SourceConfig) -> dict[str, Any]:
    """Settings that decide what is read from the source's files."""
    settings = dataclasses.asdict(source)
    settings.pop("path")
    settings.pop("live")
    if registry.is_live(source.kind):
        settings["archives"] = registry.archives(source)
    if not registry.is_simulated(source.kind):
        settings.pop("simulated")
    if not registry.is_live(source.kind):
        settings["reader"] = _reader_digest(source.kind)
    return settings
