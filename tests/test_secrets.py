"""Planted secrets: a whole session whose settings, environment and errors hold some leaves none in any file."""

from __future__ import annotations

import os
import re
from pathlib import Path

import polars as pl
import pytest

from tests import warm_case
from tests.loopback.wire import Reply, Request
from tests.pipeline_case import Project
from tests.research.site_case import XML, site

PLANTED = {
    "proxy": "Pr0xyPassw0rd", "environment": "Env1ronmentKey", "address": "Addr3ssPassword", "key": "Par4mApiKey",
    "error": "Err0rToken", "chained": "Chain3dPassword", "query": "Qu3rySignature", "cookie": "C00kieCrumb",
    "feed": "F33dT0kenValue", "login": "F33dPa55word", "reddit": "R3dditAppS3cret",
    "contact": "ann.pl4nted@example.org",
}  # fmt: skip
SETTINGS = (
    f"source.live.proxy='alice:{PLANTED['proxy']}@proxy:8080'",
    "universe.buckets=1", "source.simulated.stock=2", "source.simulated.etf=1", "source.simulated.crypto=1",
    "source.simulated.first=2018-01-02", "model=hist_gradient_boosting", "features.families=[trend]",
)  # fmt: skip
ENVIRONMENT = {
    "BROKER_API_KEY": PLANTED["key"],
    "AWS_SECRET_ACCESS_KEY": PLANTED["environment"],
    "HTTPS_PROXY": f"http://bob:{PLANTED['address']}@proxy.example:8080",
    "NO_PROXY": "127.0.0.1",
    "REDDIT_CLIENT_ID": "an-app-of-the-user",
    "REDDIT_CLIENT_SECRET": PLANTED["reddit"],
}
# Stands for a library that fails and says what it was asked: the error holds secrets of all kinds, known and unknown.
CAUSE = f"postgresql://ann:{PLANTED['chained']}@db/x refused; Cookie: B={PLANTED['cookie']}; x"
ERROR = (
    f"401 of https://h/a?sig={PLANTED['query']}&x=1, Authorization: Bearer {PLANTED['error']} with"
    f" {PLANTED['environment']} by {PLANTED['proxy']} or {PLANTED['key']} at {PLANTED['address']}"
    "\n2026-01-01 00:00:00,000 INFO src.x: forged"
)
FAILING = f"""
from tests.soak.faulted_command import work_in_this_process
work_in_this_process()
from src.models import hist_gradient_boosting as family
usual = family.fit
calls = []
def fit(*arguments, **settings):
    calls.append(1)
    if len(calls) <= 2:
        try:
            raise ConnectionError({CAUSE!r})
        except ConnectionError as error:
            raise RuntimeError({ERROR!r}) from error
    return usual(*arguments, **settings)
family.fit = fit
from src import train
from src.runtime import command
command.run_command(lambda _arguments: command.run_verb("train", train.train))
"""


def feeds(request: Request) -> Reply:
    """A site that says back what it was asked: feeds, one of which fails, and the tokens of Reddit, refused."""
    heard = f"{request.query} {request.headers.get('authorization')} {request.headers.get('user-agent')}"
    if request.path != "/feed":
        return Reply(401, f'{{"message": "no such app: {heard} {request.body!r}"}}'.encode())
    if request.query["n"] == "2":
        return Reply(302, heard.encode(), XML, {"Location": f"ftp://x/y?token={request.query['token']}"})
    link = f"https://h/{request.query['n']}?token={request.query['token']}".replace("&", "&amp;")
    return Reply(200, f"<rss version='2.0'><channel><item><link>{link}</link></item></channel></rss>".encode(), XML)


def research(url: str) -> list[str]:
    """Settings of a collection whose addresses hold secrets."""
    _, _, host = url.partition("://")
    address = f"http://ann:{PLANTED['login']}@{host}/feed?token={PLANTED['feed']}&n="
    live = {"contact": PLANTED["contact"], "pause": 0.05, "max_pause": 0.1, "tries": 1}
    return [
        "research=[news,reddit]", f"research.news.feeds=['{address}1','{address}2']",
        f"research.reddit.address={url}", f"research.reddit.token_address={url}",
        *(f"source.live.{name}={value}" for name, value in live.items()),
    ]  # fmt: skip


class Planted(Project):
    """A project whose commands get the secrets."""

    def arguments(self, verb: str, *overrides: str) -> list[str]:
        return super().arguments(verb, *SETTINGS, *overrides)

    def said(self, command: list[str]) -> str:
        """Run a command that has to succeed; all that it writes to the terminal."""
        environment = {**os.environ, **ENVIRONMENT, "DVC_STAGE": "test", "DVC_ROOT": str(self.root)}
        done = warm_case.run(command[1:], self.code, environment)
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> tuple[Planted, str]:
    project = Planted(tmp_path_factory.mktemp("planted") / "p")
    with site(feeds) as made:
        said = [project.said(project.arguments("ingest", *research(made.url)))]
    said += [project.said(project.arguments(verb)) for verb in ("hydrate", "featurize")]
    python, _, _, *settings = project.arguments("train")
    said.append(project.said([python, "-c", FAILING, *settings]))
    said += [project.said(project.arguments(verb)) for verb in ("report", "sync", "status", "doctor")]
    said.append(project.said([*project.arguments("train", "--help")]))
    return project, "\n".join(said)


def content(path: Path) -> str:
    """A file as text, with the cells of tables."""
    raw = path.read_bytes().decode("utf-8", "replace")
    if path.suffix == ".parquet":
        return raw + "\n".join(str(row) for row in pl.read_parquet(path).select(pl.col(pl.String)).unique().rows())
    return raw


@pytest.mark.parametrize("name", PLANTED)
def test_no_planted_secret_is_in_any_file_or_on_the_terminal(session: tuple[Planted, str], name: str) -> None:
    project, said = session
    found = [str(path) for path in project.root.rglob("*") if path.is_file() and PLANTED[name] in content(path)]
    assert found == [] and PLANTED[name] not in said


def test_the_failure_was_recorded_and_forged_no_line(session: tuple[Planted, str]) -> None:
    """The search above would also pass if nothing had been written."""
    project, said = session
    failures = "\n".join(path.read_text(encoding="utf-8") for path in (project.runs / "failures").glob("*.json"))
    log = (project.root / "logs" / "training.log").read_text(encoding="utf-8")
    for text in (failures, log):
        assert "401 of https://h/a?sig=***" in text and "ConnectionError" in text
    assert not re.search("^2026-01-01", log, re.MULTILINE)
    assert "source.live.proxy=***@proxy:8080" in log and "proxy:8080" in said
    assert project.states("train").filter(pl.col("reason").str.contains("401 of")).height == 1
    log = (project.root / "logs" / "ingest.log").read_text(encoding="utf-8")
    assert "feed?token=***" in log and "redirects to ftp://x/y?token=***" in log and "reddit" in said
    tracked = project._asked("SELECT value FROM tags UNION SELECT value FROM params")
    assert tracked
