"""Settings that `hydrate` has decided: a later stage honours them, or refuses them, and never ignores one.

Which instruments a dataset has, where its bars come from and where they end is decided when it is hydrated, and what is
typed for a later stage must agree with that. ``universe.symbols`` and ``universe.file`` narrow it as ``only`` does.
`src.training.session_choices` says the same of what `train` has decided.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import polars as pl

from src.config.commands import command, typed_keys
from src.config.constraints import values
from src.config.schema import Config
from src.core.errors import ConfigError
from src.core.instruments import KEY, Key
from src.market import universe
from src.market.bars import BarStore
from src.market.restoring import restoring
from src.storage import atomic

NARROWED = ("featurize", "train", "quote")
"""Stages after hydration that `only` restricts to some instruments."""
_SOURCE_IN_USE = ("quote", "status", "data", "doctor")
_WHOLE = {
    "report": "the page shows the whole dataset",
    "promote": "name=<registered model> promotes one instrument",
    "predict": "the book is one of all champions",
    "monitor": "all champions are judged together",
    "sync": "MLflow gets what training stored of the whole dataset",
    "tune": "trials draw their instruments by chance from the whole dataset",
    "status": "`data` shows one instrument",
}


def settled(verb: str, config: Config, typed: Iterable[str] | None = None) -> Config:
    """Honour or refuse what is chosen for a stage after hydration.

    Parameters
    ----------
    verb : str
        Such as ``train``.
    config : Config
    typed : iterable of str, optional
        The arguments of the command; those of this process by default.

    Returns
    -------
    Config
        With `only` narrowed to the instruments that ``universe.symbols`` or ``universe.file`` name.

    Raises
    ------
    ConfigError
        If a name is not in the dataset, or a choice is not the one that the dataset was hydrated with.
    """
    keys = typed_keys(typed)
    store = BarStore(config.paths.bars)
    if not store.exists():
        return config
    _refuse_other_bars(verb, config, keys, store)
    return _narrowed(verb, config, keys, store)


def _narrowed(verb: str, config: Config, keys: list[str], store: BarStore) -> Config:
    names = universe.named(config.universe)
    chosen = "universe.file" if config.universe.file else "universe.symbols"
    path = store.root / "universe.parquet"
    if not names or not path.is_file() or (verb not in NARROWED and chosen not in keys):
        return config
    with atomic.read_errors(path, restoring(store.root)):
        held = pl.read_parquet(path, glob=False).filter("included").select(KEY)
    wanted = _named(held, names, chosen, config.dataset)
    every = set(held.rows())
    if wanted == every:
        return config
    if verb not in NARROWED:
        raise ConfigError(
            f"{chosen} names {len(wanted):,} of {len(every):,} instruments of {config.dataset}, which {verb} can't be "
            f"restricted to ({_WHOLE[verb]}): leave it out"
        )
    if config.only:
        wanted &= _named(held, config.only, "only", config.dataset)
        if not wanted:
            raise ConfigError(f"only={config.only} and {chosen} have no instrument in common: leave one of them out")
    return dataclasses.replace(config, only=sorted(":".join(key) for key in wanted))


def _named(held: pl.DataFrame, names: list[str], chosen: str, dataset: str) -> set[Key]:
    """The instruments of a dataset that names mean."""
    try:
        return {key for keys in universe.matches(held, names, chosen).values() for key in keys}
    except ConfigError as error:
        raise ConfigError(f"{error} in {dataset}: correct the name, or hydrate it first") from None


def _refuse_other_bars(verb: str, config: Config, keys: list[str], store: BarStore) -> None:
    """Refuse a choice of universe, source or last date that the bars were not hydrated with."""
    manifest = store.manifest
    decided: dict[str, Any] = {"data.until": manifest.until, "universe.buckets": manifest.buckets}
    decided |= {f"universe.{name}": value for name, value in manifest.universe.items()}
    if verb not in _SOURCE_IN_USE:
        decided |= {"source.kind": manifest.source, "source.basis": manifest.basis}
        decided |= {"source.path": manifest.path} if manifest.path else {}
    now = dict(values(config))
    for key in ("source.kind" if key == "source" else key for key in keys):
        if key not in decided or _same(key, now.get(key), decided[key]):
            continue
        until = " (split.until limits what training uses)" if key == "data.until" else ""
        again = command("hydrate", dataset=config.universe.name)
        raise ConfigError(
            f"{_shown(key, now.get(key))} has no effect on {verb}: the bars of {config.dataset} were hydrated with "
            f"{_shown(key, decided[key])}{until}: leave it out, or hydrate again with {again}"
        )


def _same(key: str, now: Any, then: Any) -> bool:
    if key == "source.path" and now and then:
        return Path(now).expanduser().resolve() == Path(then).expanduser().resolve()
    return bool(now == then)


def _shown(key: str, value: Any) -> str:
    return f"{key.removesuffix('.kind')}={'null' if value is None else value}"
