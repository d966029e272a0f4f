"""Every command, snippet and setting that a page prints is carried out, or read as far as its work would begin."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import shutil
import warnings
from collections import Counter
from pathlib import Path

import pytest

from src.chains.store import OptionStore
from src.config.schema import SimulatedSource
from src.core.project import ROOT
from src.signals.journal import Journal
from src.signals.tables import book_frame, lines_frame
from src.sources.simulated import instrument
from tests import printed_case as printed
from tests import process_case, warm_case
from tests.chains.test_store import rows as option_rows
from tests.pipeline_case import WITHOUT_WORKERS
from tests.printed_case import Printed

INSTEAD = (
    (r"^make |^pre-commit install|^git |^source |^pip ", "named", "installs, or works on the reader's own checkout"),
    (r"[=.,]$", "named", "the beginning of a line, to be completed"),
    (r"src\.ui\b", "named", "a server: tests/tracking/test_registry_server.py runs it"),
    (r"^python -m tests\.(soak|benchmarks)|-m pytest", "help", "takes minutes or hours"),
    (r"^(\w+=\S+ )?(ray|mlflow|dvc) ", "parsed", "a server, a cluster, or a whole pipeline"),
    (r"source=auto|src\.(enlist|quote)\b", "composed", "asks live providers"),
    (r"universe=quick", "composed", "the same as universe=full, with other instruments"),
    (r"src\.(search|compare)\b", "named", "looks at what was collected or trained before: tests of their own run them"),
    (r"features=all\+research", "composed", "looks at facts that have to be collected before"),
    (r"engine=ray", "composed", "starts a cluster or needs one"),
    (r"src\.tune\b|placebo=|follow=true", "composed", "takes long, or goes on until it is stopped"),
)
"""Commands that are not run as printed: pattern, what is done instead, and why. The first that fits counts."""
PLACES = {
    "<file or folder>": "../bars.parquet", "<name>": "demo", "<run>": "0123abcd", "<folder>": "folder",
    "SYMBOL": "SIM01", "FOLDER": "folder",
}  # fmt: skip
"""What a reader puts in place of a name that a page leaves open."""
CHAMPION = ("stock.SIM46", "stock.SIM01")
"""A champion of the demo that a page names, and the one of the small demo here."""
REFUSED = {
    "python -m src.data AAPL": "the demo has no such instrument",
    "python -m src.doctor": "it may find something on this machine",
    "python -m src.doctor source=auto": "the same",
    "python -m src.doctor model=xgboost model.device=cuda": "there may be no GPU",
}
"""Commands of the text that may say here that something is amiss, and why."""
NO_SETTINGS = {
    "key=value": "the form of every setting", "yes=true": "an argument of clean",
    "interval=1h": "short for universe.interval=1h", "arm=placebo": "a tag",
    "alpha.superseded=doubled": "a tag", "host=0.0.0.0": "an argument of ui", "open=false": "the same",
    "port=5001": "the same",
    "data.root=...": "any folder",
    "asset_class=stock": "a folder's name", "sep=;": "a line of Excel's", "history=true": "an argument of promote",
    "undo=true": "the same", 'why="..."': "the same", "max_q_value=0.05": "the same",
    "name=... version=...": "the same",
    'frame="pandas"': "an argument in Python", 'root="/path/to/the/checkout"': "the same",
    'flags={"clean": True}': "the same",
    "acknowledge=book": "an argument of monitor", "acknowledge=champions": "the same", "acknowledge=all": "the same",
}  # fmt: skip
BESIDE = {"placebo_only=true": "placebo=0.2", "engine.data=": "engine=ray"}
"""What a setting of the text needs beside it."""
CHOICE = re.compile(r"(universe|source|features|label|model|experiment|engine)=\w+")
TUNED = ("tuned", "tuned_pooled", "lightgbm_quick_stock")
"""Files of conf/model that `tune` writes."""
ORDER = ("hydrate", "featurize", "train", "report")
BY_DAY = ("promote", "predict", "monitor")
ALONE = f"import sys; sys.path.append({str(ROOT)!r}); {WITHOUT_WORKERS}"
"""Commands do the work of their workers themselves; processes of workers are tested elsewhere."""
NAMES = """
def listing(source): ...
def bars(source, selection, scratch): ...
def files(source): ...
def connect(settings, gate): ...
from src.sources.declaration import FileSource, LiveProvider
"""
"""What the fragments of docs/architecture.md take from their surroundings."""


def instead(text: str) -> str:
    return next((way for pattern, way, _ in INSTEAD if re.search(pattern, text)), "run")


def filled(text: str) -> str:
    for name, value in PLACES.items():
        text = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", value, text)
    return text


def run_in_order() -> list[Printed]:
    """The commands of the blocks that run as printed, each once, every stage of a universe after the one before."""
    chosen = {" ".join(each.words): each for each in printed.block_commands() if instead(each.text) == "run"}
    return sorted(
        chosen.values(), key=lambda each: [n for n, verb in enumerate((*ORDER, *BY_DAY)) if f"src.{verb}" in each.text]
    )


def shown(command: Printed) -> str:
    return str(command)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with a small demo, trained, beside a file of bars; all block commands were run in it."""
    root = tmp_path_factory.mktemp("printed") / "alpha-loop"
    for name in ("src", "conf", "notebooks"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("params.yaml", "dvc.yaml", "data/source/README.md"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, root / name)
    small = "kind: simulated\nsimulated:\n  stock: 1\n  etf: 0\n  crypto: 0\n  edge: 0.2\n"
    (root / "conf/source/simulated.yaml").write_text(small, encoding="utf-8")
    for path in (root / "conf/model").glob("*.yaml"):
        path.write_text(re.sub(r"rounds: \d+", "rounds: 20", path.read_text(encoding="utf-8")), encoding="utf-8")
    for name in TUNED:
        shutil.copy(root / "conf/model/lightgbm.yaml", root / f"conf/model/{name}.yaml")
    bars = instrument(SimulatedSource(first="2020-01-02"), ("stock", "AAPL"), "2024-12-31", 0.3).drop("split")
    bars.write_parquet(root.parent / "bars.parquet")
    OptionStore(root / "data/options/full").write(option_rows("SPY", "etf"), dt.datetime(2026, 1, 5, 21, tzinfo=dt.UTC))
    line = {"book_date": dt.date(2026, 1, 5), "name": "stock.A", "asset_class": "stock", "symbol": "A", "state": "said"}
    line |= {"decided_on": dt.datetime(2026, 1, 5)}
    Journal(root / "data/journal/quick").append("book", lines_frame([line]), book_frame([]), {})
    warm_case.FINISHED.add(root)
    for verb in (*ORDER, "promote", "predict"):
        must(root, "-m", f"src.{verb}", before=ALONE)
    return root


def must(root: Path, *words: str, before: str = "", **environment: str) -> str:
    env = {**without("PYTHONPATH", "DVC_ROOT", "DVC_STAGE"), "PYTHONUTF8": "1", **environment}
    done = warm_case.run([*words], root, env, before=before)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stdout[-1500:]}{done.stderr[-1500:]}"
    return str(done.stdout)


def without(*names: str) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in names}


@pytest.mark.parametrize("command", run_in_order(), ids=shown)
def test_a_command_of_a_block_runs_as_printed(project: Path, command: Printed) -> None:
    program, *words = printed.Printed(command.page, command.line, filled(command.text)).words
    assert program == "python"
    must(project, *words, before=ALONE)


def carried_out(project: Path, commands: dict[Printed, list[str]]) -> dict[Printed, tuple[int, str]]:
    """Status and output of modules with arguments, which one process runs in the copy."""
    env = without("DVC_ROOT") | {"DVC_STAGE": "test", "PYTHONUTF8": "1", "PYTHONPATH": str(project)}
    program = str(ROOT / "tests" / "printed_case.py")
    done = warm_case.run([program], project, env, given=json.dumps([*commands.values()]))
    assert done.returncode == 0, done.stderr
    return dict(zip(commands, json.loads(done.stdout), strict=True))


def faults(ended: dict[Printed, tuple[int, str]]) -> list[str]:
    return [
        f"{each} ended with {status}: {said[-600:]}"
        for each, (status, said) in ended.items()
        if (status and each.text not in REFUSED) or "Traceback" in said
    ]


def test_the_commands_of_the_text_are_read_and_composed_or_run(project: Path) -> None:
    """Stages stop where their work begins; what only shows something is run."""
    both = {each.text: each for each in (*printed.inline_commands(), *printed.block_commands())}
    chosen = [each for each in both.values() if each.text.startswith("python -m src.")]
    chosen = [each for each in chosen if instead(each.text) in ("run", "composed")]
    words = {each: [word for word in words_of(each)[2:] if word != "--watch"] for each in chosen}
    assert faults(carried_out(project, words)) == []


def words_of(command: Printed) -> list[str]:
    return Printed(command.page, command.line, filled(command.text)).words


def test_the_choices_of_the_text_are_files_of_conf() -> None:
    found = {each.text.partition("=")[::2] for each in printed.inline_settings() if CHOICE.fullmatch(each.text)}
    missing = {(group, name) for group, name in found if not (ROOT / "conf" / group / f"{name}.yaml").exists()}
    assert missing <= {("model", name) for name in TUNED}


def test_the_settings_of_the_text_compose(project: Path) -> None:
    found = {each.text: each for each in printed.inline_settings() if each.text not in NO_SETTINGS}
    settings = [each for each in found.values() if not CHOICE.fullmatch(each.text)]
    assert refused_settings(project, settings) == []


def refused_settings(project: Path, settings: list[Printed]) -> list[str]:
    """What a stage says to those that it refuses; halves of halves where it refuses some that were typed together."""
    left, said = [*typed_together(settings).values()], list[str]()
    while left:
        ended = carried_out(project, {group[0]: [verb_of(group[0]), *words_typed(group)] for group in left})
        wrong = {group: faults({group[0]: ended[group[0]]}) for group in map(tuple, left)}
        said += [each for group, found in wrong.items() if len(group) == 1 for each in found]
        refused = [list(group) for group, found in wrong.items() if found and len(group) > 1]
        left = [half for each in refused for half in (each[: len(each) // 2], each[len(each) // 2 :])]
    return said


def words_typed(group: list[Printed]) -> list[str]:
    return [word for each in group for word in typed(each)]


def typed_together(settings: list[Printed]) -> dict[tuple[str, int], list[Printed]]:
    """Settings of a stage, no key twice in a group."""
    groups: dict[tuple[str, int], list[Printed]] = {}
    seen: Counter[tuple[str, str]] = Counter()
    for each in settings:
        keys = [(verb_of(each), word.partition("=")[0]) for word in typed(each)]
        number = max(seen[key] for key in keys)
        seen.update(dict.fromkeys(keys, 1))
        groups.setdefault((verb_of(each), number), []).append(each)
    return groups


def verb_of(setting: Printed) -> str:
    text = setting.text
    return "src.quote" if text.startswith("options.") else "src.hydrate" if text.startswith("retry") else "src.train"


def typed(setting: Printed) -> list[str]:
    words = filled(setting.text).split() if "{" not in setting.text else [setting.text]
    return [*words, *(more for start, more in BESIDE.items() if setting.text.startswith(start))]


def test_a_wrong_command_and_a_wrong_setting_are_seen(project: Path) -> None:
    page = ROOT / "README.md"
    planted = {
        Printed(page, 1, "no such verb"): ["src.trian"],
        Printed(page, 2, "no such setting"): ["src.train", "split.embargos=1"],
        Printed(page, 3, "no such option"): ["src.train", "model=gone"],
        Printed(page, 4, "no such flag"): ["src.status", "--watches"],
    }
    assert len(faults(carried_out(project, planted))) == len(planted)
    among = [Printed(page, 5, "split.embargo=7"), Printed(page, 6, "split.embargos=1"), Printed(page, 7, "seed=3")]
    assert [each.partition(" ended")[0] for each in refused_settings(project, among)] == [str(among[1])]


def snippets() -> list[Printed]:
    return [Printed(page, line, code) for page in printed.PAGES for line, code in printed.blocks(page, "python")]


@pytest.mark.parametrize("snippet", snippets(), ids=lambda each: f"{each.page.name}-{each.line}")
def test_a_snippet_of_python_runs_as_printed(project: Path, snippet: Printed, tmp_path: Path) -> None:
    """A snippet that names its file at the top is put there and used; a fragment gets the names around it."""
    file = re.match(r"# (conf/\S+\.py), chosen by (\S+)\n", snippet.text)
    if file:
        (project / file.group(1)).write_text(snippet.text, encoding="utf-8")
        must(project, "-m", "src.featurize", file.group(2))
        return
    program = tmp_path / "snippet.py"
    text = snippet.text.replace(*CHAMPION)
    program.write_text((NAMES if snippet.page.name == "architecture.md" else "") + text, encoding="utf-8")
    said = must(project, str(program), PYTHONPATH=str(project))
    assert "print(" not in snippet.text or said.strip()


@pytest.fixture
def in_project(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the project's notebooks; kernels that are started import the project's copy."""
    monkeypatch.setenv("PYTHONPATH", str(project))
    for name in ("DVC_ROOT", "DVC_STAGE"):
        monkeypatch.delenv(name, raising=False)
    return project / "notebooks"


def executed(folder: Path, name: str) -> str:
    """Run a notebook from top to bottom; what its cells print."""
    import nbformat  # here: it reads grammars for more than a second, in each process that collects the tests
    from nbclient import NotebookClient

    notebook = nbformat.read(folder / name, as_version=4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        NotebookClient(notebook, timeout=process_case.HANG, resources={"metadata": {"path": str(folder)}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    return "\n".join(output.get("text", "") for output in outputs)


def test_the_notebooks_run_from_top_to_bottom(in_project: Path) -> None:
    first = executed(in_project, "first_look.ipynb")
    assert "the line of the book is the same, to the last bit" in first
    assert "runs passed" in first or "run passed" in first
    assert "there is one session" in executed(in_project, "compare_sessions.ipynb")
    must(in_project.parent, "-m", "src.train", "model=lightgbm", "split.embargo=10")
    compared = executed(in_project, "compare_sessions.ipynb")
    assert "1 runs are in both, 2 in the first alone, 0 in the second alone" in compared


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda each: each.name)
def test_a_notebook_is_committed_without_what_it_printed(path: Path) -> None:
    import nbformat

    notebook = json.loads(path.read_text(encoding="utf-8"))
    nbformat.validate(notebook)
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    code = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    assert all(not cell["metadata"] for cell in notebook["cells"])


def test_commands_of_dvc_are_read_by_it() -> None:
    """Those of MLflow and Ray, which take seconds to load, are read by them in tests/soak/test_printed_commands.py."""
    read_by("dvc")
    with pytest.raises((Exception, SystemExit)):
        printed.parsed_by("dvc")(["repros"])


def read_by(program: str) -> None:
    parse = printed.parsed_by(program)
    found = 0
    for each in (*printed.inline_commands(), *printed.block_commands()):
        words = [word for word in each.words if not re.match(r"[A-Z_]+=", word)]
        if words[0] == program and words[1:] != ["exp", "run", "-S"]:
            parse(words[1:])
            found += 1
    assert found


def test_every_double_click_that_a_page_names_exists() -> None:
    names = {name for page in printed.PAGES for name in re.findall(r"\b(\w+\.bat)\b", page.read_text(encoding="utf-8"))}
    assert names <= {path.name for path in (ROOT / "scripts").glob("*.bat")}


def test_every_exception_is_still_printed() -> None:
    commands = [each.text for each in (*printed.inline_commands(), *printed.block_commands())]
    settings = [each.text for each in printed.inline_settings()]
    ways = [next((n for n, (pattern, *_) in enumerate(INSTEAD) if re.search(pattern, text)), -1) for text in commands]
    assert set(range(len(INSTEAD))) <= set(ways)
    assert set(REFUSED) <= set(commands) and set(NO_SETTINGS) <= set(settings)
    assert all(any(name in text for text in (*commands, *settings)) for name in PLACES)
