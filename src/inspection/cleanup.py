"""What may be removed: temporary files, old logs, superseded models and versions, whole datasets.

A champion's version, run and model are never among it. The ledger of trials (``data/trials``) isn't either: the count
that the evidence rests on must not shrink because files were removed. Nor is the journal (``data/journal``), which is
the one record of what was said. The rows of superseded runs stay, they are small.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from src.config.paths import TABLES, DatasetPaths, main_root
from src.storage.atomic import files_with_sizes, stale_temporaries
from src.tracking.location import local_folder, store_location
from src.tracking.search import all_pages, versions_by_run

if TYPE_CHECKING:
    from src.tracking.champions import Champions, RegisteredVersion
    from src.tracking.settings import TrackedDataset
    from src.tracking.store import MlflowStore


@dataclass(frozen=True)
class Leftover:
    """Something that can be removed: what it is, its size in bytes, and the function that removes it."""

    message: str
    size: int
    remove: Callable[[], None]


def find_leftovers(
    paths: DatasetPaths,
    logs: Path,
    tracked: TrackedDataset,
    drop: str | None = None,
    *,
    removes: bool = False,
    cache: bool = False,
) -> list[Leftover]:
    """Find everything that can be removed.

    The registry is read first: if it can't say which versions are champions, nothing is offered.

    Parameters
    ----------
    paths : DatasetPaths
        Of the dataset whose superseded runs are offered.
    logs : Path
        Folder of the logs.
    tracked : TrackedDataset
        The same dataset in MLflow.
    drop : str, optional
        A dataset that is offered as a whole.
    removes : bool
        Whether the caller is going to remove what is found, so that the store must be writable.
    cache : bool
        Whether ranks are offered too: they can be computed again, in minutes.
    """
    leftovers: list[Leftover] = []
    kept = _champion_records(tracked, leftovers, removes=removes)
    leftovers += [*temporary_files([paths.root, paths.reports_root, main_root() / "mlruns"]), *old_logs(logs)]
    if drop != paths.dataset:
        leftovers += superseded_models(paths, kept)
        leftovers += superseded_portfolios(paths, kept)
        leftovers += cached_ranks(paths) if cache else ()
    if drop is not None:
        champions = _champion_records(dataclasses.replace(tracked, dataset=drop, interval="1d"), [])
        leftovers += dataset_files(dataclasses.replace(paths, dataset=drop), has_champions=bool(champions))
    return leftovers


def temporary_files(folders: list[Path]) -> Iterator[Leftover]:
    """Temporary files of killed processes.

    Parameters
    ----------
    folders : list of Path
        Searched with their subfolders.
    """
    for folder in folders:
        files = stale_temporaries(folder)
        if files:
            yield _paths(f"{_count(len(files), 'file')} of killed processes in {folder}", files)


def old_logs(folder: Path) -> Iterator[Leftover]:
    """Logs that were renamed because they had become too large.

    Parameters
    ----------
    folder : Path
        Of the logs.
    """
    files = sorted(folder.glob("*.log.[0-9]"))
    if files:
        yield _paths(_count(len(files), "older log"), files)


def superseded_models(paths: DatasetPaths, kept: set[str]) -> Iterator[Leftover]:
    """Native models of superseded attempts.

    Parameters
    ----------
    paths : DatasetPaths
    kept : set of str
        Record ids whose models stay.
    """
    import polars as pl

    from src.training.run_store import RunStore

    for root, kind in ((paths.runs, "superseded run"), (paths.portfolios, "superseded pooled run")):
        old = set(RunStore(root).runs(("record_id",)).filter(pl.col("superseded"))["record_id"]) - kept
        models = [root / "models" / record_id for record_id in sorted(old)]
        models = [folder for folder in models if folder.is_dir()]
        if models:
            yield _paths(f"models of {_count(len(models), kind)} of {paths.dataset}", models)


def superseded_portfolios(paths: DatasetPaths, kept: set[str]) -> Iterator[Leftover]:
    """Tables of superseded pooled runs; their scores are those of the run that replaced them.

    Parameters
    ----------
    paths : DatasetPaths
    kept : set of str
        Record ids whose tables stay.
    """
    import polars as pl

    from src.training.run_store import RunStore

    old = set(RunStore(paths.portfolios).runs(("record_id",)).filter(pl.col("superseded"))["record_id"]) - kept
    tables = [paths.portfolios / record_id for record_id in sorted(old) if (paths.portfolios / record_id).is_dir()]
    if tables:
        yield _paths(f"tables of {_count(len(tables), 'superseded pooled run')} of {paths.dataset}", tables)


def cached_ranks(paths: DatasetPaths) -> Iterator[Leftover]:
    """Ranks of each day's features, which the next pooled training computes again from the features.

    Parameters
    ----------
    paths : DatasetPaths
    """
    if paths.ranks.is_dir():
        yield _paths(f"ranks of {paths.dataset}: training with scope=pooled computes them again", [paths.ranks])


def superseded_versions(store: MlflowStore, champions: Champions) -> Iterator[Leftover]:
    """Registered versions of superseded runs that are not champion, with the files of their models.

    Parameters
    ----------
    store : MlflowStore
    champions : Champions
    """
    versions = list(champions.superseded())
    if not versions:
        return
    search, experiments = store.client.search_logged_models, [store.experiment]
    models = all_pages(lambda token: search(experiments, page_token=token))
    folders = {model.model_id: local_folder(model.artifact_location) for model in models}
    for version in versions:
        yield _version(store, version, folders.get(version.params.get("model_id", "")))


def dataset_files(paths: DatasetPaths, has_champions: bool) -> Iterator[Leftover]:
    """Everything stored of a dataset.

    Parameters
    ----------
    paths : DatasetPaths
    has_champions : bool
        If true, the runs that champions come from and their grades stay.
    """
    kept = ("portfolios", "runs", "states") if has_champions else ()
    stored = [paths.root / table / paths.dataset for table in TABLES if table not in kept]
    if not has_champions:
        stored += [paths.grades, paths.reports]
    for path in stored:
        if path.exists():
            yield _paths(str(path), [path])


def dataset_sizes(root: Path) -> dict[str, int]:
    """Size of every dataset on disk.

    Parameters
    ----------
    root : Path
        The data folder.

    Returns
    -------
    dict
        Bytes by name.
    """
    sizes: dict[str, int] = {}
    for table in TABLES:
        for folder in (root / table).glob("*/"):
            sizes[folder.name] = sizes.get(folder.name, 0) + _size([folder])
    return dict(sorted(sizes.items()))


def _champion_records(tracked: TrackedDataset, leftovers: list[Leftover], *, removes: bool = False) -> set[str]:
    """Record ids of the dataset's champions; superseded versions are added to `leftovers`."""
    from src.tracking.champions import Champions
    from src.tracking.store import open_store

    database = store_location(tracked.tracking).database
    if database is not None and not database.exists():
        return set()
    with open_store(tracked, writes=removes) as store:
        champions = Champions(store)
        leftovers += superseded_versions(store, champions)
        versions = [champions.champion(name) for name in champions.current]
        return {version.tags["alpha.record_id"] for version in versions if version is not None}


def _version(store: MlflowStore, version: RegisteredVersion, files: Path | None) -> Leftover:
    folder = None if files is None else files.parent

    def remove() -> None:
        client, run_id = store.client, version.run_id
        client.delete_model_version(version.name, str(version.number))
        if versions_by_run(client, [run_id]):  # under another name, as a person registered it
            return
        client.delete_logged_model(version.params["model_id"])
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)

    message = f"version {version.number} of {version.name}: its run was superseded"
    return Leftover(message, _size([folder] if folder else []), remove)


def _paths(message: str, paths: list[Path]) -> Leftover:
    def remove() -> None:
        for path in paths:
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    return Leftover(message, _size(paths), remove)


def _size(paths: list[Path]) -> int:
    return sum(
        path.stat().st_size if path.is_file() else sum(size for _, size in files_with_sizes(path)) for path in paths
    )


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
