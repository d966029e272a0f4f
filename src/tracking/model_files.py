"""Check that a model's folder is, file for file, what training writes: nothing else is registered or loaded.

Training's folders hold a native model file, text files that `src.tracking.model_layout` renders, and code of this
project whose digest is known (`src.tracking.released_code`). So no file in them can be unpickled, and no flavour of
MLflow but the project's own loader can be named.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from src.models import pooled_file
from src.tracking import model_layout, pooled_model_files, released_code
from src.tracking.model_layout import ForeignFolder, ModelFacts
from src.tracking.registry_gate import CandidateModel, GateRefusal

LARGEST_MODEL = 1 << 30
LARGEST_TEXT = 4 << 20
"""Bytes of a native model file and of any other file; larger ones are refused unread."""

_TEXTS = {"MLmodel", "requirements.txt", "python_env.yaml", "model/model.json"}
_META = "registered_model_meta"
_NATIVE = re.compile(r"model/([A-Za-z0-9][A-Za-z0-9_.-]{0,80})")
_CODE = re.compile(r"code/alpha_loop_([a-z0-9_]+)_([0-9a-f]{8})\.py")
_VERSION = re.compile(r"[0-9][0-9A-Za-z.!+-]{0,40}")
_MODEL_ID, _RUN_ID = re.compile(r"m-[0-9a-f]{32}"), re.compile(r"[0-9a-f]{32}")
_CREATED = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}")


def folder_digest(folder: Path) -> str:
    """SHA-256 over the names and contents of all files of a model folder.

    Parameters
    ----------
    folder : Path

    Returns
    -------
    str
        Hexadecimal digest. Compiled Python is left out, and so is ``registered_model_meta``, which MLflow up to 3.17
        writes into the folder when it loads the model.
    """
    total = hashlib.sha256()
    for name, path in sorted(_files(folder)):
        total.update(f"{name}\0{_sha256(path)}\n".encode())
    return total.hexdigest()


def check_files(folder: Path, candidate: CandidateModel) -> str:
    """Check a model's folder against its run, and against what training writes.

    Compiled Python is deleted first, because anyone could have planted it.

    Parameters
    ----------
    folder : Path
        The model's files on this machine.
    candidate : CandidateModel

    Returns
    -------
    str
        SHA-256 of the native model file.

    Raises
    ------
    GateRefusal
        If a file is missing, changed or added, or is not one that training writes.
    """
    if not folder.is_dir():
        raise GateRefusal(f"the files of model {candidate.model_id} are missing at {folder}")
    for compiled in (folder / "__pycache__", folder / "code" / "__pycache__"):
        if compiled.is_dir() and not compiled.is_symlink():
            shutil.rmtree(compiled, ignore_errors=True)
    try:
        texts, native = _checked_names(folder)
        if folder_digest(folder) != candidate.params["model_digest"]:
            raise ForeignFolder("a file is missing or was changed")
        return _checked_texts(texts, native, candidate)
    except ForeignFolder as error:
        raise GateRefusal(
            f"the files of model {candidate.model_id} are not those that run {candidate.run_id} was graded with, or "
            f"not what training writes: {error}"
        ) from error


def _files(folder: str | Path, inside: str = "") -> Iterator[tuple[str, Path]]:
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if entry.name != "__pycache__":
                    yield from _files(entry.path, f"{inside}{entry.name}/")
            elif entry.name != "__pycache__" and inside + entry.name != _META and entry.is_file():
                yield inside + entry.name, Path(entry.path)


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _checked_names(folder: Path) -> tuple[dict[str, bytes], Path]:
    """Read the text files, and find the native model file; every other name, link or special file is refused."""
    found = dict(_entries(folder))
    natives = [name for name in found if _NATIVE.fullmatch(name) and name not in _TEXTS]
    code = [name for name in found if _CODE.fullmatch(name)]
    known = {*_TEXTS, *natives, *code, _META}
    if strange := sorted(set(found) - known):
        raise ForeignFolder(f"{strange[0]!r} does not belong there")
    if missing := sorted(_TEXTS - set(found)):
        raise ForeignFolder(f"{missing[0]} is missing")
    if len(natives) != 1:
        raise ForeignFolder(f"it holds {len(natives)} native model files")
    for name, size in found.items():
        if size > (LARGEST_MODEL if name in natives else LARGEST_TEXT):
            raise ForeignFolder(f"{name} is too large ({size:,} bytes)")
    if _META in found:
        _check_meta((folder / _META).read_bytes())
    return {name: (folder / name).read_bytes() for name in (*_TEXTS, *code)}, folder / natives[0]


def _entries(folder: Path) -> Iterator[tuple[str, int]]:
    """Name and size of each file, two levels deep; neither the folder nor anything in it may be a link."""
    if folder.is_symlink():
        raise ForeignFolder("its folder is a link")
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name in ("model", "code") and entry.is_dir(follow_symlinks=False):
                with os.scandir(entry) as inner:
                    yield from ((f"{entry.name}/{each.name}", _size(each)) for each in inner)
            else:
                yield entry.name, _size(entry)


def _size(entry: os.DirEntry[str]) -> int:
    status = entry.stat(follow_symlinks=False)
    if not stat.S_ISREG(status.st_mode):
        raise ForeignFolder(f"{entry.name!r} is not a plain file")
    return status.st_size


def _check_meta(content: bytes) -> None:
    """Check what MLflow writes beside a model that it loads: its registered name and version."""
    import yaml

    try:
        meta = yaml.safe_load(content) if len(content) < 4096 else None
    except (yaml.YAMLError, UnicodeDecodeError):
        meta = None
    if not isinstance(meta, dict) or set(meta) != {"model_name", "model_version"}:
        raise ForeignFolder(f"{_META} is not what MLflow writes")
    if not all(isinstance(value, str | int) for value in meta.values()):
        raise ForeignFolder(f"{_META} is not what MLflow writes")


def _checked_texts(texts: dict[str, bytes], native: Path, candidate: CandidateModel) -> str:
    """Render each text file again from what may differ between models, and compare; the native file's SHA-256."""
    about = _parsed(json.loads, texts["model/model.json"], "model/model.json")
    family, features, sha256 = about.get("family"), about.get("features"), _sha256(native)
    if not isinstance(family, str) or not isinstance(features, list) or not _are_texts(features):
        raise ForeignFolder("model/model.json names no family or no features")
    if native.name == pooled_file.FILE:
        loader, expected = pooled_model_files.checked(texts, native, sha256, about)
        families = pooled_model_files.packed(native).families
    else:
        loader, functions = _checked_code(texts, family)
        expected, families = model_layout.description_file(family, native.name, sha256, features, functions), [family]
    _require("model/model.json", texts, expected)
    if candidate.params.get("model_sha256", sha256) != sha256:
        raise ForeignFolder(f"{native.name} is not the file that the run names")
    facts = _checked_facts(texts["MLmodel"], loader, candidate)
    _require("MLmodel", texts, model_layout.mlmodel_file(facts, features))
    _require("python_env.yaml", texts, model_layout.environment_file(facts.python_version))
    _check_requirements(texts["requirements.txt"], families, least=0 if native.name == pooled_file.FILE else 1)
    return sha256


def _checked_code(texts: dict[str, bytes], family: str) -> tuple[str, str | None]:
    """Names of the loader's module and of the functions' module; all code must be this project's."""
    code = {name: hashlib.sha256(content).hexdigest() for name, content in texts.items() if name.startswith("code/")}
    loaders = {name: digest for name, digest in code.items() if name.startswith("code/alpha_loop_loader_")}
    if len(loaders) != 1:
        raise ForeignFolder("it holds no loader, or more than one")
    ((name, digest),) = loaders.items()
    reads_functions = released_code.loader_reads_functions(digest)
    module = model_layout.module_name("loader", digest)
    if reads_functions is None or name != f"code/{module}.py":
        raise ForeignFolder(f"{name} is not a loader of this project")
    if not reads_functions:
        if len(code) != 1:
            raise ForeignFolder("it holds code beside its loader")
        return module, None
    others = {name: digest for name, digest in code.items() if name not in loaders}
    for other, digest in others.items():
        functions = model_layout.module_name(family, digest)
        if len(others) == 1 and other == f"code/{functions}.py" and released_code.is_functions_module(family, digest):
            return module, functions
    raise ForeignFolder(f"its code is not that of the model family {family!r}")


def _checked_facts(content: bytes, loader: str, candidate: CandidateModel) -> ModelFacts:
    found = _parsed(model_layout.read_yaml, content, "MLmodel")
    flavors = found.get("flavors")
    flavor = flavors.get("python_function") if isinstance(flavors, dict) else None
    metadata = found.get("metadata")
    if (
        not isinstance(flavor, dict)
        or not isinstance(metadata, dict)
        or not _are_texts([*metadata, *metadata.values()])
    ):
        raise ForeignFolder("MLmodel is not that of the project's flavour")
    facts = ModelFacts(
        loader, flavor.get("python_version", ""), found.get("mlflow_version", ""), found.get("model_id", ""),
        found.get("run_id", ""), found.get("utc_time_created", ""), metadata,
    )  # fmt: skip
    shapes = {
        "python_version": _VERSION, "mlflow_version": _VERSION, "model_id": _MODEL_ID, "run_id": _RUN_ID,
        "created": _CREATED,
    }  # fmt: skip
    for name, shape in shapes.items():
        value = getattr(facts, name)
        if not isinstance(value, str) or not shape.fullmatch(value):
            raise ForeignFolder(f"{name} in MLmodel is {value!r}")
    if (facts.model_id, facts.run_id) != (candidate.model_id, candidate.run_id):
        raise ForeignFolder("MLmodel names another run or model")
    return facts


def _check_requirements(content: bytes, families: list[str], least: int) -> None:
    """The libraries of the families and what MLflow needs, each pinned to one release."""
    lines = content.decode("ascii", errors="replace").splitlines()
    pinned = [line.partition("==") for line in lines]
    names = [name for name, _, _ in pinned]
    is_pinned = all(_VERSION.fullmatch(version) for _, _, version in pinned)
    own, support = names[: -len(model_layout.SUPPORT)], names[-len(model_layout.SUPPORT) :]
    is_own = all(any(released_code.is_package_of(family, name) for family in families) for name in own)
    if support != list(model_layout.SUPPORT) or not is_pinned or not is_own or not least <= len(own) <= len(families):
        raise ForeignFolder("requirements.txt does not name the packages of its family alone, each with its release")
    if content != "".join(f"{line}\n" for line in lines).encode():
        raise ForeignFolder("requirements.txt is not as training writes it")


def _parsed(parse: Any, content: bytes, name: str) -> dict[str, Any]:
    import yaml

    try:
        found = parse(content)
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        raise ForeignFolder(f"{name} can't be read") from error
    if not isinstance(found, dict):
        raise ForeignFolder(f"{name} can't be read")
    return found


def _are_texts(values: list[Any]) -> bool:
    return all(isinstance(value, str) for value in values)


def _require(name: str, texts: dict[str, bytes], expected: bytes) -> None:
    if texts[name] != expected:
        raise ForeignFolder(f"{name} is not as training writes it")
