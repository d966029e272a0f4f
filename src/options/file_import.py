"""Snapshots from the user's own files, each taken once."""

from __future__ import annotations

import datetime as dt
import logging

from src.chains.store import OptionStore
from src.core.errors import ConfigError, StageError
from src.core.instruments import Key
from src.fetching.provider import BarRequest
from src.options import files
from src.options.job import QuoteJob
from src.options.results import counted, published
from src.options.snapshot import ChainReply, keep
from src.options.underlyings import UnderlyingClasses
from src.runtime.progress import Progress

log = logging.getLogger(__name__)


def import_files(job: QuoteJob) -> str:
    """Take every snapshot of the files at ``options.path`` that is not stored yet.

    Parameters
    ----------
    job : QuoteJob
        ``only`` narrows, ``fresh`` takes all of them again.

    Returns
    -------
    str
        One sentence with the counts.

    Raises
    ------
    ConfigError
        If there is nothing at the path.
    StageError
        If no file could be read, or every underlying failed.
    """
    from src.sources.files import located

    path = located(str(job.options.path), "options.path")
    paths = files.files(path)
    if not paths:
        raise ConfigError(f"options.path: no {', '.join(files.SUFFIXES)} file at {path}: name files of option chains")
    store, classes, stored = OptionStore(job.paths.options), UnderlyingClasses(job), 0
    unread: list[str] = []
    with Progress("quote", len(paths), "file") as progress, published(job, store) as results:
        for each in paths:
            try:
                for kind, chain in files.chains(each):
                    key = (classes.of(chain.underlying, kind), chain.underlying)
                    if not _is_wanted(key, job.only):
                        continue
                    if not job.fresh and store.path(*key, chain.captured).is_file() and results.recorded(key):
                        stored += 1
                        continue
                    reply = ChainReply(BarRequest(*key, start=chain.captured.date()), chain)
                    keep(store, results, key, reply, job.options.risk_free, dt.datetime.now(dt.UTC))
            except files.FileError as error:
                unread.append(str(error))
                log.warning("%s", error)
            progress.advance(note=each.name)
    if len(unread) == len(paths):
        raise StageError(f"none of {len(paths):,} files could be read: {unread[0]}")
    line = results.summary(job.dataset, "files", stored)
    return f"{line}; {counted(len(unread), 'file')} could not be read" if unread else line


def _is_wanted(key: Key, only: list[str]) -> bool:
    return not only or bool({key[1], ":".join(key)} & set(only))
