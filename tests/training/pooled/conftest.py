"""The small class of stocks, hydrated, featurized and trained once for all files of this folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from src.featurize import featurize
from src.hydrate import hydrate
from tests.training.pooled.session_case import Stocks


@pytest.fixture(scope="session")
def featurized(tmp_path_factory: pytest.TempPathFactory) -> Stocks:
    project = Stocks(tmp_path_factory.mktemp("pooled") / "p")
    hydrate(project.config(verb="hydrate"))
    featurize(project.config(verb="featurize"))
    return project


@pytest.fixture(scope="session")
def trained(featurized: Stocks, tmp_path_factory: pytest.TempPathFactory) -> Stocks:
    project = featurized.copy(tmp_path_factory.mktemp("pooled-trained") / "p")
    project.train()
    return project


@pytest.fixture
def project(trained: Stocks, tmp_path: Path) -> Stocks:
    """A copy of the trained class, for a test that changes it."""
    return trained.copy(tmp_path / "p")
