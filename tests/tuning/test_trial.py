"""One instrument under one setting, against a naive loop with scikit-learn's AUC."""

from __future__ import annotations

import datetime as dt

import numpy as np
from sklearn.metrics import roc_auc_score

from src.config.schema import ModelConfig
from src.core.failure import Failure
from src.evaluation.splits import Fold
from src.models import lightgbm
from src.models.lightgbm import LightGBMParams
from src.models.registry import family
from src.tuning.sample import BLOCKS, SampledInstrument
from src.tuning.trial import Attempt, Score, attempt

NAMES = ("a", "b", "c")


def instrument() -> SampledInstrument:
    random = np.random.default_rng(1)
    x = random.standard_normal((300, 3)).astype(np.float32)
    label = (x[:, 0] + random.standard_normal(300) > 0).astype(float)
    label[::17] = np.nan
    folds = tuple(Fold(dt.date(2016, 1, 1), np.arange(start - 6), np.arange(start, start + 60)) for start in (180, 240))
    return SampledInstrument(("stock", "X"), x, label, folds, np.arange(300) // 20 % BLOCKS)


def test_the_score_is_that_of_a_naive_loop() -> None:
    one, model = instrument(), ModelConfig("lightgbm", params=LightGBMParams(min_child_samples=10))
    found = attempt(Attempt(0, 0, 0, one, model, NAMES, 7))
    assert isinstance(found, Score)
    truth, guess, block = [], [], []
    first = np.isfinite(one.label[one.folds[0].train]).sum()
    for fold in one.folds:
        train = [k for k in fold.train if not np.isnan(one.label[k])]
        x, y = one.x[train], one.label[train]
        booster = next(lightgbm.fit_windows(x, y, [len(train)], model.params, 7, list(NAMES), bins=first))
        for k in fold.test:
            if not np.isnan(one.label[k]):
                truth.append(one.label[k])
                guess.append(family("lightgbm").predict(booster, one.x[[k]])[0])
                block.append(one.block[k])
    assert np.isclose(found.auc, roc_auc_score(truth, guess))
    for each in range(BLOCKS):
        kept = [index for index, b in enumerate(block) if b != each]
        naive = roc_auc_score(np.array(truth)[kept], np.array(guess)[kept])
        assert np.isclose(found.without[each], naive)
    assert found.auc > 0.6


def test_what_raises_comes_back_as_a_value_and_nothing_to_do_as_nothing() -> None:
    broken = ModelConfig("lightgbm", params=LightGBMParams(num_leaves=-3))
    found = attempt(Attempt(0, 0, 0, instrument(), broken, NAMES, 7))
    assert isinstance(found, Failure)
    assert "LightGBMError" in found.reason
    assert attempt(Attempt()) is None
