"""A session of 10,000 instruments through the real commands, with what each of them costs.

Bars are tiled (see `tests.soak.tiled`), everything else is as shipped: hydrate, featurize, train with all families,
killed once in the middle and started again, once more with nothing to do, report, status, promote, sync, and the
searches that a person makes in MLflow's pages. `tests/soak/test_full_session.py` asserts what must hold;

    python -m tests.soak.full_session <folder> [--instruments 10000]
    python -m tests.soak.full_session <folder> --table

runs it in a folder of one's own and prints the table, also of a session that is still at work. A step that is done is
not done again, so the same command goes on after an interruption.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import psutil

from src.core.project import ROOT
from src.tracking.environment import ENVIRONMENT
from src.tracking.location import StoreLocation
from src.tracking.server import HOST, server_command, server_environment, store_variables
from tests.soak import tiled

DATASET = "full"
EVERY = 2.0  # seconds between two looks at a command's memory
KILLED_AT = 0.4  # of the instruments
BIG = 1 << 20
RUNS = "ajax-api/2.0/mlflow/runs/search"


@dataclasses.dataclass(frozen=True)
class Step:
    """What one command cost.

    Attributes
    ----------
    seconds, cpu_parent, cpu_workers : float
        Wall time, and CPU seconds (user and system) of the command's process and of its children.
    parent, worker, total : float
        Peaks in MiB: of the command's process, of its largest child, and of all at one moment. Pages that processes
        share count in parts (PSS) where the system tells, else not at all (USS).
    load : float
        Mean load of the machine meanwhile: beyond the number of its cores, others were at work too.
    said : str
        Its last line.
    """

    seconds: float
    cpu_parent: float
    cpu_workers: float
    parent: float
    worker: float
    total: float
    load: float
    said: str


class Watch:
    """Looks at a process and its children until it ends."""

    def __init__(self, process: psutil.Process, log: Path) -> None:
        self._process, self._log = process, log
        self._began = time.monotonic()
        self._cpu: dict[int, float] = {}
        self._loads: list[float] = []
        self._peak = {"parent": 0.0, "worker": 0.0, "total": 0.0}

    def look(self) -> None:
        """Note memory and CPU time of now; a process that ends meanwhile is passed over."""
        sizes: dict[int, float] = {}
        with contextlib.suppress(psutil.NoSuchProcess):
            for each in [self._process, *self._process.children(recursive=True)]:
                with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                    used, memory = each.cpu_times(), each.memory_full_info()
                    self._cpu[each.pid] = used.user + used.system
                    sizes[each.pid] = getattr(memory, "pss", memory.uss) / BIG
        own = sizes.get(self._process.pid, 0.0)
        rest = [size for pid, size in sizes.items() if pid != self._process.pid]
        now = {"parent": own, "worker": max(rest, default=0.0), "total": own + sum(rest)}
        self._peak = {name: max(peak, now[name]) for name, peak in self._peak.items()}
        self._loads.append(psutil.getloadavg()[0])
        seconds = time.monotonic() - self._began
        with self._log.open("a", encoding="utf-8") as log:
            log.write(f"{seconds:.0f},{own:.0f},{now['worker']:.0f},{now['total']:.0f},{len(rest)},")
            log.write(f"{self._cpu.get(self._process.pid, 0.0):.1f},{sum(self._cpu.values()):.1f},{self._loads[-1]}\n")

    def step(self, said: str) -> Step:
        """What was seen, to a tenth."""
        own = self._cpu.get(self._process.pid, 0.0)
        load = sum(self._loads) / max(len(self._loads), 1)
        seconds = time.monotonic() - self._began
        figures = (seconds, own, sum(self._cpu.values()) - own, *self._peak.values(), load)
        return Step(*(round(each, 1) for each in figures), said)


class FullSession:
    """One session in a folder of its own; what each step cost is kept in ``figures.json``.

    Parameters
    ----------
    folder : Path
        Holds data, MLflow's store, reports and logs.
    instruments : int
    settings : tuple of str
        Further overrides of every command.
    """

    def __init__(self, folder: Path, instruments: int, settings: tuple[str, ...] = ()) -> None:
        self.folder, self.instruments, self.settings = folder.resolve(), instruments, settings
        self.folder.mkdir(parents=True, exist_ok=True)
        self._kept = self.folder / "figures.json"

    @property
    def figures(self) -> dict[str, Any]:
        """What the steps cost so far, by step."""
        return json.loads(self._kept.read_text(encoding="utf-8")) if self._kept.exists() else {}

    @property
    def data(self) -> Path:
        """Where the stages keep what they make."""
        return self.folder / "data"

    @property
    def database(self) -> Path:
        """MLflow's store."""
        return self.folder / "mlruns" / "mlflow.db"

    def grades(self) -> pl.DataFrame:
        """The grades table."""
        return pl.read_parquet(self.data / "grades" / f"{DATASET}.parquet")

    def states(self, stage: str) -> pl.DataFrame:
        """The states that a stage left."""
        return pl.read_parquet(self.data / "states" / DATASET / f"{stage}.parquet")

    def whole(self) -> None:
        """Every step in turn."""
        self._once("tiles", self._tiles)
        for verb in ("hydrate", "featurize"):
            self._once(verb, lambda verb=verb: self.run(verb))
        self._once("train, killed", lambda: self.run("train", kill=KILLED_AT))
        self._once("train, again", lambda: self.run("train"))
        self._once("train, nothing to do", lambda: self.run("train"))
        self._once("report", lambda: self.run("report"))
        self._once("status", lambda: self.run("status"))
        self._once("sync, nothing to do", lambda: self.run("sync"))
        self._once("searches", self.searches)
        self._once("disk", self.disk)
        self._once("promote", lambda: self.run("promote"))

    def run(self, verb: str, kill: float | None = None) -> dict[str, Any]:
        """Run a command to its end, or kill it once so large a share of the instruments is done."""
        environment = {**os.environ, "DVC_STAGE": "soak", "DVC_ROOT": str(self.folder), "PYTHONUTF8": "1"}
        (self.folder / "said").mkdir(exist_ok=True)
        number = len(list((self.folder / "said").glob("*.out")))
        out, error, log = (self.folder / "said" / f"{number:02d}-{verb}.{kind}" for kind in ("out", "err", "csv"))
        with out.open("wb") as to, error.open("wb") as errors:
            process = subprocess.Popen(self.arguments(verb), cwd=ROOT, env=environment, stdout=to, stderr=errors)
        watch, code = Watch(psutil.Process(process.pid), log), None
        try:
            while code is None:
                watch.look()
                if kill is not None and self._done(process.pid) >= kill * self.instruments:
                    process.kill()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    code = process.wait(EVERY if verb != "status" else 0.2)
        except BaseException:
            process.send_signal(signal.SIGINT)
            process.wait(60)
            raise
        lines = out.read_text(encoding="utf-8").strip().splitlines()
        if kill is None:
            assert code == 0, f"{verb} ended with {code}: {error.read_text(encoding='utf-8')[-2000:]}"
        said = f"killed at {self._done(process.pid):,} instruments" if code else lines[-1] if lines else ""
        return dataclasses.asdict(watch.step(said))

    def arguments(self, verb: str) -> list[str]:
        """The command line of a verb."""
        where = [f"data.root='{self.data.as_posix()}'"]
        if verb != "status":
            where += [f"data.logs='{(self.folder / 'logs').as_posix()}'", "source=folder"]
            where += [f"source.path='{(self.data / 'tiled').as_posix()}'", f"tracking.uri='{self._uri}'"]
            where += [f"tracking.artifacts='{(self.folder / 'mlruns' / 'artifacts').as_posix()}'"]
        where += [f"data.reports='{(self.folder / 'reports').as_posix()}'"]
        chosen = ["model=all"] if verb in ("train", "report", "sync") else []
        return [sys.executable, "-m", f"src.{verb}", f"universe={DATASET}", *where, *chosen, *self.settings]

    def disk(self) -> dict[str, Any]:
        """Bytes and files of what the session left."""
        found = {}
        for name, path in {
            "bars": self.data / "bars", "features": self.data / "features", "runs": self.data / "runs",
            "models among them": self.data / "runs" / DATASET / "models",
            "grades table": self.data / "grades", "MLflow's database": self.database,
            "MLflow's artifacts": self.folder / "mlruns" / "artifacts",
            "report's page": self.folder / "reports" / DATASET / "index.html",
        }.items():  # fmt: skip
            sizes = [each.stat().st_size for each in ([path] if path.is_file() else path.rglob("*")) if each.is_file()]
            found[name] = {"mib": round(sum(sizes) / BIG, 1), "files": len(sizes)}
        return found

    def searches(self) -> dict[str, float]:
        """Seconds that each search takes, the median of three, by client, by REST and as MLflow's pages ask."""
        import mlflow

        mlflow.set_tracking_uri(self._uri)
        experiment = mlflow.MlflowClient(self._uri).get_experiment_by_name(f"alpha-loop/{DATASET}").experiment_id
        client = mlflow.MlflowClient(self._uri)
        by_sharpe, passed = ["metrics.sharpe DESC"], "tags.`alpha.passed` = 'true'"
        asked: dict[str, Callable[[], object]] = {
            "client: 100 best by Sharpe ratio": lambda: client.search_runs([experiment], "", 1, 100, by_sharpe),
            "client: passed, by AUC": lambda: client.search_runs([experiment], passed, 1, 100, ["metrics.auc DESC"]),
            "client: one symbol": lambda: client.search_runs([experiment], "tags.symbol = 'AAPL'", 1, 100),
        }
        found = {name: _median(ask) for name, ask in asked.items()}
        with _server(self._uri, self.folder) as address:
            page = {"experiment_ids": [experiment], "run_view_type": "ACTIVE_ONLY", "max_results": 100}
            orders = {
                "the page as it opens": {"order_by": ["attributes.start_time DESC"]},
                "sorted by Sharpe ratio": {"order_by": ["metrics.`sharpe` DESC"]},
                "filtered by family, sorted by AUC": {
                    "filter": "params.`family` = 'lightgbm' AND metrics.`auc` > 0.5",
                    "order_by": ["metrics.`auc` DESC"],
                },
                "passed alone, sorted by drawdown": {"filter": passed, "order_by": ["metrics.`max_drawdown` ASC"]},
            }
            for name, order in orders.items():
                body = page | order
                found[f"pages: {name}"] = _median(lambda body=body: _post(f"{address}/{RUNS}", body))
            body = page | orders["sorted by Sharpe ratio"]
            found["REST: sorted by Sharpe ratio"] = _median(
                lambda: _post(f"{address}/api/2.0/mlflow/runs/search", body)
            )
            models = f"{address}/ajax-api/2.0/mlflow/registered-models/search?max_results=25"
            found["pages: registered models"] = _median(lambda: _get(models))
        return {name: round(seconds, 2) for name, seconds in found.items()}

    def recorded(self) -> list[str]:
        """Record ids of the finished runs that MLflow has, as often as it has them."""
        query = (
            "SELECT t.value FROM tags t JOIN runs r ON r.run_uuid = t.run_uuid WHERE t.key = 'alpha.record_id' "
            "AND r.status = 'FINISHED' AND r.lifecycle_stage = 'active'"
        )
        with closing(sqlite3.connect(self.database)) as connection:
            return [record for (record,) in connection.execute(query)]

    def table(self) -> str:
        """What the steps cost, as Markdown."""
        figures = self.figures
        lines = [
            "| command | wall s | CPU s, parent | CPU s, workers | peak MiB, parent | largest worker | total | load |",
            "|---|---|---|---|---|---|---|---|",
        ]
        fields = ("seconds", "cpu_parent", "cpu_workers", "parent", "worker", "total")
        for name, step in figures.items():
            if "cpu_parent" in step:
                cells = [f"{step[field]:,.0f}" if step[field] >= 10 else f"{step[field]:.1f}" for field in fields]
                lines.append(f"| {name} | {' | '.join(cells)} | {step['load']:.1f} |")
        lines += ["", *(f"{name}: {step['said']}" for name, step in figures.items() if step.get("said"))]
        lines += ["", *self._rates(figures)]
        lines += ["", "| search | s |", "|---|---|"]
        lines += [f"| {name} | {seconds:.2f} |" for name, seconds in figures.get("searches", {}).items()]
        lines += ["", "| on disk | MiB | files |", "|---|---|---|"]
        lines += [f"| {name} | {each['mib']:,} | {each['files']:,} |" for name, each in figures.get("disk", {}).items()]
        return "\n".join(lines)

    def _rates(self, figures: dict[str, Any]) -> Iterator[str]:
        """Instruments an hour: by the clock, and by the CPU time on two cores that nothing else uses."""
        steps = [figures[name] for name in ("train, killed", "train, again") if name in figures]
        if len(steps) < 2:
            return
        done = self.states("train").filter(state="done").height
        seconds = sum(step["seconds"] for step in steps)
        cpu = sum(step["cpu_parent"] + step["cpu_workers"] for step in steps)
        load = sum(step["load"] * step["seconds"] for step in steps) / seconds
        yield (
            f"{done:,} instruments in {seconds:,.0f} s of wall time ({3600 * done / seconds:,.0f} an hour; load "
            f"{load:.1f}) and {cpu:,.0f} s of CPU ({3600 * done / (cpu / 2):,.0f} an hour on two cores that nothing "
            "else uses), the work that the kill lost included"
        )

    def _once(self, name: str, do: Callable[[], Any]) -> None:
        figures = self.figures
        if name not in figures:
            _say(f"{name} ...")
            figures[name] = do()
            self._kept.write_text(json.dumps(figures, indent=1), encoding="utf-8")
            _say(f"{name}: {figures[name]}")

    def _tiles(self) -> dict[str, Any]:
        return {"bars": tiled.write(self.data / "tiled", self.instruments)}

    def _done(self, pid: int) -> int:
        """How many instruments the command says to have finished."""
        try:
            beat = json.loads((self.data / ".progress" / f"train-{DATASET}-{pid}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return 0
        return int(beat.get("done", 0))

    @property
    def _uri(self) -> str:
        return f"sqlite:///{self.database.as_posix()}"


@contextmanager
def _server(uri: str, folder: Path) -> Iterator[str]:
    """``mlflow server`` as `python -m src.ui` starts it, ended with all its processes."""
    with socket.socket() as found:
        found.bind((HOST, 0))
        port = int(found.getsockname()[1])
    home = StoreLocation(uri, folder / "mlruns" / "mlflow.db", folder / "mlruns" / "artifacts")
    environment = {**server_environment(), **ENVIRONMENT, **store_variables(home)}
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(server_command(home, port), env=environment, stdout=log, stderr=log, cwd=folder)
    try:
        address = f"http://{HOST}:{port}"
        for _ in range(600):
            assert process.poll() is None, (folder / "server.log").read_text(errors="replace")
            with contextlib.suppress(OSError):
                _get(f"{address}/health")
                break
            time.sleep(0.2)
        yield address
    finally:
        family = [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]
        process.terminate()
        for each in psutil.wait_procs(family, timeout=10)[1]:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.kill()


def _get(address: str) -> bytes:
    with urllib.request.urlopen(address, timeout=300) as answer:
        return bytes(answer.read())


def _post(address: str, body: dict[str, Any]) -> Any:
    request = urllib.request.Request(address, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=300) as answer:
        found = json.loads(answer.read())
    assert found.get("runs"), f"{address} found no run for {body}"
    return found


def _median(ask: Callable[[], object]) -> float:
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        ask()
        seconds.append(time.perf_counter() - began)
    return sorted(seconds)[1]


def _say(words: str) -> None:
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} {words}\n")
    sys.stdout.flush()


def main() -> None:
    """Run the session, or print its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--instruments", type=int, default=10_000)
    parser.add_argument("--table", action="store_true", help="print the figures of the steps that are done")
    parser.add_argument("settings", nargs="*", metavar="key=value", help="further overrides of every command")
    chosen = parser.parse_intermixed_args()
    session = FullSession(chosen.folder, chosen.instruments, tuple(chosen.settings))
    if not chosen.table:
        session.whole()
    sys.stdout.write(session.table() + "\n")


if __name__ == "__main__":
    main()
