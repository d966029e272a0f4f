"""Read the text that was written where the schema expects text: ON, NO, 0700, 1E5, NULL and 12:30 are symbols, too.

YAML 1.1 reads a bare ON as true, 0700 as 448 and 12:30 as 750; Hydra's command line reads TRUE, 1E5, NAN and NULL as
values. What a field of the schema calls text (also in lists and mappings) is therefore marked as text before either
reads it, by the field's type and not by its name.
"""

from __future__ import annotations

import copy
import functools
import re
import types
import typing
from collections.abc import Callable
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any

from src.config.schema import Config
from src.core.errors import ConfigError

Schema = Callable[[str], Any]
"""Gives the schema of a model family's section by the family's name."""

_STR, _NULL = "tag:yaml.org,2002:str", "tag:yaml.org,2002:null"
# What Hydra's grammar reads as something else than text, as a whole word.
_VALUE = re.compile(
    r"true|false|null|[+-]?(?:inf|nan)|[+-]?(?:0|[1-9](?:_?\d)*)(?:\.(?:\d(?:_?\d)*)?)?(?:e[+-]?\d+)?"
    r"|[+-]?\.\d(?:_?\d)*(?:e[+-]?\d+)?",
    re.IGNORECASE,
)
_QUOTED = r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\""
_WORDS = {False: re.compile(rf"{_QUOTED}|[^\[\]{{}},'\"]+"), True: re.compile(rf"{_QUOTED}|[^\[\]{{}},:'\"]+")}


def yaml_values(text: str, kind: Any, name: str = "") -> Any:
    """Read a YAML file as the schema says.

    Parameters
    ----------
    text : str
    kind : type
        What the file holds: a dataclass, or another type that a field of the schema can have.
    name : str
        Of the file, for the marks of errors.

    Returns
    -------
    object
        Dicts, lists and plain values, as OmegaConf's own loader gives them; text where `kind` says text.

    Raises
    ------
    yaml.YAMLError
        If it is not valid YAML, or has a key twice.
    """
    return copy.deepcopy(_yaml_values(text, kind, name))


@functools.lru_cache(maxsize=256)  # Hydra reads a file several times in one composition
def _yaml_values(text: str, kind: Any, name: str) -> Any:
    from omegaconf._utils import get_yaml_loader

    loader = get_yaml_loader()(text)
    if name:
        loader.name = name
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _mark(node, kind)
        return loader.construct_document(node)
    finally:
        loader.dispose()


def file_kind(path: str, header: typing.Mapping[str, str | None], text: str, model: Schema) -> Any:
    """Find the part of the schema that a file of conf/ fills.

    Parameters
    ----------
    path : str
        Below ``conf/``, such as ``universe/mine``.
    header : mapping
        Hydra's directives at the top of the file.
    text : str
        The file, which names its family if it is a model.
    model : callable
        See `Schema`.

    Returns
    -------
    type
        The whole schema for files that are not in a group, or have ``# @package _global_``.
    """
    group = path.replace("\\", "/").strip("/").partition("/")[0] if "/" in path.replace("\\", "/") else ""
    kind = hints(Config).get(group)
    if not is_dataclass(kind) or header.get("package") == "_global_":
        return Config
    family = re.search(r"(?m)^family:\s*['\"]?([\w-]+)", text) if group == "model" else None
    return model(family[1]) if family else kind


def command_line_word(word: str) -> str:
    """Quote what a setting of the command line holds where the schema expects text.

    Parameters
    ----------
    word : str
        One ``key=value``, as typed.

    Returns
    -------
    str
        Unchanged where nothing would be read as something else than text.

    Examples
    --------
    >>> command_line_word("only=[AAPL,TRUE,0700,1E5]")
    "only=[AAPL,'TRUE',0700,'1E5']"
    >>> command_line_word("seed=7")
    'seed=7'
    """
    key, has_value, value = word.partition("=")
    if not has_value or not value:
        return word
    name = key.strip().lstrip("+~")
    kind = _without_none(field_type(name))
    if kind is str:
        is_entry = typing.get_origin(field_type(name.rpartition(".")[0])) is dict
        is_null = value.strip().lower() == "null" and not is_entry
        return word if is_null else f"{key}={_quoted(value)}"
    if not _holds_text(kind):
        return word
    pattern = _WORDS[typing.get_origin(kind) is dict]
    return f"{key}={pattern.sub(lambda match: _quoted(match[0]), value)}" if value.strip()[:1] in ("[", "{") else word


def field_type(key: str) -> Any:
    """Type of a setting.

    Parameters
    ----------
    key : str
        Dotted key.

    Returns
    -------
    type
        `str` for a group of ``conf/``, whose value is the name of a file; None for a key that the schema lacks.
    """
    kind: Any = Config
    parts = key.split(".")
    for part in parts:
        kind = _without_none(kind)
        if isinstance(kind, type) and is_dataclass(kind):
            kind = hints(kind).get(part)
        elif typing.get_origin(kind) is dict:
            kind = typing.get_args(kind)[1]
        else:
            return None
    return str if len(parts) == 1 and (is_dataclass(kind) or key == "experiment") else kind


def _mark(node: Any, kind: Any, *, is_entry: bool = False) -> None:
    """Mark the scalars below a node as text where the schema expects text; a field's null stays null."""
    import yaml

    is_optional, kind = _without_none(kind) is not kind, _without_none(kind)
    if isinstance(node, yaml.ScalarNode):
        is_null = node.tag == _NULL and (is_optional or not is_entry or not node.value)
        if (kind is str or typing.get_origin(kind) is list) and node.style is None and not is_null:
            node.tag = _STR
    elif isinstance(node, yaml.SequenceNode):
        inner = typing.get_args(kind)[0] if typing.get_origin(kind) is list else None
        for item in node.value:
            _mark(item, inner, is_entry=True)
    elif isinstance(node, yaml.MappingNode):
        known = hints(kind) if isinstance(kind, type) and is_dataclass(kind) else {}
        inner = typing.get_args(kind)[1] if typing.get_origin(kind) is dict else None
        for key, value in node.value:
            name = key.value if isinstance(key, yaml.ScalarNode) else None
            if name is not None and key.style is None and kind is not None and name != "<<":
                key.tag = _STR
            _mark(value, known.get(str(name), inner), is_entry=inner is not None)


@functools.cache
def hints(schema: type) -> dict[str, Any]:
    """Types of the fields of a dataclass, by name.

    Parameters
    ----------
    schema : type

    Returns
    -------
    dict
    """
    return typing.get_type_hints(schema)


def _quoted(word: str) -> str:
    """A word of Hydra's grammar in quotes, if it would be read as something else than text."""
    bare = word.strip()
    if not _VALUE.fullmatch(bare):
        return word
    before, _, after = word.partition(bare)
    return f"{before}'{bare}'{after}"


def _holds_text(kind: Any) -> bool:
    """Whether a type is a list or a mapping with text in it."""
    return any(_without_none(inner) is str or _holds_text(inner) for inner in typing.get_args(kind))


def _without_none(kind: Any) -> Any:
    """Take None out of an optional type."""
    if typing.get_origin(kind) not in (typing.Union, types.UnionType):
        return kind
    left = [each for each in typing.get_args(kind) if each is not type(None)]
    return left[0] if len(left) == 1 else None


def read_yaml(path: Path, kind: Any) -> Any:
    """Read a YAML file as the schema says.

    Parameters
    ----------
    path : Path
    kind : type
        As `yaml_values`.

    Returns
    -------
    object
        None for a file without content.

    Raises
    ------
    ConfigError
        If the file is not UTF-8.
    yaml.YAMLError
        If it is not valid YAML, or has a key twice.
    """
    return yaml_values(yaml_text(path), kind, str(path))


def yaml_text(path: Path) -> str:
    """Read the text of a YAML file, with or without a byte order mark.

    Parameters
    ----------
    path : Path

    Returns
    -------
    str

    Raises
    ------
    ConfigError
        If the file is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 ({error}): save it with the encoding UTF-8") from error


def read_files_by_schema(root: Callable[[], Path], model: Schema) -> None:
    """Let Hydra read the files of conf/ as `yaml_values` does.

    Parameters
    ----------
    root : callable
        Gives the folder conf/.
    model : callable
        See `Schema`.
    """
    from hydra._internal.core_plugins.file_config_source import FileConfigSource
    from hydra._internal.sources_registry import SourcesRegistry
    from hydra.core.plugins import Plugins
    from hydra.plugins.config_source import ConfigResult
    from omegaconf import OmegaConf

    class TypedFiles(FileConfigSource):
        """Files of YAML whose texts are read as they are written."""

        def load_config(self, config_path: str) -> ConfigResult:
            path = Path(self.path) / self._normalize_file_name(config_path)
            if not path.is_file() or root() not in path.parents:
                return super().load_config(config_path)
            text = yaml_text(path)
            header = self._get_header_dict(text)
            content = yaml_values(text, file_kind(config_path, header, text, model), str(path))
            config = OmegaConf.create({} if content is None else content)
            return ConfigResult(self.provider, f"{self.scheme()}://{self.path}", config, header)

    Plugins.instance()  # registers Hydra's own sources
    SourcesRegistry.instance().types["file"] = TypedFiles
