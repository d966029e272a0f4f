"""Hash of what a function computes: its syntax tree and that of the project's functions it calls."""

from __future__ import annotations

import ast
import hashlib
import inspect
import textwrap
import types
from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from typing import Any, Protocol, runtime_checkable

PROJECT = ("src.", "own_features.")  # followed: the project's modules and a user's own files
VERSIONED = {"talib": "TA-Lib", "scipy": "scipy"}  # libraries whose release may change a formula


@runtime_checkable
class Coded(Protocol):
    """A callable that says itself what it computes: it has no source of its own."""

    def code(self) -> dict[str, str]:
        """Return what decides its values, by name."""


def code_parts(function: Callable[..., Any]) -> dict[str, str]:
    """Return the normalised source of a function and of all that it reaches, by qualified name.

    Comments, formatting, docstrings, annotations and decorators are left out. Module constants count by value, TA-Lib
    and SciPy by their release. Functions of other libraries count by name alone.
    """
    if isinstance(function, Coded):
        return function.code()
    parts: dict[str, str] = {}
    _collect(function, parts)
    return parts


def digest(*parts: object) -> str:
    """BLAKE2 hash of the parts' text, 32 hexadecimal digits."""
    return hashlib.blake2b("\x1f".join(str(part) for part in parts).encode(), digest_size=16).hexdigest()


def _collect(function: Callable[..., Any], parts: dict[str, str]) -> None:
    name = f"{function.__module__}.{function.__qualname__}"
    if name in parts:
        return
    tree = _normalised(function)
    parts[name] = ast.unparse(tree)
    for label, found in _referenced(tree, function):
        value = inspect.unwrap(found) if callable(found) else found  # a cached function is hashed like a plain one
        module = getattr(value, "__module__", None) or ""
        if isinstance(value, types.ModuleType):
            root = value.__name__.split(".")[0]
            if root in VERSIONED:
                parts[root] = version(VERSIONED[root])
        elif callable(value):
            if isinstance(value, types.FunctionType) and module.startswith(PROJECT):
                _collect(value, parts)
            elif module.split(".")[0] in VERSIONED:
                root = module.split(".")[0]
                parts[root] = version(VERSIONED[root])
        else:
            parts[f"{function.__module__}.{label}"] = repr(value)


@cache
def _normalised(function: Callable[..., Any]) -> ast.FunctionDef:
    tree = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    if not isinstance(tree, ast.FunctionDef):
        raise TypeError(f"{function.__qualname__} must be a plain function, got {type(tree).__name__}")
    return ast.fix_missing_locations(_Bare().visit(tree))  # type: ignore[no-any-return]


class _Bare(ast.NodeTransformer):
    """Drops docstrings, annotations and decorators."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        """Strip a function, then what it holds."""
        self.generic_visit(node)
        if ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
        node.decorator_list, node.returns = [], None
        for argument in (*node.args.args, *node.args.kwonlyargs, *node.args.posonlyargs):
            argument.annotation = None
        return node


def _referenced(tree: ast.FunctionDef, function: Callable[..., Any]) -> list[tuple[str, Any]]:
    """Return the module-level names that the function uses, with their values; `module.name` is followed."""
    scope = inspect.unwrap(function).__globals__
    found: list[tuple[str, Any]] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in scope:
            found.append((node.id, scope[node.id]))
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            owner = scope.get(node.value.id)
            if isinstance(owner, types.ModuleType) and owner.__name__.startswith(PROJECT):
                found.append((node.attr, getattr(owner, node.attr)))
    return found
