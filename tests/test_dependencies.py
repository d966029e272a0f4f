"""What src imports is declared in pyproject.toml: an upgrade elsewhere may take an undeclared package away."""

import ast
import functools
import re
import sys
import tomllib
from collections.abc import Mapping
from importlib.metadata import packages_distributions

from src.core.project import ROOT


@functools.cache
def declared() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = {name: lines for name, lines in project["optional-dependencies"].items() if name != "dev"}
    lines = [*project["dependencies"], *(line for extra in extras.values() for line in extra)]
    return {_canonical(re.split(r"[\[<>=;~! ]", line, maxsplit=1)[0]) for line in lines}


@functools.cache
def installed() -> Mapping[str, list[str]]:
    return packages_distributions()


def imported(source: str) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.split(".")[0])
    return found - set(sys.stdlib_module_names) - {"src"}


def undeclared(source: str) -> set[str]:
    providers, names = installed(), declared()
    return {
        module
        for module in imported(source)
        if not {_canonical(each) for each in providers.get(module, [module])} & names
    }


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_package_that_src_imports_is_declared():
    missing = {
        str(path.relative_to(ROOT)): names
        for path in sorted((ROOT / "src").rglob("*.py"))
        if (names := undeclared(path.read_text(encoding="utf-8")))
    }
    assert missing == {}


def test_what_only_developers_install_counts_as_undeclared():
    assert undeclared("import pytest\nimport exchange_calendars") == {"pytest", "exchange_calendars"}


def test_a_package_that_only_another_one_brings_counts_as_undeclared():
    assert undeclared("import graphene\nfrom yaml import safe_load\nimport json\nfrom src import bars") == {"graphene"}
