"""How a winner is judged: the standard errors by naive means, and the gain that they are beside."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from src.tuning.winner import gain, standard_error
from src.tuning.winner_files import _members


def test_where_instruments_are_independent_the_error_is_that_of_their_mean() -> None:
    random = np.random.default_rng(3)
    difference = random.normal(0.01, 0.05, 400)
    blocks = np.repeat(difference[:, None], 8, axis=1) + random.normal(0, 1e-4, (400, 8))
    naive = np.sqrt(sum((d - sum(difference) / 400) ** 2 for d in difference) / 399) / 20
    assert np.isclose(standard_error(difference, blocks), naive)


def test_days_that_suit_one_setting_everywhere_are_seen_as_one_observation() -> None:
    random = np.random.default_rng(4)
    shared = random.normal(0.0, 0.05, 8)  # what each block of days brings, to all instruments alike
    by_block = shared + random.normal(0.0, 0.001, (300, 8))
    difference = by_block.mean(axis=1)
    without = np.stack([np.delete(by_block, k, axis=1).mean(axis=1) for k in range(8)], axis=1)
    of_blocks = shared.std(ddof=1) / np.sqrt(8)  # a jackknife of a mean is the error of that mean
    assert np.isclose(standard_error(difference, without), of_blocks, rtol=0.01)
    assert difference.std(ddof=1) / np.sqrt(300) < of_blocks / 10, "instruments alone would hide it"


def test_a_gain_is_paired_and_a_block_that_one_instrument_lacks_is_left_out_for_it() -> None:
    kept = {
        "winner": {"auc": [0.52, 0.56], "without": [[0.5, 0.6], [None, 0.6]], "cpu_seconds": [3.0, 3.0]},
        "default": {"auc": [0.50, 0.52], "without": [[0.4, 0.5], [None, 0.5]], "cpu_seconds": [2.0, 1.0]},
    }
    found = gain(kept)
    assert np.isclose(found.mean, 0.03)
    assert np.isclose(found.error, 0.01)
    assert (found.winner, found.default, found.cost) == (0.54, 0.51, 2.0)


def test_a_family_whose_name_has_several_words_keeps_its_files_in_an_index(tmp_path: Path) -> None:
    index = tmp_path / "tuned.yaml"
    names = ["xgboost", "hist_gradient_boosting_quick_stock", "hist_gradient_boosting", "lightgbm_quick", "hist_other"]
    index.write_text(f"family: all\nmembers: [{', '.join(names)}]\n", encoding="utf-8")
    assert _members(index) == {
        "hist_gradient_boosting": ["hist_gradient_boosting_quick_stock", "hist_gradient_boosting"],
        "lightgbm": ["lightgbm_quick"],
        "xgboost": ["xgboost"],
    }
