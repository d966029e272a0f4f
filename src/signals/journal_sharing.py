"""One journal for several machines: a copy of it in a shared folder, which each brings up to date.

The shorter of two copies must be the beginning of the longer one, and gets what it lacks. Two that went on differently
are a fork: it is refused, and nothing of either is touched.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from src.core.errors import StageError
from src.signals.journal_chain import JournalChain, append_lines, lock_file, read_chain, write_bytes
from src.signals.journal_files import checked_bytes, remove_interrupted
from src.storage.atomic import read_json, remove_temporaries, sync_folder, write_atomic, write_json

log = logging.getLogger(__name__)
LOCK_SECONDS = 60.0
"""How long another machine may hold the shared copy before this one goes on alone."""


class SharedCopy:
    """The copy of a journal in a shared folder.

    Parameters
    ----------
    root : Path
        Folder of this machine's journal.
    folder : Path
        The shared folder, which must exist; the copy is in a folder of it with the name of the dataset.
    """

    def __init__(self, root: Path, folder: Path) -> None:
        self.ours, self.folder = root, folder
        self.theirs = folder / root.name
        self._seen = root.with_name(f"{root.name}.shared.json")

    @contextlib.contextmanager
    def held(self) -> Iterator[bool]:
        """Hold the shared copy while this machine adds to the journal, and bring both up to date before and after.

        The journal's own lock is held by the caller. Where the folder can't be reached, that is logged, the journal
        goes on alone, and the next time brings the entries there.

        Yields
        ------
        bool
            Whether the folder was reached.

        Raises
        ------
        StageError
            On a fork, or where one of the two copies is broken.
        """
        with contextlib.ExitStack() as stack:
            reached = self._try(lambda: self._begin(stack))
            yield reached
            if reached:
                self._try(self._level)

    def _try(self, act: Callable[[], None]) -> bool:
        from filelock import Timeout

        try:
            act()
        except (OSError, NotImplementedError, Timeout) as error:
            log.warning(
                "the shared journal in %s can't be reached (%s): the journal goes on here alone until it can",
                self.folder,
                str(error).strip() or type(error).__name__,
            )
            return False
        return True

    def _begin(self, stack: contextlib.ExitStack) -> None:
        from filelock import FileLock

        if not self.folder.is_dir():
            raise FileNotFoundError(f"{self.folder.as_posix()} is no folder: mount or create it")
        stack.enter_context(FileLock(lock_file(self.theirs), timeout=LOCK_SECONDS))
        self._level()

    def _level(self) -> None:
        """Give the shorter copy what it lacks."""
        self.theirs.mkdir(exist_ok=True)
        remove_temporaries(self.theirs, below=False)
        ours, theirs = read_chain(self.ours), read_chain(self.theirs)
        self._check_mounted(theirs)
        self._check_fork(ours, theirs)
        copied = _copy(self.ours, ours, self.theirs, theirs) + _copy(self.theirs, theirs, self.ours, ours)
        if copied:
            log.info("%d entries of the journal copied between %s and %s", copied, self.ours, self.theirs)
        number = max(ours.head[0], theirs.head[0])
        if number and number != self._seen_number():
            write_json({"folder": self.folder.absolute().as_posix(), "number": number}, self._seen)

    def _check_mounted(self, theirs: JournalChain) -> None:
        """Refuse to take an empty mount point, or an older copy, for the shared folder."""
        seen = self._seen_number()
        if theirs.head[0] < seen:
            raise OSError(
                f"it has {theirs.head[0]} entries and had {seen}: mount it or bring it back; "
                f"if it was emptied on purpose, delete {self._seen.as_posix()}"
            )

    def _seen_number(self) -> int:
        try:
            seen = read_json(self._seen)
            return int(seen["number"]) if seen["folder"] == self.folder.absolute().as_posix() else 0
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return 0

    def _check_fork(self, ours: JournalChain, theirs: JournalChain) -> None:
        pairs = zip(ours.entries, theirs.entries, strict=False)
        fork = next((here.number for here, there in pairs if here.hash != there.hash), None)
        if fork is None:
            return
        here, there = (
            f"{root.as_posix()} ends with entry {chain.head[0]} ({chain.head[1][:12]})"
            for root, chain in ((self.ours, ours), (self.theirs, theirs))
        )
        raise StageError(
            f"the journal and its shared copy differ from entry {fork} on: {here}; {there}. Two machines said books "
            f"without knowing of each other: keep one copy, move the other folder and the files beside it that begin "
            f"with its name elsewhere, then run the command again; nothing was changed"
        )


def _copy(source: Path, longer: JournalChain, target: Path, shorter: JournalChain) -> int:
    """Copy the entries that `target` lacks, one after the other as if each were said there."""
    have, chain = shorter.head[0], shorter
    for entry, line in zip(longer.entries[have:], longer.lines[have:], strict=True):
        remove_interrupted(target, entry.number)
        for name in entry.files:
            content = checked_bytes(source, entry, name)
            write_atomic(target / name, partial(write_bytes, content), sync=False)
        sync_folder(target)
        chain = append_lines(target, chain, [line])
    return len(chain.lines) - have
