"""Where every stage stands: the counts are those of the states, whatever runs, died or has not begun."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from src import status
from src.config.schema import Config
from src.core.project import ROOT
from src.hydration.live.raw_store import RawStore
from src.inspection import status_view, watch
from src.inspection.overview import overview
from src.runtime import heartbeat
from src.storage import state_counts
from src.storage.atomic import write_json, write_parquet
from src.storage.ledger import SCHEMA, STATES, WAITING, Ledger
from tests import process_case
from tests.hydration.live import raw_case
from tests.pipeline_case import Project, featurized
from tests.terminal_case import CODE, Session, cursor_is_shown

NOW = dt.datetime(2026, 11, 20, 22, 0, tzinfo=dt.UTC)  # a Friday, after New York's close
KEYS = [*(("stock", f"S{n}") for n in range(6)), ("etf", "E0"), ("crypto", "C0")]


def overview_of(config: Config, now: dt.datetime) -> dict[str, Any]:
    return overview(config.paths, config.universe, config.source, now)


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    made = Config()
    made.data.root, made.data.reports = str(tmp_path / "data"), str(tmp_path / "reports")
    return made


@pytest.fixture(scope="module")
def hydrated(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return featurized(tmp_path_factory, tmp_path_factory.mktemp("status") / "p")


def states(keys: list[tuple[str, str]], **differing: tuple[str, str]) -> pl.DataFrame:
    rows = [(*key, *differing.get(key[1], ("done", "")), 100, None, dt.date(2026, 11, 20)) for key in keys]
    names = ["asset_class", "symbol", "state", "reason", "rows", "first", "last"]
    schema: dict[str, Any] = dict.fromkeys(names[:4], pl.String) | {"rows": pl.Int64, "first": pl.Date, "last": pl.Date}
    return pl.DataFrame(rows, schema=schema, orient="row")


def write_bars(config: Config, parts: dict[int, pl.DataFrame], wanted: list[tuple[str, str]] = KEYS) -> None:
    root = Path(config.data.root) / "bars" / config.dataset
    extra: dict[str, Any] = {"repaired": pl.Int64(), "basis": pl.String(), "liquidity": pl.Float64()}
    for b, part in parts.items():
        full = part.with_columns(pl.lit(None, kind).alias(name) for name, kind in extra.items())
        Ledger(root, SCHEMA | extra).record(b, "job", full, digest=f"d{b}")
    chosen = [(*key, True, "named") for key in wanted] + [("stock", "OUT", False, "not named")]
    write_parquet(pl.DataFrame(chosen, schema=["asset_class", "symbol", "included", "reason"], orient="row"),
                  root / "universe.parquet")  # fmt: skip


def stage(found: dict[str, Any], name: str) -> dict[str, Any]:
    return next(each for each in found["stages"] if each["stage"] == name)


def row(total: int | None, pending: int | None, **other: int) -> dict[str, int | None]:
    found: dict[str, int | None] = dict.fromkeys(STATES, 0) | {"pending": pending, "total": total} | other
    return {name: found[name] for name in (*state_counts.COUNTS, "total")}


# counts ---------------------------------------------------------------------------------------------------------------


def test_nothing_on_disk_is_nothing_done_of_an_unknown_total(config: Config) -> None:
    found = overview_of(config, NOW)
    assert [each["stage"] for each in found["stages"]] == ["hydrate", "featurize", "train"]
    assert all(each["all"] == row(None, None) and each["state"] == "idle" for each in found["stages"])
    assert re.search(r"hydrate +0 +\? +0 +0 +0 +\?", status_view.text(found))


def test_before_any_hydration_names_with_their_class_are_pending(config: Config) -> None:
    config.universe.symbols = ["stock:AAPL", "crypto:BTC-USD"]
    assert stage(overview_of(config, NOW), "hydrate")["all"] == row(2, 2)
    config.universe.symbols = ["AAPL"]  # of which class only the source can tell
    assert stage(overview_of(config, NOW), "hydrate")["all"] == row(None, None)


def test_before_any_hydration_the_pinned_list_is_pending(config: Config, tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    rows = ["# made: 2026-11-01", "# origin: a test", "asset_class,symbol,rank,dollar_volume"]
    path.write_text("\n".join([*rows, "stock,AAPL,1,", "stock,MSFT,2,", "etf,SPY,1,"]), encoding="utf-8")
    config.universe.pinned, config.universe.stock, config.source.kind = str(path), 1, "yahoo"
    assert stage(overview_of(config, NOW), "hydrate")["classes"] == {"stock": row(1, 1), "etf": row(1, 1)}


def test_pending_is_what_is_wanted_and_has_no_state(config: Config) -> None:
    write_bars(config, {0: states(KEYS[:4], S1=("failed", "no answer"), S2=("quarantined", "all flat"))})
    found = overview_of(config, NOW)
    assert stage(found, "hydrate")["all"] == row(8, 4, done=2, failed=1, quarantined=1)
    assert stage(found, "hydrate")["classes"] == {
        "stock": row(6, 2, done=2, failed=1, quarantined=1),
        "etf": row(1, 1),
        "crypto": row(1, 1),
    }
    assert stage(found, "featurize")["all"] == row(8, 8)


def test_features_of_other_bars_are_pending_again(config: Config) -> None:
    write_bars(config, {0: states(KEYS[:4]), 1: states(KEYS[4:])})
    ledger = Ledger(Path(config.data.root) / "features" / "demo")
    ledger.record(0, "", states(KEYS[:4], S3=("failed", "log of zero")), bars="d0")
    ledger.record(1, "", states(KEYS[4:]), bars="older")
    assert stage(overview_of(config, NOW), "featurize")["all"] == row(8, 4, done=3, failed=1)


def test_an_instrument_that_waits_for_features_is_pending_in_training(config: Config) -> None:
    write_bars(config, {0: states(KEYS)})
    done = states(KEYS, S0=("skipped", WAITING), S1=("skipped", "300 bars, 500 wanted"))
    write_parquet(done, Path(config.data.root) / "states" / "demo" / "train.parquet")
    assert stage(overview_of(config, NOW), "train")["all"] == row(8, 1, done=6, skipped=1)


def test_a_running_session_reports_its_own_counts(config: Config) -> None:
    write_bars(config, {0: states(KEYS)})
    write_parquet(states(KEYS), Path(config.data.root) / "states" / "demo" / "train.parquet")
    facts = {"states": {"stock": {"done": 2, "failed": 1}}, "runs": {"lightgbm": {"runs": 2, "passed": 1}}}
    with heartbeat.beating("train", "demo", Path(config.data.root), "python -m src.train") as beat:
        beat.update(phase="working", done=3, total=8, rate=0.5, left_seconds=10.0, facts=facts, note="1 passes")
        found = overview_of(config, NOW)
    train = stage(found, "train")
    assert train["all"] == row(8, 5, done=2, failed=1)
    assert train["classes"]["etf"] == row(1, 1)
    assert (train["state"], train["finished"], train["of"], train["rate"]) == ("running", 3, 8, 0.5)
    assert found["passes"] == {"session": "running", "families": {"lightgbm": {"runs": 2, "passed": 1}}}
    text = status_view.text(found)
    assert "train       [#########...............]  38%  3 of 8, 30.0 a minute, about 10 s left; 1 passes" in text
    assert "passes, runs by family: lightgbm 1 of 2 so far" in text


def test_a_command_on_the_same_name_in_another_folder_is_not_this_datasets(config: Config, tmp_path: Path) -> None:
    with heartbeat.beating("train", "demo", tmp_path / "elsewhere", "python -m src.train data.root=elsewhere") as beat:
        beat.update(phase="working")
        found = overview_of(config, NOW)
    assert stage(found, "train")["state"] == "idle"
    assert [each["verb"] for each in found["commands"]] == ["train"]


def test_a_command_that_is_not_a_stage_shows_how_far_it_is(config: Config) -> None:
    with heartbeat.beating("tune", "demo", Path(config.data.root), "python -m src.tune") as beat:
        beat.update(phase="working")
        beat.begin(120, "trial", 12)
        found = overview_of(config, NOW)
    assert [(each["finished"], each["of"], each["unit"]) for each in found["commands"]] == [(12, 120, "trial")]
    assert any(
        "also tune on demo" in line and "12 of 120 trials" in line for line in status_view.text(found).splitlines()
    )


def entry(key: tuple[str, str], state: str, **other: Any) -> dict[str, Any]:
    blank = {"provider": "yahoo", "name": "", "tries": 1, "reason": "", "error_class": "", "facts": {}}
    known = {"asset_class": key[0], "symbol": key[1], "state": state, "next_attempt": None, "checked": None}
    return {**blank, **known, **other}


def test_requests_to_live_providers_are_a_stage_of_their_own(config: Config) -> None:
    write_bars(config, {0: states(KEYS[:1])})
    raw = Path(config.data.root) / "bars" / "demo" / "raw"
    late = {"error_class": "unavailable", "tries": 4}
    first = [
        entry(KEYS[0], "fetched", checked="2026-11-20T21:40:00.000000+00:00"),
        entry(KEYS[1], "fetched", checked="2026-11-20T20:00:00.000000+00:00"),
        entry(KEYS[2], "failed", **late, reason="timeout after 30 s", next_attempt="2026-11-20T21:00:00.000000+00:00"),
    ]
    second = [
        entry(KEYS[3], "failed", **late, reason="timeout after 31 s", next_attempt="2026-11-21T04:00:00.000000+00:00"),
        entry(KEYS[4], "unknown", error_class="unknown", reason="No data found, symbol may be delisted"),
        entry(KEYS[5], "unfit", error_class="unfit", reason="currency is CAD"),
    ]
    write_json({"key": "", "states": first}, raw / "b000.json")
    write_json({"key": "", "states": second}, raw / "b001.json")
    found = overview_of(config, NOW)
    fetch = stage(found, "fetch")
    assert fetch["all"] == row(8, 2, done=2, failed=2, skipped=1, quarantined=1)
    assert fetch["retry"] == {"due": 1, "later": 1, "next_attempt": "2026-11-21T04:00:00+00:00"}
    assert fetch["reasons"][0] == {
        "state": "failed", "kind": "unavailable", "count": 2, "instrument": "stock:S2", "reason": "timeout after 30 s",
    }  # fmt: skip
    assert found["freshness"][0]["asked_since"] == 1
    text = status_view.text(found)
    assert "fetch: 2 failed, unavailable: timeout after 30 s (stock:S2)" in text
    assert "fetch: 1 failed are due again, 1 later, the next at " in text


def test_answers_that_are_kept_count_before_a_bucket_is_folded(config: Config) -> None:
    write_bars(config, {})
    root = Path(config.data.root) / "bars" / "demo"
    store = RawStore(root / "raw", "1d", 2)
    store.append(KEYS[0], "yahoo", "failed", NOW, error_class="unavailable", reason="a reset", next_attempt=NOW)
    for key in (KEYS[0], *KEYS[2:4]):
        store.append(key, "yahoo", "fetched", NOW, answer=raw_case.answer(key[1], 5))
    store.append(KEYS[1], "yahoo", "unknown", NOW, error_class="unknown", reason="No data found")
    (root / "raw" / "pending" / "b000-00000000000000000099.answer").write_bytes(b"{half")
    fetch = stage(overview_of(config, NOW), "fetch")
    assert fetch["all"] == row(8, 4, done=3, skipped=1)
    assert fetch["changed"] is not None
    for b in store.pending():
        store.merge_logged(b)
    assert stage(overview_of(config, NOW), "fetch")["all"] == fetch["all"]
    store.append(KEYS[0], "yahoo", "failed", NOW, error_class="unavailable", reason="a reset", next_attempt=NOW)
    found = overview_of(config, NOW)
    assert stage(found, "fetch")["all"] == row(8, 4, done=2, failed=1, skipped=1)


def test_reasons_that_differ_in_numbers_are_one_kind_and_earlier_stages_keep_their_own() -> None:
    rows = states(
        KEYS, S0=("skipped", "300 bars, 500 wanted"), S1=("skipped", "71 bars, 500 wanted"),
        S2=("failed", "log of zero"), S3=("skipped", "quarantined by hydrate: all flat"),
    )  # fmt: skip
    found = [(each["state"], each["count"], each["instrument"], each["reason"]) for each in state_counts.reasons(rows)]
    assert found == [("skipped", 2, "stock:S0", "300 bars, 500 wanted"), ("failed", 1, "stock:S2", "log of zero")]


def test_freshness_counts_the_last_complete_session(config: Config) -> None:
    part = states(KEYS).with_columns(
        last=pl.when(symbol="S0").then(dt.date(2026, 11, 19))
        .when(symbol="S1").then(dt.date(2026, 11, 12)).otherwise("last")
    )  # fmt: skip
    write_bars(config, {0: part})
    stocks, etfs, coins = overview_of(config, NOW)["freshness"]
    assert stocks == {
        "asset_class": "stock", "instruments": 6, "newest": "2026-11-20", "oldest": "2026-11-12",
        "last_session": "2026-11-20", "have_it": 4, "week_behind": 1, "asked_since": None,
    }  # fmt: skip
    assert (etfs["have_it"], coins["last_session"]) == (1, "2026-11-19")


def test_states_of_other_stages_are_shown_as_well(config: Config) -> None:
    path = Path(config.data.root) / "states" / "demo" / "quote.parquet"
    write_parquet(states(KEYS[:2], S1=("failed", "no chain")), path)
    assert stage(overview_of(config, NOW), "quote")["all"] == row(2, 0, done=1, failed=1)


def test_the_counts_are_those_of_the_states_of_a_whole_project(
    hydrated: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DVC_ROOT", str(hydrated.root))
    folders = [f"data.root='{hydrated.root / 'data'}'", f"data.reports='{hydrated.root / 'reports'}'"]
    assert status.status(["universe=demo", "--json", *folders]) == 0
    found = json.loads(capsys.readouterr().out)
    for name in ("hydrate", "featurize"):
        table = hydrated.states(name)
        counts = dict(table["state"].value_counts().iter_rows())
        assert stage(found, name)["all"] == row(table.height, 0, **counts)
        for kind, part in table.group_by("asset_class"):
            counts = dict(part["state"].value_counts().iter_rows())
            assert stage(found, name)["classes"][str(kind[0])] == row(part.height, 0, **counts)
    assert stage(found, "train")["all"] == row(7, 7)
    assert status.status(["universe=demo", *folders]) == 0
    assert re.search(r"train +0 +7 +0 +0 +0 +7", capsys.readouterr().out)


def test_a_killed_stage_is_shown_as_died(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    project, config = Project(tmp_path), Config()
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    config.data.root, config.data.reports = str(tmp_path / "data"), str(tmp_path / "reports")
    process = project.start("hydrate", "source.simulated.stock=3000", "universe.buckets=64")
    process_case.until(lambda: stage(overview_of(config, NOW), "hydrate")["of"], process)
    found = stage(overview_of(config, NOW), "hydrate")
    assert (found["state"], found["of"], found["all"]["total"]) == ("running", 3003, 3003)
    process.kill()
    process.communicate()
    left = overview_of(config, NOW)
    found = stage(left, "hydrate")
    assert (found["state"], left["commands"]) == ("died", [])
    held = sum(len(json.loads(path.read_text())["states"]) for path in (tmp_path / "data/bars/demo").glob("b*.json"))
    assert found["all"]["done"] + found["all"]["quarantined"] == held < 3003
    assert found["all"]["pending"] == 3003 - held
    assert "3,003, died (killed, or the machine went down): run the same command to continue" in status_view.text(left)


def test_every_key_of_the_json_is_documented(config: Config) -> None:
    write_bars(config, {0: states(KEYS, S0=("failed", "no answer"))})
    raw = Path(config.data.root) / "bars" / "demo" / "raw"
    write_json({"key": "", "states": [entry(KEYS[0], "fetched")]}, raw / "b000.json")
    grades = pl.DataFrame({"family": ["lightgbm"], "passed": [True]})
    write_parquet(grades, Path(config.data.root) / "grades" / "demo.parquet")
    with heartbeat.beating("hydrate", "demo", Path(config.data.root), ""):
        found = overview_of(config, NOW)
    documented = set(re.findall(r"`(\w+)`", (ROOT / "docs" / "status.md").read_text(encoding="utf-8")))

    def keys(value: Any) -> Iterator[str]:
        for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
            yield from keys(each)
        yield from value if isinstance(value, dict) else ()

    assert set(keys(found)) - documented == set()


# the terminal ---------------------------------------------------------------------------------------------------------


POSIX = pytest.mark.skipif(os.name == "nt", reason="Windows has no pty")
REASON = "no answer [red] [/] :smile: \x1b[31m\r\x07\nend"


def watched(config: Config, *words: str, columns: int = 100, rows: int = 30, **environment: str) -> Session:
    """`python -m src.status` in a terminal of its own, on the data of `config`."""
    here = [f"data.root='{config.data.root}'", f"data.reports='{config.data.reports}'", "universe=demo"]
    place = {"DVC_ROOT": str(Path(config.data.root).parent), **environment}
    return Session("-m", "src.status", *here, *words, columns=columns, rows=rows, environment=place)


@POSIX
def test_a_watch_is_redrawn_in_place_and_its_last_picture_stays(config: Config) -> None:
    write_bars(config, {0: states(KEYS[:4])})
    session = watched(config, "--watch", "--every", "0.2")
    session.read_until(lambda text: CODE.sub("", text).count("Ctrl+C ends") == 2)
    write_bars(config, {0: states(KEYS)})
    session.read_until(lambda text: re.search(r"hydrate +8 +0 ", CODE.sub("", text)) is not None)
    assert session.end(signal.SIGINT) == 130
    drawn, _, left = session.text.rpartition("\x1b[?1049l")
    assert drawn.count("\x1b[?1049h") == 1  # the other screen, as in top
    assert re.search(r"hydrate +8 +0 +0 +0 +0 +8", CODE.sub("", left))
    assert "Ctrl+C ends" not in left
    assert cursor_is_shown(session.text)


@POSIX
def test_a_watch_is_cut_to_the_terminal(config: Config) -> None:
    write_bars(config, {0: states(KEYS, S0=("failed", "a long reason " * 20))})
    session = watched(config, "--watch", columns=40, rows=8)
    session.read_until(lambda text: "Ctrl+C ends" in text)
    frame = CODE.sub("", session.text).replace("\r", "").split("\n")
    assert len(frame) == 8
    assert max(map(len, frame)) <= 40
    assert re.fullmatch(r"\.\.\. \d+ more lines *", frame[5])
    assert session.end(signal.SIGINT) == 130
    assert "a long reason " * 20 in session.text.rpartition("\x1b[?1049l")[2]


@POSIX
def test_a_dumb_terminal_is_not_redrawn(config: Config) -> None:
    session = watched(config, "--watch", "--every", "0.2", TERM="dumb")
    session.read_until(lambda text: "train nothing yet" in text)
    assert session.end(signal.SIGINT) == 130
    assert "\x1b" not in session.text


@POSIX
def test_colours_are_for_terminals_without_no_color(config: Config) -> None:
    write_bars(config, {0: states(KEYS, S0=("failed", "no answer"))})
    session = watched(config)
    assert session.end() == 0
    assert "\x1b[31mhydrate: 1 failed\x1b[0m, no answer (stock:S0)" in session.text
    plain = watched(config, NO_COLOR="1")
    assert plain.end() == 0
    assert not re.search(r"\x1b\[(3|4|9|10)\d", plain.text)
    assert without_time(CODE.sub("", session.text)) == without_time(CODE.sub("", plain.text))


def without_time(text: str) -> str:
    return re.sub(r"\d\d:\d\d:\d\d", "", text)


@POSIX
def test_a_pipe_gets_the_same_text_as_a_terminal(config: Config) -> None:
    write_bars(config, {0: states(KEYS, S0=("failed", REASON))})
    session = watched(config, columns=20)  # a terminal wraps by itself
    assert session.end() == 0
    here = [f"data.root='{config.data.root}'", f"data.reports='{config.data.reports}'", "universe=demo"]
    command = [sys.executable, "-m", "src.status", *here]
    forced = {**os.environ, "DVC_ROOT": str(Path(config.data.root).parent), "FORCE_COLOR": "1", "COLUMNS": "20"}
    piped = process_case.run(command, cwd=ROOT, env=forced, capture_output=True, text=True, check=True).stdout
    assert without_time(CODE.sub("", session.text)).replace("\r\n", "\n") == without_time(piped)
    assert re.fullmatch(r"[\x20-\x7e\n]+", piped)
    assert r"failed, no answer [red] [/] :smile: \x1b[31m\r\x07\nend (stock:S0)" in piped


def looks(monkeypatch: pytest.MonkeyPatch, *pictures: dict[str, Any]) -> None:
    """Let the next looks see these pictures, and let Ctrl+C follow."""
    left = list(pictures)

    def sleep(_seconds: float) -> None:
        if not left:
            raise KeyboardInterrupt

    monkeypatch.setattr(watch, "look", lambda *_settings: left.pop(0))
    monkeypatch.setattr(watch.time, "sleep", sleep)


def test_without_a_terminal_a_line_is_written_when_something_changed(
    config: Config, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = overview_of(config, NOW)
    write_bars(config, {0: states(KEYS[:4])})
    after = overview_of(config, NOW + dt.timedelta(minutes=1))
    looks(monkeypatch, before, before | {"at": after["at"]}, after)
    assert status.status(["universe=demo", "--watch"]) == 130
    lines = [line.partition(" ")[2] for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        "demo: hydrate nothing yet; featurize nothing yet; train nothing yet",
        "demo: hydrate 4 done, 4 pending; featurize 8 pending; train 8 pending",
    ]


def test_a_damaged_file_is_named_and_the_watch_continues(
    config: Config, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    table = Path(config.data.root) / "grades" / "demo.parquet"
    table.parent.mkdir(parents=True)
    table.write_bytes(b"half a file")
    here = [f"data.root={config.data.root}", "universe=demo"]
    assert status.status(here) == 1
    assert "status: " in (said := capsys.readouterr().err) and "demo.parquet can't be read" in said
    broken = watch.look(config.paths, config.universe, config.source)
    assert list(broken) == ["reason"]
    table.unlink()
    found = overview_of(config, NOW)
    looks(monkeypatch, broken, broken, found)
    assert status.status([*here, "--watch"]) == 130
    first, last = capsys.readouterr().out.splitlines()
    assert "demo.parquet can't be read" in first
    assert "train nothing yet" in last


def test_json_and_watch_give_an_object_a_line(
    config: Config, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = overview_of(config, NOW)
    looks(monkeypatch, found, found)
    assert status.status(["--watch", "universe=demo", "--json", "--every", "1"]) == 130
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [found, found]


def test_the_plain_picture_has_only_letters_that_every_console_has(config: Config) -> None:
    write_bars(config, {0: states(KEYS, S0=("failed", "no answer"))})
    assert re.fullmatch(r"[\x20-\x7e\n]+", status_view.text(overview_of(config, NOW)))


def test_names_that_look_like_markup_are_shown_as_they_are(config: Config) -> None:
    with heartbeat.beating("quote", "demo", Path(config.data.root), "") as beat:
        beat.update(phase="working", note="[red]A[/red] \x1b[31m")
        found = overview_of(config, NOW)
    assert "; [red]A[/red] \\x1b[31m\n" in status_view.text(found)
    assert status_view.text({"reason": "[b]x.parquet[/b] can't be read"}) == "[b]x.parquet[/b] can't be read\n"


def test_an_unknown_setting_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert status.status(["universes=demo"]) == 2
    assert capsys.readouterr().err.startswith("status: ")


def test_the_interval_must_be_in_range(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        status.status(["--every", "0"])
    assert "must be from 0.2 to 86,400 seconds, got 0" in capsys.readouterr().err


def test_a_reader_that_goes_away_is_no_failure(tmp_path: Path) -> None:
    environment = {**os.environ, "DVC_ROOT": str(tmp_path)}
    command = [sys.executable, "-m", "src.status", "universe=demo", f"data.root='{tmp_path}'"]
    process = process_case.begin(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(process_case.HANG) == 0
