"""Files of a folder: those that a source reads, and those that it passes over with the reason."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from src.core.text import escaped

_JUNK = ("readme", "license", "licence", "thumbs.db", "desktop.ini", "_success", "_metadata", "_common_metadata", "~$")
_JUNK_FOLDERS = ("__macosx", "$recycle.bin", "system volume information", "__pycache__")
_KINDS = {
    "is a workbook: save its sheet as CSV UTF-8": (".xlsx", ".xls", ".xlsm", ".xlsb", ".ods", ".numbers"),
    "is an archive: unpack it": (".zip", ".7z", ".rar", ".tar", ".tgz", ".bz2", ".xz", ".gz", ".zst"),
    "is no table of text or Parquet: save it as CSV or Parquet": (
        ".json", ".jsonl", ".ndjson", ".html", ".htm", ".xml", ".feather", ".arrow", ".ipc", ".h5", ".hdf5", ".hdf",
        ".pkl", ".pickle", ".dta", ".sas7bdat", ".rds", ".rdata", ".mat", ".npy", ".npz", ".db", ".sqlite", ".duckdb",
        ".avro", ".orc", ".pdf", ".doc", ".docx",
    ),
    "is an unfinished download: fetch it again": (
        ".crdownload", ".part", ".partial", ".download", ".opdownload", ".tmp",
    ),
}  # fmt: skip
_OTHER = "is of a kind that is not read"


@dataclass(frozen=True)
class PassedOver:
    """A file that is not read.

    Attributes
    ----------
    path : Path
        The file.
    reason : str
        What it is and what to do, to follow its name.
    """

    path: Path
    reason: str

    def __str__(self) -> str:
        return f"{escaped(self.path.name)} {self.reason}"


def readable_files(root: Path, suffixes: Sequence[str]) -> tuple[list[Path], list[PassedOver]]:
    """List the files under a folder, whatever their names: no name is a pattern.

    Parameters
    ----------
    root : Path
        Searched with its subfolders, also through links; a folder that is reached twice counts once.
    suffixes : sequence of str
        Ends of names that are read, in lower case.

    Returns
    -------
    readable : list of Path
        Sorted.
    passed_over : list of PassedOver
        Of other kinds, broken links, folders that can't be opened; sorted. Hidden files and folders, READMEs and what
        operating systems leave behind are in neither list.
    """
    readable: list[Path] = []
    passed: list[PassedOver] = []
    seen: set[tuple[int, int]] = set()
    folders = [root]
    while folders:
        folder = folders.pop()
        try:
            mark = folder.stat()
            if (mark.st_dev, mark.st_ino) in seen and mark.st_ino:
                continue
            seen.add((mark.st_dev, mark.st_ino))
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            passed.append(PassedOver(folder, f"can't be opened ({error.strerror or error})"))
            continue
        for entry in entries:
            name = entry.name.lower()
            if name.startswith((".", *_JUNK)):
                continue
            path = folder / entry.name
            if not _is_text(entry.name):
                passed.append(PassedOver(path, "has a name that is no text: rename it"))
            elif entry.is_dir():
                folders += [] if name in _JUNK_FOLDERS else [path]
            elif not entry.is_file():
                passed.append(
                    PassedOver(path, "is a link to a file that is not there" if entry.is_symlink() else _OTHER)
                )
            elif suffix(path, suffixes) is None:
                passed.append(PassedOver(path, _kind(name)))
            else:
                readable.append(path)
    return sorted(readable), sorted(passed, key=lambda each: each.path)


def suffix(path: Path, suffixes: Sequence[str]) -> str | None:
    """The end of a file's name that says its kind.

    Returns
    -------
    str or None
        One of `suffixes`, the longest that fits; None if none does.
    """
    name = path.name.lower()
    return max((each for each in suffixes if name.endswith(each) and name != each), key=len, default=None)


def said(passed: Sequence[PassedOver], shown: int = 3) -> str:
    """One sentence on the files that are not read.

    Returns
    -------
    str
        How many, and the first of them with their reasons.
    """
    first = "; ".join(str(each) for each in passed[:shown])
    what = "1 file is" if len(passed) == 1 else f"{len(passed):,} files are"
    return f"{what} not read: {first}" + ("; ..." if len(passed) > shown else "")


def _is_text(name: str) -> bool:
    """Whether a name can be written; Linux allows any bytes in one."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _kind(name: str) -> str:
    return next((reason for reason, ends in _KINDS.items() if name.endswith(ends)), _OTHER)
