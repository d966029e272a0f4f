"""One file for all models of a pooled run: their native files as they are, and a description, without pickle."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Mapping
from typing import Any

FILE = "pooled.zip"
_ABOUT, _FOLDER = "about.json", "models/"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_MOST = 2 << 30
"""Bytes that the members may have in total: nothing larger is read into memory."""


def pack(models: Mapping[str, bytes], meta: Mapping[str, Any]) -> bytes:
    """Return the content of ``pooled.zip``.

    Parameters
    ----------
    models : mapping of str to bytes
        Content of each native model file, by the name of its family.
    meta : mapping
        What JSON can hold, without NaN.

    Returns
    -------
    bytes
        The same for the same models and description, in whatever order they come: nothing is compressed, and no time
        is stored.

    Raises
    ------
    ValueError
        If a name is not one of a family, or the description holds NaN.
    """
    if wrong := [name for name in models if not _NAME.fullmatch(name)]:
        raise ValueError(f"models of {FILE} must be named like families (lightgbm), got {wrong[0]!r}: rename it")
    about = json.dumps(meta, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        _add(archive, _ABOUT, about.encode("utf-8"))
        for name in sorted(models):
            _add(archive, member_entry(name), models[name])
    return stream.getvalue()


def unpack(content: bytes) -> tuple[dict[str, bytes], dict[str, Any]]:
    """Read the content of ``pooled.zip``; nothing is written to disk.

    Parameters
    ----------
    content : bytes
        What `pack` returned.

    Returns
    -------
    models : dict of str to bytes
        Content of each native model file, by the name of its family.
    meta : dict
        The description.

    Raises
    ------
    ValueError
        If it is no such file: damaged, compressed or encrypted, with two entries of one name, or with an entry whose
        path is not of the kind that `pack` writes.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
            _check(entries)
            found = {entry.filename: archive.read(entry) for entry in entries}
        meta = json.loads(found.pop(_ABOUT).decode("utf-8"))
    except (zipfile.BadZipFile, KeyError, UnicodeDecodeError, json.JSONDecodeError, EOFError) as error:
        raise _refusal(f"can't be read ({error})") from error
    if not isinstance(meta, dict):
        raise _refusal("has no description")
    return {name.removeprefix(_FOLDER): model for name, model in found.items()}, meta


def member_entry(name: str) -> str:
    """Return the name of a family's file in ``pooled.zip``: for readers without this project."""
    return _FOLDER + name


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(name)  # dated 1980-01-01
    entry.create_system, entry.external_attr = 3, 0o644 << 16  # the same on every system
    archive.writestr(entry, content)


def _check(entries: list[zipfile.ZipInfo]) -> None:
    """Refuse what `pack` does not write."""
    names = [entry.orig_filename for entry in entries]
    if len(set(names)) != len(names):
        raise _refusal("has two entries of one name")
    for entry in entries:
        name = entry.orig_filename
        if name != _ABOUT and not (name.startswith(_FOLDER) and _NAME.fullmatch(name.removeprefix(_FOLDER))):
            raise _refusal(f"has an entry {name!r}")
        if entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 0x1 or entry.file_size != entry.compress_size:
            raise _refusal(f"has {name} compressed or encrypted")
    if sum(entry.file_size for entry in entries) > _MOST:
        raise _refusal(f"has more than {_MOST >> 30} GiB")


def _refusal(what: str) -> ValueError:
    return ValueError(f"{FILE} {what}: it is not as it was stored; restore it, or train with fresh=true")
