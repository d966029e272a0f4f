"""What may be removed, and how: temporary files, old logs, superseded models and versions, whole datasets.

A champion's version, run and model are never among it. The rows of superseded runs stay: they are small, and the count
of trials that the evidence rests on must not shrink because somebody tidied up.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from src.config.paths import main_root
from src.storage.atomic import left_behind, tree
from src.tracking.location import folder_of
from src.tracking.search import all_pages, versions_by_run

if TYPE_CHECKING:
    from src.config.schema import Config
    from src.tracking.champions import Champions, Version
    from src.tracking.store import Tracking

TABLES = ("bars", "features", "options", "runs", "states")  # folders of data/, one folder for each dataset inside


@dataclass(frozen=True)
class Leftover:
    """Something that can go: what it is, its size in bytes, and how it is removed."""

    words: str
    size: int
    remove: Callable[[], None]


def of_crashes(config: Config) -> Iterator[Leftover]:
    """Temporary files of killed processes."""
    for folder in (Path(config.data.root), Path(config.data.reports), main_root() / "mlruns"):
        found = left_behind(folder)
        if found:
            yield _paths(f"{_count(len(found), 'file')} of killed processes in {folder}", found)


def of_logs(config: Config) -> Iterator[Leftover]:
    """Logs that were set aside."""
    found = sorted(Path(config.data.logs).glob("*.log.[0-9]"))
    if found:
        yield _paths(_count(len(found), "older log"), found)


def of_runs(config: Config, spared: set[str]) -> Iterator[Leftover]:
    """Native models of superseded attempts, but for the record ids in `spared`."""
    import polars as pl

    from src.training.run_store import RunStore

    root = Path(config.data.root) / "runs" / config.dataset
    old = set(RunStore(root).runs(("record_id",)).filter(pl.col("superseded"))["record_id"]) - spared
    found = [root / "models" / record for record in sorted(old) if (root / "models" / record).is_dir()]
    if found:
        yield _paths(f"models of {_count(len(found), 'superseded run')} of {config.dataset}", found)


def of_registry(target: Tracking, champions: Champions) -> Iterator[Leftover]:
    """Registered versions of superseded runs that are no champion, with the files of their models."""
    found = list(champions.superseded())
    if not found:
        return
    search, where = target.client.search_logged_models, [target.experiment]
    models = all_pages(lambda token: search(where, page_token=token))
    folders = {model.model_id: folder_of(model.artifact_location) for model in models}
    for version in found:
        yield _version(target, version, folders.get(version.params.get("model_id", "")))


def of_dataset(config: Config, dataset: str, has_champions: bool) -> Iterator[Leftover]:
    """Everything stored of a dataset; where it has champions, what they were trained from and graded on stays."""
    root = Path(config.data.root)
    kept = ("runs", "states") if has_champions else ()
    folders = [root / table / dataset for table in TABLES if table not in kept]
    if not has_champions:
        folders += [root / "grades" / f"{dataset}.parquet", Path(config.data.reports) / dataset]
    for path in folders:
        if path.exists():
            yield _paths(str(path), [path])


def datasets(config: Config) -> dict[str, int]:
    """Size in bytes of every dataset on disk."""
    sizes: dict[str, int] = {}
    for table in TABLES:
        for folder in (Path(config.data.root) / table).glob("*/"):
            sizes[folder.name] = sizes.get(folder.name, 0) + _size([folder])
    return dict(sorted(sizes.items()))


def _version(target: Tracking, version: Version, files: Path | None) -> Leftover:
    folder = None if files is None else files.parent

    def remove() -> None:
        client, run_id = target.client, version.run_id
        client.delete_model_version(version.name, str(version.number))
        if versions_by_run(client, [run_id]):  # under another name, as a person registered it
            return
        client.delete_logged_model(version.params["model_id"])
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)

    words = f"version {version.number} of {version.name}: its run was superseded"
    return Leftover(words, _size([folder] if folder else []), remove)


def _paths(words: str, paths: list[Path]) -> Leftover:
    def remove() -> None:
        for path in paths:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    return Leftover(words, _size(paths), remove)


def _size(paths: list[Path]) -> int:
    return sum(path.stat().st_size if path.is_file() else sum(size for _, size in tree(path)) for path in paths)


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}" + ("" if number == 1 else "s")
