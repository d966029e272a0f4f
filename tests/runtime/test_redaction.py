"""What is shown of addresses and arguments: no user, no password, no token, and all the rest."""

from __future__ import annotations

import dataclasses
import json
import string
import sys
from collections.abc import Iterator

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from src.config.schema import Config, LiveSource, SourceConfig, TrackingConfig
from src.runtime import lock, redaction
from src.runtime.redaction import masked, masked_address, masked_setting, masked_values, shown
from src.training.settings import TrainingSettings


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """Values that one test remembers are no secret of the next."""
    redaction.forget()
    yield
    redaction.forget()


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


SECRET = "Zq7hT9kLm2Vb"
CARRIERS = (
    "source.live.proxy=alice:{}@proxy:8080",
    "connect to bob:{}@10.0.0.5:3306",
    "bob:{}@[::1]:80",
    "no answer of bob:{}@db.",
    "bob:{}@db: refused",
    "redis://:{}@h:6379/0",
    "Authorization: Bearer {}",
    "authorization: Basic {}=",
    "got Bearer {} from it",
    "Proxy-Authorization: Basic {}=",
    '{{"password": "{}", "n": 5}}',
    '{{"a": {{"apiKey": "{}"}}}}',
    "{{'client_secret': '{}'}}",
    "{{'token': ['{}']}}",
    r'{{"body": "{{\"password\": \"{}\"}}"}}',
    "token: {}",
    "  - db_password: '{}'",
    "x:\n  secret_key: {}\ny: 1",
    "--password {} --user bob",
    "--token={}",
    "['--api-key', '{}', '-v']",
    "run --db-password '{}'",
    "AWS_SECRET_ACCESS_KEY={}",
    "export MLFLOW_TRACKING_PASSWORD={}",
    "'GITHUB_TOKEN': '{}'",
    "PGPASSWORD={} psql",
    "https://b.s3.amazonaws.com/k?X-Amz-Signature={}&X-Amz-Date=1",
    "https://b/k?X-Amz-Credential={}%2F2024&x=1",
    "https://x.blob.core.windows.net/c?sv=2022&sig={}%3D&sp=r",
    "https://c.cloudfront.net/a?Signature={}~-_&Id=1",
    "/v8/chart/AAPL?crumb={}&x=1",
    "https://h/v1?key={}",
    "Set-Cookie: A3=d={}; Path=/",
    "Cookie: B=1; A1=d={}",
    "{{'Cookie': 'A={}; B=2'}}",
    "host=db user=ann password={} dbname=x",
    "Server=h;UID=sa;PWD={}",
    "AccountName=a;AccountKey={}==;EndpointSuffix=core",
    "https://hooks.slack.com/services/T0/B0/{}",
    "https://api.telegram.org/bot123456:{}/sendMessage",
    "https://discord.com/api/webhooks/1/{}",
    "-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----",
    "-----BEGIN PRIVATE KEY-----\\n{}",
    "eyJhbGciOiJIUzI1NiJ9.{}.abcDEF",
    "ghp_{}abcd1234",
    "xoxb-{}-12345",
    "sk-{}12345678",
    "mysql -u root -p{} x",
    "curl -u bob:{} h",
    "sshpass -p {} ssh h",
    "the access_token: {} is old",
    "db.pass={}",
    "auth={}",
)


@pytest.mark.parametrize("carrier", CARRIERS)
def test_every_form_that_carries_a_secret_is_masked(carrier: str) -> None:
    assert SECRET not in masked(carrier.format(SECRET))
    assert SECRET not in masked(f"2024-01-02 failed (cause: {carrier.format(SECRET)}\n  and more) in 5 s")


@given(
    st.sampled_from(CARRIERS),
    st.text(string.ascii_letters + string.digits, min_size=12, max_size=24).filter(
        lambda text: any(map(str.isdigit, text[:-1])) and any(map(str.isalpha, text)) and text[-1].isalpha()
    ),
)
def test_any_secret_in_any_form_is_masked(carrier: str, secret: str) -> None:
    assert secret not in masked(carrier.format(secret))


def test_masked_json_stays_json() -> None:
    text = json.dumps({"password": "a b", "inner": {"token": "x", "n": 5, "off": None}})
    assert json.loads(masked(text)) == {"password": "***", "inner": {"token": "***", "n": 5, "off": None}}


@pytest.mark.parametrize(
    "text",
    [
        "token_count=5 tokens=3 n_tokens: 12 next",
        "12:30:45@x and 9:30@close",
        "2024-01-02T12:30@NYSE or 2024-01-02T12:30:45.5+01:00@XETR",
        "mail ann@example.org, mailto:ann@x.org",
        "contact:ann@example.org or email:bob@example.org",
        r"C:\Users\bob@x\a C:/a@b D:\b@c",
        "PWD=/home/x OLDPWD=/x",
        "BTC/USD:USD and stock:AAPL@NASDAQ and crypto:BTC-USD@binance",
        "models:/crypto.BTC-USD@champion",
        "python:3.12@sha256:abcd",
        "Basic Materials 5, basic materials, Digest of 12, bearer of news",
        "AUC 0.53: score=5 key: 5",
        "the token: see docs",
        "password must have 8 letters",
        "keys: a, b",
        "author=bob oauth=none",
        "run_key: abc123 key=1 session_key=abc1",
        "bypass=1 compass=2 passed=3 pass=4 n_pass: 5",
        "git@github.com:org/repo.git",
        "exit code=1 sig=5",
        "password: null",
        '{"token": null, "secret": false}',
        "2026-11-28 12:00:00,123 INFO src.x: 5 of 7 (12:00 to 13:00)",
        "a:b c@d",
        "signature of the code: 12ab",
        "57 of 1,989 runs passed (41 instruments). Session 7 on these bars.",
        "stock.A-B_C.1: x@0.5",
        "1:2@3",
        "x @ y:z",
    ],
)
def test_ordinary_text_stays(text: str) -> None:
    assert masked(text) == text


@given(st.text(string.ascii_letters + " .,;:/()-", max_size=60))
def test_text_of_words_stays(text: str) -> None:
    if not redaction.forms.TRIGGER.search(text) and "earer" not in text.lower() and "asic" not in text.lower():
        assert masked(text) == text


def test_a_setting_is_masked_by_its_key() -> None:
    assert masked_setting("source.live.proxy", "alice:p w@proxy:8080") == "***@proxy:8080"
    assert masked_setting("AWS_SECRET_ACCESS_KEY", "abc") == "***"
    assert masked_setting("label.params.api_key", "x") == "***"
    assert masked_setting("tracking.uri", "sqlite:///a@b.db") == "sqlite:///a@b.db"
    assert masked_setting("universe.name", "demo") == "demo"


def test_every_text_of_a_configuration_that_names_an_address_is_declared_secret() -> None:
    shown_values = masked_values(planted_config())
    assert shown_values["source"]["live"]["proxy"] == "***@proxy:8080"
    assert shown_values["tracking"] == {
        **dataclasses.asdict(TrackingConfig()), "uri": "postgresql://***@db/x", "artifacts": "s3://***@bucket/x",
    }  # fmt: skip
    assert "Pa55" not in yaml.safe_dump(shown_values)


def planted_config() -> Config:
    source = SourceConfig(live=LiveSource(proxy="alice:Pa55 word@proxy:8080"))
    tracking = TrackingConfig(uri="postgresql://ann:Pa55two@db/x", artifacts="s3://key:Pa55three@bucket/x")
    return Config(source=source, tracking=tracking)


def test_values_of_the_configuration_are_masked_wherever_they_occur() -> None:
    redaction.remember_settings(planted_config())
    assert masked("got Pa55 word, Pa55%20word, Pa55two. and Pa55three!") == "got ***, ***, ***. and ***!"
    assert masked("xPa55two Pa55twox") == "xPa55two Pa55twox"


@pytest.mark.parametrize(
    ("name", "value", "text", "is_masked"),
    [
        ("MLFLOW_TRACKING_TOKEN", "opensesame", "said opensesame to it", True),
        ("HTTPS_PROXY", "http://u:opensesame@h:1", "said opensesame to it", True),
        ("https_proxy", "u:opensesame@h:1", "said opensesame to it", True),
        ("MLFLOW_TRACKING_PASSWORD", "mlflow", "mlflow is up", False),
        ("TOKENIZERS_PARALLELISM", "falsehood", "a falsehood", False),
        ("SSL_KEY_PASSFILE", "falsehood", "a falsehood", False),
        ("API_TOKEN", "abc", "abc", False),
        ("HOME", "opensesame", "said opensesame to it", False),
    ],
)
def test_values_of_the_environment_are_masked_wherever_they_occur(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, text: str, is_masked: bool
) -> None:
    monkeypatch.setenv(name, value)
    redaction.remember_environment()
    assert ("***" in masked(text)) == is_masked


def test_a_secret_of_the_command_line_is_masked_before_its_settings_are_checked() -> None:
    redaction.remember_arguments(["source.live.proxy='alice:opensesame,1@h:80'", "universe=demo"])
    assert masked("can't read opensesame,1 of demo") == "can't read *** of demo"


@given(st.text(max_size=80))
def test_what_is_shown_is_one_line_that_can_be_seen(text: str) -> None:
    assert shown(text).isprintable()


def test_a_long_text_is_masked_in_time_that_grows_with_its_length() -> None:
    """A pattern that looks back over a whole word takes minutes here."""
    assert len(masked("x" * 200_000 + " token " + "A1" * 100_000 + "@" + "pass_" * 40_000)) > 600_000


def test_settings_are_kept_without_a_password_that_yaml_folds() -> None:
    words = "correct horse battery staple, many times over and further than a line of YAML is long"
    config = Config(tracking=TrackingConfig(uri=f"postgresql://ann:{words}@db/x"))
    shown = TrainingSettings.of(config, []).config_yaml
    assert yaml.safe_load(shown)["tracking"]["uri"] == "postgresql://***@db/x"
    assert "staple" not in shown


def test_a_command_line_is_masked_argument_by_argument(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["train.py", "tracking.uri=postgresql://ann:12 34@db/x", "universe=full"])
    assert lock.command_line() == 'train.py "tracking.uri=postgresql://***@db/x" universe=full'


def test_the_address_of_a_person_is_a_secret_as_a_whole_and_its_words_are_none() -> None:
    live = LiveSource(contact="research@example.org")
    redaction.remember_settings(live)
    assert masked("alpha-loop research@example.org asks for research") == "alpha-loop *** asks for research"
    assert masked_setting("source.live.contact", "research@example.org") == "***"
    assert masked_values(live)["contact"] == "***" and masked_values(LiveSource())["contact"] is None
