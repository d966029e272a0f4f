"""A pooled champion as it was graded: its members' native models, and what vouches for them."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import polars as pl

from src.config.commands import command
from src.config.schema import FeaturesConfig
from src.core.errors import StageError
from src.core.hashing import json_digest
from src.models.pooled_file import unpack
from src.models.registry import load, pooled_family
from src.training.inputs import Inputs
from src.training.pooled import keys
from src.training.pooled.class_data import require_featurized
from src.training.pooled.ranks import CATEGORY
from src.training.pooled.regrading import PooledChoices
from src.training.pooled.settings import PooledSettings
from src.training.regrading import recorded_config, section
from src.training.run_store import RunStore

if TYPE_CHECKING:
    from src.config.paths import DatasetPaths
    from src.tracking.crowned_versions import CrownedVersion

_TRAIN = ("train", "experiment=pooled")


@dataclass(frozen=True)
class PooledModel:
    """What decides for a portfolio.

    Attributes
    ----------
    champion : CrownedVersion
    asset_class : str
    family : str
        ``ensemble``, or that of its one member.
    settings : PooledSettings
        By which it was graded.
    fits : mapping
        Key of each member's fits, by family.
    columns : tuple of str
        Features in the order of the models' columns, then categories.
    members : mapping
        Native model of each family.
    first_graded, last_graded : date
        Of its graded decisions.
    data_until : date
        Last session that training had.
    trained_until : date
        Last session that it might have had: the later of that and ``split.until``. Decisions are of later ones.
    inputs : Inputs
        Bars and features of the dataset, of the champion's features.
    """

    champion: CrownedVersion
    asset_class: str
    family: str
    settings: PooledSettings
    fits: Mapping[str, str]
    columns: tuple[str, ...]
    members: Mapping[str, Any]
    first_graded: dt.date
    last_graded: dt.date
    data_until: dt.date
    trained_until: dt.date
    inputs: Inputs

    @property
    def features(self) -> list[str]:
        """Names of the columns that are ranks of features."""
        return [name for name in self.columns if not name.startswith(CATEGORY)]

    @classmethod
    def load(
        cls, champion: CrownedVersion, paths: DatasetPaths, models: Mapping[str, Any] | None = None
    ) -> PooledModel:
        """Load a champion and check all that vouches for its decisions.

        Parameters
        ----------
        champion : CrownedVersion
        paths : DatasetPaths
        models : mapping, optional
            Native models in place of those of the file, such as those of a fold.

        Raises
        ------
        StageError
            With the reason why it decides nothing.
        """
        if champion.objections:
            raise StageError("; ".join(champion.objections))
        store = RunStore(paths.portfolios)
        run = _run(store, champion)
        parts: dict[str, Any] = json.loads(run["parts"])
        members, about = _file(store, champion, list(parts["fits"]))
        graded_by = str(champion.grade.get("graded_by") or run["session_key"])
        config = recorded_config(store, graded_by)
        if config is None:
            raise StageError(f"session {graded_by[:8]} recorded no configuration: run `{command(*_TRAIN)}`")
        settings = _settings(paths, parts, config, champion.strategy_key)
        _require_code(parts)
        until, days = dt.date.fromisoformat(about["data_until"]), run["oos_date"]
        return cls(
            champion=champion,
            asset_class=str(about["asset_class"]),
            family=str(run["family"]),
            settings=settings,
            fits=parts["fits"],
            columns=tuple(about["features"]),
            members=members if models is None else models,
            first_graded=days[0],
            last_graded=days[-1],
            data_until=until,
            trained_until=max(until, dt.date.fromisoformat(settings.training.split.until or about["data_until"])),
            inputs=_inputs(settings, parts, config),
        )


def _run(store: RunStore, champion: CrownedVersion) -> dict[str, Any]:
    """Row of the run, with the dates of its graded decisions."""
    columns = ("family", "session_key", "parts", "oos_date")
    runs = store.runs(columns, [champion.record_id])
    rows = runs.with_columns(pl.col("oos_date").list.eval(pl.element().cast(pl.Date))).to_dicts()
    if not rows:
        raise StageError(f"data/portfolios has no record {champion.record_id}: restore it, or run `{command(*_TRAIN)}`")
    return rows[0]


def _file(store: RunStore, champion: CrownedVersion, families: list[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Native models by family, and the description beside them, of the file that was recorded."""
    path = store.model_path(champion.record_id)
    if path is None:
        raise StageError(f"its model is gone: run `{command(*_TRAIN)}`, which makes it again")
    content = path.read_bytes()
    sha256 = hashlib.sha256(content).hexdigest()
    if sha256 != champion.model_sha256:
        recorded = champion.model_sha256
        raise StageError(f"{path.name} was changed since it was graded: SHA-256 {sha256}, recorded {recorded}")
    try:
        models, about = unpack(content)
        if sorted(models) != sorted(families):
            raise ValueError(f"holds {', '.join(sorted(models))}, not {', '.join(sorted(families))}")
        for name in families:
            load(name)
        return {name: pooled_family(name).from_bytes(models[name]) for name in families}, about
    except (ValueError, KeyError, RuntimeError) as error:
        raise StageError(f"{path.name} can't be read: {error}") from error


def _settings(
    paths: DatasetPaths, parts: Mapping[str, Any], config: Mapping[str, Any], strategy_key: str
) -> PooledSettings:
    """Settings by which the portfolio was graded."""
    settings = PooledChoices.of(config).settings(paths, parts)
    if keys.portfolio_key(settings) != strategy_key:
        raise StageError(
            f"it was graded by a portfolio of other code or settings: run `{command(*_TRAIN)}`, which grades again"
        )
    return settings


def _require_code(parts: Mapping[str, Any]) -> None:
    """Make sure that eligibility, labels, ranks and scores are of the code and libraries that the fits recorded."""
    if parts["code"] != json_digest({name: keys.fit_code(name) for name in parts["fits"]}):
        raise StageError(
            f"eligibility, ranks or scores are of other code than it was trained by: run `{command(*_TRAIN)}`"
        )
    for name, version in parts["library"].items():
        if (found := pooled_family(name).LIBRARY.version) != version:
            raise StageError(f"it was trained with {version}, and {found} is installed: install that, or train again")


def _inputs(settings: PooledSettings, parts: Mapping[str, Any], config: Mapping[str, Any]) -> Inputs:
    """Bars and features, which must be of the code that the run recorded, and of all bars there are."""
    outright = replace(settings.label, name="outright", kind="outright", params={})
    training = replace(
        settings.training,
        label=outright,
        split=replace(settings.training.split, until=None),
        features=section(FeaturesConfig, config.get("features") or {}),
    )
    inputs = Inputs(training)
    if json_digest(dict(inputs.shared.features)) != parts["features"]:
        raise StageError(f"its features are of other code than it was trained on: run `{command(*_TRAIN)}`")
    require_featurized(inputs.bars, inputs.buckets, training.dataset)
    return inputs
