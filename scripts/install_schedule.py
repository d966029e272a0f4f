"""Have the day's work start by itself, every day, with what this system has for that.

    python scripts/install_schedule.py --universe quick            after New York's close, and after the coins' day
    python scripts/install_schedule.py --no-coins                  after New York's close alone
    python scripts/install_schedule.py --time 18:00                at this time of this machine's clock
    python scripts/install_schedule.py --print                     show what would be installed, and install nothing
    python scripts/install_schedule.py --remove

Linux gets a timer of systemd (of the user, without root), or lines of cron where there is no systemd; macOS gets an
agent of launchd, Windows a task of its Task Scheduler. Words of the form key=value go to the day's command.
The standard library alone is used; a Python from 3.11 on starts it, such as that of .venv.
"""

from __future__ import annotations

import argparse
import datetime as dt
import getpass
import hashlib
import os
import platform
import plistlib
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

ROOT = Path(__file__).resolve().parents[1]
BEGIN = dt.time(17, 5)
"""In New York: an hour after the close, which is what daily.delay_minutes waits for, and a little."""
COINS = dt.time(1, 5)
"""In UTC: the same after the day of coins, which is not over at New York's close."""
KINDS = ("systemd", "cron", "launchd", "schtasks")
MARK = "# alpha-loop: "


@dataclass(frozen=True)
class Schedule:
    """What is to be started, and when.

    Attributes
    ----------
    universe : str
    command : tuple of str
        The program and its arguments.
    time : time or None
        Of this machine's clock; None follows New York's.
    coins : bool
        Whether it is started a second time, after the day of coins.
    """

    universe: str
    command: tuple[str, ...]
    time: dt.time | None
    coins: bool = True

    @property
    def name(self) -> str:
        """Name of the timer, the agent or the task, of its universe and its folder: two checkouts may have one each."""
        return f"alpha-loop-{self.universe}-{hashlib.sha256(str(ROOT).encode()).hexdigest()[:6]}"

    @property
    def local(self) -> dt.time:
        """Time of this machine's clock: the one that was asked for, or the earliest that New York's close has here.

        The two clocks change on different days, so the close has up to three times here; what comes early waits.
        """
        return self.time or min(local_times(BEGIN), key=_after_noon)

    @property
    def starts(self) -> list[dt.time]:
        """Times of this machine's clock, for what knows no other: where the clock changes, coins' is the later one."""
        return [self.local, max(utc_times(COINS), key=_after_noon)] if self.coins else [self.local]


def main(arguments: Sequence[str]) -> int:
    """Install, show or remove the schedule; return the exit status."""
    chosen = _parser().parse_args(arguments)
    kind = chosen.kind or this_kind()
    settings = [f"universe={chosen.universe}", f"source={chosen.source}", *chosen.settings]
    python = getattr(sys, "_base_executable", None) or sys.executable  # .venv may be made again
    command = (python, str(ROOT / "scripts" / "launch.py"), "daily", *settings)
    schedule = Schedule(chosen.universe, command, chosen.time, not chosen.no_coins)
    try:
        if chosen.print:
            say("\n".join(f"== {place} ==\n{text}" for place, text in files(kind, schedule).items()))
        elif chosen.remove:
            remove(kind, schedule)
            say(f"removed: {schedule.name} ({kind})")
        else:
            (ROOT / "logs").mkdir(exist_ok=True)
            install(kind, schedule)
            say(f"installed: {schedule.name} ({kind})\n{explained(schedule, kind)}")
    except (OSError, subprocess.CalledProcessError) as error:
        say(f"{kind} refused it: {str(error).strip()}; --print shows what to install by hand, --kind another way")
        return 1
    return 0


def this_kind() -> str:
    """Give what this system starts things with."""
    system = platform.system()
    if system in ("Windows", "Darwin"):
        return "schtasks" if system == "Windows" else "launchd"
    asked = ["systemctl", "--user", "show-environment"]
    has_timers = shutil.which("systemctl") and subprocess.run(asked, check=False, capture_output=True).returncode == 0
    return "systemd" if has_timers else "cron"


def say(text: str) -> None:
    """Print a text."""
    sys.stdout.write(text.rstrip("\n") + "\n")


# --- the two clocks --------------------------------------------------------------------------------------------------


def new_york(day: dt.date, time: dt.time) -> dt.datetime:
    """Give a time of New York's clock in UTC, by the law since 2007; until 2:00 on days of change an hour off."""
    march, november = dt.date(day.year, 3, 8), dt.date(day.year, 11, 1)
    first = march + dt.timedelta(days=(6 - march.weekday()) % 7)
    last = november + dt.timedelta(days=(6 - november.weekday()) % 7)
    hours = 4 if first <= day < last else 5
    return dt.datetime.combine(day, time, dt.UTC) + dt.timedelta(hours=hours)


def local_times(time: dt.time, zone: dt.tzinfo | None = None) -> list[dt.time]:
    """List the times that a time of New York has on this machine's clock within a year from now."""
    today = dt.datetime.now(dt.UTC).date()
    days = [today + dt.timedelta(days=n) for n in range(366)]
    return sorted({new_york(day, time).astimezone(zone).time() for day in days})


def utc_times(time: dt.time, zone: dt.tzinfo | None = None) -> list[dt.time]:
    """List the times that a time of UTC has on this machine's clock within a year from now."""
    today = dt.datetime.now(dt.UTC).date()
    days = [today + dt.timedelta(days=n) for n in range(366)]
    return sorted({dt.datetime.combine(day, time, dt.UTC).astimezone(zone).time() for day in days})


def explained(schedule: Schedule, kind: str) -> str:
    """Say when it starts, on both clocks."""
    again = f" It starts again after {COINS:%H:%M} UTC, when the day of coins is over." if schedule.coins else ""
    if schedule.time is None and kind == "systemd":
        return f"It starts every day at {BEGIN:%H:%M} in New York, whatever the clock here says.{again}"
    local = schedule.local
    here = dt.datetime.now().astimezone()
    days = [here.date() + dt.timedelta(days=n) for n in range(366)]
    began = [dt.datetime.combine(day, local).astimezone(dt.UTC) for day in days]
    there = sorted({(at - (new_york(at.date(), dt.time()) - _midnight(at))).time() for at in began})
    span = f"{there[0]:%H:%M}" + (f" or {there[-1]:%H:%M}" if len(there) > 1 else "")
    return (
        f"It starts every day at {local:%H:%M} here, {span} in New York. Before the close it waits; on a day without a "
        f"session it has nothing to do, unless there are coins.{again}"
    )


def _midnight(at: dt.datetime) -> dt.datetime:
    return dt.datetime.combine(at.date(), dt.time(), dt.UTC)


def _after_noon(time: dt.time) -> tuple[bool, dt.time]:
    """Sort times around midnight: 23:30 is before 0:30."""
    return (time < dt.time(12), time)


# --- what each system is given ---------------------------------------------------------------------------------------


def files(kind: str, schedule: Schedule) -> dict[str, str]:
    """Give the text of what is installed, by the place where it goes."""
    if kind == "systemd":
        folder = _config_folder() / "systemd" / "user"
        return {
            str(folder / f"{schedule.name}.service"): service(schedule),
            str(folder / f"{schedule.name}.timer"): timer(schedule),
        }
    if kind == "cron":
        return {"crontab": "\n".join(cron_lines(schedule)) + "\n"}
    if kind == "launchd":
        return {str(_agent(schedule)): agent(schedule)}
    return {f"Task Scheduler: {schedule.name}": task(schedule)}


def service(schedule: Schedule) -> str:
    """Give the unit of systemd that does the work."""
    words = " ".join(
        '"' + re.sub(r'(["\\])', r"\\\1", w).replace("%", "%%").replace("$", "$$") + '"' for w in schedule.command
    )
    return (
        f"[Unit]\nDescription=Alpha Loop: the day of {schedule.universe}\n\n"
        f"[Service]\nType=oneshot\nWorkingDirectory={str(ROOT).replace('%', '%%')}\nExecStart={words}\n"
        "TimeoutStopSec=600\nSuccessExitStatus=130\n"
    )


def timer(schedule: Schedule) -> str:
    """Give the unit of systemd that starts it; a run that was missed is caught up when the machine is on again."""
    when = f"{BEGIN:%H:%M}:00 America/New_York" if schedule.time is None else f"{schedule.time:%H:%M}:00"
    again = f"OnCalendar=*-*-* {COINS:%H:%M}:00 UTC\n" if schedule.coins else ""
    return (
        f"[Unit]\nDescription=Alpha Loop: the day of {schedule.universe}\n\n"
        f"[Timer]\nOnCalendar=*-*-* {when}\n{again}Persistent=true\n\n[Install]\nWantedBy=timers.target\n"
    )


def cron_lines(schedule: Schedule) -> list[str]:
    """Give the lines of cron: the starts of a day, and one after a start of the machine, for a run that was missed."""
    words = " ".join(map(shlex.quote, schedule.command))
    log = shlex.quote(str(ROOT / "logs" / "daily-cron.log"))
    line = f"cd {shlex.quote(str(ROOT))} && {words} >>{log} 2>&1".replace("%", r"\%")
    starts = [f"{at.minute} {at.hour} * * * {line}" for at in schedule.starts]
    return [f"{MARK}{schedule.name}", *starts, f"@reboot {line}"]


def agent(schedule: Schedule) -> str:
    """Give the property list of launchd; a run that was slept through comes after the sleep."""
    log = str(ROOT / "logs" / "daily-launchd.log")
    content = {
        "Label": schedule.name,
        "ProgramArguments": list(schedule.command),
        "WorkingDirectory": str(ROOT),
        "StartCalendarInterval": [{"Hour": at.hour, "Minute": at.minute} for at in schedule.starts],
        "RunAtLoad": True,  # after a start of the machine, for a run that was missed
        "StandardOutPath": log,
        "StandardErrorPath": log,
        "ExitTimeOut": 600,
    }
    return plistlib.dumps(content).decode()


def task(schedule: Schedule) -> str:
    """Give the task of Windows' Task Scheduler; a run that was missed comes as soon as the machine is on."""
    program, *rest = schedule.command
    triggers = "".join(
        f"<CalendarTrigger><StartBoundary>2026-01-01T{at:%H:%M}:00</StartBoundary><Enabled>true</Enabled>"
        "<ScheduleByDay><DaysInterval>1</DaysInterval></ScheduleByDay></CalendarTrigger>"
        for at in schedule.starts
    )
    settings = {
        "MultipleInstancesPolicy": "IgnoreNew",
        "DisallowStartIfOnBatteries": "false",
        "StopIfGoingOnBatteries": "false",
        "StartWhenAvailable": "true",
        "RunOnlyIfNetworkAvailable": "false",
        "ExecutionTimeLimit": "PT23H",
    }
    about = f"Alpha Loop: the day of {escape(schedule.universe)}"
    return (
        '<?xml version="1.0" encoding="UTF-16"?>\n'
        '<Task version="1.2" xmlns="http://schemas.microsoft.com/windows/2004/02/mit/task">\n'
        f"<RegistrationInfo><Description>{about}</Description></RegistrationInfo>\n"
        f"<Triggers>{triggers}</Triggers>\n"
        f'<Principals><Principal id="Author"><UserId>{escape(_user())}</UserId><LogonType>InteractiveToken</LogonType>'
        "</Principal></Principals>\n"
        f"<Settings>{''.join(f'<{name}>{value}</{name}>' for name, value in settings.items())}</Settings>\n"
        f'<Actions Context="Author"><Exec><Command>{escape(program)}</Command>'
        f"<Arguments>{escape(subprocess.list2cmdline(rest))}</Arguments>"
        f"<WorkingDirectory>{escape(str(ROOT))}</WorkingDirectory></Exec></Actions>\n</Task>\n"
    )


# --- installing and removing -----------------------------------------------------------------------------------------


def install(kind: str, schedule: Schedule) -> None:
    """Install the schedule in place of one of the same name."""
    if kind == "cron":
        _write_crontab([*without(_crontab(), schedule), *cron_lines(schedule)])
        return
    if kind == "schtasks":
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "task.xml"
            path.write_text(task(schedule), encoding="utf-16")
            _run("schtasks", "/Create", "/F", "/TN", schedule.name, "/XML", str(path))
        return
    for place, text in files(kind, schedule).items():
        Path(place).parent.mkdir(parents=True, exist_ok=True)
        Path(place).write_text(text, encoding="utf-8")
    if kind == "systemd":
        _run("systemctl", "--user", "daemon-reload")
        _run("systemctl", "--user", "enable", "--now", f"{schedule.name}.timer")
        say("It runs while you are logged in; `loginctl enable-linger` has it run always.")
        return
    subprocess.run(["launchctl", "bootout", _domain(), str(_agent(schedule))], check=False, capture_output=True)
    _run("launchctl", "bootstrap", _domain(), str(_agent(schedule)))


def remove(kind: str, schedule: Schedule) -> None:
    """Remove the schedule; what is not installed is removed already."""
    if kind == "cron":
        _write_crontab(without(_crontab(), schedule))
        return
    commands = {
        "systemd": ["systemctl", "--user", "disable", "--now", f"{schedule.name}.timer"],
        "schtasks": ["schtasks", "/Delete", "/F", "/TN", schedule.name],
        "launchd": ["launchctl", "bootout", _domain(), str(_agent(schedule))],
    }
    subprocess.run(commands[kind], check=False, capture_output=True)
    for place in files(kind, schedule) if kind != "schtasks" else ():
        Path(place).unlink(missing_ok=True)
    if kind == "systemd":
        _run("systemctl", "--user", "daemon-reload")


def without(lines: Sequence[str], schedule: Schedule) -> list[str]:
    """Leave the lines of this schedule out of a crontab: its mark, and those after it that start this checkout."""
    kept, own = [], f" cd {shlex.quote(str(ROOT))} && ".replace("%", r"\%")
    is_own = False
    for line in lines:
        is_own = line == f"{MARK}{schedule.name}" or (is_own and own in line)
        if not is_own:
            kept.append(line)
    return kept


def _crontab() -> list[str]:
    done = subprocess.run(["crontab", "-l"], check=False, capture_output=True)
    return done.stdout.decode("utf-8", "surrogateescape").splitlines() if done.returncode == 0 else []


def _write_crontab(lines: Sequence[str]) -> None:
    text = "".join(f"{line}\n" for line in lines)
    subprocess.run(["crontab", "-"], check=True, input=text.encode("utf-8", "surrogateescape"))


def _run(*command: str) -> None:
    done = subprocess.run(command, check=False, capture_output=True)
    if done.returncode:
        raise OSError(f"{' '.join(command[:3])}: {done.stderr.decode('utf-8', 'replace').strip()}")


def _config_folder() -> Path:
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")


def _agent(schedule: Schedule) -> Path:
    return Path.home() / "Library" / "LaunchAgents" / f"{schedule.name}.plist"


def _domain() -> str:
    return f"gui/{os.getuid()}" if hasattr(os, "getuid") else "gui/0"


def _user() -> str:
    domain = os.environ.get("USERDOMAIN")
    return f"{domain}\\{getpass.getuser()}" if domain else getpass.getuser()


def _time(text: str) -> dt.time:
    match = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)", text)
    if not match:
        raise argparse.ArgumentTypeError(f"must be a time such as 18:00, got {text}")
    return dt.time(int(match[1]), int(match[2]))


def _name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-]+", text):
        raise argparse.ArgumentTypeError(f"must be the name of a file in conf/universe, got {text}")
    return text


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python scripts/install_schedule.py", description=__doc__.partition("\n")[0])
    parser.add_argument("settings", nargs="*", metavar="key=value", help="for the day's command: refit=quarterly")
    parser.add_argument("--time", type=_time, metavar="HH:MM", help="of this machine's clock; else New York's close")
    parser.add_argument("--no-coins", action="store_true", help="no second start after 1:05 UTC, for coins")
    parser.add_argument("--universe", type=_name, default="quick")
    parser.add_argument("--source", type=_name, default="auto")
    parser.add_argument("--kind", choices=KINDS, help="instead of what this system has")
    doing = parser.add_mutually_exclusive_group()
    doing.add_argument("--print", action="store_true", help="show what would be installed")
    doing.add_argument("--remove", action="store_true")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
