"""Proxy and certificates: the settings take precedence over the environment."""

import urllib.request
from dataclasses import replace

import pytest

from src.config.schema import LiveSource
from src.core.errors import ConfigError
from src.fetching.network import BUNDLES, ca_file, proxy

NAMES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy", "HTTP_PROXY", "http_proxy")


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch):
    for name in (*NAMES, *BUNDLES):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(urllib.request, "getproxies", urllib.request.getproxies_environment)
    monkeypatch.setattr(urllib.request, "proxy_bypass", urllib.request.proxy_bypass_environment)


def test_the_connection_is_direct_without_settings_and_environment():
    assert proxy(LiveSource()) is None
    assert ca_file(LiveSource()) is None


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"])
def test_the_environment_names_the_proxy(monkeypatch, name):
    monkeypatch.setenv(name, "http://proxy.example:8080")
    assert proxy(LiveSource()) == "http://proxy.example:8080"


def test_a_proxy_for_plain_http_is_not_used_for_providers(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example:8080")
    assert proxy(LiveSource()) is None


def test_the_setting_overrides_the_environment(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:8080")
    assert proxy(replace(LiveSource(), proxy="http://127.0.0.1:1")) == "http://127.0.0.1:1"


def test_a_proxy_address_without_a_scheme_is_http():
    assert proxy(replace(LiveSource(), proxy=" 127.0.0.1:3128 ")) == "http://127.0.0.1:3128"


@pytest.mark.parametrize("named", ["query2.finance.yahoo.com", "yahoo.com", ".yahoo.com", "localhost, yahoo.com", "*"])
@pytest.mark.parametrize("setting", [None, "http://127.0.0.1:1"])
def test_no_proxy_is_honoured_for_the_hosts_it_names(monkeypatch, named, setting):
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:8080")
    monkeypatch.setenv("NO_PROXY", named)
    settings = replace(LiveSource(), proxy=setting)
    assert proxy(settings, "query2.finance.yahoo.com") is None
    if named != "*":
        assert proxy(settings, "api.kraken.com") is not None


@pytest.mark.parametrize("text", ["ftp://127.0.0.1:1", "http://", "http://127.0.0.1:port", "http://[::1"])
def test_an_invalid_address_is_refused_with_the_name_of_its_setting(text):
    with pytest.raises(ConfigError, match="source.live.proxy must be an address like"):
        proxy(replace(LiveSource(), proxy=text))


def test_messages_do_not_contain_the_password_of_a_proxy(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://ann:secret@127.0.0.1:port")
    with pytest.raises(ConfigError) as caught:
        proxy(LiveSource())
    assert "secret" not in str(caught.value)
    assert "HTTPS_PROXY" in str(caught.value)


def test_the_first_certificate_file_that_is_set_is_used(monkeypatch, tmp_path):
    files = [tmp_path / f"{number}.pem" for number in range(4)]
    for file in files:
        file.write_text("", encoding="utf-8")
    for name, file in reversed(list(zip(BUNDLES, files, strict=False))):
        monkeypatch.setenv(name, str(file))
        assert ca_file(LiveSource()) == str(file.resolve())
    assert ca_file(replace(LiveSource(), ca_file=str(files[3]))) == str(files[3].resolve())


def test_a_missing_certificate_file_is_refused_with_the_name_of_its_setting(monkeypatch, tmp_path):
    with pytest.raises(ConfigError, match=r"source.live.ca_file must name a file of certificates \(PEM\), got .*gone"):
        ca_file(replace(LiveSource(), ca_file=str(tmp_path / "gone.pem")))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path))
    with pytest.raises(ConfigError, match="SSL_CERT_FILE must name a file"):
        ca_file(LiveSource())
