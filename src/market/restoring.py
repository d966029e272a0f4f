"""The command that hydrates a dataset again as it was hydrated: to restore a file that is gone or damaged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from src.config.commands import command, has_file, setting, typed_keys
from src.storage.atomic import read_json


def restoring(root: Path) -> str:
    """Say how to restore what is missing in a store of bars.

    Parameters
    ----------
    root : Path
        ``data/bars/<dataset>``.

    Returns
    -------
    str
        The remedy of a message. Its command names the source, its files, their basis and the last date as the store's
        manifest has them; settings of the source that no manifest keeps are those of this process.
    """
    return f"hydrate this dataset again, which restores what is missing: `{_command(root)}`"


def _command(root: Path) -> str:
    try:
        manifest = read_json(root / "manifest.json")
        words = _words(manifest)
        return command("hydrate", *words, stored=str(manifest["dataset"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # what is damaged may be the manifest
        return command("hydrate", stored=root.name)


def _words(manifest: dict[str, Any]) -> list[str]:
    source, typed = manifest["source"], typed_keys()
    words = [setting("source" if has_file("source", source) else "source.kind", source)]
    if manifest["path"]:
        words.append(setting("source.path", manifest["path"]))
    if manifest["basis"] != "auto":
        words.append(setting("source.basis", manifest["basis"]))
    if manifest["until"]:
        words.append(f"data.until={manifest['until']}")
    if manifest["interval"] != "1d" and "universe.interval" not in typed:
        words.append(f"universe.interval={manifest['interval']}")
    return words
