"""What the doctor finds on machines in every state."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import sys
import types
import urllib.request
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from src import doctor
from src.config.research_sections import EdgarSection, NewsSection, PapersSection, ResearchConfig
from src.config.schema import Config, EngineConfig, LiveSource, SourceConfig, TrackingConfig
from src.fetching.network import BUNDLES, PROXIES
from src.inspection import connections, diagnostics, research_sources
from tests.fetching.proxy_case import GOOD, proxy, server

FOLDERS = [Path(name) for name in ("data", "logs", "reports", "mlruns")]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))


def test_the_findings_are_lines_and_the_last_names_what_to_fix(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = diagnostics.Finding("disk", "bad", "none left")
    monkeypatch.setattr(doctor, "examine", lambda _overrides: [diagnostics.Finding("Python", "ok", "3.12"), bad])
    assert doctor.doctor([]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "ok    Python        3.12",
        "BAD   disk          none left",
        "doctor: 1 to fix first: disk",
    ]
    monkeypatch.setattr(doctor, "examine", lambda _overrides: [diagnostics.Finding("clock", "note", "late")])
    assert doctor.doctor(["--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [{"name": "clock", "state": "note", "message": "late"}]


def test_a_wrong_configuration_is_a_finding_and_hides_none_of_the_others() -> None:
    findings = doctor.examine(["split.embargo=-1"])
    assert findings[0].state == "bad"
    assert findings[0].message.startswith("split.embargo must be from 0 to 1,000 bars, got -1")
    assert len(findings) == len(doctor.checks(Config())) + 1


def test_a_check_that_breaks_is_a_finding() -> None:
    def broken() -> diagnostics.Finding:
        raise OSError("no such device")

    (found,) = diagnostics.run_checks({"disk": broken})
    assert (found.name, found.state, found.message) == ("disk", "bad", "the check failed: OSError: no such device")


def test_every_check_has_a_finding_on_this_machine() -> None:
    for found in diagnostics.run_checks(doctor.checks(Config())):
        assert found.state in ("ok", "note", "bad")
        assert found.message
        assert "the check failed" not in found.message, found


def test_an_old_python_is_bad(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 4))
    assert diagnostics.python().state == "bad"
    assert "needs 3.11 to 3.13, 64 bits" in diagnostics.python().message


def test_packages_that_differ_from_the_lock_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = diagnostics._installed
    monkeypatch.setattr(
        diagnostics, "_installed", lambda name: {"polars": "0.1", "numpy": None}.get(name, installed(name))
    )
    found = diagnostics.packages()
    assert found.state == "bad"
    assert "polars 0.1" in found.message
    assert "numpy missing" in found.message
    assert found.message.endswith("make setup")


def test_a_missing_plugin_is_bad(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnostics.importlib.metadata, "entry_points", lambda **_group: [])
    assert connections.gate().state == "bad"
    ours = [
        types.SimpleNamespace(name=name, value="src.tracking.registry_store:g") for name in ("sqlite", "postgresql")
    ]
    monkeypatch.setattr(diagnostics.importlib.metadata, "entry_points", lambda **_group: ours)
    assert connections.gate().state == "ok"
    monkeypatch.setattr(diagnostics.importlib.metadata, "entry_points", lambda **_group: ours[:1])
    assert connections.gate().state == "bad"


@pytest.mark.parametrize("module", ["src.gone", "src.gone.registry_store", "src.grade.registry_store", "elsewhere"])
def test_a_plugin_whose_module_does_not_exist_is_bad(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    stale = [types.SimpleNamespace(name=name, value=f"{module}:g") for name in ("sqlite", "postgresql")]
    monkeypatch.setattr(diagnostics.importlib.metadata, "entry_points", lambda **_group: stale)
    found = connections.gate()
    assert found.state == "bad"
    assert "run make setup" in found.message


@pytest.mark.parametrize(("free", "state"), [(100, "bad"), (5 * diagnostics.GB, "note"), (50 * diagnostics.GB, "ok")])
def test_disk_space_is_judged(free: int, state: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: types.SimpleNamespace(free=free))
    assert diagnostics.disk(Path("data")).state == state


def test_little_memory_suggests_fewer_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    import psutil

    monkeypatch.setattr(psutil, "virtual_memory", lambda: types.SimpleNamespace(available=diagnostics.GB))
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    found = diagnostics.memory(EngineConfig())
    assert found.state == "note"
    assert found.message.endswith("engine.workers=4")


def test_folders_are_tried_and_left_as_they_were(tmp_path: Path) -> None:
    assert diagnostics.writing(FOLDERS).state == "ok"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="needs POSIX permissions that bind")
def test_a_folder_that_can_not_be_written_to_is_bad(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data").chmod(0o500)
    assert diagnostics.writing(FOLDERS).state == "bad"


def test_a_file_where_a_folder_belongs_is_bad(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("", encoding="utf-8")
    found = diagnostics.writing(FOLDERS)
    assert found.state == "bad"
    assert "data" in found.message


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """No proxy and no certificates are named."""
    for name in (*PROXIES, *BUNDLES):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(urllib.request, "getproxies", urllib.request.getproxies_environment)
    return monkeypatch


def test_the_proxys_password_is_not_shown(bare: pytest.MonkeyPatch) -> None:
    bare.setenv("HTTPS_PROXY", "http://me:hunter2@proxy.example:3128")
    message = connections.proxy(LiveSource()).message
    assert "proxy.example:3128" in message
    assert "hunter2" not in message


@pytest.mark.parametrize("name", [*PROXIES, "source.live.proxy"])
def test_a_proxy_is_named_and_not_asked(name: str, bare: pytest.MonkeyPatch) -> None:
    config = Config()
    assert connections.proxy(config.source.live).message == "none: live sources are reached directly"
    if name in PROXIES:
        bare.setenv(name, "http://127.0.0.1:9")
    else:
        config.source.live.proxy = "http://127.0.0.1:9"
    found = connections.proxy(config.source.live)
    assert found.state == "note"
    expected = f"{name}=http://127.0.0.1:9: the address is valid"
    assert found.message.lower().startswith(expected.lower()), "Windows knows no case in names of variables"


def test_what_live_sources_would_refuse_or_not_use_as_a_proxy_is_reported(bare: pytest.MonkeyPatch) -> None:
    bare.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    assert connections.proxy(LiveSource()).message == "none: live sources are reached directly"
    bare.setenv("https_proxy", "http://127.0.0.1:port")
    assert connections.proxy(LiveSource()).state == "bad"


def test_a_bundle_of_certificates_that_does_not_exist_is_bad(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "absent.pem"))
    found = connections.certificates(LiveSource())
    assert found.state == "bad"
    assert found.message.startswith("there is no file REQUESTS_CA_BUNDLE=")
    assert "absent.pem: correct" in found.message


def test_a_file_that_holds_no_certificates_is_bad(bare: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert "authorities in" in connections.certificates(LiveSource()).message
    config = Config()
    config.source.live.ca_file = str(tmp_path / "own.pem")
    assert "source.live.ca_file=" in connections.certificates(config.source.live).message
    (tmp_path / "own.pem").write_text("not PEM", encoding="utf-8")
    found = connections.certificates(config.source.live)
    assert (found.state, "own.pem holds no certificates (PEM)" in found.message) == ("bad", True)


def test_a_clock_in_the_past_is_bad(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnostics.time, "time", lambda: 0.0)
    assert diagnostics.clock().state == "bad"


def test_a_locked_or_broken_database_is_bad(tmp_path: Path) -> None:
    path = tmp_path / "mlruns" / "mlflow.db"
    assert "is made by the first training" in connections.store(TrackingConfig()).message
    path.parent.mkdir()
    holder = sqlite3.connect(path)
    holder.execute("CREATE TABLE runs (run_uuid, lifecycle_stage)")
    holder.execute("CREATE TABLE tags (run_uuid, key, value)")
    holder.commit()
    assert connections.store(TrackingConfig()).message.startswith("0 graded runs in ")
    holder.execute("BEGIN EXCLUSIVE")
    found = connections.store(TrackingConfig())
    holder.close()
    assert found.state == "bad"
    assert "database is locked; close the program that holds it" in found.message
    path.write_bytes(b"not a database, much longer than a header of a hundred bytes" * 10)
    assert connections.store(TrackingConfig()).state == "bad"


def test_runs_are_counted_as_the_report_counts_them(tmp_path: Path) -> None:
    path = tmp_path / "mlruns" / "mlflow.db"
    path.parent.mkdir()
    runs = {
        "session": {}, "a": {"alpha.record_id": "1"}, "b": {"alpha.record_id": "2", "alpha.superseded": ""},
        "old": {"alpha.record_id": "3", "alpha.superseded": "4"}, "p": {"alpha.record_id": "5", "arm": "placebo"},
        "gone": {"alpha.record_id": "6"},
    }  # fmt: skip
    with closing(sqlite3.connect(path)) as holder:
        holder.execute("CREATE TABLE runs (run_uuid, lifecycle_stage)")
        holder.execute("CREATE TABLE tags (run_uuid, key, value)")
        for run_id, tags in runs.items():
            holder.execute("INSERT INTO runs VALUES (?, ?)", (run_id, "deleted" if run_id == "gone" else "active"))
            holder.executemany("INSERT INTO tags VALUES (?, ?, ?)", [(run_id, *tag) for tag in tags.items()])
        holder.commit()
    assert connections.store(TrackingConfig()).message.startswith(
        "2 graded runs (beside them 1 deleted, 1 placebo, 1 superseded, 1 without a record, as sessions are) in "
    )


def test_a_remote_store_is_shown_without_its_password() -> None:
    tracking = TrackingConfig(uri="https://me:hunter2@mlflow.example")
    assert connections.store(tracking).message == "https://***@mlflow.example"


@pytest.mark.parametrize(
    ("kind", "name", "state", "message"),
    [
        ("simulated", None, "ok", "simulated: bars are invented here"),
        ("folder", None, "bad", "folder: source.path: there is no "),
        ("folder", "bars.parquet", "ok", "folder: 1 file, "),
        ("folder", "bars.doc", "bad", "folder: source.path: "),
        ("stooq", "d_us_txt.zip", "bad", "stooq: source.path: "),
        ("stooq", "aapl.us.txt", "ok", "stooq: 1 file, "),
        ("stoq", None, "bad", "stoq: source.kind must be one of "),
        ("yahoo", None, "note", "yahoo: reached when hydrating"),
    ],
)
def test_each_source_is_checked(kind: str, name: str | None, state: str, message: str, tmp_path: Path) -> None:
    folder = tmp_path / "source"
    if name is not None:
        folder.mkdir()
        (folder / name).write_bytes(b"x")
    found = connections.source(SourceConfig(kind=kind, path=str(folder)))
    assert (found.state, found.message[: len(message)]) == (state, message)


def test_long_paths_matter_on_windows_only(monkeypatch: pytest.MonkeyPatch) -> None:
    assert diagnostics.path_length().state == "ok"
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(diagnostics, "_long_paths_enabled", lambda: False)
    monkeypatch.setattr(diagnostics, "ROOT", Path("C:/" + "x" * 150))
    assert diagnostics.path_length().state == "bad"
    monkeypatch.setattr(diagnostics, "ROOT", Path("C:/alpha"))
    assert diagnostics.path_length().state == "note"


def test_dvc_without_git_is_noted_with_its_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnostics, "ROOT", tmp_path)
    found: Any = diagnostics.versioning()
    assert (found.state, "core.no_scm true" in found.message) == ("note", True)
    (tmp_path / ".git").mkdir()
    assert diagnostics.versioning().message == "git and DVC"


LIVE = {"stock": ["yahoo"], "crypto": ["kraken"]}


def test_without_a_live_source_no_network_is_needed() -> None:
    assert connections.hosts(SourceConfig()).state == "ok"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (
            b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
            "the proxy does not let it through; correct HTTPS_PROXY",
        ),
        (GOOD, "its certificate is not trusted; sign in where the network has a sign-in page"),
    ],
)
def test_each_host_that_is_not_reached_is_named_with_what_to_do(answer: bytes, words: str) -> None:
    with proxy(answer, server("portal.example")) as address:
        found = connections.hosts(SourceConfig(kind="auto", live=LiveSource(proxy=address, chain=LIVE)))
    assert found.state == "bad"
    assert found.message.startswith("5 of 5 hosts not reached; no host answers, so it is the network:\n")
    for host in ("query1.finance.yahoo.com", "query2.finance.yahoo.com", "api.kraken.com", "www.nasdaqtrader.com"):
        assert f"\n      {host}: {words}" in found.message


def test_hosts_that_answer_are_listed(tmp_path: Path) -> None:
    """Any answer counts, that of a page which is not there as well."""
    names = ("query1.finance.yahoo.com", "query2.finance.yahoo.com", "fc.yahoo.com", "www.nasdaqtrader.com")
    settings = {"ca_file": str(tmp_path / "own.pem"), "chain": {"stock": ["yahoo"]}}
    page = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
    with proxy(GOOD, server(*names, trusted=tmp_path / "own.pem"), page) as address:
        found = connections.hosts(SourceConfig(kind="yahoo", live=LiveSource(proxy=address, **settings)))
    assert (found.state, found.message) == ("ok", f"4 hosts answer: {', '.join(names)}")


def test_the_hosts_of_research_are_asked_and_what_is_missing_is_named(tmp_path: Path) -> None:
    names = ("www.example.org", "feeds.example.com")
    settings = ResearchConfig(
        news=NewsSection(
            enabled=True, feeds=[f"https://{names[0]}/a", f"https://{names[0]}/b", f"https://{names[1]}/"]
        ),
        edgar=EdgarSection(enabled=True),
        papers=PapersSection(enabled=False),
    )
    live = {"ca_file": str(tmp_path / "own.pem")}
    page = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
    with proxy(GOOD, server(*names, trusted=tmp_path / "own.pem"), page) as address:
        found = research_sources.research(settings, LiveSource(proxy=address, **live))
    assert found.state == "bad"
    first, second = found.message.split("\n      ")
    assert first == f"edgar, news: 2 hosts answer: {', '.join(names)}"
    assert second.startswith("edgar can't be asked: ") and "source.live.contact" in second


def test_without_sources_of_research_nothing_is_asked() -> None:
    found = research_sources.research(ResearchConfig(), LiveSource())
    assert (found.state, found.message) == ("ok", "no source is chosen: research=edgar,news chooses two")
    nothing = research_sources.research(ResearchConfig(news=NewsSection(enabled=True)), LiveSource())
    assert nothing.message.startswith("news: no host is asked\n      news can't be asked: name feeds in")


def test_hosts_of_research_that_are_not_reached_are_named_with_what_to_do() -> None:
    settings = ResearchConfig(news=NewsSection(enabled=True, feeds=["https://feeds.example.com/x"]))
    with proxy(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", server("portal.example")) as address:
        found = research_sources.research(settings, LiveSource(proxy=address))
    assert found.state == "bad" and "feeds.example.com: the proxy does not let it through" in found.message
