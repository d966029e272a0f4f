"""Files of bars: where a path leads, which asset class it names, and whether files have changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from src.config.paths import main_root
from src.core.errors import ConfigError
from src.core.project import ROOT

CLASS_SPELLINGS = {
    **dict.fromkeys(("stock", "stocks", "equity", "equities"), "stock"),
    **dict.fromkeys(("etf", "etfs"), "etf"),
    **dict.fromkeys(("crypto", "cryptos", "coin", "coins", "cryptocurrency", "cryptocurrencies"), "crypto"),
}
"""Asset class by each way in which folders and columns write it, in lower case."""


def located(path: str, key: str = "source.path") -> Path:
    """Resolve the path of a source.

    Parameters
    ----------
    path : str
        Absolute, or relative to the project. From a copy of the project that DVC works in, paths that exist only in the
        main checkout are found too.
    key : str
        Setting that the path comes from, for the message.

    Returns
    -------
    Path
        Absolute.

    Raises
    ------
    ConfigError
        If there is no such file or folder.
    """
    wanted = Path(path).expanduser()
    for root in (ROOT, main_root()):
        if (root / wanted).exists():
            return (root / wanted).resolve()
    raise ConfigError(f"{key}: there is no {(ROOT / wanted).resolve()}: name an existing file or folder")


def asset_class(path: Path, split_names: bool = False) -> str | None:
    """Return the asset class that the folders of a file name, the nearest folder first.

    Parameters
    ----------
    path : Path
        The file. Its own name does not count.
    split_names : bool
        Whether one word of a folder's name is enough, as in ``nasdaq stocks``.

    Returns
    -------
    str or None
        ``stock``, ``etf`` or ``crypto``; None if no folder names a class.
    """
    for part in reversed(path.parent.parts):
        for name in part.lower().split() if split_names else [part.lower()]:
            if name in CLASS_SPELLINGS:
                return CLASS_SPELLINGS[name]
    return None


def stamp(files: Iterable[Path]) -> str:
    """Hash the names, sizes and modification times of files.

    Returns
    -------
    str
        32 hexadecimal digits. An equal stamp means that the content need not be read again.
    """
    marks = [(path.as_posix(), (stat := path.stat()).st_size, stat.st_mtime_ns) for path in sorted(files)]
    return hashlib.blake2b(json.dumps(marks).encode(), digest_size=16).hexdigest()


def fingerprint(files: Iterable[Path], settings: Any, root: Path | None = None) -> str:
    """Hash the content of files.

    Parameters
    ----------
    files : iterable of Path
        Their names count, and the folders below `root`, which may name symbols and classes.
    settings : object
        What decides how they are read; must be writable as JSON.
    root : Path, optional
        Folder that the source names; where it lies does not count, but for the class that it names.

    Returns
    -------
    str
        32 hexadecimal digits.
    """
    digest = hashlib.blake2b(json.dumps(settings, sort_keys=True).encode(), digest_size=16)
    for path in sorted(files):
        name = path.relative_to(root).as_posix() if root is not None and root in path.parents else path.name
        digest.update(f"\n{name}\n{asset_class(path) or ''}\n".encode("utf-8", errors="surrogateescape"))
        with path.open("rb") as stream:
            while chunk := stream.read(1 << 22):
                digest.update(chunk)
    return digest.hexdigest()
