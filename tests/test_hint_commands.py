"""The commands of hints are typed into a shell as they are printed, for datasets with odd names in odd folders.

All runs in a copy of the project: a command that lost the choice of a folder would write into that copy.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from src.config.commands import setting, shell_word
from src.config.compose import compose
from src.core.errors import StageError
from src.core.project import ROOT
from src.featurize import featurize
from tests import process_case

ODD_FOLDER = "my [bars], 100% {\u00e9t\u00e9} & it's $5"
SPOILT = b"not what it was"
SHARED = (".locks", ".progress")
"""Folders of data/ that all datasets share."""
ODD_NAMES = ("1e5", "on", "null", "007", "Q1-2024", "2024-01-02", "0x1F", "x-1h", "a--B_c")
COMMAND = re.compile(r"""python -m src\.\w+(?: (?:"[^"]*"|'[^']*'|[\w+~./-]+[=:][\w./:=+@~-]*)+)*""")
"""A verb with all the settings and instruments behind it; a word of the sentence has neither = nor : inside."""
pytestmark = pytest.mark.skipif(os.name == "nt", reason="a POSIX shell")


@dataclass(frozen=True)
class Place:
    """A copy of the project, and a dataset outside it."""

    project: Path
    root: Path
    name: str

    @property
    def settings(self) -> list[str]:
        return [
            setting("universe.name", self.name), "universe.allow_simulated=true", "universe.buckets=1",
            "source.simulated.stock=2", "source.simulated.etf=0", "source.simulated.crypto=0", "data.until=2019-12-31",
            "features.families=[calendar]", "engine.workers=1", "model=lightgbm", "model.params.rounds=5",
            setting("data.root", str(self.root / "data")), setting("data.logs", str(self.root / "logs")),
            setting("data.reports", str(self.root / "reports")),
            setting("tracking.uri", f"sqlite:///{self.root.as_posix()}/ml.db"),
            setting("tracking.artifacts", str(self.root / "artifacts")),
        ]  # fmt: skip

    def typed(self, line: str) -> tuple[int, str]:
        """Type a line into a shell in the copy: status and all output."""
        bin_folder = str(Path(sys.executable).parent)
        environment = {name: text for name, text in os.environ.items() if name not in ("PYTHONPATH", "DVC_ROOT")}
        environment |= {"PATH": os.pathsep.join([bin_folder, os.environ["PATH"]]), "DVC_STAGE": "test"}
        done = process_case.run(
            ["/bin/sh", "-c", line], cwd=self.project, env=environment | {"PYTHONUTF8": "1"},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8",
        )  # fmt: skip
        return done.returncode, done.stdout

    def verb(self, verb: str, *words: str) -> tuple[int, str]:
        chosen = [word for word in self.settings if verb not in ("hydrate", "data") or not word.startswith("model.")]
        return self.typed(" ".join([f"python -m src.{verb}", *map(shell_word, [*chosen, *words])]))

    def must(self, verb: str, *words: str) -> str:
        status, said = self.verb(verb, *words)
        assert status == 0, said
        return said

    def strays(self) -> list[str]:
        """What a command wrote into the copy itself."""
        files = (path.relative_to(self.project) for path in self.project.rglob("*") if path.is_file())
        own = ("src", "conf", "params.yaml", "dvc.yaml")
        return [path.as_posix() for path in files if path.parts[0] not in own and path.parts[1] not in SHARED]


def hinted(said: str, verb: str) -> str:
    """The last command of a verb that an output names, as printed; there has to be one."""
    found = [line for line in COMMAND.findall(said) if line.startswith(f"python -m src.{verb}")]
    assert found, said
    return str(found[-1])


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("hints") / "alpha-loop"
    for name in ("src", "conf"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copy(ROOT / name, root / name)
    return root


@pytest.fixture(scope="module")
def trained(project: Path) -> Place:
    """A small dataset with the name of a number, reached by the hints alone: report asks for train, and so on."""
    place = Place(project, project.parent / ODD_FOLDER, "1e5")
    for asked, wanted in (("featurize", "hydrate"), ("train", "featurize"), ("report", "train")):
        status, said = place.verb(asked)
        assert status == 1, said
        works(place, hinted(said, wanted))
    assert (place.root / "data/grades/1e5.parquet").is_file()
    place.must("report")
    assert place.strays() == []
    return place


def works(place: Place, line: str) -> str:
    status, said = place.typed(line)
    assert status == 0, f"{line}\n{said}"
    return said


@pytest.mark.parametrize("name", ODD_NAMES)
def test_the_command_for_absent_bars_chooses_the_dataset(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shell takes the printed command apart, and its settings compose to the dataset that has no bars."""
    place = Place(ROOT, tmp_path / ODD_FOLDER, name)
    monkeypatch.setattr(sys, "argv", ["src/featurize.py", *place.settings])
    with pytest.raises(StageError) as caught:
        featurize(compose(place.settings))
    config = compose(words_of(hinted(str(caught.value), "hydrate")))
    assert (config.universe.name, config.dataset, config.data.root) == (name, name, str(place.root / "data"))
    assert (config.source.kind, config.source.simulated.stock) == ("simulated", 2)


def words_of(line: str) -> list[str]:
    """The settings of a command as a shell passes them on."""
    done = process_case.run(
        ["/bin/sh", "-c", f"python() {{ shift 2; printf '%s\\0' \"$@\"; }}; {line}"], check=True,
        stdout=subprocess.PIPE, encoding="utf-8",
    )  # fmt: skip
    return str(done.stdout).split("\0")[:-1]


DAMAGES = {
    "a file of bars is gone": ("data/bars/1e5/b000-2015.parquet", "remove", "featurize", ["fresh=true"], "hydrate"),
    "a file of features is damaged": ("data/features/1e5/b000-2015.parquet", "spoil", "train", ["seed=8"], "featurize"),
    "grades are damaged": ("data/grades/1e5.parquet", "spoil", "sync", [], "train"),
    "states of features are damaged": ("data/states/1e5/featurize.parquet", "spoil", "train", ["seed=8"], "featurize"),
    "MLflow's database is gone": ("ml.db", "remove", "promote", [], "sync"),
    "the gate's database is gone": ("ml.db", "remove", "gate", [], "sync"),
    "MLflow's database is damaged": ("ml.db", "spoil and move", "sync", [], "sync"),
    "grades are gone": ("data/grades/1e5.parquet", "remove", "report", [], "train"),
    "the report is older": ("reports/1e5", "age", "status", [], "report"),
}


def mends(trained: Place, damage: str, tmp_path: Path) -> None:
    """Do a damage, and type the command that is then named."""
    where, how, verb, words, wanted = DAMAGES[damage]
    place = Place(trained.project, tmp_path / ODD_FOLDER, trained.name)
    shutil.copytree(trained.root, place.root)
    path = place.root / where
    if how == "remove":
        path.unlink()
    elif how == "age":
        for file in [path, *path.rglob("*")]:
            os.utime(file, (0, 0))
    else:
        path.write_bytes(SPOILT * 20)
    said = place.verb(verb, *words)[1]
    line = hinted(said, wanted)
    if how == "spoil and move":
        path.rename(path.with_suffix(".old"))
    works(place, line)
    assert path.exists() and path.stat().st_mtime > 0
    assert path.is_dir() or not path.read_bytes().startswith(SPOILT)
    assert place.strays() == []
