"""Whether two artifact locations overlap, however they are spelled: a place for artifacts must not reach into models.

Locations are compared as MLflow would resolve them: ``file:`` URIs and plain paths become real paths, with links,
``..`` and percent-encoding resolved; a server's ``mlflow-artifacts:`` becomes the folder behind it. Upper and lower
case count as equal, because some file systems do not tell them apart.
"""

from __future__ import annotations

import os
import posixpath
import re
import unicodedata
from collections.abc import Iterable
from urllib.parse import unquote, urlsplit

_DRIVE = re.compile(r"/*([a-z]):(?=/|$)")


def overlapping(location: str, others: Iterable[str], served: str = "") -> str | None:
    """Find a location that contains another one or lies in it; the same location does not count.

    A run's artifacts lie in a folder with its id below the location of its experiment, so two experiments at one place
    stay apart.

    Parameters
    ----------
    location : str
        Path or URI.
    others : iterable of str
        Paths or URIs.
    served : str
        Folder or URI that stands behind ``mlflow-artifacts:/``, if a server knows it.

    Returns
    -------
    str or None
        The first of the others that overlaps.
    """
    place = resolved(location, served)
    for other in others:
        beside = resolved(other, served)
        if place != beside and (_contains(place, beside) or _contains(beside, place)):
            return other
    return None


def resolved(location: str, served: str = "") -> str:
    """Return one spelling for every location that names the same place.

    Parameters
    ----------
    location : str
        Path or URI.
    served : str
        Folder or URI that stands behind ``mlflow-artifacts:/``.

    Returns
    -------
    str
        Scheme and path for buckets and the like, a path for folders; in lower case.

    Examples
    --------
    >>> resolved("file:///C:/Loop/./mlruns/../mlruns/")
    '/c:/loop/mlruns'
    >>> resolved("S3://Bucket/a//b/%63/")
    's3://bucket/a/b/c'
    """
    parsed = urlsplit(location.replace("\\", "/"))
    scheme = parsed.scheme.lower()
    if scheme == "mlflow-artifacts" and served:
        return resolved(f"{served.rstrip('/')}/{parsed.path.lstrip('/')}")
    if len(scheme) > 1 and scheme != "file":
        return _folded(f"{scheme}://{parsed.netloc}{_normal(parsed.path)}")
    is_plain = len(scheme) <= 1
    path = location.replace("\\", "/") if is_plain else parsed.path
    host = "" if is_plain or parsed.netloc in ("", "localhost", "127.0.0.1") else f"//{parsed.netloc}"
    path = f"{host}{path if is_plain else _unquoted(path)}"
    if drive := _DRIVE.match(path.lower()):
        return _folded(_normal(f"/{drive[1]}:{path[drive.end() :]}"))
    return _folded(_normal(os.path.realpath(path).replace("\\", "/")))  # a path of another system stays text


def _unquoted(path: str) -> str:
    """Decode until nothing changes: a place that any reader could mean counts."""
    while (plain := unquote(path)) != path:
        path = plain
    return path


def _normal(path: str) -> str:
    return posixpath.normpath("/" + _unquoted(path).lstrip("/"))


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", text).casefold()


def _contains(folder: str, place: str) -> bool:
    return place.startswith(folder.rstrip("/") + "/")
