"""The settings that a champion was trained and graded by, from what training stored of them."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

from src.config.commands import command
from src.config.schema import FeaturesConfig, LabelConfig, StrategyConfig
from src.core.errors import ConfigError, StageError
from src.core.hashing import json_digest
from src.evaluation.label_kinds.registry import label_kind
from src.features.catalog import code_hash, kinds_of, needs_panel
from src.features.registry import FeatureError
from src.features.selection import select
from src.models.registry import FAMILIES, family
from src.signals.refusals import RefusedLine
from src.training import run_key
from src.training.regrading import recorded_config, section
from src.training.run_store import RunStore

if TYPE_CHECKING:
    from src.signals.dataset import SignalDataset
    from src.tracking.crowned_versions import CrownedVersion

_code_hash = cache(code_hash)  # half a second for all features
_release = cache(lambda name: family(name).LIBRARY.version)
_COLUMNS = ("session_key", "asset_class", "symbol", "family", "features", "parts")


@dataclass(frozen=True)
class ChosenFeatures:
    """Features as they are declared now.

    Attributes
    ----------
    hashes : dict
        Code hash by name, in the order of a matrix's columns.
    looks : bool
        Whether any of them looks at the panel.
    kinds : tuple of str
        Kinds of facts that any of them looks at.
    """

    hashes: dict[str, str]
    looks: bool
    kinds: tuple[str, ...] = ()

    @cached_property
    def digest(self) -> str:
        """Digest of the hashes, as a run's parts hold it."""
        return json_digest(self.hashes)


@dataclass(frozen=True)
class GradedSettings:
    """What a champion was trained and graded by.

    Attributes
    ----------
    asset_class, symbol, family : str
    features : ChosenFeatures
    label : LabelConfig
    strategy : StrategyConfig
    until : date or None
        Last date that its training could use.
    """

    asset_class: str
    symbol: str
    family: str
    features: ChosenFeatures
    label: LabelConfig
    strategy: StrategyConfig
    until: dt.date | None


class RecordedSettings:
    """Looks up settings of champions in the run store.

    Parameters
    ----------
    dataset : SignalDataset
    champions : iterable of CrownedVersion
    """

    def __init__(self, dataset: SignalDataset, champions: Iterable[CrownedVersion]) -> None:
        self._dataset = dataset
        self._store = RunStore(dataset.paths.runs)
        runs = self._store.runs(_COLUMNS, [each.record_id for each in champions])
        self.runs = {row["record_id"]: row for row in runs.iter_rows(named=True)}
        self._configs: dict[str, dict[str, Any] | None] = {}
        self._features: dict[str, ChosenFeatures] = {}
        self._strategies: dict[str, tuple[StrategyConfig, str]] = {}

    def of(self, champion: CrownedVersion) -> GradedSettings:
        """Return the settings of a champion.

        Parameters
        ----------
        champion : CrownedVersion

        Raises
        ------
        RefusedLine
            If training stored no such run, or the code of today would decide otherwise than the one that was graded.
        """
        run = self.runs.get(champion.record_id)
        if run is None:
            raise RefusedLine(f"training stored no run {champion.record_id}: run `{self._command('train')}`")
        if run["family"] not in FAMILIES:
            raise RefusedLine(f"model family {run['family']} is not one of {', '.join(FAMILIES)}")
        parts = json.loads(run["parts"])
        if (installed := _release(run["family"])) != parts["library"]:
            raise RefusedLine(
                f"it was trained with {parts['library']}, and {installed} is installed: install that, or run "
                f"`{self._command('train')}`"
            )
        label = section(LabelConfig, parts["label"])
        try:
            label_kind(label.kind)
        except ConfigError as error:
            raise RefusedLine(str(error)) from error
        features = self._chosen(run["session_key"], json.loads(run["features"]), parts["features"])
        return GradedSettings(
            run["asset_class"], run["symbol"], run["family"], features, label,
            self._strategy(champion), self.until(champion),
        )  # fmt: skip

    def until(self, champion: CrownedVersion) -> dt.date | None:
        """Last date that the session of a champion's run could use; None without one.

        Parameters
        ----------
        champion : CrownedVersion
        """
        run = self.runs.get(champion.record_id)
        config = self._config(run["session_key"]) if run else None
        until = ((config or {}).get("split") or {}).get("until")
        return dt.date.fromisoformat(str(until)) if until else None

    def _chosen(self, session: str, names: list[str], digest: str) -> ChosenFeatures:
        """Features of a session as they are declared now, where they are those that the run recorded."""
        config = self._config(session)
        if config is None:
            raise RefusedLine(f"its session's configuration is not recorded: run `{self._command('train')}`")
        if session not in self._features:
            try:
                chosen = select(section(FeaturesConfig, config.get("features") or {}), self._dataset.interval)
            except (FeatureError, StageError, ConfigError, OSError) as error:
                raise RefusedLine(f"its features can't be chosen as in training: {error}") from error
            looks = any(needs_panel(item) for item in chosen)
            self._features[session] = ChosenFeatures(
                {item.name: _code_hash(item) for item in chosen}, looks, kinds_of(chosen)
            )
        found = self._features[session]
        if list(found.hashes) != names or found.digest != digest:
            raise RefusedLine(
                f"the code of its features is not that of its training: run `{self._command('train')}`, which trains "
                "it by the code that there is"
            )
        return found

    def _strategy(self, champion: CrownedVersion) -> StrategyConfig:
        """The strategy by which the champion was graded."""
        session = str(champion.grade.get("graded_by") or "")
        if session not in self._strategies:
            strategy = section(StrategyConfig, (self._config(session) or {}).get("strategy") or {})
            self._strategies[session] = strategy, run_key.strategy_key(strategy)
        strategy, key = self._strategies[session]
        if key != champion.strategy_key:
            raise RefusedLine(
                f"it was graded by a strategy of other code or settings: run `{self._command('train')}`, which grades "
                "again"
            )
        return strategy

    def _config(self, session: str) -> dict[str, Any] | None:
        if session not in self._configs:
            self._configs[session] = recorded_config(self._store, session)
        return self._configs[session]

    def _command(self, verb: str) -> str:
        return command(verb, stored=self._dataset.paths.dataset)
