"""A library that only some commands call is imported by the first call, and no key knows the difference."""

import sys

import numpy as np
import pytest
from scipy import special

from src.core import code_hash
from src.core.code_hash import code_digest
from src.core.late import LateFunction
from src.core.project import ROOT
from src.features.families import game
from tests import process_case


@pytest.mark.parametrize("feature", [game.vpin_50, game.order_imbalance_21])
def test_a_late_function_gives_the_same_values_and_the_same_key(
    feature: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = np.linspace(-9, 9, 101)
    assert isinstance(game.ndtr, LateFunction)
    np.testing.assert_array_equal(game.ndtr(x), special.ndtr(x))
    code_hash.forget()
    late = code_digest(feature)
    monkeypatch.setattr(game, "ndtr", special.ndtr)
    code_hash.forget()
    assert code_digest(feature) == late
    monkeypatch.setattr(game, "total", game.mean)
    code_hash.forget()
    assert code_digest(feature) != late
    code_hash.forget()


def test_the_catalog_of_features_imports_no_scipy() -> None:
    code = "import sys; from src.features import catalog; assert catalog.families(); assert 'scipy' not in sys.modules"
    assert process_case.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
