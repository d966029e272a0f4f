"""Facts of research in the keys of the pooled scope: those of the last bars that a fit may use, and no later ones."""

from __future__ import annotations

import datetime as dt
from dataclasses import asdict
from pathlib import Path

import pytest

from src.core.errors import StageError
from src.features.store import FeatureStore
from src.featurize import featurize
from src.market.calendar import session_close
from src.training.pooled import ranks
from src.training.pooled.keys import ClassKey
from tests.features.facts_case import Change, after, store_facts, unchanged
from tests.training.pooled.session_case import Stocks

WORDS = ("features.names=[]", "features.families=[insiders,price]")
SPAN = (dt.datetime(2018, 1, 3, tzinfo=dt.UTC), dt.datetime(2019, 12, 30, tzinfo=dt.UTC))
CLOSE, MINUTE = session_close("stock", dt.date(2019, 6, 28)), dt.timedelta(minutes=1)


def publish(project: Stocks, change: Change = unchanged, until: dt.datetime = SPAN[1]) -> None:
    config = project.config(*WORDS, verb="featurize")
    store_facts(config.paths, SPAN, change, until)
    featurize(config)


def class_key(project: Stocks, *words: str) -> ClassKey:
    return next(part for part in project.session(*words).classes() if part.asset_class == "stock").key


def test_later_facts_change_no_key_and_those_of_the_last_close_do(trained: Stocks, tmp_path: Path) -> None:
    project = trained.copy(tmp_path / "p")
    publish(project)
    key = class_key(project, *WORDS)
    assert key.facts
    publish(project, after(CLOSE, MINUTE), CLOSE)
    assert class_key(project, *WORDS) == key
    publish(project, after(CLOSE, 0 * MINUTE))
    changed = class_key(project, *WORDS)
    assert {name for name, value in asdict(changed).items() if value != asdict(key)[name]} == {"facts"}


def test_features_older_than_their_facts_are_refused_and_ranks_know_their_facts(
    trained: Stocks, tmp_path: Path
) -> None:
    project = trained.copy(tmp_path / "p")
    store = FeatureStore(project.config().paths.features)
    assert ranks._facts_digests(store) == []  # columns on bars keep the names of their files
    assert project.session().inputs.fact_kinds == ()
    publish(project)
    before = ranks._facts_digests(store)
    publish(project, after(CLOSE, MINUTE))
    assert before != ranks._facts_digests(store) != []
    store_facts(project.config(*WORDS).paths, SPAN)
    with pytest.raises(StageError, match="older than its facts of research"):
        project.session(*WORDS)
