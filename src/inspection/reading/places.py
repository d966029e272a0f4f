"""Which project and which dataset is read, found from a working directory, a name, or what the caller says."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from src.config.paths import TABLES, DatasetPaths
from src.core.errors import ConfigError

if TYPE_CHECKING:
    from src.config.schema import Config
    from src.market.bars import BarStore
    from src.training.run_store import RunStore

Folder = str | Path | None
ROOT_VARIABLE = "ALPHA_LOOP_ROOT"
"""Of the environment: the folder of the project, in place of the one above the working directory."""


@dataclass(frozen=True)
class Place:
    """One dataset of one project.

    Attributes
    ----------
    root : Path
        Folder of the project, absolute.
    paths : DatasetPaths
        Where the dataset's stored things lie.
    """

    root: Path
    paths: DatasetPaths

    @property
    def dataset(self) -> str:
        """Name of the dataset."""
        return self.paths.dataset

    def bars(self) -> BarStore:
        """The store of bars.

        Raises
        ------
        StageError
            If nothing is hydrated.
        """
        from src.core.errors import StageError
        from src.market.bars import BarStore

        store = BarStore(self.paths.bars)
        if not store.exists():
            raise StageError(f"universe={self.dataset} has no bars: run `{self.command('hydrate')}`")
        return store

    def runs(self, scope: str) -> RunStore:
        """The run store of a scope, ``instrument`` or ``pooled``."""
        from src.training.run_store import RunStore

        return RunStore(self.paths.portfolios if scope == "pooled" else self.paths.runs)

    def command(self, verb: str, *words: str) -> str:
        """Write a command for this dataset."""
        from src.config.commands import command

        return command(verb, *words, stored=self.dataset)

    def config(self) -> Config:
        """Compose the configuration of the dataset, with every place absolute; it takes half a second."""
        from dataclasses import replace

        from src.config.commands import stored_settings
        from src.config.compose import compose
        from src.core.project import ROOT

        config = compose(stored_settings(self.dataset))
        tracking = config.tracking
        if self.root != ROOT:
            tracking = replace(
                tracking, uri=_absolute(tracking.uri, self.root), artifacts=str(self.root / tracking.artifacts)
            )
        data = replace(config.data, root=str(self.paths.root), reports=str(self.paths.reports_root))
        return replace(config, data=data, tracking=tracking)


def place(universe: str | None, root: Folder) -> Place:
    """Find a dataset.

    Parameters
    ----------
    universe : str or None
        Name of the dataset, such as ``quick`` or ``quick-1h``; None takes the universe of ``params.yaml``.
    root : str or Path or None
        Folder of the project; None takes `ROOT_VARIABLE`, else the project at or above the working directory.

    Raises
    ------
    ConfigError
        If there is no project, or nothing is stored of such a dataset: the message names those that there are.
    """
    folder = project(root)
    name = _chosen(folder) if universe is None else universe
    stored = datasets(folder)
    if name not in stored:
        from src.config.commands import command

        there = f"stored there: {', '.join(stored)}" if stored else "nothing is stored there"
        hydrate = command("hydrate", stored=str(name))
        raise ConfigError(f"nothing is stored of universe={name} in {data_of(folder)} ({there}): run `{hydrate}`")
    return Place(folder, DatasetPaths(data_of(folder), name, folder / "reports"))


def project(root: Folder) -> Path:
    """Find the folder of the project.

    Parameters
    ----------
    root : str or Path or None
        As `place` takes it.

    Raises
    ------
    ConfigError
        If there is none.
    """
    given = root if root is not None else os.environ.get(ROOT_VARIABLE)
    if given is not None:
        folder = Path(given).expanduser().absolute()
        if not data_of(folder).is_dir():
            what = "root" if root is not None else ROOT_VARIABLE
            raise ConfigError(
                f"{what} is {folder.as_posix()}, which is no project: it has no folder {data_of(folder).name}"
            )
        return folder
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / "params.yaml").is_file() and (folder / "conf").is_dir():
            return folder
    raise ConfigError(f"no project at or above {here.as_posix()}: pass its folder as `root`, or set {ROOT_VARIABLE}")


def datasets(folder: Path) -> list[str]:
    """Names of the datasets of which a project stores anything.

    Parameters
    ----------
    folder : Path
        Of the project.
    """
    data = data_of(folder)
    names = {path.name for table in TABLES for path in (data / table).glob("*/")}
    return sorted(names | {path.stem for path in (data / "grades").glob("*.parquet")})


def data_of(folder: Path) -> Path:
    """The data folder of a project: ``data``, or what ``conf/config.yaml`` names.

    Parameters
    ----------
    folder : Path
        Of the project.
    """
    section = _yaml(folder / "conf" / "config.yaml").get("data")
    return folder / str((section or {}).get("root", "data")) if isinstance(section, dict) else folder / "data"


def _chosen(folder: Path) -> str:
    name = _yaml(folder / "params.yaml").get("universe")
    if not isinstance(name, str):
        raise ConfigError(f"{(folder / 'params.yaml').as_posix()} names no universe: name one")
    return name


def _yaml(path: Path) -> dict[str, object]:
    import yaml

    content = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else None
    return content if isinstance(content, dict) else {}


def _absolute(uri: str, root: Path) -> str:
    """A sqlite address below a project's folder; any other as it is."""
    scheme, _, rest = uri.partition(":///")
    return f"sqlite:///{(root / rest).as_posix()}" if scheme == "sqlite" else uri
