"""What a live hydration refuses before any request: it does not connect and does not write."""

from __future__ import annotations

from pathlib import Path

import pytest

from src.config.schema import Config, LiveSource
from src.core.errors import ConfigError
from src.hydrate import hydrate
from src.hydration.live import selection
from src.listings import current
from src.sources import registry
from tests.market_case import config as configured


@pytest.fixture(autouse=True)
def no_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "connect", lambda name, *_: pytest.fail(f"{name} was connected"))


def live(tmp_path: Path, links: dict[str, list[str]], **settings: object) -> Config:
    made = configured(tmp_path, source__kind="auto", source__path=str(tmp_path / "source"), **settings)
    made.universe.symbols = ["stock:AAA", "etf:SPY", "crypto:BTC-USD"]
    made.source.live = LiveSource(chain=links)
    return made


def refused(config: Config, tmp_path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        hydrate(config)
    assert not (tmp_path / "data" / "bars" / "mine").exists()
    return str(caught.value)


@pytest.mark.parametrize("setting", ["ca_file", "proxy"])
def test_wrong_certificates_and_a_wrong_proxy_are_refused_first(tmp_path, monkeypatch, setting):
    config = live(tmp_path, {"stock": ["yahoo"]})
    setattr(config.source.live, setting, "ftp://gone")
    monkeypatch.setattr(selection, "select", lambda *_: pytest.fail("instruments were looked for"))
    assert refused(config, tmp_path).startswith(f"source.live.{setting} must")


def test_names_of_classes_without_a_provider_are_refused_with_the_keys_of_their_chains(tmp_path):
    words = refused(live(tmp_path, {"stock": ["yahoo"], "etf": []}), tmp_path)
    assert words.startswith("source.live.chain has no provider of class etf or crypto, so none serves ")
    assert "crypto:BTC-USD, etf:SPY: set source.live.chain.etf=[yahoo] source.live.chain.crypto=[coinbase" in words
    assert "stock" not in words


def test_a_universe_of_a_class_without_a_provider_is_refused(tmp_path):
    config = live(tmp_path, {"stock": ["yahoo"]}, universe__stock=0, universe__etf=0, universe__crypto=5)
    config.universe.symbols, config.universe.pinned = [], current.pinned.SHIPPED
    words = refused(config, tmp_path)
    assert "none of 0 instruments is selected; no provider serves etf, crypto: name one in source.live.chain" in words
