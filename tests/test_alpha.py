"""``alpha <verb>`` is ``python -m src.<verb>``: the same arguments, the same processes, the same exit status."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from src.__main__ import main, overview
from src.core.project import ROOT
from src.core.unknown_verb import purposes, verbs
from tests.process_case import run

PROBE = '''"""Say where a worker of this verb comes from: ``python -m src.probe``."""

import json
import multiprocessing
import sys

SEEN = []


def answer(value):
    return value + 1


if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        worked = pool.apply(answer, (int(sys.argv[1]),))
    spec = sys.modules["__main__"].__spec__
    print(json.dumps([sys.argv, spec.name, worked]))
    sys.exit(7)
'''
COPIED = ("__init__.py", "__main__.py", "core/__init__.py", "core/unknown_verb.py", "core/project.py")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with one verb, which starts a worker."""
    root = tmp_path_factory.mktemp("project")
    (root / "src" / "core").mkdir(parents=True)
    for path in COPIED:
        (root / "src" / path).write_bytes((ROOT / "src" / path).read_bytes())
    (root / "src" / "probe.py").write_text(PROBE, encoding="utf-8")
    return root


def test_a_verb_gets_what_python_gives_it(project: Path) -> None:
    results = []
    for command in (["-m", "src", "probe"], ["-m", "src.probe"]):
        done = run([sys.executable, *command, "41", "x=a b"], cwd=project, check=False, capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (7, "")
        results.append(json.loads(done.stdout))
    assert results[0] == results[1] == [[str(project / "src" / "probe.py"), "41", "x=a b"], "src.probe", 42]


def test_every_verb_is_listed_with_its_purpose(capsys: pytest.CaptureFixture[str], typed: list[str]) -> None:
    assert set(purposes()) == set(verbs())
    for verb, purpose in purposes().items():
        assert f"  {verb:<11} {purpose}\n" in overview()
        assert 10 < len(purpose) < 130 and "`" not in purpose.replace("`dvc plots`", "")
    for words in ([], ["--help"], ["help"]):
        typed[1:] = words
        assert main() == 0
        assert capsys.readouterr().out == overview()


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    line = ["alpha"]
    monkeypatch.setattr(sys, "argv", line)
    return line


@pytest.mark.parametrize(
    ("word", "said"),
    [("trian", "did you mean alpha train?"), ("mlflow", "did you mean alpha ui?"), ("xyzzy", "with a verb of clean, ")],
)
def test_a_misspelt_verb_is_answered(
    word: str, said: str, typed: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    typed.append(word)
    assert main() == 2
    assert said in capsys.readouterr().err


def test_a_wrong_setting_keeps_its_status_and_the_modules_that_python_reads_first_are_few() -> None:
    done = run([sys.executable, "-m", "src", "train", "universe=nope"], cwd=ROOT, check=False, capture_output=True)
    assert done.returncode == 2 and b"no conf/universe/nope.yaml" in done.stderr
    listed = "import sys, src.__main__ as m; sys.argv[1:] = sys.argv[1:]; m.main(); print(*sys.modules, sep='\\n')"
    for words in ([], ["completion", "candidates", "train", "@model="]):
        done = run([sys.executable, "-c", listed, *words], cwd=ROOT, check=True, capture_output=True, text=True)
        heavy = {"hydra", "omegaconf", "numpy", "polars", "mlflow", "pandas"} & {*done.stdout.splitlines()}
        assert not heavy
