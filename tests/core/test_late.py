"""A library that only some commands call is imported by the first call; its release enters the keys all the same."""

import sys
from collections.abc import Callable, Iterator
from importlib import metadata

import numpy as np
import pytest
from scipy import special

from src.core import code_hash
from src.core.code_hash import code_digest
from src.core.late import LateFunction
from src.core.project import ROOT
from src.features.families import game
from tests import process_case


@pytest.fixture
def key() -> Iterator[Callable[[object], str]]:
    """The digest of a feature by code that may just have changed."""

    def fresh(feature: object) -> str:
        code_hash.forget()
        return code_digest(feature)

    yield fresh
    code_hash.forget()


def test_a_late_function_gives_the_values_of_the_library() -> None:
    x = np.linspace(-9, 9, 101)
    assert isinstance(game.ndtr, LateFunction)
    np.testing.assert_array_equal(game.ndtr(x), special.ndtr(x))


@pytest.mark.parametrize("feature", [game.vpin_50, game.order_imbalance_21])
def test_the_librarys_release_and_the_code_enter_the_key(
    feature: object, key: Callable[[object], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = key(feature)
    with monkeypatch.context() as other:
        other.setattr(code_hash, "version", lambda name: {"scipy": "0.0.1"}.get(name) or metadata.version(name))
        assert key(feature) != now
    with monkeypatch.context() as other:
        other.setattr(game, "total", game.mean)
        assert key(feature) != now
    assert key(feature) == now


def test_the_catalog_of_features_imports_no_scipy() -> None:
    code = "import sys; from src.features import catalog; assert catalog.families(); assert 'scipy' not in sys.modules"
    assert process_case.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
