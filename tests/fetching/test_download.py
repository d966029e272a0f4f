"""Downloading one file: requests are repeated if that may help, and a partial body is never returned."""

import pytest

from src.config.schema import LiveSource
from src.fetching import download
from src.fetching.provider import Unavailable
from tests.process_case import HANG
from tests.sources.exchange_case import World, served

LIVE = LiveSource(timeout=HANG)


class Site(World):
    """Answers as listed; the last one is repeated."""

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


def test_a_temporary_fault_is_retried_after_a_wait(waits):
    site = Site((503, {}, "busy"), (200, {"Content-Length": "999"}, "cut"), (200, {}, "wh\u00f6le"))
    with served(site) as address:
        assert download.text(f"{address}/file.txt", LIVE) == "wh\u00f6le"
    assert waits == [2.0, 4.0] and len(site.asked) == 3


def test_after_three_faults_the_message_has_the_address_and_the_last_answer(waits):
    site = Site((502, {}, ""))
    with served(site) as address, pytest.raises(Unavailable, match=r"127.0.0.1:\d+/file.txt: answers 502"):
        download.text(f"{address}/file.txt", LIVE)
    assert len(site.asked) == 3


def test_a_forbidden_or_missing_file_is_not_requested_again(waits):
    site = Site((403, {}, "who are you"))
    with served(site) as address, pytest.raises(Unavailable, match="answers 403"):
        download.text(f"{address}/file.txt", LIVE)
    assert len(site.asked) == 1 and not waits


def test_the_message_about_an_unreachable_site_has_no_secrets():
    settings = LiveSource(timeout=HANG, proxy="http://me:secret@127.0.0.1:9")
    with pytest.raises(Unavailable) as error:
        download.text("https://www.nasdaqtrader.com/x", settings)
    assert "secret" not in str(error.value) and "www.nasdaqtrader.com" in str(error.value)
