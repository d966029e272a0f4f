"""Append-only logs: finished work that is durable at once and becomes part of a larger file later.

A record is framed by its length and a checksum. One that a kill or a power cut left incomplete ends the log: readers
see the whole records before it, and the next writer cuts it off. Readers in other processes may come at any time: they
open the file, read what is there and close it, so that it can be removed on Windows too.
"""

from __future__ import annotations

import contextlib
import logging
import os
import struct
import zlib
from pathlib import Path

from src.storage.atomic import sync_folder

log = logging.getLogger(__name__)
_FRAME = "<4sQI"  # mark, length and CRC-32 of what follows
_MARK = b"log1"


def read(path: Path) -> list[bytes]:
    """Read the whole records of a log.

    Parameters
    ----------
    path : Path
        An existing file.

    Returns
    -------
    list of bytes
        In the order in which they were appended.

    Raises
    ------
    FileNotFoundError
        If there is no such log.
    """
    return _whole(path.read_bytes())[0]


class AppendLog:
    """A log that one process appends to.

    Parameters
    ----------
    path : Path
        The file; created with its folder by the first record.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self._is_sound = False  # whether it is known to end with a whole record

    def append(self, record: bytes) -> None:
        """Add a record, durable on return.

        Parameters
        ----------
        record : bytes
            Its content.

        Raises
        ------
        OSError
            If it can't be written; the log is then as it was. After an interruption (Ctrl+C) it holds the record, if it
            was written whole, or a part that the next writer cuts off.
        """
        is_new = not self.path.exists()
        if is_new:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        self.cut()
        self._is_sound = False
        with self.path.open("ab", buffering=0) as stream:
            size = stream.seek(0, os.SEEK_END)
            try:
                left = memoryview(struct.pack(_FRAME, _MARK, len(record), zlib.crc32(record)) + record)
                while left:
                    left = left[stream.write(left) :]
                os.fsync(stream.fileno())
            except OSError:
                with contextlib.suppress(OSError):
                    stream.truncate(size)
                raise
        self._is_sound = True
        if is_new:
            sync_folder(self.path.parent)

    def cut(self) -> None:
        """Remove an incomplete record at the end, after which no other would be found."""
        if self._is_sound or not self.path.exists():
            return
        content = self.path.read_bytes()
        end = _whole(content)[1]
        if end < len(content):
            log.warning("%s: the last %d bytes are no whole record and are dropped", self.path, len(content) - end)
            with self.path.open("rb+") as stream:
                stream.truncate(end)


def _whole(content: bytes) -> tuple[list[bytes], int]:
    """The whole records, and where they end."""
    records, end, frame = [], 0, struct.calcsize(_FRAME)
    while end + frame <= len(content):
        mark, length, checksum = struct.unpack_from(_FRAME, content, end)
        start = end + frame
        record = content[start : start + length]
        if mark != _MARK or len(record) != length or zlib.crc32(record) != checksum:
            break
        records.append(record)
        end = start + length
    return records, end
