"""A provider connected to a Yahoo that says what the test tells it to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from src.config.schema import LiveSource
from src.sources.yahoo import source
from tests.sources.yahoo_case import Notes, Script, serving


@pytest.fixture(scope="session")
def yahoo_caches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """yfinance's caches away from the project's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DVC_ROOT", str(tmp_path_factory.mktemp("main")))
        source.set_cache_folder()
    yield


@pytest.fixture(scope="session")
def yahoo_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Script, LiveSource]]:
    with serving(tmp_path_factory.mktemp("ca")) as found:
        yield found


@pytest.fixture
def script(yahoo_server: tuple[Script, LiveSource]) -> Script:
    script, _ = yahoo_server
    script.forget()
    return script


@pytest.fixture
def settings(yahoo_server: tuple[Script, LiveSource]) -> LiveSource:
    return yahoo_server[1]


@pytest.fixture
def gate() -> Notes:
    return Notes()


@pytest.fixture
def provider(yahoo_caches: None, settings: LiveSource, script: Script, gate: Notes) -> Iterator[source.Yahoo]:
    found = source.connect("yahoo", settings, gate)
    yield found
    found.close()
