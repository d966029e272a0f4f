"""Features of given bars and decisions on them, by the code that training and predicting use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from src.config.schema import FeaturesConfig
from src.core.errors import StageError
from src.core.instruments import KEY
from src.documents.fact_store import FactStore
from src.evaluation import labels
from src.features.compute import compute
from src.features.fact_lookup import FactLookup
from src.features.registry import FeatureError
from src.features.selection import select
from src.features.store import FeatureStore
from src.market.bars import bucket
from src.signals.decided import decide, predictor
from src.signals.last_bars import LastBars, trained_through
from src.signals.model_threads import model_threads
from src.signals.native_models import native_model
from src.signals.refusals import RefusedLine
from src.training.regrading import recorded_config, section

if TYPE_CHECKING:
    from typing import Any

    from src.evaluation.labels import Decisions
    from src.inspection.reading.places import Place
    from src.signals.graded_settings import GradedSettings
    from src.tracking.crowned_versions import CrownedVersion


def features_of(at: Place, champion: CrownedVersion, settings: GradedSettings, bars: pl.DataFrame) -> pl.DataFrame:
    """Compute the features of a champion on given bars.

    Parameters
    ----------
    at : Place
    champion : CrownedVersion
    settings : GradedSettings
    bars : DataFrame
        Of its instrument, as they are stored, sorted by date.

    Returns
    -------
    DataFrame
        asset_class, symbol, date and a Float32 column for each feature, a row a bar.

    Raises
    ------
    StageError
        If a formula raises on these bars.
    """
    manifest = at.bars().manifest
    chosen = select(_choice(at, champion), manifest.interval)
    key, kinds = (settings.asset_class, settings.symbol), settings.features.kinds
    store, place = FactStore(at.paths.facts), bucket(*key, manifest.buckets)
    facts = FactLookup.of(store, place, kinds, manifest.interval, [key]) if kinds else None
    try:
        return compute(bars, chosen, FeatureStore(at.paths.features).panel(), facts)
    except FeatureError as error:
        raise StageError(str(error)) from error


def decisions_on(
    at: Place, champion: CrownedVersion, settings: GradedSettings, bars: pl.DataFrame, features: pl.DataFrame
) -> pl.DataFrame:
    """Decide on each tradable bar.

    Parameters
    ----------
    at : Place
    champion : CrownedVersion
    settings : GradedSettings
    bars, features : DataFrame
        Row for row.

    Returns
    -------
    DataFrame
        See `src.inspection.reading.champion.Champion.predict`.

    Raises
    ------
    StageError
        If its model is not the one that was graded, or no bar is tradable.
    """
    own, last_oos = LastBars.of(bars, is_daily=at.bars().manifest.interval == "1d"), champion.grade.get("last_oos")
    known_until = bars["date"].cast(pl.Date).max()
    market = labels.read_market(
        at.bars(), settings.label, lambda table: table.filter(pl.col("date").cast(pl.Date) <= known_until)
    )
    decisions = own.decisions(settings.label, market, last_oos)
    if not decisions.size:
        raise StageError(f"none of the bars of {settings.symbol} has a price and volume: nothing is decided on them")
    x = features.select(list(settings.features.hashes)).to_numpy().astype(np.float32, copy=False)[decisions.rows]
    with model_threads([settings.family]) as threads:
        try:
            model = native_model(at.runs("instrument"), champion, settings.family)
        except RefusedLine as refusal:
            raise StageError(f"{champion.name} can't be used: {refusal}") from refusal
        predict = predictor(settings.family, model)
        found = threads.submit(
            decide, predict, np.ascontiguousarray(x), decisions, 0, decisions.size - 1, settings.strategy
        ).result()
    columns: dict[str, Any] = {
        "score": found.probability, "exposure": found.exposure, "size": found.size, "position": found.position,
        "before": found.before, "cost_rate": found.cost_rate,
        "hedge": pl.Series([None] * decisions.size, dtype=pl.Float64) if found.hedge is None else found.hedge,
        "in_sample": _in_sample(decisions, settings, last_oos),
    }  # fmt: skip
    rows = bars.select(*KEY, "date")[decisions.rows]
    return rows.with_columns(**{name: pl.Series(name, values) for name, values in columns.items()}).with_columns(
        pl.selectors.float().fill_nan(None)
    )


def _choice(at: Place, champion: CrownedVersion) -> FeaturesConfig:
    """Features that the session of its run chose."""
    store = at.runs("instrument")
    sessions = store.runs(("session_key",), [champion.record_id])["session_key"].to_list()
    config = recorded_config(store, sessions[0]) if sessions else None
    return section(FeaturesConfig, (config or {}).get("features") or {})


def _in_sample(decisions: Decisions, settings: GradedSettings, last_oos: Any) -> Any:
    """Whether the model was trained on each bar: it is a refit on all that training had."""
    if last_oos is None:
        return np.ones(decisions.size, dtype=bool)
    return np.arange(decisions.size) <= trained_through(decisions, last_oos, settings.until)
