"""Where stored things lie: the only module that names folders and files of data/."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from src.core.project import ROOT

TABLES = ("bars", "facts", "features", "options", "portfolios", "ranks", "runs", "states")
"""Folders of data/ that hold one folder for each dataset."""


def main_root() -> Path:
    """Return the folder that owns MLflow's store, the caches of providers and the locks.

    Returns
    -------
    Path
        The main checkout, also for a command that DVC runs in a copy of it.
    """
    return Path(os.environ.get("DVC_ROOT") or ROOT)


def locks() -> Path:
    """Folder of the locks that commands hold, one for all working copies."""
    return main_root() / "data" / ".locks"


def heartbeats() -> Path:
    """Folder of the heartbeats of running commands, one for all working copies."""
    return main_root() / "data" / ".progress"


def listings(data_root: str | Path) -> Path:
    """Return the folder of the exchanges' listings, which all datasets and working copies share.

    Parameters
    ----------
    data_root : str or Path
        The data folder, relative to the main checkout.

    Returns
    -------
    Path
    """
    return main_root() / data_root / "listings"


def raw_folder(bars: Path) -> Path:
    """Folder of what live providers served, beside the bars of a store, also of one that is to replace another."""
    return bars / "raw"


def is_pooled(run_store: Path) -> bool:
    """Whether a run store is that of the pooled scope.

    Parameters
    ----------
    run_store : Path
        Its folder.

    Returns
    -------
    bool
    """
    return run_store.parent.name == "portfolios"


@dataclass(frozen=True)
class DatasetPaths:
    """Where everything stored of one dataset lies.

    Attributes
    ----------
    root : Path
        The data folder, ``data`` by default.
    dataset : str
        Name of the dataset: the universe, with the interval appended unless daily.
    reports_root : Path
        Folder of the reports, ``reports`` by default.
    shared_journal : Path or None
        Folder through which several machines share their journals.
    shared_documents : Path or None
        Folder of the documents of research, where it is not below the data folder.
    """

    root: Path
    dataset: str
    reports_root: Path = Path("reports")
    shared_journal: Path | None = None
    shared_documents: Path | None = None

    @property
    def bars(self) -> Path:
        """Folder of the store of bars."""
        return self.root / "bars" / self.dataset

    @property
    def raw(self) -> Path:
        """Folder of the unchanged answers of live providers."""
        return raw_folder(self.bars)

    @property
    def features(self) -> Path:
        """Folder of the store of features."""
        return self.root / "features" / self.dataset

    @property
    def runs(self) -> Path:
        """Folder of the run store, which holds what training produced."""
        return self.root / "runs" / self.dataset

    @property
    def portfolios(self) -> Path:
        """Folder of what the pooled scope produced: runs, scores, portfolios and their grades."""
        return self.root / "portfolios" / self.dataset

    @property
    def portfolio_grades(self) -> Path:
        """The grades table of the pooled scope."""
        return self.portfolios / "grades.parquet"

    @property
    def portfolio_states(self) -> Path:
        """The states table of the pooled scope: which instruments it ranked, and why not the others."""
        return self.portfolios / "states.parquet"

    @property
    def ranks(self) -> Path:
        """Folder of the ranks of each day's features, which the pooled scope computes from the store of features."""
        return self.root / "ranks" / self.dataset

    @property
    def placebo(self) -> Path:
        """Folder of the run store of the placebo arm, which no reader of the real runs looks into."""
        return self.runs / "placebo"

    @property
    def grades(self) -> Path:
        """The grades table."""
        return self.root / "grades" / f"{self.dataset}.parquet"

    @property
    def trials(self) -> Path:
        """Folder of the ledger of trials, which all datasets and working copies share; nothing removes from it."""
        return main_root() / self.root / "trials"

    @property
    def signals(self) -> Path:
        """Folder of the books, a set of files a day."""
        return self.root / "signals" / self.dataset

    @property
    def journal(self) -> Path:
        """Folder of the journal, to which is only added."""
        return self.root / "journal" / self.dataset

    @property
    def monitor(self) -> Path:
        """Folder of what the monitor found."""
        return self.root / "monitor" / self.dataset

    @property
    def promotions(self) -> Path:
        """History of who promoted, withdrew and undid what, when and why."""
        return main_root() / self.root / "promotions" / f"{self.dataset}.jsonl"

    @property
    def daily(self) -> Path:
        """Record of what `daily` did, for which sessions and when."""
        return self.states_folder / "daily.json"

    @property
    def options(self) -> Path:
        """Folder of the snapshots of option chains."""
        return self.root / "options" / self.dataset

    @property
    def documents(self) -> Path:
        """Folder of the documents of research, which all datasets and working copies share."""
        return self.shared_documents or main_root() / self.root / "research" / "documents"

    @property
    def research_state(self) -> Path:
        """Folder of what this machine alone knows of its collection of documents: progress, the index of search."""
        return main_root() / self.root / "research" / "state"

    @property
    def facts(self) -> Path:
        """Folder of the facts of research, by instrument and known time, that features read."""
        return self.root / "facts" / self.dataset

    @property
    def ingest(self) -> Path:
        """Record of what `ingest` collected and derived last."""
        return self.states_folder / "ingest.json"

    @property
    def tuning(self) -> Path:
        """The database of tuning studies."""
        return self.root / "tuning" / self.dataset / "studies.db"

    @property
    def tuning_ranks(self) -> Path:
        """Folder of the ranks that tuning of pooled models reads: those of days before the first graded one."""
        return self.tuning.parent / "ranks"

    @property
    def cache(self) -> Path:
        """Folder for the working files of a running hydration."""
        return self.root / "cache" / f"hydrate-{self.dataset}"

    @property
    def report_cache(self) -> Path:
        """Folder of what the report computed from much data, by digest of the inputs; it may be removed."""
        return self.root / "cache" / f"report-{self.dataset}"

    @property
    def settled(self) -> Path:
        """Folder of what training found of buckets that need nothing; it may be removed."""
        return self.root / "cache" / f"train-{self.dataset}"

    @property
    def fingerprint(self) -> Path:
        """Record of a source's files when they were last read."""
        return self.root / "cache" / f"hydrate-{self.dataset}.json"

    @property
    def states_folder(self) -> Path:
        """Folder of the states tables, one for each stage."""
        return self.root / "states" / self.dataset

    @property
    def result_folders(self) -> tuple[Path, ...]:
        """Folders of small files that every verb may write: states, grades, reports and fingerprints."""
        return self.states_folder, self.grades.parent, self.reports, self.fingerprint.parent

    @property
    def reports(self) -> Path:
        """Folder of the report."""
        return self.reports_root / self.dataset

    def states(self, stage: str) -> Path:
        """Return the states table of a stage, which has one row for each instrument.

        Parameters
        ----------
        stage : str
            Name of the stage, such as ``train``.

        Returns
        -------
        Path
        """
        return self.states_folder / f"{stage}.parquet"
