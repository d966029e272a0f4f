"""A hash of code sees what is computed: no name, no place, no comment."""

import importlib.util
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from src.core import code_hash
from src.core.code_hash import code_digest

HELPERS = '''
"""Helpers."""

FACTOR = 3
TABLE = {"a": (1, 2), "b": frozenset({"x", "y"})}


def _settings(value):
    """Double a value."""
    return 2 * value


class Sized:
    """Holds a size."""

    size: int = 4

    def grown(self, by):
        return self.size + by * FACTOR
'''
MAIN = '''
"""Main."""

from own_features import helpers
from own_features.helpers import Sized, _settings


def root(values):
    """Work on values."""
    inner = [each for each in values if each > helpers.FACTOR]
    return Sized().grown(_settings(len(inner))) + len(helpers.TABLE)
'''


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[..., ModuleType]]:
    """Write modules of a package that is followed, and import the last one."""
    before = set(sys.modules)
    count = iter(range(1000))

    def write(**modules: str) -> ModuleType:
        for name in [name for name in sys.modules if name.split(".")[0] == "own_features"]:
            del sys.modules[name]
        code_hash.forget()
        folder = tmp_path / str(next(count))
        folder.mkdir()
        root = ModuleType("own_features")
        root.__path__ = [str(folder)]  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "own_features", root)
        for name, text in modules.items():
            (folder / f"{name}.py").write_text(text, encoding="utf-8")
        for name in modules:
            module = importlib.import_module(f"own_features.{name}")
            setattr(root, name, module)
        return module

    yield write
    for name in set(sys.modules) - before:
        if name.split(".")[0] == "own_features":
            del sys.modules[name]
    code_hash.forget()


def digest(package: Callable[..., ModuleType], helpers: str = HELPERS, main: str = MAIN) -> str:
    return code_digest(package(helpers=helpers, main=main).root)


def test_the_same_code_has_the_same_hash(package) -> None:
    assert digest(package) == digest(package)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"""Double a value."""', '"""Twice the value, said otherwise."""'),
        ("    return 2 * value", "    # twice\n    return (2 * value)"),
        ("def _settings(value):", "def _settings(value: int) -> int:"),
        ("class Sized:\n", "class Sized:\n\n"),
    ],
)
def test_comments_docstrings_annotations_and_layout_change_nothing(package, old: str, new: str) -> None:
    assert old in HELPERS
    assert digest(package, HELPERS.replace(old, new)) == digest(package)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("2 * value", "2 + value"),
        ("FACTOR = 3", "FACTOR = 4"),
        ('frozenset({"x", "y"})', 'frozenset({"x", "z"})'),
        ("size: int = 4", "size: int = 5"),
        ("self.size + by", "self.size - by"),
    ],
)
def test_what_is_reached_counts(package, old: str, new: str) -> None:
    assert old in HELPERS
    assert digest(package, HELPERS.replace(old, new)) != digest(package)


def test_the_order_of_a_set_is_no_part_of_its_value(package) -> None:
    assert digest(package, HELPERS.replace('{"x", "y"}', '{"y", "x"}')) == digest(package)


def test_a_module_that_moves_and_functions_that_are_renamed_keep_the_hash(package) -> None:
    before = digest(package)
    moved = HELPERS.replace("_settings", "_doubled").replace("Sized", "Measured").replace("FACTOR", "SCALE")
    main = (
        MAIN.replace("_settings", "_doubled").replace("Sized", "Measured").replace("FACTOR", "SCALE")
        .replace("from own_features import helpers", "import own_features.elsewhere as helpers")
        .replace("own_features.helpers", "own_features.elsewhere").replace("def root", "def start")
    )  # fmt: skip
    assert code_digest(package(elsewhere=moved, main=main).start) == before


def test_two_functions_with_one_name_are_distinguished(package) -> None:
    """With references by bare name, an edit of the second function of a name would go unseen."""
    first = "def _settings(value):\n    return value + 1\n"
    second = "def _settings(value):\n    return value + {}\n\n\ndef scaled(value):\n    return _settings(value)\n"
    main = (
        "from own_features.first import _settings\nfrom own_features.second import scaled\n\n\n"
        "def root(value):\n    return _settings(value) + scaled(value)\n"
    )
    found = [code_digest(package(first=first, second=second.format(n), main=main).root) for n in (1, 2)]
    assert found[0] != found[1]


def test_a_local_name_is_not_the_global_of_that_name(package) -> None:
    text = "size = {}\n\n\ndef root(values):\n    size = len(values)\n    return [size for _ in values]\n"
    assert len({code_digest(package(main=text.format(n)).root) for n in (1, 2)}) == 1


def test_the_message_of_an_error_is_no_part_of_a_value(package) -> None:
    text = "def root(value):\n    if value < 0:\n        raise {}\n    return value\n"
    found = [code_digest(package(main=text.format(raised)).root) for raised in ("ValueError('a')", "ValueError('b')")]
    assert found[0] == found[1]
    assert code_digest(package(main=text.format("KeyError('a')")).root) != found[0]


def test_functions_that_call_each_other_have_a_hash_that_sees_both(package) -> None:
    text = "def even(n):\n    return n == 0 or odd(n - 1)\n\n\ndef odd(n):\n    return n != {} and even(n - 1)\n"
    module = package(main=text.format(0))
    first = code_digest(module.even)
    assert code_digest(module.odd) != first
    assert code_digest(package(main=text.format(0)).even) == first
    assert code_digest(package(main=text.format(1)).even) != first


def test_an_import_inside_a_function_is_followed(package) -> None:
    helpers = "def doubled(value):\n    return {} * value\n"
    main = "def root(value):\n    from own_features.{0} import doubled\n\n    return doubled(value)\n"
    found = [code_digest(package(helpers=helpers.format(n), main=main.format("helpers")).root) for n in (2, 3)]
    assert found[0] != found[1]
    assert code_digest(package(moved=helpers.format(2), main=main.format("moved")).root) == found[0]


def test_where_a_package_lies_changes_nothing(package) -> None:
    main = "import own_features\n\n\ndef root():\n    return own_features.__path__, own_features.__name__, __file__\n"
    assert code_digest(package(main=main).root) == code_digest(package(main=main).root)


def test_a_decorator_that_changes_values_counts_and_a_cache_does_not(package) -> None:
    text = (
        "import functools\n\n\ndef shifted(function):\n    @functools.wraps(function)\n    def wrapped(value):\n"
        "        return function(value) + {}\n    return wrapped\n\n\n{}def root(value):\n    return value\n\n\n"
        "def caller(value):\n    return root(value)\n"
    )
    plain = code_digest(package(main=text.format(1, "")).caller)
    assert code_digest(package(main=text.format(1, "@functools.cache\n")).caller) == plain
    one, two = (code_digest(package(main=text.format(n, "@shifted\n")).caller) for n in (1, 2))
    assert len({plain, one, two}) == 3


def test_a_parameter_that_is_an_input_counts_by_what_it_stands_for(package) -> None:
    module = package(
        main="def root(true_range):\n    return true_range.sum()\n\n\ndef same(tr):\n    return tr.sum()\n"
    )
    first = code_digest(module.root, inputs={"true_range": "abc"})
    assert code_digest(module.same, inputs={"tr": "abc"}) == first
    assert code_digest(module.same, inputs={"tr": "abd"}) != first


def test_how_far_a_counter_has_come_is_no_part_of_its_value(package) -> None:
    counting = "import itertools\n\nCOUNTER = itertools.count()\n\n\ndef root():\n    return next(COUNTER)\n"
    counted = package(main=counting)
    before = code_digest(counted.root)
    counted.root()
    code_hash.forget()
    assert code_digest(counted.root) == before


def test_what_has_no_source_is_refused_by_name() -> None:
    module = ModuleType("own_features.made")
    exec("def made(value):\n    return value\n", module.__dict__)
    with pytest.raises(TypeError, match="made must be a function or class with source to be hashed"):
        code_digest(module.made)
