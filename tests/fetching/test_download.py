"""Fetching one file: asked again where that may help, and never half a body."""

import pytest

from src.config.schema import LiveSource
from src.fetching import download
from src.fetching.provider import Unavailable
from tests.sources.exchange_case import World, served

LIVE = LiveSource(timeout=5)


class Site(World):
    """Answers as listed, the last of them for good."""

    def __init__(self, *answers):
        super().__init__("kraken", {})
        self.answers = answers

    def answer(self, target):
        self.asked.append(target)
        return self.answers[min(len(self.asked), len(self.answers)) - 1]


@pytest.fixture(autouse=True)
def waits(monkeypatch):
    waited = []
    monkeypatch.setattr(download, "_wait", waited.append)
    return waited


def test_a_passing_fault_is_asked_again_after_a_wait(waits):
    site = Site((503, {}, "busy"), (200, {"Content-Length": "999"}, "cut"), (200, {}, "wh\u00f6le"))
    with served(site) as address:
        assert download.text(f"{address}/file.txt", LIVE) == "wh\u00f6le"
    assert waits == [2.0, 4.0] and len(site.asked) == 3


def test_after_three_faults_the_address_and_the_last_answer_are_said(waits):
    site = Site((502, {}, ""))
    with served(site) as address, pytest.raises(Unavailable, match=r"127.0.0.1:\d+/file.txt: answers 502"):
        download.text(f"{address}/file.txt", LIVE)
    assert len(site.asked) == 3


def test_what_is_forbidden_or_absent_is_not_asked_again(waits):
    site = Site((403, {}, "who are you"))
    with served(site) as address, pytest.raises(Unavailable, match="answers 403"):
        download.text(f"{address}/file.txt", LIVE)
    assert len(site.asked) == 1 and not waits


def test_a_site_that_is_not_there_is_said_without_secrets():
    settings = LiveSource(timeout=5, proxy="http://me:secret@127.0.0.1:9")
    with pytest.raises(Unavailable) as error:
        download.text("https://www.nasdaqtrader.com/x", settings)
    assert "secret" not in str(error.value) and "www.nasdaqtrader.com" in str(error.value)
