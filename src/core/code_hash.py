"""Hash of what a function computes: a Merkle hash of syntax trees.

In the normalised tree of a function, each reference to a project function, class or constant is replaced by the digest
of what it refers to (Merkle 1987, "A digital signature based on a conventional encryption function"). Module names and
the function's own name are left out, so moving or renaming code changes no hash, and two functions that share a name
can't be mistaken for each other.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import hashlib
import importlib
import inspect
import logging
import pickle
import re
import types
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version
from pathlib import PurePath
from typing import Any, Protocol, TypeVar, runtime_checkable

from src.core.hashing import text_digest
from src.core.source_code import free_names, scope, syntax_tree

PROJECT = ("src", "own_features")
"""Top-level packages whose code is hashed: the project's own and a user's feature files."""
VERSIONED = {"talib": "TA-Lib", "scipy": "scipy"}
"""Libraries whose release may change a formula, by module: the distribution whose version counts."""
_MODULE_ATTRIBUTE = re.compile(r"__\w+__")
"""Names such as ``__file__`` and ``__path__``, which say where a module is and not what it computes."""
_LEFT_OUT = ("ctx", "type_comment", "kind", "type_params", "returns", "annotation")
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_NO_CYCLE = 1 << 30
F = TypeVar("F", bound=Callable[..., Any])


@runtime_checkable
class Coded(Protocol):
    """A callable without source of its own, which states what it computes."""

    def code(self) -> Mapping[str, str]:
        """State what decides the values.

        Returns
        -------
        mapping of str to str
            Hashes or texts by name.
        """


def declaration(decorator: F) -> F:
    """Mark a decorator that only declares the function below it: its own code does not enter the function's hash.

    Parameters
    ----------
    decorator : callable
        The decorator.

    Returns
    -------
    callable
        The decorator itself.
    """
    decorator.__dict__["declares"] = True
    return decorator


def code_digest(*roots: object, inputs: Mapping[str, str] | None = None) -> str:
    """Hash what functions, classes or constants compute.

    Comments, formatting, docstrings, annotations, messages of raised errors, module names and the roots' own names
    change nothing. Functions of other libraries count by name, those of `VERSIONED` by their release too.

    Parameters
    ----------
    *roots : object
        Functions, classes, `Coded` callables or plain values; their order counts.
    inputs : mapping of str to str, optional
        What a root's parameters stand for: a parameter named here counts as the given text, whatever its name.

    Returns
    -------
    str
        32 hexadecimal digits.

    Raises
    ------
    TypeError
        If a referenced object has neither source nor a value that can be hashed.
    """
    return text_digest(*(_Hasher(inputs or {}).digest(root)[0] for root in roots))


class _Hasher:
    """One walk through the references. Functions on the path are numbered by depth, to detect recursion."""

    def __init__(self, inputs: Mapping[str, str]) -> None:
        self._inputs = inputs
        self._path: list[object] = []

    def digest(self, value: object) -> tuple[str, int]:
        """Digest of a value, and the depth of the outermost caller that it refers back to (`_NO_CYCLE` without one)."""
        value = _unwrapped(value)
        for depth, caller in enumerate(self._path):
            if caller is value:
                return f"caller {len(self._path) - depth}", depth
        if isinstance(value, Coded) and not isinstance(value, type):
            return text_digest("coded", *sorted(f"{key}={text}" for key, text in value.code().items())), _NO_CYCLE
        if _is_followed(value):
            return self._source(value)
        return self._value(value)

    def _source(self, value: Any) -> tuple[str, int]:
        rebound = bool(self._inputs) and not self._path
        if not rebound and (cached := _digests().get(value)):
            return cached, _NO_CYCLE
        self._path.append(value)
        try:
            tree, outside = syntax_tree(value), scope(value)
            writer = _Writer(self, outside, free_names(value, tree), self._inputs if rebound else {})
            text = text_digest(*writer.written(tree))
        finally:
            self._path.pop()
        outermost = writer.outermost if writer.outermost < len(self._path) else _NO_CYCLE
        if outermost == _NO_CYCLE and not rebound:
            _digests()[value] = text
        return text, outermost

    def _value(self, value: Any) -> tuple[str, int]:
        parts = list(_items(value))
        if not parts:
            return _leaf(value), _NO_CYCLE
        digests = [self.digest(part) for part in parts]
        texts = [text for text, _ in digests]
        ordered = sorted(texts) if isinstance(value, set | frozenset) else texts
        return text_digest(type(value).__name__, *ordered), min(depth for _, depth in digests)


class _Writer:
    """A normalised tree as text, references replaced by the digests of what they refer to."""

    def __init__(self, hasher: _Hasher, scope: Mapping[str, Any], names: set[str], inputs: Mapping[str, str]) -> None:
        self._hasher = hasher
        self._scope = dict(scope)
        self._names = names
        self._inputs = inputs
        self.outermost = _NO_CYCLE

    def written(self, root: ast.AST) -> Iterator[str]:
        """Yield the tokens of a function or class, its own name, docstring and declarations left out."""
        for node in ast.walk(root):
            if isinstance(node, ast.ImportFrom | ast.Import):
                self._bind(node)
        yield from self._tokens(root, is_root=True)

    def _tokens(self, node: object, *, is_root: bool = False) -> Iterator[str]:
        if isinstance(node, list):
            yield "["
            for element in node:
                yield from self._tokens(element)
            yield "]"
        elif not isinstance(node, ast.AST):
            yield repr(node)
        elif (reference := self._reference(node)) is not None:
            yield reference
        elif not _is_project_import(node):
            yield type(node).__name__
            for name, content in ast.iter_fields(_bare(node)):
                value = self._declarations_dropped(content) if name == "decorator_list" else content
                if name not in _LEFT_OUT and value not in (None, []) and not (is_root and name == "name"):
                    yield name
                    yield from self._tokens(value)

    def _reference(self, node: ast.AST) -> str | None:  # noqa: PLR0911 (one return for each kind of thing)
        """Digest of what a name or a dotted name refers to; None for local names and for other attributes."""
        if isinstance(node, ast.arg) and node.arg in self._inputs:
            return f"arg {self._inputs[node.arg]}"
        if isinstance(node, ast.Name) and node.id in self._inputs:
            return f"name {self._inputs[node.id]}"
        resolved = self._resolved(node)
        if resolved is None:
            return None
        value = resolved[0]
        root = _root(value)
        if root in VERSIONED:
            return f"{root} {version(VERSIONED[root])} {ast.unparse(node)}"
        if isinstance(value, types.ModuleType) and root in PROJECT:
            return "project module"
        if isinstance(value, types.ModuleType) or (callable(value) and root not in PROJECT):
            return f"{root}:{ast.unparse(node)}"
        text, depth = self._hasher.digest(value)
        self.outermost = min(self.outermost, depth)
        return text

    def _resolved(self, node: ast.AST) -> tuple[Any] | None:
        """The object behind a name, or behind an attribute of a project module."""
        if isinstance(node, ast.Name):
            is_global = node.id in self._names and node.id in self._scope and not _MODULE_ATTRIBUTE.fullmatch(node.id)
            return (self._scope[node.id],) if is_global else None
        if isinstance(node, ast.Attribute) and not _MODULE_ATTRIBUTE.fullmatch(node.attr):
            owner = self._resolved(node.value)
            if owner and isinstance(owner[0], types.ModuleType) and _root(owner[0]) in PROJECT:
                return (getattr(owner[0], node.attr),)
        return None

    def _bind(self, node: ast.ImportFrom | ast.Import) -> None:
        """Treat what a function imports from the project inside its body as if the module imported it."""
        if isinstance(node, ast.ImportFrom) and _is_project_import(node):
            module = importlib.import_module(str(node.module))
            for alias in node.names:
                if not hasattr(module, alias.name):
                    importlib.import_module(f"{node.module}.{alias.name}")
                self._scope[alias.asname or alias.name] = getattr(module, alias.name)
                self._names.add(alias.asname or alias.name)

    def _declarations_dropped(self, decorators: list[ast.expr]) -> list[ast.expr]:
        """Decorators that change values: neither declarations nor caches."""
        kept = []
        for decorator in decorators:
            function = decorator.func if isinstance(decorator, ast.Call) else decorator
            resolved = self._resolved(function)
            name = ast.unparse(function).rsplit(".", 1)[-1]
            if name not in ("cache", "lru_cache") and not (resolved and getattr(resolved[0], "declares", False)):
                kept.append(decorator)
        return kept


def _bare(node: ast.AST) -> ast.AST:
    """Node without its docstring, and a raised error without its message."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node, clean=False) is not None:
        fields = dict(ast.iter_fields(node)) | {"body": node.body[1:] or [ast.Pass()]}
        return type(node)(**fields)
    if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
        return ast.Raise(exc=node.exc.func, cause=None)
    return node


def _is_project_import(node: ast.AST) -> bool:
    return isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in PROJECT


def _unwrapped(value: Any) -> Any:
    """The function behind a property, or behind a cached, compiled or bound function."""
    if isinstance(value, property):
        value = value.fget
    if not callable(value):  # attribute access would import a lazily imported library
        return value
    value = getattr(value, "py_func", value)
    return inspect.unwrap(getattr(value, "__func__", value))


def _is_followed(value: object) -> bool:
    return isinstance(value, types.FunctionType | type) and _root(value) in PROJECT


def _root(value: Any) -> str:
    name = value.__name__ if isinstance(value, types.ModuleType) else getattr(value, "__module__", None)
    return str(name or "").split(".")[0]


@functools.cache
def _digests() -> dict[Any, str]:
    """Digests of this process by function or class; `forget` empties it."""
    return {}


def forget() -> None:
    """Empty the cache of digests, after code was changed while the process runs."""
    _digests().clear()


def _items(value: Any) -> Iterator[Any]:
    """What a container or an instance of a dataclass holds."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from (key, item)
    elif isinstance(value, list | tuple | set | frozenset):
        yield from value
    elif isinstance(value, functools.partial):
        yield from (value.func, value.args, value.keywords)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        yield type(value)
        for field in dataclasses.fields(value):
            yield getattr(value, field.name)


def _leaf(value: Any) -> str:  # noqa: PLR0911 (one return for each kind of value)
    """Text of a single value."""
    if isinstance(value, logging.Logger):
        return "logger"
    if callable(value) and hasattr(value, "__qualname__"):
        return f"{_root(value)}:{value.__qualname__}"
    if isinstance(value, types.ModuleType):
        return "project module" if _root(value) in PROJECT else value.__name__
    if isinstance(value, PurePath):
        return "folder" if value.is_absolute() else value.as_posix()
    if isinstance(value, Iterator):  # how far it has come depends on what the process has done
        return type(value).__name__
    if hasattr(value, "tobytes"):
        return text_digest(getattr(value, "dtype", ""), getattr(value, "shape", ""), value.tobytes().hex())
    text = repr(value)
    if not _ADDRESS.search(text):
        return text
    try:
        return hashlib.blake2b(pickle.dumps(value, protocol=4), digest_size=16).hexdigest()
    except Exception as error:
        raise TypeError(
            f"a constant of type {type(value).__name__} can't be hashed: build it inside the function"
        ) from error
