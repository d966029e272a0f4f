"""The small class of stocks, hydrated, featurized and trained once for all files of this folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from src.featurize import featurize
from src.hydrate import hydrate
from tests.shared_case import built_once
from tests.training.pooled.session_case import Stocks


@pytest.fixture(scope="session")
def featurized(tmp_path_factory: pytest.TempPathFactory) -> Stocks:
    def build(folder: Path) -> None:
        project = Stocks(folder)
        hydrate(project.config(verb="hydrate"))
        featurize(project.config(verb="featurize"))

    return Stocks(built_once(tmp_path_factory, "pooled", build)).copy(tmp_path_factory.mktemp("pooled") / "p")


@pytest.fixture(scope="session")
def trained(featurized: Stocks, tmp_path_factory: pytest.TempPathFactory) -> Stocks:
    built = built_once(tmp_path_factory, "pooled-trained", lambda folder: featurized.copy(folder).train())
    return Stocks(built).copy(tmp_path_factory.mktemp("pooled-trained") / "p")


@pytest.fixture
def project(trained: Stocks, tmp_path: Path) -> Stocks:
    """A copy of the trained class, for a test that changes it."""
    return trained.copy(tmp_path / "p")
