"""What has the day's work start by itself: the right time on both clocks, quoted words, installed once."""

from __future__ import annotations

import dataclasses
import datetime as dt
import importlib.util
import plistlib
import shlex
import shutil
import sys
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

import pytest

from src.core.project import ROOT
from src.market.calendar import NEW_YORK
from tests import process_case

SPACE = "/home/ann smith/50% $loop"
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="paths and programs of POSIX")


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("install_schedule", ROOT / "scripts" / "install_schedule.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "install_schedule", module)
    spec.loader.exec_module(module)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return module


@pytest.fixture
def schedule(install: ModuleType, monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    monkeypatch.setattr(install, "ROOT", Path(SPACE))
    command = ("/opt/my python/bin/python3", f"{SPACE}/scripts/launch.py", "daily", "universe=quick", "only='[A]'")
    monkeypatch.setattr(install, "utc_times", lambda _time: [dt.time(2, 5), dt.time(3, 5)])
    return install.Schedule("quick", command, dt.time(18, 0))


def test_new_yorks_clock_is_that_of_the_time_zone_database(install: ModuleType) -> None:
    day = dt.date(2024, 1, 1)
    while day < dt.date(2040, 1, 1):
        zoned = dt.datetime.combine(day, dt.time(17, 5), NEW_YORK).astimezone(dt.UTC)
        assert install.new_york(day, dt.time(17, 5)) == zoned
        day += dt.timedelta(days=1)


@pytest.mark.parametrize(
    ("zone", "times"),
    [
        ("America/New_York", ["17:05"]),
        ("America/Los_Angeles", ["14:05"]),
        ("UTC", ["21:05", "22:05"]),
        ("Europe/Berlin", ["22:05", "23:05"]),  # the clocks change on different days
        ("Asia/Tokyo", ["06:05", "07:05"]),
        ("Australia/Sydney", ["07:05", "08:05", "09:05"]),
        ("Asia/Kolkata", ["02:35", "03:35"]),
    ],
)
def test_the_close_has_its_times_on_other_clocks(install: ModuleType, zone: str, times: list[str]) -> None:
    found = install.local_times(dt.time(17, 5), ZoneInfo(zone))
    assert [f"{time:%H:%M}" for time in found] == times


def test_the_earliest_time_is_taken_so_that_no_day_begins_late(install: ModuleType) -> None:
    install.local_times = lambda _time: [dt.time(0, 30), dt.time(23, 30)]
    assert install.Schedule("quick", (), None).local == dt.time(23, 30)


@POSIX
def test_cron_gets_two_lines_a_day_and_one_after_a_start(install: ModuleType, schedule) -> None:  # type: ignore[no-untyped-def]
    mark, daily, coins, start = install.cron_lines(schedule)
    assert coins == f"5 3 * * * {daily.removeprefix('0 18 * * * ')}"
    assert mark.startswith("# alpha-loop: alpha-loop-quick-")
    assert daily.startswith("0 18 * * * cd ")
    line = daily.removeprefix("0 18 * * * ")
    assert start == f"@reboot {line}"
    assert line.replace(r"\%", "").count("%") == 0  # to cron, a bare one is a line end
    words = shlex.split(line.replace(r"\%", "%"))
    assert words[:3] == ["cd", SPACE, "&&"]
    assert tuple(words[3:8]) == schedule.command


def test_a_crontab_keeps_its_other_lines_and_gets_ours_once(
    install: ModuleType, schedule, monkeypatch: pytest.MonkeyPatch  # type: ignore[no-untyped-def]
) -> None:  # fmt: skip
    table = ["MAILTO=ann", "0 1 * * * backup"]
    monkeypatch.setattr(install, "_crontab", lambda: list(table))
    monkeypatch.setattr(install, "_write_crontab", lambda lines: table.__setitem__(slice(None), lines))
    other = install.Schedule("full", schedule.command, None)
    for each in (schedule, other, schedule):
        install.install("cron", each)
    assert len(table) == 2 + 4 + 4
    install.remove("cron", schedule)
    assert table == ["MAILTO=ann", "0 1 * * * backup", *install.cron_lines(other)]
    install.remove("cron", other)
    install.remove("cron", other)
    assert table == ["MAILTO=ann", "0 1 * * * backup"]


@POSIX
def test_systemd_catches_up_a_missed_run_and_follows_new_york(install: ModuleType, schedule) -> None:  # type: ignore[no-untyped-def]
    service, timer = install.files("systemd", schedule).values()
    assert "OnCalendar=*-*-* 18:00:00\nOnCalendar=*-*-* 01:05:00 UTC\nPersistent=true\n" in timer
    assert f"WorkingDirectory={SPACE.replace('%', '%%')}\n" in service
    assert 'ExecStart="/opt/my python/bin/python3" "/home/ann smith/50%% $$loop/scripts/launch.py" "daily"' in service
    follows = install.Schedule("quick", ("python",), None)
    assert "OnCalendar=*-*-* 17:05:00 America/New_York\n" in install.timer(follows)


@POSIX
@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd here")
def test_systemd_understands_the_time(install: ModuleType) -> None:
    when = install.timer(install.Schedule("quick", (), None)).partition("OnCalendar=")[2].partition("\n")[0]
    done = process_case.run(["systemd-analyze", "calendar", when], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "America/New_York" in done.stdout


def test_launchd_gets_a_property_list(install: ModuleType, schedule) -> None:  # type: ignore[no-untyped-def]
    content = plistlib.loads(install.agent(schedule).encode())
    assert content["StartCalendarInterval"] == [{"Hour": 18, "Minute": 0}, {"Hour": 3, "Minute": 5}]
    assert (tuple(content["ProgramArguments"]), content["RunAtLoad"]) == (schedule.command, True)


def test_without_coins_it_starts_once_a_day(install: ModuleType, schedule) -> None:  # type: ignore[no-untyped-def]
    once = dataclasses.replace(schedule, coins=False)
    assert [line.partition(" cd ")[0] for line in install.cron_lines(once)[1:]] == ["0 18 * * *", "@reboot"]
    assert install.timer(once).count("OnCalendar") == 1
    assert "UTC" not in install.explained(once, "cron")
    assert "again after 01:05 UTC" in install.explained(schedule, "cron")


def test_the_task_scheduler_starts_it_as_soon_as_it_can(install: ModuleType, schedule) -> None:  # type: ignore[no-untyped-def]
    text = install.task(schedule).replace('encoding="UTF-16"', 'encoding="UTF-8"')
    root = ElementTree.fromstring(text)
    space = "{http://schemas.microsoft.com/windows/2004/02/mit/task}"
    found = {each.tag.removeprefix(space): each.text for each in root.iter()}
    assert found["StartWhenAvailable"] == "true"
    starts = [each.text for each in root.iter(f"{space}StartBoundary")]
    assert starts == ["2026-01-01T18:00:00", "2026-01-01T03:05:00"]
    assert found["Command"] == "/opt/my python/bin/python3"
    assert found["Arguments"] == f"\"{SPACE}/scripts/launch.py\" daily universe=quick only='[A]'"


@pytest.mark.parametrize("kind", ["systemd", "cron", "launchd", "schtasks"])
def test_showing_it_installs_nothing(
    install: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, kind: str
) -> None:
    for name in ("install", "remove", "_run", "_write_crontab"):
        monkeypatch.setattr(install, name, None)
    assert install.main(["--print", "--kind", kind, "--time", "18:30", "refit=quarterly"]) == 0
    said = capsys.readouterr().out
    assert "refit=quarterly" in said
    assert "universe=quick" in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words", [["--time", "25:00"], ["--universe", "a b"], ["--kind", "at"], ["--print", "--remove"]]
)
def test_what_makes_no_sense_is_refused(install: ModuleType, words: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        install.main(words)
    assert ended.value.code == 2


def test_a_system_that_refuses_it_is_named_with_other_ways(
    install: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_arguments: object) -> None:
        raise OSError("crontab: no such program")

    monkeypatch.setattr(install, "install", refuse)
    monkeypatch.setattr(install, "ROOT", install._config_folder())
    install.ROOT.mkdir()
    assert install.main(["--kind", "cron"]) == 1
    assert "cron refused it: crontab: no such program; --print shows" in capsys.readouterr().out
