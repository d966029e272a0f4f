"""What is shown of addresses and arguments: no user, no password, no token, and all the rest."""

from __future__ import annotations

import sys

import pytest
import yaml

from src.config.schema import Config, TrackingConfig
from src.runtime import lock
from src.runtime.redaction import masked, masked_address
from src.training.settings import TrainingSettings


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("proxy=http://bob:p@ss@host:1/x and mail a@b.org", "proxy=http://***@host:1/x and mail a@b.org"),
        ("clone https://ghp_abc@host/x", "clone https://***@host/x"),
        ("at https://ann:p%40s%2Fs@host/x: 403", "at https://***@host/x: 403"),
        ("http://bob:12345@host/x", "http://***@host/x"),
        ("postgresql+psycopg2://ann:p/w@db:5432/x?host=/run/pg", "postgresql+psycopg2://***@db:5432/x?host=/run/pg"),
        ("postgresql://ann@/x?host=/run/pg", "postgresql://***@/x?host=/run/pg"),
        ("no server at postgresql://ann:my pass@db/x (refused)", "no server at postgresql://***@db/x (refused)"),
        ("http://bob:p w@ss@host/x", "http://***@host/x"),
        ("""uri 'postgresql://ann:p'w"d@db/x' is none""", "uri 'postgresql://***@db/x' is none"),
        ("{'uri': 'postgresql://ann:it''s me@db/x', 'b': 1}", "{'uri': 'postgresql://***@db/x', 'b': 1}"),
        ("two: http://a:b@h and postgresql://c:d e@i/x", "two: http://***@h and postgresql://***@i/x"),
    ],
)
def test_users_and_passwords_of_addresses_are_masked(text: str, shown: str) -> None:
    assert masked(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://db/x?host=/run/pg&password=pw1", "postgresql://db/x?host=/run/pg&password=***"),
        ("https://host/v1?token=abc.def-1&symbol=SPY failed", "https://host/v1?token=***&symbol=SPY failed"),
        ("see (https://host/a?symbol=SPY&apikey=abc), then", "see (https://host/a?symbol=SPY&apikey=***), then"),
        ("https://host/v1?password=a%20b'c&x=1", "https://host/v1?password=***&x=1"),
        ("https://b.host/k?X-Amz-Signature=ab12&X-Amz-Date=1", "https://b.host/k?X-Amz-Signature=***&X-Amz-Date=1"),
        ("dsn password=pw2 host=h", "dsn password=*** host=h"),
        (r"dsn: host=h password='my pa\'ss' dbname=x", "dsn: host=h password=*** dbname=x"),
        ('{"url": "https://host/a?api_key=abc"}', '{"url": "https://host/a?api_key=***"}'),
    ],
)
def test_secrets_among_arguments_are_masked(text: str, shown: str) -> None:
    assert masked(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "https://host/a@b",
        "uri: sqlite:///mlruns/a@b.db",
        "http://host:8080 is down, ask a@b.org",
        "http://host:8080, mail ann@example.org",
        "see http://host, or mail a@b.org",
        "['http://host','a@b.org'] and ['http://host:80','a@b.org']",
        "http://[::1]:5000 and a@b.org",
        "http://127.0.0.1:5000/#/experiments: a@b",
        "s3://bucket/a b@c",
        "max_tokens=5 tokens=3 key=1 model.key=3 run_key=abc",
        "https://host/v1?symbol=SPY&keys=2",
        "the password is wrong, passwordless=true",
    ],
)
def test_text_without_secrets_stays(text: str) -> None:
    assert masked(text) == text


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("postgresql://ann:my p'w@db/x?password=a b&host=/run", "postgresql://***@db/x?host=/run&password=***"),
        ("postgresql://my user:it's@db/x", "postgresql://***@db/x"),
        ("postgresql://ann:12 34@db/x", "postgresql://***@db/x"),
        ("postgresql://ann:p@ss@h/d", "postgresql://***@h/d"),
        ("postgresql://h:port:x/y", "postgresql://h:port:x/y"),
        ("postgresql://db/x", "postgresql://db/x"),
        ("https://ann:pw@mlflow.example", "https://***@mlflow.example"),
        ("sqlite:///mlruns/mlflow.db", "sqlite:///mlruns/mlflow.db"),
    ],
)
def test_a_setting_is_masked_as_the_address_that_it_is(uri: str, shown: str) -> None:
    assert masked_address(uri) == shown


def test_settings_are_kept_without_a_password_that_yaml_folds() -> None:
    words = "correct horse battery staple, many times over and further than a line of YAML is long"
    config = Config(tracking=TrackingConfig(uri=f"postgresql://ann:{words}@db/x"))
    shown = TrainingSettings.of(config, []).config_yaml
    assert yaml.safe_load(shown)["tracking"]["uri"] == "postgresql://***@db/x"
    assert "staple" not in shown


def test_a_command_line_is_masked_argument_by_argument(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["train.py", "tracking.uri=postgresql://ann:12 34@db/x", "universe=full"])
    assert lock.command_line() == "train.py tracking.uri=postgresql://***@db/x universe=full"
