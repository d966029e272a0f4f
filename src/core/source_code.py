"""Source of functions and classes: their syntax trees and the names that they refer to outside themselves."""

from __future__ import annotations

import ast
import functools
import inspect
import linecache
import symtable
import sys
import textwrap
import types
from pathlib import PurePath
from typing import Any


def syntax_tree(value: Any) -> ast.AST:
    """Return the syntax tree of a function or class. Each module is parsed once.

    Parameters
    ----------
    value : function or type
        Defined with ``def`` or ``class``.

    Returns
    -------
    ast.FunctionDef or ast.ClassDef

    Raises
    ------
    TypeError
        If there is no source, or the value was not defined with ``def`` or ``class``.
    """
    value_name = value.__qualname__
    try:
        lines, first = _lines(value)
        nodes = [node for node in _definitions(lines) if _first_line(node) == first and node.name == value.__name__]
    except (OSError, SyntaxError, TypeError) as error:
        raise TypeError(f"{value_name} must be a function or class with source to be hashed: {error}") from error
    if not nodes:
        raise TypeError(f"{value_name} must be a plain function or a class: define it with def or class")
    return nodes[0]


def _lines(value: Any) -> tuple[tuple[str, ...], int]:
    """Lines of the file that defines a function or class, and the number of its first line, decorators included."""
    if not isinstance(value, type):
        code = value.__code__
        return _file_lines(value, code.co_filename), code.co_firstlineno
    path = inspect.getsourcefile(value) or ""
    lines = _file_lines(value, path)
    names = value.__qualname__.split(".")
    body: list[Any] = list(_tree(lines).body)
    for name in names:
        body = [node for node in body if isinstance(node, ast.ClassDef) and node.name == name]
        node = body[-1] if body else None
        body = list(node.body) if node else []
    if node is None:
        raise OSError(f"no class {value.__qualname__} in {PurePath(path).name}")
    return lines, _first_line(node)


def _file_lines(value: Any, path: str) -> tuple[str, ...]:
    lines = linecache.getlines(path, vars(sys.modules.get(value.__module__, types)))
    if not lines:
        raise OSError("could not get source code")
    return tuple(lines)


@functools.lru_cache(maxsize=256)
def _tree(lines: tuple[str, ...]) -> ast.Module:
    return ast.parse("".join(lines))


@functools.lru_cache(maxsize=256)
def _definitions(lines: tuple[str, ...]) -> list[ast.FunctionDef | ast.ClassDef]:
    return [node for node in ast.walk(_tree(lines)) if isinstance(node, ast.FunctionDef | ast.ClassDef)]


def _first_line(node: ast.FunctionDef | ast.ClassDef) -> int:
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])


def scope(value: Any) -> dict[str, Any]:
    """Return the objects that the names of a function or class refer to outside it.

    Parameters
    ----------
    value : function or type
        Defined with ``def`` or ``class``.

    Returns
    -------
    dict of str to object
        Globals of its module, and for a function also the variables of enclosing functions.
    """
    if isinstance(value, type):
        return vars(sys.modules[value.__module__])
    cells = zip(value.__code__.co_freevars, value.__closure__ or (), strict=False)
    return dict(value.__globals__) | {name: cell.cell_contents for name, cell in cells}


def free_names(value: Any, tree: ast.AST) -> set[str]:
    """Return the names that a function or class reads and that are not local to it.

    Parameters
    ----------
    value : function or type
        Defined with ``def`` or ``class``.
    tree : ast.AST
        Its `syntax_tree`.

    Returns
    -------
    set of str
        From all of its scopes, nested functions included.
    """
    assert isinstance(tree, ast.FunctionDef | ast.ClassDef)
    lines, first = _lines(value)
    source = textwrap.dedent("".join(lines[first - 1 : tree.end_lineno]))
    names: set[str] = set()

    def visit(table: symtable.SymbolTable, *, outermost: bool) -> None:
        for symbol in table.get_symbols():
            if symbol.is_referenced() and (outermost or symbol.is_global() or symbol.is_free()):
                names.add(symbol.get_name())
        for child in table.get_children():
            visit(child, outermost=False)

    visit(symtable.symtable(source, "<hashed>", "exec"), outermost=True)
    return names
