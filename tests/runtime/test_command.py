"""The frame of every verb: exit statuses, closing line, log file, locks, interrupts. A toy verb stands for a stage."""

from __future__ import annotations

import copy
import errno
import json
import logging
import os
import re
import shlex
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from src.config import compose as composing
from src.config.compose import compose
from src.config.dvc_hint import dvc_hint
from src.config.schema import Config
from src.core.errors import ConfigError, StageError
from src.core.project import ROOT
from src.runtime import command as command_module
from src.runtime import lock, log_file
from tests import process_case
from tests.process_case import HANG

TOY = """
import sys
from src.runtime.command import main
from tests.process_case import answer, hang

def toy(config):
    try:
        print("working", flush=True)
        hang()
    finally:
        print("cleaning up", flush=True)
        {cleanup}
    return "toy: 1 instrument"

if __name__ == "__main__":
    main("toy", toy)
"""

Run = Callable[..., int]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run a task as the verb `toy` with some overrides, logs and locks under a temporary folder."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.setenv("DVC_STAGE", "toy")
    monkeypatch.setattr(composing, "configurations", _composed_once)

    def command(task: Callable[[Config], str], *overrides: str, verb: str = "toy") -> int:
        monkeypatch.setattr(
            sys, "argv", [f"src/{verb}.py", f"data.logs='{(tmp_path / 'logs').as_posix()}'", *overrides]
        )
        before = list(logging.getLogger().handlers)
        status = command_module.run_verb(verb, task)
        assert logging.getLogger().handlers == before
        return status

    return command


REAL, KNOWN = composing.configurations, dict[tuple[str, ...], list[tuple[Config, list[str]]]]()


def _composed_once(verb: str, show: Callable[[str], None]) -> list[tuple[Config, list[str]]]:
    """The configurations of this command line; those of equal lines are composed once, the folder of logs aside."""
    logs, *rest = sys.argv[1:]
    if any(word.startswith("-") for word in rest):
        return REAL(verb, show)
    if tuple(rest) not in KNOWN:
        KNOWN[tuple(rest)] = REAL(verb, show)
    ((config, words),) = copy.deepcopy(KNOWN[tuple(rest)])
    config.data.logs = logs.partition("=")[2].strip("'")
    return [(config, [logs, *words[1:]])]


def log_of(tmp_path: Path, name: str = "toy") -> str:
    return (tmp_path / "logs" / f"{name}.log").read_text(encoding="utf-8")


def raises(error: BaseException) -> Callable[[Config], str]:
    def task(_config: Config) -> str:
        raise error

    return task


def start_toy(tmp_path: Path, *overrides: str, cleanup: str = "pass") -> subprocess.Popen[str]:
    script = tmp_path / "toy.py"
    script.write_text(TOY.format(cleanup=cleanup), encoding="utf-8")
    environment = {**os.environ, "DVC_ROOT": str(tmp_path), "DVC_STAGE": "toy", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(script), f"data.logs='{(tmp_path / 'logs').as_posix()}'", *overrides]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    return process_case.begin(command, env=environment, **pipes, text=True, encoding="utf-8")


def wait_for_work(process: subprocess.Popen[str], words: str = "working") -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == f"{words}\n"


def test_a_finished_task_prints_its_line_logs_it_and_succeeds(
    run: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run(lambda config: f"toy: {config.dataset} done") == 0
    assert capsys.readouterr().out == "toy: demo done\n"
    log = log_of(tmp_path)
    assert 'started: python -m src.toy "data.logs=' in log
    assert log.rstrip().endswith("INFO src.runtime.command: toy: demo done")


def test_training_logs_to_training_log(run: Run, tmp_path: Path) -> None:
    run(lambda _config: "train: done", verb="train")
    assert "train: done" in log_of(tmp_path, "training")


def test_overrides_reach_the_task_as_typed_settings(run: Run) -> None:
    seen: list[Config] = []
    run(lambda config: (seen.append(config), "toy: done")[1], "universe=quick", "model=xgboost", "split.embargo=9")
    assert (seen[0].universe.stock, seen[0].model.family, seen[0].split.embargo) == (500, "xgboost", 9)


def test_a_misspelt_setting_stops_before_any_work_with_one_line(
    run: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run(raises(AssertionError("the task must not start")), "split.embargos=9") == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert err.startswith("toy: split.embargos is no setting of split; did you mean embargo? (")
    assert not (tmp_path / "logs" / "toy.log").exists()


def test_a_value_out_of_range_stops_with_status_two(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(raises(AssertionError("the task must not start")), "split.embargo=-1") == 2
    assert capsys.readouterr().err == (
        "toy: split.embargo must be from 0 to 1,000 bars, got -1: split.embargo=5 is the usual value\n"
    )


@pytest.mark.parametrize(
    ("verb", "word", "owner"),
    [("hydrate", "follow=true", "train"), ("toy", "follow=true", "train"), ("train", "retry=failed", "hydrate")],
)
def test_a_setting_that_a_verb_would_ignore_is_refused(
    run: Run, capsys: pytest.CaptureFixture[str], verb: str, word: str, owner: str
) -> None:
    assert run(raises(AssertionError("the task must not start")), word, verb=verb) == 2
    assert capsys.readouterr().err == (f"{verb}: {word} is for {owner} only: leave it out for {verb}\n")


def test_a_verb_accepts_its_own_settings(run: Run) -> None:
    assert run(lambda _config: "hydrate: done", "retry=failed", verb="hydrate") == 0
    assert run(lambda _config: "train: done", "follow=true", verb="train") == 0


def test_a_configuration_that_only_the_task_can_refuse_is_status_two(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(raises(ConfigError("features.names: no feature rsi_41"))) == 2
    assert capsys.readouterr().err == "toy: features.names: no feature rsi_41\n"


def test_a_clear_failure_is_one_line_and_status_one(
    run: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run(raises(StageError("no bars of demo yet: run python -m src.hydrate"))) == 1
    assert capsys.readouterr().err == "toy: no bars of demo yet: run python -m src.hydrate\n"
    assert "Traceback" not in log_of(tmp_path)


def test_an_unexpected_failure_keeps_its_traceback_in_the_log_and_says_where(
    run: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run(raises(KeyError("close"))) == 1
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert err.startswith("toy failed: KeyError: 'close' (details: ")
    assert "toy.log)" in err
    assert "Traceback" in log_of(tmp_path)


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        RuntimeError("polars: IO error: No space left on device (os error 28)"),
        sqlite3.OperationalError("database or disk is full"),
        ExceptionGroup("workers", [OSError(errno.ENOSPC, "No space left on device")]),
    ],
)
def test_a_full_disk_is_explained(run: Run, capsys: pytest.CaptureFixture[str], error: Exception) -> None:
    assert run(raises(error)) == 1
    assert re.match(
        r"toy: disk full; make room \(python -m src.clean \"data.logs='.*'\" shows what can go\)",
        capsys.readouterr().err,
    )


def test_a_locked_database_and_exhausted_memory_are_explained(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(raises(sqlite3.OperationalError("database is locked"))) == 1
    assert "the MLflow database is locked by another program" in capsys.readouterr().err
    assert run(raises(MemoryError())) == 1
    assert "out of memory; lower engine.workers" in capsys.readouterr().err


def test_a_log_that_can_not_be_written_is_reported_in_one_line(
    run: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "logs").write_text("a file where the folder belongs", encoding="utf-8")
    assert run(raises(AssertionError("the task must not start"))) == 1
    assert capsys.readouterr().err.startswith("toy: can't write the log: ")


def test_passwords_in_addresses_reach_neither_log_nor_terminal(
    run: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    secret = "tracking.uri='https://me:hunter2@mlflow.example/'"
    assert run(raises(ValueError("cannot reach https://me:hunter2@mlflow.example/")), secret) == 1
    assert "Traceback" in log_of(tmp_path)
    assert "hunter2" not in log_of(tmp_path)
    assert "hunter2" not in capsys.readouterr().err


def test_help_shows_the_purpose_the_groups_and_the_values_and_starts_no_work(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules["__main__"], "__doc__", "Do what toys do.\n")
    assert run(raises(AssertionError("the task must not start")), "model=xgboost", "--help") == 0
    out = capsys.readouterr().out
    assert out.startswith("python -m src.toy [group=option ...] [key=value ...]\n\nDo what toys do.\n\n")
    assert "model: all, catboost, ensemble, hist_gradient_boosting, lightgbm, ridge, xgboost\n" in out
    assert "family: xgboost" in out
    assert run(raises(AssertionError("the task must not start")), "model=xgbost", "--help") == 2


def test_an_unknown_flag_is_wrong_usage(run: Run) -> None:
    assert run(raises(AssertionError("the task must not start")), "--watch") == 2


def test_no_outputs_folder_appears(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(composing, "configurations", REAL)  # Hydra, which makes folders
    run(lambda _config: "toy: done", "hydra.verbose=false")  # a setting of Hydra is for its own frame of a program
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data", "logs"]
    assert list((tmp_path / "logs" / "hydra").iterdir()) == []


def test_a_large_log_is_renamed_and_three_are_kept(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_file, "_ROTATE_BYTES", 10)
    for number in range(6):
        run(lambda _config, n=number: f"toy: {n}")
    logs = tmp_path / "logs"
    assert sorted(path.name for path in logs.glob("*.log*")) == ["toy.log", "toy.log.1", "toy.log.2", "toy.log.3"]
    assert [log_of(tmp_path).rstrip()[-1], (logs / "toy.log.3").read_text(encoding="utf-8").rstrip()[-1]] == ["5", "2"]


def test_our_warnings_reach_the_terminal_and_a_librarys_only_the_log(
    run: Run, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def task(_config: Config) -> str:
        logging.getLogger("src.market.bars").warning("7 bars repaired")
        logging.getLogger("urllib3").warning("retrying")
        return "toy: done"

    run(task)
    err = capsys.readouterr().err
    assert "7 bars repaired" in err
    assert "retrying" not in err
    assert "retrying" in log_of(tmp_path)


def test_a_clear_failure_of_a_command_that_is_no_stage_is_one_line_as_well(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def look(_arguments: list[str]) -> int:
        raise StageError("b001.parquet can't be read: move it away")

    monkeypatch.setattr(sys, "argv", ["data"])
    monkeypatch.chdir(ROOT)
    with pytest.raises(SystemExit) as ended:
        command_module.run_command(look)
    assert ended.value.code == 1
    assert capsys.readouterr().err == "b001.parquet can't be read: move it away\n"


def test_an_interrupted_command_that_is_no_stage_shows_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def look(_arguments: list[str]) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(sys, "argv", ["data"])
    monkeypatch.chdir(ROOT)
    with pytest.raises(SystemExit) as ended:
        command_module.run_command(look)
    assert (ended.value.code, capsys.readouterr().err) == (130, "interrupted\n")


@pytest.mark.parametrize("path", sorted((ROOT / "src").glob("*.py")), ids=lambda path: path.stem)
def test_a_module_that_is_run_as_a_command_logs_under_its_own_name(path: Path) -> None:
    """`__name__` is `__main__` there: its warnings would reach the log alone, as a library's do."""
    code = path.read_text(encoding="utf-8")
    assert 'if __name__ == "__main__"' not in code or "getLogger(__name__)" not in code


@pytest.mark.skipif(os.name == "nt", reason="sends POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_with_status_130_and_says_that_the_state_is_saved(tmp_path: Path, number: int) -> None:
    process = start_toy(tmp_path)
    wait_for_work(process)
    process.send_signal(number)
    _, err = process.communicate(timeout=HANG)
    assert process.returncode == 130
    assert err == "toy interrupted; finished work is saved, run the same command to continue\n"


@pytest.mark.skipif(os.name == "nt", reason="sends POSIX signals")
def test_a_second_interrupt_lets_the_cleanup_finish(tmp_path: Path) -> None:
    process = start_toy(tmp_path, cleanup="answer()")
    wait_for_work(process)
    process.send_signal(signal.SIGINT)
    wait_for_work(process, "cleaning up")
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    assert process.stderr.readline() == "toy: saving and stopping, one moment (once more stops at once)\n"
    _, err = process.communicate("the cleanup may end\n", timeout=HANG)
    assert process.returncode == 130
    assert err.endswith("run the same command to continue\n")


@pytest.mark.skipif(os.name == "nt", reason="sends POSIX signals")
def test_a_third_interrupt_stops_at_once(tmp_path: Path) -> None:
    process = start_toy(tmp_path, cleanup="hang()")
    wait_for_work(process)
    process.send_signal(signal.SIGINT)
    wait_for_work(process, "cleaning up")
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    assert "one moment" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=HANG)
    assert process.returncode == 130


@pytest.mark.skipif(os.name == "nt", reason="sends POSIX signals")
def test_a_second_command_on_the_same_dataset_waits_and_names_the_first(tmp_path: Path) -> None:
    first = start_toy(tmp_path)
    wait_for_work(first)
    second = start_toy(tmp_path)
    assert second.stderr is not None
    word = second.stderr.readline()
    assert word.startswith(f'toy waits for the lock on demo: process {first.pid} has run `toy.py "data.logs=')
    first.kill()  # the system releases the lock, whatever ended its holder
    wait_for_work(second)
    second.send_signal(signal.SIGINT)
    for process in (first, second):
        process.communicate(timeout=HANG)
    assert second.returncode == 130


@pytest.mark.skipif(os.name == "nt", reason="sends POSIX signals")
def test_another_dataset_does_not_wait(tmp_path: Path) -> None:
    first, second = start_toy(tmp_path), start_toy(tmp_path, "universe=quick")
    for process in (first, second):
        wait_for_work(process)
    for process in (first, second):
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=HANG)


def test_verbs_that_write_the_same_files_share_a_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    for verb in ("train", "sync", "hydrate"):
        with lock.dataset_lock(verb, "demo", lambda _message: None):
            pass
    locks = {path.name for path in (tmp_path / "data" / ".locks").glob("*.lock")}
    assert locks <= {"runs-demo.lock", "hydrate-demo.lock"}


def test_a_lock_names_its_holder_while_it_is_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["/x/src/train.py", "model=all"])
    holder = tmp_path / "data" / ".locks" / "runs-demo.json"
    with lock.dataset_lock("train", "demo", lambda _message: None):
        held = json.loads(holder.read_text(encoding="utf-8"))
        assert held["pid"] == os.getpid()
        assert held["command"] == "python -m src.train model=all"
    assert not holder.exists()


def test_a_hand_run_of_the_chosen_configuration_names_the_commit_that_makes_dvc_agree(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DVC_STAGE")
    run(lambda _config: "train: done", verb="train")
    captured = capsys.readouterr()
    assert captured.out == "train: done\n"
    assert captured.err == "DVC does not know of this run yet: dvc commit -f train\n"


def test_a_hand_run_of_another_configuration_says_how_to_version_it(
    run: Run, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DVC_STAGE")
    run(lambda _config: "train: done", "split.embargo=9", verb="train")
    words = "dvc repro would give another demo: split.embargo differs from params.yaml and conf/."
    assert capsys.readouterr().err == f"{words} To keep this result, set it there and run dvc repro\n"
    run(lambda _config: "train: done", "universe=quick", verb="train")  # another dataset, of which DVC keeps nothing
    assert capsys.readouterr().err == ""
    run(lambda _config: "train: done", "only=[AAA]", verb="train")
    assert capsys.readouterr().err == ""
    run(lambda _config: "train: done", "engine.workers=1", "fresh=true", verb="train")
    assert "dvc commit -f train" in capsys.readouterr().err


def test_under_dvc_there_is_no_hint(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    run(lambda _config: "train: done", verb="train")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("verb", ["hydrate", "featurize", "train", "report"])
def test_help_of_a_stage_loads_nothing_heavy(verb: str) -> None:
    program = (
        "import runpy, sys\n"
        f"sys.argv = ['{verb}', '--help']\n"
        "try:\n"
        f"    runpy.run_module('src.{verb}', run_name='__main__')\n"
        "except SystemExit:\n"
        "    heavy = {'polars', 'numpy', 'pandas', 'sklearn', 'mlflow', 'scipy', 'pyarrow', 'rich', 'jinja2'}\n"
        "    heavy &= set(sys.modules)\n"
        "    sys.exit(f'heavy: {heavy}' if heavy else 0)\n"
    )
    done = process_case.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(os.name == "nt", reason="a POSIX shell")
def test_a_command_line_can_be_typed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    typed = ["only=[A,B]", "data.root='/mnt/my bars (new)'", "universe.name=1e5", "source.path=it's $5"]
    monkeypatch.setattr(sys, "argv", ["/home/me/src/train.py", *typed])
    assert shlex.split(lock.command_line()) == ["python", "-m", "src.train", *typed]


def test_a_day_is_committed_to_dvc_as_a_whole() -> None:
    whole = "DVC does not know of this run yet: dvc commit -f"
    assert dvc_hint("daily", compose(["refit=monthly", "daily.wait=false", "split.until=2025-09-30"])) == whole
    assert dvc_hint("daily", compose(["universe=quick"])) is None
    assert dvc_hint("monitor", compose([])) is None
