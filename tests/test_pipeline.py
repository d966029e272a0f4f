"""DVC's side of the pipeline: what it runs and depends on, and that it behaves, with toys in the stages' places."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import grimp
import pytest
import yaml

from src.core.project import ROOT
from src.signals.journal import Journal
from tests import process_case, warm_case
from tests.signals.journal_case import filled, line, say

STAGES = ("hydrate", "ingest", "featurize", "train", "train_pooled", "report")
VERBS = {stage: stage.partition("_")[0] for stage in STAGES}
SCOPES = {"train": " scope=instrument", "train_pooled": " scope=pooled"}
# Modules that change nothing in a stage's outputs: the frame, and what only projects results into MLflow.
NEUTRAL = {"core", "engine", "fetching", "runtime", "storage", "tracking"}
"""Packages that shape how a stage works, where it stores and what it says, and no value that it writes."""
NO_OUTPUT = {
    "hydrate": {"chains", "models", "options"},  # option chains are no output that DVC keeps
    "ingest": {"models"},
    "featurize": {"models"},  # known to the settings' schema alone
    "train": {"listings", "sources"},  # read by the pooled scope
    "train_pooled": {"sources"},  # for a word in the closing line
    "report": {"documents"},  # the page of the book is no output that DVC keeps
}
BY_DAY = {"book", "daily", "monitor", "promotion"}
"""Groups of verbs that are run every day, and are no stages."""
FRAME = ("config", "core", "models", "runtime", "storage")
TOY = """
import os
from pathlib import Path
from src.config.compose import families
from src.storage.atomic import read_json, write_json, write_text
from src.config.paths import main_root
from src.runtime.command import StageError, main

OUTS = {outs!r}

def toy(config):
    stage = "train_pooled" if "{verb}" == "train" and config.scope.kind == "pooled" else "{verb}"
    outs = OUTS[stage]
    done = Path(outs[0].replace("UNIVERSE", config.dataset))
    kept = sorted(path.name for path in done.glob("*")) if done.is_dir() else []
    if os.environ.get("TOY_FAILS") == stage and not kept:
        write_text("first", done / "shard-0.txt")
        raise StageError("interrupted after the first shard")
    for each in outs:
        path = Path(each.replace("UNIVERSE", config.dataset))
        if path.suffix == ".json":
            write_json({{"runs": len(families(config)), "kept": kept}}, path)
        elif path.suffix == ".csv":
            write_text("{{}},share,share_passing\\n0.5,1.0,0.0\\n".format(path.stem), path)
        elif path.suffix:
            write_text("table of " + str([model.family for model in families(config)]), path)
        else:
            write_json([str(model.params) for model in families(config)], path / "manifest.json")
            write_json(kept, path / "kept.json")
    if stage == "train":
        write_text("x", main_root() / "mlruns" / ("_".join(model.family for model in families(config)) + ".txt"))
    return "{verb}: done"

if __name__ == "__main__":
    main("{verb}", toy)
"""


def pipeline() -> dict[str, Any]:
    stages: dict[str, Any] = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    return stages


def names(entries: list[Any]) -> list[str]:
    return [entry if isinstance(entry, str) else next(iter(entry)) for entry in entries]


def outputs(stage: str) -> list[str]:
    described = pipeline()[stage]
    return [name for key in ("outs", "metrics", "plots") for name in names(described.get(key, []))]


def test_the_stages_are_the_verbs_and_read_their_choices_as_by_hand() -> None:
    assert {name: stage["cmd"] for name, stage in pipeline().items()} == {
        name: f"python -m src.{VERBS[name]}{SCOPES.get(name, '')}" for name in STAGES
    }


@pytest.mark.parametrize("stage", STAGES)
def test_outputs_persist_so_that_an_interrupted_stage_goes_on(stage: str) -> None:
    described = pipeline()[stage]
    for key in ("outs", "metrics", "plots"):
        for entry in described.get(key, []):
            assert isinstance(entry, dict), f"{entry} would be deleted before the stage runs"
            assert next(iter(entry.values()))["persist"] is True


def test_every_choice_of_params_yaml_belongs_to_a_stage_and_every_group_file_is_tracked() -> None:
    chosen = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    used = [name for stage in pipeline().values() for name in names(stage.get("params", []))]
    by_hand = {"scope"}  # of a command that is typed; each stage names its own
    assert {name for name in used if not name.startswith("conf/")} == set(chosen) - by_hand
    groups = {path.name for path in (ROOT / "conf").iterdir() if path.is_dir()} - {"engine", "experiment"} - BY_DAY
    files = {f"conf/{g}/${{{g}}}.yaml" for g in groups - by_hand}
    files |= {f"conf/{g}/${{pooled.{g}}}.yaml" for g in chosen["pooled"]}
    files |= {f"conf/scope/{scope.rpartition('=')[2]}.yaml" for scope in SCOPES.values()}
    assert {name for name in used if name.startswith("conf/")} == files


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_depends_on_all_the_code_that_shapes_its_outputs_and_on_no_other(stage: str) -> None:
    graph = grimp.build_graph("src", exclude_type_checking_imports=True)
    reached = graph.find_upstream_modules(f"src.{VERBS[stage]}")
    if "src.research.registry" in reached:  # which imports what stands in a folder
        reached |= graph.find_upstream_modules("src.research.sources", as_package=True)
    imported = {module.split(".")[1] for module in reached}
    imported |= {VERBS[stage]}
    listed = {Path(name).stem for name in names(pipeline()[stage]["deps"]) if name.startswith("src/")}
    assert listed == imported - NEUTRAL - NO_OUTPUT[stage]


def test_each_stage_reads_only_what_an_earlier_one_wrote() -> None:
    written = {"${source_path}"}
    for stage in STAGES:
        for name in names(pipeline()[stage]["deps"]):
            assert name in written or (ROOT / name).exists(), f"{stage} reads {name}, which no stage writes"
        written |= set(outputs(stage))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project's pipeline and configuration with a toy in the place of every stage, under git."""
    root = tmp_path / "project"
    for name in ("dvc.yaml", "params.yaml", ".dvcignore", ".gitignore"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, root / name)
    shutil.copytree(ROOT / "conf", root / "conf")
    for name in FRAME:
        shutil.copytree(ROOT / "src" / name, root / "src" / name)  # with what Python compiled, which neither tool sees
    for name in ("src/__init__.py", ".dvc/config", ".dvc/.gitignore"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, root / name)
    outs = {stage: [name.replace("${universe}", "UNIVERSE") for name in outputs(stage)] for stage in STAGES}
    for verb in set(VERBS.values()):
        (root / "src" / f"{verb}.py").write_text(TOY.format(outs=outs, verb=verb), encoding="utf-8")
    for stage in STAGES:
        for name in names(pipeline()[stage]["deps"]):
            if name.startswith("src/") and not (root / name).exists():
                path = root / name if Path(name).suffix else root / name / "__init__.py"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text('"""Stands for the real module."""\n', encoding="utf-8")
    for name in ("source", "research"):
        (root / "data" / name).mkdir(parents=True)
        shutil.copy(ROOT / "data" / name / "README.md", root / "data" / name / "README.md")
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent) + os.pathsep + os.environ["PATH"])
    for name in ("DVC_ROOT", "DVC_STAGE", "PYTHONPATH"):
        monkeypatch.delenv(name, raising=False)
    who = ("-c", "user.name=test", "-c", "user.email=test@localhost")
    for command in (("init", "-q"), ("add", "-A"), (*who, "commit", "-qm", "project")):
        process_case.run(["git", *command], cwd=root, check=True)
    return root


def dvc(root: Path, *arguments: str, status: int = 0) -> str:
    done = warm_case.run(["-m", "dvc", *arguments], ROOT, cwd=root)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


def test_repro_runs_all_once_and_experiments_leave_the_workspace_alone(project: Path) -> None:
    dvc(project, "repro")
    assert "Data and pipelines are up to date." in dvc(project, "repro")
    status = process_case.run(["git", "status", "--short"], cwd=project, capture_output=True, text=True, check=True)
    assert status.stdout == "A  dvc.lock\n", "a run leaves nothing in git's way but DVC's own record"
    shown = json.loads(dvc(project, "metrics", "show", "--json"))
    assert shown[""]["data"]["reports/demo/metrics.json"]["data"]["runs"] == 3

    dvc(project, "exp", "run", "--temp", "-S", "model=catboost", "-n", "cats")
    assert (project / "mlruns" / "catboost.txt").exists(), "runs of an experiment belong to the main checkout"
    assert "model: all" in (project / "params.yaml").read_text(encoding="utf-8")
    shown = json.loads(dvc(project, "metrics", "diff", "cats", "--json"))
    assert shown["reports/demo/metrics.json"]["runs"] == {"old": 1, "new": 3, "diff": 2}
    hydrated = dvc(project, "exp", "run", "-S", "model=xgboost")
    assert "Stage 'featurize' didn't change, skipping" in hydrated
    assert "Running stage 'train'" in hydrated


def test_an_interrupted_stage_finds_what_it_had_done(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOY_FAILS", "hydrate")
    dvc(project, "repro", "hydrate", status=255)
    assert (project / "data" / "bars" / "demo" / "shard-0.txt").exists()
    dvc(project, "repro", "hydrate")
    kept = json.loads((project / "data" / "bars" / "demo" / "kept.json").read_text(encoding="utf-8"))
    assert kept == ["shard-0.txt"]


def test_a_hand_run_and_the_commit_that_it_names_leave_nothing_to_do(project: Path) -> None:
    done = process_case.run(
        [sys.executable, "-m", "src.hydrate"], cwd=project, capture_output=True, text=True, check=True
    )
    assert done.stdout == "hydrate: done\n"
    assert done.stderr == "DVC does not know of this run yet: dvc commit -f hydrate\n"
    dvc(project, *done.stderr.rpartition("dvc ")[2].split())
    assert "Data and pipelines are up to date." in dvc(project, "repro", "hydrate")


def test_without_a_git_history_the_pipeline_runs_all_the_same(project: Path) -> None:
    def gone(function: Any, path: str, _error: Any) -> None:
        Path(path).chmod(0o700)
        function(path)

    shutil.rmtree(project / ".git", onerror=gone)
    (project / ".dvc" / "config.local").write_text("[core]\n    no_scm = true\n", encoding="utf-8")
    dvc(project, "repro", "hydrate")
    assert "Data and pipelines are up to date." in dvc(project, "repro", "hydrate")


def test_the_journal_travels_by_dvc_and_goes_on_elsewhere(project: Path) -> None:
    who = ("-c", "user.name=test", "-c", "user.email=test@localhost")
    here = filled(project / "data" / "journal" / "demo")
    dvc(project, "remote", "add", "-d", "store", str(project.parent / "store"))
    dvc(project, "add", "data/journal/demo")
    dvc(project, "push")
    process_case.run(["git", *who, "commit", "-qam", "journal"], cwd=project, check=True)
    other = project.parent / "other"
    process_case.run(["git", "clone", "-q", str(project), str(other)], check=True)
    dvc(other, "pull", "data/journal/demo.dvc")
    there = Journal(other / "data" / "journal" / "demo")
    assert there.verify() == 3
    assert say(there, line("AAPL"), line("NVDA")).lines == 1, "the other decision was said on the first machine"
    assert there.verify() == 4
    dvc(other, "checkout", status=255)  # refuses to remove what was said since
    assert there.verify() == 4
    here.record_event({"since": "the last dvc add"})
    dvc(project, "exp", "run", "-S", "model=catboost", "hydrate")
    assert here.verify() == 4
