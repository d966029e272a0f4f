"""Libraries are loaded where a model is fitted, and nowhere else."""

import importlib
import sys
from importlib import metadata

import pytest

from src.core.project import ROOT
from src.models.registry import FAMILIES, family
from tests import process_case

PLANNING = """
import sys
from src.models.registry import FAMILIES
from src.models.registry import family
from src.training.code_keys import fit_code
for name in FAMILIES:
    family(name).LIBRARY.version, fit_code(name, "outright")
modules = {family(name).LIBRARY.module or family(name).LIBRARY.distribution for name in FAMILIES}
print(sorted(modules & set(sys.modules)))
"""


def test_planning_a_session_imports_no_model_library() -> None:
    done = process_case.run([sys.executable, "-c", PLANNING], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", FAMILIES)
def test_the_release_is_what_the_library_says_itself(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    library = family(name).LIBRARY
    release = importlib.import_module((library.module or library.distribution).split(".")[0]).__version__
    assert library.version == f"{library.distribution} {release}"

    def unknown(_name: str) -> str:
        raise metadata.PackageNotFoundError

    monkeypatch.setattr(metadata, "version", unknown)
    assert library.release == release
